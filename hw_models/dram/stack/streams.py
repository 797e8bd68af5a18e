"""Requests of a channel: who is present, whose turn it is, and how a request is cut into runs (S2, S3)."""

from __future__ import annotations

from cairn.base.kernel import u
from cairn.base.ticks import NEVER
from cairn.hw_models.dram import request as rq
from cairn.hw_models.dram.control import layout as ix
from cairn.hw_models.dram.control.queues import inner, routine
from cairn.hw_models.dram.stack import layout as sx
from cairn.hw_models.server import FLAGS, IS_WRITE, WANTS_FIRST, IntArray


@inner()
def extra_at(state: IntArray, base: int) -> int:
    """Where the streams of a channel begin."""
    return int(base + state[sx.P_EXTRA_AT])


@inner()
def slot_at(state: IntArray, base: int, slot: int) -> int:
    """Where a request's slot begins."""
    return int(base + state[sx.P_SLOTS_AT] + sx.SLOT_WORDS * slot)


@inner()
def is_claimed(state: IntArray, base: int, bank: int) -> bool:
    """Whether the PIM units have claimed a bank (S7)."""
    extra = extra_at(state, base)
    return bool(state[u(extra + sx.X_PIM_LOW)] <= bank < state[u(extra + sx.X_PIM_HIGH)])


@inner()
def pim_head_at(state: IntArray, base: int, place: int) -> int:
    """Where the PIM request `place` places behind the first one begins."""
    number = state[u(extra_at(state, base) + sx.X_PIM_HEAD)] + place
    number = number if number < state[sx.P_PIM_REQUESTS] else number - state[sx.P_PIM_REQUESTS]
    return int(base + state[sx.P_PIM_AT] + sx.PIM_WORDS * number)


@inner()
def low_of(state: IntArray, at: int) -> int:
    """First bank that the PIM request at `at` claims (S7)."""
    return int(0 if state[sx.P_PIM_EXCLUSIVE] else state[u(at + sx.T_BANK)])


@inner()
def high_of(state: IntArray, at: int) -> int:
    """The bank behind the last one that the PIM request at `at` claims (S7)."""
    return int(state[ix.P_BANKS] if state[sx.P_PIM_EXCLUSIVE] else state[u(at + sx.T_BANK)] + state[u(at + sx.T_COUNT)])


@inner()
def next_bank(state: IntArray, at: int) -> int:
    """Bank of the next run of the request whose slot begins at `at`."""
    return int(state[u(at + sx.S_BANK_BASE)] + state[u(at + sx.S_BANK)])


@inner()
def is_kept_out(state: IntArray, base: int, bank: int, now: int) -> bool:
    """Whether runs for a bank do not begin to enter at `now`: units have claimed it, or may do so by right (S3)."""
    if state[sx.P_PIM] == 0:
        return False
    if is_claimed(state, base, bank):
        return True
    extra = extra_at(state, base)
    if state[u(extra + sx.X_PIM_COUNT)] == 0 or now < state[u(extra + sx.X_PIM_FROM)]:
        return False
    at = pim_head_at(state, base, 0)
    return bool(state[u(at + sx.T_ARRIVED)] <= now and low_of(state, at) <= bank < high_of(state, at))


@inner()
def entering_at(state: IntArray, base: int, turn: int) -> int:
    """Where the slot begins of the request at place `turn` of those with bytes left to enter."""
    return slot_at(state, base, state[u(base + state[sx.P_ORDER_AT] + turn)])


@inner()
def tick_of(state: IntArray, ps: int) -> int:
    """First tick that begins at `ps` or later (S1)."""
    if ps > state[sx.P_LATEST_PS]:
        ps = state[sx.P_LATEST_PS]
    whole = ps // state[sx.P_TICK_NUM]  # apart, so that the product stays within 64 bits however late it is
    rest = ps - whole * state[sx.P_TICK_NUM]
    part = (rest * state[sx.P_TICK_DEN] + state[sx.P_TICK_NUM] - 1) // state[sx.P_TICK_NUM]
    return int(whole * state[sx.P_TICK_DEN] + part)


@inner()
def ps_of(state: IntArray, tick: int) -> int:
    """Picosecond in which a tick begins, rounded up."""
    whole = tick // state[sx.P_TICK_DEN]
    rest = tick - whole * state[sx.P_TICK_DEN]
    part = (rest * state[sx.P_TICK_NUM] + state[sx.P_TICK_DEN] - 1) // state[sx.P_TICK_DEN]
    return int(whole * state[sx.P_TICK_NUM] + part)


