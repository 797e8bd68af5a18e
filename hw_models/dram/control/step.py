"""One tick of a channel's controller: at most one command, or one for each of the row and the column bus."""

from __future__ import annotations

from typing import Final

from cairn.base.kernel import u
from cairn.hw_models.dram.control import choose
from cairn.hw_models.dram.control import layout as ix
from cairn.hw_models.dram.control.choose import (
    CHOICE,
    column_command,
    pick_active,
    pick_in_order,
    pick_refresh,
    pick_waiting,
    update_mode,
)
from cairn.hw_models.dram.control.issue import issue_activate, issue_column, issue_precharge, issue_scope, open_row
from cairn.hw_models.dram.control.moments import log_only, moment_of
from cairn.hw_models.dram.control.queues import bank_at, inner, routine
from cairn.hw_models.server import ERROR, IntArray

OVERDUE: Final = 2
"""`state[ERROR]`: refreshes fall due faster than they can be done."""


@inner()
def _enlist_due(state: IntArray, base: int, bank: int) -> None:
    if state[u(base + ix.C_DUE)] >= state[ix.P_DUE_SIZE]:
        state[ERROR] = OVERDUE
        return
    tail = state[u(base + ix.C_DUE_HEAD)] + state[u(base + ix.C_DUE)]
    if tail >= state[ix.P_DUE_SIZE]:
        tail -= state[ix.P_DUE_SIZE]
    state[u(base + state[ix.P_DUE_AT] + tail)] = bank
    state[u(base + ix.C_DUE)] += 1


@routine()
def refresh_timer(state: IntArray, base: int) -> None:
    """At every multiple of the interval: one refresh of every scope, or of the next bank (of each pseudo-channel where
    these have their own banks in step, as HBM3 has)."""
    state[u(base + ix.C_NEXT_REFRESH)] += state[ix.P_REFI]
    banks = state[ix.P_BANKS]
    if state[ix.P_REFRESH] == ix.ALL_BANK:
        for first in range(0, banks, state[ix.P_SCOPE_BANKS]):
            _enlist_due(state, base, first)
        return
    unit = state[u(base + ix.C_REFRESH_UNIT)]
    if state[ix.P_PAIRED]:
        share = banks // state[ix.P_PSEUDO]
        for pseudo in range(state[ix.P_PSEUDO]):
            _enlist_due(state, base, pseudo * share + unit)
        state[u(base + ix.C_REFRESH_UNIT)] = unit + 1 if unit + 1 < share else 0
    else:
        _enlist_due(state, base, unit)
        state[u(base + ix.C_REFRESH_UNIT)] = unit + 1 if unit + 1 < banks else 0


@inner()
def _is_column(choice: int) -> bool:
    return choice < choose.ACTIVATE * CHOICE


@routine()
def _in_order(state: IntArray, base: int, now: int, columns: bool, rows: bool) -> int:
    """The oldest request's command if it may issue now on the buses asked for."""
    choice = pick_in_order(state, base, now)
    if choice == ix.NONE or not (columns if _is_column(choice) else rows):
        return ix.NONE
    kind, bank = choice // CHOICE, choice % CHOICE
    words = bank_at(state, base, bank)
    if kind == choose.COLUMN_HIT:
        command = column_command(state[u(base + ix.C_WRITING)])
        blocked = state[u(base + ix.C_ACTIVE)] > 0 or state[u(base + ix.C_SPLIT_BANK)] != ix.NONE
    else:
        command = ix.ACT if kind == choose.ACTIVATE else ix.PRE
        is_split = state[u(base + ix.C_SPLIT_BANK)] != ix.NONE
        blocked = state[u(words + ix.B_ACTIVE)] != 0 or (command == ix.ACT and is_split)
        if state[ix.P_HALF_TICKS] and now % 2 == 0:
            blocked = blocked or command == ix.ACT
            blocked = blocked or not choose.may_pair(state, base, now, state[u(words + ix.B_PSEUDO)], bank)
    tick = moment_of(state, base, command, bank, state[u(words + ix.B_TOP)]) >> ix.MOMENT_BITS
    return ix.NONE if blocked or tick > now else int(choice)


