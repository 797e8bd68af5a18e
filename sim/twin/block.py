"""The stages of a block on many designs, with the mapping that lowering would choose on each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.choices import matmul_shape
from cairn.sim.mapping.choose import NO_SPLIT, Choice, choose_splits
from cairn.sim.mapping.grid import all_splits
from cairn.sim.twin.attention import attention_stage
from cairn.sim.twin.elementwise import elementwise_stage, norm_stage
from cairn.sim.twin.machine import Machine
from cairn.sim.twin.product import product_stage
from cairn.sim.twin.stage import Counts, Stage
from cairn.workloads.graph import Block, Operator, OpKind

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class BlockChoices:
    """The choice for every product of a block, and the split in which each tensor lies (NO_SPLIT: in none)."""

    choices: dict[str, Choice]
    lies: dict[str, IntArray]

    @property
    def feasible(self) -> BoolArray:
        return np.asarray(np.all([choice.feasible for choice in self.choices.values()], axis=0))

    def act_bytes(self) -> Any:
        return np.max([choice.act_bytes for choice in self.choices.values()], axis=0) if self.choices else 0.0


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


Made = dict[tuple[str, bytes], Choice]
"""Choices by operator and the splits in which its input lies: most of a block's do not depend on what precedes it."""


def _choose(block: Block, machine: Machine, before: IntArray, made: Made) -> BlockChoices:
    lies: dict[str, IntArray] = {}
    none = np.full(machine.designs, NO_SPLIT)
    if block.input is not None:
        lies[block.input] = before
    choices: dict[str, Choice] = {}
    rates = machine.rates
    for operator in block.operators:
        y = operator.outputs[0]
        if operator.kind is OpKind.MATMUL:
            earlier = lies.get(operator.inputs[0], none)
            key = operator.name, earlier.tobytes()
            if key not in made:
                shape = matmul_shape(block, operator, machine.options)
                made[key] = choose_splits(shape, rates, machine.grid, machine.topology, machine.options, earlier)
            choices[operator.name], lies[y] = made[key], made[key].split
        elif operator.kind is OpKind.NORM and operator.attention is None:
            lies[y] = lies.get(operator.inputs[0], none)
        elif operator.kind in (OpKind.ACTIVATION, OpKind.ADD):
            lies[y] = lies.get(operator.inputs[-1], none)
    return BlockChoices(choices, lies)


def known(operator: Operator) -> bool:
    """Whether the twin has a stage for an operator."""
    kinds = {OpKind.MATMUL, OpKind.ADD, OpKind.ACTIVATION, OpKind.ATTENTION, OpKind.EMBEDDING, OpKind.ROPE}
    if operator.kind is OpKind.NORM:
        return operator.recurrence is None
    return operator.kind in kinds or _selects_rows(operator)


def _selects_rows(operator: Operator) -> bool:
    """Rows taken by number (the last token of each request), no experts' dispatch."""
    return operator.kind is OpKind.DISPATCH and len(operator.inputs) == 1 and not operator.row_groups


def block_stages(block: Block, machine: Machine, chosen: BlockChoices, stream_bytes: Any) -> list[Stage]:
    """The stages of a block in the order of its operators. All of them must be `known`."""
    parts = np.array([split.sizes[0] for split in all_splits(machine.grid.rows, machine.grid.columns)] + [1])
    none = np.full(machine.designs, NO_SPLIT)
    stages: list[Stage] = []
    for operator in block.operators:
        lies = chosen.lies.get(operator.inputs[0], none)
        if operator.kind is OpKind.MATMUL:
            shape = matmul_shape(block, operator, machine.options)
            stages.append(product_stage(operator.name, machine, shape, chosen.choices[operator.name], lies))
        elif operator.kind is OpKind.NORM and operator.attention is None:
            stages.append(norm_stage(machine, block, operator, parts[lies]))
        elif operator.kind is OpKind.ADD:
            stages.append(elementwise_stage(machine, block, operator, "add"))
        elif operator.kind is OpKind.ACTIVATION:
            stages.append(_activation(machine, block, operator, chosen))
        elif operator.kind is OpKind.ATTENTION:
            stages.append(attention_stage(machine, block, operator, stream_bytes))
        elif operator.kind is OpKind.EMBEDDING:
            stages.append(_embedding(machine, block, operator))
        elif operator.kind is OpKind.DISPATCH:
            stages.append(elementwise_stage(machine, block, operator, "copy"))
    return stages  # rotary embedding and norms of heads are done where the heads are used, in attention


def _activation(machine: Machine, block: Block, operator: Operator, chosen: BlockChoices) -> Stage:
    y, x = block.tensor(operator.outputs[0]), block.tensor(operator.inputs[0])
    gated = len(operator.inputs) == 2 or x.columns == 2 * y.columns
    maker = next((op for op in block.operators if operator.inputs[0] in op.outputs), None)
    stretches: Any = 1
    if maker is not None and maker.name in chosen.choices and len(operator.inputs) == 1:
        choice = chosen.choices[maker.name]
        stretches = choice.reductions * choice.passes
    kind = f"{operator.function}_mul" if gated else operator.function
    return elementwise_stage(machine, block, operator, kind, stretches)


def _embedding(machine: Machine, block: Block, operator: Operator) -> Stage:
    """Rows of the table, dealt over the channels."""
    read = sum(count for _, count in operator.reads)
    rows = np.ceil(len(set(operator.rows)) / machine.cores)
    each = read / max(1, len(set(operator.rows)))
    return Stage(operator.name, streamed_bytes=rows * each, counts=Counts(dram_bytes=read))
