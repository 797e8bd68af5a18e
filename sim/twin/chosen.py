"""The mapping that lowering would choose for the products of a block, on many designs at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.choices import matmul_shape
from cairn.sim.mapping.choose import NO_SPLIT, Choice, Ways, choose_splits
from cairn.sim.mapping.experts import expert_shape
from cairn.sim.mapping.matmul_cost import MatmulShape
from cairn.sim.mapping.options import PimRule
from cairn.sim.mapping.pim_choice import one_row, units_of
from cairn.sim.twin.machine import Machine
from cairn.sim.twin.pim_rule import cycles_on_units, may_do_product, product_on_units
from cairn.workloads.graph import Block, Operator, OpKind

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Sides:
    """A product that PIM units do on the designs `on` (designs,), and how cores and units would split it."""

    cores: Ways
    units: Ways
    on: BoolArray

    def done(self) -> Ways:
        """How it is done: the ways of the units behind those of the cores."""
        pairs = ((getattr(self.cores.choice, name), getattr(self.units.choice, name)) for name in _ARRAYS)
        choice = Choice(self.cores.choice.splits, *(np.concatenate(pair) for pair in pairs))
        way = np.where(self.on, self.cores.first.size + self.units.way, self.cores.way)
        return Ways(choice, way, np.concatenate([self.cores.first, self.units.first]))


@dataclass(frozen=True)
class Expert:
    """The product of one expert: the first of its rows, how cores would do it, and where units may, how they would."""

    first: int
    shape: MatmulShape
    cores: Ways
    sides: Sides | None

    @property
    def on(self) -> BoolArray:
        """Designs (designs,) on which units do it."""
        return np.zeros(self.cores.way.size, dtype=np.bool_) if self.sides is None else self.sides.on

    def done(self) -> Ways:
        """How it is done."""
        return self.cores if self.sides is None else self.sides.done()


_ARRAYS = tuple(each.name for each in fields(Choice) if each.name != "splits")


@dataclass(frozen=True)
class BlockChoices:
    """The choice for every product of a block, and the split in which each tensor lies (NO_SPLIT: in none).

    `cores` is how cores would do each product, which decides what of the SRAM activations take; `ways` is how it is
    done, which differs from that where PIM units may do it (`sides`).
    """

    cores: dict[str, Ways]
    ways: dict[str, Ways]
    sides: dict[str, Sides]
    experts: dict[str, tuple[Expert, ...]]
    lies: dict[str, IntArray]

    @property
    def feasible(self) -> BoolArray:
        every = [*self.cores.values(), *(each.cores for experts in self.experts.values() for each in experts)]
        return np.asarray(np.all([ways.of("feasible") for ways in every], axis=0))

    def act_bytes(self) -> Any:
        return np.max([ways.of("act_bytes") for ways in self.cores.values()], axis=0) if self.cores else 0.0


def choose_blocks(block: Block, machine: Machine) -> BlockChoices:
    """What `choices.choose_block` chooses, for all designs at once, and what of it PIM units do."""
    cores, before = _for_cores(block, machine)
    sides: dict[str, Sides] = {}
    for operator in block.operators:
        if operator.kind is not OpKind.MATMUL:
            continue
        shape = matmul_shape(block, operator, machine.options, machine.chip)  # type: ignore[arg-type]
        if may_do_product(machine, shape):
            sides[operator.name] = sides_of(machine, shape, cores[operator.name])
    ways = {name: sides[name].done() if name in sides else way for name, way in cores.items()}
    splits = {name: way.of("split") for name, way in ways.items()}
    none = np.full(machine.designs, NO_SPLIT)
    if block.input is not None and sides:  # what is left for the next block lies where that which does it leaves it
        left = _lies(block, splits, none, machine).get(block.output, none)
        before = np.where(before == NO_SPLIT, NO_SPLIT, left)
    grouped = [operator for operator in block.operators if operator.kind is OpKind.GROUPED_MATMUL]
    experts = {operator.name: _experts(block, operator, machine) for operator in grouped}
    return BlockChoices(cores, ways, sides, experts, _lies(block, splits, before, machine))


def _experts(block: Block, operator: Operator, machine: Machine) -> tuple[Expert, ...]:
    """The experts in use, one after the other, as `experts.lower_grouped_matmul` has them."""
    made: dict[int, tuple[MatmulShape, Ways, Sides | None]] = {}
    ends = np.cumsum(operator.group_rows).tolist()
    experts = []
    for end, rows in zip(ends, operator.group_rows, strict=True):
        if rows == 0:
            continue
        if rows not in made:
            shape = expert_shape(block, operator, rows, machine.options, machine.chip)  # type: ignore[arg-type]
            cores = _split(machine, shape, np.full(machine.designs, NO_SPLIT))
            made[rows] = shape, cores, sides_of(machine, shape, cores) if may_do_product(machine, shape) else None
        experts.append(Expert(end - rows, *made[rows]))
    return _together(machine, experts)


def _together(machine: Machine, experts: list[Expert]) -> tuple[Expert, ...]:
    """The experts, decided together where `all_on_units` does so."""
    spec = units_of(machine.chip, machine.options)  # type: ignore[arg-type]
    if spec is None or machine.options.pim is not PimRule.AUTO or spec.mixed_access:
        return tuple(experts)
    sides = [each.sides for each in experts if each.sides is not None]
    if len(sides) < len(experts):
        return tuple(replace(each, sides=None) for each in experts)
    pairs = zip(experts, sides, strict=True)
    needed: Any = sum(cycles_on_units(machine, each.shape, side.units) for each, side in pairs)
    on = needed < sum(each.cores.of("cycles") for each in experts)
    return tuple(replace(each, sides=replace(side, on=on)) for each, side in zip(experts, sides, strict=True))


def sides_of(machine: Machine, shape: MatmulShape, cores: Ways) -> Sides:
    """How units would do a product that cores do by `cores`, and on which designs they do."""
    none = np.full(machine.designs, NO_SPLIT)
    found = _split(machine, one_row(shape), none)
    units = replace(found, choice=_in_one(found.choice))
    return Sides(cores, units, product_on_units(machine, shape, cores, units))


def _split(machine: Machine, shape: MatmulShape, before: IntArray) -> Ways:
    return choose_splits(
        shape, machine.few.rates, machine.grid, machine.topology, machine.options, before, machine.alike[0],
        machine.dram_rate,
    )  # fmt: skip


def _for_cores(block: Block, machine: Machine) -> tuple[dict[str, Ways], IntArray]:
    """The choices for cores, and the split in which the block's input lies in them."""
    none = np.full(machine.designs, NO_SPLIT)
    made: Made = {}
    ways, left = _choose(block, machine, none, made)
    if block.input is None or bool(np.all(left == NO_SPLIT)):
        return ways, none
    following, again = _choose(block, machine, left, made)
    settled = again == left
    if bool(settled.all()):
        return following, left
    before = np.where(settled, left, NO_SPLIT)
    return _choose(block, machine, before, made)[0], before


