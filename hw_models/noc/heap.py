"""Four-ary heaps inside a state array: entries of three words (cycle, key, record), least (cycle, key) first.

Four children to a node lie in 96 consecutive bytes, so a level costs about one cache miss. The most frequent
operation replaces the top: a packet that leaves one resource reaches its next one.
"""

from __future__ import annotations

from typing import Final

from cairn.base.kernel import kernel
from cairn.hw_models.noc.layout import NO_ALLOCATION, u
from cairn.hw_models.server import IntArray

ENTRY: Final = 3


@kernel(**NO_ALLOCATION)
def push(state: IntArray, heap: int, count: int, cycle: int, key: int, record: int) -> None:
    """Add an entry to the heap at offset `heap` that holds `count` entries (the caller counts)."""
    hole = count
    while hole > 0:
        parent = (hole - 1) >> 2
        above = heap + parent * ENTRY
        if state[u(above)] < cycle or (state[u(above)] == cycle and state[u(above + 1)] < key):
            break
        here = heap + hole * ENTRY
        state[u(here)] = state[u(above)]
        state[u(here + 1)] = state[u(above + 1)]
        state[u(here + 2)] = state[u(above + 2)]
        hole = parent
    here = heap + hole * ENTRY
    state[u(here)] = cycle
    state[u(here + 1)] = key
    state[u(here + 2)] = record


@kernel(**NO_ALLOCATION)
def replace_top(state: IntArray, heap: int, count: int, cycle: int, key: int, record: int) -> None:
    """Put an entry in the place of the top of a heap of `count` entries (>= 1)."""
    hole = 0
    child = 1
    while child < count:
        least = heap + child * ENTRY
        best = child
        for other in range(child + 1, min(child + 4, count)):
            there = heap + other * ENTRY
            ahead = state[u(there)] - state[u(least)]
            if ahead < 0 or (ahead == 0 and state[u(there + 1)] < state[u(least + 1)]):
                least, best = there, other
        if cycle < state[u(least)] or (cycle == state[u(least)] and key < state[u(least + 1)]):
            break
        here = heap + hole * ENTRY
        state[u(here)] = state[u(least)]
        state[u(here + 1)] = state[u(least + 1)]
        state[u(here + 2)] = state[u(least + 2)]
        hole = best
        child = 4 * hole + 1
    here = heap + hole * ENTRY
    state[u(here)] = cycle
    state[u(here + 1)] = key
    state[u(here + 2)] = record


@kernel(**NO_ALLOCATION)
def drop_top(state: IntArray, heap: int, count: int) -> None:
    """Remove the top of a heap of `count` entries (>= 1)."""
    last = heap + (count - 1) * ENTRY
    if count > 1:
        replace_top(state, heap, count - 1, state[u(last)], state[u(last + 1)], state[u(last + 2)])
