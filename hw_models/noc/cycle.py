"""Cycle model of the network: packets that queue at ports and links, with virtual cut-through between them.

The rules (the specification; their numbers are cited below, in `request.py` and in `oracle.py`):

N1. A transfer waits `start` cycles (>= 1) at its source after it was requested. It is cut into packets of
    `max_packet_bytes`, the last one smaller; where packets have headers, no bytes at all are one packet. Its first
    packet reaches the injection port of the source when the wait is over, each further packet in the cycle in which
    the one before it has left that port. Transfers of one source therefore take turns at the port, packet by packet.
N2. A packet passes a chain of resources: the injection port of its source, each directed link of its route
    (`routing.py`, or N7), the ejection port of its destination. A resource serves one packet at a time, in the order in
    which heads reach it: by cycle, then task, then packet number. All-to-all has no links to queue at.
N3. A packet holds a resource for ceil((bytes + header) / width) cycles from the cycle in which its head starts on it.
    The head reaches the next resource `injection_cycles` (1) later from an injection port, `hop_cycles` later from a
    link (from the port of an all-to-all network 1 + `hop_cycles` later). The tail leaves a resource when the hold is
    over, and no earlier than that same time after it left the resource before. Buffers are unbounded: a waiting packet
    blocks nobody behind it on earlier links.
N4. FIRST is 1 cycle after the head of the first packet started on the ejection port (its first flit has left it);
    DONE is when the tails of all packets have left the ejection port; both `ejection_cycles` (0) later.
N5. All times are whole cycles of the network's clock. A request made within a cycle counts from the next boundary.
N6. Buffers and channels may be limited. What passes in a cycle is a flit. With `buffer_flits` B beyond a link or an
    injection port, and credits that return after `credit_cycles` C, n flits need (n - 1) // B * max(B, C) +
    (n - 1) % B + 1 cycles until the tail leaves. With `channels` V a packet keeps its virtual channel until its tail
    leaves, say s cycles after its start: it holds the link for no less than ceil(s / V) cycles. Both do not
    touch ejection ports. A packet that waits still blocks nobody behind it on earlier links.
N7. In a network given as data, `next_link` of its routes names the link at every router; a link's latency is
    `router_cycles` and its own `link_cycles`. Where there are several tables, the transfers of a node take them in
    turn, in the order of their requests; all packets of a transfer take the same one.
N8. A request may go to all cores of a rectangle of a mesh or torus with routes by xy, other than its source (flag
    MULTICAST). Its packets pass each link of a tree once: the links of the XY routes from the source. At a router a
    packet arrives at the same time at every link on which the tree goes on and, where the core is one of the
    rectangle, at its ejection port. FIRST and DONE are those of the destination that is last.
N9. A request may add up what all cores of a rectangle send to one core (flag REDUCE), whose own share, where it is one
    of them, is there already. All of them send at once, each packet by packet as in N1. Packets of one number go the
    links of the tree of N8 the other way. At a router one of them goes on with the head of the one that arrives last,
    and a tail no earlier than that of any; each link carries the bytes once. Adding takes no time of its own.

The model knows no back-pressure: against a flit-level simulator it is to be trusted below
about half of the saturation load, and it overstates saturation throughput with small buffers by 1.5 to 4.4 times
(against BookSim2, the runs of reference/noc/booksim2_summary.csv).

How it runs. Nothing that is requested at a tick reaches a resource in that same cycle (N1), so all arrivals up to
the present can be processed in the order of N2, each as next-free-time arithmetic on its resource. Every transfer
has a promise: a lower bound on its next completion, the uncontended time at first, raised when its packets wait.
Arrivals are processed only as far as the earliest promise needs; that promise is also what `next_event` answers.
Arrivals and promises stand in two wheels, by cycle (`wheel.py`); what completes in one cycle is told in no order.
The heads that arrive in one cycle need an order only where they arrive at one resource, so there they are put in line.
"""

from __future__ import annotations

from cairn.base.kernel import kernel, u
from cairn.base.ticks import NEVER
from cairn.hw_models.noc import layout as at
from cairn.hw_models.noc import wheel
from cairn.hw_models.noc.request import give_back, inject, with_credits
from cairn.hw_models.noc.topology import DIRECTIONS
from cairn.hw_models.noc.tree import go_on
from cairn.hw_models.server import (
    ADVANCE_SIGNATURE,
    COUNT,
    DONE,
    DONE_AT,
    ERROR,
    FIRST,
    NEXT_EVENT_SIGNATURE,
    NOW,
    IntArray,
)


@kernel(**at.INLINE)
def _note_wait(state: IntArray, resource: int, transfer: int, wait: int, head_ejects: int, done: int) -> None:
    """A packet waited for a resource; it cannot start on the ejection port before `head_ejects`."""
    state[u(resource + at.WAIT)] += wait
    state[at.SUM_WAIT] += wait
    state[at.MAX_WAIT] = max(state[at.MAX_WAIT], wait)
    state[u(transfer + at.AT_DONE)] = max(state[u(transfer + at.AT_DONE)], done)
    if head_ejects > 0:
        first = head_ejects + 1 + state[at.EJECTION_CYCLES]
        state[u(transfer + at.AT_FIRST)] = max(state[u(transfer + at.AT_FIRST)], first)


