"""The stages of a block on many designs, with the mapping that lowering would choose on each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.choices import matmul_shape
from cairn.sim.mapping.choose import NO_SPLIT, Choice, Ways, choose_splits
from cairn.sim.mapping.different import different
from cairn.sim.twin.attention import attention_stage
from cairn.sim.twin.elementwise import elementwise_stage, norm_stage
from cairn.sim.twin.machine import Machine
from cairn.sim.twin.pim import attention_on_units, unit_stage
from cairn.sim.twin.pim_rule import does_product, keys_on_units
from cairn.sim.twin.places import UNKNOWN, Layouts, Places
from cairn.sim.twin.product import product_stage
from cairn.sim.twin.stage import Counts, Placed, Stage, Stages
from cairn.sim.twin.swept import WithheldError
from cairn.workloads.graph import Block, Operator, OpKind

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class BlockChoices:
    """The choice for every product of a block, and the split in which each tensor lies (NO_SPLIT: in none)."""

    ways: dict[str, Ways]
    lies: dict[str, IntArray]

    @property
    def feasible(self) -> BoolArray:
        return np.asarray(np.all([ways.of("feasible") for ways in self.ways.values()], axis=0))

    def act_bytes(self) -> Any:
        return np.max([ways.of("act_bytes") for ways in self.ways.values()], axis=0) if self.ways else 0.0


def choose_blocks(block: Block, machine: Machine) -> BlockChoices:
    """What `choices.choose_block` chooses, for all designs at once."""
    none = np.full(machine.designs, NO_SPLIT)
    made: Made = {}
    alone = _choose(block, machine, none, made)
    left = alone.lies.get(block.output, none)
    if block.input is None or bool(np.all(left == NO_SPLIT)):
        return alone
    following = _choose(block, machine, left, made)
    settled = following.lies.get(block.output, none) == left
    if bool(settled.all()):
        return following
    return _choose(block, machine, np.where(settled, left, NO_SPLIT), made)


Made = dict[tuple[str, bytes], Ways]
"""Choices by operator and the splits in which its input lies: most of a block's do not depend on what precedes it."""


def _choose(block: Block, machine: Machine, before: IntArray, made: Made) -> BlockChoices:
    lies: dict[str, IntArray] = {}
    none = np.full(machine.designs, NO_SPLIT)
    if block.input is not None:
        lies[block.input] = before
    ways: dict[str, Ways] = {}
    chip, rates, rate = machine.alike[0], machine.few.rates, machine.dram_rate
    for operator in block.operators:
        y = operator.outputs[0]
        if operator.kind is OpKind.MATMUL:
            earlier = lies.get(operator.inputs[0], none)
            key = operator.name, earlier.tobytes()
            if key not in made:
                shape = matmul_shape(block, operator, machine.options, machine.chip)  # type: ignore[arg-type]
                on_units = does_product(machine, shape)
                found = choose_splits(
                    replace(shape, m=1) if on_units else shape, rates, machine.grid, machine.topology, machine.options,
                    none if on_units else earlier, chip, rate,
                )  # fmt: skip
                made[key] = replace(found, choice=_in_one(found.choice)) if on_units else found
            ways[operator.name], lies[y] = made[key], made[key].of("split")
        elif operator.kind is OpKind.NORM and operator.attention is None:
            lies[y] = lies.get(operator.inputs[0], none)
        elif operator.kind in (OpKind.ACTIVATION, OpKind.ADD):
            lies[y] = lies.get(operator.inputs[-1], none)
    return BlockChoices(ways, lies)


def _in_one(choice: Choice) -> Choice:
    """A choice for PIM units: all rows in one pass, partial sums added up at the end, nothing relayed."""
    one = np.ones_like(choice.split)
    return replace(choice, passes=one, reductions=one, sharers=one)


def known(operator: Operator) -> bool:
    """Whether the twin has a stage for an operator."""
    kinds = {OpKind.MATMUL, OpKind.ADD, OpKind.ACTIVATION, OpKind.ATTENTION, OpKind.EMBEDDING, OpKind.ROPE}
    if operator.kind is OpKind.NORM:
        return operator.recurrence is None
    return operator.kind in kinds or _selects_rows(operator)


def _selects_rows(operator: Operator) -> bool:
    """Rows taken by number (the last token of each request), no experts' dispatch."""
    return operator.kind is OpKind.DISPATCH and len(operator.inputs) == 1 and not operator.row_groups


