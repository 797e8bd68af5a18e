"""How busy the units were, in the time charged to each step and over the whole run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cairn.sim.plan.plan import Trace
from cairn.sim.report.attribution import Steps
from cairn.sim.report.tasks import TaskView

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pieces:
    """Disjoint intervals in which units of one class had work in flight: `task` is the one that extended it."""

    task: IntArray
    unit: IntArray
    begin: IntArray
    end: IntArray


def pieces(view: TaskView, trace: Trace, name: str) -> Pieces:
    """When each unit of class `name` was busy: the union of its tasks, start to end, cut at their starts.

    A unit that serves several tasks at once (a DRAM channel) counts as busy once.
    """
    tasks = view.of_class(name)
    unit, start, end = view.unit[tasks], trace.start[tasks], trace.end[tasks]
    horizon = trace.makespan + 1
    order = np.argsort(unit * horizon + start, kind="stable")
    tasks, unit, start, end = tasks[order], unit[order], start[order], end[order]
    reached = np.maximum.accumulate(unit * horizon + end) if end.size else end
    before = np.concatenate(([-1], reached[:-1])).astype(np.int64)[: end.size] - unit * horizon
    begin = np.maximum(start, before)
    kept = end > begin
    return Pieces(tasks[kept], unit[kept], begin[kept], end[kept])


def per_step(cut: Pieces, steps: Steps, n_units: int) -> IntArray:
    """Busy time in ps of each unit within the window of each step, shape (steps, n_units)."""
    first = np.searchsorted(steps.finish, cut.begin, side="right")
    last = np.searchsorted(steps.finish, cut.end, side="left")
    count = last - first + 1
    source = np.repeat(np.arange(cut.begin.size), count)
    step = np.arange(source.size) - np.repeat(np.cumsum(count) - count, count) + first[source]
    overlap = np.minimum(cut.end[source], steps.finish[step]) - np.maximum(cut.begin[source], steps.begin[step])
    busy = np.zeros(steps.block.size * n_units, dtype=np.int64)
    np.add.at(busy, step * n_units + cut.unit[source], overlap)
    return busy.reshape(steps.block.size, n_units)


@dataclass(frozen=True)
class ClassBusy:
    """Busy time of the units of a class over the whole run, not simulated blocks included: ps per operator and unit.

    The last operator row holds the tasks without an operator.
    """

    name: str
    busy_ps: FloatArray

    @property
    def per_unit_ps(self) -> FloatArray:
        total: FloatArray = self.busy_ps.sum(axis=0)
        return total


def class_busy(name: str, view: TaskView, trace: Trace, steps: Steps, n_ops: int, n_units: int) -> ClassBusy:
    """Busy time of class `name`; what happened in a step's window counts as often as the window's time does."""
    busy = per_step(pieces(view, trace, name), steps, n_units) * steps.scale[:, None]
    result = np.zeros((n_ops + 1, n_units))
    np.add.at(result, steps.op, busy)
    return ClassBusy(name, result)
