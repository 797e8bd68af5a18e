"""PIM requests of a channel: how they come in, which cores want the banks of the first, and how its columns follow each
other (S6 to S8).

The first request is the one that the units work on. Where it lies, and which banks it claims, is in `streams.py`, since
runs of cores that enter ask for it; what the units do is in `pim.py`.
"""

from __future__ import annotations

from cairn.base.kernel import u
from cairn.hw_models.dram import request as rq
from cairn.hw_models.dram.control.queues import inner, routine
from cairn.hw_models.dram.stack import layout as sx
from cairn.hw_models.dram.stack.runs import run_at
from cairn.hw_models.dram.stack.streams import entering_at, extra_at, next_bank, pim_head_at
from cairn.hw_models.server import FLAGS, WANTS_FIRST, IntArray


@inner()
def fits(state: IntArray, request: IntArray) -> bool:
    """Whether a request row keeps to the columns of the channel's PIM units (S6)."""
    flags = request[FLAGS]
    if flags & (rq.IS_PIM | rq.IS_BUFFER) == 0:
        return True
    if state[sx.P_PIM] == 0 or (flags & rq.IS_PIM and flags & rq.IS_BUFFER):
        return False
    if flags & rq.IS_BUFFER:
        return True
    together = request[rq.R_BANK_COUNT] * state[sx.P_PIM_COLUMN_BYTES]
    return bool(
        request[rq.R_STRIPE] % state[sx.P_PIM_COLUMN_BYTES] == 0
        and request[rq.R_OFFSET] % together == 0
        and request[rq.R_BYTES] % together == 0
    )


@routine()
def insert_pim(state: IntArray, base: int, arrived: int, task: int, request: IntArray) -> bool:
    """Append a PIM request, if there is room (S6)."""
    extra = extra_at(state, base)
    count = state[u(extra + sx.X_PIM_COUNT)]
    if count >= state[sx.P_PIM_REQUESTS]:
        return False
    at = pim_head_at(state, base, count)
    together = request[rq.R_BANK_COUNT] * state[sx.P_PIM_COLUMN_BYTES]
    column = request[rq.R_OFFSET] // together
    state[u(at + sx.T_TASK)] = task
    state[u(at + sx.T_WAITS_FIRST)] = request[FLAGS] & WANTS_FIRST
    state[u(at + sx.T_ARRIVED)] = arrived
    state[u(at + sx.T_BANK)] = request[rq.R_BANK_BASE]
    state[u(at + sx.T_COUNT)] = request[rq.R_BANK_COUNT]
    state[u(at + sx.T_ROW)] = request[rq.R_ROW_BASE] + column // state[sx.P_PIM_COLUMNS]
    state[u(at + sx.T_COLUMN)] = column % state[sx.P_PIM_COLUMNS]
    state[u(at + sx.T_LEFT)] = request[rq.R_BYTES] // together
    state[u(at + sx.T_TURNS)] = max(state[sx.P_PIM_PARTS], request[FLAGS] // rq.TURNS)
    state[u(extra + sx.X_PIM_COUNT)] = count + 1
    return True


@inner()
def has_open_rows(state: IntArray, base: int) -> bool:
    """Whether rows are open, or being opened or closed, for the PIM units (S8)."""
    phase = state[u(extra_at(state, base) + sx.X_PIM_PHASE)]
    return bool(phase == sx.OPENING or phase == sx.WORKING or phase == sx.CLOSING)


@inner()
def is_at_rest(state: IntArray, base: int) -> bool:
    """Whether the PIM units have claimed nothing and nobody asks for them."""
    extra = extra_at(state, base)
    return bool(state[u(extra + sx.X_PIM_PHASE)] == sx.REST and state[u(extra + sx.X_PIM_COUNT)] == 0)


@inner()
def is_wanted(state: IntArray, base: int, low: int, high: int, now: int) -> bool:
    """Whether cores wait at `now` for banks low .. high - 1, with bursts in the queue or the next run of a request."""
    extra = extra_at(state, base)
    for place in range(state[u(extra + sx.X_RUNS)]):
        at = run_at(state, base, place)
        if state[u(at + sx.U_LEFT)] > 0 and low <= state[u(at + sx.U_BANK)] < high:
            return True
    for turn in range(state[u(extra + sx.X_ENTERING)]):
        at = entering_at(state, base, turn)
        if state[u(at + sx.S_ARRIVED)] <= now and low <= next_bank(state, at) < high:
            return True
    return False


@inner()
def columns_of_row(state: IntArray, base: int) -> int:
    """Columns of the row that the first request works on next."""
    at = pim_head_at(state, base, 0)
    return int(min(state[u(at + sx.T_LEFT)], state[sx.P_PIM_COLUMNS] - state[u(at + sx.T_COLUMN)]))


@inner()
def spacing_of(state: IntArray, base: int) -> int:
    """Ticks from one column of the first request to the next: as many parts of the spacing as it has turns (S8)."""
    parts = state[sx.P_PIM_PARTS]
    return int((state[sx.P_PIM_SPACING] * state[u(pim_head_at(state, base, 0) + sx.T_TURNS)] + parts - 1) // parts)