@routine()
def insert(state: IntArray, base: int, now_ps: int, task: int, request: IntArray) -> None:
    """Make a request present from `now_ps` on. Those with bytes left to enter are kept in the order of task ids."""
    extra, order = extra_at(state, base), base + state[sx.P_ORDER_AT]
    used, active = state[u(extra + sx.X_USED)], state[u(extra + sx.X_ENTERING)]
    slot = state[u(base + state[sx.P_USED_AT] + used)]
    state[u(extra + sx.X_USED)] = used + 1
    state[u(extra + sx.X_NEXT_ARRIVAL)] = tick_of(state, now_ps)
    _fill(state, slot_at(state, base, slot), tick_of(state, now_ps), task, request)
    state[u(extra + sx.X_BUFFERS)] += 1 if request[FLAGS] & rq.IS_BUFFER else 0
    place = active
    while place > 0 and state[u(entering_at(state, base, place - 1) + sx.S_TASK)] > task:
        state[u(order + place)] = state[u(order + place - 1)]
        place -= 1
    state[u(order + place)] = slot
    state[u(extra + sx.X_ENTERING)] = active + 1
    turn = 0
    while turn <= active and state[u(entering_at(state, base, turn) + sx.S_TASK)] <= state[u(extra + sx.X_LAST_TASK)]:
        turn += 1
    state[u(extra + sx.X_TURN)] = turn


