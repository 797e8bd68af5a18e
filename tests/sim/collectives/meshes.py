"""Meshes whose cores do nothing but send and add, and what a plan on them leaves on each core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cairn.hw_models.chip import ChipSpec
from cairn.sim.engine.compiled import simulate_plan
from cairn.sim.plan.builder import PlanBuilder, Slice
from cairn.sim.plan.instance import BlockInstance
from cairn.sim.plan.numbers import Held, Outcome, execute
from cairn.sim.plan.plan import Plan, Trace
from cairn.workloads.graph import Block, Operator, OpKind, Role, Tensor

WORD_BYTES = 4
CYCLE_PS = 1000


def mesh(rows: int, columns: int, start_cycles: int = 3, **changed: object) -> ChipSpec:
    """A mesh of 1 GHz whose links carry a word of 4 bytes each cycle, one cycle a hop."""
    noc = {"link_bytes_per_cycle": WORD_BYTES, "hop_cycles": 1, "start_cycles": start_cycles, "topology": "mesh"}
    content: dict[str, object] = {
        "schema": "cairn.chip/1", "name": "mesh", "source": "for tests", "clock_ghz": 1.0,
        "cores": {"rows": rows, "columns": columns}, "noc": {**noc, "max_packet_bytes": 1 << 20},
        "dma": {"noc_depth": 64}, "synchronisation": {"task_issue_cycles": 0},
        "matrix_unit": {"kind": "systolic", "rows": 1, "columns": 1},
        "vector_unit": {"lanes": 1, "startup_cycles": 0},
    }  # fmt: skip
    return ChipSpec.model_validate({**content, **changed})


@dataclass
class Bench:
    """A plan of one operator that makes tensor `y` (rows, columns), on a chip."""

    chip: ChipSpec
    rows: int
    columns: int
    held: list[Held] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plan = PlanBuilder(self.chip)
        self.op, self.y = self.plan.operator("bench/sum"), self.plan.tensor("y")

    def part(self, columns: tuple[object, object] | None = None) -> Slice:
        """Columns of y (all of them unless given), in words of four bytes."""
        first, last = (0, self.columns) if columns is None else columns
        width = np.subtract(last, first) * self.rows * WORD_BYTES  # type: ignore[arg-type]
        return Slice(self.y, (0, self.rows), (first, last), width)  # type: ignore[arg-type]

    def hold(self, values: Mapping[int, npt.NDArray[np.float64]]) -> None:
        """Let each core hold a matrix y of its own from the start."""
        for core, matrix in values.items():
            self.held.append(Held(core, "y", (0, self.rows, 0, self.columns), matrix))

    def run(self) -> tuple[Trace, Outcome]:
        plan: Plan = self.plan.build()
        trace = simulate_plan(plan, self.chip.servers())
        operator = Operator("sum", OpKind.ADD, ("y",), ("y",))
        block = Block("bench", (operator,), (Tensor("y", Role.ACTIVATION, self.rows, self.columns, 32),), None, "y")
        return trace, execute(plan, trace, [BlockInstance(0, "", block)], {}, self.held)


def cycles(trace: Trace) -> int:
    """Cycles until the last task has ended."""
    return -(-trace.makespan // CYCLE_PS)
