"""The stages of a block on many designs, with the mapping that lowering would choose on each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.choices import matmul_shape
from cairn.sim.mapping.choose import NO_SPLIT, Ways, choose_splits
from cairn.sim.mapping.different import different
from cairn.sim.mapping.grid import split_sizes
from cairn.sim.twin.attention import attention_stage
from cairn.sim.twin.elementwise import elementwise_stage, norm_stage
from cairn.sim.twin.machine import Machine
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
                shape = matmul_shape(block, operator, machine.options)
                made[key] = choose_splits(
                    shape, rates, machine.grid, machine.topology, machine.options, earlier, chip, rate
                )
            ways[operator.name], lies[y] = made[key], made[key].of("split")
        elif operator.kind is OpKind.NORM and operator.attention is None:
            lies[y] = lies.get(operator.inputs[0], none)
        elif operator.kind in (OpKind.ACTIVATION, OpKind.ADD):
            lies[y] = lies.get(operator.inputs[-1], none)
    return BlockChoices(ways, lies)


def known(operator: Operator) -> bool:
    """Whether the twin has a stage for an operator."""
    kinds = {OpKind.MATMUL, OpKind.ADD, OpKind.ACTIVATION, OpKind.ATTENTION, OpKind.EMBEDDING, OpKind.ROPE}
    if operator.kind is OpKind.NORM:
        return operator.recurrence is None
    return operator.kind in kinds or _selects_rows(operator)


def _selects_rows(operator: Operator) -> bool:
    """Rows taken by number (the last token of each request), no experts' dispatch."""
    return operator.kind is OpKind.DISPATCH and len(operator.inputs) == 1 and not operator.row_groups


def block_stages(block: Block, machine: Machine, chosen: BlockChoices, stream_bytes: FloatArray) -> Stages:
    """The stages of a block in the order of its operators. All of them must be `known`."""
    placed = [_place(block, operator, machine, chosen, stream_bytes) for operator in block.operators]
    return Stages.of([each for each in placed if each is not None])


def _place(
    block: Block, operator: Operator, machine: Machine, chosen: BlockChoices, stream_bytes: FloatArray
) -> Placed | None:
    """The stage of an operator. None for rotary embedding and norms of heads, which are done where the heads are used,
    in attention."""
    lies = chosen.lies.get(operator.inputs[0])
    if lies is None:
        lies = np.full(machine.designs, NO_SPLIT)
    if operator.kind is OpKind.MATMUL:
        ways, shape = chosen.ways[operator.name], matmul_shape(block, operator, machine.options)

        def product(few: Machine, rows: IntArray) -> Stage:
            return product_stage(operator.name, few, shape, ways.choice.at(ways.way[rows]), lies[rows])

        return _placed(machine, product, ways.way, lies)
    if operator.kind is OpKind.NORM and operator.attention is None:
        parts = np.append(split_sizes(machine.grid.rows, machine.grid.columns)[:, 0], 1)
        return _placed(machine, lambda few, rows: norm_stage(few, block, operator, parts[lies[rows]]), lies)
    if operator.kind is OpKind.ADD:
        return _placed(machine, lambda few, _: elementwise_stage(few, block, operator, "add"))
    if operator.kind is OpKind.ACTIVATION:
        stretches = _stretches(machine, block, operator, chosen)
        return _placed(machine, lambda few, rows: _activation(few, block, operator, stretches[rows]), stretches)
    if operator.kind is OpKind.ATTENTION:
        return _placed(
            machine, lambda few, rows: attention_stage(few, block, operator, stream_bytes[rows]), stream_bytes
        )
    if operator.kind is OpKind.EMBEDDING:
        return _placed(machine, lambda few, _: _embedding(few, operator))
    if operator.kind is OpKind.DISPATCH:
        return _placed(machine, lambda few, _: elementwise_stage(few, block, operator, "copy"))
    return None


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


def _stretches(machine: Machine, block: Block, operator: Operator, chosen: BlockChoices) -> IntArray:
    """In how many stretches the input of an activation function becomes ready, (designs,)."""
    maker = next((op for op in block.operators if operator.inputs[0] in op.outputs), None)
    if maker is None or maker.name not in chosen.ways or len(operator.inputs) != 1:
        return np.ones(machine.designs, dtype=np.int64)
    ways = chosen.ways[maker.name]
    return np.asarray(ways.of("reductions") * ways.of("passes"))


def _activation(machine: Machine, block: Block, operator: Operator, stretches: IntArray) -> Stage:
    y, x = block.tensor(operator.outputs[0]), block.tensor(operator.inputs[0])
    gated = len(operator.inputs) == 2 or x.columns == 2 * y.columns
    kind = f"{operator.function}_mul" if gated else operator.function
    return elementwise_stage(machine, block, operator, kind, stretches)


def _embedding(machine: Machine, operator: Operator) -> Stage:
    """Rows of the table, dealt over the channels."""
    read = sum(count for _, count in operator.reads)
    rows = np.ceil(len(set(operator.rows)) / machine.cores)
    each = read / max(1, len(set(operator.rows)))
    return Stage(operator.name, streamed_bytes=rows * each, counts=Counts(dram_bytes=read))
