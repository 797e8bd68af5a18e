"""Time of a product on PIM units: its steps in the units' queue, fills and reads in the queue beside it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from cairn.base.kernel import kernel
from cairn.sim.mapping.pim_order import NOTHING, Order

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Queue:
    """Fills of the buffer and reads of sums as they stand in their queue, arrays (transfers,)."""

    fills: BoolArray
    first: IntArray
    """The first step that needs what is filled, or that made what is read."""
    again: BoolArray
    """Reads of sums of which the cores have a part already, to which they add it."""
    waits: IntArray
    """(transfers, 2): the step that each waits for, and the first step that waits for it (NOTHING: none)."""


@lru_cache(maxsize=256)
def queue_of(order: Order) -> Queue:
    """The transfers of an order. Sums are waited for by the first step of the stay that has their half after them."""
    following = {stay.before: stay.first for stay in order.sums}
    fills, first, again, waits = [], [], [], []
    read: set[tuple[int, int]] = set()
    for each in order.transfers:
        stay = (order.fills if each.fills else order.sums)[each.stay]
        fills.append(each.fills)
        first.append(stay.first)
        waits.append((each.after, stay.first if each.fills else following.get(each.stay, NOTHING)))
        again.append(not each.fills and order.steps[stay.first][:2] in read)
        if not each.fills:
            read.add(order.steps[stay.first][:2])
    return Queue(np.array(fills), np.array(first), np.array(again), np.array(waits, dtype=np.int64))


@kernel()
def _in_turn(under_way: IntArray, active: int, served: int) -> int:
    """Place of the transfer whose turn it is: in the order of their numbers the one behind the last served, else the
    first (rule S3)."""
    for place in range(active):
        if under_way[place] > served:
            return place
    return 0


@kernel()
def product_cycles(
    work: FloatArray, moved: FloatArray, added: FloatArray, waits: IntArray, delays: FloatArray, turn: float,
    depth: int, refreshes: FloatArray,
) -> float:  # fmt: skip
    """Cycles until the last sums are there, from the moment at which all of x is.

    work    (steps,) cycles of each step on the units, without refreshes
    moved   (transfers,) cycles of the data bus for each transfer; those under way, `depth` at most, have it in turn
    added   (transfers,) cycles in which the core adds what a transfer brings to what it has
    waits   as of `Queue`; transfers are issued in their order
    delays  cycles from the end of a step until those who wait know (they may know before), and those of a transfer
            beside its time on the bus
    turn    cycles of the bus after which it is another transfer's turn (rules S2 and S3 of hw_models/dram/stack)
    refreshes  cycles after which the first one is due, between one and the next, and of one: it comes between rows
    """
    steps, count = work.size, waits.shape[0]
    ends, there = np.zeros(steps), np.zeros(steps)  # there: when what a step waits for has come
    missing = np.zeros(steps, np.int64)
    for number in range(count):
        if waits[number, 1] >= 0:
            missing[waits[number, 1]] += 1
    under_way, left = np.zeros(depth, np.int64), moved.copy()
    now, summed, finished = 0.0, 0.0, 0.0
    due, interval, lasts = refreshes
    step = issued = active = done = 0
    served = -1
    while done < count:
        while step < steps and missing[step] == 0:
            before = ends[step - 1] if step > 0 else 0.0
            begins = max(before, there[step])
            while due <= begins:  # while the units waited
                begins, due = max(begins, max(before, due) + lasts), due + interval
            ends[step] = begins + work[step]
            while due <= ends[step]:
                ends[step], due = ends[step] + lasts, due + interval
            step += 1
        if issued < count and active < depth and waits[issued, 0] < step:
            after = waits[issued, 0]
            ready = max(0.0, ends[after] + delays[0]) if after >= 0 else 0.0
            if active == 0:
                now = max(now, ready)
            if ready <= now:
                under_way[active] = issued
                active, issued = active + 1, issued + 1
                continue
        place = _in_turn(under_way, active, served)
        served = under_way[place]
        now += min(turn, left[served])
        left[served] -= turn
        if left[served] > 0:
            continue
        under_way[place : active - 1] = under_way[place + 1 : active]
        active, done = active - 1, done + 1
        brought = now + delays[1]
        if waits[served, 1] >= 0:
            there[waits[served, 1]] = max(there[waits[served, 1]], brought)
            missing[waits[served, 1]] -= 1
        if added[served] > 0:
            summed = max(summed, brought) + added[served]
        finished = max(finished, brought, summed)
    return float(finished)
