"""Wheels: records come off in the order of their cycles, however far ahead those lie."""

from __future__ import annotations

import heapq

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.ticks import NEVER
from cairn.hw_models.noc import layout as at
from cairn.hw_models.noc import wheel
from cairn.hw_models.server import IntArray

MOST = 40
FIRST_RECORD = at.BODY
AHEADS = st.one_of(
    st.integers(0, 3),
    st.integers(0, 3 * at.SPAN),
    st.integers(at.SPAN - 2, at.SPAN + 2),
    st.integers(62 * at.SPAN, 66 * at.SPAN),
    st.integers(0, 1000 * at.SPAN),
)


def empty() -> IntArray:
    state = np.zeros(at.BODY + MOST * at.PACKET, dtype=np.int64)
    state[at.ARRIVALS + at.FAR_AT] = state[at.PROMISES + at.FAR_AT] = NEVER
    return state


def opened(state: IntArray, cycle: int) -> list[int]:
    """Numbers of the records that come off at a cycle."""
    found, record = [], int(wheel.open_bucket(state, at.PROMISES, cycle))
    while record != 0:
        found.append((record - FIRST_RECORD) // at.PACKET)
        record = int(state[record + at.NEXT])
    return sorted(found)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(AHEADS, st.booleans()), min_size=1, max_size=MOST))
def test_records_come_off_at_their_cycle_and_earlier_ones_first(steps: list[tuple[int, bool]]) -> None:
    """Some are put between the others; at each opening nothing earlier is left, and all of that cycle come."""
    state = empty()
    waiting: list[tuple[int, int]] = []
    base = 0

    def open_next() -> int:
        cycle = int(wheel.earliest(state, at.PROMISES))
        assert base <= cycle <= waiting[0][0]
        found = opened(state, cycle)
        expected = []
        while waiting and waiting[0][0] == cycle:
            expected.append(heapq.heappop(waiting)[1])
        assert found == sorted(expected)
        return cycle

    for number, (ahead, opens) in enumerate(steps):
        wheel.put(state, at.PROMISES, FIRST_RECORD + number * at.PACKET, base + ahead)
        heapq.heappush(waiting, (base + ahead, number))
        if opens:
            base = open_next()
    while waiting:
        base = open_next()
    assert int(wheel.earliest(state, at.PROMISES)) == NEVER
