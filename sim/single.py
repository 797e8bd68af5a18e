"""One operator alone, repeated: the time it takes in steady state, apart from any model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cairn.hw_models.chip import ChipSpec
from cairn.sim.engine.compiled import simulate_plan
from cairn.sim.engine.trouble import own_plan
from cairn.sim.mapping.context import Scope, Stage
from cairn.sim.mapping.lower import lower_block
from cairn.sim.mapping.options import MappingSpec
from cairn.sim.mapping.sequence import activation_bytes, whole_grid
from cairn.sim.plan.builder import PlanBuilder
from cairn.workloads.graph import Block, Operator, OperatorGraph, Role, Segment

FIRST_TRY, LAST_TRY = 16, 64
"""Instances that are simulated: the first half fills the buffers, the last one has nothing behind it. The period is the
mean over those between, taken when their two halves agree to the tolerance."""


def operator_period_ps(
    chip: ChipSpec, options: MappingSpec, block: Block, operators: Sequence[Operator], tolerance: float = 0.01
) -> int:
    """Time between the ends of two instances of `operators` (one, or several that belong together) in steady state.

    Instances follow each other on the same cores, each with weights and caches of its own. What an instance takes as
    input lies spread evenly over the cores from the start, so its loads and its gathering of operands may run during
    the instance before, as far as buffers and queues allow.
    """
    count = FIRST_TRY
    while True:
        ends = _ends(chip, options, block, operators, count)
        begin, middle, end = (int(ends[i]) for i in (count // 2 - 2, 3 * count // 4 - 2, count - 2))
        period, change = (end - begin) / (count // 2), abs((end - middle) - (middle - begin)) / (count // 4)
        if change <= tolerance * period or count >= LAST_TRY:
            return round(period)
        count *= 2


def _ends(
    chip: ChipSpec, options: MappingSpec, block: Block, operators: Sequence[Operator], count: int
) -> npt.NDArray[np.int64]:
    """End of each of `count` instances."""
    alone = Block(block.name, tuple(operators), block.tensors, None, operators[-1].outputs[0])
    graph = OperatorGraph("operator", "", 0, (Segment(alone, count),))
    plan = PlanBuilder(chip)
    numbers = {op.name: plan.operator(op.name) for op in operators}
    grid = whole_grid(chip, options)
    stage = Stage.on(plan, grid, options, activation_bytes(chip, grid, options, graph))
    for index in range(count):
        plan.next_block()
        scope = Scope(stage, alone, f"{block.name}[{index}]", numbers)
        for name in _given(alone):
            tensor = alone.tensor(name)
            scope.pieces[name] = scope.even_layout(tensor.rows, tensor.columns)
        lower_block(scope)
    built = plan.build()
    with own_plan(f"operator {block.name!r}"):
        trace = simulate_plan(built, chip.servers())
    ends = np.zeros(count, dtype=np.int64)
    np.maximum.at(ends, built.block, trace.end)
    return ends


def _given(block: Block) -> list[str]:
    """Activations that the operators use and none of them makes."""
    made = {name for op in block.operators for name in op.outputs if name not in op.inputs}
    used = [name for op in block.operators for name in op.inputs if block.tensor(name).role is Role.ACTIVATION]
    return [name for name in dict.fromkeys(used) if name not in made]
