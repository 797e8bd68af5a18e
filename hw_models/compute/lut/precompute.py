"""Additions that make the tables of a LUT tensor core.

A table of k activations holds the sums of x_1 and every choice of signs of the others: 2^(k-1) entries, the rest are
their negatives. Built one by one they take k - 1 additions each: 24 for k = 4. In two levels (FIGLUT, arXiv 2503.06862,
section III-E: 14 for k = 4) the first half of the activations gives 2^(a-1) sums, the second 2^b sums of both signs,
and each entry is one addition of two of these.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cairn.hw_models.compute.matrix_unit import IntArray, tile_sizes


def adds_per_table(k: int, naive: bool = False) -> int:
    """Additions for one table of `k` activations, two-level unless `naive`; ValueError for k below 1."""
    if k < 1:
        raise ValueError(f"a table is made of at least 1 activation, got {k}")
    entries = 1 << (k - 1)
    if naive:
        return entries * (k - 1)
    first = (k + 1) // 2
    second = k - first
    if second == 0:
        return 0
    return entries + (1 << (first - 1)) * (first - 1) + (1 << second) * (second - 1)


def table_adds(m: npt.ArrayLike, k: npt.ArrayLike, group: int, naive: bool = False) -> IntArray:
    """Additions for the tables of m x k activations in groups of `group` (the last one padded); broadcast."""
    rows, _, depth = tile_sizes(m, 1, k)
    groups: IntArray = -(-depth // group)
    adds: IntArray = rows * groups * np.int64(adds_per_table(group, naive))
    return adds
