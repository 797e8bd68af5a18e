"""Cycle model of the network: packets that queue at ports and links, with virtual cut-through between them.

The rules (the specification; their numbers are cited below, in `request.py` and in `oracle.py`):

N1. A transfer waits `start` cycles (>= 1) at its source after it was requested. It is cut into packets of
    `max_packet_bytes`, the last one smaller. Its first packet reaches the injection port of the source when the
    wait is over, each further packet in the cycle in which the one before it has left that port. Transfers of one
    source therefore take turns at the port, packet by packet.
N2. A packet passes a chain of resources: the injection port of its source, each directed link of its route
    (`routing.py`), the ejection port of its destination. A resource serves one packet at a time, in the order in
    which heads reach it: by cycle, then task, then packet number. All-to-all has no links to queue at.
N3. A packet holds a resource for ceil(bytes / width) cycles from the cycle in which its head starts on it. The head
    reaches the next resource 1 cycle later from an injection port, `hop_cycles` later from a link (from the port of
    an all-to-all network 1 + `hop_cycles` later). The tail leaves a resource when the hold is over, and no earlier
    than that same time after it left the resource before. Buffers are unbounded: a waiting packet blocks nobody
    behind it on earlier links.
N4. FIRST is 1 cycle after the head of the first packet started on the ejection port (its first flit has left it);
    DONE is when the tail of the last packet has left the ejection port.
N5. All times are whole cycles of the network's clock. A request made within a cycle counts from the next boundary.

With unbounded buffers the model knows no back-pressure: against a flit-level simulator it is to be trusted below
about half of the saturation load, and it overstates saturation throughput with small buffers by 1.5 to 4.4 times
(against BookSim2, the runs of reference/noc/booksim2_summary.csv).

How it runs. Nothing that is requested at a tick reaches a resource in that same cycle (N1), so all arrivals up to
the present can be processed in the order of N2, each as next-free-time arithmetic on its resource. Every transfer
has a promise: a lower bound on its next completion, the uncontended time at first, raised when its packets wait.
Arrivals are processed only as far as the earliest promise needs; that promise is also what `next_event` answers.
"""

from __future__ import annotations

from cairn.base.kernel import kernel
from cairn.base.ticks import NEVER
from cairn.hw_models.noc import layout as at
from cairn.hw_models.noc import wheel
from cairn.hw_models.noc.heap import drop_top, replace_top
from cairn.hw_models.noc.request import give_back, inject
from cairn.hw_models.noc.topology import DIRECTIONS
from cairn.hw_models.server import (
    ADVANCE_SIGNATURE,
    COUNT,
    DONE,
    DONE_AT,
    ERROR,
    FIRST,
    NEXT_EVENT_SIGNATURE,
    NOW,
    WANTS_FIRST,
    IntArray,
)


@kernel(**at.NO_ALLOCATION)
def _note_wait(state: IntArray, resource: int, transfer: int, wait: int, head_ejects: int, done: int) -> None:
    """A packet waited for a resource; it cannot start on the ejection port before `head_ejects`."""
    state[resource + at.WAIT] += wait
    state[at.SUM_WAIT] += wait
    state[at.MAX_WAIT] = max(state[at.MAX_WAIT], wait)
    state[transfer + at.AT_DONE] = max(state[transfer + at.AT_DONE], done)
    if head_ejects > 0:
        state[transfer + at.AT_FIRST] = head_ejects + 1


@kernel(**at.NO_ALLOCATION)
def _arrive(state: IntArray, packet: int, cycle: int) -> None:
    """The head of a packet arrives at its next resource at `cycle`, and is sent on to the one after it."""
    number = state[packet + at.KEY] & at.NUMBER_MASK
    transfer, passed = state[packet + at.OWNER], state[packet + at.PASSED]
    later = state[transfer + at.N_PACKETS] - 1 - number
    hops, hop_cycles = state[transfer + at.HOPS], state[at.HOP_CYCLES]
    node = state[packet + at.NODE]
    if passed == 0:
        kind, ahead = at.INJECTION, 1 + hops * hop_cycles
        resource = state[at.INJECTIONS] + at.RESOURCE * node
    elif passed <= hops:
        kind, ahead = at.LINK, (hops + 1 - passed) * hop_cycles
        directions = state[transfer + at.DIRECTIONS_XY]
        link = DIRECTIONS * node + (directions >> 2 if passed <= state[transfer + at.STEPS_X] else directions & 3)
        state[packet + at.NODE] = state[state[at.NEIGHBOURS] + link]
        resource = state[at.RESOURCES] + at.RESOURCE * link
    else:
        kind, ahead = at.EJECTION, 0
        resource = state[at.EJECTIONS] + at.RESOURCE * node

    last = state[transfer + at.LAST + kind]
    hold = state[at.FULL + kind] if later > 0 else last  # N3
    start = max(cycle, state[resource + at.FREE_AT])  # N2
    state[resource + at.FREE_AT] = start + hold
    state[resource + at.BUSY] += hold
    state[resource + at.BYTES] += (
        state[at.PACKET_BYTES] if later > 0 else state[transfer + at.SIZE] - number * state[at.PACKET_BYTES]
    )
    if start > cycle:
        done = start + ahead + later * state[at.FULL + kind] + last
        _note_wait(state, resource, transfer, start - cycle, start + ahead if number == 0 else 0, done)
    tail = max(start + hold, state[packet + at.TAIL])  # N3
    if kind == at.EJECTION:
        _eject(state, transfer, packet, number, later, start, tail)
        return
    latency = hop_cycles if kind == at.LINK else 1
    state[packet + at.PASSED] = passed + 1
    if state[at.NUMBERED_LINKS] == 0:  # N3: no link to queue at
        latency += hop_cycles
        state[packet + at.PASSED] = hops + 1
        state[packet + at.NODE] = state[transfer + at.DESTINATION]
    state[packet + at.TAIL] = tail + latency
    wheel.put(state, packet, start + latency)
    if kind == at.INJECTION and later > 0:
        inject(state, transfer, number + 1, start + hold)  # N1