Made = dict[tuple[str, bytes], Ways]
"""Choices by operator and the splits in which its input lies: most of a block's do not depend on what precedes it."""


def _choose(block: Block, machine: Machine, before: IntArray, made: Made) -> tuple[dict[str, Ways], IntArray]:
    """Choices given how the block's input lies, and the split in which its output lies."""
    none = np.full(machine.designs, NO_SPLIT)
    lies = {} if block.input is None else {block.input: before}
    ways: dict[str, Ways] = {}
    for operator in block.operators:
        y = operator.outputs[0]
        if operator.kind is OpKind.MATMUL:
            earlier = lies.get(operator.inputs[0], none)
            key = operator.name, earlier.tobytes()
            if key not in made:
                shape = matmul_shape(block, operator, machine.options, machine.chip)  # type: ignore[arg-type]
                made[key] = _split(machine, shape, earlier)
            ways[operator.name], lies[y] = made[key], made[key].of("split")
        elif operator.kind is OpKind.NORM and operator.attention is None:
            lies[y] = lies.get(operator.inputs[0], none)
        elif operator.kind in (OpKind.ACTIVATION, OpKind.ADD):
            lies[y] = lies.get(operator.inputs[-1], none)
    return ways, lies.get(block.output, none)


def _lies(block: Block, splits: Mapping[str, IntArray], before: IntArray, machine: Machine) -> dict[str, IntArray]:
    """The split in which each tensor lies where products, by name, are done in `splits`."""
    none = np.full(machine.designs, NO_SPLIT)
    lies = {} if block.input is None else {block.input: before}
    for operator in block.operators:
        y = operator.outputs[0]
        if operator.kind is OpKind.MATMUL:
            lies[y] = splits[operator.name]
        elif operator.kind is OpKind.NORM and operator.attention is None:
            lies[y] = lies.get(operator.inputs[0], none)
        elif operator.kind in (OpKind.ACTIVATION, OpKind.ADD):
            lies[y] = lies.get(operator.inputs[-1], none)
    return lies


def _in_one(choice: Choice) -> Choice:
    """A choice for PIM units: all rows in one pass, partial sums added up at the end, nothing relayed."""
    one = np.ones_like(choice.split)
    return replace(choice, passes=one, reductions=one, sharers=one)