@kernel(**at.INLINE)
def _next_resource(state: IntArray, packet: int) -> int:
    """Offset of the resource at which a packet arrives; NODE is then the router behind it."""
    transfer, passed = state[u(packet + at.OWNER)], state[u(packet + at.PASSED)]
    node, hops = state[u(packet + at.NODE)], state[u(transfer + at.HOPS)]
    if passed == 0:
        return int(state[at.INJECTIONS] + at.RESOURCE * node)
    if hops < 0:  # a tree
        if passed == at.TO_EJECT:
            return int(state[at.EJECTIONS] + at.RESOURCE * node)
        link = DIRECTIONS * node + passed - 1
    elif passed > hops:
        return int(state[at.EJECTIONS] + at.RESOURCE * state[u(transfer + at.DESTINATION)])
    elif state[at.N_TABLES] > 0:
        link = state[u(state[u(transfer + at.ROUTE)] + state[at.NODES] * node)]
    else:
        directions = state[u(transfer + at.DIRECTIONS_XY)]
        link = DIRECTIONS * node + (directions >> 2 if passed <= state[u(transfer + at.STEPS_X)] else directions & 3)
    state[u(packet + at.NODE)] = state[u(state[at.NEIGHBOURS] + link)]
    return int(state[at.RESOURCES] + at.RESOURCE * link)


@kernel(**at.INLINE)
def _class_of(state: IntArray, resource: int) -> int:
    """INJECTION, LINK or EJECTION."""
    if resource < state[at.INJECTIONS]:
        return at.LINK
    return at.INJECTION if resource < state[at.EJECTIONS] else at.EJECTION


@kernel(**at.INLINE)
def _line_up(state: IntArray, packet: int, cycle: int, count: int) -> int:
    """Put a packet into the line of those that arrive at its resource in `cycle`, in the order of keys (N2).

    The first `count` resources of the batch have such lines; answers how many then.
    """
    resource = _next_resource(state, packet)
    if state[u(resource + at.STAMP)] != cycle:
        state[u(resource + at.STAMP)], state[u(resource + at.LINE)] = cycle, packet
        state[u(packet + at.NEXT)] = 0
        batch = state[at.BATCH]
        state[u(batch + count)] = resource
        return count + 1
    before, other = resource + at.LINE, state[u(resource + at.LINE)]
    while other != 0 and state[u(other + at.KEY)] < state[u(packet + at.KEY)]:
        before, other = other + at.NEXT, state[u(other + at.NEXT)]
    state[u(packet + at.NEXT)] = other
    state[u(before)] = packet
    return count


