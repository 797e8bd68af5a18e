"""The operator table: one row per operator of each kind of block, all its repeats summed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from cairn.base.ticks import PS_PER_S, PS_PER_US
from cairn.sim.mapping.by_tables import planes_of
from cairn.sim.plan.plan import CAUSES
from cairn.sim.record import RunRecord
from cairn.sim.report.attribution import Steps
from cairn.sim.report.busy import ClassBusy
from cairn.sim.report.hardware import Peaks
from cairn.sim.report.sums import NOC, READ, WRITE
from cairn.sim.report.tasks import SYNC_CLASS
from cairn.sim.report.work import Work, graph_operators

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

LATENCY: Final = "latency"
"""Limiting resource of an operator in whose time no unit was busy for more than half: waiting and synchronising."""

BUSY_ENOUGH: Final = 0.5
"""assumed: a unit class limits an operator when its busiest unit works for more than half of the operator's time."""

UNASSIGNED: Final = "(no operator)"


def repeats(record: RunRecord) -> IntArray:
    """How often each operator is executed in the whole run: the repeats of its block in the graph."""
    count: dict[str, int] = {}
    for segment in record.graph.segments:
        count[segment.block.name] = count.get(segment.block.name, 0) + segment.repeat
    return np.array([count.get(info.block, 0) for info in record.operators], dtype=np.int64)


def required_matrix_ops(record: RunRecord) -> IntArray:
    """Operations on matrix units that each operator requires, repeats multiplied."""
    required: IntArray = repeats(record) * np.array([info.matrix_ops for info in record.operators], dtype=np.int64)
    return required


def lut_planes(record: RunRecord) -> IntArray:
    """(operators,) bit planes of the weights of operators that LUT units do; 0 for others."""
    blocks = {segment.block.name: segment.block for segment in record.graph.segments}
    planes = [
        0 if operator is None else planes_of(record.chip, blocks[info.block], operator) or 0
        for info, operator in zip(record.operators, graph_operators(record), strict=True)
    ]
    return np.array(planes, dtype=np.int64)


def bounds(record: RunRecord, peaks: Peaks, work: Work) -> dict[str, FloatArray]:
    """Least time in seconds that each resource needs for each operator, repeats multiplied.

    Required operations over the peak rate of the units that do them, unique bytes over the peak DRAM bandwidth; of an
    operator that PIM units work on, over the rates of both sides together. "lut" is there where cores have LUT units:
    their rate falls with the planes of the weights. Vector operations are required in steps of textbook formulas
    (workloads/counts.py); where the unit takes fewer of its own (a sigmoid is one), those count.
    """
    count = repeats(record)
    infos = record.operators
    units = work.pim_bytes[:-1] > 0
    required = count * np.array([info.matrix_ops for info in infos], float)
    planes = lut_planes(record)
    of_lut = {"lut": required * planes / peaks.lut_bit_ops_per_s} if peaks.lut_bit_ops_per_s else {}
    rate = np.maximum(peaks.matrix_ops_per_s + units * record.chip.pim_ops_per_s, 1.0)
    return {
        "matrix": required * (planes == 0) / rate,
        **of_lut,
        "vector": np.minimum(count * np.array([info.vector_ops for info in infos], float), work.vector_ops[:-1])
        / peaks.vector_ops_per_s,
        "dram": count * np.array([info.read_bytes + info.written_bytes for info in infos], float)
        / (peaks.dram_bytes_per_s + units * record.chip.pim_bytes_per_s),
    }  # fmt: skip


