"""Which command comes next: among those that may issue now, the one of the oldest request.

Choices are coded `kind * CHOICE + bank`, NONE when nothing may issue. Looking through a list also finds the earliest
tick at which anything in it may issue, which is kept in C_NEXT.
"""

from __future__ import annotations

from typing import Final

from cairn.base.kernel import u
from cairn.hw_models.dram.control import layout as ix
from cairn.hw_models.dram.control.moments import moment_of, moment_of_scope
from cairn.hw_models.dram.control.queues import bank_at, inner, list_at, queue_at, routine, slot_at
from cairn.hw_models.server import IntArray

CHOICE: Final = 1 << 32
COLUMN_ACTIVE, COLUMN_HIT, ACTIVATE, PRECHARGE, PRECHARGE_ALL, REFRESH_ALL, REFRESH_BANK = range(7)
LATEST: Final = 1 << 60


@inner()
def column_command(write: int) -> int:
    return ix.WR if write else ix.RD


@inner()
def update_mode(state: IntArray, base: int) -> int:
    """Whether writes are served: entered above one fill of their queue or for want of reads, left below another."""
    reads, writes = state[u(base + ix.C_WAITING_READS)], state[u(base + ix.C_WAITING_WRITES)]
    if state[u(base + ix.C_WRITING)] == 0:
        if writes >= state[ix.P_ENTER_WRITES] or reads == 0:
            state[u(base + ix.C_WRITING)] = 1
    elif writes <= state[ix.P_LEAVE_WRITES] and reads != 0:
        state[u(base + ix.C_WRITING)] = 0
    return int(state[u(base + ix.C_WRITING)])


@inner()
def pick_active(state: IntArray, base: int, now: int) -> int:
    """Of the requests whose banks were activated for them, the oldest whose read or write may issue."""
    count = state[u(base + ix.C_ACTIVE)]
    if count == 0 or state[u(base + ix.C_ACTIVE_NEXT)] > now:
        return ix.NONE
    best, best_accepted, best_order, earliest = ix.NONE, 0, 0, ix.FAR
    for place in range(count):
        bank = state[u(base + state[ix.P_ACTIVE_AT] + place)]
        words = bank_at(state, base, bank)
        command = column_command(state[u(words + ix.B_A_WRITE)])
        tick = moment_of(state, base, command, bank, state[u(words + ix.B_TOP)]) >> ix.MOMENT_BITS
        if tick > now:
            earliest = min(earliest, tick)
            continue
        earliest = now
        accepted, order = state[u(words + ix.B_A_ACCEPTED)], state[u(words + ix.B_A_ORDER)]
        if best == ix.NONE or accepted < best_accepted or (accepted == best_accepted and order < best_order):
            best, best_accepted, best_order = bank, accepted, order
    state[u(base + ix.C_ACTIVE_NEXT)] = earliest
    return int(best)


@routine()
def _pick_hit(state: IntArray, base: int, now: int, write: int, limit: int) -> int:
    """The bank whose oldest hit is the oldest that may issue, if it came before sequence `limit`."""
    best, earliest = ix.NONE, ix.FAR
    command, banks = column_command(write), list_at(state, base, write, ix.HITS)
    for place in range(state[u(base + ix.C_LENGTH + ix.KINDS_OF_LIST * write + ix.HITS)]):
        bank = state[u(banks + place)]
        tick = moment_of(state, base, command, bank, state[u(bank_at(state, base, bank) + ix.B_TOP)]) >> ix.MOMENT_BITS
        if tick > now:
            earliest = min(earliest, tick)
            continue
        earliest = now
        hit = state[u(queue_at(state, base, write, bank) + ix.Q_HIT)]
        sequence = state[u(slot_at(state, base, write, hit) + ix.S_SEQUENCE)]
        if sequence < limit:
            best, limit = bank, sequence
    state[u(base + ix.C_NEXT + ix.KINDS_OF_LIST * write + ix.HITS)] = earliest
    return int(best)


