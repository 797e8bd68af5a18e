"""Changes of layout: which pieces overlap, and what is copied."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cairn.sim.mapping.pieces import Pieces, intersections, move_of, wanted

Drawn = list[tuple[int, tuple[int, int], tuple[int, int]]]
SPAN = st.tuples(st.integers(0, 9), st.integers(0, 4))
PIECES = st.lists(st.tuples(st.integers(0, 3), SPAN, SPAN), min_size=1, max_size=14)


def pieces(drawn: Drawn) -> Pieces:
    """Random rectangles on four cores, empty ones and equal ones among them."""
    core = [entry[0] for entry in drawn]
    r0, c0 = ([entry[axis][0] for entry in drawn] for axis in (1, 2))
    r1, c1 = ([sum(entry[axis]) for entry in drawn] for axis in (1, 2))
    return wanted(core, r0, r1, c0, c1)


@given(PIECES, PIECES)
def test_intersections_are_all_overlapping_pairs_in_order(have: Drawn, want: Drawn) -> None:
    a, b = pieces(have), pieces(want)
    source, target, rect = intersections(a, b)
    expected = []
    for i, one in enumerate(a.rect.tolist()):
        for j, other in enumerate(b.rect.tolist()):
            low, high = (max(one[0], other[0]), max(one[2], other[2])), (min(one[1], other[1]), min(one[3], other[3]))
            if low[0] < high[0] and low[1] < high[1]:
                expected.append((i, j, [low[0], high[0], low[1], high[1]]))
    assert list(zip(source.tolist(), target.tolist(), rect.tolist(), strict=True)) == expected


@given(PIECES, PIECES)
def test_a_move_copies_what_lies_on_other_cores_once(have: Drawn, want: Drawn) -> None:
    a, b = pieces(have), pieces(want)
    move = move_of(a, b, 2.0)
    assert move_of(a, b, 2.0) is move
    source, target, rect = intersections(a, b)
    away = np.flatnonzero(a.core[source] != b.core[target])
    assert sorted(move.copied.tolist()) == away.tolist()
    assert np.array_equal(move.rect, rect[move.copied])
    assert np.array_equal(move.bytes, 2 * (move.rect[:, 1] - move.rect[:, 0]) * (move.rect[:, 3] - move.rect[:, 2]))
    alone = np.bincount(target, minlength=b.count)
    assert np.array_equal(move.alone, alone[target] == 1)
    assert move.joined.tolist() == np.flatnonzero(alone > 1).tolist()
