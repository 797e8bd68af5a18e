"""A channel at work: which command comes when, run by run (S4)."""

from __future__ import annotations

from cairn.base.kernel import u
from cairn.hw_models.dram.control import layout as ix
from cairn.hw_models.dram.control.account import charge_burst, share_at
from cairn.hw_models.dram.control.choose import (
    CHOICE,
    PRECHARGE,
    PRECHARGE_ALL,
    REFRESH_ALL,
    column_command,
    pick_refresh,
    update_mode,
)
from cairn.hw_models.dram.control.issue import issue_scope
from cairn.hw_models.dram.control.moments import bind, bind_bus, log, log_only, moment_of
from cairn.hw_models.dram.control.queues import bank_at, enter_active, inner, leave_active, routine
from cairn.hw_models.dram.control.step import refresh_timer
from cairn.hw_models.dram.stack import layout as sx
from cairn.hw_models.dram.stack.pim import ONE_RANK, next_step, step
from cairn.hw_models.dram.stack.pim_requests import has_open_rows, is_at_rest
from cairn.hw_models.dram.stack.runs import enter_freed, is_newest, leave, offer, overdue_from, run_at, same_queue_next
from cairn.hw_models.dram.stack.streams import announce, extra_at, free_slot, is_claimed, slot_at
from cairn.hw_models.server import DONE, FIRST, IntArray


@inner()
def _tick(state: IntArray, base: int, command: int, bank: int, now: int) -> int:
    """First tick after `now` at which a command may issue."""
    return int(max(moment_of(state, base, command, bank, ONE_RANK) >> ix.MOMENT_BITS, now + 1))


@inner()
def _mode(state: IntArray, base: int, tick: int) -> int:
    """Whether writes are served at `tick` (K4, S4)."""
    if overdue_from(state, base) <= tick:
        state[u(base + ix.C_WRITING)] = 1
        return 1
    return update_mode(state, base)


@routine()
def _next_active(state: IntArray, base: int, now: int) -> tuple[int, int]:
    """(tick, bank) of the next column command of a request that was activated for: the earliest, then the oldest."""
    best, chosen, oldest = ix.FAR, ix.NONE, 0
    for place in range(state[u(base + ix.C_ACTIVE)]):
        bank = state[u(base + state[ix.P_ACTIVE_AT] + place)]
        words = bank_at(state, base, bank)
        tick = _tick(state, base, column_command(state[u(words + ix.B_A_WRITE)]), bank, now)
        if tick < best or (tick == best and state[u(words + ix.B_A_ORDER)] < oldest):
            best, chosen, oldest = tick, bank, state[u(words + ix.B_A_ORDER)]
    return best, chosen


@inner()
def _is_hit(state: IntArray, words: int, at: int) -> bool:
    return bool(state[u(words + ix.B_STATE)] == ix.OPEN and state[u(words + ix.B_ROW)] == state[u(at + sx.U_ROW)])


@routine()
def _next_hit(state: IntArray, base: int, now: int, write: int) -> tuple[int, int, int]:
    """(tick, place, until) of the next column command of a row hit: the earliest, then the oldest; from `until` on an
    older one takes precedence."""
    best, chosen, until = ix.FAR, ix.NONE, ix.FAR
    command = column_command(write)
    gate = max(state[u(base + state[ix.P_GATES_AT] + command * state[ix.P_TOPS])] >> ix.MOMENT_BITS, now + 1)
    for place in range(state[u(extra_at(state, base) + sx.X_RUNS)]):
        at = run_at(state, base, place)
        if state[u(at + sx.U_WRITE)] != write or state[u(at + sx.U_LEFT)] == 0:
            continue
        bank = state[u(at + sx.U_BANK)]
        buffered = bank == state[ix.P_BANKS]
        if buffered or (_is_hit(state, bank_at(state, base, bank), at) and not is_claimed(state, base, bank)):
            tick = gate if buffered else _tick(state, base, command, bank, now)  # S6: no bank is asked
            if tick < best:
                until = min(until, best)
                best, chosen = tick, place
            if tick == gate:
                break  # nothing is earlier, and nothing behind it is older
    return best, chosen, until


