"""Exact cycles and traffic of products on LUT arrays, in closed form over arrays of sizes and planes.

An m x k by k x n product is cut into row blocks (of the array's m rows), column blocks (of its n columns) and groups
(of its k activations). Cycle t is the t-th clock period. The rules:

L1. In one cycle an array takes one bit plane of one group of one block: each of its m x n look-up units reads the entry
    that its k weight bits name, with its sign, shifts it by the plane and adds it to a sum that stays in place
    (output-stationary; LUT Tensor Core, arXiv 2408.06003, section 4.3). A group's table stays for all planes.
L2. Arrays stand side by side along n. They take the column blocks of one row block in rounds, one block an array, all
    groups of the block one after the other, and share the tables of the group, which are read once and broadcast.
L3. Where a row block has fewer column blocks left than there are arrays, `left` of them, each is divided over
    arrays // left arrays along k, as many groups each as the first (whole groups; rounded up). What the members have
    summed up is added in a tree, one level a cycle, while the next row block begins.
L4. Sums are double-buffered: the next block begins in the cycle after the last plane of the one before.
L5. A sum leaves `fill_cycles` after the cycle of its last plane, and later by the levels of the tree of L3.
L6. Where tables are quantised, the sum of a group's planes is multiplied by the table's scale and added to a sum of
    floats, in units that several look-ups share in turn; a group then takes `least_planes` cycles at the least. The
    next group is looked up meanwhile, and the scale stage's register is one of `fill_cycles`.

`oracle.py` clocks this register by register and is the judge. One array, or as many as there are column blocks, take
ceil(M/m) ceil(N/n) ceil(K/k) planes / arrays + fill cycles, the formula of the paper's RTL (sv_lut_array).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from cairn.hw_models.compute.matrix_unit import IntArray, tile_sizes

if TYPE_CHECKING:
    from cairn.hw_models.compute.lut.spec import LutSpec


class Arrays(Protocol):
    """What the rules L2 to L5 know of a unit: arrays of m x n sums over groups of k, side by side."""

    @property
    def m(self) -> int: ...
    @property
    def n(self) -> int: ...
    @property
    def k(self) -> int: ...
    @property
    def arrays(self) -> int: ...
    @property
    def fill_cycles(self) -> int: ...


def tile_cycles(
    spec: Arrays, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, planes: npt.ArrayLike
) -> IntArray:
    """Cycles until the last sum of each product has left; 0 where a size is 0. ValueError for negative sizes.

    `planes` are cycles of a group: the weights' planes, or `least_planes` where these are more (L6).
    """
    rows, columns, depth, planes = _sizes(m, n, k, planes)
    row_blocks, column_blocks, groups = _blocks(spec, rows, columns, depth)
    left = column_blocks % spec.arrays
    members = _members(spec, left, groups)
    steps = (column_blocks // spec.arrays) * groups + np.where(left > 0, _up(groups, members), 0)  # L1, L2, L3
    last = spec.fill_cycles + np.where(left > 0, _tree_levels(members), 0)  # L5
    return np.where(_any_work(rows, columns, depth), row_blocks * steps * planes + last, 0)


def tile_traffic(
    spec: LutSpec, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, planes: npt.ArrayLike
) -> tuple[IntArray, IntArray, IntArray]:
    """Bits of tables read, weights read and sums written for each product, padding of blocks and groups included.

    Tables: m 2^(k-1) table_bits a group (Eq. 7 of the paper) and their scales, once for each round of L2. Weights: k n
    planes a group and column block (Eq. 8), again for each row block. Sums are written once and never read back.
    """
    rows, columns, depth, planes = _sizes(m, n, k, planes)
    row_blocks, column_blocks, groups = _blocks(spec, rows, columns, depth)
    read = table_rounds(spec, rows, columns, depth) * (spec.m * spec.bits_per_table)
    tables = np.ceil(read).astype(np.int64)
    weights = row_blocks * column_blocks * groups * planes * (spec.k * spec.n)
    sums = rows * columns * spec.accumulator_bits
    work = _any_work(rows, columns, depth)
    return tables, np.where(work, weights, 0), np.where(work, sums, 0)


def table_rounds(spec: Arrays, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike) -> IntArray:
    """How often the arrays together are given the m groups of activations of a row block and a group (L2)."""
    rows, columns, depth = tile_sizes(m, n, k)
    row_blocks, column_blocks, groups = _blocks(spec, rows, columns, depth)
    rounds = row_blocks * _up(column_blocks, np.int64(spec.arrays)) * groups
    return np.where(_any_work(rows, columns, depth), rounds, 0)


def array_steps(spec: Arrays, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike) -> IntArray:
    """Groups that single arrays work on, one after the other or side by side: blocks times groups, padding included."""
    rows, columns, depth = tile_sizes(m, n, k)
    row_blocks, column_blocks, groups = _blocks(spec, rows, columns, depth)
    steps: IntArray = row_blocks * column_blocks * groups
    return steps


def padding_waste(
    spec: Arrays, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Share of the look-ups' work in blocks and groups that belongs to no row, column or activation of the product."""
    rows, columns, depth = tile_sizes(m, n, k)
    padded = array_steps(spec, rows, columns, depth) * (spec.m * spec.n * spec.k)
    waste: npt.NDArray[np.float64] = np.where(padded > 0, 1 - rows * columns * depth / np.maximum(padded, 1), 0.0)
    return waste


def _sizes(
    m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, planes: npt.ArrayLike
) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    rows, columns, depth, many = np.broadcast_arrays(*tile_sizes(m, n, k), np.asarray(planes, dtype=np.int64))
    return rows, columns, depth, many


def _blocks(spec: Arrays, m: IntArray, n: IntArray, k: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    return _up(m, np.int64(spec.m)), _up(n, np.int64(spec.n)), _up(k, np.int64(spec.k))


def _up(size: IntArray, part: IntArray | np.int64) -> IntArray:
    whole: IntArray = -(-size // part)
    return whole


def _members(spec: Arrays, left: IntArray, groups: IntArray) -> IntArray:
    """Arrays that have a share of each of `left` column blocks (L3): with whole groups, the last may go without."""
    most = np.maximum(spec.arrays // np.maximum(left, 1), 1)
    share = np.maximum(_up(groups, most), 1)
    return np.maximum(_up(groups, share), 1)


def _tree_levels(members: IntArray) -> IntArray:
    levels: IntArray = np.ceil(np.log2(members)).astype(np.int64)
    return levels


def _any_work(m: IntArray, n: IntArray, k: IntArray) -> npt.NDArray[np.bool_]:
    work: npt.NDArray[np.bool_] = np.minimum(np.minimum(m, n), k) > 0
    return work
