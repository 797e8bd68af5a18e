"""What the lowering of an operator works with: the plan being written, the grid it runs on, and where tensors lie."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.compute.vector.cycle import operations_of, passes_of, vector_cycles
from cairn.sim.mapping.buffer import StreamBuffer
from cairn.sim.mapping.choices import choose_block
from cairn.sim.mapping.choose import MatmulMapping
from cairn.sim.mapping.grid import Grid, bounds
from cairn.sim.mapping.known_cycles import WHOLE, KnownCycles, Parts
from cairn.sim.mapping.matmul_cost import STREAM_TILES, elements_per_byte
from cairn.sim.mapping.memory import Memory
from cairn.sim.mapping.options import MappingSpec, Paradigm
from cairn.sim.mapping.past import Past
from cairn.sim.mapping.pieces import MANY_PAIRS, Pieces, move_of, pairs, redistribute, same_layout, wanted
from cairn.sim.plan.builder import LUT_QUEUE, After, PlanBuilder, Region, Slice, Tile
from cairn.sim.plan.plan import DRAM, SRAM
from cairn.workloads.graph import Block, Operator

IntArray = npt.NDArray[np.int64]

NONE = -1

MANY_COPIES = 32
"""Copies a core beyond which a change of layout may go in two steps, over even parts of the tensor (assumed)."""


def row_bytes(columns: npt.ArrayLike, bits: float) -> IntArray:
    """Bytes of one matrix row of so many columns; a row starts on a byte."""
    return np.ceil(np.asarray(columns) * bits / 8).astype(np.int64)


def even_pieces(grid: Grid, rows: int, columns: int, quantum: int = 1) -> Pieces:
    """Pieces on the ranks of a grid that share a tensor evenly; see `Scope.even_layout`."""
    down = grid.rows if rows >= grid.rows else 1
    across = grid.size // down
    r, c = bounds(rows, down), bounds(columns, across, quantum)
    i, j = np.divmod(np.arange(grid.size), across)
    return wanted(np.arange(grid.size), r[i], r[i + 1], c[j], c[j + 1]).without_empty()


def leaders(chip: ChipSpec, cores: IntArray, core_group: int | None) -> IntArray:
    """For each of `cores` (of one stage) the core in whose queue it loads: the first of its core group.

    Cores on one channel form groups of `core_group` (None: one group), in the order of their numbers.
    """
    group = chip.channel_of(cores) * chip.cores_per_channel
    if core_group is not None and core_group < chip.cores_per_channel:
        group = group + (cores - group) // core_group * core_group
    first = np.full(chip.core_count, chip.core_count, dtype=np.int64)
    np.minimum.at(first, group, cores)
    return first[group]


@dataclass
class Stage:
    """A grid of cores with the state that lives on it from block to block: SRAM stream and DRAM places."""

    plan: PlanBuilder
    chip: ChipSpec
    grid: Grid
    options: MappingSpec
    memory: Memory
    stream: StreamBuffer
    matrix: KnownCycles
    merged: bool = False
    """Whether steps of a product that are alike are written as one: see `cairn.sim.mapping.schedule`."""
    choices: dict[str, Mapping[str, MatmulMapping]] = field(default_factory=dict)
    """Mapping of every product, by block and operator name."""

    @classmethod
    def on(
        cls, plan: PlanBuilder, grid: Grid, options: MappingSpec, act_bytes: int, *, merged: bool = False
    ) -> Stage:
        """A stage whose SRAM keeps `act_bytes` for activations and streams tiles through the rest."""
        chip = plan.chip
        sram = chip.sram.capacity_kib * 1024
        stream = StreamBuffer(max(sram - act_bytes, sram // 4))
        plan.keep_in_step(grid.cores, leaders(chip, grid.cores, options.core_group))
        return cls(plan, chip, grid, options, Memory(chip, options.banks), stream, KnownCycles(chip), merged)

    def mapping(self, block: Block, operator: Operator) -> MatmulMapping:
        """How a matmul operator of a block is mapped."""
        if block.name not in self.choices:
            self.choices[block.name] = choose_block(block, self.chip, self.grid, self.options)
        return self.choices[block.name][operator.name]

    @property
    def tile_bytes(self) -> int:
        """Size that streamed tiles aim at."""
        return min(self.options.tile_kib * 1024, self.stream.capacity_bytes // STREAM_TILES)

    @property
    def spmd(self) -> bool:
        return self.options.paradigm is Paradigm.SPMD

    def above(self, core: IntArray, data: Slice, address: tuple[int | IntArray, ...]) -> Region:
        """A slice in the channel above each core, where a lone core of the channel would have it at `address`.

        Each of several cores on a channel has a part of the rows to itself, and those of a core group begin with
        successive sets of banks, so that loads which follow each other in step meet in no bank.
        """
        channel, cores = self.chip.channel_of(core), self.chip.cores_per_channel
        bank, banks, row, stripe, offset = address
        if cores > 1:
            dram = self.chip.dram
            slot = core % cores
            place = slot % (self.options.core_group or cores)
            bank = (bank + place * banks) % (dram.banks_per_channel // banks * banks)
            row = row + slot * (dram.rows_per_bank(self.chip.channels) // cores)
        return Region(DRAM, channel, data, (bank, banks, row, stripe, offset))


@dataclass
class Scope:
    """One block instance being lowered on a stage: its tensors' numbers and the pieces of its activations."""

    stage: Stage
    block: Block
    label: str
    operator_of: dict[str, int]
    past: Past | None = None
    """What earlier micro-batches of the same request have left, and where this one leaves what it adds."""
    tensor_of: dict[str, int] = field(default_factory=dict)
    pieces: dict[str, Pieces] = field(default_factory=dict)
    pending: dict[str, list[Operator]] = field(default_factory=dict)
    """Operators on whole heads (rotary embedding, norms of queries and keys) that wait until heads lie whole."""
    handed: dict[str, Any] = field(default_factory=dict)
    """What the lowering of an operator hands to those of later ones, by tensor (unfused attention)."""
    known: dict[str, Pieces] = field(default_factory=dict)
    """Routing decisions that have been told to cores."""
    tables: dict[tuple[int, bytes], list[tuple[IntArray, IntArray, IntArray]]] = field(default_factory=dict)
    """Tables of activations that cores have made: parts (begin, end along k, task), by the tensor and its blocks."""
    read_once: set[str] = field(default_factory=set)
    """Small tensors that some core has loaded already: further loads are duplicates."""

    @property
    def plan(self) -> PlanBuilder:
        return self.stage.plan

    @property
    def chip(self) -> ChipSpec:
        return self.stage.chip

    @property
    def grid(self) -> Grid:
        return self.stage.grid

    def tensor(self, name: str) -> int:
        """The plan's number of a tensor of this block instance."""
        if name not in self.tensor_of:
            self.tensor_of[name] = self.plan.tensor(f"{self.label}/{name}")
        return self.tensor_of[name]

    def bits(self, name: str) -> float:
        return self.block.tensor(name).bits

    @property
    def partial_bits(self) -> float:
        """Bits in which partial sums travel between cores."""
        return float(self.stage.options.partial_sum_bits)

    def op(self, operator: Operator) -> int:
        return self.operator_of[operator.name]

    def alias(self, name: str, pieces: Pieces, tensor: int) -> None:
        """`name` is the tensor number `tensor`, lying as `pieces`."""
        self.tensor_of[name] = tensor
        self.pieces[name] = pieces

    def vector(
        self, core: IntArray, tile: Tile, kind: str, elements: IntArray, after: After, times: IntArray | int = 1,
        tasks: IntArray | None = None,
    ) -> IntArray:  # fmt: skip
        """Tasks of the vector unit over so many elements of a kind of work (a key of the vector unit's table), done in
        `times` equal parts one after the other."""
        if self.plan.skips:
            return self.plan.pass_over(core.size, tasks)
        unit = self.chip.vector_unit
        cycles = vector_cycles(unit, -(-elements // times), passes_of(unit, kind))
        cycles = times * cycles + (times - 1) * self.chip.synchronisation.task_issue_cycles
        return self.plan.compute(core, "vector", tile, cycles, after, elements * operations_of(kind), tasks=tasks)

    def matrix(
        self, core: IntArray, tile: Tile, sizes: tuple[IntArray, IntArray, IntArray], bits: tuple[float, float, float],
        after: After, parts: Parts = WHOLE, weights: bool = False, tasks: IntArray | None = None,
    ) -> IntArray:  # fmt: skip
        """Tasks of the matrix unit, or with `weights` of the unit for weights of so many bits: products of `sizes`
        m, n, k of operands of `bits` (x, w, y)."""
        if self.plan.skips:
            return self.plan.pass_over(core.size, tasks)
        m, n, k = sizes
        cycles = self.stage.matrix.of(sizes, bits, parts, weights)
        by_lut = weights and self.chip.lut_for(bits[0], bits[1]) is not None
        unit = LUT_QUEUE if by_lut else "matrix"
        return self.plan.compute(core, unit, tile, cycles, after, 2 * m * n * k, parts.rows, tasks)

    def bring(self, name: str, want: Pieces, op: int, cause: str = "layout") -> Pieces:
        """The activation `name` where it is wanted; over an intermediate layout where that takes fewer copies and, by
        what each core sends, less time."""
        have = self.pieces[name]
        bits = self.bits(name)
        each = bits / 8
        tensor = self.block.tensor(name)
        number = self.tensor(name)
        if not same_layout(have, want) and pairs(have, want, each) > MANY_COPIES * self.grid.size:
            middle = self.even_layout(tensor.rows, tensor.columns, elements_per_byte(bits))
            direct, to, on = (self._sending(*way, each) for way in ((have, want), (have, middle), (middle, want)))
            if to[0] + on[0] < direct[0] and to[1] + on[1] < direct[1]:
                have = redistribute(self.plan, number, have, middle, op, each, cause)
        return redistribute(self.plan, number, have, want, op, each, cause)

    def _sending(self, have: Pieces, want: Pieces, each: float) -> tuple[int, float]:
        """Copies of a change of layout, and the cycles of the core that is busiest sending: with bytes, or with as many
        transfers at a time as it has under way, each of which waits for its start."""
        copies = pairs(have, want, each)
        if have.count * want.count > MANY_PAIRS:
            return copies, math.inf
        move, noc = move_of(have, want, each), self.chip.noc
        sender = have.core[move.source[move.copied]]
        begun = np.bincount(sender, minlength=1) * (noc.start / self.chip.dma.noc_depth)
        sent = np.bincount(sender, weights=move.bytes, minlength=1) / noc.link_bytes_per_cycle
        return copies, float(max(begun.max(), sent.max()))

    def even_layout(self, rows: int, columns: int, quantum: int = 1) -> Pieces:
        """Pieces that share a tensor evenly: as many row parts as the grid has rows if there are that many tokens."""
        even = even_pieces(self.grid, rows, columns, quantum)
        return Pieces(self.grid.cores[even.core], even.rect, even.ready)

    def load_columns(self, name: str, op: int, pieces: Pieces) -> IntArray:
        """Load, for each piece, its columns of the one-row tensor `name`; bytes that several load are duplicates.

        A piece loads whole bytes. Pieces may overlap in any way: what an earlier one (by first column) has loaded is a
        duplicate, the rest of a piece is not.
        """
        tensor = self.block.tensor(name)
        first, last = (np.minimum(pieces.rect[:, side], tensor.columns) for side in (2, 3))
        begin = np.floor(first * tensor.bits / 8).astype(np.int64)
        end = np.where(last > first, row_bytes(last, tensor.bits), begin)
        order = np.lexsort((end, begin))
        reach = np.zeros_like(end)
        reach[order[1:]] = np.maximum.accumulate(end[order])[:-1]
        seam = np.clip(reach, begin, end)
        address = self.stage.memory.place(int((end - begin).max(initial=1)))
        tasks = np.full((2, pieces.count), NONE, dtype=np.int64)
        for row, (low, high, cause) in enumerate(((begin, seam, "duplicate"), (seam, end, "unique"))):
            pick = np.nonzero(high > low)[0]
            if pick.size == 0:
                continue
            columns = [np.clip(row_bytes(side, 64 / tensor.bits), first, last)[pick] for side in (low, high)]
            data = Slice(self.tensor(name), (0, 1), (columns[0], columns[1]), (high - low)[pick])
            source = self.stage.above(pieces.core[pick], data, address.at(0))
            tasks[row, pick] = self.plan.copy(source, Region(SRAM, pieces.core[pick], data), op, cause=cause)
        both = np.nonzero((tasks >= 0).all(axis=0))[0]
        loaded: IntArray = tasks.max(axis=0)
        if both.size:
            loaded[both] = self.plan.sync([tasks[0, both], tasks[1, both]], both.size, 0, op)
        return loaded

    def load_rows(self, name: str, op: int, pieces: Pieces) -> IntArray:
        """Load the whole (small) tensor `name` on the core of each piece; all copies but the first are duplicates."""
        tensor = self.block.tensor(name)
        size = tensor.bytes
        address = self.stage.memory.place(size)
        tasks = np.empty(pieces.count, dtype=np.int64)
        first = 0 if name in self.read_once else 1
        self.read_once.add(name)
        for pick, cause in ((slice(0, first), "unique"), (slice(first, None), "duplicate")):
            core = pieces.core[pick]
            if core.size:
                data = Slice(self.tensor(name), (0, tensor.rows), (0, tensor.columns), np.full(core.size, size))
                source = self.stage.above(core, data, address.at(0))
                tasks[pick] = self.plan.copy(source, Region(SRAM, core, data), op, cause=cause)
        return tasks


def tile_counts(length: int, tile: int) -> int:
    return math.ceil(length / tile)


__all__ = ["NONE", "Scope", "Stage", "Tile", "row_bytes", "tile_counts"]
