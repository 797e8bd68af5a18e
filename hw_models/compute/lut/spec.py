"""Parameters of a LUT tensor core, and what it refuses."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from cairn.base.errors import ConfigError
from cairn.base.spec import Spec, sourced
from cairn.hw_models.compute.lut import cycle, precompute
from cairn.hw_models.compute.matrix_unit import IntArray

Activation = Literal["int8", "int16", "fp8", "fp16"]
ACTIVATION_BITS: Final[dict[str, int]] = {"int8": 8, "int16": 16, "fp8": 8, "fp16": 16}
"""Activations that tables are made of: LUT Tensor Core (arXiv 2408.06003), section 3.3."""
MAX_WEIGHT_BITS: Final = 8
"""The paper's array has up to 4 planes (section 3.3) and its Figure 13 goes to 8: the same hardware, more cycles."""
SCALE_BITS: Final = 16
"""assumed: a scale is an FP16 number, as activations and the scales of weights are (the paper does not say)."""

_LTC = "LUT Tensor Core (arXiv 2408.06003, ISCA 2025)"


class LutTraffic(NamedTuple):
    """Bits that a LUT unit moves between itself and its core's SRAM for a product; arrays shaped like m, n, k."""

    table_bits: IntArray
    weight_bits: IntArray
    output_bits: IntArray


