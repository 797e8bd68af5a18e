"""A decode layer as a plan: on the whole mesh, or on one column and one row of it.

All columns of the mesh do the same, and so do all rows, but they do not do it at the same time: a core far from the
root of an all-reduce gets the sum late. Let core (y, x) be ready at a(y) + b(x). An all-reduce along y then ends at
a'(y) + b(x), since cores of a column that begin later by b(x) end later by b(x); one along x changes b alone, and work
on a core adds to a. So the whole mesh takes the time of one column with all work and the all-reduces along y, and that
of one row with those along x: `line` plans. Lines of a mesh share no link. `tests/sim/wafer` measures what is left.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from cairn.hw_models.chip import ChipSpec, CoreGrid
from cairn.sim.collectives.reduce import Work, all_reduce
from cairn.sim.collectives.trees import group_count
from cairn.sim.plan import actions
from cairn.sim.plan.builder import PlanBuilder, Slice, Tile
from cairn.sim.plan.plan import Plan
from cairn.sim.wafer.spec import WaferSpec
from cairn.sim.wafer.steps import Axis, Step, layer_steps

IntArray = npt.NDArray[np.int64]

Part = Literal["whole", "x", "y"]
"""The whole mesh, one row of it (x), or one column (y)."""


def chip_of(spec: WaferSpec, part: Part) -> ChipSpec:
    """The cores of a part of the mesh, with the cost of a routing stage in what begins a transfer."""
    side = spec.mesh
    rows, columns = {"whole": (side, side), "x": (1, side), "y": (side, 1)}[part]
    noc = spec.chip.noc.model_copy(update={"start_cycles": spec.chip.noc.start + spec.routing_stage_cycles})
    return spec.chip.model_copy(update={"cores": CoreGrid(rows=rows, columns=columns), "noc": noc})


def factors_of(spec: WaferSpec) -> tuple[int, int]:
    """Cores of a group and groups of the K = 2 tree of every all-reduce."""
    groups = group_count(spec.mesh) if spec.groups is None else spec.groups
    return spec.mesh // groups, groups


def write_layers(spec: WaferSpec, part: Part, layers: int) -> Plan:
    """`layers` equal layers, one after the other, on a part of the mesh. A row has no work of its own."""
    plan = PlanBuilder(chip_of(spec, part))
    steps = layer_steps(spec)
    grid = np.arange(plan.chip.core_count).reshape(plan.chip.cores.rows, plan.chip.cores.columns)
    operators = [plan.operator(f"layer/{step.name}") for step in steps]
    tensors = [plan.tensor(step.name) for step in steps]
    ready: IntArray | None = None
    for _ in range(layers):
        plan.next_block()
        for step, op, tensor in zip(steps, operators, tensors, strict=True):
            if part != "x":
                ready = _work(plan, step, op, grid, ready)
            if step.axis is not None and part in ("whole", step.axis):
                ready = _all_reduce(plan, spec, step.axis, _summed(spec, step, tensor), op, grid, ready)
    return plan.build()


def _work(plan: PlanBuilder, step: Step, op: int, grid: IntArray, ready: IntArray | None) -> IntArray:
    """What each core does by itself."""
    action = actions.MATMUL if step.unit == "matrix" else actions.ELEMENTWISE
    after = None if ready is None else ready.ravel()
    return plan.compute(grid.ravel(), step.unit, Tile(op, action), step.cycles, after, step.ops).reshape(grid.shape)


def _summed(spec: WaferSpec, step: Step, tensor: int) -> Slice:
    return Slice(tensor, (0, 1), (0, step.elements), step.elements * spec.element_bytes)


def _all_reduce(
    plan: PlanBuilder, spec: WaferSpec, axis: Axis, part: Slice, op: int, grid: IntArray, ready: IntArray | None
) -> IntArray:  # fmt: skip
    lines = grid.T if axis == "y" else grid
    before = None if ready is None else (ready.T if axis == "y" else ready)
    done = all_reduce(Work(plan, lines, part, op), factors_of(spec), before)
    return done.T if axis == "y" else done