@routine()
def _pick_closed(state: IntArray, base: int, now: int, write: int, limit: int) -> int:
    """The closed bank whose oldest request is the oldest that may be activated for, if before `limit`."""
    best, earliest = ix.NONE, ix.FAR
    banks = list_at(state, base, write, ix.CLOSED_BANKS)
    for place in range(state[u(base + ix.C_LENGTH + ix.KINDS_OF_LIST * write + ix.CLOSED_BANKS)]):
        bank = state[u(banks + place)]
        tick = moment_of(state, base, ix.ACT, bank, state[u(bank_at(state, base, bank) + ix.B_TOP)]) >> ix.MOMENT_BITS
        if tick > now:
            earliest = min(earliest, tick)
            continue
        earliest = now
        head = state[u(queue_at(state, base, write, bank) + ix.Q_HEAD)]
        sequence = state[u(slot_at(state, base, write, head) + ix.S_SEQUENCE)]
        if sequence < limit:
            best, limit = bank, sequence
    state[u(base + ix.C_NEXT + ix.KINDS_OF_LIST * write + ix.CLOSED_BANKS)] = earliest
    return int(best)


@inner()
def may_pair(state: IntArray, base: int, now: int, pseudo: int, bank: int) -> bool:
    """Half-tick rule: right after a row command on the rising edge, a precharge on the falling edge must be of another
    pseudo-channel or, unless either is for all banks (`bank` NONE), of another bank."""
    if now != state[u(base + ix.C_PAIR_TICK)] or pseudo != state[u(base + ix.C_PAIR_PSEUDO)]:
        return True
    paired = state[u(base + ix.C_PAIR_BANK)]
    return bool(paired != ix.NONE and bank != ix.NONE and bank != paired)


@inner()
def may_close(state: IntArray, base: int, write: int, bank: int, words: int) -> bool:
    """Whether a bank's row may be closed for another: nobody waits for it who was activated for, or hits it first."""
    if state[u(words + ix.B_ACTIVE)]:
        return False
    if state[ix.P_SCHEDULER] != ix.FRFCFS_ROW_HIT:
        return True
    queue = queue_at(state, base, write, bank)
    if state[u(queue + ix.Q_HIT)] == ix.NONE:
        return True
    hit = state[u(slot_at(state, base, write, state[u(queue + ix.Q_HIT)]) + ix.S_ACCEPTED)]
    return bool(state[u(slot_at(state, base, write, state[u(queue + ix.Q_MISS)]) + ix.S_ACCEPTED)] < hit)


@routine()
def _pick_miss(state: IntArray, base: int, now: int, write: int, limit: int) -> int:
    """The bank to precharge whose oldest request for another row is the oldest, if before `limit`."""
    best, earliest = ix.NONE, ix.FAR
    banks = list_at(state, base, write, ix.MISSES)
    falling = state[ix.P_HALF_TICKS] != 0 and now % 2 == 0
    for place in range(state[u(base + ix.C_LENGTH + ix.KINDS_OF_LIST * write + ix.MISSES)]):
        bank = state[u(banks + place)]
        words = bank_at(state, base, bank)
        if not may_close(state, base, write, bank, words):
            continue
        tick = moment_of(state, base, ix.PRE, bank, state[u(words + ix.B_TOP)]) >> ix.MOMENT_BITS
        if tick <= now and falling and not may_pair(state, base, now, state[u(words + ix.B_PSEUDO)], bank):
            tick = now + 1
        if tick > now:
            earliest = min(earliest, tick)
            continue
        earliest = now
        miss = state[u(queue_at(state, base, write, bank) + ix.Q_MISS)]
        sequence = state[u(slot_at(state, base, write, miss) + ix.S_SEQUENCE)]
        if sequence < limit:
            best, limit = bank, sequence
    state[u(base + ix.C_NEXT + ix.KINDS_OF_LIST * write + ix.MISSES)] = earliest
    return int(best)


@inner()
def _sequence(state: IntArray, base: int, write: int, bank: int, which: int) -> int:
    """Arrival number of the request that word `which` of a bank's queue names."""
    slot = state[u(queue_at(state, base, write, bank) + which)]
    return int(state[u(slot_at(state, base, write, slot) + ix.S_SEQUENCE)])


@inner()
def pick_waiting(state: IntArray, base: int, now: int, columns: bool, rows: bool) -> int:
    """The choice for the oldest waiting request among those whose command may issue now, of the sorts allowed."""
    write = update_mode(state, base)
    if state[u(base + ix.C_WAITING_READS + write)] == 0:
        return ix.NONE
    following = base + ix.C_NEXT + ix.KINDS_OF_LIST * write
    choice, limit = ix.NONE, LATEST
    if columns and state[u(following + ix.HITS)] <= now:
        bank = _pick_hit(state, base, now, write, limit)
        if bank != ix.NONE:
            choice, limit = COLUMN_HIT * CHOICE + bank, _sequence(state, base, write, bank, ix.Q_HIT)
    if rows:
        rising = state[ix.P_HALF_TICKS] == 0 or now % 2 == 1
        if rising and state[u(following + ix.CLOSED_BANKS)] <= now and state[u(base + ix.C_SPLIT_BANK)] == ix.NONE:
            bank = _pick_closed(state, base, now, write, limit)
            if bank != ix.NONE:
                choice, limit = ACTIVATE * CHOICE + bank, _sequence(state, base, write, bank, ix.Q_HEAD)
        if state[u(following + ix.MISSES)] <= now:
            bank = _pick_miss(state, base, now, write, limit)
            if bank != ix.NONE:
                choice = PRECHARGE * CHOICE + bank
    return int(choice)