@dataclass(frozen=True)
class Lowered:
    """A block on many designs: choices, where its tensors lie, and the SRAM through which tiles stream."""

    block: Block
    machine: Machine
    chosen: BlockChoices
    places: Places
    lies: dict[str, IntArray]
    """Rows (designs,) of the layouts of `places`, by activation."""
    stream_bytes: FloatArray
    _made: dict[str, tuple[tuple[IntArray, ...], Placed]] = field(default_factory=dict)
    """Stages by operator, with the rows of `places` that they were made for."""

    def following(self, lies: dict[str, IntArray]) -> Lowered:
        """The block where its tensors lie otherwise."""
        return replace(self, lies=lies)

    def stages(self) -> Stages:
        """The stages of the block in the order of its operators. All of them must be `known`."""
        placed = [self._kept(operator) for operator in self.block.operators]
        return Stages.of([each for each in placed if each is not None])

    def _kept(self, operator: Operator) -> Placed | None:
        """The stage of an operator, that made before where its tensors lay alike."""
        names = (*operator.inputs, *operator.outputs)
        key = tuple(self.lies[name] for name in names if name in self.lies)
        made = self._made.get(operator.name)
        if made is not None and all(old is new for old, new in zip(made[0], key, strict=True)):
            return made[1]
        placed = self._place(operator)
        if placed is not None:
            self._made[operator.name] = key, placed
        return placed

    def _where(self, name: str) -> IntArray:
        lies = self.lies.get(name)
        return np.full(self.machine.designs, UNKNOWN) if lies is None else lies

    def _place(self, operator: Operator) -> Placed | None:
        """The stage of an operator. None for rotary embedding and norms of heads, which are done where the heads are
        used, in attention."""
        machine, block, where = self.machine, self.block, self._where(operator.inputs[0])
        if operator.kind is OpKind.MATMUL:
            return self._product(operator, where)
        if operator.kind is OpKind.NORM and operator.attention is None:
            return _placed(
                machine, lambda few, rows: norm_stage(few, block, operator, self._layouts(where[rows])), where
            )
        if operator.kind is OpKind.ADD:
            on = self._where(operator.inputs[-1])
            return _placed(
                machine,
                lambda few, rows: elementwise_stage(few, block, operator, "add", self._layouts(on[rows])), on,
            )  # fmt: skip
        if operator.kind is OpKind.ACTIVATION:
            return self._activation(operator)
        if operator.kind is OpKind.ATTENTION:
            stream = self.stream_bytes
            keys = keys_on_units(machine, block, operator)
            if keys is not None:
                return _placed(
                    machine,
                    lambda few, rows: attention_on_units(few, block, operator, keys, self._layouts(where[rows])), where,
                )  # fmt: skip
            return _placed(
                machine,
                lambda few, rows: attention_stage(few, block, operator, stream[rows], self._layouts(where[rows])),
                stream, where,
            )  # fmt: skip
        if operator.kind is OpKind.EMBEDDING:
            return _placed(machine, lambda few, _: _embedding(few, operator))
        if operator.kind is OpKind.DISPATCH:
            return _placed(machine, lambda few, _: elementwise_stage(few, block, operator, "copy", None))
        return None

    def _layouts(self, rows: IntArray) -> Layouts:
        return Layouts(self.places.table, rows)

    def _product(self, operator: Operator, where: IntArray) -> Placed:
        ways, machine = self.chosen.ways[operator.name], self.machine
        shape = matmul_shape(self.block, operator, machine.options, machine.chip)  # type: ignore[arg-type]
        again = self._tables_are_there(operator) if shape.tables is not None else np.zeros(machine.designs, np.bool_)
        before = self.chosen.lies.get(operator.inputs[0], np.full(self.machine.designs, NO_SPLIT))

        def product(few: Machine, rows: IntArray) -> Stage:
            choice = ways.choice.at(ways.way[rows])
            x = self._layouts(where[rows])
            if does_product(few, shape):
                return unit_stage(operator.name, few, shape, choice, before[rows], x)
            return product_stage(operator.name, few, shape, choice, before[rows], x, again[rows])

        return _placed(machine, product, ways.way, before, where, again)

    def _tables_are_there(self, operator: Operator) -> BoolArray:
        """Designs (designs,) on which a product before this one has made the same tables: it reads the same activations
        in the same blocks."""
        there, ways = np.zeros(self.machine.designs, dtype=np.bool_), self.chosen.ways
        for before in self.block.operators:
            if before is operator:
                break
            if before.name in ways and before.inputs[0] == operator.inputs[0]:
                each = ways[before.name], ways[operator.name]
                split, passes = ([way.of(name) for way in each] for name in ("split", "passes"))
                there |= (split[0] == split[1]) & (passes[0] == passes[1])
        return there

    def _activation(self, operator: Operator) -> Placed:
        """An activation function: in place on what the product before it left, in compute-shift on each stretch of
        columns as soon as it is complete."""
        block = self.block
        y, x = block.tensor(operator.outputs[0]), block.tensor(operator.inputs[0])
        gated = len(operator.inputs) == 2 or x.columns == 2 * y.columns
        kind = f"{operator.function}_mul" if gated else operator.function
        on = self._where(operator.outputs[0])
        stretches = self._stretches(operator)
        return _placed(
            self.machine,
            lambda few, rows: elementwise_stage(few, block, operator, kind, self._layouts(on[rows]), stretches[rows]),
            on, stretches,
        )  # fmt: skip

    def _stretches(self, operator: Operator) -> IntArray:
        """In how many stretches the input of an activation function becomes ready, (designs,)."""
        maker = next((op for op in self.block.operators if operator.inputs[0] in op.outputs), None)
        alone = maker is None or maker.name not in self.chosen.ways or len(operator.inputs) != 1
        if maker is None or alone or self.machine.spmd:
            return np.ones(self.machine.designs, dtype=np.int64)
        ways = self.chosen.ways[maker.name]
        return np.asarray(ways.of("reductions") * ways.of("passes"))


def _placed(machine: Machine, make: Callable[[Machine, IntArray], Stage], *columns: npt.NDArray[Any]) -> Placed:
    """A stage worked out once for all designs that are alike in the chip and in `columns` (designs,).

    `make` is given a machine and the designs that it stands for. Should it read a parameter on which stages do not
    depend, it is worked out for every design.
    """
    row, first = different(machine.alike[0], *columns)
    try:
        return Placed(make(machine.of_stages(first), first), row)
    except WithheldError:
        every = np.arange(machine.designs)
        return Placed(make(machine, every), every)


def _embedding(machine: Machine, operator: Operator) -> Stage:
    """Rows of the table, dealt over the channels."""
    read = sum(count for _, count in operator.reads)
    rows = np.ceil(len(set(operator.rows)) / machine.cores)
    each = read / max(1, len(set(operator.rows)))
    return Stage(operator.name, streamed_bytes=rows * each, counts=Counts(dram_bytes=read))
