"""Where an activation lies: pieces of it on cores, and the copies that bring them where they are needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.base.kernel import kernel, u
from cairn.sim.plan.builder import PlanBuilder, Region, Slice
from cairn.sim.plan.plan import SRAM

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

MANY_PAIRS: Final = 64_000_000
"""Pairs beyond which they are not looked at one by one (assumed)."""


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

    @cached_property
    def extents(self) -> tuple[tuple[IntArray, IntArray], tuple[IntArray, IntArray]]:
        """Along rows and columns: the different extents (begin, end), ascending, and which of them each piece has."""
        return _extents(self.rect[:, :2]), _extents(self.rect[:, 2:])

    def where(self, mask: BoolArray) -> Pieces:
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
    """All pairs (piece that is there, wanted piece) that overlap, in this order, and their common rectangles."""
    source, target = overlapping(have, want)
    a, b = have.rect[source], want.rect[target]
    rect = np.maximum(a, b)
    rect[:, 1::2] = np.minimum(a[:, 1::2], b[:, 1::2])
    return source, target, rect


def overlapping(have: Pieces, want: Pieces) -> tuple[IntArray, IntArray]:
    """All pairs (piece that is there, wanted piece) that overlap, in this order. Layouts are grids, so that few extents
    of pieces differ."""
    (have_rows, have_columns), (want_rows, want_columns) = have.extents, want.extents
    return _pairs(*have_rows, *want_rows, *have_columns, *want_columns)


@kernel()
def _sorted_by(key: IntArray, order: IntArray, keys: int) -> tuple[IntArray, IntArray]:
    """`order` sorted by key, 0 .. keys - 1, equal keys left as they are; and where each key begins, and the end."""
    begin = np.zeros(keys + 1, np.int64)
    for index in range(key.size):
        begin[key[index] + 1] += 1
    for each in range(keys):
        begin[each + 1] += begin[each]
    place, found = begin.copy(), np.empty(order.size, np.int64)
    for index in range(order.size):
        its = key[order[index]]
        found[place[its]] = order[index]
        place[its] += 1
    return found, begin


@kernel(inline="always")
def _overlap(extents: IntArray, one: int, others: IntArray, other: int) -> bool:
    begin = max(extents[u(one), 0], others[u(other), 0])
    return bool(begin < min(extents[u(one), 1], others[u(other), 1]))


@kernel()
def _first_at_least(values: IntArray, low: int, high: int, least: int) -> int:
    """The first of the ascending values low .. high - 1 that is not below `least`; `high` where all are."""
    while low < high:
        middle = (low + high) // 2
        if values[u(middle)] < least:
            low = middle + 1
        else:
            high = middle
    return low


@kernel()
def _reach(extents: IntArray, others: IntArray) -> tuple[IntArray, IntArray]:
    """From which to before which of the others each extent may overlap them; they ascend by where they begin."""
    first, stop = np.empty(len(extents), np.int64), np.empty(len(extents), np.int64)
    furthest = others[:, 1].copy()
    for index in range(1, furthest.size):
        furthest[index] = max(furthest[index], furthest[index - 1])
    begins = others[:, 0].copy()
    for index in range(len(extents)):
        first[index] = _first_at_least(furthest, 0, furthest.size, extents[index, 0] + 1)
        stop[index] = _first_at_least(begins, 0, begins.size, extents[index, 1])
    return first, stop


@kernel()
def _pairs(
    have_rows: IntArray, have_row: IntArray, want_rows: IntArray, want_row: IntArray, have_columns: IntArray,
    have_column: IntArray, want_columns: IntArray, want_column: IntArray,
) -> tuple[IntArray, IntArray]:  # fmt: skip
    """Pairs that overlap along both axes, by piece that is there, then by wanted piece; from extents along each axis,
    and which of them each piece has."""
    by_column, _ = _sorted_by(want_column, np.arange(want_column.size), len(want_columns))
    member, begin = _sorted_by(want_row, by_column, len(want_rows))  # wanted pieces by rows, then by columns
    column_of = want_column[member]
    first_row, stop_row = _reach(have_rows, want_rows)
    first_column, stop_column = _reach(have_columns, want_columns)
    source, target = np.empty(max(16, have_row.size), np.int64), np.empty(max(16, have_row.size), np.int64)
    count = 0
    for piece in range(have_row.size):
        first, last, ascending = count, -1, True
        at_row, at_column = have_row[piece], have_column[piece]
        for row in range(first_row[at_row], stop_row[at_row]):
            if not _overlap(have_rows, at_row, want_rows, row):
                continue
            if count + begin[row + 1] - begin[row] > source.size:
                more = np.empty(source.size + want_row.size, np.int64)
                source, target = np.concatenate((source, more)), np.concatenate((target, more))
            for index in range(
                _first_at_least(column_of, begin[row], begin[row + 1], first_column[at_column]), begin[row + 1]
            ):
                if column_of[u(index)] >= stop_column[u(at_column)]:
                    break
                if _overlap(have_columns, at_column, want_columns, column_of[u(index)]):
                    source[u(count)], target[u(count)] = piece, member[u(index)]
                    ascending &= member[u(index)] > last
                    last = member[u(index)]
                    count += 1
        if not ascending:
            target[first:count].sort()
    return source[:count].copy(), target[:count].copy()


def _extents(spans: IntArray) -> tuple[IntArray, IntArray]:
    """The different extents (begin, end), and which of them each span is."""
    size = int(spans.max(initial=0)) + 1
    codes, index = np.unique(spans[:, 0] * size + spans[:, 1], return_inverse=True)
    return np.stack([codes // size, codes % size], axis=1), index


@dataclass(frozen=True)
class Move:
    """What a change of layout takes: all pairs of a piece that is there and a wanted one that overlap, and the copies
    among them, in the order in which they are sent.

    source, target  (pairs,) pieces
    copied          (copies,) pairs on different cores
    rect, bytes     (copies, 4) and (copies,) what is copied
    alone           (pairs,) whether the wanted piece comes from one piece only
    joined          wanted pieces that come from several
    """

    source: IntArray
    target: IntArray
    copied: IntArray
    rect: IntArray
    bytes: IntArray
    alone: BoolArray
    joined: IntArray


_KEPT_PAIRS: Final = 1 << 19
"""Pairs of all moves together that a process keeps: some 40 MB (assumed)."""
_LARGEST_KEPT: Final = 1 << 17
"""Pairs of the largest of them (assumed)."""

_moves: dict[tuple[bytes, bytes, bytes, bytes, float], Move] = {}


def move_of(have: Pieces, want: Pieces, bytes_per_element: float) -> Move:
    """What brings `want` about. Layouts recur with every layer, and are asked for before they are written, so that the
    last ones are kept."""
    key = have.core.tobytes(), have.rect.tobytes(), want.core.tobytes(), want.rect.tobytes(), bytes_per_element
    move = _moves.get(key)
    if move is None:
        move = _move(have, want, bytes_per_element)
        if move.source.size <= _LARGEST_KEPT:
            _moves[key] = move
            kept = sum(each.source.size for each in _moves.values())
            while kept > _KEPT_PAIRS:
                kept -= _moves.pop(next(iter(_moves))).source.size
    return move


def _move(have: Pieces, want: Pieces, bytes_per_element: float) -> Move:
    source, target, rect = intersections(have, want)
    away = np.flatnonzero(have.core[source] != want.core[target])
    copied = away[_turns(have.core[source[away]], want.core[target[away]])]
    part = rect[copied]
    row = np.ceil((part[:, 3] - part[:, 2]) * bytes_per_element)
    size = np.ceil((part[:, 1] - part[:, 0]) * row).astype(np.int64)
    counts = np.bincount(target, minlength=want.count)
    return Move(source, target, copied, part, size, counts[target] == 1, np.flatnonzero(counts > 1))


def pairs(have: Pieces, want: Pieces, bytes_per_element: float) -> int:
    """How many pairs of pieces on different cores overlap: the copies that a direct change of layout takes."""
    if have.count * want.count > MANY_PAIRS:
        return have.count * want.count
    return int(move_of(have, want, bytes_per_element).copied.size)


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
    move = move_of(have, want, bytes_per_element)
    ready = have.ready[move.source]
    if move.copied.size:
        sender, receiver, part = move.source[move.copied], move.target[move.copied], move.rect
        data = Slice(tensor, (part[:, 0], part[:, 1]), (part[:, 2], part[:, 3]), move.bytes)
        ready[move.copied] = plan.copy(
            Region(SRAM, have.core[sender], data), Region(SRAM, want.core[receiver], data), op,
            after=have.ready[sender], cause=cause,
        )  # fmt: skip
    first = np.full(want.count, -1, dtype=np.int64)
    first[move.target[move.alone]] = ready[move.alone]
    if move.joined.size:
        owner = np.searchsorted(move.joined, move.target[~move.alone])
        first[move.joined] = plan.join(owner, ready[~move.alone], move.joined.size, op)
    return Pieces(want.core, want.rect, first)


def _turns(source: IntArray, target: IntArray) -> IntArray:
    """An order in which every source serves its targets beginning with the nearest number after its own.

    All sources at once then send to different targets, instead of all to the first one.
    """
    return np.lexsort((target, np.where(target > source, 0, 1), source))