@routine()
def pick_refresh(state: IntArray, base: int, now: int) -> tuple[int, int]:
    """The next step of the refresh that is due longest, NONE when it may not come now; and from when on it may."""
    first = state[u(base + state[ix.P_DUE_AT] + state[u(base + ix.C_DUE_HEAD)])]
    words = bank_at(state, base, first)
    rising = state[ix.P_HALF_TICKS] == 0 or now % 2 == 1
    if state[ix.P_REFRESH] == ix.PER_BANK:
        if state[u(words + ix.B_STATE)] == ix.CLOSED:
            tick = moment_of(state, base, ix.REFPB, first, state[u(words + ix.B_TOP)]) >> ix.MOMENT_BITS
            return (REFRESH_BANK * CHOICE + first if tick <= now and rising else ix.NONE), max(tick, now + 1)
        if state[u(words + ix.B_ACTIVE)] or state[u(words + ix.B_STATE)] == ix.OPENING:
            return ix.NONE, ix.FAR
        tick = moment_of(state, base, ix.PRE, first, state[u(words + ix.B_TOP)]) >> ix.MOMENT_BITS
        if tick <= now and (rising or may_pair(state, base, now, state[u(words + ix.B_PSEUDO)], first)):
            return PRECHARGE * CHOICE + first, now + 1
        return ix.NONE, max(tick, now + 1)
    is_open = False
    for bank in range(first, first + state[ix.P_SCOPE_BANKS]):
        at = bank_at(state, base, bank)
        if state[u(at + ix.B_ACTIVE)] or state[u(at + ix.B_STATE)] == ix.OPENING:
            return ix.NONE, ix.FAR
        is_open = is_open or state[u(at + ix.B_STATE)] == ix.OPEN
    if is_open:
        tick = moment_of_scope(state, base, ix.PREA, first) >> ix.MOMENT_BITS
        if tick <= now and (rising or may_pair(state, base, now, state[u(words + ix.B_PSEUDO)], ix.NONE)):
            return PRECHARGE_ALL * CHOICE + first, now + 1
        return ix.NONE, max(tick, now + 1)
    tick = moment_of_scope(state, base, ix.REF, first) >> ix.MOMENT_BITS
    return (REFRESH_ALL * CHOICE + first if tick <= now and rising else ix.NONE), max(tick, now + 1)


@routine()
def pick_in_order(state: IntArray, base: int, now: int) -> int:
    """First come, first served: the choice for the oldest waiting request, or NONE. Reads and writes keep the order of
    arrival, so a row hit waits for requests that were activated for before it, and all wait for a request of a bank
    whose activate is not complete."""
    write = update_mode(state, base)
    if state[u(base + ix.C_WAITING_READS + write)] == 0:
        return ix.NONE
    oldest, limit = ix.NONE, LATEST
    for kind in range(ix.KINDS_OF_LIST):
        which = ix.Q_HEAD if kind == ix.CLOSED_BANKS else (ix.Q_HIT if kind == ix.HITS else ix.Q_MISS)
        banks = list_at(state, base, write, kind)
        for place in range(state[u(base + ix.C_LENGTH + ix.KINDS_OF_LIST * write + kind)]):
            bank = state[u(banks + place)]
            sequence = _sequence(state, base, write, bank, which)
            if sequence < limit:
                oldest, limit = (COLUMN_HIT if kind == ix.HITS else ACTIVATE + kind - 1) * CHOICE + bank, sequence
    split = state[u(base + ix.C_SPLIT_BANK)]
    waits = split != ix.NONE and state[u(queue_at(state, base, write, split) + ix.Q_HEAD)] != ix.NONE
    if waits and _sequence(state, base, write, split, ix.Q_HEAD) < limit:
        return ix.NONE
    return int(oldest)
