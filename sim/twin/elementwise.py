"""Stages of the vector unit: norms, additions, activation functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cairn.hw_models.compute.vector.cycle import operations_of
from cairn.sim.mapping.vector import STATISTICS_BYTES
from cairn.sim.twin.machine import Machine
from cairn.sim.twin.stage import Counts, Stage
from cairn.workloads.graph import Block, Operator


def norm_stage(machine: Machine, block: Block, operator: Operator, row_parts: Any) -> Stage:
    """A norm of x in `row_parts` (designs,) parts along its rows: statistics, a binomial tree up and down, scaling."""
    x = block.tensor(operator.outputs[0])
    suffix = "_layer" if operator.function == "layer" else ""
    pieces, rows = machine.cores / row_parts, np.ceil(x.rows / row_parts)
    elements = x.rows * x.columns / machine.cores
    cycles = sum(machine.vector_cycles(elements, f"norm_{what}{suffix}") for what in ("stats", "apply"))
    size = rows * STATISTICS_BYTES
    depth = math.ceil(math.log2(max(machine.cores, 1)))
    for level in range(depth):
        apart = 1 << level
        hops = apart if apart < machine.grid.columns else apart / machine.grid.columns
        step = 2 * (machine.message_cycles(size, hops) + machine.issue_cycles)
        step = step + machine.vector_cycles(2 * rows, "reduce_add")
        cycles = cycles + np.where(apart < pieces, step, 0.0)
    operations = sum(operations_of(f"norm_{what}{suffix}") for what in ("stats", "apply"))
    moved = 2 * (pieces - 1) * row_parts * size
    counts = Counts(
        vector_ops=operations * x.rows * x.columns, sram_bytes=3 * x.rows * x.columns * x.bits / 8 + 2 * moved,
        noc_bytes=moved,
    )  # fmt: skip
    return Stage(operator.name, lead=cycles, counts=counts)


def elementwise_stage(machine: Machine, block: Block, operator: Operator, kind: str, stretches: Any = 1) -> Stage:
    """Work in place on what each core holds; of `stretches` that become ready one by one the last one counts."""
    y = block.tensor(operator.outputs[0])
    cycles = machine.vector_cycles(y.rows * y.columns / machine.cores / stretches, kind)
    read = sum(block.tensor(name).bytes for name in operator.inputs)
    counts = Counts(vector_ops=operations_of(kind) * y.rows * y.columns, sram_bytes=float(read + y.bytes))
    return Stage(operator.name, lead=cycles, counts=counts)
