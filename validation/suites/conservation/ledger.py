"""What a finished run moved and executed, counted in three places: in its servers, in its plan and in its graph.

Trace against plan: the counters in the servers' final states against the sums over the plan's request tables. Plan
against graph: bytes of copies by cause, weighted by how many real blocks an instance stands for, against what the
operators read and write. All of it is counted in integers, so that equal means equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.hw_models.dram import request as dram
from cairn.hw_models.server import FLAGS, IS_WRITE
from cairn.sim.plan.plan import CAUSES, COMPUTE, COMPUTE_COLUMNS
from cairn.sim.record import RunRecord
from cairn.sim.report.operators import repeats
from cairn.sim.report.padding import burst_padding
from cairn.sim.report.tasks import LUT, MATRIX, PIM, VECTOR, TaskView
from cairn.sim.report.work import graph_operators

IntArray = npt.NDArray[np.int64]

UNIQUE: Final = CAUSES.index("unique")
APPEND: Final = CAUSES.index("append")
OPS: Final = COMPUTE_COLUMNS.index("ops")
NOC_BYTES: Final = 3
"""Column of the network's requests (`REQUEST_COLUMNS` of hw_models/noc/spec.py)."""


@dataclass(frozen=True)
class Pair:
    """A quantity counted twice: what is expected and what was found, elementwise (channels, operators, tasks)."""

    expected: IntArray
    found: IntArray

    @property
    def difference(self) -> int:
        """Sum of the absolute differences: 0 only when every element agrees."""
        return int(np.abs(self.found - self.expected).sum())


def trace_against_plan(record: RunRecord) -> dict[str, Pair]:
    """Counters of the servers against the plan's requests, and every task against having run once.

    The keys: bytes read, written, worked on by PIM units and padded by channel, transfers and bytes of the network
    (entered and left), tasks that were issued, gave first data and ended in this order.
    """
    plan, trace = record.plan, record.trace
    counters = server_counters(record)
    requests = dict(zip(plan.servers, plan.requests, strict=True))
    table = requests["dram"]
    writes = (table[:, FLAGS] & IS_WRITE) != 0
    worked = (table[:, FLAGS] & dram.IS_PIM) != 0
    channels = record.chip.channels

    def by_channel(mask: npt.NDArray[np.bool_], values: IntArray) -> IntArray:
        result = np.zeros(channels, dtype=np.int64)
        np.add.at(result, table[mask, dram.R_CHANNEL], values[mask])
        return result

    none = np.zeros(channels, dtype=np.int64)  # of channels that know no PIM units
    padded = burst_padding(record.chip.dram, table)
    size = table[:, dram.R_BYTES]
    sent, noc = requests["noc"], counters["noc"]
    in_order = (trace.start >= 0) & (trace.first >= trace.start) & (trace.end >= trace.first)
    moved_once = TaskView.of(record)
    return {
        "dram_read": Pair(by_channel(~writes & ~worked, size), counters["dram"]["bytes_read"]),
        "dram_written": Pair(by_channel(writes, size), counters["dram"]["bytes_written"]),
        "dram_on_units": Pair(by_channel(worked, size), counters["dram"].get("pim_bytes", none)),
        "dram_padding": Pair(by_channel(~worked, padded), counters["dram"]["padding_bytes"]),
        "noc_transfers": Pair(np.array([sent.shape[0]]), np.array([noc["transfers"]])),
        "noc_bytes": Pair(np.array([sent[:, NOC_BYTES].sum()]), np.array([noc["bytes"]])),
        "noc_bytes_entered": Pair(np.array([sent[:, NOC_BYTES].sum()]), np.array([noc["injection_bytes"].sum()])),
        "dram_copies": Pair(np.array([moved_once.bytes[moved_once.is_dram].sum()]), np.array([size[~worked].sum()])),
        "noc_copies": Pair(np.array([moved_once.bytes[moved_once.is_noc].sum()]), np.array([sent[:, NOC_BYTES].sum()])),
        "tasks": Pair(np.ones(plan.n_tasks, dtype=np.int64), in_order.astype(np.int64)),
    }


def server_counters(record: RunRecord) -> dict[str, Mapping[str, Any]]:
    """What each server of a run counted, read from its final state."""
    kinds = {name: server.kind for name, server in record.servers().items()}
    return {
        name: kinds[name].counters(state) for name, state in zip(record.plan.servers, record.trace.states, strict=True)
    }