@kernel(**at.NO_ALLOCATION)
def _eject(state: IntArray, transfer: int, packet: int, number: int, later: int, start: int, tail: int) -> None:
    """A packet leaves the network; when it is the first or last of its transfer, that time becomes exact (N4)."""
    state[at.SUM_PACKETS] += 1
    state[transfer + at.EJECTED] += 1
    if number == 0:
        state[transfer + at.AT_FIRST] = start + 1
    if later == 0:
        state[transfer + at.AT_DONE] = tail
    give_back(state, at.RETURNED_PACKET, packet)


@kernel(**at.NO_ALLOCATION)
def _run_before(state: IntArray, end: int) -> None:
    """Let every head arrive that is to arrive before cycle `end`."""
    batch_end = state[at.BATCH_END]
    cycle = wheel.earliest(state)
    while cycle < end:
        count = wheel.open_bucket(state, cycle)
        for place in range(batch_end - count, batch_end):
            _arrive(state, state[place], cycle)
        cycle = wheel.earliest(state)


@kernel(**at.NO_ALLOCATION)
def _keep_promise(state: IntArray, done_at: int) -> bool:
    """Complete the transfer with the earliest promise, or raise that promise. Answers whether it completed.

    All arrivals before the promised cycle have been processed.
    """
    promises = state[at.PROMISES]
    promised, task, transfer = state[promises], state[promises + 1], state[promises + 2]
    count = state[at.N_PROMISES]
    if state[transfer + at.FLAGS_OF] & WANTS_FIRST:
        event, earliest = FIRST, state[transfer + at.AT_FIRST]
        known = state[transfer + at.EJECTED] > 0
    else:
        event, earliest = DONE, state[transfer + at.AT_DONE]
        known = state[transfer + at.EJECTED] == state[transfer + at.N_PACKETS]
    if not known:  # every completion follows an arrival by a cycle or more
        earliest = max(earliest, wheel.earliest(state) + 1)
    if earliest > promised:
        replace_top(state, promises, count, earliest, task, transfer)
        return False
    state[done_at] = 2 * task + event
    if event == FIRST:
        state[transfer + at.FLAGS_OF] ^= WANTS_FIRST
        replace_top(state, promises, count, max(promised, state[transfer + at.AT_DONE]), task, transfer)
    else:
        drop_top(state, promises, count)
        state[at.N_PROMISES] = count - 1
        give_back(state, at.RETURNED_TRANSFER, transfer)
    return True


@kernel(ADVANCE_SIGNATURE, **at.NO_ALLOCATION)
def advance(state: IntArray, until: int) -> int:
    """Run to the first tick with completions, or to `until` (see `cairn.hw_models.server`)."""
    num, den = state[at.NUM], state[at.DEN]
    promises = state[at.PROMISES]
    last = ((until + 1) * den - 1) // num if until < state[at.LAST_TICK] else NEVER
    count = 0
    while state[at.N_PROMISES] > 0 and state[promises] <= last:
        promised = state[promises]
        _run_before(state, promised)
        if state[ERROR] != 0:  # a lost packet: nothing completes any more
            state[at.N_PROMISES] = 0
        elif _keep_promise(state, state[DONE_AT] + count):
            count += 1
            last = promised
    state[COUNT] = count
    state[NOW] = last * num // den if count > 0 else until
    return count


@kernel(NEXT_EVENT_SIGNATURE, **at.NO_ALLOCATION)
def next_event(state: IntArray) -> int:
    """The tick of the earliest promise, NEVER when there is none."""
    if state[at.N_PROMISES] == 0 or state[ERROR] != 0:
        return NEVER
    tick: int = state[state[at.PROMISES]] * state[at.NUM] // state[at.DEN]
    return tick