def operator_table(
    record: RunRecord,
    steps: Steps,
    work: Work,
    busy: Mapping[str, ClassBusy],
    energy_pj: Mapping[str, FloatArray],
    peaks: Peaks,
) -> pd.DataFrame:
    """Rows in plan order; a last row holds tasks without an operator when any time or bytes fall to them.

    `matrix_ops` are of the cores, `pim_ops` (where the chip has PIM units) of those units.
    """
    n_ops = len(record.operators)
    charged_ps = np.zeros(n_ops + 1, dtype=np.int64)
    np.add.at(charged_ps, steps.op, steps.charged)
    columns = _identity(record, n_ops)
    columns["time_us"] = charged_ps / PS_PER_US
    columns["time_share"] = charged_ps / max(int(charged_ps.sum()), 1)
    columns["span_us"] = _span_ps(steps, n_ops) / PS_PER_US
    columns.update(_bound_columns(record, charged_ps, peaks, work))
    columns.update(_limits(busy, charged_ps))
    columns.update(_work_columns(record, work))
    for name, values in energy_pj.items():
        columns[f"energy_{name}_uj"] = values / 1e6
    columns["energy_uj"] = sum(energy_pj.values(), start=np.zeros(n_ops + 1)) / 1e6
    table = pd.DataFrame(columns)
    idle = charged_ps[-1] == 0 and not work.moved[-1].any() and not work.matrix_ops[-1]
    return table.iloc[:-1] if idle else table


def _identity(record: RunRecord, n_ops: int) -> dict[str, Any]:
    infos = record.operators
    return {
        "block": [*(info.block for info in infos), ""],
        "operator": [*(info.name for info in infos), UNASSIGNED],
        "kind": [*(info.kind for info in infos), SYNC_CLASS],
        "repeat": np.append(repeats(record), 1),
    }


def _span_ps(steps: Steps, n_ops: int) -> IntArray:
    """Last end minus first start of one instance: the latest of those with the greatest weight."""
    span = np.zeros(n_ops + 1, dtype=np.int64)
    order = np.argsort(steps.weight, kind="stable")
    span[steps.op[order]] = steps.end[order] - steps.start[order]
    return span


def _bound_columns(record: RunRecord, charged_ps: IntArray, peaks: Peaks, work: Work) -> dict[str, Any]:
    each = bounds(record, peaks, work)
    stacked = np.array([np.append(values, 0.0) for values in each.values()])
    bound_s = stacked.max(axis=0)
    names = np.array(list(each))[stacked.argmax(axis=0)]
    time_s = charged_ps / PS_PER_S
    return {
        "bound_us": bound_s * 1e6,
        "bound": np.where(bound_s > 0, names, ""),
        "efficiency": np.divide(bound_s, time_s, out=np.full(bound_s.size, np.nan), where=time_s > 0),
    }


def _limits(busy: Mapping[str, ClassBusy], charged_ps: IntArray) -> dict[str, Any]:
    """Limiting resource, and for each class how busy its busiest unit was in the operator's own time.

    Classes whose busiest units are equally busy, to a percent, are told apart by the mean over their units.
    """
    time = np.maximum(charged_ps, 1)
    share = {name: each.busy_ps.max(axis=1, initial=0.0) / time for name, each in busy.items()}
    mean = [each.busy_ps.mean(axis=1) / time for each in busy.values()]
    names = np.array([*share, LATENCY])
    rank = [
        np.where(top > BUSY_ENOUGH, np.round(top, 2) + each / 1000, 0.0)
        for top, each in zip(share.values(), mean, strict=True)
    ]
    stacked = np.array([*rank, np.full(charged_ps.size, BUSY_ENOUGH)])
    limiting = np.where(charged_ps > 0, names[stacked.argmax(axis=0)], "")
    return {"limiting": limiting, **{f"{name}_busy": values for name, values in share.items()}}


def _work_columns(record: RunRecord, work: Work) -> dict[str, Any]:
    required = required_matrix_ops(record)
    vector = repeats(record) * np.array([info.vector_ops for info in record.operators], dtype=np.int64)
    columns: dict[str, Any] = {
        "matrix_ops": work.matrix_ops,
        "matrix_ops_required": np.append(required, 0),
        "vector_ops": work.vector_ops,
        "vector_ops_required": np.append(vector, 0),
        "dram_read_bytes": work.moved[:, READ].sum(axis=1),
        "dram_write_bytes": work.moved[:, WRITE].sum(axis=1),
        "noc_bytes": work.moved[:, NOC].sum(axis=1),
    }
    if record.chip.pim is not None:
        columns["pim_ops"] = work.pim_ops
    for way, index in (("dram_read", READ), ("dram_write", WRITE)):
        for cause, name in enumerate(CAUSES):
            if work.moved[:, index, cause].any():
                columns[f"{way}_{name}_bytes"] = work.moved[:, index, cause]
    return columns
