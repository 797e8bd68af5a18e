"""The stages of a block on many designs, with the mapping that lowering would choose on each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.choices import matmul_shape
from cairn.sim.mapping.choose import NO_SPLIT
from cairn.sim.mapping.different import different
from cairn.sim.mapping.experts import MANY_EXPERTS
from cairn.sim.twin.attention import attention_stage
from cairn.sim.twin.chosen import BlockChoices
from cairn.sim.twin.elementwise import elementwise_stage, norm_stage
from cairn.sim.twin.experts import combine_stage, dispatch_stage, experts_stage, top_k_stage
from cairn.sim.twin.machine import Machine
from cairn.sim.twin.pim import attention_on_units, unit_stage
from cairn.sim.twin.pim_rule import keys_on_units
from cairn.sim.twin.places import UNKNOWN, Layouts, Places
from cairn.sim.twin.product import product_stage
from cairn.sim.twin.stage import Counts, Placed, Stage, Stages, either
from cairn.sim.twin.swept import WithheldError
from cairn.workloads.graph import Block, Operator, OpKind

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


KNOWN: Final = {
    OpKind.MATMUL, OpKind.ADD, OpKind.ACTIVATION, OpKind.ATTENTION, OpKind.EMBEDDING, OpKind.ROPE, OpKind.TOP_K,
    OpKind.DISPATCH, OpKind.COMBINE,
}  # fmt: skip


def known(operator: Operator) -> bool:
    """Whether the twin has a stage for an operator: of experts, for those that follow each other on all cores."""
    if operator.kind is OpKind.NORM:
        return operator.recurrence is None
    if operator.kind is OpKind.GROUPED_MATMUL:
        return sum(rows > 0 for rows in operator.group_rows) <= MANY_EXPERTS
    return operator.kind in KNOWN


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
            return self._attention(operator, where)
        if operator.kind is OpKind.EMBEDDING:
            return _placed(machine, lambda few, _: _embedding(few, operator))
        if operator.kind is OpKind.DISPATCH and _selects_rows(operator):
            return _placed(machine, lambda few, _: elementwise_stage(few, block, operator, "copy", None))
        return self._routed(operator, where)

    def _routed(self, operator: Operator, where: IntArray) -> Placed | None:
        """The stage of an operator of routed experts."""
        machine, block = self.machine, self.block
        if operator.kind is OpKind.TOP_K:
            return _placed(
                machine, lambda few, rows: top_k_stage(few, block, operator, self._layouts(where[rows])), where
            )
        if operator.kind is OpKind.DISPATCH:
            decided, made = (self._where(name) for name in (operator.inputs[1], operator.outputs[0]))
            return _placed(
                machine,
                lambda few, rows: dispatch_stage(
                    few, block, operator, self._layouts(decided[rows]), self._layouts(made[rows])
                ), decided, made,
            )  # fmt: skip
        if operator.kind is OpKind.GROUPED_MATMUL:
            return self._experts(operator, where)
        if operator.kind is OpKind.COMBINE:
            count = sum(rows > 0 for rows in operator.row_groups)
            return _placed(
                machine, lambda few, rows: combine_stage(few, block, operator, self._layouts(where[rows]), count), where
            )
        return None

    def _experts(self, operator: Operator, where: IntArray) -> Placed:
        experts = self.chosen.experts[operator.name]
        x = [self.places.rows_of(where, expert.first, expert.shape.m) for expert in experts]
        source = next(other for other in self.block.operators if operator.inputs[0] in other.outputs)
        in_turn = source.kind is not OpKind.DISPATCH and len(experts) > 1

        def stage(few: Machine, rows: IntArray) -> Stage:
            lies = [self._layouts(each[rows]) for each in x]
            return experts_stage(operator.name, few, experts, lies, rows, in_turn)

        return _placed(self.machine, stage, where, *(expert.done().way for expert in experts))

    def _layouts(self, rows: IntArray) -> Layouts:
        return Layouts(self.places.table, rows)

    def _attention(self, operator: Operator, where: IntArray) -> Placed:
        block, stream, found = self.block, self.stream_bytes, keys_on_units(self.machine, self.block, operator)
        keys, on = found or (0, np.zeros(self.machine.designs, dtype=np.bool_))

        def attention(few: Machine, rows: IntArray) -> Stage:
            x = self._layouts(where[rows])
            return either(
                on[rows], lambda: attention_on_units(few, block, operator, keys, x),
                lambda: attention_stage(few, block, operator, stream[rows], x),
            )  # fmt: skip

        return _placed(self.machine, attention, stream * ~on, where, on)

    def _product(self, operator: Operator, where: IntArray) -> Placed:
        name, machine = operator.name, self.machine
        ways, sides = self.chosen.cores[name], self.chosen.sides.get(name)
        on = np.zeros(machine.designs, dtype=np.bool_) if sides is None else sides.on
        shape = matmul_shape(self.block, operator, machine.options, machine.chip)  # type: ignore[arg-type]
        again = self._tables_are_there(operator) if shape.tables is not None else np.zeros(machine.designs, np.bool_)
        before = self.chosen.lies.get(operator.inputs[0], np.full(self.machine.designs, NO_SPLIT))

        def product(few: Machine, rows: IntArray) -> Stage:
            x, given = self._layouts(where[rows]), before[rows]

            def on_units() -> Stage:
                units = self.chosen.sides[name].units
                return unit_stage(name, few, shape, units.choice.at(units.way[rows]), given, x)

            def on_cores() -> Stage:
                return product_stage(name, few, shape, ways.choice.at(ways.way[rows]), given, x, again[rows])

            return either(on[rows], on_units, on_cores)

        return _placed(machine, product, self.chosen.ways[name].way, before, where, again)

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
        if maker is not None and maker.name in self.chosen.experts and not self.machine.spmd:
            return np.full(self.machine.designs, len(self.chosen.experts[maker.name]))
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
