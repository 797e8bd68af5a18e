"""What the tasks of a run did, summed exactly per operator: bytes by cause, operations, SRAM accesses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.sim.plan import actions
from cairn.sim.plan.plan import CAUSES, COPY, COPY_COLUMNS, SRAM
from cairn.sim.record import RunRecord
from cairn.sim.report.tasks import MATRIX, TaskView, tiles
from cairn.workloads.graph import Operator

IntArray = npt.NDArray[np.int64]

READ: Final = 0
WRITE: Final = 1
NOC: Final = 2


@dataclass(frozen=True)
class Work:
    """Exact totals of the whole run, repeats multiplied; row i is operator i, the last row tasks without operator.

    moved       (operators + 1, 3, causes) bytes read from DRAM, written to DRAM, carried by the network
    matrix_ops  (operators + 1,) operations that the tiles on the matrix units hold, masked and padded ones included
    hop_bytes   (operators + 1,) network bytes times the links that they crossed
    sram_bytes  (operators + 1,) bytes that units and copies read from and wrote to SRAM
    """

    moved: IntArray
    matrix_ops: IntArray
    hop_bytes: IntArray
    sram_bytes: IntArray


def graph_operators(record: RunRecord) -> list[Operator | None]:
    """The graph's operator of each plan operator, None for one that the graph does not have."""
    known = {
        (segment.block.name, operator.name): operator
        for segment in record.graph.segments
        for operator in segment.block.operators
    }
    return [known.get((info.block, info.name)) for info in record.operators]


def count_work(record: RunRecord, view: TaskView, hops: IntArray) -> Work:
    """Sum what the tasks did; `hops` (n,) is the number of links that each task's data crosses."""
    plan = record.plan
    n_rows = len(record.operators) + 1
    moved = np.zeros(n_rows * 3 * len(CAUSES), dtype=np.int64)
    for served, way in (
        (view.is_dram & ~view.is_write, READ),
        (view.is_dram & view.is_write, WRITE),
        (view.is_noc, NOC),
    ):
        mine = np.flatnonzero(served & (view.cause >= 0))
        slot = ((plan.op[mine] % n_rows) * 3 + way) * len(CAUSES) + view.cause[mine]
        np.add.at(moved, slot, view.bytes[mine] * view.weight[mine])
    matrix_ops, tile_bytes = _tile_work(record, view)
    return Work(
        moved=moved.reshape(n_rows, 3, len(CAUSES)),
        matrix_ops=_per_operator(record, matrix_ops * view.weight),
        hop_bytes=_per_operator(record, view.bytes * hops * view.is_noc * view.weight),
        sram_bytes=_per_operator(record, (tile_bytes + _copied_sram_bytes(record, view)) * view.weight),
    )


def _per_operator(record: RunRecord, values: IntArray) -> IntArray:
    result = np.zeros(len(record.operators) + 1, dtype=np.int64)
    np.add.at(result, record.plan.op, values)
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


def _tile_work(record: RunRecord, view: TaskView) -> tuple[IntArray, IntArray]:
    """Per task: operations of its tile on a matrix unit (0 elsewhere), and bytes its unit moves from and to SRAM.

    What a matrix unit moves for a tile, the unit's own model says (`tile_traffic`); a vector tile reads every input
    and writes its result once, element by element.
    """
    computing, table = tiles(record.plan)
    shape = _shapes(record)[table[:, 0]]
    bits = shape[:, 2:5]
    extent = [table[:, end] - table[:, end - 1] for end in (4, 6, 8)]
    n_tasks = record.plan.n_tasks
    ops, moved = np.zeros(n_tasks, dtype=np.int64), np.zeros(n_tasks, dtype=np.int64)
    moved[computing] = extent[0] * extent[1] * (bits[:, 0] * shape[:, 5] + bits[:, 2]) // (8 * _BIT_SCALE)
    matrix = view.classes.index(MATRIX) if MATRIX in view.classes else -1
    chosen = np.flatnonzero(view.unit_class[computing] == matrix)
    m, n, k = _products(table[chosen, 1], [side[chosen] for side in extent], shape[chosen])
    traffic = record.chip.matrix_unit.tile_traffic(m, n, k)
    x, w, y = (bits[chosen, column] for column in range(3))
    bit_count = traffic.inputs * x + traffic.weights * w + (traffic.outputs_written + traffic.outputs_read) * y
    ops[computing[chosen]] = 2 * m * n * k
    moved[computing[chosen]] = bit_count // (8 * _BIT_SCALE)
    return ops, moved


def _products(action: IntArray, extent: list[IntArray], shape: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """The matrix product of each tile as m x n x k.

    Tiles of attention span queries (m) and keys (n): scores reduce over the head dimension, the context over keys.
    """
    m, n, k = extent
    scores, context = action == actions.SCORES, action == actions.CONTEXT
    return m, np.where(context, shape[:, 1], n), np.where(scores, shape[:, 0], np.where(context, n, k))


_BIT_SCALE: Final = 10
"""Bits per element are kept in tenths, exact for the 1.6 bits of packed ternary weights."""


def _shapes(record: RunRecord) -> IntArray:
    """Per operator: key and value dimension of its attention, tenths of bits of x, w and y, number of inputs."""
    rows = np.zeros((max(len(record.operators), 1), 6), dtype=np.int64)
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
        heads = (attention.head_dim, attention.value_dim) if attention else (0, 0)
        rows[index] = (*heads, *(round(bits * _BIT_SCALE) for bits in (x, w, y)), max(len(read), 1))
    return rows
