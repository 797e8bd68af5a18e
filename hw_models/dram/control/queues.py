"""The queues of a controller: requests wait by bank, in the order of arrival, reads apart from writes.

A bank's oldest hit (a request for its open row) and oldest other request are known, and three lists for each direction
name the banks whose next command would be a read or write, an activate, or a precharge: a choice looks at banks, not at
requests. Moments at which a command may issue only ever grow later, so the earliest moment of a list, once found, holds
until a bank joins it.
"""

from __future__ import annotations

from functools import partial

from cairn.base.kernel import kernel, u
from cairn.hw_models.dram.control import layout as ix
from cairn.hw_models.server import IntArray

inner = partial(kernel, _nrt=False, forceinline=True)
"""Decorator of what is inlined into its callers. Such a function must not allocate or slice arrays."""
routine = partial(kernel, _nrt=False)
"""Decorator of what is called."""


@inner()
def bank_at(state: IntArray, base: int, bank: int) -> int:
    """Where the words of a bank begin."""
    return int(base + state[ix.P_BANKS_AT] + ix.BANK_WORDS * bank)


@inner()
def queue_at(state: IntArray, base: int, write: int, bank: int) -> int:
    """Where the words of a bank's queue begin."""
    return int(base + state[ix.P_QUEUES_AT] + ix.QUEUE_WORDS * (write * state[ix.P_BANKS] + bank))


@inner()
def slot_at(state: IntArray, base: int, write: int, slot: int) -> int:
    """Where a slot begins."""
    return int(base + state[ix.P_SLOTS_AT] + ix.SLOT_WORDS * (write * state[ix.P_READS] + slot))


@inner()
def list_at(state: IntArray, base: int, write: int, kind: int) -> int:
    """Where a list of banks begins."""
    return int(base + state[ix.P_LISTS_AT] + (ix.KINDS_OF_LIST * write + kind) * state[ix.P_BANKS])


@inner()
def join(state: IntArray, base: int, write: int, kind: int, bank: int) -> None:
    """Put a bank on a list, unless it is there."""
    place = queue_at(state, base, write, bank) + ix.Q_PLACE + kind
    number = ix.KINDS_OF_LIST * write + kind
    state[u(base + ix.C_NEXT + number)] = 0
    if state[u(place)] == ix.NONE:
        length = state[u(base + ix.C_LENGTH + number)]
        state[u(list_at(state, base, write, kind) + length)] = bank
        state[u(place)] = length
        state[u(base + ix.C_LENGTH + number)] = length + 1


@inner()
def leave(state: IntArray, base: int, write: int, kind: int, bank: int) -> None:
    """Take a bank off a list, if it is there; the last one takes its place."""
    place = queue_at(state, base, write, bank) + ix.Q_PLACE + kind
    at = state[u(place)]
    if at == ix.NONE:
        return
    number = ix.KINDS_OF_LIST * write + kind
    length = state[u(base + ix.C_LENGTH + number)] - 1
    banks = list_at(state, base, write, kind)
    last = state[u(banks + length)]
    state[u(banks + at)] = last
    state[u(queue_at(state, base, write, last) + ix.Q_PLACE + kind)] = at
    state[u(place)] = ix.NONE
    state[u(base + ix.C_LENGTH + number)] = length


@inner()
def has_room(state: IntArray, base: int, write: int) -> bool:
    """Whether the queue of reads or of writes has a free slot."""
    return bool(state[u(base + ix.C_WAITING_READS + write)] < state[u(ix.P_READS + write)])


@routine()
def push(state: IntArray, base: int, write: int, bank: int, row: int, tag: int, offered: int) -> None:
    """Accept a request at the present tick (there is room): it may issue a command from the next one on."""
    waiting = state[u(base + ix.C_WAITING_READS + write)]
    slot = state[u(base + state[ix.P_FREE_AT] + write * state[ix.P_READS] + waiting)]
    state[u(base + ix.C_WAITING_READS + write)] = waiting + 1
    at = slot_at(state, base, write, slot)
    state[u(at + ix.S_SEQUENCE)] = state[u(base + ix.C_SEQUENCE)]
    state[u(base + ix.C_SEQUENCE)] += 1
    state[u(at + ix.S_ACCEPTED)] = state[u(base + ix.C_CLK)]
    state[u(at + ix.S_OFFERED)] = offered
    state[u(at + ix.S_ROW)] = row
    state[u(at + ix.S_TAG)] = tag
    state[u(at + ix.S_COUNTED)] = 0
    state[u(at + ix.S_NEXT)] = ix.NONE
    queue = queue_at(state, base, write, bank)
    tail = state[u(queue + ix.Q_TAIL)]
    state[u(at + ix.S_BEFORE)] = tail
    if tail == ix.NONE:
        state[u(queue + ix.Q_HEAD)] = slot
    else:
        state[u(slot_at(state, base, write, tail) + ix.S_NEXT)] = slot
    state[u(queue + ix.Q_TAIL)] = slot
    state[u(queue + ix.Q_COUNT)] += 1
    words = bank_at(state, base, bank)
    if state[u(words + ix.B_STATE)] == ix.CLOSED:
        join(state, base, write, ix.CLOSED_BANKS, bank)
    elif state[u(words + ix.B_STATE)] == ix.OPEN:
        if state[u(words + ix.B_ROW)] == row:
            if state[u(queue + ix.Q_HIT)] == ix.NONE:
                state[u(queue + ix.Q_HIT)] = slot
                join(state, base, write, ix.HITS, bank)
        elif state[u(queue + ix.Q_MISS)] == ix.NONE:
            state[u(queue + ix.Q_MISS)] = slot
            join(state, base, write, ix.MISSES, bank)


