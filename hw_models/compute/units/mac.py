"""Tensor cores that multiply and accumulate: every weight is brought to the activations' format first."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from cairn.base.spec import sourced
from cairn.hw_models.compute.matrix_unit import IntArray
from cairn.hw_models.compute.units.blocks import BITS, BlockUnit, whole_bits

Format = Literal["int8", "fp8", "fp16"]


class MacTensorCore(BlockUnit):
    """m x n sums of k products a cycle, all in one format; weights of fewer bits cost as much as those of all bits.

    Weights come packed and are widened at the unit's edge, which is not counted (its authors do it on other cores).
    """

    kind: Literal["mac"] = sourced("mac", "names this kind of unit; not a quantity")
    activation: Format = sourced("int8", "reference/lut/lut_tensor_core.yaml: areas are published for these three")
    m: int = sourced(8, "digest of LUT Tensor Core, section 2.1: the A100's INT8 tensor core is 8 x 4 x 16", ge=1)
    n: int = sourced(4, "as m", ge=1)
    k: int = sourced(16, "as m; 8 for fp16, which has half the rate (NVIDIA A100 whitepaper)", ge=1)

    @classmethod
    def a100(cls, activation: Format, **more: Any) -> MacTensorCore:
        """The four tensor cores of an SM at this format: 1024 fp16, 2048 int8; 4096 fp8 as an H100 has them."""
        shape = {"fp16": (8, 4, 8), "int8": (8, 4, 16), "fp8": (8, 4, 32)}[activation]
        return cls(activation=activation, m=shape[0], n=shape[1], k=shape[2], arrays=4, **more)

    def _planes(self, weight_bits: npt.ArrayLike) -> IntArray:
        bits = whole_bits(weight_bits, BITS[self.activation], f"a {self.activation} tensor core")
        return np.ones(bits.shape, dtype=np.int64)

    @property
    def _array_um2(self) -> float:
        return self.m * self.n * self.k * self.anchors.mac_um2(self.activation)

    @property
    def _look_up_pj(self) -> float:
        return 0.0

    @property
    def _accumulate_pj(self) -> float:
        return self.m * self.n * self.k * self.anchors.mac_pj(self.activation, self.cells)
