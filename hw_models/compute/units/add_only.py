"""Units that only add: every plane of the weights lets activations into an adder or not; there are no tables."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from cairn.base.spec import sourced
from cairn.hw_models.compute.matrix_unit import IntArray
from cairn.hw_models.compute.units.cells import width
from cairn.hw_models.compute.units.look_up import AdderUnit


class AddOnly(AdderUnit):
    """m x n bit-serial units an array: k gates a bit, k - 1 adders in a tree, and a sum to which the plane is added.

    Every bit of a weight takes one addition of k gated activations (LUT Tensor Core, section 4.1.1: its "ADD"). The
    sign of the highest plane is one more gate a bit and the adder's own carry in. Sums of integers keep all their bits,
    as there is no table that rounds them. Adders of floats stand behind one another at most once a cycle, as in the
    published RTL at 1 GHz: behind each of the tree is a register, and the tree's levels fill first. Activations and
    planes of weights come from outside and are held there, as for look-up units and multiply-accumulates.
    """

    kind: Literal["add"] = sourced("add", "names this kind of unit; not a quantity")
    k: int = sourced(4, "reference/lut/lut_tensor_core.yaml (ltc_area_break_even_bits): products of 4", ge=1, le=64)

    @property
    def _entry_bits(self) -> int:
        return self.activation_bits if self._is_float else width(self.activation_bits, self.k)

    @property
    def _tree_levels(self) -> int:
        return (self.k - 1).bit_length()

    def cycles(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike) -> IntArray:
        cycles = super().cycles(m, n, k, weight_bits)
        if not self._is_float:
            return cycles
        filled: IntArray = np.where(cycles > 0, cycles + self._tree_levels, 0)
        return filled

    @property
    def _tree(self) -> tuple[float, float]:
        """Adders of floats, and gates beside them, of the tree, its inputs and registers."""
        inputs = self.cells.and_gate * self.k * self.activation_bits
        if self._is_float:
            adders = self.k - 1
            return float(adders), inputs + self.cells.registers(adders * self.activation_bits)
        bits, terms, level = 0, self.k, 1
        while terms > 1:
            bits += (terms // 2) * width(self.activation_bits, 1 << level)
            terms, level = (terms + 1) // 2, level + 1
        return 0.0, inputs + self.cells.full_adder * bits

    @property
    def _array_um2(self) -> float:
        units = self.m * self.n
        floats, gates = self._tree
        return self._gates_um2(units * (floats + float(self._is_float)), units * (gates + self._sum_gates))

    @property
    def _look_up_pj(self) -> float:
        return 0.0

    @property
    def _accumulate_pj(self) -> float:
        floats, gates = self._tree
        units = self.m * self.n
        return super()._accumulate_pj + self._adders_pj(units * floats, units * gates)
