"""Which core takes which share of an operator: core grids, splits over mesh axes, and rings.

A split gives each of the dimensions m (rows), n (columns) and k (reduction) of a matrix product a factor on each of the
two mesh axes. Cores that differ in one dimension's rank alone form that dimension's group: along m they share a weight
block, along n an input block, along k they hold partial sums of one output block.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.options import Placement

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Grid:
    """A rectangle of a chip's cores: `rows` x `columns` from (`row0`, `column0`), on a chip `chip_columns` wide."""

    rows: int
    columns: int
    chip_columns: int
    row0: int = 0
    column0: int = 0
    placement: Placement = Placement.DIMENSION_ORDERED

    @property
    def size(self) -> int:
        return self.rows * self.columns

    @cached_property
    def cores(self) -> IntArray:
        """Core numbers, row by row; "rank" elsewhere means an index into this array."""
        row = self.row0 + np.arange(self.rows)[:, None]
        column = self.column0 + np.arange(self.columns)[None, :]
        return (row * self.chip_columns + column).ravel()

    def stages(self, count: int) -> list[Grid]:
        """`count` disjoint grids of equal size that cover this one, cut along its rows, then its columns."""
        cuts = [(r, count // r) for r in range(count, 0, -1) if count % r == 0]
        for down, across in cuts:
            if self.rows % down == 0 and self.columns % across == 0:
                rows, columns = self.rows // down, self.columns // across
                return [
                    Grid(
                        rows,
                        columns,
                        self.chip_columns,
                        self.row0 + i * rows,
                        self.column0 + j * columns,
                        self.placement,
                    )
                    for i in range(down)
                    for j in range(across)
                ]
        raise ValueError(f"{self.rows} x {self.columns} cores do not divide into {count} equal stages")


@dataclass(frozen=True)
class Split:
    """Factors of m, n and k on the row axis (first) and the column axis (second) of a grid."""

    m: tuple[int, int]
    n: tuple[int, int]
    k: tuple[int, int]

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Group sizes (Gm, Gn, Gk); their product is the number of cores."""
        return self.m[0] * self.m[1], self.n[0] * self.n[1], self.k[0] * self.k[1]


@dataclass(frozen=True)
class Ranks:
    """For a split on a grid: the grid index of the core with ranks (im, in, ik), and the ranks of each grid index."""

    index: IntArray  # (Gm, Gn, Gk) -> grid index
    m: IntArray  # (cores,)
    n: IntArray
    k: IntArray

    def neighbour(self, dimension: str, step: int) -> IntArray:
        """Grid index of the group member `step` further on the ring of `dimension`, for each grid index."""
        ranks = {"m": self.m, "n": self.n, "k": self.k}
        axis = "mnk".index(dimension)
        ranks[dimension] = (ranks[dimension] + step) % self.index.shape[axis]
        return self.index[ranks["m"], ranks["n"], ranks["k"]]


@lru_cache(maxsize=512)
def ranks_of(split: Split, rows: int, columns: int, placement: Placement) -> Ranks:
    """The ranks of a split on a grid of `rows` x `columns`.

    Dimension-ordered: the ranks of a dimension with factors on both axes run as a snake, so that neighbours on its ring
    lie next to each other or one stride apart. Within an axis n varies fastest, then k, then m. Sequential: rank
    (im, in, ik) in row-major order is the core number, whatever the mesh looks like.
    """
    gm, gn, gk = split.sizes
    if gm * gn * gk != rows * columns:
        raise ValueError(f"split {split} does not fill {rows} x {columns} cores")
    im, jn, ik = np.meshgrid(np.arange(gm), np.arange(gn), np.arange(gk), indexing="ij")
    if placement is Placement.SEQUENTIAL:
        index = (im * gn + jn) * gk + ik
    else:
        (m0, m1), (n0, n1), (k0, k1) = (_snake(rank, f) for rank, f in ((im, split.m), (jn, split.n), (ik, split.k)))
        row = (m0 * split.k[0] + k0) * split.n[0] + n0
        column = (m1 * split.k[1] + k1) * split.n[1] + n1
        index = row * columns + column
    flat = index.ravel()
    by_index = np.empty((3, flat.size), dtype=np.int64)
    for axis, rank in enumerate((im, jn, ik)):
        by_index[axis, flat] = rank.ravel()
    return Ranks(index.astype(np.int64), by_index[0], by_index[1], by_index[2])


def _snake(rank: IntArray, factors: tuple[int, int]) -> tuple[IntArray, IntArray]:
    first, second = rank // factors[1], rank % factors[1]
    return first, np.where(first % 2 == 0, second, factors[1] - 1 - second)


def axis_factors(size: int) -> list[tuple[int, int, int]]:
    """All (m, n, k) factors whose product is the length of one mesh axis."""
    divisors = [d for d in range(1, size + 1) if size % d == 0]
    return [(m, n, size // (m * n)) for m in divisors for n in divisors if size % (m * n) == 0]


@lru_cache(maxsize=64)
def all_splits(rows: int, columns: int) -> tuple[Split, ...]:
    """Every split of a grid, those with factors on one axis only included."""
    return tuple(
        Split((a[0], b[0]), (a[1], b[1]), (a[2], b[2])) for a in axis_factors(rows) for b in axis_factors(columns)
    )


@lru_cache(maxsize=64)
def split_sizes(rows: int, columns: int) -> IntArray:
    """Group sizes (splits, 3) of `all_splits`."""
    return np.array([split.sizes for split in all_splits(rows, columns)], dtype=np.int64)


def bounds(length: int, parts: int, quantum: int = 1) -> IntArray:
    """Boundaries (parts + 1) that cut `length` into contiguous parts as equal as possible, in units of `quantum`."""
    units = -(-length // quantum)
    return np.minimum(np.arange(parts + 1) * units // parts * quantum, length)