@routine()
def _pick(state: IntArray, base: int, now: int, columns: bool, rows: bool) -> int:
    """The choice for a slot: activated-for requests first, then refreshes that are due; others only if none is due."""
    if columns:
        bank = pick_active(state, base, now)
        if bank != ix.NONE:
            return choose.COLUMN_ACTIVE * CHOICE + bank
    if state[u(base + ix.C_DUE)] > 0:
        return pick_refresh(state, base, now)[0] if rows else ix.NONE
    if state[ix.P_SCHEDULER] == ix.FCFS:
        return _in_order(state, base, now, columns, rows)
    return pick_waiting(state, base, now, columns, rows)


@inner()
def _note_rising(state: IntArray, base: int, now: int, choice: int) -> None:
    """Half-tick rule: what a precharge on the next falling edge (after an activate, the one after) may not be."""
    kind, bank = choice // CHOICE, choice % CHOICE
    state[u(base + ix.C_PAIR_TICK)] = now + (3 if kind == choose.ACTIVATE else 1)
    state[u(base + ix.C_PAIR_PSEUDO)] = state[u(bank_at(state, base, bank) + ix.B_PSEUDO)]
    of_all = kind == choose.PRECHARGE_ALL or kind == choose.REFRESH_ALL
    state[u(base + ix.C_PAIR_BANK)] = ix.NONE if of_all else bank


@routine()
def _issue(state: IntArray, base: int, now: int, choice: int) -> None:
    kind, bank = choice // CHOICE, choice % CHOICE
    write = state[u(base + ix.C_WRITING)]
    due = state[u(base + ix.C_DUE)] > 0
    if kind <= choose.COLUMN_HIT:
        issue_column(state, base, now, bank, kind == choose.COLUMN_ACTIVE, write)
    elif kind == choose.ACTIVATE:
        issue_activate(state, base, now, bank, write)
    elif kind == choose.PRECHARGE:
        issue_precharge(state, base, now, bank, write, due)
    elif kind == choose.PRECHARGE_ALL:
        issue_scope(state, base, now, ix.PREA, bank)
    else:
        issue_scope(state, base, now, ix.REF if kind == choose.REFRESH_ALL else ix.REFPB, bank)
        head = state[u(base + ix.C_DUE_HEAD)] + 1
        state[u(base + ix.C_DUE_HEAD)] = head if head < state[ix.P_DUE_SIZE] else 0
        state[u(base + ix.C_DUE)] -= 1


@routine()
def _second_activate(state: IntArray, base: int, now: int) -> None:
    bank = state[u(base + ix.C_SPLIT_BANK)]
    state[u(base + ix.C_SPLIT_BANK)] = ix.NONE
    log_only(state, base, ix.SECOND_ACT, bank, state[u(bank_at(state, base, bank) + ix.B_ROW)], now)
    open_row(state, base, bank)


@inner()
def _run_clock(state: IntArray, base: int, now: int, write: int) -> None:
    runs = state[ix.P_CLOCK_WRITE] if write else state[ix.P_CLOCK_READ]
    state[u(base + ix.C_CLOCK_UNTIL)] = max(state[u(base + ix.C_CLOCK_UNTIL)], now + runs)


@routine()
def _step_split(state: IntArray, base: int, now: int) -> bool:
    """A tick where activates are split in two and reads and writes need a running data clock (LPDDR5).

    The second command of an activate takes the first slot that nothing else takes, at its deadline before all else. A
    column command whose clock has stopped gives its slot to a command that starts it and takes the next one.
    """
    split = state[u(base + ix.C_SPLIT_BANK)] != ix.NONE
    if split and state[u(base + ix.C_SPLIT_DEADLINE)] <= now:
        _second_activate(state, base, now)
        return True
    choice = state[u(base + ix.C_PENDING_COLUMN)]
    started = choice != ix.NONE
    if not started:
        choice = _pick(state, base, now, True, True)
    if choice == ix.NONE:
        if split:
            _second_activate(state, base, now)
        return bool(split)
    if _is_column(choice) and state[ix.P_DATA_CLOCK]:
        bank = choice % CHOICE
        active = choice // CHOICE == choose.COLUMN_ACTIVE
        write = state[u(bank_at(state, base, bank) + ix.B_A_WRITE)] if active else state[u(base + ix.C_WRITING)]
        if not started and now >= state[u(base + ix.C_CLOCK_UNTIL)]:
            if split and state[u(base + ix.C_SPLIT_DEADLINE)] <= now + 1:
                _second_activate(state, base, now)
                return True
            state[u(base + ix.C_PENDING_COLUMN)] = choice
            log_only(state, base, ix.CLOCK_START, bank, ix.NONE, now)
            return True
        _run_clock(state, base, now, write)
        state[u(base + ix.C_PENDING_COLUMN)] = ix.NONE
    _issue(state, base, now, choice)
    return True


