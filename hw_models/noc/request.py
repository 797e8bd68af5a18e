"""Accepting a transfer: its records, its route, its uncontended times, and its packets one by one."""

from __future__ import annotations

from cairn.base.kernel import kernel, u
from cairn.hw_models.noc import layout as at
from cairn.hw_models.noc import wheel
from cairn.hw_models.noc.routing import signed_steps_kernel
from cairn.hw_models.noc.spec import MAX_BYTES, MAX_PACKETS, MAX_TASK, MULTICAST, OPPOSITE_SHIFT, REDUCE
from cairn.hw_models.noc.topology import DIRECTIONS, DOWN, LEFT, RIGHT, UP
from cairn.hw_models.server import ENQUEUE_SIGNATURE, ERROR, FLAGS, NOW, WANTS_FIRST, IntArray


@kernel(**at.INLINE)
def take(state: IntArray, returned: int, unused: int, size: int, end: int) -> int:
    """A record of a pool, or 0 when all are in use. `returned` and `unused` are header slots of the pool."""
    record: int = state[u(returned)]
    if record != 0:
        state[u(returned)] = state[u(record + at.NEXT)]
        return record
    record = state[u(unused)]
    if record >= end:
        return 0
    state[u(unused)] = record + size
    return record


@kernel(**at.INLINE)
def give_back(state: IntArray, returned: int, record: int) -> None:
    state[u(record + at.NEXT)] = state[u(returned)]
    state[u(returned)] = record


@kernel(**at.INLINE)
def inject(state: IntArray, transfer: int, node: int, number: int, cycle: int) -> None:
    """Packet `number` of a transfer reaches the injection port of `node` at `cycle`."""
    packet = take(state, at.RETURNED_PACKET, at.NEXT_PACKET, at.PACKET, state[at.BATCH])
    if packet == 0:
        state[ERROR] = at.TOO_MANY_PACKETS
        return
    state[u(packet + at.OWNER)] = transfer
    state[u(packet + at.PASSED)] = 0
    state[u(packet + at.NODE)] = node
    state[u(packet + at.TAIL)] = 0
    state[u(packet + at.AHEAD)] = state[u(transfer + at.HEAD)] if state[u(transfer + at.HOPS)] >= 0 else 0
    state[u(packet + at.KEY)] = state[u(transfer + at.TASK)] << at.NUMBER_BITS | number
    wheel.put(state, at.ARRIVALS, packet, cycle)


