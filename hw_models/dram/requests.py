"""Bookkeeping of a DRAM channel: the requests present, in task order, and the events to come.

`state` begins with the parameters (P_*); the channel's block begins at `base` and a request's slot at `slot`.
"""

from __future__ import annotations

from functools import partial

from cairn.base.kernel import kernel
from cairn.hw_models.dram import layout as ix
from cairn.hw_models.server import FLAGS, IS_WRITE, WANTS_FIRST, IntArray

inner_kernel = partial(kernel, _nrt=False, forceinline=True)
"""Decorator of the functions that kernels call: inlined, and given their arrays without counting references, which
took three fifths of the time. Such a function must not allocate or slice arrays."""


@inner_kernel()
def slot_at(state: IntArray, base: int, turn: int) -> int:
    """Where the slot begins of the request at place `turn` of the order."""
    return int(base + state[ix.P_SLOTS_AT] + ix.SLOT_WORDS * state[base + state[ix.P_ORDER_AT] + turn])


@inner_kernel()
def insert(state: IntArray, base: int, now: int, task: int, request: IntArray) -> None:
    """Make a request present from `now` on. The first C_ACTIVE entries of the order are sorted by task id."""
    order = base + state[ix.P_ORDER_AT]
    active = state[base + ix.C_ACTIVE]
    _fill(state, slot_at(state, base, active), task, request)
    free = state[order + active]
    place = active
    while place > 0 and state[slot_at(state, base, place - 1) + ix.S_TASK] > task:
        state[order + place] = state[order + place - 1]
        place -= 1
    state[order + place] = free
    if active == 0:
        state[base + ix.C_PRESENT_SINCE] = now
    state[base + ix.C_ACTIVE] = active + 1
    turn = 0
    while turn <= active and state[slot_at(state, base, turn) + ix.S_TASK] <= state[base + ix.C_LAST_TASK]:
        turn += 1
    state[base + ix.C_TURN] = turn


@inner_kernel()
def _fill(state: IntArray, slot: int, task: int, request: IntArray) -> None:
    """Write a request's slot: where its first byte lies, in stripe, bank and row."""
    stripe, count, offset = request[ix.R_STRIPE], request[ix.R_BANK_COUNT], request[ix.R_OFFSET]
    number = offset // stripe
    in_bank = (number // count) * stripe
    whole = min(state[ix.P_RUN_BYTES], stripe)
    state[slot + ix.S_TASK] = task
    state[slot + ix.S_WRITES] = request[FLAGS] & IS_WRITE
    state[slot + ix.S_WAITS_FIRST] = request[FLAGS] & WANTS_FIRST
    state[slot + ix.S_BANK_BASE] = request[ix.R_BANK_BASE]
    state[slot + ix.S_BANK_COUNT] = count
    state[slot + ix.S_STRIPE] = stripe
    state[slot + ix.S_BANK] = number % count
    state[slot + ix.S_ROW] = request[ix.R_ROW_BASE] + in_bank // state[ix.P_ROW_BYTES]
    state[slot + ix.S_IN_ROW] = in_bank % state[ix.P_ROW_BYTES]
    state[slot + ix.S_IN_STRIPE] = offset % stripe
    state[slot + ix.S_IN_RUN] = offset % state[ix.P_RUN_BYTES]
    state[slot + ix.S_LEFT] = request[ix.R_BYTES]
    state[slot + ix.S_WHOLE] = whole
    state[slot + ix.S_WHOLE_BURSTS] = bursts_of(state, whole)
    state[slot + ix.S_WHOLE_TICKS] = ticks_of(state, state[slot + ix.S_WHOLE_BURSTS])


@inner_kernel()
def bursts_of(state: IntArray, run_bytes: int) -> int:
    """Bursts that a run of `run_bytes` moves (D1)."""
    return int((run_bytes + state[ix.P_BURST_BYTES] - 1) // state[ix.P_BURST_BYTES])


@inner_kernel()
def ticks_of(state: IntArray, bursts: int) -> int:
    """Ticks that the data of a run of `bursts` last (D4)."""
    return int((bursts * state[ix.P_SLOT_NUM] + state[ix.P_SLOT_DEN] - 1) // state[ix.P_SLOT_DEN])


@inner_kernel()
def next_run_bytes(state: IntArray, slot: int) -> int:
    """Bytes of the request's next run (D1). Rows end where stripes end."""
    to_granule = state[ix.P_RUN_BYTES] - state[slot + ix.S_IN_RUN]
    to_stripe = state[slot + ix.S_STRIPE] - state[slot + ix.S_IN_STRIPE]
    return int(min(state[slot + ix.S_LEFT], min(to_granule, to_stripe)))


@inner_kernel()
def step(state: IntArray, slot: int, run_bytes: int) -> None:
    """Move a request past its run of `run_bytes`: next granule, stripe, bank, row (D1)."""
    in_run = state[slot + ix.S_IN_RUN] + run_bytes
    state[slot + ix.S_IN_RUN] = in_run if in_run < state[ix.P_RUN_BYTES] else 0
    in_stripe = state[slot + ix.S_IN_STRIPE] + run_bytes
    if in_stripe < state[slot + ix.S_STRIPE]:
        state[slot + ix.S_IN_STRIPE] = in_stripe
        return
    state[slot + ix.S_IN_STRIPE] = 0
    bank = state[slot + ix.S_BANK] + 1
    if bank < state[slot + ix.S_BANK_COUNT]:
        state[slot + ix.S_BANK] = bank
        return
    state[slot + ix.S_BANK] = 0
    in_row = state[slot + ix.S_IN_ROW] + state[slot + ix.S_STRIPE]
    if in_row == state[ix.P_ROW_BYTES]:
        in_row = 0
        state[slot + ix.S_ROW] += 1
    state[slot + ix.S_IN_ROW] = in_row


@inner_kernel()
def remove(state: IntArray, base: int, turn: int) -> None:
    """Take the request at `turn` out of the order; the turn passes to the one after it."""
    order = base + state[ix.P_ORDER_AT]
    last = state[base + ix.C_ACTIVE] - 1
    freed = state[order + turn]
    for place in range(turn, last):
        state[order + place] = state[order + place + 1]
    state[order + last] = freed
    state[base + ix.C_ACTIVE] = last
    state[base + ix.C_TURN] = turn


@inner_kernel()
def announce(state: IntArray, base: int, tick: int, code: int) -> None:
    """Append an event to come; the data of a channel arrive in order, and so do its events."""
    place = state[base + ix.C_EVENTS_HEAD] + state[base + ix.C_EVENTS]
    if place >= state[ix.P_EVENTS]:
        place -= state[ix.P_EVENTS]
    event = state[ix.P_EVENTS_AT] + ix.EVENT_WORDS * place
    state[base + event + ix.E_TICK] = tick
    state[base + event + ix.E_CODE] = code
    state[base + ix.C_EVENTS] += 1


@inner_kernel()
def take_events(state: IntArray, base: int, tick: int, out: int) -> int:
    """Move the events of `tick` to the state from `out` on; answers how many."""
    count = 0
    while state[base + ix.C_EVENTS] > 0:
        head = state[base + ix.C_EVENTS_HEAD]
        event = state[ix.P_EVENTS_AT] + ix.EVENT_WORDS * head
        if state[base + event + ix.E_TICK] != tick:
            break
        state[out + count] = state[base + event + ix.E_CODE]
        count += 1
        state[base + ix.C_EVENTS] -= 1
        state[base + ix.C_EVENTS_HEAD] = head + 1 if head + 1 < state[ix.P_EVENTS] else 0
    return count
