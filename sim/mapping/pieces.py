"""Where an activation lies: pieces of it on cores, and the copies that bring them where they are needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cairn.sim.plan.builder import PlanBuilder, Region, Slice
from cairn.sim.plan.plan import SRAM

IntArray = npt.NDArray[np.int64]

_PAIRS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Pieces:
    """Rectangles of one tensor on cores: piece i is [r0, r1) x [c0, c1) on `core[i]`, there once `ready[i]` has ended.

    `rect` has the columns r0, r1, c0, c1. An empty rectangle is no piece. Pieces may overlap (copies of a part).
    """

    core: IntArray
    rect: IntArray
    ready: IntArray

    @property
    def count(self) -> int:
        return int(self.core.size)

    @property
    def rows(self) -> IntArray:
        return self.rect[:, 1] - self.rect[:, 0]

    @property
    def columns(self) -> IntArray:
        return self.rect[:, 3] - self.rect[:, 2]

    @property
    def elements(self) -> IntArray:
        return self.rows * self.columns

    def where(self, mask: npt.NDArray[np.bool_]) -> Pieces:
        return Pieces(self.core[mask], self.rect[mask], self.ready[mask])

    def without_empty(self) -> Pieces:
        keep = (self.rect[:, 1] > self.rect[:, 0]) & (self.rect[:, 3] > self.rect[:, 2])
        return self if bool(keep.all()) else self.where(keep)


def wanted(core: npt.ArrayLike, r0: npt.ArrayLike, r1: npt.ArrayLike, c0: npt.ArrayLike, c1: npt.ArrayLike) -> Pieces:
    """Pieces that are needed, not there yet; arguments broadcast against each other."""
    columns = np.broadcast_arrays(*(np.asarray(v, dtype=np.int64) for v in (core, r0, r1, c0, c1)))
    rect = np.stack([column.ravel() for column in columns[1:]], axis=1)
    return Pieces(columns[0].ravel().copy(), rect, np.full(rect.shape[0], -1, dtype=np.int64))


def same_layout(have: Pieces, want: Pieces) -> bool:
    """Whether every wanted piece lies where it is wanted, piece by piece."""
    return have.count == want.count and bool(
        np.array_equal(have.core, want.core) and np.array_equal(have.rect, want.rect)
    )


def intersections(have: Pieces, want: Pieces) -> tuple[IntArray, IntArray, IntArray]:
    """All pairs (piece that is there, piece that is wanted) that overlap, and their common rectangles."""
    step = max(1, _PAIRS_AT_ONCE // max(1, have.count))
    found: list[tuple[IntArray, IntArray]] = []
    rows, columns = _overlaps(have, want, slice(0, 2)), _overlaps(have, want, slice(2, 4))
    for begin in range(0, want.count, step):
        some = slice(begin, begin + step)
        source, target = np.nonzero(rows.between(some) & columns.between(some))
        found.append((source, target + begin))
    source, target = (np.concatenate(parts) for parts in zip(*found, strict=True))
    a, b = have.rect[source], want.rect[target]
    rect = np.maximum(a, b)
    rect[:, 1::2] = np.minimum(a[:, 1::2], b[:, 1::2])
    return source, target, rect


@dataclass(frozen=True)
class _Overlaps:
    """Which extents overlap along one axis. Layouts are grids, so that few extents differ."""

    there: npt.NDArray[np.bool_]
    have: IntArray
    want: IntArray

    def between(self, some: slice) -> npt.NDArray[np.bool_]:
        """(pieces that are there, `some` of the wanted ones): whether they overlap along the axis."""
        overlap: npt.NDArray[np.bool_] = self.there[:, self.want[some]][self.have]
        return overlap


def _overlaps(have: Pieces, want: Pieces, axis: slice) -> _Overlaps:
    (a, of_a), (b, of_b) = (_extents(pieces.rect[:, axis]) for pieces in (have, want))
    there = np.maximum(a[:, None, 0], b[None, :, 0]) < np.minimum(a[:, None, 1], b[None, :, 1])
    return _Overlaps(there, of_a, of_b)


def _extents(spans: IntArray) -> tuple[IntArray, IntArray]:
    """The different extents (begin, end), and which of them each span is."""
    size = int(spans.max(initial=0)) + 1
    codes, index = np.unique(spans[:, 0] * size + spans[:, 1], return_inverse=True)
    return np.stack([codes // size, codes % size], axis=1), index


def pairs(have: Pieces, want: Pieces) -> int:
    """How many pairs of pieces on different cores overlap: the copies that a direct change of layout takes."""
    if have.count * want.count > _PAIRS_AT_ONCE * 16:
        return have.count * want.count
    source, target, _ = intersections(have, want)
    return int(np.count_nonzero(have.core[source] != want.core[target]))


def redistribute(
    plan: PlanBuilder, tensor: int, have: Pieces, want: Pieces, op: int, bytes_per_element: float, cause: str = "layout"
) -> Pieces:
    """`want`, brought there: parts on other cores are copied, one copy per pair of pieces; `ready` says when.

    Each byte that is wanted must lie in exactly one piece of `have`.
    """
    if want.count == 0:
        return want
    if same_layout(have, want):
        return Pieces(want.core, want.rect, have.ready)
    source, target, rect = intersections(have, want)
    ready = have.ready[source].copy()
    away = have.core[source] != want.core[target]
    if away.any():
        order = _turns(have.core[source][away], want.core[target][away])
        pick = np.nonzero(away)[0][order]
        part = rect[pick]
        row = np.ceil((part[:, 3] - part[:, 2]) * bytes_per_element)
        size = np.ceil((part[:, 1] - part[:, 0]) * row).astype(np.int64)
        data = Slice(tensor, (part[:, 0], part[:, 1]), (part[:, 2], part[:, 3]), size)
        ready[pick] = plan.copy(
            Region(SRAM, have.core[source[pick]], data), Region(SRAM, want.core[target[pick]], data), op,
            after=have.ready[source[pick]], cause=cause,
        )  # fmt: skip
    first = np.full(want.count, -1, dtype=np.int64)
    counts = np.bincount(target, minlength=want.count)
    single = counts[target] == 1
    first[target[single]] = ready[single]
    several = np.nonzero(counts > 1)[0]
    if several.size:
        owner = np.searchsorted(several, target[~single])
        first[several] = plan.join(owner, ready[~single], several.size, op)
    return Pieces(want.core, want.rect, first)


def _turns(source: IntArray, target: IntArray) -> IntArray:
    """An order in which every source serves its targets beginning with the nearest number after its own.

    All sources at once then send to different targets, instead of all to the first one.
    """
    return np.lexsort((target, np.where(target > source, 0, 1), source))
