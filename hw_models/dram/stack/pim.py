"""The PIM units of a channel at work on rows of its banks (S7, S8).

At most one step of theirs comes at a tick: a claim, a precharge, an activate, the last MAC of a row, or a change of
mode. `next_step` says when the next one may come as things stand, `step` does it.
"""

from __future__ import annotations

from typing import Final

from cairn.base.kernel import u
from cairn.base.ticks import NEVER
from cairn.hw_models.dram.control import layout as ix
from cairn.hw_models.dram.control.moments import bind, log, moment_of
from cairn.hw_models.dram.control.queues import bank_at, inner, routine
from cairn.hw_models.dram.stack import layout as sx
from cairn.hw_models.dram.stack.pim_requests import columns_of_row, is_at_rest, is_wanted, spacing_of
from cairn.hw_models.dram.stack.streams import announce, extra_at, high_of, is_claimed, low_of, pim_head_at, ps_of
from cairn.hw_models.server import DONE, FIRST, IntArray

ONE_RANK: Final = 0
"""The rank of every bank: a channel of the stack has one."""


@inner()
def _latest(state: IntArray, base: int, command: int, only_open: bool) -> int:
    """The moment from which on all claimed banks (that are open) may have a command."""
    extra, moment = extra_at(state, base), 0
    for bank in range(state[u(extra + sx.X_PIM_LOW)], state[u(extra + sx.X_PIM_HIGH)]):
        if not only_open or state[u(bank_at(state, base, bank) + ix.B_STATE)] == ix.OPEN:
            moment = max(moment, moment_of(state, base, command, bank, ONE_RANK))
    return int(moment)


@inner()
def _row_moment(state: IntArray, base: int, command: int, bank: int) -> int:
    """Earliest moment of a row command of the units: to all claimed banks at once, or to `bank` (S8)."""
    if state[sx.P_PIM_TOGETHER]:
        return _latest(state, base, command, command == ix.PRE)
    return moment_of(state, base, command, bank, ONE_RANK)


@inner()
def _first_open(state: IntArray, base: int) -> int:
    """The lowest claimed bank with an open row, NONE where all are closed."""
    extra = extra_at(state, base)
    for bank in range(state[u(extra + sx.X_PIM_LOW)], state[u(extra + sx.X_PIM_HIGH)]):
        if state[u(bank_at(state, base, bank) + ix.B_STATE)] == ix.OPEN:
            return int(bank)
    return ix.NONE


@inner()
def _awaits_bursts(state: IntArray, base: int) -> bool:
    """Whether a claimed bank was activated for a burst that has not issued (S7)."""
    for place in range(state[u(base + ix.C_ACTIVE)]):
        if is_claimed(state, base, state[u(base + state[ix.P_ACTIVE_AT] + place)]):
            return True
    return False


@routine()
def _when_held(state: IntArray, base: int, now: int) -> int:
    """First tick after `now` of what comes next on claimed banks without a row of the units."""
    extra, at = extra_at(state, base), pim_head_at(state, base, 0)
    if state[u(extra + sx.X_PIM_COUNT)] == 0:  # the mode is left when somebody wants a bank (S7)
        wanted = is_wanted(state, base, state[u(extra + sx.X_PIM_LOW)], state[u(extra + sx.X_PIM_HIGH)], now)
        return int(max(now, state[u(extra + sx.X_PIM_FROM)]) + 1 if wanted else ix.FAR)
    if state[u(base + ix.C_DUE)] > 0 or _awaits_bursts(state, base):
        return ix.FAR
    earliest = max(max(now, state[u(at + sx.T_ARRIVED)]) + 1, state[u(extra + sx.X_PIM_FROM)])
    bank = _first_open(state, base)
    if bank != ix.NONE:
        return int(max(earliest, _row_moment(state, base, ix.PRE, bank) >> ix.MOMENT_BITS))
    moment = _row_moment(state, base, ix.ACT, state[u(at + sx.T_BANK)])
    return int(max(earliest, moment >> ix.MOMENT_BITS))


@routine()
def next_step(state: IntArray, base: int, now: int) -> int:
    """First tick after `now` at which the PIM units do something, FAR when others must do something before."""
    if state[sx.P_PIM] == 0 or is_at_rest(state, base):
        return ix.FAR
    extra = extra_at(state, base)
    phase = state[u(extra + sx.X_PIM_PHASE)]
    if phase == sx.REST:
        at = pim_head_at(state, base, 0)
        if state[u(base + ix.C_DUE)] > 0:
            return ix.FAR
        tick = max(now, state[u(at + sx.T_ARRIVED)]) + 1
        if is_wanted(state, base, low_of(state, at), high_of(state, at), now):
            tick = max(tick, state[u(extra + sx.X_PIM_FROM)])
        return int(tick)
    if phase == sx.HELD:
        return _when_held(state, base, now)
    if phase == sx.WORKING:
        return int(state[u(extra + sx.X_PIM_MAC)])
    if phase == sx.LEAVING:
        return int(max(now + 1, state[u(extra + sx.X_PIM_FROM)]))
    moment = _row_moment(state, base, ix.ACT if phase == sx.OPENING else ix.PRE, state[u(extra + sx.X_PIM_BANK)])
    return int(max(now + 1, moment >> ix.MOMENT_BITS))


