"""What a finished simulation hands to the report: everything that was run, and how often it counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.server import Server
from cairn.sim.plan.plan import Plan, Trace
from cairn.workloads.graph import OperatorGraph

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Repetition:
    """How a repeated block was simulated: `simulated` of `repeat` instances; the rest at `period_ps` each.

    `period_ps` is the mean over the steady instances. `change` says how much it matters which of them are asked: by
    what part the time of all `repeat` instances would differ, at most, if the rest took the mean period of any half of
    them in a row (of two or few: see `cairn.sim.mapping.steady`). It is at most `tolerance`, unless all instances or as
    many as allowed were simulated.
    """

    block: str
    repeat: int
    simulated: int
    period_ps: int
    change: float
    tolerance: float
    lead_ps: int = 0
    """Time of the last part of one instance that was simulated before them and counts for none of them."""

    @property
    def left_out_ps(self) -> int:
        """What the instances that were not simulated add to the time of those that were."""
        return (self.repeat - self.simulated) * self.period_ps - self.lead_ps


@dataclass(frozen=True)
class OperatorInfo:
    """The graph's operator behind a plan's operator index: per instance of its block."""

    block: str
    name: str
    kind: str
    matrix_ops: int
    vector_ops: int
    read_bytes: int
    written_bytes: int
    activation_bytes: int


@dataclass(frozen=True)
class RunRecord:
    """A finished run.

    `block_weight[b]` says how many real blocks the plan's block instance b stands for; `total_ps` is the time of the
    whole step, instances that were not simulated included. `operators[i]` describes plan operator i.
    `config` is the fully resolved configuration; `provenance` has version, run_hash, seed, fidelity, wall_s, cpu_s.
    """

    name: str
    config: Mapping[str, Any]
    chip: ChipSpec
    graph: OperatorGraph
    plan: Plan
    trace: Trace
    operators: tuple[OperatorInfo, ...]
    block_weight: IntArray
    block_name: tuple[str, ...]
    repetitions: tuple[Repetition, ...]
    total_ps: int
    provenance: Mapping[str, Any]

    def servers(self) -> dict[str, Server]:
        """The servers that the run had, as they were before it."""
        return self.chip.servers(flits=self.config["fidelity"]["noc"] == "flit")