@kernel(**at.INLINE)
def _arrive(state: IntArray, packet: int, resource: int, cycle: int) -> None:
    """The head of a packet arrives at a resource at `cycle`, and is sent on to the one after it."""
    number = state[u(packet + at.KEY)] & at.NUMBER_MASK
    transfer = state[u(packet + at.OWNER)]
    kind = _class_of(state, resource)
    later = state[u(transfer + at.N_PACKETS)] - 1 - number
    ahead, node = state[u(packet + at.AHEAD)], state[u(packet + at.NODE)]
    last = state[u(transfer + at.LAST + kind)]
    full = state[u(resource + at.FULL)]
    hold = full if later > 0 else last  # N3
    start = max(cycle, state[u(resource + at.FREE_AT)])  # N2
    tail = max(start + hold, state[u(packet + at.TAIL)])  # N3
    if state[at.LIMITED] != 0 and kind != at.EJECTION:  # N6
        tail = max(tail, start + with_credits(state, hold))
        hold = max(hold, -(-(tail - start) // state[at.CHANNELS]))
    state[u(resource + at.FREE_AT)] = start + hold
    state[u(resource + at.BUSY)] += hold
    state[u(resource + at.BYTES)] += (
        state[at.PACKET_BYTES] if later > 0 else state[u(transfer + at.SIZE)] - number * state[at.PACKET_BYTES]
    )
    if start > cycle:
        done = start + ahead + later * full + last + state[at.EJECTION_CYCLES]
        _note_wait(state, resource, transfer, start - cycle, start + ahead if number == 0 else 0, done)
    if kind == at.EJECTION:
        _eject(state, transfer, packet, number, start, tail)
        return
    latency = state[u(resource + at.LATENCY)]
    state[u(packet + at.TAIL)] = tail + latency
    if kind == at.INJECTION and state[at.N_TABLES] > 0:
        routers = state[at.NODE_ROUTERS]
        state[u(packet + at.NODE)] = state[u(routers + node)]
    if state[u(transfer + at.HOPS)] < 0:
        go_on(state, transfer, packet, start + latency)
    else:
        state[u(packet + at.PASSED)] += 1
        state[u(packet + at.AHEAD)] = ahead - latency
        wheel.put(state, at.ARRIVALS, packet, start + latency)
    if kind == at.INJECTION and later > 0:
        inject(state, transfer, node, number + 1, start + hold)  # N1


@kernel(**at.INLINE)
def _eject(state: IntArray, transfer: int, packet: int, number: int, start: int, tail: int) -> None:
    """A packet leaves the network; with the last one that is to come, that time becomes exact (N4)."""
    state[at.SUM_PACKETS] += 1
    state[u(transfer + at.LEFT)] -= 1
    arrived = state[at.EJECTION_CYCLES]
    if number == 0:
        state[u(transfer + at.AT_FIRST)] = max(state[u(transfer + at.AT_FIRST)], start + 1 + arrived)
        if state[u(transfer + at.FIRST_LEFT)] > 0:
            state[u(transfer + at.FIRST_LEFT)] -= 1
    state[u(transfer + at.AT_DONE)] = max(state[u(transfer + at.AT_DONE)], tail + arrived)
    give_back(state, at.RETURNED_PACKET, packet)


@kernel(**at.INLINE)
def _run_before(state: IntArray, end: int) -> None:
    """Let every head arrive that is to arrive before cycle `end`."""
    cycle = wheel.earliest(state, at.ARRIVALS)
    while cycle < end:
        packet, count = wheel.open_bucket(state, at.ARRIVALS, cycle), 0
        while packet != 0:
            following = state[u(packet + at.NEXT)]
            count = _line_up(state, packet, cycle, count)
            packet = following
        batch = state[at.BATCH]
        for place in range(count):
            resource = state[u(batch + place)]
            packet = state[u(resource + at.LINE)]
            while packet != 0:
                following = state[u(packet + at.NEXT)]
                _arrive(state, packet, resource, cycle)
                packet = following
        cycle = wheel.earliest(state, at.ARRIVALS)


@kernel(**at.NO_ALLOCATION)
def _keep_promise(state: IntArray, transfer: int, promised: int, soonest: int) -> int:
    """Complete a transfer that promised cycle `promised`, or raise its promise. Answers its code, -1 where it goes on.

    All arrivals before that cycle have been processed; what needs another one completes no earlier than `soonest`.
    """
    if state[u(transfer + at.FIRST_LEFT)] != at.FIRST_UNWANTED:
        event, earliest = FIRST, state[u(transfer + at.AT_FIRST)]
        known = state[u(transfer + at.FIRST_LEFT)] == 0
    else:
        event, earliest = DONE, state[u(transfer + at.AT_DONE)]
        known = state[u(transfer + at.LEFT)] == 0
    if not known:
        earliest = max(earliest, soonest)
    if earliest > promised:
        wheel.put(state, at.PROMISES, transfer, earliest)
        return -1
    code: int = 2 * state[u(transfer + at.TASK)] + event
    if event == FIRST:
        state[u(transfer + at.FIRST_LEFT)] = at.FIRST_UNWANTED
        wheel.put(state, at.PROMISES, transfer, max(promised, state[u(transfer + at.AT_DONE)]))
    else:
        give_back(state, at.RETURNED_TRANSFER, transfer)
    return code


@kernel(**at.INLINE)
def _keep_promises(state: IntArray, promised: int, done_at: int) -> int:
    """Write the completions of cycle `promised` from `done_at` on; answers how many they are."""
    soonest = wheel.earliest(state, at.ARRIVALS) + 1  # every completion follows an arrival by a cycle or more
    transfer, count = wheel.open_bucket(state, at.PROMISES, promised), 0
    while transfer != 0:
        following = state[u(transfer + at.NEXT)]
        code = _keep_promise(state, transfer, promised, soonest)
        if code >= 0:
            state[u(done_at + count)] = code
            count += 1
        transfer = following
    return count


@kernel(ADVANCE_SIGNATURE, **at.NO_ALLOCATION)
def advance(state: IntArray, until: int) -> int:
    """Run to the first tick with completions, or to `until` (see `cairn.hw_models.server`)."""
    num, den = state[at.NUM], state[at.DEN]
    last = ((until + 1) * den - 1) // num if until < state[at.LAST_TICK] else NEVER - 1
    count = 0
    promised = wheel.earliest(state, at.PROMISES)
    while promised <= last:
        _run_before(state, promised)
        if state[ERROR] != 0:  # a lost packet: nothing completes any more
            break
        found = _keep_promises(state, promised, state[DONE_AT] + count)
        if found > 0:
            count += found
            last = promised
        promised = wheel.earliest(state, at.PROMISES)
    state[COUNT] = count
    state[NOW] = last * num // den if count > 0 else until
    return count


@kernel(NEXT_EVENT_SIGNATURE, **at.NO_ALLOCATION)
def next_event(state: IntArray) -> int:
    """The tick of the earliest promise, NEVER when there is none."""
    promised = wheel.earliest(state, at.PROMISES)
    if promised >= NEVER or state[ERROR] != 0:
        return NEVER
    return int(promised * state[at.NUM] // state[at.DEN])
