"""PIM requests of a channel in their order, and the banks that its units have claimed (S6, S7).

The first request is the one that the units work on. Who else may use the banks, and when the units are done with them,
is asked here; what they do is in `pim.py`.
"""

from __future__ import annotations

from cairn.hw_models.dram import request as rq
from cairn.hw_models.dram.control.queues import inner, routine
from cairn.hw_models.dram.stack import layout as sx
from cairn.hw_models.dram.stack.runs import run_at
from cairn.hw_models.dram.stack.streams import extra_at
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


@inner()
def head_at(state: IntArray, base: int, place: int) -> int:
    """Where the PIM request `place` places behind the first one begins."""
    number = state[extra_at(state, base) + sx.X_PIM_HEAD] + place
    number = number if number < state[sx.P_PIM_REQUESTS] else number - state[sx.P_PIM_REQUESTS]
    return int(base + state[sx.P_PIM_AT] + sx.PIM_WORDS * number)


@routine()
def insert_pim(state: IntArray, base: int, arrived: int, task: int, request: IntArray) -> bool:
    """Append a PIM request, if there is room (S6)."""
    extra = extra_at(state, base)
    count = state[extra + sx.X_PIM_COUNT]
    if count >= state[sx.P_PIM_REQUESTS]:
        return False
    at = head_at(state, base, count)
    together = request[rq.R_BANK_COUNT] * state[sx.P_PIM_COLUMN_BYTES]
    column = request[rq.R_OFFSET] // together
    state[at + sx.T_TASK] = task
    state[at + sx.T_WAITS_FIRST] = request[FLAGS] & WANTS_FIRST
    state[at + sx.T_ARRIVED] = arrived
    state[at + sx.T_BANK] = request[rq.R_BANK_BASE]
    state[at + sx.T_COUNT] = request[rq.R_BANK_COUNT]
    state[at + sx.T_ROW] = request[rq.R_ROW_BASE] + column // state[sx.P_PIM_COLUMNS]
    state[at + sx.T_COLUMN] = column % state[sx.P_PIM_COLUMNS]
    state[at + sx.T_LEFT] = request[rq.R_BYTES] // together
    state[at + sx.T_TURNS] = max(1, request[FLAGS] // rq.TURNS)
    state[extra + sx.X_PIM_COUNT] = count + 1
    return True


@inner()
def is_claimed(state: IntArray, base: int, bank: int) -> bool:
    """Whether the PIM units have claimed a bank (S7)."""
    extra = extra_at(state, base)
    return bool(state[extra + sx.X_PIM_LOW] <= bank < state[extra + sx.X_PIM_HIGH])


@inner()
def has_open_rows(state: IntArray, base: int) -> bool:
    """Whether rows are open, or being opened or closed, for the PIM units (S8)."""
    phase = state[extra_at(state, base) + sx.X_PIM_PHASE]
    return bool(phase == sx.OPENING or phase == sx.WORKING or phase == sx.CLOSING)


@inner()
def is_at_rest(state: IntArray, base: int) -> bool:
    """Whether the PIM units have claimed nothing and nobody asks for them."""
    extra = extra_at(state, base)
    return bool(state[extra + sx.X_PIM_PHASE] == sx.REST and state[extra + sx.X_PIM_COUNT] == 0)


@inner()
def is_wanted(state: IntArray, base: int, low: int, high: int) -> bool:
    """Whether bursts of cores wait in the queue for banks low .. high - 1."""
    for place in range(state[extra_at(state, base) + sx.X_RUNS]):
        at = run_at(state, base, place)
        if state[at + sx.U_LEFT] > 0 and low <= state[at + sx.U_BANK] < high:
            return True
    return False


@inner()
def columns_of_row(state: IntArray, base: int) -> int:
    """Columns of the row that the first request works on next."""
    at = head_at(state, base, 0)
    return int(min(state[at + sx.T_LEFT], state[sx.P_PIM_COLUMNS] - state[at + sx.T_COLUMN]))


@inner()
def spacing_of(state: IntArray, base: int) -> int:
    """Ticks from one column of the first request to the next: the spacing of columns for each of its turns (S8)."""
    return int(state[sx.P_PIM_SPACING] * state[head_at(state, base, 0) + sx.T_TURNS])
