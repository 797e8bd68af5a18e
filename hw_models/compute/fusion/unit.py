"""Arrays whose elements split under the contract of units: BitFusion, ANT, MixPE, INT8 and FP16 at equal area."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from cairn.base.spec import sourced
from cairn.hw_models.compute.fusion.cycle import array_cycles, split
from cairn.hw_models.compute.fusion.designs import MIXPE_DESIGNS
from cairn.hw_models.compute.fusion.spec import FusedArraySpec
from cairn.hw_models.compute.matrix_unit import IntArray, tile_sizes
from cairn.hw_models.compute.units.blocks import UnitSpec
from cairn.hw_models.compute.units.contract import Energy, FloatArray, Traffic


class FusedUnit(UnitSpec):
    """`array` with its published powers (28 nm); its area is that of `int8_macs` INT8 multiply-accumulates.

    The arrays of MixPE's comparison have equal areas, and no more is published of them.
    """

    kind: Literal["fused"] = sourced("fused", "names this kind of unit; not a quantity")
    activation: Literal["int8", "fp16"] = sourced("int8", "BitFusion: integers; MixPE-W4A16 and FP16 have fp16")
    clock_ghz: float = sourced(0.5, "BitFusion family conf_*.ini: frequency", gt=0, le=100)
    array: FusedArraySpec = sourced(MIXPE_DESIGNS[2], "BitFusion, see designs.py")
    int8_macs: int = sourced(1024, "MixPE (arXiv 2411.16158): arrays of equal area, INT8 32 x 32 among them", ge=1)

    @model_validator(mode="after")
    def _takes_its_activations(self) -> FusedUnit:
        if self.activation_bits > self.array.high_bits:
            most = self.array.high_bits
            raise ValueError(f"{self.array.name} takes activations of {most} bits, not {self.activation}")
        return self

    @property
    def area_mm2(self) -> float:
        return self.int8_macs * self.anchors.mac_um2("int8") * 1e-6 * self._scaling.area

    def peak_macs_per_cycle(self, weight_bits: npt.ArrayLike) -> FloatArray:
        side_by_side = split(self.array, self.activation_bits, "activation") * self._split(weight_bits)
        return self.array.elements * side_by_side.astype(np.float64)

    def mac_pj(self, weight_bits: npt.ArrayLike) -> FloatArray:
        return self._cycle_pj / self.peak_macs_per_cycle(weight_bits)

    def cycles(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike) -> IntArray:
        rows, columns, depth, bits = np.broadcast_arrays(*tile_sizes(m, n, k), np.asarray(weight_bits))
        return array_cycles(self.array, rows, columns, depth, self.activation_bits, bits)

    def traffic(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike) -> Traffic:
        """Operands of all elements in every cycle, each operand shared along its row or column; sums leave once."""
        taken = self.cycles(m, n, k, weight_bits).astype(np.float64)
        along = self.array.rows * split(self.array, self.activation_bits, "activation")
        across = self.array.columns * self._split(weight_bits)
        rows, columns, depth = tile_sizes(m, n, k)
        outputs = np.where(depth > 0, rows * columns, 0) * float(self.accumulator_bits)
        bits = np.asarray(weight_bits, dtype=np.float64)
        if self.array.dataflow == "weight_stationary":  # weights enter once for each tile, inputs pass in every cycle
            tiles = -(-columns // across) * -(-depth // along) * float(along)
            weights = np.where(rows > 0, tiles, 0) * across * bits
            outputs = outputs * np.maximum(1, 2 * -(-depth // along) - 1)
            return Traffic(*np.broadcast_arrays(taken * along * self.activation_bits, weights, outputs))
        inputs = taken * along * self.activation_bits
        return Traffic(*np.broadcast_arrays(inputs, taken * across * bits, outputs))

    def energy_pj(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike) -> Energy:
        """All elements count in every cycle, as in the simulator."""
        work = self.cycles(m, n, k, weight_bits).astype(np.float64) * self._cycle_pj
        nothing = np.zeros(work.shape)
        return Energy(nothing, nothing, work, self.sram_pj(self.traffic(m, n, k, weight_bits)))

    @property
    def _cycle_pj(self) -> float:
        return (self.array.leakage_pj + self.array.dynamic_pj) * self._scaling.energy

    def _split(self, weight_bits: npt.ArrayLike) -> IntArray:
        return split(self.array, weight_bits, "weight_bits")