def plan_against_graph(record: RunRecord) -> dict[str, Pair]:
    """Unique bytes read and appended by operator, against the graph's; the last element is tasks without operator. What
    PIM units work on in their banks counts as read."""
    count = repeats(record)
    read = count * np.array([info.read_bytes for info in record.operators], dtype=np.int64)
    written = count * np.array([info.written_bytes for info in record.operators], dtype=np.int64)
    view = TaskView.of(record)
    reads = _by_operator(record, view, ~view.is_write & (view.cause == UNIQUE)) + on_units(record, view)
    return {
        "unique_read": Pair(np.append(read, 0), reads),
        "appended": Pair(np.append(written, 0), _by_operator(record, view, view.is_write & (view.cause == APPEND))),
    }


def on_units(record: RunRecord, view: TaskView) -> IntArray:
    """Bytes of weights, and of keys and values from before the step, in the tiles of PIM units, by operator."""
    plan, result = record.plan, np.zeros(len(record.operators) + 1, dtype=np.int64)
    blocks = {segment.block.name: segment.block for segment in record.graph.segments}
    operators = graph_operators(record)
    for task in view.of_class(PIM).tolist():
        tile = dict(zip(COMPUTE_COLUMNS, plan.compute[plan.row[task]].tolist(), strict=True))
        operator, block = operators[tile["op"]], blocks[record.operators[tile["op"]].block]
        if operator is None:
            continue
        length, n1 = tile["k1"] - tile["k0"], tile["n1"]
        if operator.attention is not None:  # its columns are keys, those of the step itself last
            request = operator.attention.requests[tile["group"] // operator.attention.kv_heads]
            n1 = min(n1, request.cached)
        bits = block.tensor(operator.inputs[1]).bits
        result[tile["op"]] += int(length * (n1 - tile["n0"]) * bits // 8) * int(view.weight[task])
    return result


def _by_operator(record: RunRecord, view: TaskView, mask: npt.NDArray[np.bool_]) -> IntArray:
    """Bytes of those copies from and to DRAM, by operator, all repeats counted."""
    result = np.zeros(len(record.operators) + 1, dtype=np.int64)
    mine = np.flatnonzero(mask & view.is_dram)
    np.add.at(result, record.plan.op[mine], view.bytes[mine] * view.weight[mine])
    return result


def other_bytes(record: RunRecord) -> dict[str, int]:
    """Bytes moved from and to DRAM beyond the graph's by cause, burst padding included, all repeats counted."""
    view = TaskView.of(record)
    moved = view.bytes * view.weight * view.is_dram
    result = {
        cause: int(moved[view.cause == index].sum())
        for index, cause in enumerate(CAUSES)
        if cause not in ("unique", "append")
    }
    table = record.plan.requests[record.plan.servers.index("dram")]
    served = np.flatnonzero(view.is_dram)
    padding = burst_padding(record.chip.dram, table)[record.plan.request[served]]
    result["padding"] += int((padding * view.weight[served]).sum())
    return result


@dataclass(frozen=True)
class Operations:
    """Operations by operator (the last element: tasks without one), all repeats counted."""

    required: IntArray
    executed: IntArray

    @property
    def beyond(self) -> IntArray:
        return self.executed - self.required


def matrix_operations(record: RunRecord) -> Operations:
    """What the operators need and what tiles on matrix, LUT and PIM units execute: masked pairs are the difference."""
    return _operations(record, (MATRIX, LUT, PIM), [info.matrix_ops for info in record.operators])


def vector_operations(record: RunRecord) -> Operations:
    """Two ways to count: the operators' in steps of the textbook formulas (workloads/counts.py), what is executed in
    the unit's own operations (hw_models/compute/vector/cycle.py: a sigmoid is one). Their difference has no sign."""
    return _operations(record, (VECTOR,), [info.vector_ops for info in record.operators])


def _operations(record: RunRecord, units: tuple[str, ...], required: list[int]) -> Operations:
    plan, view = record.plan, TaskView.of(record)
    computing = np.flatnonzero((plan.kind == COMPUTE) & (plan.row >= 0))
    there = [view.classes.index(unit) for unit in units if unit in view.classes]
    if there:
        computing = computing[np.isin(view.unit_class[computing], there)]
    executed = np.zeros(len(record.operators) + 1, dtype=np.int64)
    np.add.at(executed, plan.op[computing], plan.compute[plan.row[computing], OPS] * view.weight[computing])
    return Operations(np.append(repeats(record) * np.array(required, dtype=np.int64), 0), executed)
