"""What the tasks of a run did, summed exactly per operator: bytes by cause, operations, SRAM accesses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.hw_models.dram.request import R_BYTES
from cairn.sim.plan import actions
from cairn.sim.plan.plan import CAUSES, COMPUTE_COLUMNS, COPY, COPY_COLUMNS, SRAM
from cairn.sim.record import RunRecord
from cairn.sim.report.hardware import task_hops
from cairn.sim.report.lut_work import BIT_SCALE, add_lut_bits, lookups
from cairn.sim.report.padding import burst_padding
from cairn.sim.report.tasks import LUT, MATRIX, PIM, VECTOR, TaskView, tiles
from cairn.workloads.graph import Operator

IntArray = npt.NDArray[np.int64]

READ: Final = 0
WRITE: Final = 1
NOC: Final = 2

PADDING: Final = CAUSES.index("padding")
OPS: Final = COMPUTE_COLUMNS.index("ops")
ACTION: Final = COMPUTE_COLUMNS.index("action")
TURNS: Final = COMPUTE_COLUMNS.index("turns")

PART: Final = 1 << 16
"""Tasks that are looked at together: their arrays of half a MB each stay in a processor's cache."""
_COUNTED: Final = ("queue", "duration", "server", "request", "waits", "op", "block", "kind", "row")


@dataclass(frozen=True)
class Work:
    """Exact totals of the whole run, repeats multiplied; row i is operator i, the last row tasks without operator.

    moved       (operators + 1, 3, causes) bytes read from DRAM, written to DRAM, carried by the network; whole bursts
                from and to DRAM, so that what nobody asked for stands under "padding"
    matrix_ops  (operators + 1,) operations that the plan's tiles on matrix and LUT units execute, masked ones included
    vector_ops  (operators + 1,) the same for vector units, in the operations of the unit's own table
    hop_bytes   (operators + 1,) network bytes times the links that they crossed
    sram_bytes  (operators + 1,) bytes that units and copies read from and wrote to SRAM
    pim_ops     (operators + 1,) operations that the plan's tiles on PIM units execute, two per multiply-accumulate
    pim_bytes   (operators + 1,) bytes of whole columns that PIM units work on in their banks; no traffic of a channel
    lut_ops     (operators + 1,) those of `matrix_ops` that LUT units execute, and in `lookups` how often they look up
                and accumulate for it (planes, padding included), in `lut_groups` for how many groups of activations
    table_adds  (operators + 1,) those of `vector_ops` that make tables
    """

    moved: IntArray
    matrix_ops: IntArray
    vector_ops: IntArray
    hop_bytes: IntArray
    sram_bytes: IntArray
    pim_ops: IntArray
    pim_bytes: IntArray
    lut_ops: IntArray
    lookups: IntArray
    lut_groups: IntArray
    table_adds: IntArray


def graph_operators(record: RunRecord) -> list[Operator | None]:
    """The graph's operator of each plan operator, None for one that the graph does not have."""
    known = {
        (segment.block.name, operator.name): operator
        for segment in record.graph.segments
        for operator in segment.block.operators
    }
    return [known.get((info.block, info.name)) for info in record.operators]


def count_work(record: RunRecord) -> Work:
    """Sum what the tasks did. Tasks are looked at PART at a time, so that what is known of each of them for the moment
    takes no memory to speak of; all sums are of integers, so their order does not matter."""
    n_rows = len(record.operators) + 1
    none = np.zeros(n_rows, dtype=np.int64)
    total = Work(np.zeros((n_rows, 3, len(CAUSES)), dtype=np.int64), *(none.copy() for _ in range(10)))
    shapes = operand_shapes(record)
    for begin in range(0, record.plan.n_tasks, PART):
        part = _count_part(_part(record, slice(begin, begin + PART)), shapes)
        for name, sums in vars(total).items():
            sums += getattr(part, name)
    return total


def _part(record: RunRecord, tasks: slice) -> RunRecord:
    """The record with some of its tasks. Dependences and times stay those of the whole: no sum looks at them."""
    columns = {name: getattr(record.plan, name)[tasks] for name in _COUNTED}
    return replace(record, plan=replace(record.plan, **columns))


def _count_part(record: RunRecord, shapes: IntArray) -> Work:
    plan, view = record.plan, TaskView.of(record)
    n_rows = len(record.operators) + 1
    moved = np.zeros(n_rows * 3 * len(CAUSES), dtype=np.int64)
    for served, way in (
        (view.is_dram & ~view.is_write, READ),
        (view.is_dram & view.is_write, WRITE),
        (view.is_noc, NOC),
    ):
        mine = np.flatnonzero(served & (view.cause >= 0))
        slot = ((plan.op[mine] % n_rows) * 3 + way) * len(CAUSES)
        np.add.at(moved, slot + view.cause[mine], view.bytes[mine] * view.weight[mine])
        if way != NOC:
            np.add.at(moved, slot + PADDING, _padding(record, mine) * view.weight[mine])
    computing, table = tiles(plan)
    executed = table[:, OPS] * view.weight[computing]
    ops = {
        name: _per_operator(record, computing, executed * (view.unit_class[computing] == index))
        for index, name in enumerate(view.classes)
        if name in (MATRIX, VECTOR, LUT, PIM)
    }
    none = np.zeros(n_rows, dtype=np.int64)
    every = np.arange(plan.n_tasks)
    hops = task_hops(record.chip, plan, view)
    copied = _copied_sram_bytes(record, view)
    copied[computing] += _tile_sram_bytes(record, view, computing, table, shapes)
    making = executed * (table[:, ACTION] == actions.PRECOMPUTE)
    looked_up, groups = lookups(record, table, shapes)
    return Work(
        moved=moved.reshape(n_rows, 3, len(CAUSES)),
        matrix_ops=ops.get(MATRIX, none) + ops.get(LUT, none),
        vector_ops=ops.get(VECTOR, none),
        hop_bytes=_per_operator(record, every, view.bytes * hops * view.is_noc * view.weight),
        sram_bytes=_per_operator(record, every, copied * view.weight),
        pim_ops=ops.get(PIM, none),
        pim_bytes=_per_operator(record, every, _worked_bytes(record, view) * view.weight),
        lut_ops=ops.get(LUT, none),
        lookups=_per_operator(record, computing, looked_up * view.weight[computing]),
        lut_groups=_per_operator(record, computing, groups * view.weight[computing]),
        table_adds=_per_operator(record, computing, making),
    )


