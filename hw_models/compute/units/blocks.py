"""What units of arrays have in common: m x n sums over groups of k, cut and timed by the rules of `lut/cycle.py`."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.base.spec import Spec, required, sourced
from cairn.hw_models.compute.lut import cycle
from cairn.hw_models.compute.matrix_unit import IntArray, tile_sizes
from cairn.hw_models.compute.units.anchors import AnchorSpec
from cairn.hw_models.compute.units.cells import CellSpec
from cairn.hw_models.compute.units.contract import Energy, FloatArray, Traffic
from cairn.hw_models.compute.units.technology import Scaling, scaling

Activation = Literal["int8", "int16", "fp8", "fp16"]
BITS: Final[dict[str, int]] = {"int8": 8, "int16": 16, "fp8": 8, "fp16": 16}
_LTC = "reference/lut/lut_tensor_core.yaml"


class UnitSpec(Spec):
    """Format, clock and node of a unit, and what its area and energy are built from."""

    activation: Activation = required()
    clock_ghz: float = sourced(1.41, f"{_LTC}: its Table 1 has all units at 1.41 GHz", gt=0, le=100)
    node_nm: Literal[28, 16, 7, 5] = sourced(28, f"{_LTC}: its Tables 1 and 2 are at 28 nm")
    accumulator_bits: int = sourced(32, "LUT Tensor Core, section 3.3: results are INT32 or FP32", ge=8, le=64)
    cells: CellSpec = sourced(CellSpec(), "its own defaults")
    anchors: AnchorSpec = sourced(AnchorSpec(), "its own defaults")

    @property
    def activation_bits(self) -> int:
        return BITS[self.activation]

    @property
    def provenance(self) -> str:
        return self._scaling.note

    @cached_property
    def _scaling(self) -> Scaling:
        return scaling(28, self.node_nm)

    @cached_property
    def _sram_pj_per_bit(self) -> float:
        return self.anchors.sram_pj_per_bit_45nm * scaling(45, self.node_nm).energy

    def sram_pj(self, traffic: Traffic) -> FloatArray:
        """Energy of the traffic with the SRAM beside the unit."""
        bits = traffic.activation_bits + traffic.weight_bits + traffic.output_bits
        return bits * self._sram_pj_per_bit


class BlockUnit(UnitSpec):
    """`arrays` arrays of m x n sums, each of k products a step; a step takes as many cycles as the weights have planes.

    Kinds say of one array at 28 nm what it is made of (`_array_um2`), what a step takes in it (`_look_up_pj`,
    `_accumulate_pj`, `_group_pj`, `_scale_pj`) and in how many planes weights are done (`_planes`).
    """

    m: int = sourced(2, f"{_LTC} (ltc_best_tile)", ge=1, le=4096)
    n: int = sourced(64, f"{_LTC} (ltc_best_tile)", ge=1, le=4096)
    k: int = sourced(4, f"{_LTC} (ltc_best_tile)", ge=1, le=1024)
    arrays: int = sourced(1, f"{_LTC}: Table 2 gives one array; its 'X' arrays are multiples", ge=1, le=65536)
    fill_cycles: int = sourced(1, "assumed: one register between the arrays' inputs and their sums", ge=0, le=64)

    @property
    def area_mm2(self) -> float:
        return self.arrays * self._array_um2 * 1e-6 * self._scaling.area

    def peak_macs_per_cycle(self, weight_bits: npt.ArrayLike) -> FloatArray:
        return self.arrays * self.m * self.n * self.k / self._step_cycles(weight_bits).astype(np.float64)

    def mac_pj(self, weight_bits: npt.ArrayLike) -> FloatArray:
        planes = self._planes(weight_bits)
        energy = (self._look_up_pj + self._accumulate_pj) * planes + self._group_pj + self._scale_pj
        return energy * self._scaling.energy / (self.m * self.n * self.k)

    def cycles(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike) -> IntArray:
        return cycle.tile_cycles(self, m, n, k, self._step_cycles(weight_bits))

    def traffic(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike) -> Traffic:
        bits = np.asarray(weight_bits, dtype=np.float64)
        self._planes(bits)
        rows, columns, depth = tile_sizes(m, n, k)
        inputs = cycle.table_rounds(self, rows, columns, depth) * (self.m * self._group_bits)
        weights = cycle.array_steps(self, rows, columns, depth) * bits * (self.k * self.n)
        outputs = np.where(depth > 0, rows * columns, 0) * float(self.accumulator_bits)
        parts: tuple[FloatArray, ...] = np.broadcast_arrays(inputs, weights, outputs)
        return Traffic(*parts)

    def energy_pj(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike) -> Energy:
        planes = self._planes(weight_bits)
        steps = cycle.array_steps(self, m, n, k)
        factor = self._scaling.energy
        work = steps * planes
        made = self._precompute_pj(m, n, k) + steps * self._group_pj
        sram = self.sram_pj(self.traffic(m, n, k, weight_bits))
        added = work * (self._accumulate_pj * factor) + steps * (self._scale_pj * factor)
        parts = (made * factor, work * (self._look_up_pj * factor), added, sram)
        return Energy(*(np.asarray(part, dtype=np.float64) for part in np.broadcast_arrays(*parts)))

    def _precompute_pj(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike) -> FloatArray:
        """Energy of additions outside the arrays, once for each group of activations; none unless a kind has some."""
        return np.zeros(np.broadcast_shapes(np.shape(m), np.shape(n), np.shape(k)))

    @abstractmethod
    def _planes(self, weight_bits: npt.ArrayLike) -> IntArray:
        """Cycles in which a step does something; ConfigError for weights that the unit does not take."""

    def _step_cycles(self, weight_bits: npt.ArrayLike) -> IntArray:
        """Cycles of a step, those in which it waits included; none unless a kind has some."""
        return self._planes(weight_bits)

    @property
    @abstractmethod
    def _array_um2(self) -> float:
        """Area of one array at 28 nm."""

    @property
    @abstractmethod
    def _look_up_pj(self) -> float:
        """Energy of holding and reading tables in one array and cycle at 28 nm."""

    @property
    @abstractmethod
    def _accumulate_pj(self) -> float:
        """Energy of everything else in one array and cycle at 28 nm."""

    @property
    def _group_pj(self) -> float:
        """Energy in one array for each group that it begins, whatever the planes, at 28 nm: tables made inside."""
        return 0.0

    @property
    def _scale_pj(self) -> float:
        """Energy in one array for each group, whatever the planes, at 28 nm: sums multiplied by scales."""
        return 0.0

    @property
    def _group_bits(self) -> float:
        """Bits of a row of a group as the array takes them: its activations, or their table."""
        return self.k * self.activation_bits


def whole_bits(weight_bits: npt.ArrayLike, most: int, what: str) -> npt.NDArray[np.float64]:
    """`weight_bits` as numbers, where each is above 0 and at most `most`; ConfigError otherwise."""
    bits = np.asarray(weight_bits, dtype=np.float64)
    if bits.size and not ((bits >= 1) & (bits <= most)).all():
        raise ConfigError(f"{what} takes weights of 1 to {most} bits; got {np.asarray(weight_bits).tolist()}",
                          key="weight_bits")  # fmt: skip
    return bits
