"""The flit network cycle by cycle: sources, deliveries, and the loop over what is awake (rules F1, F2 and F9)."""

from __future__ import annotations

from cairn.base.kernel import kernel
from cairn.base.ticks import NEVER
from cairn.hw_models.noc.flit import layout as at
from cairn.hw_models.noc.flit.events import next_cycle, put
from cairn.hw_models.noc.flit.router import next_slot, receive, receive_credit, work
from cairn.hw_models.noc.flit.transfers import create_packet, note_arrival, take_table
from cairn.hw_models.server import ERROR, IntArray


@kernel(**at.NO_ALLOCATION)
def _wake_node(state: IntArray, node: int) -> None:
    if state[node + at.N_AWAKE] == 0:
        state[node + at.N_AWAKE] = 1
        state[state[at.AWAKE_NODES] + state[at.N_AWAKE_NODES]] = node
        state[at.N_AWAKE_NODES] += 1


@kernel(**at.NO_ALLOCATION)
def _eject(state: IntArray, slot: int, channel: int, cycle: int) -> None:
    """A flit arrives at its node, whose slot is free at once (F9)."""
    packet = state[slot + at.F_FLIT] >> 2
    kind = state[slot + at.F_FLIT] & 3
    state[state[channel + at.C_NODE] + at.N_EJECTED] += 1
    state[at.FLITS_INSIDE] -= 1
    put(state, state[at.CREDIT_WHEEL], slot, cycle + 1 + state[channel + at.C_CYCLES] + state[at.CREDIT_DELAY])
    if kind & 2:
        state[packet + at.P_HEAD] = cycle
    if kind & 1:
        state[packet + at.P_ARRIVED] = cycle
        state[at.LAST_ARRIVAL] = cycle
        state[at.UNFINISHED] -= 1
    if kind and state[packet + at.P_OWNER] != 0:
        note_arrival(state, packet, kind)


@kernel(**at.NO_ALLOCATION)
def _deliver(state: IntArray, cycle: int) -> None:
    """Flits and credits that arrive in `cycle`."""
    bits = state[at.VC_BITS]
    bucket = state[at.FLIT_WHEEL] + (cycle & state[at.WHEEL_MASK])
    slot = state[bucket]
    state[bucket] = 0
    while slot != 0:
        after = state[slot + at.F_NEXT]
        number = state[slot + at.F_VC]
        state[at.EVENTS] -= 1
        channel = state[at.CHANNELS] + (number >> bits) * at.CHANNEL
        if state[channel + at.C_SINK] == 0:
            _eject(state, slot, channel, cycle)
        else:
            receive(state, state[at.BUFFERS] + number * at.BUFFER)
        slot = after
    bucket = state[at.CREDIT_WHEEL] + (cycle & state[at.WHEEL_MASK])
    slot = state[bucket]
    state[bucket] = 0
    while slot != 0:
        number = state[slot + at.F_VC]
        state[at.EVENTS] -= 1
        channel = state[at.CHANNELS] + (number >> bits) * at.CHANNEL
        sender = state[at.SENDERS] + number * at.SENDER
        if state[channel + at.C_SOURCE] == 0:
            state[sender + at.S_CREDITS] += 1
            if state[state[channel + at.C_NODE] + at.N_FIRST] != 0:
                _wake_node(state, state[channel + at.C_NODE])
        else:
            receive_credit(state, state[channel + at.C_SOURCE], sender)
        slot = state[slot + at.F_NEXT]


@kernel(**at.NO_ALLOCATION)
def _create(state: IntArray, cycle: int) -> None:
    """Packets whose time has come join the queue of their source (F1)."""
    packet = state[at.COMING]
    while packet != 0 and state[packet + at.P_CREATED] <= cycle:
        state[at.COMING] = state[packet + at.P_NEXT]
        state[packet + at.P_NEXT] = 0
        node = state[at.NODE_RECORDS] + state[packet + at.P_SOURCE] * at.NODE
        if state[packet + at.P_OWNER] != 0:
            take_table(state, node, packet)
        if state[node + at.N_FIRST] == 0:
            state[node + at.N_FIRST] = packet
            state[packet + at.P_ISSUED] = cycle
            _wake_node(state, node)
        else:
            state[state[node + at.N_LAST] + at.P_NEXT] = packet
        state[node + at.N_LAST] = packet
        packet = state[at.COMING]


@kernel(**at.NO_ALLOCATION)
def _line_up_next(state: IntArray, node: int, transfer: int, cycle: int) -> None:
    """The next packet of a transfer goes to the end of the line, so that transfers of one source take turns (F11)."""
    if state[transfer + at.T_CREATED] == state[transfer + at.T_PACKETS]:
        return
    packet = create_packet(state, transfer, cycle)
    take_table(state, node, packet)
    if state[node + at.N_FIRST] == 0:
        state[node + at.N_FIRST] = packet
    else:
        state[state[node + at.N_LAST] + at.P_NEXT] = packet
    state[node + at.N_LAST] = packet


