"""Transfers of a chip, cut into packets of flits (rules F11 and F12 of the package)."""

from __future__ import annotations

from cairn.base.kernel import kernel
from cairn.hw_models.noc.flit import layout as at
from cairn.hw_models.noc.spec import MAX_BYTES
from cairn.hw_models.server import (
    COUNT,
    DONE,
    DONE_AT,
    ENQUEUE_SIGNATURE,
    ERROR,
    FIRST,
    FLAGS,
    IS_WRITE,
    NOW,
    WANTS_FIRST,
    IntArray,
)


@kernel(**at.NO_ALLOCATION)
def _take(state: IntArray, returned: int, unused: int, size: int, end: int) -> int:
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
def _give_back(state: IntArray, returned: int, record: int) -> None:
    state[record] = state[returned]
    state[returned] = record


@kernel(**at.NO_ALLOCATION)
def create_packet(state: IntArray, transfer: int, cycle: int) -> int:
    """The next packet of a transfer, created in `cycle`. There is always room for one (`server.py`)."""
    packet = _take(state, at.RETURNED_PACKET, at.NEXT_PACKET, at.PACKET, state.size)
    number = state[transfer + at.T_CREATED]
    state[transfer + at.T_CREATED] = number + 1
    is_last = number + 1 == state[transfer + at.T_PACKETS]
    size = state[transfer + at.T_LAST_BYTES] if is_last else state[at.PACKET_BYTES]
    state[packet + at.P_CREATED] = cycle
    state[packet + at.P_SOURCE] = state[transfer + at.T_SOURCE]
    state[packet + at.P_DESTINATION] = state[transfer + at.T_DESTINATION]
    state[packet + at.P_FLITS] = (size + state[at.WIDTH] - 1) // state[at.WIDTH]
    state[packet + at.P_NEXT] = 0
    state[packet + at.P_OWNER] = transfer
    state[packet + at.P_BYTES] = size
    state[packet + at.P_NUMBER] = number
    state[at.UNFINISHED] += 1
    return packet


@kernel(**at.NO_ALLOCATION)
def take_table(state: IntArray, node: int, packet: int) -> None:
    """A packet that joins the line of its source takes the next table of the routes (F11)."""
    state[packet + at.P_TABLE] = state[node + at.N_TABLE]
    state[node + at.N_TABLE] = (state[node + at.N_TABLE] + 1) % state[at.TABLES]


@kernel(**at.NO_ALLOCATION)
def note_arrival(state: IntArray, packet: int, kind: int) -> None:
    """The head (kind & 2) or tail (kind & 1) of a packet has arrived: completions of its transfer (F12)."""
    transfer = state[packet + at.P_OWNER]
    task, done_at = state[transfer + at.T_TASK], state[DONE_AT]
    if kind & 2 and state[packet + at.P_NUMBER] == 0 and state[transfer + at.T_FLAGS] & WANTS_FIRST:
        state[done_at + state[COUNT]] = 2 * task + FIRST
        state[COUNT] += 1
    if kind & 1 == 0:
        return
    state[at.SUM_PACKETS] += 1
    state[transfer + at.T_ARRIVED] += 1
    _give_back(state, at.RETURNED_PACKET, packet)
    if state[transfer + at.T_ARRIVED] == state[transfer + at.T_PACKETS]:
        state[done_at + state[COUNT]] = 2 * task + DONE
        state[COUNT] += 1
        _give_back(state, at.RETURNED_TRANSFER, transfer)


@kernel(ENQUEUE_SIGNATURE, **at.NO_ALLOCATION)
def enqueue(state: IntArray, task: int, request: IntArray) -> None:
    """Accept a transfer: request (flags, source, destination, bytes). See `cairn.hw_models.server`.

    From one node to another alone: flags of a rectangle (`hw_models/noc/spec.py`) are refused.
    """
    source, destination, size = request[1], request[2], request[3]
    nodes = state[at.NODES]
    fits = 0 <= source < nodes and 0 <= destination < nodes and source != destination and 0 < size < MAX_BYTES
    if not fits or request[FLAGS] & ~(WANTS_FIRST | IS_WRITE) != 0 or state[NOW] >= state[at.LAST_TICK]:
        state[ERROR] = at.BAD_REQUEST
        return
    transfer = _take(state, at.RETURNED_TRANSFER, at.NEXT_TRANSFER, at.TRANSFER, state[at.END_OF_TRANSFERS])
    if transfer == 0:
        state[ERROR] = at.TOO_MANY_TRANSFERS
        return
    packets = (size + state[at.PACKET_BYTES] - 1) // state[at.PACKET_BYTES]
    state[transfer + at.T_TASK] = task
    state[transfer + at.T_FLAGS] = request[FLAGS]
    state[transfer + at.T_SOURCE] = source
    state[transfer + at.T_DESTINATION] = destination
    state[transfer + at.T_PACKETS] = packets
    state[transfer + at.T_CREATED] = 0
    state[transfer + at.T_ARRIVED] = 0
    state[transfer + at.T_LAST_BYTES] = size - (packets - 1) * state[at.PACKET_BYTES]
    state[at.SUM_TRANSFERS] += 1
    cycle = (state[NOW] * state[at.DEN] + state[at.NUM] - 1) // state[at.NUM]
    packet = create_packet(state, transfer, cycle + state[at.START_CYCLES])
    if state[at.COMING] == 0:
        state[at.COMING] = packet
    else:
        state[state[at.LAST_COMING] + at.P_NEXT] = packet
    state[at.LAST_COMING] = packet
