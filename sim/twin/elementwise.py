"""Stages of the vector unit: norms, additions, activation functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cairn.hw_models.compute.vector.cycle import operations_of
from cairn.sim.mapping.vector import STATISTICS_BYTES
from cairn.sim.twin.machine import Machine
from cairn.sim.twin.places import Layouts
from cairn.sim.twin.stage import Counts, Stage
from cairn.workloads.graph import Block, Operator


def norm_stage(machine: Machine, block: Block, operator: Operator, layout: Layouts) -> Stage:
    """A norm of x where it lies: statistics of each piece, a binomial tree over the pieces of a row and back, scaling.

    Pieces are numbered stretch by stretch, core by core. So partners of the first levels lie on different cores, with
    as many messages at a time as a core has pieces, and those of the last levels on one. On the way back the root, and
    whoever it has told, sends to all of its partners.
    """
    x = block.tensor(operator.outputs[0])
    suffix = "_layer" if operator.function == "layer" else ""
    own = layout.spread(machine, "pieces", 1.0)
    pieces = layout.spread(machine, "in_row", machine.cores) / own
    rows = layout.spread(machine, "rows", x.rows)
    elements = layout.spread(machine, "held", x.rows * x.columns / machine.cores) / own
    cycles = own * sum(machine.vector_cycles(elements, f"norm_{what}{suffix}") for what in ("stats", "apply"))
    size = rows * STATISTICS_BYTES
    added = machine.vector_cycles(2 * rows, "reduce_add")
    across = own * size / machine.port  # what a core sends to a partner
    for level in range(math.ceil(math.log2(max(machine.cores, 1)))):
        apart = 1 << level
        hops = apart if apart < machine.grid.columns else apart / machine.grid.columns
        step = machine.message_cycles(0.0, hops) + machine.issue_cycles
        up = step + size / machine.port + added  # pieces of a core follow each other on their way up
        cycles = cycles + np.where(apart < pieces, up + step + across, 0.0)
    cycles = cycles + np.where(pieces > 1, (own - 1) * np.maximum(size / machine.port, added), 0.0)
    cycles = cycles + np.ceil(np.log2(own)) * added
    operations = sum(operations_of(f"norm_{what}{suffix}") for what in ("stats", "apply"))
    moved = 2 * (pieces - 1) * machine.cores / np.maximum(1.0, pieces) * size * own
    counts = Counts(
        vector_ops=operations * x.rows * x.columns, sram_bytes=3 * x.rows * x.columns * x.bits / 8 + 2 * moved,
        noc_bytes=moved,
    )  # fmt: skip
    return Stage(operator.name, lead=cycles, tail=machine.barrier_cycles, counts=counts)


def elementwise_stage(
    machine: Machine, block: Block, operator: Operator, kind: str, layout: Layouts | None, stretches: Any = 1,
    slack: Any = 0.0,
) -> Stage:
    """Work in place on what each core holds; of `stretches` that become ready one by one the last one counts.

    `slack` is that of the stage which makes them.
    """
    y = block.tensor(operator.outputs[0])
    even = y.rows * y.columns / machine.cores
    held = even if layout is None else layout.spread(machine, "held", even)
    pieces = 1 if layout is None else np.maximum(1, layout.spread(machine, "pieces", 1.0) / stretches)
    cycles = pieces * machine.vector_cycles(held / stretches / pieces, kind)
    read = sum(block.tensor(name).bytes for name in operator.inputs)
    counts = Counts(vector_ops=operations_of(kind) * y.rows * y.columns, sram_bytes=float(read + y.bytes))
    return Stage(operator.name, lead=cycles, tail=machine.barrier_cycles, counts=counts, slack=slack)