@inner()
def _hits_before(state: IntArray, base: int, place: int, write: int, bank: int) -> int:
    """Bursts in the queue of the oldest run that hits the open row of `bank` (frfcfs_row_hit), if it is older than
    the one at `place`, else 0."""
    row = state[u(bank_at(state, base, bank) + ix.B_ROW)]
    for older in range(place):
        at = run_at(state, base, older)
        hits = state[u(at + sx.U_BANK)] == bank and state[u(at + sx.U_ROW)] == row
        if hits and state[u(at + sx.U_WRITE)] == write and state[u(at + sx.U_LEFT)] > 0:
            return int(state[u(at + sx.U_LEFT)])
    return 0


@routine()
def _next_row(state: IntArray, base: int, now: int, write: int) -> tuple[int, int]:
    """(tick, place) of the next activate or precharge for a waiting run: the earliest, then the oldest. X_BLOCKED
    counts the row hits that must issue before a precharge that would be earlier may be."""
    best, chosen, extra = ix.FAR, ix.NONE, extra_at(state, base)
    state[u(extra + sx.X_BLOCKED)] = ix.FAR
    for place in range(state[u(extra + sx.X_RUNS)]):
        at = run_at(state, base, place)
        if state[u(at + sx.U_WRITE)] != write or state[u(at + sx.U_LEFT)] == 0:
            continue
        bank = state[u(at + sx.U_BANK)]
        if bank == state[ix.P_BANKS] or is_claimed(state, base, bank):  # S6, S7
            continue
        words = bank_at(state, base, bank)
        if state[u(words + ix.B_STATE)] == ix.CLOSED:
            tick = _tick(state, base, ix.ACT, bank, now)
        elif state[u(words + ix.B_ROW)] == state[u(at + sx.U_ROW)] or state[u(words + ix.B_ACTIVE)]:
            continue
        else:
            tick = _tick(state, base, ix.PRE, bank, now)
            if tick >= best:
                continue
            hits = _hits_before(state, base, place, write, bank)
            if hits > 0:
                state[u(extra + sx.X_BLOCKED)] = min(state[u(extra + sx.X_BLOCKED)], hits)
                continue
        if tick < best:
            best, chosen = tick, place
    return best, chosen


@routine()
def _serve(state: IntArray, base: int, slot: int, tick: int, bursts: int, spacing: int) -> None:
    """Bursts of a request issue at `tick`, `tick + spacing`, ...: announce what completes (S5)."""
    at = slot_at(state, base, slot)
    task = state[u(at + sx.S_TASK)]
    if state[u(at + sx.S_WAITS_FIRST)]:
        state[u(at + sx.S_WAITS_FIRST)] = 0
        announce(state, base, tick + state[ix.P_READ], 2 * task + FIRST)
    state[u(at + sx.S_WAITING)] -= bursts
    if state[u(at + sx.S_WAITING)] == 0 and state[u(at + sx.S_LEFT)] == 0:
        last = tick + (bursts - 1) * spacing
        announce(state, base, last + state[ix.P_READ], 2 * task + DONE)
        free_slot(state, base, slot)


@inner()
def _column(state: IntArray, base: int, words: int, bank: int, write: int, tick: int, bursts: int) -> None:
    """Bursts of one bank, or of PIM buffers, issue back to back from `tick` on: rules, counts and time of the bus."""
    command = column_command(write)
    last = tick + (bursts - 1) * state[sx.P_SPACING]
    state[u(base + ix.C_COUNTS + command)] += bursts
    if state[ix.P_LOG_SIZE] > 0 and bank < state[ix.P_BANKS]:
        for number in range(bursts):
            at = tick + number * state[sx.P_SPACING]
            log_only(state, base, command, bank, state[u(words + ix.B_ROW)], at)
    if bursts > 1:
        shares = share_at(state, base, ONE_RANK)
        state[u(shares + ix.DATA_BUS)] += (bursts - 1) * state[ix.P_BURST]
        state[u(shares + ix.COMMAND_BUS)] += (bursts - 1) * (state[sx.P_SPACING] - state[ix.P_BURST])
        state[u(base + state[ix.P_BUS_FREE_AT])] = last + state[ix.P_BURST]
    if bank < state[ix.P_BANKS]:
        bind(state, base, command, bank, last)
    else:
        bind_bus(state, base, command, last)
    state[u(base + ix.C_CLK)] = last


@routine()
def _issue_active(state: IntArray, base: int, tick: int, bank: int) -> None:
    """The read or write that a bank was activated for."""
    words = bank_at(state, base, bank)
    write = state[u(words + ix.B_A_WRITE)]
    moment = moment_of(state, base, column_command(write), bank, ONE_RANK)
    charge_burst(state, base, words, tick, moment, state[u(words + ix.B_A_ACCEPTED)], state[u(words + ix.B_A_OFFERED)])
    leave_active(state, base, bank)
    _column(state, base, words, bank, write, tick, 1)
    _serve(state, base, state[u(words + ix.B_A_TAG)], tick, 1, 0)


