"""The two allocators of a router, separable and round-robin, one iteration (iSLIP): rules F5 and F6 of the package.

Requests are compared by their distance from a pointer, so that the order in which they stand in a list has no
influence. Both allocators first let every output choose among those that ask for it, then every input among the outputs
that chose it; pointers move behind what was chosen by both (McKeown, IEEE/ACM ToN 7(2), 1999).
"""

from __future__ import annotations

from cairn.base.kernel import kernel
from cairn.hw_models.noc.flit import layout as at
from cairn.hw_models.server import IntArray


@kernel(**at.NO_ALLOCATION)
def distance(number: int, pointer: int) -> int:
    """How far `number` lies behind a round-robin pointer; what lies before it comes after all others."""
    return number - pointer if number >= pointer else number - pointer + at.FAR


@kernel(**at.NO_ALLOCATION)
def _ask_for_channels(state: IntArray, router: int) -> int:
    """Every free virtual channel that is wanted keeps the nearest packet that asks for it; how many were asked."""
    begin, touched = state[router + at.R_WAITING], state[at.TOUCHED]
    asked = 0
    for place in range(begin, begin + state[router + at.R_N_WAITING]):
        buffer = state[place]
        out = state[buffer + at.B_OUT]
        free = state[out + at.C_FREE]
        for vc in range(state[buffer + at.B_LOW], state[buffer + at.B_HIGH] + 1):
            if (free >> vc) & 1 == 0:
                continue
            sender = state[out + at.C_SENDERS] + vc * at.SENDER
            far = distance(state[buffer + at.B_NUMBER], state[sender + at.S_GRANT])
            if state[sender + at.S_FROM] == 0:
                state[touched + asked] = sender
                asked += 1
            elif far >= state[sender + at.S_NEAR]:
                continue
            state[sender + at.S_FROM] = buffer
            state[sender + at.S_NEAR] = far
    return asked


@kernel(**at.NO_ALLOCATION)
def find_channels(state: IntArray, router: int) -> int:
    """VC allocation (F5): what was found stands in B_GOT of the waiting buffers. Answers for how many."""
    asked = _ask_for_channels(state, router)
    touched, chosen = state[at.TOUCHED], state[at.CHOSEN]
    found = 0
    for place in range(touched, touched + asked):
        sender = state[place]
        buffer = state[sender + at.S_FROM]
        state[sender + at.S_FROM] = 0
        far = distance(state[sender + at.S_NUMBER], state[buffer + at.B_ACCEPT])
        if state[buffer + at.B_GOT] == 0:
            state[chosen + found] = buffer
            found += 1
        elif far >= state[buffer + at.B_NEAR]:
            continue
        state[buffer + at.B_GOT] = sender
        state[buffer + at.B_NEAR] = far
    for place in range(chosen, chosen + found):
        buffer = state[place]
        sender = state[buffer + at.B_GOT]
        state[sender + at.S_GRANT] = state[buffer + at.B_NUMBER] + 1
        state[buffer + at.B_ACCEPT] = state[sender + at.S_NUMBER] + 1
    return found


@kernel(**at.NO_ALLOCATION)
def _asks_for_switch(state: IntArray, buffer: int) -> bool:
    """Whether a buffer may ask: it has a credit, or may take a free virtual channel that has one (F6, F7)."""
    if state[buffer + at.B_STATE] == at.ACTIVE:
        return bool(state[state[buffer + at.B_TO] + at.S_CREDITS] > 0)
    out = state[buffer + at.B_OUT]
    free, senders = state[out + at.C_FREE], state[out + at.C_SENDERS]
    for vc in range(state[buffer + at.B_LOW], state[buffer + at.B_HIGH] + 1):
        if (free >> vc) & 1 and state[senders + vc * at.SENDER + at.S_CREDITS] > 0:
            return True
    return False


