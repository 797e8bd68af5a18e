"""The smaller tables of a result: units, energy, bytes by cause."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from cairn.base.ticks import PS_PER_US
from cairn.sim.plan.plan import CAUSES
from cairn.sim.report.busy import ClassBusy
from cairn.sim.report.sums import NOC, READ, WRITE
from cairn.sim.report.tasks import TaskView
from cairn.sim.report.work import Work

FloatArray = npt.NDArray[np.float64]


def unit_table(view: TaskView, busy: Mapping[str, ClassBusy], total_ps: int) -> pd.DataFrame:
    """One row per unit of each class in use, those that did nothing included."""
    frames = []
    for name, each in busy.items():
        mine = view.of_class(name)
        busy_ps = each.per_unit_ps
        sums = np.zeros((2, busy_ps.size), dtype=np.int64)
        np.add.at(sums[0], view.unit[mine], view.weight[mine])
        np.add.at(sums[1], view.unit[mine], view.weight[mine] * view.bytes[mine])
        columns = {
            "unit_class": name,
            "unit": np.arange(busy_ps.size),
            "busy_us": busy_ps / PS_PER_US,
            "utilisation": busy_ps / max(total_ps, 1),
            "tasks": sums[0],
            "bytes": sums[1],
        }
        frames.append(pd.DataFrame(columns))
    names = ["unit_class", "unit", "busy_us", "utilisation", "tasks", "bytes"]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=names)


def energy_table(dynamic_pj: Mapping[str, FloatArray], static_w: Mapping[str, float], latency_s: float) -> pd.DataFrame:
    """Rows of component and nature ("dynamic", "static"): joules of the step, share of all, mean power."""
    rows = [(name, "dynamic", float(values.sum()) * 1e-12) for name, values in dynamic_pj.items()]
    rows += [(name, "static", power * latency_s) for name, power in static_w.items()]
    table = pd.DataFrame(rows, columns=["component", "nature", "energy_j"])
    total = float(table["energy_j"].sum())
    table["share"] = table["energy_j"] / total if total else 0.0
    table["power_w"] = table["energy_j"] / latency_s if latency_s else 0.0
    return table


def bytes_table(work: Work) -> pd.DataFrame:
    """Rows of causes: bytes read from DRAM, written to DRAM, carried by the NoC over the whole run."""
    moved = work.moved.sum(axis=0)
    return pd.DataFrame(
        {
            "cause": CAUSES,
            "dram_read_bytes": moved[READ],
            "dram_write_bytes": moved[WRITE],
            "noc_bytes": moved[NOC],
        }
    )
