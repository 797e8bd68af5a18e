"""Units that only add: every plane of the weights lets activations into an adder or not; there are no tables."""

from __future__ import annotations

from typing import Literal

from cairn.base.spec import sourced
from cairn.hw_models.compute.units.cells import width
from cairn.hw_models.compute.units.look_up import AdderUnit


class AddOnly(AdderUnit):
    """m x n bit-serial units an array: k gates a bit, k - 1 adders in a tree, and a sum to which the plane is added."""

    kind: Literal["add"] = sourced("add", "names this kind of unit; not a quantity")
    k: int = sourced(4, "reference/lut/lut_tensor_core.yaml (ltc_area_break_even_bits): products of 4", ge=1, le=64)

    @property
    def _tree(self) -> tuple[float, float]:
        """Adders of floats, and gates beside them, of the tree and its inputs."""
        inputs = self.cells.and_gate * self.k * self.activation_bits
        if self._is_float:
            return float(self.k - 1), inputs
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
