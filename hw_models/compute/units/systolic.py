"""A systolic array under the contract of units: its own cycles and traffic, areas and energies of the same MACs."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from cairn.base.spec import sourced
from cairn.hw_models.compute.matrix_unit import IntArray, tile_sizes
from cairn.hw_models.compute.systolic.spec import SystolicSpec
from cairn.hw_models.compute.units.blocks import BITS, UnitSpec, whole_bits
from cairn.hw_models.compute.units.contract import Energy, FloatArray, Traffic
from cairn.hw_models.compute.units.mac import Format


class SystolicUnit(UnitSpec):
    """`array` with cells of one format. Its cells take a cycle for a product whatever the bits of the weight."""

    kind: Literal["systolic"] = sourced("systolic", "names this kind of unit; not a quantity")
    activation: Format = sourced("int8", "reference/lut/lut_tensor_core.yaml: areas are published for these three")
    array: SystolicSpec = sourced(SystolicSpec(), "its own defaults")

    @property
    def area_mm2(self) -> float:
        return self.array.peak_macs_per_cycle * self.anchors.mac_um2(self.activation) * 1e-6 * self._scaling.area

    def peak_macs_per_cycle(self, weight_bits: npt.ArrayLike) -> FloatArray:
        return np.full(self._bits(weight_bits).shape, float(self.array.peak_macs_per_cycle))

    def mac_pj(self, weight_bits: npt.ArrayLike) -> FloatArray:
        one = self.anchors.mac_pj(self.activation, self.cells) * self._scaling.energy
        return np.full(self._bits(weight_bits).shape, one)

    def cycles(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike) -> IntArray:
        rows, columns, depth, _ = np.broadcast_arrays(*tile_sizes(m, n, k), self._bits(weight_bits))
        return self.array.tile_cycles(rows, columns, depth)

    def traffic(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike) -> Traffic:
        """Sums that an array of stationary weights reads back count as output."""
        moved = self.array.tile_traffic(m, n, k)
        parts = (
            moved.inputs * float(self.activation_bits),
            moved.weights * self._bits(weight_bits),
            (moved.outputs_written + moved.outputs_read) * float(self.accumulator_bits),
        )
        return Traffic(*np.broadcast_arrays(*parts))

    def energy_pj(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike) -> Energy:
        """Cells without an operand are idle: the products that are asked for are those that cost."""
        rows, columns, depth = tile_sizes(m, n, k)
        work = rows * columns * depth * self.mac_pj(weight_bits)
        sram = self.sram_pj(self.traffic(rows, columns, depth, weight_bits))
        nothing = np.zeros(work.shape)
        return Energy(nothing, nothing, work, sram)

    def _bits(self, weight_bits: npt.ArrayLike) -> npt.NDArray[np.float64]:
        return whole_bits(weight_bits, BITS[self.activation], f"a systolic array of {self.activation} cells")
