"""The heads that are to arrive, ordered by cycle: a wheel of near cycles and a heap of far ones.

Each of the next SPAN cycles has a bucket, a list linked through the packets' records; what arrives later waits in a
heap and moves to the wheel when its cycle comes near. One bit per bucket, 64 to a word, and one bit per word in a
summary find the next bucket in use. A bucket is in no order: only heads that arrive at one resource in one cycle need
one, and they are put in line when it is opened (`cycle.py`).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from cairn.base.kernel import kernel
from cairn.base.ticks import NEVER
from cairn.hw_models.noc import layout as at
from cairn.hw_models.noc.heap import drop_top, push
from cairn.hw_models.noc.layout import u
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
    if state[u(bucket)] == 0:
        state[state[at.WORDS] + (slot >> 6)] |= 1 << (slot & 63)
        state[at.SUMMARY] |= 1 << (slot >> 6)
    state[u(packet + at.NEXT)] = state[u(bucket)]
    state[u(bucket)] = packet


@kernel(**at.NO_ALLOCATION)
def put(state: IntArray, packet: int, cycle: int) -> None:
    """Let the head of `packet` arrive at `cycle`, which lies after every cycle opened so far."""
    if cycle - state[at.BASE] < at.SPAN:
        _put_near(state, packet, cycle)
    else:
        push(state, state[at.FAR], state[at.N_FAR], cycle, state[u(packet + at.KEY)], packet)
        state[at.N_FAR] += 1


@kernel(**at.NO_ALLOCATION)
def earliest(state: IntArray) -> int:
    """Cycle of the earliest arrival, NEVER when there is none."""
    summary, words, base = state[at.SUMMARY], state[at.WORDS], state[at.BASE]
    if summary == 0:
        far: int = state[state[at.FAR]]
        return far if state[at.N_FAR] > 0 else NEVER
    here = (base & (at.SPAN - 1)) >> 6
    rest = state[u(words + here)] & (-1 << (base & 63))
    if rest != 0:
        slot = here << 6 | _lowest_bit(rest)
    else:  # the next word that is not empty, round the wheel; the lower bits of this one come last
        beyond = summary & (-1 << here) & ~(1 << here)
        word = _lowest_bit(beyond if beyond != 0 else summary)
        slot = word << 6 | _lowest_bit(state[u(words + word)])
    cycle: int = base + ((slot - base) & (at.SPAN - 1))
    return cycle


@kernel(**at.NO_ALLOCATION)
def open_bucket(state: IntArray, cycle: int) -> int:
    """Take all arrivals of `cycle`, the earliest one, off the wheel: a list linked by NEXT, in no order; its first."""
    state[at.BASE] = cycle
    far = state[at.FAR]
    while state[at.N_FAR] > 0 and state[u(far)] < cycle + at.SPAN:
        packet, its_cycle = state[u(far + 2)], state[u(far)]
        drop_top(state, far, state[at.N_FAR])
        state[at.N_FAR] -= 1
        _put_near(state, packet, its_cycle)
    slot = cycle & (at.SPAN - 1)
    bucket = state[at.BUCKETS] + slot
    first: int = state[u(bucket)]
    state[u(bucket)] = 0
    word = state[at.WORDS] + (slot >> 6)
    state[u(word)] &= ~(1 << (slot & 63))
    if state[u(word)] == 0:
        state[at.SUMMARY] &= ~(1 << (slot >> 6))
    return first
