"""Repeated blocks: how many of them are simulated, when they are steady, and what the others take.

The rules are told in docs/architecture.md ("Repetition"), how far they are off in docs/assumptions.md (8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from cairn.base.kernel import kernel
from cairn.sim.plan.plan import COMPUTE, NO_SERVER, IndexArray, Plan, Trace
from cairn.sim.record import Repetition
from cairn.workloads.graph import Block
from cairn.workloads.step import Phase

IntArray = npt.NDArray[np.int64]

DRAM: Final = "dram"
ROUND = 4
"""Blocks after which tiles often lie in the same banks and buffer places again: there are four sets of banks."""

LARGE = 300_000
"""Tasks of a block beyond which fewer blocks are written at first: so large ones last long beside a refresh or a tile,
and each takes some 150 MB (assumed)."""
FEW = 7
"""Large blocks that are written at first, at most."""
PAIR = 2
"""Blocks that are enough for a loose tolerance where the first two are alike towards their end."""
PAIR_LARGE = 100_000
"""Tasks of a block beyond which a PAIR may do (assumed: blocks of fewer take less time to simulate than to judge)."""
LATE = 0.6
"""Share of a block after which the first one should be like the second (assumed: its last large products)."""
LATE_OF_LEAD = 0.4
"""Share of a lead after which it should be like the end of a whole block (assumed)."""
OF_MEANS = 2
"""How many times the difference between mean ends of an operator's tasks counts where loads bind (assumed: less did not
tell those that were off by more than 1 %)."""
COLD = 1 / 8
"""By what part of a block the first one lasts longer than the others, which nobody knows where only its last part was
simulated (assumed: at most that in the decodes of Llama-2-13B looked at; 18 % for Qwen3-8B and 60 % for Mamba-2.8B on
the default chip, which the pace of their loads keeps from having a lead; at most that in the prefills looked at whose
units are busy)."""
LOOSE = 0.01
"""A tolerance for which few blocks may do, so that it is also asked whether loads keep pace with them."""


class Lead(NamedTuple):
    """The last part of a block that is enough before a whole one."""

    ops: float
    bytes: float
    """Shares of the operations of a block, and of the bytes that it reads and writes, that are left in it."""
    busy: float
    """Share of the estimated time of a block's products for which the matrix units have work, from which on blocks are
    even."""
    uneven: float
    """By what share of a period blocks differ from one to the next, at least, where the units are less busy."""
    streams: bool
    """Whether blocks wait for their loads."""


LEADS: Final = {
    Phase.DECODE: Lead(1 / 2, 1 / 5, 0.0, 0.0, streams=True),
    Phase.PREFILL: Lead(1 / 5, 1 / 5, 0.7, 1 / 64, streams=False),
}
"""Leads by phase (assumed, 0.7 and 1/64 on prefills near the front of `voxel-prefill`; the errors that come with them
are measured: docs/assumptions.md). Prefills whose units are less busy wait for the network or the DRAM, and their
blocks differ by more from one to the next."""


@dataclass
class Repeated:
    """Instances of repeated blocks that follow each other: `first` .. `first + simulated - 1` of `repeat`."""

    name: str
    first: int
    simulated: int
    repeat: int
    lead: Lead | None = None
    """The last part of the first one, if only that was written; it counts for none."""
    cycle: int = 0
    """Blocks after which periods were seen to repeat; 0 where they were not."""

    @property
    def whole(self) -> int:
        """Instances that were simulated from their beginning to their end."""
        return self.simulated - (self.lead is not None)

    @property
    def left_out(self) -> int:
        return self.repeat - self.whole

    @property
    def steady(self) -> range:
        """The instances whose periods count: the last ones but one, which what follows disturbs, and never the first,
        which fills the buffers. One cycle of them, or without one a power of two: where the buffer has its own cycle or
        refreshes come in between, a mean over many sees whole rounds. Of PAIR large blocks the second counts.
        """
        if self.simulated <= PAIR:
            return range(self.first + self.simulated - 1, self.first + self.simulated)
        count = self.cycle or 1 << max(1, (self.simulated - 2).bit_length() - 1)
        end = self.first + self.simulated - 1
        return range(end - count, end)


class Written(NamedTuple):
    """How many of equal blocks are written: at most `most`, and of blocks with more than `large` tasks `of_large`; of
    the first one of a PAIR of large ones, with a `lead`, the last part alone."""

    most: int
    of_large: int
    large: int = LARGE
    lead: Lead | None = None


def simulated_of(repeat: int, count: int) -> int:
    """How many of `repeat` equal blocks are simulated if at most `count` should be: whole rounds are left out, so that
    what follows the last block finds banks and buffers as if all blocks had been there. A PAIR of large ones stays one,
    for what follows is short beside them."""
    if count == PAIR:
        return min(repeat, PAIR)
    return repeat if count >= repeat else count - (count - repeat) % ROUND


def begin_of(lead: Lead, block: Block) -> str | None:
    """The last operator of a block from which on the shares of a lead are left; None where that is the first."""
    ops = np.array([op.matrix_ops + op.vector_ops for op in block.operators], dtype=np.float64)
    moved = np.array([sum(count for _, count in (*op.reads, *op.writes)) for op in block.operators], dtype=np.float64)
    left = [np.cumsum(each[::-1])[::-1] >= part * each.sum() for part, each in ((lead.ops, ops), (lead.bytes, moved))]
    last = int(np.flatnonzero(left[0] & left[1])[-1])
    return block.operators[last].name if last > 0 else None


def repetition_of(run: Repeated, plan: Plan, trace: Trace, ends: IntArray, tolerance: float) -> Repetition:
    """The mean period of a run of repeated blocks, and by how much the run's time is in doubt for it; `ends` are those
    of the plan's blocks.

    Periods vary from block to block, since tiles meet other banks, refreshes and places in buffers each time. Where
    they come round, a cycle counts (`_cycle_of`); else the mean over all steady blocks, held against the means over any
    half of them in a row, and of few blocks against the pace of their loads too. Of a PAIR the second period counts, in
    doubt by what `_unlike` says, and of one with a lead also by the first block (COLD). The change is by what part the
    run's time would differ, at most, if the blocks left out took one of the means that the one that counts was held
    against.
    """
    period, change, lead = 0, 0.0, 0
    if run.left_out and run.simulated == PAIR:
        period = int(ends[run.first + 1] - ends[run.first])
        lead = int(ends[run.first] - ends[: run.first].max(initial=0)) if run.lead is not None else 0
        each: float = _unlike(plan, trace, run.first, lead, run.lead is None or run.lead.streams)
        if run.lead is not None:
            each = max(each, run.lead.uneven * period)
        doubt = run.left_out * each + (lead > 0) * COLD * period
        change = doubt / max(run.repeat * period, 1)
    elif run.left_out:
        half = len(run.steady) // 2
        steady = ends[run.steady[0] - 1 : run.steady[-1] + 1]
        mean = float(steady[-1] - steady[0]) / (2 * half)
        doubt = float(np.abs((steady[half:] - steady[:-half]) / half - mean).max())
        run.cycle, cycle_mean, cycle_doubt = _cycle_of(ends[run.first : run.first + run.simulated - 1])
        if run.cycle and cycle_doubt < doubt:
            mean, doubt = cycle_mean, cycle_doubt
        else:
            run.cycle = 0
        if run.simulated <= FEW and tolerance >= LOOSE:
            doubt = max(doubt, _drift_of_loads(plan, trace, run.steady, mean))
        period = round(mean)
        change = run.left_out * doubt / max(run.repeat * mean, 1.0)
    return Repetition(run.name, run.repeat, run.whole, period, change, tolerance, lead)


def _unlike(plan: Plan, trace: Trace, first: int, lead: int, streams: bool) -> int:
    """By how much a block and the next one differ: over the last part of the latter (LATE), the most by which the time
    from where an operator finishes to where the block ends is longer in one than in the other, or that from the mean
    end of its loads.

    The first of equal blocks begins unlike the others, since its input comes from elsewhere and its weights could not
    be loaded ahead. Where that is no longer felt at last, it hands the same state to the second block as the second
    block does to the third, which therefore takes as long as the second. That state is also how far loads are ahead.
    Of a first block that took only `lead` ticks, since it was not written from its beginning, no more than the last
    part is looked at (LATE_OF_LEAD), of operators that were written, and OF_MEANS times what the mean ends of all tasks
    differ counts too. Where it is not loads that blocks wait for (not `streams`), it is when the cores hand their
    results on that they hand over: then the mean ends of computations count, of operators that begin in that part, and
    not those of loads. Where no operator does or finishes in it, nothing is known and the whole period is in doubt.
    """
    operators = int(plan.op.max(initial=0)) + 2
    finish = np.zeros((2, operators), dtype=np.int64)
    count, total = np.zeros((3, 2, operators), dtype=np.int64), np.zeros((3, 2, operators))
    _sum_ends(plan.block, plan.op, plan.kind, plan.server, trace.end, first, _dram_of(plan), finish, count, total)
    last = finish.max(axis=1, keepdims=True)
    left = last - np.maximum.accumulate(finish, axis=1)
    period = int(last[1, 0] - last[0, 0])
    late = left[1] <= (1 - LATE) * period
    if lead:
        late &= (count[ALL, 0] > 0) & (left[1] <= (1 - LATE_OF_LEAD) * lead)
    begun = late & np.append(False, late[:-1])

    def means_apart(tasks: int, of: npt.NDArray[np.bool_]) -> float | None:
        of = of & count[tasks].all(axis=0)
        before_end = last - total[tasks] / np.maximum(count[tasks], 1)
        return float(np.abs(before_end[0, of] - before_end[1, of]).max()) if of.any() else None

    doubts = [float(np.abs(left[0, late] - left[1, late]).max())]
    if streams:
        doubts.append(means_apart(LOADS, late) or 0.0)
    if lead and streams:
        doubts.append(OF_MEANS * (means_apart(ALL, late) or 0.0))
    elif lead:
        computed = means_apart(COMPUTED, begun)
        doubts.append(period if computed is None else computed)
    return int(max(doubts)) if not lead or left[1, late].any() else period


ALL, LOADS, COMPUTED = range(3)
"""Tasks whose mean ends are looked at."""


@kernel()
def _sum_ends(
    block: IndexArray, op: IndexArray, kind: IndexArray, server: IndexArray, end: IntArray, first: int, dram: int,
    finish: IntArray, count: IntArray, total: npt.NDArray[np.float64],
) -> None:  # fmt: skip
    """Of the blocks `first` and the next one: `finish` (2, operators) of each operator, those without any first, and
    `count` and `total` (3, 2, operators) of the ends of ALL, LOADS and COMPUTED tasks."""
    for task in range(block.size):
        which, place = block[task] - first, op[task] + 1
        if not 0 <= which < 2:
            continue
        finish[which, place] = max(finish[which, place], end[task])
        count[ALL, which, place] += 1
        total[ALL, which, place] += end[task]
        if server[task] == dram:
            count[LOADS, which, place] += 1
            total[LOADS, which, place] += end[task]
        if kind[task] == COMPUTE:
            count[COMPUTED, which, place] += 1
            total[COMPUTED, which, place] += end[task]


def _drift_of_loads(plan: Plan, trace: Trace, steady: range, period: float) -> float:
    """By how much the time from block to block between the mean ends of their loads, over the steady ones, differs from
    their period: where loads run ahead of the blocks, or fall behind, the blocks will not go on as they did."""
    loads = np.flatnonzero(plan.server == _dram_of(plan))
    count, total = (np.bincount(plan.block[loads], weights=each) for each in (None, trace.end[loads]))
    before, last = steady[0] - 1, steady[-1]
    if count.size <= last or not count[[before, last]].all():
        return 0.0
    pace = (total[last] / count[last] - total[before] / count[before]) / len(steady)
    return abs(float(pace) - period)


def _dram_of(plan: Plan) -> int:
    """The server of loads, and of few stores; one that serves nothing where there is none."""
    return plan.servers.index(DRAM) if DRAM in plan.servers else NO_SERVER - 1


def _cycle_of(ends: IntArray) -> tuple[int, float, float]:
    """(cycle, mean, doubt): after how many blocks, ROUND at most, their periods come round, the mean period over the
    last cycle, and by how much the mean over a cycle has moved within the last ROUND + 2 periods. The cycle that moved
    least counts, a ROUND only where each of its periods can have come twice; 0 where there are fewer periods. `ends`
    are those of blocks in a row.
    """
    best = 0, 0.0, float("inf")
    periods = len(ends) - 1
    if periods < ROUND + 2:
        return best
    last = ends[-(ROUND + 3) :]
    for cycle in range(1, ROUND + 1):
        if periods < 2 * cycle:
            break
        means = (last[cycle:] - last[:-cycle]) / cycle
        doubt = float(np.abs(means - means[-1]).max())
        if doubt < best[2]:
            best = cycle, float(means[-1]), doubt
    return best