def _worked_bytes(record: RunRecord, view: TaskView) -> IntArray:
    """Bytes of banks that each task has PIM units work on, 0 for others."""
    plan, result = record.plan, np.zeros(record.plan.n_tasks, dtype=np.int64)
    tasks = view.of_class(PIM)
    for server in np.unique(plan.server[tasks]).tolist():
        mine = tasks[plan.server[tasks] == server]
        result[mine] = plan.requests[server][plan.request[mine], R_BYTES]
    return result


def _per_operator(record: RunRecord, tasks: IntArray, values: IntArray) -> IntArray:
    result = np.zeros(len(record.operators) + 1, dtype=np.int64)
    np.add.at(result, record.plan.op[tasks], values)
    return result


def _padding(record: RunRecord, tasks: IntArray) -> IntArray:
    """Burst padding of tasks that DRAM serves."""
    plan = record.plan
    result = np.zeros(tasks.size, dtype=np.int64)
    for server in np.unique(plan.server[tasks]).tolist():
        mine = np.flatnonzero(plan.server[tasks] == server)
        result[mine] = burst_padding(record.chip.dram, plan.requests[server][plan.request[tasks[mine]]])
    return result


def _copied_sram_bytes(record: RunRecord, view: TaskView) -> IntArray:
    """Bytes that each copy reads from and writes to SRAM: once at every end that is SRAM."""
    plan = record.plan
    ends = np.zeros(plan.n_tasks, dtype=np.int64)
    copied = np.flatnonzero((plan.kind == COPY) & (plan.row >= 0))
    rows = plan.copies[plan.row[copied]]
    for end in ("source_kind", "destination_kind"):
        ends[copied] += rows[:, COPY_COLUMNS.index(end)] == SRAM
    return ends * view.bytes


def _tile_sram_bytes(
    record: RunRecord, view: TaskView, computing: IntArray, table: IntArray, shapes: IntArray
) -> IntArray:
    """Bytes that a unit moves from and to SRAM for each tile.

    What a matrix unit moves, the unit's own model says (`tile_traffic`), and of tables and look-ups `lut.py`; a vector
    tile reads every input and writes its result once, element by element; PIM units take nothing from SRAM but by
    copies.
    """
    shape = shapes[table[:, 0]]
    x, w, y = (shape[:, column] for column in range(3))
    action = table[:, 1]
    m, n, k = (table[:, end] - table[:, end - 1] for end in (4, 6, 8))
    m = m * np.where(np.isin(action, _ON_QUERIES), shape[:, 4], 1)
    bits = m * n * (x * shape[:, 3] + y)
    matrix = view.classes.index(MATRIX) if MATRIX in view.classes else -1
    chosen = np.flatnonzero(view.unit_class[computing] == matrix)
    turned = action[chosen] == actions.CONTEXT  # its columns are the value dimension, and it reduces over the keys
    both = np.where(action[chosen] == actions.STATE, 2, 1)  # k^T v and q s
    m, n, k = m[chosen], n[chosen], k[chosen]
    columns, depth = np.where(turned, k, n), np.where(turned, n, k) * both
    low, more = np.divmod(m, table[chosen, TURNS])
    bits[chosen] = 0
    for rows, times in ((low + 1, more), (low, table[chosen, TURNS] - more)) if chosen.size else ():
        traffic = record.chip.mac.tile_traffic(rows, columns, depth)
        bits[chosen] += times * (
            traffic.inputs * x[chosen]
            + traffic.weights * w[chosen]
            + (traffic.outputs_written + traffic.outputs_read) * y[chosen]
        )
    add_lut_bits(record, table, shapes, bits)
    units = view.classes.index(PIM) if PIM in view.classes else -1
    bits[view.unit_class[computing] == units] = 0
    moved: IntArray = bits // (8 * BIT_SCALE)
    return moved


_ON_QUERIES: Final = (
    actions.SCORES, actions.SOFTMAX, actions.CONTEXT, actions.MERGE, actions.ROW_STATS, actions.PROBABILITIES,
)  # fmt: skip
"""Actions whose rows are tokens, each with the queries of all heads that share a key."""

def operand_shapes(record: RunRecord) -> IntArray:
    """Per operator: tenths of bits of x, w and y, number of inputs, queries that share a key."""
    rows = np.zeros((max(len(record.operators), 1), 5), dtype=np.int64)
    blocks = {segment.block.name: segment.block for segment in record.graph.segments}
    for index, operator in enumerate(graph_operators(record)):
        if operator is None:
            continue
        attention = operator.attention
        block = blocks[record.operators[index].block]
        read = [block.tensor(name).bits for name in operator.inputs]
        written = [block.tensor(name).bits for name in operator.outputs]
        x = read[0] if read else 0.0
        w = read[1] if len(read) > 1 else x
        y = written[0] if written else x
        queries = attention.heads // max(attention.kv_heads, 1) if attention else 1
        rows[index] = (*(round(bits * BIT_SCALE) for bits in (x, w, y)), max(len(read), 1), max(queries, 1))
    return rows
