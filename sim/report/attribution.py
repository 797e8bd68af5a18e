"""Whose time is it: every picosecond of a run is charged to exactly one operator.

The rule. The tasks of one operator in one block instance are a *step*; steps stand in plan order. A tick of the
simulated time is charged to the first step, in that order, that has not finished yet; so a step is charged the
advance of the latest finish time that it causes, and what ran in the shadow of an earlier step costs nothing. Tasks
without an operator form the last step of their block instance. The time of block instances that were counted and
not simulated is shared among the steps of the instances that stand for them, in proportion to (weight - 1) times
their own charge (a stand-in is charged its period, so that is what the missing ones took), in whole picoseconds by
largest remainder. The charges of all steps therefore sum to `RunRecord.total_ps`, exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cairn.sim.plan.plan import IndexArray
from cairn.sim.record import RunRecord
from cairn.sim.report.tasks import weight_of_blocks

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Steps:
    """The steps of a run in plan order, and the step of each task. Times in ps.

    op            operator, -1 for tasks without one
    weight        real block instances the step stands for
    begin, finish window of simulated time charged to the step (empty for a step in the shadow of another)
    start, end    first start and last end of its tasks
    charged       time of the whole run charged to it, instances that were not simulated included
    """

    of_task: IntArray
    block: IntArray
    op: IntArray
    weight: IntArray
    begin: IntArray
    finish: IntArray
    start: IntArray
    end: IntArray
    charged: IntArray

    @property
    def scale(self) -> npt.NDArray[np.float64]:
        """Charged time over window: by how much what happened in the window counts in the whole run."""
        window = self.finish - self.begin
        scale: npt.NDArray[np.float64] = np.divide(self.charged, window, out=np.zeros(window.size), where=window > 0)
        return scale


def charge(record: RunRecord) -> Steps:
    """Charge the time of the run to its steps.

    Raises ValueError when the record's total is shorter than its trace.
    """
    plan, trace = record.plan, record.trace
    of_task, block, op = _steps_of(plan.block, plan.op, len(record.operators))
    end = np.zeros(block.size, dtype=np.int64)
    np.maximum.at(end, of_task, trace.end)
    start = np.full(block.size, np.iinfo(np.int64).max, dtype=np.int64)
    np.minimum.at(start, of_task, trace.start)
    finish = np.maximum.accumulate(end) if end.size else end
    begin = np.concatenate(([0], finish[:-1])).astype(np.int64)[: finish.size]
    weight = weight_of_blocks(block, record.block_weight)
    charged = finish - begin + _uncounted(record, weight, finish - begin)
    return Steps(of_task, block, op, weight, begin, finish, start, end, charged)


def _steps_of(block: IndexArray, op: IndexArray, n_ops: int) -> tuple[IntArray, IntArray, IntArray]:
    """Step of each task, then block and operator of each step, in plan order."""
    key = (block.astype(np.int64) + 1) * (n_ops + 1) + np.where(op < 0, n_ops, op)
    present = np.bincount(key) > 0
    rank = np.cumsum(present) - 1
    keys = np.flatnonzero(present)
    step_op = keys % (n_ops + 1)
    return rank[key], keys // (n_ops + 1) - 1, np.where(step_op == n_ops, -1, step_op)


def _uncounted(record: RunRecord, weight: IntArray, advance: IntArray) -> IntArray:
    """Time of the block instances that were not simulated, shared among the steps that stand for them."""
    extra = record.total_ps - record.trace.makespan
    if extra < 0:
        raise ValueError(f"total_ps is {record.total_ps}, shorter than the trace's {record.trace.makespan}")
    stand_in = (weight - 1) * advance
    return np.array(share_out(extra, (stand_in if stand_in.any() else advance).tolist()), dtype=np.int64)


def share_out(amount: int, weights: Sequence[int]) -> list[int]:
    """Split `amount` into whole parts in proportion to `weights` (>= 0); the parts sum to `amount`.

    Rounded down, then one more for the largest remainders (the earlier one on a tie); equal weights if all are 0.
    """
    if not weights:
        return []
    total = sum(weights)
    if total == 0:
        return share_out(amount, [1] * len(weights))
    parts = [amount * weight // total for weight in weights]
    remainders = [amount * weight % total for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda index: -remainders[index])
    for index in by_remainder[: amount - sum(parts)]:
        parts[index] += 1
    return parts
