"""The queue of a channel as runs: how bursts enter it (S3) and leave it."""

from __future__ import annotations

from cairn.base.kernel import u
from cairn.hw_models.dram.control import layout as ix
from cairn.hw_models.dram.control.queues import inner, routine
from cairn.hw_models.dram.stack import layout as sx
from cairn.hw_models.dram.stack.streams import begin_run, entering_at, extra_at, is_kept_out, next_bank, turn_at
from cairn.hw_models.server import IntArray


@inner()
def run_at(state: IntArray, base: int, place: int) -> int:
    """Where the run begins that stands at `place` in the order of arrival."""
    return int(base + state[sx.P_RUNS_AT] + sx.RUN_WORDS * state[u(base + state[sx.P_RUN_ORDER_AT] + place)])


@inner()
def room(state: IntArray, base: int, write: int) -> int:
    """Free slots of the queue of reads or of writes."""
    return int(state[u(ix.P_READS + write)] - state[u(base + ix.C_WAITING_READS + write)])


@inner()
def overdue_from(state: IntArray, base: int) -> int:
    """The tick from which on the oldest waiting write is served before reads (S4), FAR when none waits."""
    if state[u(base + ix.C_WAITING_WRITES)] == 0:
        return ix.FAR
    for place in range(state[u(extra_at(state, base) + sx.X_RUNS)]):
        at = run_at(state, base, place)
        if state[u(at + sx.U_WRITE)] and state[u(at + sx.U_LEFT)] > 0:
            return int(state[u(at + sx.U_STAMP)] + state[sx.P_WRITE_WAIT])
    return ix.FAR


@inner()
def _turn_of_present(state: IntArray, base: int, now: int) -> int:
    """Place of the request whose turn it is among those that have arrived and whose next run may enter, NONE when there
    is none (S3)."""
    extra = extra_at(state, base)
    turn = turn_at(state, base)
    for _ in range(state[u(extra + sx.X_ENTERING)]):
        at = entering_at(state, base, turn)
        if state[u(at + sx.S_ARRIVED)] <= now and not is_kept_out(state, base, next_bank(state, at), now):
            return turn
        turn = turn + 1 if turn + 1 < state[u(extra + sx.X_ENTERING)] else 0
    return ix.NONE


@inner()
def _begin(state: IntArray, base: int, now: int, turn: int) -> None:
    """Append the next run of the request at `turn`; its bursts are yet to enter."""
    extra = extra_at(state, base)
    count = state[u(extra + sx.X_RUNS)]
    state[u(extra + sx.X_RUNS)] = count + 1
    at, slot = run_at(state, base, count), entering_at(state, base, turn)
    state[u(at + sx.U_SLOT)] = state[u(base + state[sx.P_ORDER_AT] + turn)]
    state[u(at + sx.U_BANK)] = state[u(slot + sx.S_BANK_BASE)] + state[u(slot + sx.S_BANK)]
    state[u(at + sx.U_ROW)] = state[u(slot + sx.S_ROW)]
    state[u(at + sx.U_WRITE)] = state[u(slot + sx.S_WRITES)]
    state[u(at + sx.U_LEFT)] = 0
    state[u(at + sx.U_STAMP)] = now
    state[u(at + sx.U_COUNTED)] = 0
    state[u(at + sx.U_SEQUENCE)] = state[u(extra + sx.X_SEQUENCE)]
    state[u(extra + sx.X_SEQUENCE)] += 1
    state[u(extra + sx.X_PENDING)] = begin_run(state, base, turn)


@routine()
def offer(state: IntArray, base: int, now: int) -> bool:
    """Let bursts enter at tick `now` as far as there is room (S3); answers whether a run has bursts in the queue now
    that had none."""
    extra, began = extra_at(state, base), False
    while True:
        if state[u(extra + sx.X_PENDING)] == 0:
            if state[u(extra + sx.X_ENTERING)] == 0:
                return began
            turn = _turn_of_present(state, base, now)
            if turn == ix.NONE or room(state, base, state[u(entering_at(state, base, turn) + sx.S_WRITES)]) <= 0:
                return began
            _begin(state, base, now, turn)
        at = run_at(state, base, state[u(extra + sx.X_RUNS)] - 1)
        write = state[u(at + sx.U_WRITE)]
        entered = min(state[u(extra + sx.X_PENDING)], room(state, base, write))
        if entered <= 0:
            return began
        began = began or state[u(at + sx.U_LEFT)] == 0
        state[u(at + sx.U_LEFT)] += entered
        state[u(base + ix.C_WAITING_READS + write)] += entered
        state[u(extra + sx.X_PENDING)] -= entered


@inner()
def enter_freed(state: IntArray, base: int, write: int, slots: int) -> None:
    """Bursts of the newest run take slots of the queue of `write` that are freed one after the other."""
    extra = extra_at(state, base)
    entered = min(state[u(extra + sx.X_PENDING)], slots)
    at = run_at(state, base, state[u(extra + sx.X_RUNS)] - 1)
    if entered > 0 and state[u(at + sx.U_WRITE)] == write:
        state[u(at + sx.U_LEFT)] += entered
        state[u(base + ix.C_WAITING_READS + state[u(at + sx.U_WRITE)])] += entered
        state[u(extra + sx.X_PENDING)] -= entered


@inner()
def same_queue_next(state: IntArray, base: int, now: int, write: int) -> int:
    """1 when the next run to begin waits for a slot of the queue of `write`, 0 when it may begin without one."""
    turn = _turn_of_present(state, base, now)
    if turn == ix.NONE:
        return 1
    other = state[u(entering_at(state, base, turn) + sx.S_WRITES)]
    return 1 if other == write or room(state, base, other) <= 0 else 0


@inner()
def is_newest(state: IntArray, base: int, place: int) -> bool:
    """Whether bursts of the run at `place` may still have to enter."""
    return bool(place == state[u(extra_at(state, base) + sx.X_RUNS)] - 1)


@inner()
def leave(state: IntArray, base: int, place: int, bursts: int) -> bool:
    """Bursts of the run at `place` leave their slots; the run goes when none is left and none is yet to enter. Answers
    whether it went."""
    extra, at = extra_at(state, base), run_at(state, base, place)
    state[u(at + sx.U_LEFT)] -= bursts
    state[u(at + sx.U_COUNTED)] = 0
    state[u(base + ix.C_WAITING_READS + state[u(at + sx.U_WRITE)])] -= bursts
    if state[u(at + sx.U_LEFT)] > 0 or (is_newest(state, base, place) and state[u(extra + sx.X_PENDING)] > 0):
        return False
    order, last = base + state[sx.P_RUN_ORDER_AT], state[u(extra + sx.X_RUNS)] - 1
    freed = state[u(order + place)]
    for number in range(place, last):
        state[u(order + number)] = state[u(order + number + 1)]
    state[u(order + last)] = freed
    state[u(extra + sx.X_RUNS)] = last
    return True
