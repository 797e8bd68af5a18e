"""The task table: one row per simulated task."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from cairn.sim.plan import actions
from cairn.sim.plan.plan import CAUSES, COMPUTE_COLUMNS
from cairn.sim.record import RunRecord
from cairn.sim.report.tasks import TaskView, tiles

_KINDS = ("sync", "compute", "copy")


def named(codes: npt.NDArray[np.integer], names: tuple[str, ...]) -> pd.Series:
    """Codes as categories; -1 is missing."""
    return pd.Series(pd.Categorical.from_codes(codes, pd.Index(_unique(names), dtype="str")))


def _unique(names: tuple[str, ...]) -> list[str]:
    """Categories must differ: a name met again gets its number."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        count = seen.get(name, 0)
        seen[name] = count + 1
        result.append(f"{name}#{count}" if count else name)
    return result


def task_table(record: RunRecord, view: TaskView) -> pd.DataFrame:
    """Rows in plan order; tile bounds are -1 for tasks that compute no tile. Times are exact, in ps."""
    plan, trace = record.plan, record.trace
    computing, table = tiles(plan)
    columns: dict[str, object] = {
        "block": plan.block.astype(np.int32),
        "operator": named(plan.op, tuple(f"{info.block}/{info.name}" for info in record.operators)),
        "kind": named(plan.kind, _KINDS),
        "unit_class": named(view.unit_class, view.classes),
        "unit": view.unit.astype(np.int32),
        "queue": named(plan.queue, tuple(queue.name for queue in plan.queues)),
        "start_ps": trace.start,
        "first_ps": trace.first,
        "end_ps": trace.end,
        "weight": view.weight,
        "bytes": view.bytes,
        "cause": named(view.cause, CAUSES),
    }
    for index, name in enumerate(COMPUTE_COLUMNS):
        if name == "op":
            continue
        values = np.full(plan.n_tasks, -1, dtype=np.int32)
        values[computing] = table[:, index]
        columns[name] = named(values.astype(np.int64), actions.NAMES) if name == "action" else values
    return pd.DataFrame(columns, index=pd.RangeIndex(plan.n_tasks, name="task"))