@routine()
def _open(state: IntArray, base: int, bank: int, moment: int, tick: int) -> None:
    words, row = bank_at(state, base, bank), state[u(pim_head_at(state, base, 0) + sx.T_ROW)]
    state[u(words + ix.B_ACT_MOMENT)] = moment
    state[u(words + ix.B_ACT_TICK)] = tick
    state[u(words + ix.B_ROW)] = row
    state[u(words + ix.B_STATE)] = ix.OPEN
    log(state, base, ix.ACT, bank, row, tick)
    bind(state, base, ix.ACT, bank, tick)


@routine()
def _close(state: IntArray, base: int, bank: int, moment: int, tick: int) -> None:
    words = bank_at(state, base, bank)
    state[u(words + ix.B_PRE_MOMENT)] = moment
    state[u(words + ix.B_PRE_TICK)] = tick
    state[u(words + ix.B_STATE)] = ix.CLOSED
    log(state, base, ix.PRE, bank, state[u(words + ix.B_ROW)], tick)
    bind(state, base, ix.PRE, bank, tick)


@inner()
def _close_at(state: IntArray, base: int, bank: int, tick: int) -> None:
    """Precharge `bank`, or all claimed banks with open rows at once (S8)."""
    extra = extra_at(state, base)
    moment = _row_moment(state, base, ix.PRE, bank)
    low, high = bank, bank + 1
    if state[sx.P_PIM_TOGETHER]:
        low, high = state[u(extra + sx.X_PIM_LOW)], state[u(extra + sx.X_PIM_HIGH)]
    for member in range(low, high):
        if state[u(bank_at(state, base, member) + ix.B_STATE)] == ix.OPEN:
            _close(state, base, member, moment, tick)


@routine()
def _open_at(state: IntArray, base: int, tick: int) -> None:
    """Activate the next bank of the request, or all of them at once; behind the last one its MACs follow (S8)."""
    extra, at = extra_at(state, base), pim_head_at(state, base, 0)
    bank, end = state[u(extra + sx.X_PIM_BANK)], state[u(at + sx.T_BANK)] + state[u(at + sx.T_COUNT)]
    moment = _row_moment(state, base, ix.ACT, bank)
    last = end if state[sx.P_PIM_TOGETHER] else bank + 1
    for member in range(bank, last):
        _open(state, base, member, moment, tick)
    state[u(extra + sx.X_PIM_BANK)] = last
    state[u(extra + sx.X_PIM_PHASE)] = sx.OPENING
    if last == end:
        columns = columns_of_row(state, base)
        state[u(extra + sx.X_PIM_PHASE)] = sx.WORKING
        state[u(extra + sx.X_PIM_MAC)] = tick + state[sx.P_PIM_RCD] + (columns - 1) * spacing_of(state, base)
        state[u(extra + sx.X_PIM_BUSY)] += columns * spacing_of(state, base)


@routine()
def _last_mac(state: IntArray, base: int, tick: int) -> None:
    """The last MAC of a row: what completes is announced, and the banks may be closed t_rtp later (S8)."""
    extra, at = extra_at(state, base), pim_head_at(state, base, 0)
    columns, count = columns_of_row(state, base), state[u(at + sx.T_COUNT)]
    state[u(extra + sx.X_PIM_BYTES)] += columns * count * state[sx.P_PIM_COLUMN_BYTES]
    state[u(extra + sx.X_PIM_ROWS)] += count
    ready = base + state[ix.P_READY_AT] + ix.PRE * state[ix.P_BANKS]
    moment = (tick + state[sx.P_PIM_RTP]) * ix.MOMENT + ix.ROW_CYCLE
    for bank in range(state[u(at + sx.T_BANK)], state[u(at + sx.T_BANK)] + count):
        state[u(ready + bank)] = max(state[u(ready + bank)], moment)
    if state[u(at + sx.T_WAITS_FIRST)]:
        state[u(at + sx.T_WAITS_FIRST)] = 0
        announce(state, base, tick + state[ix.P_READ], 2 * state[u(at + sx.T_TASK)] + FIRST)
    state[u(at + sx.T_LEFT)] -= columns
    state[u(at + sx.T_COLUMN)] = 0
    state[u(at + sx.T_ROW)] += 1
    state[u(extra + sx.X_PIM_HELD)] += 1
    state[u(extra + sx.X_PIM_BANK)] = state[u(at + sx.T_BANK)]
    state[u(extra + sx.X_PIM_PHASE)] = sx.CLOSING
    if state[u(at + sx.T_LEFT)] == 0:
        announce(state, base, tick + state[ix.P_READ], 2 * state[u(at + sx.T_TASK)] + DONE)
        head = state[u(extra + sx.X_PIM_HEAD)] + 1
        state[u(extra + sx.X_PIM_HEAD)] = head if head < state[sx.P_PIM_REQUESTS] else 0
        state[u(extra + sx.X_PIM_COUNT)] -= 1


