"""Accepting a transfer: its records, its route, its uncontended times, and its packets one by one."""

from __future__ import annotations

from cairn.base.kernel import kernel
from cairn.hw_models.noc import layout as at
from cairn.hw_models.noc import wheel
from cairn.hw_models.noc.heap import push
from cairn.hw_models.noc.routing import signed_steps_kernel
from cairn.hw_models.noc.spec import MAX_BYTES, MAX_PACKETS, MAX_TASK
from cairn.hw_models.noc.topology import DOWN, LEFT, RIGHT, UP
from cairn.hw_models.server import ENQUEUE_SIGNATURE, ERROR, FLAGS, NOW, WANTS_FIRST, IntArray


@kernel(**at.NO_ALLOCATION)
def take(state: IntArray, returned: int, unused: int, size: int, end: int) -> int:
    """A record of a pool, or 0 when all are in use. `returned` and `unused` are header slots of the pool."""
    record: int = state[returned]
    if record != 0:
        state[returned] = state[record]
        return record
    record = state[unused]
    if record >= end:
        return 0
    state[unused] = record + size
    return record


@kernel(**at.NO_ALLOCATION)
def give_back(state: IntArray, returned: int, record: int) -> None:
    state[record] = state[returned]
    state[returned] = record


@kernel(**at.NO_ALLOCATION)
def inject(state: IntArray, transfer: int, number: int, cycle: int) -> None:
    """Packet `number` of a transfer reaches the injection port at `cycle`."""
    packet = take(state, at.RETURNED_PACKET, at.NEXT_PACKET, at.PACKET, state[at.PROMISES])
    if packet == 0:
        state[ERROR] = at.TOO_MANY_PACKETS
        return
    state[packet + at.OWNER] = transfer
    state[packet + at.PASSED] = 0
    state[packet + at.NODE] = state[transfer + at.SOURCE]
    state[packet + at.TAIL] = 0
    state[packet + at.KEY] = state[transfer + at.TASK] << at.NUMBER_BITS | number
    wheel.put(state, packet, cycle)


@kernel(**at.NO_ALLOCATION)
def _set_route(state: IntArray, transfer: int, source: int, destination: int) -> None:
    """Direction and number of the steps along the row; the direction along the column; all hops."""
    if state[at.NUMBERED_LINKS] == 0:
        state[transfer + at.HOPS] = 1
        return
    columns, wraps = state[at.COLUMNS], state[at.WRAPS]
    x = signed_steps_kernel(wraps, columns, source % columns, destination % columns)
    y = signed_steps_kernel(wraps, state[at.ROWS], source // columns, destination // columns)
    state[transfer + at.DIRECTIONS_XY] = (RIGHT if x > 0 else LEFT) << 2 | (DOWN if y > 0 else UP)
    state[transfer + at.STEPS_X] = abs(x)
    state[transfer + at.HOPS] = abs(x) + abs(y)


@kernel(**at.NO_ALLOCATION)
def _set_uncontended_times(state: IntArray, transfer: int, arrival: int) -> None:
    """Promises of a transfer whose first packet reaches the injection port at `arrival` and then meets nobody.

    Before the last packet, packets follow each other at the pace of the slowest resource so far; the last one
    finishes where that pace plus its own hold is longest.
    """
    others = state[transfer + at.N_PACKETS] - 1
    last_size = state[transfer + at.SIZE] - others * state[at.PACKET_BYTES]
    before, last, pace, longest = 0, 0, 0, 0
    for kind in range(3):
        width = state[at.WIDTH + kind]
        if width != before:  # one division where all widths are equal
            before, last = width, (last_size + width - 1) // width
        state[transfer + at.LAST + kind] = last
        pace = max(pace, state[at.FULL + kind])
        longest = max(longest, others * pace + last)
    head = arrival + 1 + state[transfer + at.HOPS] * state[at.HOP_CYCLES]
    state[transfer + at.AT_FIRST] = head + 1
    state[transfer + at.AT_DONE] = head + longest


@kernel(ENQUEUE_SIGNATURE, **at.NO_ALLOCATION)
def enqueue(state: IntArray, task: int, request: IntArray) -> None:
    """Accept a transfer; `request` has the columns REQUEST_COLUMNS. When it cannot be held, ERROR is set."""
    if state[ERROR] != 0:
        return
    source, destination, size = request[1], request[2], request[3]
    packets = (size + state[at.PACKET_BYTES] - 1) // state[at.PACKET_BYTES]
    nodes = state[at.ROWS] * state[at.COLUMNS]
    if min(source, destination) < 0 or max(source, destination) >= nodes or source == destination or size < 1:
        state[ERROR] = at.BAD_REQUEST
        return
    if task >= MAX_TASK or packets >= MAX_PACKETS or size >= MAX_BYTES or state[NOW] >= state[at.LAST_TICK]:
        state[ERROR] = at.BAD_REQUEST
        return
    transfer = take(state, at.RETURNED_TRANSFER, at.NEXT_TRANSFER, at.TRANSFER, state[at.PACKETS])
    if transfer == 0:
        state[ERROR] = at.TOO_MANY_TRANSFERS
        return
    state[transfer + at.TASK] = task
    state[transfer + at.FLAGS_OF] = request[FLAGS]
    state[transfer + at.SOURCE] = source
    state[transfer + at.DESTINATION] = destination
    state[transfer + at.SIZE] = size
    state[transfer + at.N_PACKETS] = packets  # N1
    state[transfer + at.EJECTED] = 0
    _set_route(state, transfer, source, destination)
    boundary = -(-state[NOW] * state[at.DEN] // state[at.NUM])  # N5
    arrival = boundary + state[at.START_CYCLES]  # N1
    _set_uncontended_times(state, transfer, arrival)
    state[at.SUM_TRANSFERS] += 1
    state[at.SUM_HOP_BYTES] += size * state[transfer + at.HOPS]
    inject(state, transfer, 0, arrival)
    promised = state[transfer + at.AT_FIRST] if request[FLAGS] & WANTS_FIRST else state[transfer + at.AT_DONE]
    push(state, state[at.PROMISES], state[at.N_PROMISES], promised, task, transfer)
    state[at.N_PROMISES] += 1