@inner()
def _fill(state: IntArray, at: int, arrived: int, task: int, request: IntArray) -> None:
    """Write a request's slot: where its first byte lies, in stripe, bank and row."""
    stripe, offset = request[rq.R_STRIPE], request[rq.R_OFFSET]
    base, count = request[rq.R_BANK_BASE], request[rq.R_BANK_COUNT]
    if request[FLAGS] & rq.IS_BUFFER:
        base, count = state[ix.P_BANKS], 1  # a bank that no row command knows (S6)
    number = offset // stripe
    in_bank = (number // count) * stripe
    state[u(at + sx.S_TASK)] = task
    state[u(at + sx.S_WRITES)] = 1 if request[FLAGS] & IS_WRITE else 0
    state[u(at + sx.S_WAITS_FIRST)] = request[FLAGS] & WANTS_FIRST
    state[u(at + sx.S_ARRIVED)] = arrived
    state[u(at + sx.S_BANK_BASE)] = base
    state[u(at + sx.S_BANK_COUNT)] = count
    state[u(at + sx.S_STRIPE)] = stripe
    state[u(at + sx.S_BANK)] = number % count
    state[u(at + sx.S_ROW)] = request[rq.R_ROW_BASE] + in_bank // state[sx.P_ROW_BYTES]
    state[u(at + sx.S_IN_ROW)] = in_bank % state[sx.P_ROW_BYTES]
    state[u(at + sx.S_IN_STRIPE)] = offset % stripe
    state[u(at + sx.S_IN_RUN)] = offset % state[sx.P_RUN_BYTES]
    state[u(at + sx.S_LEFT)] = request[rq.R_BYTES]
    state[u(at + sx.S_WAITING)] = 0


@inner()
def free_slot(state: IntArray, base: int, slot: int) -> None:
    """A request has issued its last burst."""
    extra, slots = extra_at(state, base), base + state[sx.P_USED_AT]
    used = state[u(extra + sx.X_USED)] - 1
    place = 0
    while state[u(slots + place)] != slot:
        place += 1
    state[u(slots + place)] = state[u(slots + used)]
    state[u(slots + used)] = slot
    state[u(extra + sx.X_USED)] = used
    if state[u(slot_at(state, base, slot) + sx.S_BANK_BASE)] == state[ix.P_BANKS]:
        state[u(extra + sx.X_BUFFERS)] -= 1


@inner()
def turn_at(state: IntArray, base: int) -> int:
    """Place in the order of the request whose turn it is (one has bytes left to enter)."""
    extra = extra_at(state, base)
    turn = state[u(extra + sx.X_TURN)]
    return int(turn if turn < state[u(extra + sx.X_ENTERING)] else 0)


@inner()
def next_run_bytes(state: IntArray, at: int) -> int:
    """Bytes of the request's next run (S2). Rows end where stripes end."""
    to_granule = state[sx.P_RUN_BYTES] - state[u(at + sx.S_IN_RUN)]
    to_stripe = state[u(at + sx.S_STRIPE)] - state[u(at + sx.S_IN_STRIPE)]
    return int(min(state[u(at + sx.S_LEFT)], min(to_granule, to_stripe)))


@inner()
def bursts_of(state: IntArray, run_bytes: int) -> int:
    """Bursts that a run moves (S2)."""
    return int((run_bytes + state[sx.P_BURST_BYTES] - 1) // state[sx.P_BURST_BYTES])


@inner()
def _step(state: IntArray, at: int, run_bytes: int) -> None:
    """Move a request past its run: next granule, stripe, bank, row (S2)."""
    in_run = state[u(at + sx.S_IN_RUN)] + run_bytes
    state[u(at + sx.S_IN_RUN)] = in_run if in_run < state[sx.P_RUN_BYTES] else 0
    in_stripe = state[u(at + sx.S_IN_STRIPE)] + run_bytes
    if in_stripe < state[u(at + sx.S_STRIPE)]:
        state[u(at + sx.S_IN_STRIPE)] = in_stripe
        return
    state[u(at + sx.S_IN_STRIPE)] = 0
    bank = state[u(at + sx.S_BANK)] + 1
    if bank < state[u(at + sx.S_BANK_COUNT)]:
        state[u(at + sx.S_BANK)] = bank
        return
    state[u(at + sx.S_BANK)] = 0
    in_row = state[u(at + sx.S_IN_ROW)] + state[u(at + sx.S_STRIPE)]
    if in_row == state[sx.P_ROW_BYTES]:
        in_row = 0
        state[u(at + sx.S_ROW)] += 1
    state[u(at + sx.S_IN_ROW)] = in_row


@inner()
def begin_run(state: IntArray, base: int, turn: int) -> int:
    """The request at `turn` begins to enter its next run: move it past the run; answers the bursts of the run."""
    extra, at = extra_at(state, base), entering_at(state, base, turn)
    state[u(extra + sx.X_LAST_SLOT)] = state[u(base + state[sx.P_ORDER_AT] + turn)]
    run_bytes = next_run_bytes(state, at)
    bursts = bursts_of(state, run_bytes)
    state[u(extra + sx.X_PADDING)] += bursts * state[sx.P_BURST_BYTES] - run_bytes
    state[u(extra + sx.X_BYTES_READ + state[u(at + sx.S_WRITES)])] += run_bytes
    state[u(extra + sx.X_LAST_TASK)] = state[u(at + sx.S_TASK)]
    state[u(at + sx.S_WAITING)] += bursts
    state[u(at + sx.S_LEFT)] -= run_bytes
    if state[u(at + sx.S_LEFT)] > 0:
        _step(state, at, run_bytes)
        state[u(extra + sx.X_TURN)] = turn + 1
        return bursts
    order, last = base + state[sx.P_ORDER_AT], state[u(extra + sx.X_ENTERING)] - 1
    for place in range(turn, last):
        state[u(order + place)] = state[u(order + place + 1)]
    state[u(extra + sx.X_ENTERING)] = last
    state[u(extra + sx.X_TURN)] = turn
    return bursts


@inner()
def announce(state: IntArray, base: int, tick: int, code: int) -> None:
    """Append an event to come; data end in the order of column commands, and so do events."""
    extra = extra_at(state, base)
    place = state[u(extra + sx.X_EVENTS_HEAD)] + state[u(extra + sx.X_EVENTS)]
    if place >= state[sx.P_EVENTS]:
        place -= state[sx.P_EVENTS]
    at = base + state[sx.P_EVENTS_AT] + sx.EVENT_WORDS * place
    state[u(at + sx.E_TICK)] = tick
    state[u(at + sx.E_CODE)] = code
    state[u(extra + sx.X_EVENTS)] += 1


@inner()
def first_event(state: IntArray, base: int) -> int:
    """Picosecond of the next event to come, NEVER when none is known."""
    extra = extra_at(state, base)
    if state[u(extra + sx.X_EVENTS)] == 0:
        return NEVER
    at = base + state[sx.P_EVENTS_AT] + sx.EVENT_WORDS * state[u(extra + sx.X_EVENTS_HEAD)]
    return ps_of(state, state[u(at + sx.E_TICK)])


@inner()
def take_events(state: IntArray, base: int, ps: int, out: int) -> int:
    """Move the events of `ps` to the state from `out` on; answers how many."""
    extra, count = extra_at(state, base), 0
    while first_event(state, base) == ps:
        head = state[u(extra + sx.X_EVENTS_HEAD)]
        state[u(out + count)] = state[u(base + state[sx.P_EVENTS_AT] + sx.EVENT_WORDS * head + sx.E_CODE)]
        count += 1
        state[u(extra + sx.X_EVENTS)] -= 1
        state[u(extra + sx.X_EVENTS_HEAD)] = head + 1 if head + 1 < state[sx.P_EVENTS] else 0
    return count
