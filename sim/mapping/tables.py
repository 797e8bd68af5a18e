"""Lowering of what comes before a look-up: tables of activations, made by the vector unit of the core that has them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cairn.hw_models.compute.vector.cycle import vector_cycles
from cairn.sim.mapping.by_tables import ByTables
from cairn.sim.mapping.context import Scope
from cairn.sim.plan import actions
from cairn.sim.plan.builder import Tile

IntArray = npt.NDArray[np.int64]
Span = tuple[IntArray, IntArray]


def make_tables(
    scope: Scope, op: int, tables: ByTables, core: IntArray, rows: Span, columns: Span, ready: IntArray, turns: int = 1
) -> IntArray:  # fmt: skip
    """Tables of x[rows, columns] on each of `core`, where it lies once `ready` has ended; the tasks after which they
    are there (`ready` where nothing is to do). `turns` tasks of equal parts of the rows are written as one."""
    tasks = ready.copy()
    pick = np.flatnonzero((rows[1] > rows[0]) & (columns[1] > columns[0]))
    if pick.size == 0:
        return tasks
    (m0, m1), (n0, n1) = ((begin[pick], end[pick]) for begin, end in (rows, columns))
    groups = -(-(n1 - n0) // tables.group)
    adds = (m1 - m0) * groups * tables.group_adds
    cycles = turns * precompute_cycles(scope, tables, -(-(m1 - m0) // turns) * groups * tables.group_adds)
    cycles += (turns - 1) * scope.chip.synchronisation.task_issue_cycles
    tile = Tile(op, actions.PRECOMPUTE, (m0, m1), (n0, n1), (0, tables.group), actions.FUSED if tables.fused else 0)
    tasks[pick] = scope.plan.compute(core[pick], "vector", tile, cycles, ready[pick], adds, turns)
    return tasks


def precompute_cycles(scope: Scope, tables: ByTables, adds: IntArray) -> IntArray:
    """Cycles of a task of so many additions: they alone where it is fused, else those of a task of its own."""
    unit = scope.chip.vector_unit
    cycles = vector_cycles(unit, adds, unit.add_cycles)
    return np.maximum(cycles - unit.startup_cycles, 0) if tables.fused else cycles
