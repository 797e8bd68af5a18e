"""Where every activation of a block lies on many designs: layouts in a table, and for each design a row of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.choices import matmul_shape
from cairn.sim.mapping.choose import Choice, Ways
from cairn.sim.mapping.context import tile_counts
from cairn.sim.mapping.different import different
from cairn.sim.mapping.grid import Split, bounds
from cairn.sim.mapping.matmul_cost import MatmulShape, elements_per_byte
from cairn.sim.mapping.schedule import every_step
from cairn.sim.twin.chosen import Expert
from cairn.sim.twin.expert_layouts import Even, OfExperts, Sorted, WholeRows, only
from cairn.sim.twin.heads import OnUnits
from cairn.sim.twin.layout import MOVED, Layout, Move, Moves, Picked, Result, Rows, move_between, spread_of
from cairn.sim.twin.machine import Machine
from cairn.sim.twin.pim_rule import key_quantum
from cairn.workloads.graph import Block, Operator, OpKind

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

NOBODY: Final[Mapping[str, Sequence[Expert]]] = {}

UNKNOWN: Final = -1
"""A tensor that lies in no known way."""


@dataclass
class Places:
    """Layouts of all designs of a machine."""

    machine: Machine
    table: list[Layout] = field(default_factory=list)
    _number: dict[Layout, int] = field(default_factory=dict)
    _left: dict[tuple[str, str], tuple[IntArray | None, IntArray]] = field(default_factory=dict)
    """Where operators leave their results, by block and operator, beside where their input lay, if that matters."""

    def number(self, layout: Layout) -> int:
        """The row of a layout."""
        row = self._number.setdefault(layout, len(self.table))
        if row == len(self.table):
            self.table.append(layout)
        return row

    def of_block(
        self, block: Block, ways: Mapping[str, Ways], before: IntArray, experts: Mapping[str, Sequence[Expert]] = NOBODY
    ) -> dict[str, IntArray]:  # fmt: skip
        """Where each activation of a block lies whose input lies as `before`: rows (designs,) by tensor. Products are
        done in `ways` and, those of experts, as `experts` say, by operator."""
        none = np.full(self.machine.designs, UNKNOWN)
        lies: dict[str, IntArray] = {} if block.input is None else {block.input: before}
        for operator in block.operators:
            y, x = operator.outputs[0], operator.inputs[0]
            if operator.kind is OpKind.MATMUL:
                lies[y] = self._once(block, operator, None, lambda _, op: self._results(block, op, ways[op.name]))
            elif operator.kind in (OpKind.NORM, OpKind.ROPE):  # those of heads are done where attention wants them
                lies[y] = lies.get(x, none)
            elif operator.kind is OpKind.ADD:
                lies[y] = lies.get(operator.inputs[-1], none)
            elif operator.kind is OpKind.ACTIVATION:
                last = lies.get(operator.inputs[-1], none)
                lies[y] = self._once(block, operator, last, lambda lie, op: self._activated(block, op, lie))
            elif operator.kind is OpKind.EMBEDDING:
                lies[y] = none * 0 + self.number(Rows(tuple(operator.rows), block.tensor(y).columns))
            elif operator.kind is OpKind.DISPATCH:
                lies[y] = self._once(block, operator, lies.get(x, none), self._picked)
            elif operator.kind is OpKind.ATTENTION:
                lies[y] = self._once(block, operator, None, lambda _, op: self._attended(block, op))
            elif operator.kind is OpKind.GROUPED_MATMUL:
                lies[y] = self._once(block, operator, None, lambda _, op: self._of_experts(experts[op.name]))
            elif operator.kind is OpKind.TOP_K:
                lies[y] = none * 0 + self.number(WholeRows(block.tensor(y).rows, block.tensor(y).columns))
            elif operator.kind is OpKind.COMBINE:
                lies[y] = none * 0 + self.number(Even(block.tensor(y).rows, block.tensor(y).columns))
        return lies

    def _once(
        self, block: Block, operator: Operator, lies: IntArray | None, find: Callable[[Any, Operator], IntArray]
    ) -> IntArray:  # fmt: skip
        """What `find` says of an operator whose input lies so, the same array as long as that is the same one."""
        key = block.name, operator.name
        if key not in self._left or self._left[key][0] is not lies:
            self._left[key] = lies, find(lies, operator)
        return self._left[key][1]

    def _picked(self, lies: IntArray, operator: Operator) -> IntArray:
        rows, sizes = tuple(operator.rows), tuple(operator.row_groups)
        return self.changed(lies, lambda layout: Sorted(layout, rows, sizes) if sizes else Picked(layout, rows))

    def _results(self, block: Block, operator: Operator, ways: Ways) -> IntArray:
        machine, choice = self.machine, ways.choice
        shape = matmul_shape(block, operator, machine.options, machine.chip)  # type: ignore[arg-type]
        number, first = different(choice.split, choice.tile_n, choice.reductions)
        rows = [
            self.number(result_of(shape, choice.splits[split], tile_n, reductions))
            for split, tile_n, reductions in zip(
                *(column[first].tolist() for column in (choice.split, choice.tile_n, choice.reductions)), strict=True
            )
        ]
        return np.array(rows, dtype=np.int64)[number][ways.way]

    def _of_experts(self, experts: Sequence[Expert]) -> IntArray:
        """The results of experts, one below the other."""
        ways = [expert.done() for expert in experts]
        number, first = different(*(way.way for way in ways))
        rows = [
            self.number(OfExperts(tuple(
                (expert.first, _result(expert.shape, way.choice, int(way.way[design])))
                for expert, way in zip(experts, ways, strict=True)
            )))
            for design in first.tolist()
        ]  # fmt: skip
        return np.array(rows, dtype=np.int64)[number]

    def _activated(self, block: Block, operator: Operator, lies: IntArray) -> IntArray:
        if block.tensor(operator.inputs[0]).columns == block.tensor(operator.outputs[0]).columns:
            return lies
        return self.changed(lies, _halved)

    def _attended(self, block: Block, operator: Operator) -> IntArray:
        attention = operator.attention
        if attention is None:
            return np.full(self.machine.designs, UNKNOWN)
        quantum = self.machine.array(key_quantum(self.machine, block, operator)).astype(np.int64)
        number, first = different(quantum)
        rows = [self.number(OnUnits(attention, int(quantum[row]), attention.value_dim, True)) for row in first]
        return np.array(rows, dtype=np.int64)[number]

    def rows_of(self, lies: IntArray, first: int, count: int) -> IntArray:
        """Where `count` rows of a tensor from `first` on lie, counted from 0."""
        return self.changed(lies, lambda layout: only(layout, first, count))

    def changed(self, lies: IntArray, change: Callable[[Any], Layout]) -> IntArray:
        """Rows of the layouts that `change` makes of others."""
        number, first = different(lies)
        old = lies[first].tolist()
        rows = [UNKNOWN if row == UNKNOWN else self.number(change(self.table[row])) for row in old]
        return np.array(rows, dtype=np.int64)[number]


def _halved(layout: Layout) -> Layout:
    if isinstance(layout, OfExperts):
        return layout.halved()
    return replace(layout, halves=2) if isinstance(layout, Result) else layout


def _result(shape: MatmulShape, choice: Choice, way: int) -> Result:
    split = choice.splits[choice.split[way]]
    return result_of(shape, split, int(choice.tile_n[way]), int(choice.reductions[way]))


@dataclass(frozen=True)
class Layouts:
    """A layout for each of many designs."""

    table: list[Layout]
    rows: IntArray
    """(designs,): rows of the table, UNKNOWN where it is not known."""

    def moves(self, machine: Machine, bits: float, want: Callable[[int], Layout], *columns: IntArray) -> Moves:
        """What brings a tensor to the layout `want` answers for a design, which depends on `columns` (designs,)."""
        widths, ports = machine.ports
        number, first = different(self.rows, widths, *columns)
        topology, grid = machine.topology, machine.grid
        each = [
            Move() if row == UNKNOWN
            else move_between(topology, grid, self.table[row], want(design), bits, ports[widths[design]])
            for row, design in zip(self.rows[first].tolist(), first.tolist(), strict=True)
        ]  # fmt: skip
        return Moves(*(np.array([getattr(move, name) for move in each], dtype=np.float64)[number] for name in MOVED))

    def at(self, designs: IntArray) -> Layouts:
        """Those of some of the designs."""
        return Layouts(self.table, self.rows[designs])

    def spread(self, machine: Machine, name: str, unknown: float) -> FloatArray:
        """A number of how the tensor is spread on each design."""
        number, first = different(self.rows)
        rows = self.rows[first].tolist()
        each = [unknown if r == UNKNOWN else getattr(spread_of(machine.grid, self.table[r]), name) for r in rows]
        return np.array(each, dtype=np.float64)[number]

    def stretches(self, machine: Machine) -> FloatArray:
        """(designs,): in how many stretches of columns a product makes it, 1 where none does or all cores wait for all
        of it."""
        if machine.spmd:
            return np.ones(self.rows.size)
        number, first = different(self.rows)
        made = [None if row == UNKNOWN else self.table[row] for row in self.rows[first].tolist()]
        each = [len(layout.edges) - 1 if isinstance(layout, Result) else 1 for layout in made]
        return np.array(each, dtype=np.float64)[number]

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """(designs,): whether it is known."""
        return np.asarray(self.rows != UNKNOWN)


@lru_cache(maxsize=1 << 14)
def result_of(shape: MatmulShape, split: Split, tile_n: int, reductions: int) -> Result:
    """The layout in which a product leaves its result, done with tiles of so many columns in so many stretches."""
    quantum = int(np.lcm(shape.quantum, elements_per_byte(shape.w_bits)))
    tiles = tile_counts(int(np.diff(bounds(shape.n, split.sizes[1], quantum)).max()), tile_n)
    stretches = every_step(1, tiles, min(reductions, tiles))[0].stretches
    edges = (*(stretch.begin for stretch in stretches), stretches[-1].end)
    return Result(split, shape.m, shape.n, quantum, tile_n, edges)
