"""Wheels: records ordered by cycle, such as the heads that are to arrive.

Each of the next SPAN cycles has a bucket, a list linked through the records. What comes later waits in the list of its
span of SPAN cycles, one of the next 64, or of the last of these, and goes on to the buckets when that span begins. One
bit per bucket, 64 to a word, and one bit per word in a summary find the next bucket in use. A bucket is in no order.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.extending import intrinsic

from cairn.base.kernel import kernel, u
from cairn.base.ticks import NEVER
from cairn.hw_models.noc import layout as at
from cairn.hw_models.server import IntArray


@intrinsic  # type: ignore[untyped-decorator]
def _lowest_bit(_typing: Any, _word: Any) -> Any:
    """Number of the lowest set bit of a word that is not 0."""

    def code(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.cttz(values[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), code


@kernel(**at.INLINE)
def put(state: IntArray, wheel: int, record: int, cycle: int) -> None:
    """Add a record of `cycle`, which is not earlier than the last one opened."""
    if cycle - state[u(wheel + at.BASE)] >= at.SPAN:
        _put_far(state, wheel, record, cycle)
        return
    slot = cycle & (at.SPAN - 1)
    bucket = wheel + at.BUCKETS + slot
    if state[u(bucket)] == 0:
        state[u(wheel + at.WORDS + (slot >> 6))] |= 1 << (slot & 63)
        state[u(wheel + at.SUMMARY)] |= 1 << (slot >> 6)
    state[u(record + at.NEXT)] = state[u(bucket)]
    state[u(bucket)] = record


@kernel(**at.NO_ALLOCATION)
def _put_far(state: IntArray, wheel: int, record: int, cycle: int) -> None:
    """Let a record wait for its span, or for the last one that has a list."""
    span = min(cycle >> at.SPAN_BITS, (state[wheel + at.BASE] >> at.SPAN_BITS) + 63)
    waiting = wheel + at.FAR + (span & 63)
    state[record + at.AT] = cycle
    state[record + at.NEXT] = state[waiting]
    state[waiting] = record
    state[wheel + at.FAR_SPANS] |= 1 << (span & 63)
    state[wheel + at.FAR_AT] = min(state[wheel + at.FAR_AT], span << at.SPAN_BITS)


@kernel(**at.NO_ALLOCATION)
def _begin_span(state: IntArray, wheel: int, cycle: int) -> None:
    """Put what waits for the span that begins at `cycle` into the buckets, or into a later span."""
    here = cycle >> at.SPAN_BITS & 63
    record = state[wheel + at.FAR + here]
    state[wheel + at.FAR + here] = 0
    state[wheel + at.FAR_SPANS] &= ~(1 << here)
    while record != 0:
        following = state[record + at.NEXT]
        put(state, wheel, record, state[record + at.AT])
        record = following
    spans = state[wheel + at.FAR_SPANS]
    state[wheel + at.FAR_AT] = NEVER
    if spans != 0:
        beyond = spans & (-1 << here)
        span = _lowest_bit(beyond if beyond != 0 else spans)
        state[wheel + at.FAR_AT] = cycle + ((span - here & 63) << at.SPAN_BITS)


@kernel(**at.INLINE)
def earliest(state: IntArray, wheel: int) -> int:
    """The next cycle to be opened; no record is of an earlier one. NEVER when there is none."""
    summary, base, far = state[u(wheel + at.SUMMARY)], state[u(wheel + at.BASE)], state[u(wheel + at.FAR_AT)]
    if summary == 0:
        return int(far)
    words = wheel + at.WORDS
    here = (base & (at.SPAN - 1)) >> 6
    rest = state[u(words + here)] & (-1 << (base & 63))
    if rest != 0:
        slot = here << 6 | _lowest_bit(rest)
    else:  # the next word that is not empty, round the wheel; the lower bits of this one come last
        beyond = summary & (-1 << here) & ~(1 << here)
        word = _lowest_bit(beyond if beyond != 0 else summary)
        slot = word << 6 | _lowest_bit(state[u(words + word)])
    return int(min(far, base + ((slot - base) & (at.SPAN - 1))))


@kernel(**at.INLINE)
def open_bucket(state: IntArray, wheel: int, cycle: int) -> int:
    """Take all records of `cycle`, the earliest one, off a wheel; answers the first of a list, in no order, or 0."""
    state[u(wheel + at.BASE)] = cycle
    if cycle == state[u(wheel + at.FAR_AT)]:
        _begin_span(state, wheel, cycle)
    slot = cycle & (at.SPAN - 1)
    bucket = wheel + at.BUCKETS + slot
    first: int = state[u(bucket)]
    state[u(bucket)] = 0
    word = wheel + at.WORDS + (slot >> 6)
    state[u(word)] &= ~(1 << (slot & 63))
    if state[u(word)] == 0:
        state[u(wheel + at.SUMMARY)] &= ~(1 << (slot >> 6))
    return first
