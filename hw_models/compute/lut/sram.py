"""What a LUT unit in a core asks of the core's SRAM, given the registers between them.

R1. Weights of a group stay in registers while the row blocks whose sums are in registers too look them up: all of the
    registers that tables and one group of weights leave, at least one row block. So `register_kib` bounds how often
    weights are read again (LUT Tensor Core, arXiv 2408.06003, section 4.3: tiles need twice the registers of an A100 to
    reach the peak). Cycles do not change: row blocks and groups may be taken in either order.
R2. Tables are made of whole groups; an element of x takes its share of a table.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cairn.hw_models.compute.lut.spec import LutSpec, LutTraffic, weight_planes
from cairn.hw_models.compute.matrix_unit import IntArray


def table_bits_per_element(spec: LutSpec) -> float:
    """SRAM bits of the tables for each activation (R2), with scales: 16 for INT8 tables of groups of 4 of INT8."""
    return spec.bits_per_table / spec.k


def row_blocks_held(spec: LutSpec, planes: npt.ArrayLike) -> IntArray:
    """Row blocks whose sums the registers hold beside tables and a group of weights of `planes` (R1), 1 or more."""
    weights = spec.arrays * spec.k * spec.n * np.asarray(planes, dtype=np.int64)
    room = int(spec.register_kib * 8192) - spec.table_register_bits - weights
    return np.maximum(room // (spec.arrays * spec.m * spec.n * spec.accumulator_bits), 1)


def sram_traffic(
    spec: LutSpec, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike
) -> LutTraffic:
    """Bits between unit and SRAM of m x k by k x n products: the unit's own, its weights less what registers keep (R1).

    Arguments are broadcast; ConfigError for bits that the unit has no planes for.
    """
    own = spec.tile_traffic(m, n, k, weight_bits)
    blocks = np.maximum(-(-np.asarray(m, dtype=np.int64) // spec.m), 1)
    rounds = -(-blocks // row_blocks_held(spec, weight_planes(weight_bits)))
    return LutTraffic(own.table_bits, own.weight_bits // blocks * rounds, own.output_bits)


def lookups_of(
    spec: LutSpec, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike
) -> IntArray:
    """Look-ups of a plane of a group, each with its accumulation, of m x k by k x n products; padding included, since
    lanes that pad are not gated (assumed)."""
    sizes = (np.asarray(size, dtype=np.int64) for size in (m, n, k))
    rows, columns, groups = (-(-size // part) for size, part in zip(sizes, (spec.m, spec.n, spec.k), strict=True))
    looked_up: IntArray = rows * spec.m * columns * spec.n * groups * weight_planes(weight_bits)
    return looked_up
