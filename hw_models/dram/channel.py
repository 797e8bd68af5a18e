"""One DRAM channel: when its runs are admitted, and when their commands and data happen (rules D2 to D6).

`state` begins with the parameters (P_*); the channel's block begins at `base`, a request's slot at `slot` and a bank's
words at `bank` (offsets into one array: slices of it cost more than the work on them). A bank keeps its rules as two
ticks: B_PRE_AT before which it may not precharge, and B_ACT_AT before which it may not activate. Rules: see the
package's docstring.
"""

from __future__ import annotations

from cairn.base.ticks import NEVER
from cairn.hw_models.dram import layout as ix
from cairn.hw_models.dram.requests import (
    announce,
    bursts_of,
    inner_kernel,
    next_run_bytes,
    remove,
    slot_at,
    step,
    ticks_of,
)
from cairn.hw_models.server import DONE, FIRST, IntArray


@inner_kernel()
def next_admission(state: IntArray, base: int) -> int:
    """Earliest tick of the next admission, given that a request is present (D2)."""
    place_free = state[base + state[ix.P_BEGINS_AT] + state[base + ix.C_BEGINS_HEAD]]
    return int(max(place_free, state[base + ix.C_PRESENT_SINCE]))


@inner_kernel()
def commit(state: IntArray, base: int, limit: int) -> None:
    """Admit every run whose admission comes before `limit` (D2)."""
    while state[base + ix.C_ACTIVE] > 0:
        at = next_admission(state, base)
        if at >= limit:
            return
        _admit(state, base, at)


@inner_kernel()
def _admit(state: IntArray, base: int, at: int) -> None:
    """Admit the next run of the request whose turn it is, at tick `at`."""
    turn = state[base + ix.C_TURN]
    if turn == state[base + ix.C_ACTIVE]:
        turn = 0
    slot = slot_at(state, base, turn)
    run_bytes = next_run_bytes(state, slot)
    bursts, lasts = state[slot + ix.S_WHOLE_BURSTS], state[slot + ix.S_WHOLE_TICKS]
    if run_bytes != state[slot + ix.S_WHOLE]:
        bursts = bursts_of(state, run_bytes)
        lasts = ticks_of(state, bursts)
    begin = _issue(state, base, slot, at, lasts)

    head = state[base + ix.C_BEGINS_HEAD]
    state[base + state[ix.P_BEGINS_AT] + head] = begin
    state[base + ix.C_BEGINS_HEAD] = head + 1 if head + 1 < state[ix.P_WINDOW] else 0
    state[base + ix.C_BUSY] += lasts
    state[base + ix.C_PADDING] += bursts * state[ix.P_BURST_BYTES] - run_bytes
    if state[slot + ix.S_WRITES]:
        state[base + ix.C_BYTES_WRITTEN] += run_bytes
    else:
        state[base + ix.C_BYTES_READ] += run_bytes

    task = state[slot + ix.S_TASK]
    if state[slot + ix.S_WAITS_FIRST]:  # D6
        state[slot + ix.S_WAITS_FIRST] = 0
        announce(state, base, begin + state[ix.P_SLOT_TICKS], 2 * task + FIRST)
    state[base + ix.C_LAST_TASK] = task
    state[slot + ix.S_LEFT] -= run_bytes
    if state[slot + ix.S_LEFT] > 0:
        step(state, slot, run_bytes)
        state[base + ix.C_TURN] = turn + 1
    else:
        announce(state, base, begin + lasts, 2 * task + DONE)  # D6
        remove(state, base, turn)


@inner_kernel()
def _issue(state: IntArray, base: int, slot: int, at: int, lasts: int) -> int:
    """Fix the commands of a run admitted at `at` whose data last `lasts` ticks; answers when the data begin."""
    number = state[slot + ix.S_BANK_BASE] + state[slot + ix.S_BANK]
    bank = base + state[ix.P_BANKS_AT] + ix.BANK_WORDS * number
    row, write = state[slot + ix.S_ROW], state[slot + ix.S_WRITES]
    if at >= state[base + ix.C_NEXT_REFRESH]:  # D5: of the refreshes passed while idle the last one counts
        _refresh(state, base, at)
    act, begin = _schedule(state, base, bank, row, at, write)
    while begin >= state[base + ix.C_NEXT_REFRESH]:
        _refresh(state, base, state[base + ix.C_NEXT_REFRESH])
        act, begin = _schedule(state, base, bank, row, at, write)
    if state[bank + ix.B_ROW] == row:  # D3
        state[base + ix.C_HITS] += 1
    else:
        if state[bank + ix.B_ROW] == ix.CLOSED:
            state[base + ix.C_MISSES] += 1
        else:
            state[base + ix.C_CONFLICTS] += 1
        _activate(state, base, bank, row, act)
    end = begin + lasts
    if write:  # D4: the tick from which the bank may be precharged
        state[bank + ix.B_PRE_AT] = max(state[bank + ix.B_PRE_AT], end + state[ix.P_WR])
    else:
        last_command = end - state[ix.P_SLOT_TICKS] - state[ix.P_CL]
        state[bank + ix.B_PRE_AT] = max(state[bank + ix.B_PRE_AT], last_command + state[ix.P_RTP])
    state[base + ix.C_BUS_FREE] = end
    state[base + ix.C_DIRECTION] = write
    return int(begin)


