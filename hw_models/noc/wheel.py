"""The heads that are to arrive, ordered by cycle and key: a wheel of near cycles and a heap of far ones.

Each of the next SPAN cycles has a bucket, a list linked through the packets' records; what arrives later waits in a
heap and moves to the wheel when its cycle comes near. One bit per bucket, 64 to a word, and one bit per word in a
summary find the next bucket in use. A bucket is put in order when it is opened. That is correct because an arrival
only ever causes arrivals at later cycles, and cheap because buckets are filled nearly in order.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from cairn.base.kernel import kernel
from cairn.base.ticks import NEVER
from cairn.hw_models.noc import layout as at
from cairn.hw_models.noc.heap import drop_top, push
from cairn.hw_models.server import IntArray

_PRIME: Final = 67
"""2 is a primitive root of 67, so that the 64 powers of two leave 64 different remainders."""
_BIT_OF: Final = np.zeros(_PRIME, dtype=np.int64)
_BIT_OF[[pow(2, bit, _PRIME) for bit in range(64)]] = np.arange(64)


@kernel(**at.NO_ALLOCATION)
def _lowest_bit(word: int) -> int:
    """Number of the lowest set bit of a word that is not 0."""
    return int(_BIT_OF[np.uint64(word & -word) % np.uint64(_PRIME)])


@kernel(**at.NO_ALLOCATION)
def _put_near(state: IntArray, packet: int, cycle: int) -> None:
    slot = cycle & (at.SPAN - 1)
    bucket = state[at.BUCKETS] + slot
    if state[bucket] == 0:
        state[state[at.WORDS] + (slot >> 6)] |= 1 << (slot & 63)
        state[at.SUMMARY] |= 1 << (slot >> 6)
    state[packet + at.NEXT] = state[bucket]
    state[bucket] = packet


@kernel(**at.NO_ALLOCATION)
def put(state: IntArray, packet: int, cycle: int) -> None:
    """Let the head of `packet` arrive at `cycle`, which lies after every cycle opened so far."""
    if cycle - state[at.BASE] < at.SPAN:
        _put_near(state, packet, cycle)
    else:
        push(state, state[at.FAR], state[at.N_FAR], cycle, state[packet + at.KEY], packet)
        state[at.N_FAR] += 1


@kernel(**at.NO_ALLOCATION)
def earliest(state: IntArray) -> int:
    """Cycle of the earliest arrival, NEVER when there is none."""
    summary, words, base = state[at.SUMMARY], state[at.WORDS], state[at.BASE]
    if summary == 0:
        far: int = state[state[at.FAR]]
        return far if state[at.N_FAR] > 0 else NEVER
    here = (base & (at.SPAN - 1)) >> 6
    rest = state[words + here] & (-1 << (base & 63))
    if rest != 0:
        slot = here << 6 | _lowest_bit(rest)
    else:  # the next word that is not empty, round the wheel; the lower bits of this one come last
        beyond = summary & (-1 << here) & ~(1 << here)
        word = _lowest_bit(beyond if beyond != 0 else summary)
        slot = word << 6 | _lowest_bit(state[words + word])
    cycle: int = base + ((slot - base) & (at.SPAN - 1))
    return cycle


@kernel(**at.NO_ALLOCATION)
def open_bucket(state: IntArray, cycle: int) -> int:
    """Take all arrivals of `cycle`, the earliest one, off the wheel; answers how many.

    They stand, ordered by key, in the state before offset BATCH_END.
    """
    state[at.BASE] = cycle
    far = state[at.FAR]
    while state[at.N_FAR] > 0 and state[far] < cycle + at.SPAN:
        packet, its_cycle = state[far + 2], state[far]
        drop_top(state, far, state[at.N_FAR])
        state[at.N_FAR] -= 1
        _put_near(state, packet, its_cycle)
    slot = cycle & (at.SPAN - 1)
    packet = state[state[at.BUCKETS] + slot]
    state[state[at.BUCKETS] + slot] = 0
    word = state[at.WORDS] + (slot >> 6)
    state[word] &= ~(1 << (slot & 63))
    if state[word] == 0:
        state[at.SUMMARY] &= ~(1 << (slot >> 6))
    end = state[at.BATCH_END]
    begin = end
    ordered = True
    while packet != 0:  # last in, first out: filling backwards restores the order of filling
        ordered &= begin == end or state[packet + at.KEY] < state[state[begin] + at.KEY]
        begin -= 1
        state[begin] = packet
        packet = state[packet + at.NEXT]
    count: int = end - begin
    if not ordered:
        _sort_by_key(state, begin, count)
    return count


@kernel(**at.NO_ALLOCATION)
def _sort_by_key(state: IntArray, begin: int, count: int) -> None:
    """Shell sort of packets by key, gaps shrinking by 0.45."""
    gap = count
    while gap > 1:
        gap = max(1, gap * 5 // 11)
        for i in range(gap, count):
            packet = state[begin + i]
            key = state[packet + at.KEY]
            j = i
            while j >= gap and state[state[begin + j - gap] + at.KEY] > key:
                state[begin + j] = state[begin + j - gap]
                j -= gap
            state[begin + j] = packet
