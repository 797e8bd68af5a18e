"""Where the time of a data bus goes: every tick of a pseudo-channel between its bursts is charged to one cause.

A burst at column command `tick` follows the one before after a gap. What held the command back is charged with it: the
rule that bound it last; if that was the activate, whatever bound the activate, and if that was the precharge, whatever
bound that one. A chain that ends at the acceptance of the request itself ends in QUEUE where the request had waited
before a full queue (a deeper one would have hidden the latency), else in NO_DEMAND. Ticks for which a command was free
to issue and did not (another took the bus) are charged to that bus.
"""

from __future__ import annotations

from cairn.hw_models.dram.control import layout as ix
from cairn.hw_models.dram.control.queues import inner, routine
from cairn.hw_models.server import IntArray


@inner()
def share_at(state: IntArray, base: int, pseudo: int) -> int:
    """Where the causes of a pseudo-channel stand."""
    return int(base + state[ix.P_SHARES_AT] + ix.DRAIN * pseudo)


@routine()
def root_cause(state: IntArray, words: int, moment: int, first_tick: int, demanded: bool) -> int:
    """The cause behind a column command that a rule allowed at `moment` and whose request could move at `first_tick`."""
    cause = moment % ix.MOMENT
    if moment >> ix.MOMENT_BITS <= first_tick:
        return ix.QUEUE if demanded else ix.NO_DEMAND
    if cause == ix.AFTER_ACTIVATE:
        moment = state[words + ix.B_ACT_MOMENT]
        if state[words + ix.B_ACT_TICK] > max(moment >> ix.MOMENT_BITS, first_tick):
            return ix.ROW_BUS
        cause = moment % ix.MOMENT
        if moment >> ix.MOMENT_BITS <= first_tick:
            return ix.QUEUE if demanded else ix.NO_DEMAND
    if cause == ix.AFTER_PRECHARGE:
        moment = state[words + ix.B_PRE_MOMENT]
        if state[words + ix.B_PRE_TICK] > max(moment >> ix.MOMENT_BITS, first_tick):
            return ix.ROW_BUS
        cause = moment % ix.MOMENT
        if moment >> ix.MOMENT_BITS <= first_tick:
            return ix.QUEUE if demanded else ix.NO_DEMAND
    return int(cause)


@inner()
def charge_burst(
    state: IntArray, base: int, words: int, tick: int, moment: int, accepted: int, offered: int
) -> None:
    """Charge a burst whose column command issues at `tick`, and the gap before it."""
    pseudo = state[words + ix.B_PSEUDO]
    free = base + state[ix.P_BUS_FREE_AT] + pseudo
    gap = tick - state[free]
    if gap > 0:
        shares = share_at(state, base, pseudo)
        first_tick = accepted + 1
        allowed = max(moment >> ix.MOMENT_BITS, first_tick)
        crowded = min(gap, max(tick - allowed, 0))
        state[shares + ix.COMMAND_BUS] += crowded
        gap -= crowded
        idle = min(gap, max(min(offered + 1, tick) - state[free], 0))
        state[shares + ix.NO_DEMAND] += idle
        gap -= idle
        if gap > 0:
            state[shares + root_cause(state, words, moment, first_tick, offered < accepted)] += gap
    burst = state[ix.P_BURST]
    state[share_at(state, base, pseudo) + ix.DATA_BUS] += burst
    state[free] = tick + burst
