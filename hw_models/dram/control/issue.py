"""What each command does to the channel: banks, queues, moments, counts."""

from __future__ import annotations

from cairn.base.kernel import u
from cairn.hw_models.dram.control import layout as ix
from cairn.hw_models.dram.control.account import charge_burst
from cairn.hw_models.dram.control.choose import column_command
from cairn.hw_models.dram.control.moments import bind, log, moment_of, moment_of_scope
from cairn.hw_models.dram.control.queues import (
    bank_at,
    closed,
    enter_active,
    inner,
    leave_active,
    opened,
    opening,
    queue_at,
    routine,
    slot_at,
    take_hit,
    take_oldest,
)
from cairn.hw_models.server import IntArray


@inner()
def _count(state: IntArray, base: int, counted: int, write: int, outcome: int) -> None:
    """Count a request as hit, miss or conflict when its first command issues."""
    if counted == 0:
        state[u(base + ix.C_READ_HITS + 3 * write + outcome)] += 1


@inner()
def _enter(state: IntArray, base: int, bank: int) -> None:
    """A bank was activated: its request for a column command is the newest."""
    order = state[u(base + ix.C_ACTIVE_ORDER)]
    state[u(base + ix.C_ACTIVE_ORDER)] = order + 1
    state[u(base + ix.C_ACTIVE_NEXT)] = 0
    enter_active(state, base, bank, order)


@inner()
def _leave(state: IntArray, base: int, bank: int) -> None:
    leave_active(state, base, bank)
    state[u(base + ix.C_NEXT + ix.MISSES)] = 0  # a precharge of this bank may have waited
    state[u(base + ix.C_NEXT + ix.KINDS_OF_LIST + ix.MISSES)] = 0


@routine()
def issue_column(state: IntArray, base: int, now: int, bank: int, active: bool, write: int) -> None:
    """Read or write: for the request that the bank was activated for, or for the bank's oldest hit."""
    words = bank_at(state, base, bank)
    if active:
        write = state[u(words + ix.B_A_WRITE)]
        accepted, offered = state[u(words + ix.B_A_ACCEPTED)], state[u(words + ix.B_A_OFFERED)]
        tag = state[u(words + ix.B_A_TAG)]
        _leave(state, base, bank)
    else:
        at = take_hit(state, base, write, bank)
        accepted, offered, tag = state[u(at + ix.S_ACCEPTED)], state[u(at + ix.S_OFFERED)], state[u(at + ix.S_TAG)]
        _count(state, base, state[u(at + ix.S_COUNTED)], write, 0)
    command = column_command(write)
    moment = moment_of(state, base, command, bank, state[u(words + ix.B_TOP)])
    charge_burst(state, base, words, now, moment, accepted, offered)
    if state[ix.P_CLOSED]:
        more = state[u(words + ix.B_ACTIVE)] != 0 or state[u(queue_at(state, base, 0, bank) + ix.Q_HIT)] != ix.NONE
        more = more or state[u(queue_at(state, base, 1, bank) + ix.Q_HIT)] != ix.NONE
        if not more:
            command = ix.WRA if write else ix.RDA
    log(state, base, command, bank, state[u(words + ix.B_ROW)], now)
    bind(state, base, command, bank, now)
    if command == ix.RDA or command == ix.WRA:
        closed(state, base, bank)
    end = now if write else now + state[ix.P_READ]
    state[u(base + ix.C_LAST_END)] = max(state[u(base + ix.C_LAST_END)], end)
    state[u(base + ix.C_DONE)] = 1
    state[u(base + ix.C_DONE_TAG)] = tag
    state[u(base + ix.C_DONE_WRITE)] = write
    state[u(base + ix.C_DONE_ACCEPTED)] = accepted
    state[u(base + ix.C_DONE_TICK)] = now


@routine()
def issue_activate(state: IntArray, base: int, now: int, bank: int, write: int) -> None:
    """Open a row for the oldest request of a closed bank, which leaves its queue. A split activate opens it later."""
    words = bank_at(state, base, bank)
    state[u(words + ix.B_ACT_MOMENT)] = moment_of(state, base, ix.ACT, bank, state[u(words + ix.B_TOP)])
    state[u(words + ix.B_ACT_TICK)] = now
    at = take_oldest(state, base, write, bank)
    _count(state, base, state[u(at + ix.S_COUNTED)], write, 1)
    state[u(words + ix.B_ROW)] = state[u(at + ix.S_ROW)]
    state[u(words + ix.B_A_ACCEPTED)] = state[u(at + ix.S_ACCEPTED)]
    state[u(words + ix.B_A_OFFERED)] = state[u(at + ix.S_OFFERED)]
    state[u(words + ix.B_A_TAG)] = state[u(at + ix.S_TAG)]
    state[u(words + ix.B_A_WRITE)] = write
    log(state, base, ix.ACT, bank, state[u(words + ix.B_ROW)], now)
    bind(state, base, ix.ACT, bank, now)
    opening(state, base, bank)
    if state[ix.P_SPLIT]:
        state[u(words + ix.B_STATE)] = ix.OPENING
        state[u(base + ix.C_SPLIT_BANK)] = bank
        state[u(base + ix.C_SPLIT_DEADLINE)] = now + state[ix.P_SPLIT]
    else:
        open_row(state, base, bank)


@routine()
def open_row(state: IntArray, base: int, bank: int) -> None:
    """The activate of a bank is complete."""
    words = bank_at(state, base, bank)
    state[u(words + ix.B_STATE)] = ix.OPEN
    _enter(state, base, bank)
    opened(state, base, bank, state[u(words + ix.B_ROW)])


@routine()
def issue_precharge(state: IntArray, base: int, now: int, bank: int, write: int, maintenance: bool) -> None:
    """Close a row, for the bank's oldest request for another or (`maintenance`) for a refresh."""
    words = bank_at(state, base, bank)
    state[u(words + ix.B_PRE_MOMENT)] = moment_of(state, base, ix.PRE, bank, state[u(words + ix.B_TOP)])
    state[u(words + ix.B_PRE_TICK)] = now
    if not maintenance:
        at = slot_at(state, base, write, state[u(queue_at(state, base, write, bank) + ix.Q_MISS)])
        _count(state, base, state[u(at + ix.S_COUNTED)], write, 2)
        state[u(at + ix.S_COUNTED)] = 1
    log(state, base, ix.PRE, bank, state[u(words + ix.B_ROW)], now)
    bind(state, base, ix.PRE, bank, now)
    closed(state, base, bank)


@routine()
def issue_scope(state: IntArray, base: int, now: int, command: int, first: int) -> None:
    """Precharge or refresh all banks of the scope that begins with bank `first`; rules of one bank bind each."""
    log(state, base, command, first, ix.NONE, now)
    moment = moment_of_scope(state, base, command, first)
    bind(state, base, command, first, now)
    if command == ix.PREA:
        for bank in range(first, first + state[ix.P_SCOPE_BANKS]):
            words = bank_at(state, base, bank)
            state[u(words + ix.B_PRE_MOMENT)] = (moment >> ix.MOMENT_BITS) * ix.MOMENT + ix.REFRESHING
            state[u(words + ix.B_PRE_TICK)] = now
            if state[u(words + ix.B_STATE)] == ix.OPEN:
                closed(state, base, bank)
