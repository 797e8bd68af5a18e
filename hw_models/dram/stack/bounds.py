"""How soon a channel can complete something, at the earliest, if no request arrives (with each that does, its bound is
found anew).

The later a bound, the longer a channel rests and the more it does at once. Column commands are at least a burst apart,
so it counts those that must issue before a request's last one.
"""

from __future__ import annotations

from cairn.base.kernel import u
from cairn.base.ticks import NEVER
from cairn.hw_models.dram.control import layout as ix
from cairn.hw_models.dram.control.queues import bank_at, inner
from cairn.hw_models.dram.stack import layout as sx
from cairn.hw_models.dram.stack.pim import pim_bound
from cairn.hw_models.dram.stack.pim_requests import is_at_rest
from cairn.hw_models.dram.stack.runs import overdue_from, room
from cairn.hw_models.dram.stack.streams import (
    bursts_of,
    entering_at,
    extra_at,
    first_event,
    next_run_bytes,
    ps_of,
    slot_at,
    turn_at,
)
from cairn.hw_models.server import IntArray


@inner()
def _longest_run(state: IntArray, at: int) -> int:
    """Bytes of the longest run of a request (S2)."""
    return int(min(state[sx.P_RUN_BYTES], state[u(at + sx.S_STRIPE)]))


@inner()
def _is_even(state: IntArray, at: int) -> bool:
    """Whether all runs of a request but those at its ends are of the same length: granules divide stripes or stripes
    divide granules."""
    return bool(max(state[sx.P_RUN_BYTES], state[u(at + sx.S_STRIPE)]) % _longest_run(state, at) == 0)


