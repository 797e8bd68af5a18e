"""Sums over the tasks of a plan, compiled: what copies move and tiles execute, per operator.

All sums are of integers, so their order does not matter.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from cairn.base.kernel import kernel
from cairn.hw_models.server import FLAGS, IS_WRITE
from cairn.sim.plan import actions
from cairn.sim.plan.plan import COMPUTE, COMPUTE_COLUMNS, COPY, COPY_COLUMNS, SRAM, IndexArray

IntArray = npt.NDArray[np.int64]

READ: Final = 0
WRITE: Final = 1
NOC: Final = 2

OPS: Final = COMPUTE_COLUMNS.index("ops")
ACTION: Final = COMPUTE_COLUMNS.index("action")
BYTES: Final = COPY_COLUMNS.index("bytes")
CAUSE: Final = COPY_COLUMNS.index("cause")
SOURCE_KIND: Final = COPY_COLUMNS.index("source_kind")
DESTINATION_KIND: Final = COPY_COLUMNS.index("destination_kind")


class Tasks(NamedTuple):
    """Columns of a plan, and what its queues, servers and blocks are; their last entries stand for none (-1)."""

    queue: IndexArray
    server: IndexArray
    request: IndexArray
    op: IndexArray
    block: IndexArray
    kind: IndexArray
    row: IndexArray
    weight: IntArray  # how many real blocks each stands for
    of_queue: IntArray  # class of the units of each queue, for tasks that no server serves
    of_server: IntArray  # class of each server
    by_units: npt.NDArray[np.bool_]  # queues of units that work in a server: their class counts


@kernel(inline="always")
def class_of(tasks: Tasks, task: int) -> int:
    """The unit class of a task."""
    server, queue = tasks.server[task], tasks.queue[task]
    if server >= 0 and not tasks.by_units[queue]:
        return int(tasks.of_server[server])
    return int(tasks.of_queue[queue])


@kernel()
def sum_copies(
    tasks: Tasks, copies: IntArray, dram: int, dram_requests: IntArray, noc: int, moved: IntArray, sram_bytes: IntArray,
    by_dram: IndexArray, by_noc: IndexArray,
) -> tuple[int, int]:  # fmt: skip
    """Add up bytes that copies move: `moved` (operators, ways, causes) by those that the class `dram` or `noc` serves,
    `sram_bytes` (operators,) at each end that is SRAM. Lists the former in `by_dram` and `by_noc`; answers how many."""
    on_dram = on_noc = 0
    for task in range(tasks.kind.size):
        row = tasks.row[task]
        if tasks.kind[task] != COPY or row < 0:
            continue
        size = copies[row, BYTES] * tasks.weight[tasks.block[task]]
        op, unit_class, cause = tasks.op[task], class_of(tasks, task), copies[row, CAUSE]
        ends = int(copies[row, SOURCE_KIND] == SRAM) + int(copies[row, DESTINATION_KIND] == SRAM)
        sram_bytes[op] += ends * size
        if unit_class == dram:
            writes = dram_requests[tasks.request[task], FLAGS] & IS_WRITE != 0
            moved[op, WRITE if writes else READ, cause] += size
            by_dram[on_dram] = task
            on_dram += 1
        elif unit_class == noc:
            moved[op, NOC, cause] += size
            by_noc[on_noc] = task
            on_noc += 1
    return on_dram, on_noc


@kernel()
def sum_tiles(
    tasks: Tasks, compute: IntArray, ops: IntArray, table_adds: IntArray, tiles: IndexArray, unit: IndexArray
) -> int:
    """Add up operations of described tiles: `ops` (classes, operators), and `table_adds` (operators,) where they make
    tables. Lists the tiles and the class of the unit of each; answers how many there are."""
    count = 0
    for task in range(tasks.kind.size):
        row = tasks.row[task]
        if tasks.kind[task] != COMPUTE or row < 0:
            continue
        done = compute[row, OPS] * tasks.weight[tasks.block[task]]
        unit[count] = class_of(tasks, task)
        ops[unit[count], tasks.op[task]] += done
        if compute[row, ACTION] == actions.PRECOMPUTE:
            table_adds[tasks.op[task]] += done
        tiles[count] = task
        count += 1
    return count


@kernel()
def add_at(sums: IntArray, places: IndexArray, values: IntArray) -> None:
    """Add each value to the sum at its place; -1 is the last one."""
    for index in range(places.size):
        sums[places[index]] += values[index]