@routine()
def _after_row(state: IntArray, base: int, tick: int) -> None:
    """The row's banks are closed: go on, or give way to cores that want them (S7)."""
    extra = extra_at(state, base)
    wanted = is_wanted(state, base, state[u(extra + sx.X_PIM_LOW)], state[u(extra + sx.X_PIM_HIGH)], tick - 1)
    gives_way = wanted and state[u(extra + sx.X_PIM_HELD)] >= state[sx.P_PIM_TURN]
    if state[sx.P_PIM_EXCLUSIVE]:
        state[u(extra + sx.X_PIM_PHASE)] = sx.HELD
        state[u(extra + sx.X_PIM_FROM)] = tick
        if gives_way:
            _leave(state, base, tick)
        return
    _release(state, base)
    state[u(extra + sx.X_PIM_FROM)] = tick
    if gives_way:
        state[u(extra + sx.X_PIM_FROM)] = tick + state[sx.P_PIM_YIELD]
        state[u(extra + sx.X_PIM_HELD)] = 0


@inner()
def _leave(state: IntArray, base: int, tick: int) -> None:
    extra = extra_at(state, base)
    state[u(extra + sx.X_PIM_PHASE)] = sx.LEAVING
    state[u(extra + sx.X_PIM_FROM)] = tick + state[sx.P_PIM_CHANGE]


@inner()
def _release(state: IntArray, base: int) -> None:
    extra = extra_at(state, base)
    state[u(extra + sx.X_PIM_PHASE)] = sx.REST
    state[u(extra + sx.X_PIM_LOW)] = 0
    state[u(extra + sx.X_PIM_HIGH)] = 0


@routine()
def _step_held(state: IntArray, base: int, tick: int) -> None:
    extra = extra_at(state, base)
    if state[u(extra + sx.X_PIM_COUNT)] == 0:
        _leave(state, base, tick)
        return
    bank = _first_open(state, base)
    if bank != ix.NONE:
        _close_at(state, base, bank, tick)
        return
    state[u(extra + sx.X_PIM_BANK)] = state[u(pim_head_at(state, base, 0) + sx.T_BANK)]
    _open_at(state, base, tick)


@routine()
def step(state: IntArray, base: int, tick: int) -> None:
    """Do the step that `next_step` found for `tick`."""
    extra = extra_at(state, base)
    phase = state[u(extra + sx.X_PIM_PHASE)]
    if phase == sx.REST:
        at = pim_head_at(state, base, 0)
        state[u(extra + sx.X_PIM_LOW)] = low_of(state, at)
        state[u(extra + sx.X_PIM_HIGH)] = high_of(state, at)
        state[u(extra + sx.X_PIM_PHASE)] = sx.HELD
        state[u(extra + sx.X_PIM_FROM)] = tick + state[sx.P_PIM_CHANGE]
        state[u(extra + sx.X_PIM_CHANGES)] += state[sx.P_PIM_EXCLUSIVE]
    elif phase == sx.HELD:
        _step_held(state, base, tick)
    elif phase == sx.OPENING:
        _open_at(state, base, tick)
    elif phase == sx.WORKING:
        _last_mac(state, base, tick)
    elif phase == sx.LEAVING:
        _release(state, base)
        state[u(extra + sx.X_PIM_FROM)] = tick + state[sx.P_PIM_YIELD]
        state[u(extra + sx.X_PIM_HELD)] = 0
    else:
        _step_closing(state, base, tick)


@inner()
def _step_closing(state: IntArray, base: int, tick: int) -> None:
    extra = extra_at(state, base)
    _close_at(state, base, state[u(extra + sx.X_PIM_BANK)], tick)
    bank = _first_open(state, base)
    state[u(extra + sx.X_PIM_BANK)] = bank
    if bank == ix.NONE:
        _after_row(state, base, tick)


@routine()
def pim_bound(state: IntArray, base: int) -> int:
    """A lower bound (ps) on the next completion of the PIM requests: the MACs of the rows that are still to come."""
    if is_at_rest(state, base) or state[u(extra_at(state, base) + sx.X_PIM_COUNT)] == 0:
        return NEVER
    extra, at = extra_at(state, base), pim_head_at(state, base, 0)
    spacing, left, columns = spacing_of(state, base), state[u(at + sx.T_LEFT)], columns_of_row(state, base)
    if state[u(extra + sx.X_PIM_PHASE)] == sx.WORKING:
        tick = state[u(extra + sx.X_PIM_MAC)]
    else:
        tick = state[u(extra + sx.X_LIMIT)] + state[sx.P_PIM_RCD] + (columns - 1) * spacing
    if state[u(at + sx.T_WAITS_FIRST)] == 0:
        rows = (left - columns + state[sx.P_PIM_COLUMNS] - 1) // state[sx.P_PIM_COLUMNS]
        tick += rows * state[sx.P_PIM_BETWEEN] + (left - columns - rows) * spacing
    return ps_of(state, tick + state[ix.P_READ])