class LutSpec(Spec):
    """`arrays` arrays of m tables and n columns each; k activations share a table. A kind of matrix unit.

    An array does m x n x k one-bit multiply-accumulates a cycle; the planes of a weight follow each other. Cycles and
    the way in which arrays divide a product stand in `cycle.py`. ValueError for tables larger than the registers.
    """

    kind: Literal["lut"] = sourced("lut", "names this kind of matrix unit; not a quantity")
    m: int = sourced(2, f"{_LTC}, section 4.2.2: the best shape of 512 lanes", ge=1, le=4096)
    n: int = sourced(64, f"{_LTC}, section 4.2.2", ge=1, le=4096)
    k: int = sourced(4, f"{_LTC}, sections 4.2.1 and 4.2.2: activations of a table", ge=1, le=8)
    arrays: int = sourced(1, f"{_LTC}, Table 2 gives one array; its 'X' arrays are multiples", ge=1, le=65536)
    fill_cycles: int = sourced(
        1, "microsoft/T-MAC, branch LUTTensorCore_ISCA25, sv_lut_array: the stage2 variant has one register more",
        ge=0, le=64,
    )  # fmt: skip
    table_bits: Literal[8, 16] = sourced(8, f"{_LTC}, section 3.2.3: tables are quantised to INT8")
    tables_per_scale: int = sourced(1, f"{_LTC}, section 3.2.3: each quantised table has its own scale", ge=1, le=64)
    least_planes: int = sourced(
        1, "assumed: every look-up can be scaled in every cycle; at 2 there are half as many scale units, and a group "
        "of weights of one bit takes two cycles", ge=1, le=MAX_WEIGHT_BITS,
    )  # fmt: skip
    accumulator_bits: int = sourced(32, f"{_LTC}, section 3.3: LMMA accumulates in INT32 or FP32", ge=16, le=64)
    register_kib: float = sourced(
        64.0,
        "NVIDIA A100 whitepaper (2020): 256 KB of registers an SM, a quarter of it for each tensor core",
        gt=0,
        le=65536,
    )
    activation: Activation = sourced(
        "int8", "assumed: BitNet's activations; a unit for int16 or fp16 takes those of 8 bits as well"
    )
    node_nm: Literal[28, 16, 7, 5] = sourced(7, "reference/stacked3d/voxel.yaml (vx.area.core): as the chip's areas")

    @model_validator(mode="after")
    def _tables_fit(self) -> LutSpec:
        check_scales(self.tables_per_scale, self.least_planes, self.quantised)
        needed, have = self.table_register_bits, int(self.register_kib * 8192)
        if needed > have:
            raise ValueError(
                f"tables need {needed:,} bits ({self.arrays} arrays x m {self.m} x {self.table_entries} entries x "
                f"table_bits {self.table_bits}{', and scales' * self.quantised}), register_kib ({self.register_kib:g}) "
                f"holds {have:,}: a smaller k halves the entries, a smaller m the tables"
            )
        return self

    def takes(self, activation_bits: float) -> bool:
        """Whether tables are made of activations of so many bits: 8, and 16 where adders are as wide."""
        return activation_bits in (8, ACTIVATION_BITS[self.activation])

    @property
    def table_entries(self) -> int:
        """Entries of a table, 2^(k-1): the sums of the other half are their negatives (section 3.1.2)."""
        return 1 << (self.k - 1)

    @property
    def quantised(self) -> bool:
        """Whether entries are INT8 in place of sums of 16 bits, and sums must be multiplied by a scale."""
        return self.table_bits < ACTIVATION_BITS[self.activation]

    @property
    def scale_bits(self) -> float:
        """Bits of scales for each table: SCALE_BITS over the tables that share one, 0 where none is needed."""
        return SCALE_BITS / self.tables_per_scale if self.quantised else 0.0

    @property
    def bits_per_table(self) -> float:
        """Bits of a table as it lies in SRAM and registers, its (share of a) scale included."""
        return self.table_entries * self.table_bits + self.scale_bits

    @property
    def table_register_bits(self) -> int:
        """Bits of registers that hold tables: every array keeps its own m tables while it works on their group."""
        scales = self.m * SCALE_BITS if self.quantised else 0
        return self.arrays * (self.m * self.table_entries * self.table_bits + scales)

    def step_cycles(self, weight_bits: npt.ArrayLike) -> IntArray:
        """Cycles that an array works on a group: a plane each, and no fewer than scaling needs."""
        cycles: IntArray = np.maximum(weight_planes(weight_bits), self.least_planes)
        return cycles

    @property
    def lanes(self) -> int:
        """One-bit multiply-accumulates of all arrays in a cycle."""
        return self.arrays * self.m * self.n * self.k

    def peak_macs_per_cycle(self, weight_bits: float) -> float:
        """Multiply-accumulates in a cycle at weights of `weight_bits`, never exceeded by `tile_cycles`."""
        return self.lanes / int(self.step_cycles(weight_bits))

    def tile_cycles(
        self,
        m: npt.ArrayLike,
        n: npt.ArrayLike,
        k: npt.ArrayLike,
        weight_bits: npt.ArrayLike,
        activation_bits: npt.ArrayLike = 8,
    ) -> IntArray:
        """Cycles from the first table entering the idle unit until the last sum has left it; 0 where a size is 0.

        All are broadcast. Activations of 8 and 16 bits take the same cycles (their tables have as many entries).
        ConfigError for bits that the unit has no planes or tables for.
        """
        bits = np.asarray(activation_bits)
        if bits.size and not np.isin(bits, (8, 16)).all():
            raise ConfigError("must be 8 (int8, fp8) or 16 (int16, fp16)", key="activation_bits")
        return cycle.tile_cycles(self, m, n, k, np.broadcast_arrays(self.step_cycles(weight_bits), bits)[0])

    def tile_traffic(
        self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike
    ) -> LutTraffic:
        """Bits of tables (with their scales) and weights that enter and of sums that leave, padding included."""
        return LutTraffic(*cycle.tile_traffic(self, m, n, k, weight_planes(weight_bits)))

    def padding_waste(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Share, 0..1, of the lanes' work that is padding to whole arrays and groups; 0 where there is no work."""
        return cycle.padding_waste(self, m, n, k)

    def precompute_adds(self, m: npt.ArrayLike, k: npt.ArrayLike, naive: bool = False) -> IntArray:
        """Additions that make the tables of m x k activations; see `precompute.py`."""
        return precompute.table_adds(m, k, self.k, naive=naive)

    def check_product(
        self, m: int, n: int, k: int, weight_bits: float, activation: str, scale_group: int | None = None
    ) -> None:
        """ConfigError, naming field and allowed values, for a product that this unit does not do.

        `scale_group` is the number of weights along K that share a scale: whole tables must lie inside a group.
        """
        for name, size in (("m", m), ("n", n), ("k", k)):
            if size < 1:
                raise ConfigError(f"a product has at least 1 row, column and element; got {size}", key=name)
        weight_planes(weight_bits)
        if activation not in ACTIVATION_BITS:
            allowed = ", ".join(ACTIVATION_BITS)
            raise ConfigError(f"tables are made of activations in {allowed}; got {activation!r}", key="activation")
        if scale_group is not None and (scale_group < 1 or scale_group % self.k):
            raise ConfigError(
                f"groups of weights with one scale must be whole tables: a multiple of k ({self.k}); got {scale_group}",
                key="scale_group",
            )


def check_scales(tables_per_scale: int, least_planes: int, quantised: bool) -> None:
    """ValueError where scales are described that no table has."""
    if not quantised and (tables_per_scale, least_planes) != (1, 1):
        raise ValueError(
            f"tables_per_scale ({tables_per_scale}) and least_planes ({least_planes}) belong to tables that are "
            "quantised, 8 bits under activations of floats or of 16 bits; they must be 1 here"
        )


def weight_planes(weight_bits: npt.ArrayLike) -> IntArray:
    """Bit planes, one cycle each, of weights that take `weight_bits`; ConfigError where there are none.

    Allowed are whole numbers from 1 to 8 and what ternary weights take in their packings, between 1.58 and 2 (five in
    a byte: 1.6; three in 5 bits: 1.67), which run as two planes (section 5 of the paper).
    """
    bits = np.asarray(weight_bits, dtype=np.float64)
    planes = np.ceil(bits)
    ternary = (bits >= 1.58) & (bits < 2)
    if bits.size and not ((bits >= 1) & (bits <= MAX_WEIGHT_BITS) & ((planes == bits) | ternary)).all():
        raise ConfigError(
            f"weights have 1 to {MAX_WEIGHT_BITS} whole bits, or 1.58 to 2 where they are ternary; "
            f"got {np.asarray(weight_bits).tolist()}",
            key="weight_bits",
        )
    return planes.astype(np.int64)