@inner()
def _back_to_back(state: IntArray, base: int, place: int, tick: int, horizon: int, now: int) -> int:
    """How many bursts of the hit at `place` issue from `tick` on before anything else can happen, `horizon` at the
    latest: while one direction waits, until the run ends or another begins to enter. That one needs a free slot after
    those that the newest run takes, or begins with the last of them where the other queue has room."""
    extra, at = extra_at(state, base), run_at(state, base, place)
    if not state[sx.P_ONE_GROUP]:
        return 1
    pending, write = state[u(extra + sx.X_PENDING)], state[u(at + sx.U_WRITE)]
    newest = run_at(state, base, state[u(extra + sx.X_RUNS)] - 1)
    bursts = state[u(at + sx.U_LEFT)]
    enters = pending == 0 or state[u(newest + sx.U_WRITE)] == write  # else the newest run waits for its own queue
    if enters:
        if pending > 0 and state[u(newest + sx.U_LEFT)] == 0:
            return 1  # the newest run gets its first burst into the queue
        if is_newest(state, base, place):
            bursts += pending
        if state[u(extra + sx.X_ENTERING)] > 0:
            bursts = min(bursts, max(1, pending + same_queue_next(state, base, now, write)))
    if state[u(base + ix.C_WAITING_READS + 1 - write)] > 0:  # as long as the same queue stays the one that is served
        kept = max(1, state[ix.P_LEAVE_WRITES]) if write else 1
        bursts = min(bursts, state[u(base + ix.C_WAITING_READS + write)] - kept)
    return int(max(1, min(bursts, 1 + (horizon - 1 - tick) // state[sx.P_SPACING])))


@routine()
def _issue_hit(state: IntArray, base: int, tick: int, place: int, bursts: int) -> bool:
    """Reads or writes of the row hit at `place`; answers whether its run has ended."""
    at = run_at(state, base, place)
    bank, write, slot = state[u(at + sx.U_BANK)], state[u(at + sx.U_WRITE)], state[u(at + sx.U_SLOT)]
    command, buffered = column_command(write), bank == state[ix.P_BANKS]
    words = bank_at(state, base, 0 if buffered else bank)
    if buffered:  # S6: neither hit nor miss, as no bank is asked
        moment = state[u(base + state[ix.P_GATES_AT] + command * state[ix.P_TOPS])]
    else:
        state[u(base + ix.C_READ_HITS + 3 * write)] += bursts - state[u(at + sx.U_COUNTED)]
        moment = moment_of(state, base, command, bank, ONE_RANK)
    arrived = state[u(slot_at(state, base, slot) + sx.S_ARRIVED)]
    charge_burst(state, base, words, tick, moment, state[u(at + sx.U_STAMP)], arrived)
    _column(state, base, words, bank, write, tick, bursts)
    enter_freed(state, base, write, bursts - 1)
    ended = leave(state, base, place, bursts)
    _serve(state, base, slot, tick, bursts, state[sx.P_SPACING])
    return bool(ended)


@routine()
def _issue_activate(state: IntArray, base: int, tick: int, place: int) -> None:
    """Open the row of the run at `place`; its first burst leaves the queue and waits for its column command."""
    at = run_at(state, base, place)
    bank, write, slot = state[u(at + sx.U_BANK)], state[u(at + sx.U_WRITE)], state[u(at + sx.U_SLOT)]
    words = bank_at(state, base, bank)
    state[u(words + ix.B_ACT_MOMENT)] = moment_of(state, base, ix.ACT, bank, ONE_RANK)
    state[u(words + ix.B_ACT_TICK)] = tick
    if state[u(at + sx.U_COUNTED)] == 0:
        state[u(base + ix.C_READ_MISSES + 3 * write)] += 1
    enter_active(state, base, bank, state[u(at + sx.U_SEQUENCE)])
    state[u(words + ix.B_A_ACCEPTED)] = state[u(at + sx.U_STAMP)]
    state[u(words + ix.B_A_OFFERED)] = state[u(slot_at(state, base, slot) + sx.S_ARRIVED)]
    state[u(words + ix.B_A_TAG)] = slot
    state[u(words + ix.B_A_WRITE)] = write
    state[u(words + ix.B_ROW)] = state[u(at + sx.U_ROW)]
    state[u(words + ix.B_STATE)] = ix.OPEN
    log(state, base, ix.ACT, bank, state[u(at + sx.U_ROW)], tick)
    bind(state, base, ix.ACT, bank, tick)
    leave(state, base, place, 1)


@routine()
def _issue_precharge(state: IntArray, base: int, tick: int, bank: int) -> None:
    words = bank_at(state, base, bank)
    state[u(words + ix.B_PRE_MOMENT)] = moment_of(state, base, ix.PRE, bank, ONE_RANK)
    state[u(words + ix.B_PRE_TICK)] = tick
    state[u(words + ix.B_STATE)] = ix.CLOSED
    log(state, base, ix.PRE, bank, state[u(words + ix.B_ROW)], tick)
    bind(state, base, ix.PRE, bank, tick)


@routine()
def _issue_row(state: IntArray, base: int, tick: int, place: int) -> None:
    """The activate or the precharge that the run at `place` asks for."""
    at = run_at(state, base, place)
    bank = state[u(at + sx.U_BANK)]
    if state[u(bank_at(state, base, bank) + ix.B_STATE)] == ix.CLOSED:
        _issue_activate(state, base, tick, place)
        return
    if state[u(at + sx.U_COUNTED)] == 0:
        state[u(base + ix.C_READ_CONFLICTS + 3 * state[u(at + sx.U_WRITE)])] += 1
        state[u(at + sx.U_COUNTED)] = 1
    _issue_precharge(state, base, tick, bank)


@routine()
def _issue_refresh(state: IntArray, base: int, tick: int, choice: int) -> None:
    kind, bank = choice // CHOICE, choice % CHOICE
    if kind == PRECHARGE:
        _issue_precharge(state, base, tick, bank)
    elif kind == PRECHARGE_ALL:
        issue_scope(state, base, tick, ix.PREA, bank)
    else:
        issue_scope(state, base, tick, ix.REF if kind == REFRESH_ALL else ix.REFPB, bank)
        head = state[u(base + ix.C_DUE_HEAD)] + 1
        state[u(base + ix.C_DUE_HEAD)] = head if head < state[ix.P_DUE_SIZE] else 0
        state[u(base + ix.C_DUE)] -= 1


@routine()
def _row_slot(state: IntArray, base: int, tick: int) -> None:
    """The row bus at `tick`, after the column bus."""
    if state[u(base + ix.C_DUE)] > 0:
        choice = ix.NONE if has_open_rows(state, base) else pick_refresh(state, base, tick)[0]
        if choice != ix.NONE:
            _issue_refresh(state, base, tick, choice)
        return
    write = _mode(state, base, tick)
    if state[u(base + ix.C_WAITING_READS + write)] > 0:
        at, place = _next_row(state, base, tick - 1, write)
        if at == tick:
            _issue_row(state, base, tick, place)


@inner()
def _runs_ahead(state: IntArray, base: int, bank: int, hit_tick: int, row_tick: int) -> bool:
    """Whether the row command at `row_tick`, to `bank`, may be done before the row hits from `hit_tick` on
    that precede it.

    It may if they do not touch each other: one direction waits, so the same queue is served throughout, and until then
    no run begins, so no other row command can come first; the slot that an activate frees is taken by the newest run,
    which has more bursts to enter than slots will be free; nobody waits for the row that a precharge closes, whose
    reads would put it off; and not so many hits issue that another bank has no more of them and may be precharged.
    """
    extra = extra_at(state, base)
    reads, writes = state[u(base + ix.C_WAITING_READS)], state[u(base + ix.C_WAITING_WRITES)]
    if not state[sx.P_ONE_GROUP] or (reads > 0 and writes > 0) or state[u(base + ix.C_DUE)] > 0:
        return False
    if not is_at_rest(state, base):
        return False
    words = bank_at(state, base, bank)
    for other in range(state[u(extra + sx.X_RUNS)]):
        at = run_at(state, base, other)
        if state[u(at + sx.U_BANK)] == bank and _is_hit(state, words, at):
            return False
    before = (row_tick - hit_tick) // state[sx.P_SPACING] + 2
    if state[u(extra + sx.X_BLOCKED)] <= before:
        return False
    newest = run_at(state, base, state[u(extra + sx.X_RUNS)] - 1)
    same = state[u(newest + sx.U_WRITE)] == (1 if writes > 0 else 0)
    return bool(same and state[u(extra + sx.X_PENDING)] > before and state[u(newest + sx.U_LEFT)] > 0)


@inner()
def _apart(state: IntArray, base: int, now: int) -> int:
    """The next tick after `now` at which the queues must be looked at anew whatever the commands: a refresh falls due,
    a request arrives, or a waiting write becomes overdue at the tick after."""
    tick = state[u(base + ix.C_NEXT_REFRESH)]
    arrival = state[u(extra_at(state, base) + sx.X_NEXT_ARRIVAL)]
    if arrival > now:
        tick = min(tick, arrival)
    overdue = overdue_from(state, base) - 1
    if overdue > now:
        tick = min(tick, overdue)
    return int(tick)


@routine()
def work(state: IntArray, base: int, limit: int) -> None:
    """Do every tick before `limit`. C_CLK is the last tick at which something happened.

    `row_tick`, once found, stays a lower bound while only row hits issue and no run begins: banks stay as they are.
    """
    extra = extra_at(state, base)
    state[u(extra + sx.X_LIMIT)] = max(state[u(extra + sx.X_LIMIT)], limit)
    row_tick, row_bank, row_write = ix.NONE, ix.NONE, ix.NONE
    while state[u(base + ix.C_CLK)] + 1 < limit:
        now = state[u(base + ix.C_CLK)]
        if offer(state, base, now):
            row_tick = ix.NONE
        hit_tick, place, until, bank = ix.FAR, ix.NONE, ix.FAR, ix.NONE
        active_tick = ix.FAR
        if state[u(base + ix.C_ACTIVE)] > 0:
            active_tick, bank = _next_active(state, base, now)
        if state[u(base + ix.C_DUE)] > 0:
            row_tick, row_write = max(pick_refresh(state, base, now)[1], now + 1), ix.NONE
            if has_open_rows(state, base):  # S8
                row_tick = ix.FAR
        else:
            write = _mode(state, base, now + 1)
            if state[u(base + ix.C_WAITING_READS + write)] > 0:
                hit_tick, place, until = _next_hit(state, base, now, write)
            if row_tick == ix.NONE or row_write != write:
                row_tick, row_place = _next_row(state, base, now, write)
                row_write = write
                if row_place != ix.NONE:
                    row_bank = state[u(run_at(state, base, row_place) + sx.U_BANK)]
        apart, pim_tick = _apart(state, base, now), next_step(state, base, now)
        alone = hit_tick < row_tick < min(min(active_tick, apart), limit)
        if alone and _runs_ahead(state, base, row_bank, hit_tick, row_tick):
            _row_slot(state, base, row_tick)
            row_tick = ix.NONE
            continue
        tick = min(min(min(active_tick, hit_tick), min(row_tick, apart)), pim_tick)
        if tick >= limit:
            return
        if tick == state[u(base + ix.C_NEXT_REFRESH)]:
            _refresh_tick(state, base, tick)
            row_tick = ix.NONE
            continue
        state[u(base + ix.C_CLK)] = tick
        if pim_tick == tick:
            step(state, base, tick)
            row_tick = ix.NONE
        elif active_tick == tick:
            _issue_active(state, base, tick, bank)
            if row_tick == tick:
                _row_slot(state, base, tick)
            row_tick = ix.NONE
        elif hit_tick == tick:
            horizon = min(min(min(active_tick, row_tick), pim_tick), min(min(apart, until), limit))
            bursts = _back_to_back(state, base, place, tick, horizon, now)
            ended = _issue_hit(state, base, tick, place, bursts)
            state[u(extra + sx.X_BLOCKED)] -= bursts
            if _mode(state, base, state[u(base + ix.C_CLK)]) != row_write:  # the row bus looks at the other queue
                _row_slot(state, base, state[u(base + ix.C_CLK)])
                row_tick = ix.NONE
            elif row_tick == tick:
                _row_slot(state, base, tick)
                row_tick = ix.NONE
            elif ended and state[u(extra + sx.X_BLOCKED)] <= 0:
                row_tick = ix.NONE
        elif row_tick == tick:
            _row_slot(state, base, tick)
            row_tick = ix.NONE


@routine()
def _refresh_tick(state: IntArray, base: int, tick: int) -> None:
    """A tick at which a refresh falls due: only it and requests that were activated for may issue a command."""
    state[u(base + ix.C_CLK)] = tick
    refresh_timer(state, base)
    active_tick, bank = _next_active(state, base, tick - 1)
    if active_tick == tick:
        _issue_active(state, base, tick, bank)
    _row_slot(state, base, tick)