@inner()
def _unlink(state: IntArray, base: int, write: int, bank: int, slot: int) -> None:
    """Take a request out of its bank's queue and free its slot."""
    at, queue = slot_at(state, base, write, slot), queue_at(state, base, write, bank)
    before, following = state[u(at + ix.S_BEFORE)], state[u(at + ix.S_NEXT)]
    if before == ix.NONE:
        state[u(queue + ix.Q_HEAD)] = following
    else:
        state[u(slot_at(state, base, write, before) + ix.S_NEXT)] = following
    if following == ix.NONE:
        state[u(queue + ix.Q_TAIL)] = before
    else:
        state[u(slot_at(state, base, write, following) + ix.S_BEFORE)] = before
    state[u(queue + ix.Q_COUNT)] -= 1
    waiting = state[u(base + ix.C_WAITING_READS + write)] - 1
    state[u(base + ix.C_WAITING_READS + write)] = waiting
    state[u(base + state[ix.P_FREE_AT] + write * state[ix.P_READS] + waiting)] = slot
    state[u(base + ix.C_FREED)] = 1


@routine()
def take_hit(state: IntArray, base: int, write: int, bank: int) -> int:
    """Remove a bank's oldest hit; answers where its slot is (still to be read), and finds the next hit."""
    queue = queue_at(state, base, write, bank)
    slot = state[u(queue + ix.Q_HIT)]
    at = slot_at(state, base, write, slot)
    row = state[u(at + ix.S_ROW)]
    following = state[u(at + ix.S_NEXT)]
    while following != ix.NONE and state[u(slot_at(state, base, write, following) + ix.S_ROW)] != row:
        following = state[u(slot_at(state, base, write, following) + ix.S_NEXT)]
    _unlink(state, base, write, bank, slot)
    state[u(queue + ix.Q_HIT)] = following
    if following == ix.NONE:
        leave(state, base, write, ix.HITS, bank)
    state[u(base + ix.C_NEXT + ix.KINDS_OF_LIST * write + ix.MISSES)] = 0  # a precharge may have waited for this hit
    return at


@routine()
def take_oldest(state: IntArray, base: int, write: int, bank: int) -> int:
    """Remove the oldest request of a closed bank, for which it is activated; answers where its slot is."""
    slot = state[u(queue_at(state, base, write, bank) + ix.Q_HEAD)]
    _unlink(state, base, write, bank, slot)
    return slot_at(state, base, write, slot)


@routine()
def opening(state: IntArray, base: int, bank: int) -> None:
    """A bank is closed no more: no request of it asks for an activate."""
    leave(state, base, 0, ix.CLOSED_BANKS, bank)
    leave(state, base, 1, ix.CLOSED_BANKS, bank)


@routine()
def opened(state: IntArray, base: int, bank: int, row: int) -> None:
    """A bank's row is open: sort its waiting requests into hits and others."""
    for write in range(2):
        queue = queue_at(state, base, write, bank)
        hit = miss = ix.NONE
        slot = state[u(queue + ix.Q_HEAD)]
        while slot != ix.NONE and (hit == ix.NONE or miss == ix.NONE):
            at = slot_at(state, base, write, slot)
            if state[u(at + ix.S_ROW)] == row:
                if hit == ix.NONE:
                    hit = slot
            elif miss == ix.NONE:
                miss = slot
            slot = state[u(at + ix.S_NEXT)]
        state[u(queue + ix.Q_HIT)] = hit
        state[u(queue + ix.Q_MISS)] = miss
        if hit != ix.NONE:
            join(state, base, write, ix.HITS, bank)
        if miss != ix.NONE:
            join(state, base, write, ix.MISSES, bank)


@routine()
def closed(state: IntArray, base: int, bank: int) -> None:
    """A bank was precharged: all its waiting requests ask for an activate."""
    state[u(bank_at(state, base, bank) + ix.B_STATE)] = ix.CLOSED
    for write in range(2):
        queue = queue_at(state, base, write, bank)
        state[u(queue + ix.Q_HIT)] = ix.NONE
        state[u(queue + ix.Q_MISS)] = ix.NONE
        leave(state, base, write, ix.HITS, bank)
        leave(state, base, write, ix.MISSES, bank)
        if state[u(queue + ix.Q_COUNT)] > 0:
            join(state, base, write, ix.CLOSED_BANKS, bank)


@inner()
def enter_active(state: IntArray, base: int, bank: int, order: int) -> None:
    """A bank waits for the read or write that it was activated for, behind those of a lower `order`."""
    words = bank_at(state, base, bank)
    count = state[u(base + ix.C_ACTIVE)]
    state[u(base + state[ix.P_ACTIVE_AT] + count)] = bank
    state[u(base + ix.C_ACTIVE)] = count + 1
    state[u(words + ix.B_ACTIVE)] = 1
    state[u(words + ix.B_ACTIVE_PLACE)] = count
    state[u(words + ix.B_A_ORDER)] = order


@inner()
def leave_active(state: IntArray, base: int, bank: int) -> None:
    """That read or write issues; the last bank of the list takes this one's place."""
    words = bank_at(state, base, bank)
    place, count = state[u(words + ix.B_ACTIVE_PLACE)], state[u(base + ix.C_ACTIVE)] - 1
    last = state[u(base + state[ix.P_ACTIVE_AT] + count)]
    state[u(base + state[ix.P_ACTIVE_AT] + place)] = last
    state[u(bank_at(state, base, last) + ix.B_ACTIVE_PLACE)] = place
    state[u(base + ix.C_ACTIVE)] = count
    state[u(words + ix.B_ACTIVE)] = 0
