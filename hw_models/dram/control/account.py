"""Where the time of a data bus goes: every tick of a pseudo-channel between its bursts is charged to one cause.

A burst at column command `tick` follows the one before after a gap. What held the command back is charged with it: the
rule that bound it last; if that was the activate, whatever bound the activate, and if that was the precharge, whatever
bound that one. The rule at the end of that chain is charged for as long as it held back the request; what is left of
the gap goes to QUEUE where the request had waited before a full queue (a deeper one would have hidden the latency),
else to NO_DEMAND. Ticks for which a command was free to issue and did not (another took the bus) are charged to that
bus.
"""

from __future__ import annotations

from cairn.base.kernel import u
from cairn.hw_models.dram.control import layout as ix
from cairn.hw_models.dram.control.queues import inner, routine
from cairn.hw_models.server import IntArray


@inner()
def share_at(state: IntArray, base: int, pseudo: int) -> int:
    """Where the causes of a pseudo-channel stand."""
    return int(base + state[ix.P_SHARES_AT] + ix.DRAIN * pseudo)


@inner()
def _charge(state: IntArray, at: int, gap: int, ticks: int) -> int:
    """Charge up to `ticks` of a gap to the cause at `at`; answers what is left of the gap."""
    charged = min(gap, max(ticks, 0))
    state[u(at)] += charged
    return int(gap - charged)


@routine()
def _charge_chain(
    state: IntArray, words: int, shares: int, gap: int, tick: int, moment: int, first_tick: int, demanded: bool
) -> None:
    """Charge the gap before a column command at `tick`, allowed from `moment` on, of a request that could move from
    `first_tick` on: from the column command back to the activate and the precharge, as far as they bound it."""
    gap = _charge(state, shares + ix.COMMAND_BUS, gap, tick - max(moment >> ix.MOMENT_BITS, first_tick))
    for behind in range(2):
        if moment >> ix.MOMENT_BITS <= first_tick:
            break
        if behind == 0 and moment % ix.MOMENT == ix.AFTER_ACTIVATE:
            tick, moment = state[u(words + ix.B_ACT_TICK)], state[u(words + ix.B_ACT_MOMENT)]
        elif moment % ix.MOMENT == ix.AFTER_PRECHARGE:
            tick, moment = state[u(words + ix.B_PRE_TICK)], state[u(words + ix.B_PRE_MOMENT)]
        else:
            break
        gap = _charge(state, shares + ix.ROW_BUS, gap, tick - max(moment >> ix.MOMENT_BITS, first_tick))
    gap = _charge(state, shares + moment % ix.MOMENT, gap, (moment >> ix.MOMENT_BITS) - first_tick)
    state[u(shares + (ix.QUEUE if demanded else ix.NO_DEMAND))] += gap


@inner()
def charge_burst(state: IntArray, base: int, words: int, tick: int, moment: int, accepted: int, offered: int) -> None:
    """Charge a burst whose column command issues at `tick`, and the gap before it."""
    pseudo = state[u(words + ix.B_PSEUDO)]
    free = base + state[ix.P_BUS_FREE_AT] + pseudo
    shares = share_at(state, base, pseudo)
    gap = tick - state[u(free)]
    if gap > 0:
        gap = _charge(state, shares + ix.NO_DEMAND, gap, offered + 1 - state[u(free)])
        if gap > 0:
            _charge_chain(state, words, shares, gap, tick, moment, accepted + 1, offered < accepted)
    burst = state[ix.P_BURST]
    state[u(shares + ix.DATA_BUS)] += burst
    state[u(free)] = tick + burst
