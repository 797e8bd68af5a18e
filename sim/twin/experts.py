"""Stages of routed experts: the decision, tokens on their way to experts, their products, and the sum of results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.hw_models.compute.vector.cycle import operations_of
from cairn.sim.mapping.choose import NO_SPLIT
from cairn.sim.twin.chosen import Expert
from cairn.sim.twin.expert_layouts import Even, Sorted, WholeRows
from cairn.sim.twin.layout import Layout
from cairn.sim.twin.machine import Machine
from cairn.sim.twin.pim import UnitPart, unit_part
from cairn.sim.twin.places import Layouts
from cairn.sim.twin.product import product_stage
from cairn.sim.twin.stage import COUNTED, Counts, Stage, either
from cairn.workloads.graph import Block, Operator

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def top_k_stage(machine: Machine, block: Block, operator: Operator, x: Layouts) -> Stage:
    """The routing decision: whole rows of logits to as many cores, and a search for the largest left for each expert
    that a token chooses."""
    logits, chosen = block.tensor(operator.inputs[0]), block.tensor(operator.outputs[0]).columns
    came, sent = _brought(machine, x, logits.bits, WholeRows(logits.rows, logits.columns), float(logits.bytes))
    most = -(-logits.rows // min(logits.rows, machine.cores)) * logits.columns * chosen
    cycles = came + machine.vector_cycles(most, "topk")
    searched = logits.rows * logits.columns * chosen
    counts = Counts(
        vector_ops=operations_of("topk") * searched, sram_bytes=searched * logits.bits / 8 + 2 * sent, noc_bytes=sent
    )
    return Stage(operator.name, lead=cycles, tail=machine.barrier_cycles, counts=counts)


def dispatch_stage(machine: Machine, block: Block, operator: Operator, decided: Layouts, y: Layouts) -> Stage:
    """The decision told to every core, and rows in the order of experts made where their tokens lie."""
    gates, rows = block.tensor(operator.inputs[1]), block.tensor(operator.outputs[0])
    told, sent = _brought(machine, decided, gates.bits, WholeRows(gates.rows, gates.columns, True), float(gates.bytes))
    even = rows.rows * rows.columns / machine.cores
    pieces = y.spread(machine, "pieces", 1.0)
    cycles = told + pieces * machine.vector_cycles(y.spread(machine, "held", even) / pieces, "copy")
    moved = rows.rows * rows.columns
    counts = Counts(
        vector_ops=operations_of("copy") * moved, sram_bytes=2 * moved * rows.bits / 8 + 2 * sent, noc_bytes=sent
    )
    return Stage(operator.name, lead=cycles, tail=machine.barrier_cycles, counts=counts)


def combine_stage(machine: Machine, block: Block, operator: Operator, x: Layouts, experts: int) -> Stage:
    """Results of `experts` to their tokens, which all cores share evenly, weighted and added up.

    Results come as experts are done one after the other, so that those of the last one alone are waited for.
    """
    source, y = block.tensor(operator.inputs[0]), block.tensor(operator.outputs[0])
    want = Sorted(Even(y.rows, y.columns), tuple(operator.rows), tuple(operator.row_groups))
    came, sent = _brought(machine, x, source.bits, want, float(source.bytes))
    added = source.rows * source.columns
    lead = came / experts + machine.vector_cycles(added / machine.cores, "weighted_add")
    counts = Counts(
        vector_ops=operations_of("weighted_add") * added, noc_bytes=sent,
        sram_bytes=2 * sent + added * source.bits / 8 + y.bytes,
    )  # fmt: skip
    return Stage(operator.name, lead=lead, tail=machine.barrier_cycles, counts=counts, early=came * (1 - 1 / experts))


def _brought(machine: Machine, x: Layouts, bits: float, want: Layout, size: float) -> tuple[FloatArray, FloatArray]:
    """Cycles in which a tensor of `size` bytes comes where it is wanted, and the bytes that move."""
    moves = x.moves(machine, bits, lambda _: want)
    return machine.array(np.where(x.known, machine.batch_cycles(moves), machine.scatter_cycles(size))), moves.sent


def experts_stage(
    name: str, machine: Machine, experts: Sequence[Expert], x: Sequence[Layouts], rows: IntArray, in_turn: bool
) -> Stage:  # fmt: skip
    """Products of experts one after the other, each on the side that does it on the designs `rows`; `x` says how the
    rows of each lie. With `in_turn` they become ready expert by expert, so that the first of them come early.

    On either side the tasks of an expert stand behind those of the one before. Units with mixed access work beside the
    cores: buffers are filled and read over the bus that weights come by, and since tiles lie in all banks in turn,
    cores wait for the share of the units' time that is the share of the banks which these hold.
    """
    made = _Made.nothing(machine)
    none = np.full(machine.designs, NO_SPLIT)
    for expert, lies in zip(experts, x, strict=True):
        on = expert.on[rows]
        if not on.all():
            choice = expert.cores.choice.at(expert.cores.way[rows])
            again = np.zeros(machine.designs, dtype=np.bool_)
            made = made.by_cores(product_stage(name, machine, expert.shape, choice, none, lies, again), ~on)
        if on.any() and expert.sides is not None:
            units = expert.sides.units
            choice = units.choice.at(units.way[rows])
            made = made.by_units(unit_part(machine, expert.shape, choice, none, lies), on)
    return made.stage(name, machine, in_turn)


@dataclass(frozen=True)
class _Made:
    """Experts so far, in cycles (designs,): before the first, on cores, on units, behind the last; and their bytes."""

    first: Stage
    begun: BoolArray
    cores: FloatArray
    core_last: Stage
    """The latest expert on cores."""
    units: FloatArray
    unit_tail: FloatArray
    streamed: FloatArray
    space: FloatArray
    moved: FloatArray
    by_core: BoolArray
    counts: Counts

    @classmethod
    def nothing(cls, machine: Machine) -> _Made:
        zero, no = np.zeros(machine.designs), np.zeros(machine.designs, dtype=np.bool_)
        return cls(Stage(""), no, zero, Stage(""), zero, zero, zero, zero, zero, no, Counts())

    def by_cores(self, stage: Stage, there: BoolArray) -> _Made:
        """Behind what the expert before sends, x of this one is gathered; weights come meanwhile."""
        behind = self.by_core * (self.core_last.tail + stage.lead + stage.early)
        return replace(
            self, first=self._first(stage, there), begun=self.begun | there,
            cores=self.cores + there * (behind + stage.work), core_last=_latest(there, stage, self.core_last),
            streamed=self.streamed + there * stage.streamed_bytes, space=self.space + there * stage.space,
            by_core=self.by_core | there, counts=_added(self.counts, stage.counts, there),
        )  # fmt: skip

    def by_units(self, part: UnitPart, there: BoolArray) -> _Made:
        """Units go on to the next expert whose x has come."""
        return replace(
            self, first=self._first(Stage("", lead=part.lead, early=part.early), there), begun=self.begun | there,
            units=self.units + there * part.took, unit_tail=np.where(there, part.last, self.unit_tail),
            moved=self.moved + there * part.moved, counts=_added(self.counts, part.counts, there),
        )  # fmt: skip

    def _first(self, stage: Stage, there: BoolArray) -> Stage:
        return _latest(there & ~self.begun, stage, self.first)

    def stage(self, name: str, machine: Machine, in_turn: bool) -> Stage:
        """All of them as one."""
        spec, last = machine.chip.pim, self.core_last
        held = 1.0  # share of the banks of a channel that the units hold
        if spec is not None and spec.mixed_access:
            held = spec.together(machine.chip.dram.banks_per_channel) / machine.chip.dram.banks_per_channel
        among_others = self.by_core | (held == 1.0)
        lead, early = self.first.lead * (not in_turn), self.first.early + self.first.lead * in_turn
        tail = np.maximum(self.unit_tail + machine.barrier_cycles * (self.units > 0), last.tail)
        beside = self.units * self.by_core * (1 - held)
        return Stage(
            name, lead + self.units * ~among_others, np.maximum(self.cores, beside), tail,
            self.streamed + self.moved * self.by_core, self.counts, 0.0, early, last.slack, last.lag_bytes, last.last,
            (self.units - beside) * among_others, self.space + self.moved * self.by_core,
        )  # fmt: skip


def _latest(there: BoolArray, stage: Stage, other: Stage) -> Stage:
    return either(there, lambda: stage, lambda: other)


def _added(counts: Counts, more: Counts, there: BoolArray) -> Counts:
    each: list[Any] = [getattr(counts, name) + there * getattr(more, name) for name in COUNTED]
    return Counts(*each)