@inner_kernel()
def _schedule(state: IntArray, base: int, bank: int, row: int, at: int, write: int) -> tuple[int, int]:
    """Ticks of ACT (meaningless for a hit) and of the first data, as the banks stand (D3, D4)."""
    earliest = max(at, state[base + ix.C_FLOOR])
    bus = state[base + ix.C_BUS_FREE]
    direction = state[base + ix.C_DIRECTION]
    if direction != write and direction != ix.NO_DIRECTION:
        bus += state[ix.P_RTW] if write else state[ix.P_WTR]
    if state[bank + ix.B_ROW] == row:
        return earliest, max(earliest + state[ix.P_CL], bus)
    act = earliest
    if state[bank + ix.B_ROW] != ix.CLOSED:
        act = max(earliest, state[bank + ix.B_PRE_AT]) + state[ix.P_RP]
    act = max(act, state[bank + ix.B_ACT_AT])
    act = max(act, state[base + ix.C_LAST_ACT] + state[ix.P_RRD])
    act = max(act, state[base + ix.C_ACTS + state[base + ix.C_ACTS_HEAD]] + state[ix.P_FAW])
    return act, max(act + state[ix.P_RCD] + state[ix.P_CL], bus)


@inner_kernel()
def _activate(state: IntArray, base: int, bank: int, row: int, act: int) -> None:
    """Open `row` with an ACT at tick `act`."""
    state[bank + ix.B_ROW] = row
    state[bank + ix.B_PRE_AT] = max(state[bank + ix.B_PRE_AT], act + state[ix.P_RAS])
    state[bank + ix.B_ACT_AT] = act + state[ix.P_RC]
    head = state[base + ix.C_ACTS_HEAD]
    state[base + ix.C_ACTS + head] = act
    state[base + ix.C_ACTS_HEAD] = head + 1 if head + 1 < ix.ACTS else 0
    state[base + ix.C_LAST_ACT] = act


@inner_kernel()
def _refresh(state: IntArray, base: int, tick: int) -> None:
    """Do the last refresh that begins at or before `tick`: all banks closed, no command before its end (D5)."""
    number = tick // state[ix.P_REFI]
    state[base + ix.C_FLOOR] = number * state[ix.P_REFI] + state[ix.P_RFC]
    state[base + ix.C_NEXT_REFRESH] = (number + 1) * state[ix.P_REFI]
    for bank in range(state[ix.P_BANKS]):
        state[base + state[ix.P_BANKS_AT] + ix.BANK_WORDS * bank + ix.B_ROW] = ix.CLOSED


@inner_kernel()
def completion_bound(state: IntArray, base: int) -> int:
    """A lower bound on the channel's next completion: exact for what is admitted, at peak rate for the rest."""
    bound = NEVER
    if state[base + ix.C_EVENTS] > 0:
        bound = state[base + state[ix.P_EVENTS_AT] + ix.EVENT_WORDS * state[base + ix.C_EVENTS_HEAD] + ix.E_TICK]
    if state[base + ix.C_ACTIVE] == 0:
        return int(bound)
    begin = max(next_admission(state, base) + state[ix.P_CL], state[base + ix.C_BUS_FREE])
    if begin >= bound:
        return int(bound)
    ticks = (min(_bytes_to_completion(state, base), state[ix.P_BYTES_BOUND]) * state[ix.P_BYTE_Q16]) >> 16
    return int(min(bound, begin + max(ticks, state[ix.P_SLOT_TICKS])))


@inner_kernel()
def _bytes_to_completion(state: IntArray, base: int) -> int:
    """Bytes that pass the bus at least until a request present completes or begins, 0 when one is still to begin.

    Before the request with the fewest runs left gets its last run, round robin gives every other one all its runs
    or at least as many but two whole ones (a run at either end may be short).
    """
    fewest = NEVER
    for turn in range(state[base + ix.C_ACTIVE]):
        slot = slot_at(state, base, turn)
        if state[slot + ix.S_WAITS_FIRST]:
            return 0
        fewest = min(fewest, state[slot + ix.S_LEFT] // state[slot + ix.S_WHOLE])
    moved, rest = 0, NEVER
    for turn in range(state[base + ix.C_ACTIVE]):
        slot = slot_at(state, base, turn)
        whole = state[slot + ix.S_WHOLE]
        if state[slot + ix.S_STRIPE] % whole != 0 or state[ix.P_RUN_BYTES] % whole != 0:
            whole = 0  # stripe and granule cut unevenly: no run is sure to be whole
        shared = min(state[slot + ix.S_LEFT], max(fewest - 2, 0) * whole)
        moved += shared
        rest = min(rest, state[slot + ix.S_LEFT] - shared)
    return int(moved + rest)
