"""A router: what arrives at it, its pipeline, and what it sends (rules F3 to F8 of the package)."""

from __future__ import annotations

from cairn.base.kernel import kernel
from cairn.hw_models.noc.flit import layout as at
from cairn.hw_models.noc.flit.allocate import find_channels, find_winners
from cairn.hw_models.noc.flit.events import put
from cairn.hw_models.server import IntArray


@kernel(**at.NO_ALLOCATION)
def _finished_at(state: IntArray, step: int, delay: int) -> int:
    """The step in which a stage is done that begins in `step` and takes `delay` cycles (F3)."""
    if delay == 1:
        return step
    speedup = state[at.INTERNAL_SPEEDUP]
    return (step // speedup + delay - 1) * speedup  # type: ignore[no-any-return]


@kernel(**at.NO_ALLOCATION)
def wake(state: IntArray, router: int) -> None:
    """Have a router looked at in this cycle."""
    if state[router + at.R_AWAKE] == 0:
        state[router + at.R_AWAKE] = 1
        state[state[at.AWAKE_ROUTERS] + state[at.N_AWAKE_ROUTERS]] = router
        state[at.N_AWAKE_ROUTERS] += 1


@kernel(**at.NO_ALLOCATION)
def _list_for_switch(state: IntArray, router: int, buffer: int) -> None:
    if state[buffer + at.B_LISTED] == 0:
        state[buffer + at.B_LISTED] = 1
        state[state[router + at.R_SWITCH] + state[router + at.R_N_SWITCH]] = buffer
        state[router + at.R_N_SWITCH] += 1


@kernel(**at.NO_ALLOCATION)
def _route(state: IntArray, router: int, buffer: int) -> None:
    """Decide the output of the packet at the head of a buffer, and which virtual channels it may take there (F4)."""
    packet = state[state[buffer + at.B_READ] + at.F_FLIT] >> 2
    destination, table = state[packet + at.P_DESTINATION], state[packet + at.P_TABLE]
    row = (table * state[at.N_ROUTERS] + state[router + at.R_NUMBER]) * state[at.NODES] + destination
    route = state[state[at.ROUTES] + row]
    high = state[at.VCS] - 1
    low = 0
    if route < 0:
        number = state[at.LINKS] + state[at.NODES] + destination
    else:
        number = route >> at.CLASS_BITS
    out = state[at.CHANNELS] + number * at.CHANNEL
    if route >= 0 and state[at.SETS] > 1:
        if state[out + at.C_DIMENSION] != state[state[buffer + at.B_CHANNEL] + at.C_DIMENSION]:
            state[packet + at.P_CLASS] = route & at.CLASS_MASK
        number = state[state[at.GROUPS] + table] * state[at.CLASSES] + state[packet + at.P_CLASS]
        width = state[at.VCS] // state[at.SETS]
        low = number * width
        high = low + width - 1
    state[buffer + at.B_OUT] = out
    state[buffer + at.B_LOW] = low
    state[buffer + at.B_HIGH] = high
    state[buffer + at.B_STATE] = at.WAITING
    state[state[router + at.R_WAITING] + state[router + at.R_N_WAITING]] = buffer
    state[router + at.R_N_WAITING] += 1
    if state[at.SPECULATIVE] != 0:  # F7
        _list_for_switch(state, router, buffer)


@kernel(**at.NO_ALLOCATION)
def _begin(state: IntArray, router: int, buffer: int) -> None:
    """The head of a packet has become the first flit of its buffer (F4)."""
    if state[at.ROUTING_DELAY] == 0:
        _route(state, router, buffer)
        return
    state[buffer + at.B_STATE] = at.ROUTING
    state[state[router + at.R_ROUTING] + state[router + at.R_N_ROUTING]] = buffer
    state[router + at.R_N_ROUTING] += 1


@kernel(**at.NO_ALLOCATION)
def receive(state: IntArray, buffer: int) -> None:
    """A flit arrives in its slot."""
    router = state[state[buffer + at.B_CHANNEL] + at.C_SINK]
    state[buffer + at.B_COUNT] += 1
    if state[buffer + at.B_STATE] == at.IDLE:
        _begin(state, router, buffer)
    elif state[buffer + at.B_STATE] == at.ACTIVE and state[buffer + at.B_COUNT] == 1:
        _list_for_switch(state, router, buffer)
    else:
        return
    wake(state, router)


@kernel(**at.NO_ALLOCATION)
def receive_credit(state: IntArray, router: int, sender: int) -> None:
    """A credit may be used again; the packet that holds its virtual channel may have waited for it."""
    state[sender + at.S_CREDITS] += 1
    buffer = state[sender + at.S_OWNER]
    if buffer != 0 and state[buffer + at.B_STATE] == at.ACTIVE and state[buffer + at.B_COUNT] > 0:
        _list_for_switch(state, router, buffer)
        wake(state, router)


@kernel(**at.NO_ALLOCATION)
def _departure(state: IntArray, router: int, out: int, step: int) -> int:
    """The cycle in which a flit that wins the switch in `step` leaves its output (F8)."""
    ready = step + 1
    if ready > state[router + at.R_CROSS_FROM]:
        if ready <= state[router + at.R_CROSS_TO]:
            ready = state[router + at.R_CROSS_TO] + 1
        state[router + at.R_CROSS_FROM] = ready
        state[router + at.R_CROSS_TO] = _finished_at(state, ready, state[at.FINAL_DELAY])
    cycle = state[router + at.R_CROSS_TO]
    if state[at.INTERNAL_SPEEDUP] > 1:
        cycle //= state[at.INTERNAL_SPEEDUP]
    cycle = max(cycle, state[out + at.C_DEPART] + 1)
    state[out + at.C_DEPART] = cycle
    return cycle  # type: ignore[no-any-return]


@kernel(**at.NO_ALLOCATION)
def _return_credit(state: IntArray, channel: int, slot: int, step: int, cycle: int) -> None:
    """The slot of a flit that won the switch is free; its sender learns so by a credit (F8)."""
    if state[channel + at.C_STEP] != step:
        state[channel + at.C_STEP] = step
        state[channel + at.C_CREDIT] = max(cycle, state[channel + at.C_CREDIT] + 1)
    usable = state[channel + at.C_CREDIT] + 1 + state[channel + at.C_CYCLES]
    if state[channel + at.C_SOURCE] != 0:
        usable += state[at.CREDIT_DELAY]
    put(state, state[at.CREDIT_WHEEL], slot, usable)


@kernel(**at.NO_ALLOCATION)
def next_slot(state: IntArray, slot: int, first: int) -> int:
    """The slot after `slot` in the ring that begins with `first`."""
    slot += at.SLOT
    return first if slot == first + (at.SLOT << state[at.SLOT_BITS]) else slot


@kernel(**at.NO_ALLOCATION)
def _send(state: IntArray, router: int, buffer: int, step: int, cycle: int) -> None:
    """The first flit of a buffer leaves it for the slot at the other end of the output that it won (F8)."""
    slot, out, sender = state[buffer + at.B_READ], state[buffer + at.B_OUT], state[buffer + at.B_TO]
    flit = state[slot + at.F_FLIT]
    state[buffer + at.B_READ] = next_slot(state, slot, state[buffer + at.B_SLOTS])
    state[buffer + at.B_COUNT] -= 1
    _return_credit(state, state[buffer + at.B_CHANNEL], slot, step, cycle)

    target = state[sender + at.S_WRITE]
    state[sender + at.S_WRITE] = next_slot(state, target, state[sender + at.S_SLOTS])
    state[sender + at.S_CREDITS] -= 1
    state[target + at.F_FLIT] = flit
    arrival = _departure(state, router, out, step) + 1 + state[out + at.C_CYCLES]
    put(state, state[at.FLIT_WHEEL], target, arrival)
    state[out + at.C_FLITS] += 1
    if flit & 2:
        state[out + at.C_BYTES] += state[(flit >> 2) + at.P_BYTES]
    if flit & 1 == 0:
        return
    state[sender + at.S_OWNER] = 0
    state[out + at.C_FREE] |= 1 << (state[sender + at.S_NUMBER] & ((1 << state[at.VC_BITS]) - 1))
    state[buffer + at.B_TO] = 0
    state[buffer + at.B_STATE] = at.IDLE


@kernel(**at.NO_ALLOCATION)
def _apply_switch(state: IntArray, router: int, step: int, cycle: int) -> bool:
    """Winners of the switch send; buffers that are empty or at a new packet leave the list. Answers whether any won."""
    winners, count = state[router + at.R_WINNERS], state[router + at.R_N_WINNERS]
    state[router + at.R_N_WINNERS] = 0
    for place in range(winners, winners + count):
        buffer = state[place]
        if state[at.SPECULATIVE] != 0:  # F7
            sender = state[buffer + at.B_TO]
            if sender == 0 or state[sender + at.S_CREDITS] == 0:
                state[place] = 0
                continue
        _send(state, router, buffer, step, cycle)
    begin = state[router + at.R_SWITCH]
    kept = 0
    for place in range(begin, begin + state[router + at.R_N_SWITCH]):
        buffer = state[place]
        if state[buffer + at.B_STATE] == at.IDLE or state[buffer + at.B_COUNT] == 0:
            state[buffer + at.B_LISTED] = 0
        else:
            state[begin + kept] = buffer
            kept += 1
    state[router + at.R_N_SWITCH] = kept
    for place in range(winners, winners + count):
        buffer = state[place]
        if buffer != 0 and state[buffer + at.B_STATE] == at.IDLE and state[buffer + at.B_COUNT] > 0:
            _begin(state, router, buffer)
    return count > 0  # type: ignore[no-any-return]


@kernel(**at.NO_ALLOCATION)
def _apply_channels(state: IntArray, router: int) -> None:
    """Packets take the virtual channels that they found (F5)."""
    begin = state[router + at.R_WAITING]
    kept = 0
    for place in range(begin, begin + state[router + at.R_N_WAITING]):
        buffer = state[place]
        sender = state[buffer + at.B_GOT]
        if sender == 0:
            state[begin + kept] = buffer
            kept += 1
            continue
        state[buffer + at.B_GOT] = 0
        state[buffer + at.B_TO] = sender
        state[buffer + at.B_STATE] = at.ACTIVE
        state[sender + at.S_OWNER] = buffer
        vc = state[sender + at.S_NUMBER] & ((1 << state[at.VC_BITS]) - 1)
        state[state[buffer + at.B_OUT] + at.C_FREE] &= ~(1 << vc)
        _list_for_switch(state, router, buffer)
    state[router + at.R_N_WAITING] = kept


@kernel(**at.NO_ALLOCATION)
def _apply_routing(state: IntArray, router: int) -> None:
    """Packets whose routing is done ask for virtual channels from the next step on (F4)."""
    begin, done = state[router + at.R_ROUTING], state[router + at.R_IN_ROUTING]
    count = state[router + at.R_N_ROUTING]
    for place in range(begin, begin + done):
        _route(state, router, state[place])
    for place in range(begin + done, begin + count):
        state[place - done] = state[place]
    state[router + at.R_N_ROUTING] = count - done
    state[router + at.R_IN_ROUTING] = 0


@kernel(**at.NO_ALLOCATION)
def _step(state: IntArray, router: int, step: int, cycle: int) -> bool:
    """One round of the pipeline: first every stage decides, then what they decided takes place (F3).

    Answers whether anything did.
    """
    if state[router + at.R_N_ROUTING] > 0 and state[router + at.R_IN_ROUTING] == 0:
        state[router + at.R_IN_ROUTING] = state[router + at.R_N_ROUTING]
        state[router + at.R_ROUTED_AT] = _finished_at(state, step, state[at.ROUTING_DELAY])
    found = 0
    if state[router + at.R_N_WAITING] > 0 and step > state[router + at.R_FOUND_AT]:
        found = find_channels(state, router)
        state[router + at.R_FOUND_AT] = _finished_at(state, step, state[at.VC_DELAY])
    won = False
    if state[router + at.R_N_SWITCH] > 0 and step > state[router + at.R_SWITCHED_AT]:
        state[router + at.R_N_WINNERS] = find_winners(state, router)
        state[router + at.R_SWITCHED_AT] = _finished_at(state, step, state[at.SWITCH_DELAY])

    routed = state[router + at.R_IN_ROUTING] > 0 and step == state[router + at.R_ROUTED_AT]
    # Applied before routing is, so that the list of waiting packets is still that of the allocation.
    if step == state[router + at.R_FOUND_AT]:
        _apply_channels(state, router)
    if routed:
        _apply_routing(state, router)
    if step == state[router + at.R_SWITCHED_AT] and state[router + at.R_N_WINNERS] > 0:
        won = _apply_switch(state, router, step, cycle)
    return found > 0 or won or routed


@kernel(**at.NO_ALLOCATION)
def work(state: IntArray, router: int, cycle: int) -> bool:
    """All rounds of a router in `cycle`. Answers whether it must be looked at in the next cycle as well."""
    speedup = state[at.INTERNAL_SPEEDUP]
    moved = False
    for step in range(cycle * speedup, (cycle + 1) * speedup):
        moved |= _step(state, router, step, cycle)
    if state[at.SINGLE] != 0:  # nothing changes before something arrives
        return moved
    waiting = state[router + at.R_N_ROUTING] + state[router + at.R_N_WAITING] + state[router + at.R_N_SWITCH]
    return waiting > 0  # type: ignore[no-any-return]