@kernel(**at.NO_ALLOCATION)
def with_credits(state: IntArray, flits: int) -> int:
    """Cycles in which `flits` pass where each buffer-full of them waits for its credits (N6)."""
    buffer = state[at.BUFFER_FLITS]
    if buffer == 0:
        return flits
    return int((flits - 1) // buffer * max(buffer, state[at.CREDIT_CYCLES]) + (flits - 1) % buffer + 1)


@kernel(**at.INLINE)
def _set_route(state: IntArray, transfer: int, source: int, destination: int) -> int:
    """The links that the transfer is to take, and how many they are; answers the cycles of a head on its way."""
    head = state[state[at.INJECTIONS] + at.RESOURCE * source + at.LATENCY]
    hops = 0
    if state[at.N_TABLES] > 0:  # N7
        nodes, neighbours, links = state[at.NODES], state[at.NEIGHBOURS], state[at.RESOURCES]
        table = state[state[at.TURNS] + source]
        state[state[at.TURNS] + source] = (table + 1) % state[at.N_TABLES]
        route = state[at.TABLES] + table * state[at.ROUTERS] * nodes + destination
        state[u(transfer + at.ROUTE)] = route
        link = state[route + nodes * state[state[at.NODE_ROUTERS] + source]]
        while link >= 0:
            hops += 1
            head += state[links + at.RESOURCE * link + at.LATENCY]
            link = state[route + nodes * state[u(neighbours + link)]]
    elif state[at.NUMBERED_LINKS] > 0 and source != destination:
        places, wraps, column = state[at.NODE_ROUTERS], state[at.WRAPS], (1 << at.PLACE_BITS) - 1
        here, there = state[u(places + source)], state[u(places + destination)]
        x = (there & column) - (here & column)
        y = (there >> at.PLACE_BITS) - (here >> at.PLACE_BITS)
        if wraps != 0:
            x = signed_steps_kernel(wraps, state[at.COLUMNS], here & column, there & column)
            y = signed_steps_kernel(wraps, state[at.ROWS], here >> at.PLACE_BITS, there >> at.PLACE_BITS)
        directions = (RIGHT if x > 0 else LEFT) << 2 | (DOWN if y > 0 else UP)
        state[u(transfer + at.DIRECTIONS_XY)] = directions
        state[u(transfer + at.STEPS_X)] = abs(x)
        hops = abs(x) + abs(y)
        link = DIRECTIONS * source + (directions >> 2 if x != 0 else directions & 3)
        head += hops * state[state[at.RESOURCES] + at.RESOURCE * link + at.LATENCY]
    state[u(transfer + at.HOPS)] = hops
    state[u(transfer + at.HEAD)] = head
    return int(head)


@kernel(**at.NO_ALLOCATION)
def _reaches(wraps: int, size: int, root: int, low: int, high: int) -> tuple[int, int]:
    """Steps up and down from a coordinate that reach all of `low` .. `high`."""
    up, down = 0, 0
    for there in range(low, high + 1):
        step = signed_steps_kernel(wraps, size, root, there)
        up, down = max(up, step), max(down, -step)
    return up, down


@kernel(**at.NO_ALLOCATION)
def _set_tree(state: IntArray, transfer: int, root: int, one: int, other: int) -> tuple[int, int]:
    """The tree between a root and the rectangle with the corners `one` and `other`: cores other than the root, and the
    steps to the one that is furthest away; no cores for a rectangle that is the root alone."""
    columns, rows, wraps = state[at.COLUMNS], state[at.ROWS], state[at.WRAPS]
    left, right = min(one % columns, other % columns), max(one % columns, other % columns)
    top, bottom = min(one // columns, other // columns), max(one // columns, other // columns)
    across, down = right - left + 1, bottom - top + 1
    to_right, to_left = _reaches(wraps, columns, root % columns, left, right)
    to_bottom, to_top = _reaches(wraps, rows, root // columns, top, bottom)
    has_root = left <= root % columns <= right and top <= root // columns <= bottom
    state[u(transfer + at.ROOT)] = root
    state[u(transfer + at.LOW)], state[u(transfer + at.HIGH)] = top * columns + left, bottom * columns + right
    state[u(transfer + at.REACHES)] = (
        to_right << at.REACH_BITS * RIGHT | to_left << at.REACH_BITS * LEFT
        | to_bottom << at.REACH_BITS * DOWN | to_top << at.REACH_BITS * UP
    )  # fmt: skip
    links = to_right + to_left + across * (to_bottom + to_top)
    state[at.SUM_HOP_BYTES] += state[u(transfer + at.SIZE)] * links
    return across * down - has_root, max(to_right, to_left) + max(to_bottom, to_top)


@kernel(**at.INLINE)
def _cycles(state: IntArray, size: int, place: int) -> int:
    """Cycles in which `size` bytes and a header pass a width that stands at `place` (N3)."""
    width = state[u(place)]
    return int(((size + state[at.HEADER_BYTES]) * state[u(place + 1)] + width - 1) // width)


@kernel(**at.INLINE)
def _set_uncontended_times(state: IntArray, transfer: int, source: int, destination: int, head: int) -> None:
    """Promises of a transfer whose first packet reaches the ejection port at `head`, having met nobody.

    Before the last packet, packets follow each other at the pace of the slowest resource so far; the last one
    finishes where that pace plus its own hold is longest.
    """
    others = state[u(transfer + at.N_PACKETS)] - 1
    last_size = state[u(transfer + at.SIZE)] - others * state[at.PACKET_BYTES]
    nodes, has_links = state[at.NODES], state[u(transfer + at.HOPS)] != 0
    pace, longest, last, before = 0, 0, 0, -1
    for kind in range(3):
        port = source if kind == at.INJECTION else 2 * nodes if kind == at.LINK else nodes + destination
        place = state[at.WIDTHS] + at.WIDTH * port
        if before < 0 or state[u(place)] != state[u(before)] or state[u(place + 1)] != state[u(before + 1)]:
            last = _cycles(state, last_size, place)  # a division, which equal widths share
        before = place
        state[u(transfer + at.LAST + kind)] = last
        if kind != at.LINK or has_links:
            resource = state[at.INJECTIONS] + at.RESOURCE * port
            pace = max(pace, state[at.LINK_FULL] if kind == at.LINK else state[u(resource + at.FULL)])
            longest = max(longest, others * pace + last)
    head += state[at.EJECTION_CYCLES]
    state[u(transfer + at.AT_FIRST)] = head + 1
    state[u(transfer + at.AT_DONE)] = head + longest


@kernel(**at.INLINE)
def _start(state: IntArray, transfer: int, source: int, destination: int, arrival: int) -> None:
    """The first packet of a transfer from one node to another."""
    state[u(transfer + at.DESTINATION)] = destination
    head = _set_route(state, transfer, source, destination)
    _set_uncontended_times(state, transfer, source, destination, arrival + head)
    links = state[u(transfer + at.HOPS)] if state[at.NUMBERED_LINKS] > 0 else 1
    state[at.SUM_HOP_BYTES] += state[u(transfer + at.SIZE)] * links
    inject(state, transfer, source, 0, arrival)


@kernel(**at.NO_ALLOCATION)
def _start_tree(state: IntArray, transfer: int, request: IntArray, arrival: int) -> None:
    """The first packets of a transfer to (N8) or from (N9) a rectangle."""
    spreads = request[FLAGS] & MULTICAST != 0
    root, corner = (request[1], request[2]) if spreads else (request[2], request[1])
    cores, steps = _set_tree(state, transfer, root, corner, request[FLAGS] >> OPPOSITE_SHIFT)
    state[u(transfer + at.HOPS)] = at.SPREADS if spreads else at.GATHERS
    state[u(transfer + at.JOINS)] = 0
    port, link = state[at.INJECTIONS] + at.LATENCY, state[at.RESOURCES] + at.LATENCY
    head = arrival + state[u(port)] + steps * state[u(link)]
    _set_uncontended_times(state, transfer, root, root, head)
    if spreads:
        state[u(transfer + at.LEFT)] *= cores
        state[u(transfer + at.FIRST_LEFT)] *= cores if state[u(transfer + at.FIRST_LEFT)] > 0 else 1
        inject(state, transfer, root, 0, arrival)
        return
    columns, low, high = state[at.COLUMNS], state[u(transfer + at.LOW)], state[u(transfer + at.HIGH)]
    for row in range(low // columns, high // columns + 1):
        for column in range(low % columns, high % columns + 1):
            if row * columns + column != root and state[ERROR] == 0:
                inject(state, transfer, row * columns + column, 0, arrival)


@kernel(**at.INLINE)
def _is_bad(state: IntArray, task: int, request: IntArray, packets: int) -> bool:
    """Whether a request is one that `check_requests` refuses, or lies beyond the range of the state."""
    flags, source, destination, size = request[FLAGS], request[1], request[2], request[3]
    nodes, least = state[at.NODES], 1 if state[at.HEADER_BYTES] == 0 else 0
    if min(source, destination) < 0 or max(source, destination) >= nodes or size < least:
        return True
    if flags & (MULTICAST | REDUCE) != 0:
        opposite = flags >> OPPOSITE_SHIFT
        alone = source == destination == opposite
        if alone or opposite >= nodes or (flags & MULTICAST and flags & REDUCE):
            return True
        if state[at.N_TABLES] > 0 or state[at.NUMBERED_LINKS] == 0:
            return True
    elif source == destination and state[at.LOOPBACK] == 0:
        return True
    return bool(
        task >= MAX_TASK or packets >= MAX_PACKETS or size >= MAX_BYTES or state[NOW] >= state[at.LAST_TICK]
    )


@kernel(ENQUEUE_SIGNATURE, **at.NO_ALLOCATION)
def enqueue(state: IntArray, task: int, request: IntArray) -> None:
    """Accept a transfer; `request` has the columns REQUEST_COLUMNS. When it cannot be held, ERROR is set."""
    if state[ERROR] != 0:
        return
    flags, size = request[FLAGS], request[3]
    packets = 1
    if size > state[at.PACKET_BYTES]:
        packets = (size + state[at.PACKET_BYTES] - 1) // state[at.PACKET_BYTES]  # N1
    if _is_bad(state, task, request, packets):
        state[ERROR] = at.BAD_REQUEST
        return
    transfer = take(state, at.RETURNED_TRANSFER, at.NEXT_TRANSFER, at.TRANSFER, state[at.PACKETS])
    if transfer == 0:
        state[ERROR] = at.TOO_MANY_TRANSFERS
        return
    state[u(transfer + at.TASK)] = task
    state[u(transfer + at.FIRST_LEFT)] = 1 if flags & WANTS_FIRST else at.FIRST_UNWANTED
    state[u(transfer + at.SIZE)] = size
    state[u(transfer + at.N_PACKETS)] = packets  # N1
    state[u(transfer + at.LEFT)] = packets
    boundary = -(-state[NOW] * state[at.DEN] // state[at.NUM])  # N5
    arrival = boundary + state[at.START_CYCLES]  # N1
    if flags & (MULTICAST | REDUCE) == 0:
        _start(state, transfer, request[1], request[2], arrival)
    else:
        _start_tree(state, transfer, request, arrival)
    state[at.SUM_TRANSFERS] += 1
    promised = state[u(transfer + at.AT_FIRST)] if flags & WANTS_FIRST else state[u(transfer + at.AT_DONE)]
    state[at.PROMISES + at.BASE] = boundary
    wheel.put(state, at.PROMISES, transfer, promised)