@inner()
def _turns_left(state: IntArray, at: int) -> int:
    """Turns that a request with bytes left to enter takes at least: its next run, and longest ones after it."""
    longest = _longest_run(state, at)
    return int(1 + (state[u(at + sx.S_LEFT)] - next_run_bytes(state, at) + longest - 1) // longest)


@inner()
def _bursts_in_turns(state: IntArray, at: int, turns: int) -> int:
    """Bursts that a request moves at least in its next `turns` turns, one each where runs are uneven."""
    if turns <= 0:
        return 0
    if not _is_even(state, at):
        return int(min(bursts_of(state, state[u(at + sx.S_LEFT)]), turns))
    more = (turns - 1) * _longest_run(state, at)
    return bursts_of(state, min(state[u(at + sx.S_LEFT)], next_run_bytes(state, at) + more))


@inner()
def _bursts_to_last_run(state: IntArray, base: int, write: int) -> int:
    """Bursts that enter at least before all runs of any one of the reads, or writes, with bytes left have entered.

    Take the one with the fewest turns left, of several the first to take its turn. Others, of either sort, take as many
    turns until its last one where they come before it, one less behind it (S3). One that is not present yet misses
    turns now, for each of which a read, or write, takes a free slot. NEVER where none has bytes left.
    """
    extra, clock = extra_at(state, base), state[u(base + ix.C_CLK)]
    count, turn = state[u(extra + sx.X_ENTERING)], turn_at(state, base)
    fewest, first = NEVER, 0
    for number in range(count):
        at = entering_at(state, base, turn + number if turn + number < count else turn + number - count)
        if state[u(at + sx.S_WRITES)] == write and _turns_left(state, at) < fewest:
            fewest, first = _turns_left(state, at), number
    if fewest == NEVER:
        return NEVER
    bursts = state[u(extra + sx.X_PENDING)]
    for number in range(count):
        at = entering_at(state, base, turn + number if turn + number < count else turn + number - count)
        missed = room(state, base, write) if state[u(at + sx.S_ARRIVED)] > clock else 0
        bursts += _bursts_in_turns(state, at, fewest - missed - (1 if number > first else 0))
    return int(bursts)


@inner()
def _bursts_left(state: IntArray, base: int, write: int) -> int:
    """Bursts that reads, or writes, have at least yet to issue."""
    bursts = 0
    for place in range(state[u(extra_at(state, base) + sx.X_USED)]):
        at = slot_at(state, base, state[u(base + state[sx.P_USED_AT] + place)])
        if state[u(at + sx.S_WRITES)] == write:
            bursts += state[u(at + sx.S_WAITING)] + bursts_of(state, state[u(at + sx.S_LEFT)])
    return bursts


@inner()
def _own_bursts(state: IntArray, base: int, write: int) -> int:
    """Column commands of their own that reads, or writes, issue at least until one of them completes or begins."""
    least = NEVER
    for place in range(state[u(extra_at(state, base) + sx.X_USED)]):
        at = slot_at(state, base, state[u(base + state[sx.P_USED_AT] + place)])
        if state[u(at + sx.S_WRITES)] != write:
            continue
        if state[u(at + sx.S_WAITS_FIRST)]:
            return 1
        least = min(least, state[u(at + sx.S_WAITING)] + bursts_of(state, state[u(at + sx.S_LEFT)]))
    return int(min(least, state[sx.P_BURSTS_BOUND]))


@inner()
def _bursts_to_completion(state: IntArray, base: int, write: int) -> int:
    """Column commands of any kind that issue at least until one of the reads, or writes, completes or begins, its own
    included.

    When the last burst of one has entered, all that entered before it have issued but for what queues and banks hold.
    """
    own, entered = _own_bursts(state, base, write), state[sx.P_BURSTS_BOUND]
    for place in range(state[u(extra_at(state, base) + sx.X_USED)]):
        at = slot_at(state, base, state[u(base + state[sx.P_USED_AT] + place)])
        if state[u(at + sx.S_WRITES)] == write and state[u(at + sx.S_WAITS_FIRST)]:
            return 1
        if state[u(at + sx.S_WRITES)] == write and state[u(at + sx.S_LEFT)] == 0:
            entered = min(entered, state[u(at + sx.S_WAITING)])
    if own >= entered or (state[sx.P_PIM] and not is_at_rest(state, base)):  # then turns are passed over (S3)
        return own
    waiting = state[u(base + ix.C_WAITING_READS)] + state[u(base + ix.C_WAITING_WRITES)] + state[u(base + ix.C_ACTIVE)]
    held = state[ix.P_BANKS]
    held += min(state[u(ix.P_READS + write)], _bursts_left(state, base, write))
    if _bursts_left(state, base, 1 - write) > 0:
        held += state[u(ix.P_READS + 1 - write)]
    return int(min(entered, max(own, waiting + _bursts_to_last_run(state, base, write) - held + 1)))


@inner()
def _most_writes(state: IntArray, base: int) -> int:
    """Bursts of writes that may come to wait at once, at most: all there are."""
    bursts = 0
    for place in range(state[u(extra_at(state, base) + sx.X_USED)]):
        at = slot_at(state, base, state[u(base + state[sx.P_USED_AT] + place)])
        if state[u(at + sx.S_WRITES)] == 0:
            continue
        bursts += state[u(at + sx.S_WAITING)]
        if state[u(at + sx.S_LEFT)] > 0:
            if not _is_even(state, at):
                return NEVER
            bursts += bursts_of(state, state[u(at + sx.S_LEFT)]) + _turns_left(state, at)  # each run may pad a burst
    return int(bursts)


@inner()
def _writes_from(state: IntArray, base: int, begin: int) -> int:
    """First tick from `begin` on at which a write may issue (K4, S4): while few writes wait and reads do, those wait
    until they are overdue or all reads have left their queue."""
    if state[u(base + ix.C_WRITING)] or state[u(base + ix.C_WAITING_READS)] == 0:
        return begin
    if state[sx.P_PIM] and not is_at_rest(state, base):  # reads may be kept out of their queue (S3)
        return begin
    for place in range(state[u(base + ix.C_ACTIVE)]):
        if state[u(bank_at(state, base, state[u(base + state[ix.P_ACTIVE_AT] + place)]) + ix.B_A_WRITE)]:
            return begin
    if _most_writes(state, base) >= state[ix.P_ENTER_WRITES]:
        return begin
    overdue = min(overdue_from(state, base), state[u(base + ix.C_CLK)] + state[sx.P_WRITE_WAIT])
    read = begin + (_bursts_left(state, base, 0) - state[ix.P_BANKS] - 1) * state[sx.P_SPACING]
    return int(max(begin, min(overdue, read)))


@inner()
def bound(state: IntArray, base: int) -> int:
    """A lower bound (ps) on the channel's next completion: exact where its burst has issued, else at peak rate. That
    PIM units take banks away makes nothing earlier."""
    extra = extra_at(state, base)
    known = first_event(state, base)
    if state[sx.P_PIM]:
        known = min(known, pim_bound(state, base))
    if state[u(extra + sx.X_USED)] == 0:
        return int(known)
    begin = max(state[u(extra + sx.X_LIMIT)], state[u(base + state[ix.P_BUS_FREE_AT])])
    last = begin + (_bursts_to_completion(state, base, 0) - 1) * state[sx.P_SPACING]
    writes = _own_bursts(state, base, 1)
    if writes < state[sx.P_BURSTS_BOUND]:  # reads before them are counted once: by their time or by their number
        alone = _writes_from(state, base, begin) + (writes - 1) * state[sx.P_SPACING]
        last = min(last, max(alone, begin + (_bursts_to_completion(state, base, 1) - 1) * state[sx.P_SPACING]))
    return int(min(known, ps_of(state, last + state[ix.P_READ])))