@kernel(**at.NO_ALLOCATION)
def _ask_for_switch(state: IntArray, router: int) -> int:
    """Every output keeps the nearest lane that asks for it; how many were asked.

    Buffers without a credit leave the list (a credit brings them back), unless allocation takes several cycles: then
    they keep its rounds going.
    """
    begin, touched = state[router + at.R_SWITCH], state[at.TOUCHED]
    asked = kept = 0
    for place in range(begin, begin + state[router + at.R_N_SWITCH]):
        buffer = state[place]
        asks = _asks_for_switch(state, buffer)
        state[buffer + at.B_ASKED] = asks
        if not asks and state[at.SWITCH_DELAY] == 1 and state[buffer + at.B_STATE] == at.ACTIVE:
            state[buffer + at.B_LISTED] = 0
            continue
        state[begin + kept] = buffer
        kept += 1
        if not asks:
            continue
        out, lane = state[buffer + at.B_OUT], state[buffer + at.B_LANE]
        far = distance(state[lane + at.L_NUMBER], state[out + at.C_GRANT])
        if state[out + at.C_FROM] == 0:
            state[touched + asked] = out
            asked += 1
        elif far >= state[out + at.C_NEAR]:
            continue
        state[out + at.C_FROM] = lane
        state[out + at.C_NEAR] = far
    state[router + at.R_N_SWITCH] = kept
    return asked


@kernel(**at.NO_ALLOCATION)
def _match_lanes(state: IntArray, asked: int) -> int:
    """Every lane takes the nearest of the outputs that chose it (L_TO); how many lanes did."""
    touched, chosen = state[at.TOUCHED], state[at.CHOSEN]
    matched = 0
    for place in range(touched, touched + asked):
        out = state[place]
        lane = state[out + at.C_FROM]
        state[out + at.C_FROM] = 0
        far = distance(state[out + at.C_OUT], state[lane + at.L_ACCEPT])
        if state[lane + at.L_TO] == 0:
            state[chosen + matched] = lane
            matched += 1
        elif far >= state[lane + at.L_NEAR]:
            continue
        state[lane + at.L_TO] = out
        state[lane + at.L_NEAR] = far
    for place in range(chosen, chosen + matched):
        lane = state[place]
        out = state[lane + at.L_TO]
        state[out + at.C_GRANT] = state[lane + at.L_NUMBER] + 1
        state[lane + at.L_ACCEPT] = state[out + at.C_OUT] + 1
        state[lane + at.L_BEST] = 0
    return matched


@kernel(**at.NO_ALLOCATION)
def find_winners(state: IntArray, router: int) -> int:
    """Switch allocation (F6): the winning buffers stand in the list R_WINNERS. Answers how many."""
    matched = _match_lanes(state, _ask_for_switch(state, router))
    if matched == 0:
        return 0
    vcs, begin = state[at.VCS], state[router + at.R_SWITCH]
    for place in range(begin, begin + state[router + at.R_N_SWITCH]):
        buffer = state[place]
        lane = state[buffer + at.B_LANE]
        if state[lane + at.L_TO] != state[buffer + at.B_OUT] or state[buffer + at.B_ASKED] == 0:
            continue
        turn = (state[buffer + at.B_NUMBER] & ((1 << state[at.VC_BITS]) - 1)) - state[lane + at.L_TURN]
        if turn < 0:
            turn += vcs
        if state[buffer + at.B_STATE] == at.WAITING:  # F7: after those that have a virtual channel
            turn += at.FAR
        if state[lane + at.L_BEST] == 0 or turn < state[lane + at.L_NEAR]:
            state[lane + at.L_BEST] = buffer
            state[lane + at.L_NEAR] = turn
    chosen, winners = state[at.CHOSEN], state[router + at.R_WINNERS]
    for number in range(matched):
        lane = state[chosen + number]
        buffer = state[lane + at.L_BEST]
        vc = state[buffer + at.B_NUMBER] & ((1 << state[at.VC_BITS]) - 1)
        state[lane + at.L_TURN] = (vc + state[at.INPUT_SPEEDUP]) % vcs
        state[lane + at.L_TO] = 0
        state[winners + number] = buffer
    return matched
