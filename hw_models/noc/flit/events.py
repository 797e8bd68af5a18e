"""What is on its way: flits and credits, in two wheels of buckets, one bucket for each of the coming cycles.

A slot of a buffer is at any time free, filled, or on one of the two wheels, so the buckets are linked through the
slots.
"""

from __future__ import annotations

from cairn.base.kernel import kernel
from cairn.base.ticks import NEVER
from cairn.hw_models.noc.flit import layout as at
from cairn.hw_models.server import IntArray


@kernel(**at.NO_ALLOCATION)
def put(state: IntArray, wheel: int, slot: int, cycle: int) -> None:
    """Let `slot` come up on a wheel in `cycle`, which lies in the future."""
    bucket = wheel + (cycle & state[at.WHEEL_MASK])
    state[slot + at.F_NEXT] = state[bucket]
    state[bucket] = slot
    state[at.EVENTS] += 1


@kernel(**at.NO_ALLOCATION)
def next_cycle(state: IntArray, cycle: int) -> int:
    """The first cycle from `cycle` on in which something arrives or a packet is created; NEVER if nothing does."""
    coming = state[at.COMING]
    created = max(cycle, state[coming + at.P_CREATED]) if coming != 0 else NEVER
    if state[at.EVENTS] == 0:
        return created
    mask = state[at.WHEEL_MASK]
    flits, credits = state[at.FLIT_WHEEL], state[at.CREDIT_WHEEL]
    while cycle < created and state[flits + (cycle & mask)] == 0 and state[credits + (cycle & mask)] == 0:
        cycle += 1
    return cycle