@routine()
def step(state: IntArray, base: int, now: int) -> bool:
    """Do tick `now` (after C_CLK); answers whether a command issued. C_DONE tells of a column command."""
    state[u(base + ix.C_CLK)] = now
    state[u(base + ix.C_DONE)] = 0
    if now == state[u(base + ix.C_NEXT_REFRESH)]:
        refresh_timer(state, base)
    if state[ix.P_SPLIT] or state[ix.P_DATA_CLOCK]:
        return bool(_step_split(state, base, now))
    if not state[ix.P_TWO_BUSES]:
        choice = _pick(state, base, now, True, True)
        if choice == ix.NONE:
            return False
        _issue(state, base, now, choice)
        return True
    issued = False
    rising = state[ix.P_HALF_TICKS] == 0 or now % 2 == 1
    if rising:
        choice = _pick(state, base, now, True, False)
        if choice != ix.NONE:
            _issue(state, base, now, choice)
            issued = True
    choice = _pick(state, base, now, False, True)
    if choice != ix.NONE:
        if state[ix.P_HALF_TICKS] and rising:
            _note_rising(state, base, now, choice)
        _issue(state, base, now, choice)
        issued = True
    return issued


@inner()
def _on_rising(state: IntArray, tick: int) -> int:
    return int(tick + 1 if state[ix.P_HALF_TICKS] and tick % 2 == 0 else tick)


@routine()
def next_tick(state: IntArray, base: int) -> int:
    """The next tick at which a command may issue or a refresh falls due, if nothing arrives and none issued now."""
    now = state[u(base + ix.C_CLK)]
    if state[u(base + ix.C_SPLIT_BANK)] != ix.NONE or state[u(base + ix.C_PENDING_COLUMN)] != ix.NONE:
        return int(now + 1)
    tick = min(state[u(base + ix.C_NEXT_REFRESH)], ix.FAR)
    if state[u(base + ix.C_ACTIVE)] > 0:
        tick = min(tick, _on_rising(state, state[u(base + ix.C_ACTIVE_NEXT)]))
    if state[u(base + ix.C_DUE)] > 0:
        return int(max(now + 1, min(tick, pick_refresh(state, base, now)[1])))
    write = update_mode(state, base)
    if state[u(base + ix.C_WAITING_READS + write)] > 0:
        if state[ix.P_SCHEDULER] == ix.FCFS:
            return int(max(now + 1, min(tick, _in_order_from(state, base, now))))
        following, lengths = base + ix.C_NEXT + ix.KINDS_OF_LIST * write, base + ix.C_LENGTH + ix.KINDS_OF_LIST * write
        if state[u(lengths + ix.HITS)] > 0:
            tick = min(tick, _on_rising(state, state[u(following + ix.HITS)]))
        if state[u(lengths + ix.CLOSED_BANKS)] > 0:
            tick = min(tick, _on_rising(state, state[u(following + ix.CLOSED_BANKS)]))
        if state[u(lengths + ix.MISSES)] > 0:
            tick = min(tick, state[u(following + ix.MISSES)])
    return int(max(now + 1, tick))


@routine()
def _in_order_from(state: IntArray, base: int, now: int) -> int:
    """From when on the oldest request's command may issue; FAR when it waits for another command."""
    choice = pick_in_order(state, base, now)
    kind, bank = choice // CHOICE, choice % CHOICE
    words = bank_at(state, base, bank)
    command = ix.ACT if kind == choose.ACTIVATE else ix.PRE
    if kind == choose.COLUMN_HIT:
        if state[u(base + ix.C_ACTIVE)] > 0:
            return ix.FAR
        command = column_command(state[u(base + ix.C_WRITING)])
    elif state[u(words + ix.B_ACTIVE)]:
        return ix.FAR
    return int(moment_of(state, base, command, bank, state[u(words + ix.B_TOP)]) >> ix.MOMENT_BITS)
