"""What the tasks of a run did, summed exactly per operator: bytes by cause, operations, SRAM accesses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.hw_models.dram.request import R_BYTES, REQUEST_COLUMNS
from cairn.hw_models.noc.routing import hops
from cairn.hw_models.server import FLAGS, IS_WRITE
from cairn.sim.plan import actions
from cairn.sim.plan.plan import CAUSES, COMPUTE_COLUMNS, COPY_COLUMNS, IndexArray, Plan
from cairn.sim.record import RunRecord
from cairn.sim.report.lut_work import BIT_SCALE, add_lut_bits, lookups
from cairn.sim.report.padding import burst_padding
from cairn.sim.report.sums import BYTES, READ, WRITE, Tasks, add_at, sum_copies, sum_tiles
from cairn.sim.report.tasks import DRAM_SERVER, LUT, MATRIX, NOC_SERVER, PIM, VECTOR, classes_of
from cairn.workloads.graph import Operator

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

PADDING: Final = CAUSES.index("padding")
TURNS: Final = COMPUTE_COLUMNS.index("turns")
SOURCE: Final = COPY_COLUMNS.index("source")
DESTINATION: Final = COPY_COLUMNS.index("destination")

PART: Final = 1 << 16
"""Tasks that are looked at together: their arrays of half a MB each stay in a processor's cache."""


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
    """Sum what the tasks did."""
    plan, chip, n_rows = record.plan, record.chip, len(record.operators) + 1
    moved = np.zeros((n_rows, 3, len(CAUSES)), dtype=np.int64)
    hop_bytes, sram_bytes, pim_bytes, looked_up, lut_groups, table_adds = np.zeros((6, n_rows), dtype=np.int64)
    tasks, names = _tasks_of(record)
    dram, noc, matrix, vector, pim, lut = map(names.index, (DRAM_SERVER, NOC_SERVER, MATRIX, VECTOR, PIM, LUT))
    one, other = np.empty((2, plan.n_tasks), dtype=np.int32)

    by_server = dict(zip(plan.servers, plan.requests, strict=True))
    requests = by_server.get(DRAM_SERVER, np.empty((0, len(REQUEST_COLUMNS)), dtype=np.int64))
    on_dram, on_noc = sum_copies(tasks, plan.copies, dram, requests, noc, moved, sram_bytes, one, other)
    padding = np.zeros((2, n_rows), dtype=np.int64)
    for mine in _parts(one[:on_dram]):
        asked, writes = requests[plan.request[mine]], requests[plan.request[mine], FLAGS] & IS_WRITE != 0
        idle = burst_padding(chip.dram, asked) * _weight(tasks, mine)
        for way, chosen in ((READ, ~writes), (WRITE, writes)):
            add_at(padding[way], plan.op[mine[chosen]], idle[chosen])
    moved[:, (READ, WRITE), PADDING] += padding[[READ, WRITE]].T
    for mine in _parts(other[:on_noc]):
        rows = plan.copies[plan.row[mine]]
        crossed = hops(chip.noc, chip.cores.rows, chip.cores.columns, rows[:, SOURCE], rows[:, DESTINATION])
        add_at(hop_bytes, plan.op[mine], crossed * rows[:, BYTES] * _weight(tasks, mine))

    ops, shapes = np.zeros((len(names), n_rows), dtype=np.int64), operand_shapes(record)
    count = sum_tiles(tasks, plan.compute, ops, table_adds, one, other)
    for mine, unit in zip(_parts(one[:count]), _parts(other[:count]), strict=True):
        table, op, weight = plan.compute[plan.row[mine]], plan.op[mine], _weight(tasks, mine)
        add_at(sram_bytes, op, _tile_sram_bytes(record, unit == matrix, unit == pim, table, shapes) * weight)
        if chip.lut_unit is not None:
            for sums, each in zip((looked_up, lut_groups), lookups(record, table, shapes), strict=True):
                add_at(sums, op, each * weight)
    by_units = np.flatnonzero(tasks.by_units[plan.queue])
    add_at(pim_bytes, plan.op[by_units], _worked_bytes(plan, by_units) * _weight(tasks, by_units))
    return Work(
        moved, ops[matrix] + ops[lut], ops[vector], hop_bytes, sram_bytes, ops[pim], pim_bytes, ops[lut], looked_up,
        lut_groups, table_adds,
    )  # fmt: skip


def _tasks_of(record: RunRecord) -> tuple[Tasks, tuple[str, ...]]:
    """The plan's tasks as they are summed up, and the names of the classes of units."""
    plan, classes = record.plan, classes_of(record.plan)
    columns = (plan.queue, plan.server, plan.request, plan.op, plan.block, plan.kind, plan.row)
    weight = np.append(record.block_weight, 1)
    return Tasks(*columns, weight, classes.of_queue, classes.of_server, classes.by_units), classes.names


def _parts(tasks: IndexArray) -> Iterator[IndexArray]:
    """PART of the tasks at a time, so that what is known of each of them for the moment takes no memory to speak of."""
    return (tasks[begin : begin + PART] for begin in range(0, tasks.size, PART))


def _weight(tasks: Tasks, mine: npt.NDArray[np.integer]) -> IntArray:
    weight: IntArray = tasks.weight[tasks.block[mine]]
    return weight


def _worked_bytes(plan: Plan, tasks: IntArray) -> IntArray:
    """Bytes of banks that each of these tasks has PIM units work on."""
    result = np.zeros(tasks.size, dtype=np.int64)
    for server in np.unique(plan.server[tasks]).tolist():
        mine = plan.server[tasks] == server
        result[mine] = plan.requests[server][plan.request[tasks[mine]], R_BYTES]
    return result


def _tile_sram_bytes(
    record: RunRecord, of_matrix: BoolArray, of_pim: BoolArray, table: IntArray, shapes: IntArray
) -> IntArray:
    """Bytes that a unit moves from and to SRAM for each tile, whether a matrix unit or the PIM units do it or another.

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
    chosen = np.flatnonzero(of_matrix)
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
    bits[of_pim] = 0
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
