"""Arrays of dot-product elements under the contract of units: BitMoD, and FP16, ANT and OliVe as it has them."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from cairn.base.spec import sourced
from cairn.hw_models.compute.bitserial import cost
from cairn.hw_models.compute.bitserial.cycle import array_cycles, pass_cycles, passes
from cairn.hw_models.compute.bitserial.spec import ANT, BITMOD, FP16, OLIVE, DotArraySpec
from cairn.hw_models.compute.matrix_unit import IntArray, tile_sizes
from cairn.hw_models.compute.units.blocks import UnitSpec
from cairn.hw_models.compute.units.contract import Energy, FloatArray, Traffic


class DotArrayUnit(UnitSpec):
    """`array` of elements with areas and energies of their own (BitMoD's synthesis, 28 nm), not the counted cells'.

    Columns hold rows of activations, rows hold columns of weights. The arrays keep their arrangement by phase.
    """

    kind: Literal["dot_array"] = sourced("dot_array", "names this kind of unit; not a quantity")
    activation: Literal["fp16"] = sourced("fp16", "BitMoD (HPCA 2025): activations stay FP16")
    clock_ghz: float = sourced(1.0, "BitMoD (HPCA 2025) sec. V: 28 nm, 1 GHz", gt=0, le=100)
    array: DotArraySpec = sourced(DotArraySpec(rows=32, columns=32), "BitMoD simulator test_bitmod.py, prefill")

    @property
    def area_mm2(self) -> float:
        return cost.area_mm2(self.array) * self._scaling.area

    def peak_macs_per_cycle(self, weight_bits: npt.ArrayLike) -> FloatArray:
        return self.array.peak_macs_per_pass / pass_cycles(self.array.element, weight_bits).astype(np.float64)

    def mac_pj(self, weight_bits: npt.ArrayLike) -> FloatArray:
        cycle_pj = float(cost.energy_pj(self.array, 1)) * self._scaling.energy
        return cycle_pj / self.peak_macs_per_cycle(weight_bits)

    def cycles(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike) -> IntArray:
        rows, columns, depth, bits = np.broadcast_arrays(*tile_sizes(m, n, k), np.asarray(weight_bits))
        return array_cycles(self.array, rows, columns, depth, bits)

    def traffic(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike) -> Traffic:
        """Every pass takes a dot product's operands for all rows and columns; sums leave once."""
        pass_cycles(self.array.element, weight_bits)
        rows, columns, depth = tile_sizes(m, n, k)
        read = passes(self.array, rows, columns, depth) * float(self.array.element.dot)
        outputs = np.where(depth > 0, rows * columns, 0) * float(self.accumulator_bits)
        inputs = read * (self.array.columns * self.activation_bits)
        weights = read * self.array.rows * np.asarray(weight_bits, dtype=np.float64)
        return Traffic(*np.broadcast_arrays(inputs, weights, outputs))

    def energy_pj(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike) -> Energy:
        """All elements count in every cycle, busy or not, as in the BitMoD simulator."""
        work = cost.energy_pj(self.array, self.cycles(m, n, k, weight_bits)) * self._scaling.energy
        nothing = np.zeros(work.shape)
        return Energy(nothing, nothing, work, self.sram_pj(self.traffic(m, n, k, weight_bits)))


BITMOD_UNIT: Final = DotArrayUnit(array=DotArraySpec(rows=32, columns=32, element=BITMOD))
FP16_UNIT: Final = DotArrayUnit(array=DotArraySpec(rows=32, columns=24, element=FP16))
ANT_UNIT: Final = DotArrayUnit(array=DotArraySpec(rows=32, columns=32, element=ANT))
OLIVE_UNIT: Final = DotArrayUnit(array=DotArraySpec(rows=36, columns=32, element=OLIVE))