@kernel(**at.NO_ALLOCATION)
def _choose(state: IntArray, node: int) -> int:
    """The sender of a new packet: the next virtual channel in turn that has a credit; 0 if there is none (F2)."""
    vcs = state[at.VCS]
    first = state[state[node + at.N_CHANNEL] + at.C_SENDERS]
    vc = state[node + at.N_VC]
    for _ in range(vcs):
        vc += 1
        if vc >= vcs:
            vc = 0
        if state[first + vc * at.SENDER + at.S_CREDITS] > 0:
            state[node + at.N_VC] = vc
            return first + vc * at.SENDER  # type: ignore[no-any-return]
    return 0


@kernel(**at.NO_ALLOCATION)
def _inject(state: IntArray, node: int, cycle: int) -> bool:
    """A node sends one flit if it can (F2). Answers whether it has more to do in the next cycle."""
    packet, sent = state[node + at.N_FIRST], state[node + at.N_SENT]
    channel = state[node + at.N_CHANNEL]
    if sent == 0:
        sender = _choose(state, node)
    else:
        sender = state[channel + at.C_SENDERS] + state[node + at.N_VC] * at.SENDER
    if sender == 0 or state[sender + at.S_CREDITS] == 0:
        return False
    if sent == 0:
        state[packet + at.P_INJECTED] = cycle
        state[channel + at.C_BYTES] += state[packet + at.P_BYTES]
    sent += 1
    tail = sent == state[packet + at.P_FLITS]
    slot = state[sender + at.S_WRITE]
    state[sender + at.S_WRITE] = next_slot(state, slot, state[sender + at.S_SLOTS])
    state[sender + at.S_CREDITS] -= 1
    state[slot + at.F_FLIT] = 4 * packet + (2 if sent == 1 else 0) + (1 if tail else 0)
    put(state, state[at.FLIT_WHEEL], slot, cycle + 1 + state[channel + at.C_CYCLES])
    state[channel + at.C_FLITS] += 1
    state[node + at.N_INJECTED] += 1
    state[at.FLITS_INSIDE] += 1
    if not tail:
        state[node + at.N_SENT] = sent
        return True
    state[node + at.N_SENT] = 0
    state[node + at.N_FIRST] = state[packet + at.P_NEXT]
    if state[packet + at.P_OWNER] != 0:
        _line_up_next(state, node, state[packet + at.P_OWNER], cycle + 1)
    if state[node + at.N_FIRST] == 0:
        return False
    state[state[node + at.N_FIRST] + at.P_ISSUED] = cycle + 1
    return True


@kernel(**at.NO_ALLOCATION)
def _inject_all(state: IntArray, cycle: int) -> None:
    nodes, kept = state[at.AWAKE_NODES], 0
    for place in range(nodes, nodes + state[at.N_AWAKE_NODES]):
        node = state[place]
        if _inject(state, node, cycle):
            state[nodes + kept] = node
            kept += 1
        else:
            state[node + at.N_AWAKE] = 0
    state[at.N_AWAKE_NODES] = kept


@kernel(**at.NO_ALLOCATION)
def _work_all(state: IntArray, cycle: int) -> None:
    routers, kept = state[at.AWAKE_ROUTERS], 0
    state[at.WORK] += state[at.N_AWAKE_ROUTERS]
    for place in range(routers, routers + state[at.N_AWAKE_ROUTERS]):
        router = state[place]
        if work(state, router, cycle):
            state[routers + kept] = router
            kept += 1
        else:
            state[router + at.R_AWAKE] = 0
    state[at.N_AWAKE_ROUTERS] = kept


@kernel(**at.NO_ALLOCATION)
def one_cycle(state: IntArray, cycle: int) -> None:
    """All that happens in `cycle`."""
    _deliver(state, cycle)
    _create(state, cycle)
    _inject_all(state, cycle)
    _work_all(state, cycle)
    awake = state[at.N_AWAKE_ROUTERS] + state[at.N_AWAKE_NODES]
    if awake == 0 and state[at.EVENTS] == 0 and state[at.FLITS_INSIDE] > 0:
        state[ERROR] = at.DEADLOCK  # F10


@kernel(**at.NO_ALLOCATION)
def following(state: IntArray, cycle: int) -> int:
    """The first cycle from `cycle` on in which anything happens; NEVER when nothing does, or after an error."""
    if state[ERROR] != 0:
        return NEVER
    if state[at.N_AWAKE_ROUTERS] > 0 or state[at.N_AWAKE_NODES] > 0:
        return cycle
    return next_cycle(state, cycle)


@kernel(**at.NO_ALLOCATION)
def run(state: IntArray, until: int) -> None:
    """Run the cycles before `until`; with NEVER, until all packets have arrived. Stops at a deadlock (ERROR)."""
    cycle = following(state, state[at.CYCLE])
    while cycle < until:
        one_cycle(state, cycle)
        cycle = following(state, cycle + 1)
    state[at.CYCLE] = until if until < NEVER else state[at.LAST_ARRIVAL] + 1
