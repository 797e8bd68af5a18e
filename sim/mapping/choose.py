"""Mapping choices: how a matrix product is split over the cores, as one pure function of plain numbers.

Lowering calls it with the one chip of a run, the analytical twin with many. Both therefore choose the same.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.base.errors import Infeasibility, InfeasibleError
from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.noc.spec import NocTopology
from cairn.sim.mapping.arrangement import arrangement_load
from cairn.sim.mapping.cost_kernel import cheapest, fronts
from cairn.sim.mapping.cost_layout import GK, GM, SHARED
from cairn.sim.mapping.different import different
from cairn.sim.mapping.grid import Grid, Split, all_splits
from cairn.sim.mapping.matmul_cost import (
    STREAM_TILES,
    CoreRates,
    MatmulShape,
    Product,
    elements_per_byte,
    matmul_costs,
)
from cairn.sim.mapping.options import MappingSpec, Paradigm

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

NO_SPLIT = -1


@dataclass(frozen=True)
class MatmulMapping:
    """A split, how many cores pass one weight block round, and in how many passes over the rows it runs."""

    split: Split
    sharers: int
    passes: int
    reductions: int
    """In how many stretches of columns a pass adds up partial sums; one travels while the next is computed."""
    tile_n: int
    tile_k: int
    cycles: float
    bound_by: str
    act_bytes: int
    """SRAM that input block, partial sums and output block take."""


@dataclass(frozen=True)
class Choice:
    """The cheapest split of a product on each of several designs (arrays (designs,)), and its cost.

    `split` is a place in `splits`; `feasible` is False where none fits the SRAM; the least demanding one stands there.
    """

    splits: tuple[Split, ...]
    split: IntArray
    feasible: npt.NDArray[np.bool_]
    sharers: IntArray
    passes: IntArray
    reductions: IntArray
    tile_n: IntArray
    tile_k: IntArray
    cycles: FloatArray
    compute: FloatArray
    dram: FloatArray
    network: FloatArray
    act_bytes: FloatArray

    def at(self, rows: IntArray) -> Choice:
        """The designs `rows`."""
        arrays = {each.name: getattr(self, each.name)[rows] for each in fields(self) if each.name != "splits"}
        return Choice(self.splits, **arrays)


@dataclass(frozen=True)
class Ways:
    """How many designs do a product, by the different ways that occur among them (arrays (ways,))."""

    choice: Choice
    """Of each way; cycles, and those of the DRAM, are those of its first design."""
    way: IntArray
    """(designs,): the way of each design."""
    first: IntArray
    """(ways,): the first design of each."""

    def of(self, name: str) -> Any:
        """A field of the choice for each design, (designs,)."""
        return getattr(self.choice, name)[self.way]


def choose_splits(
    shape: MatmulShape, rates: CoreRates, grid: Grid, topology: NocTopology, options: MappingSpec,
    before: IntArray, chip: IntArray, dram_bytes_per_cycle: FloatArray,
) -> Ways:  # fmt: skip
    """The split of least closed-form cost for each design (arrays (designs,)): a `chip` of those in `rates`, with a
    rate of its DRAM of its own, so that many designs that differ in nothing else cost little more than one.

    `before` is the split, as a place in `all_splits` of the grid, in which another product left x; NO_SPLIT where none
    did.
    """
    product = Product.of(shape, rates, grid, options)
    if options.paradigm is Paradigm.SPMD:
        before = np.full(before.shape, NO_SPLIT)
    pair, first = different(chip, before)
    order = np.argsort(chip[first], kind="stable")
    of_pair = np.empty_like(order)
    of_pair[order] = np.arange(order.size)
    pair, first = of_pair[pair], first[order]
    begin, split = _fronts(product, chip[first], before[first], grid, topology)
    each = np.repeat(np.arange(first.size), np.diff(begin))
    row, earlier = chip[first][each], before[first][each]
    load = np.where(earlier == NO_SPLIT, 0.0, _loads(topology, grid)[earlier, split])
    place, cut = cheapest(pair, dram_bytes_per_cycle, begin, product.costs(row, split), load)
    way, first = different(place, cut)
    place = place[first]
    choice = _choice(product, rates, row[place], split[place], load[place], dram_bytes_per_cycle[first])
    return Ways(choice, way, first)


def _fronts(
    product: Product, chip: IntArray, before: IntArray, grid: Grid, topology: NocTopology
) -> tuple[IntArray, IntArray]:
    """`fronts` with all loads that decide about them: bringing x only adds to a split's cost, so one that does not come
    into a front without it needs no load."""
    loads = _loads(topology, grid)
    while True:
        wanted = np.zeros(loads.shape, dtype=np.bool_)
        begin, split = fronts(
            product.alike, product.fits, product.sizes, product.chips, product.unit, product.cycles, product.elements,
            chip, before, loads, wanted,
        )  # fmt: skip
        if not wanted.any():
            return begin, split
        for earlier, later in np.argwhere(wanted).tolist():
            loads[earlier, later] = arrangement_load(topology, grid, product.splits[earlier], product.splits[later])


@lru_cache(maxsize=64)
def _loads(topology: NocTopology, grid: Grid) -> FloatArray:
    """`arrangement_load` between any two splits of a grid, NaN until somebody needs it."""
    count = len(all_splits(grid.rows, grid.columns))
    return np.full((count, count), np.nan)


def _choice(
    product: Product, rates: CoreRates, chip: IntArray, split: IntArray, load: FloatArray, rate: FloatArray
) -> Choice:
    """Splits of a product, each on a chip with a rate of its DRAM: arrays (n,)."""
    shape, cost = product.shape, matmul_costs(product, chip, split, load, rate)
    _, gn, gk = product.sizes[product.alike[split], GM : GK + 1].astype(np.int64).T
    sharers = product.sizes[product.alike[split], SHARED].astype(np.int64)
    tile_bytes, columns = (
        np.broadcast_to(values, (len(product.chips),))[chip] for values in (rates.tile_bytes, rates.columns(shape))
    )
    n, k = -(-shape.n // gn), shape.depth(gk)
    tile_n, tile_k = tile_shape(shape, n, k, sharers, cost.reductions, tile_bytes, columns)
    return Choice(
        product.splits, split, np.isfinite(cost.total), sharers, cost.passes, cost.reductions, tile_n, tile_k,
        cost.total, cost.compute, cost.dram, cost.network, cost.act_bytes,
    )  # fmt: skip


def arrangement_loads(
    topology: NocTopology, grid: Grid, splits: tuple[Split, ...], before: IntArray, split: IntArray
) -> FloatArray:
    """The loads of pairs of splits, each different pair worked out once."""
    unique, index = np.unique(before * len(splits) + split, return_inverse=True)
    pairs = [divmod(int(code), len(splits)) for code in unique]
    return np.array([arrangement_load(topology, grid, splits[a], splits[b]) for a, b in pairs], dtype=np.float64)[index]


def choose_matmul(
    shape: MatmulShape, chip: ChipSpec, grid: Grid, options: MappingSpec, before: Split | None = None
) -> MatmulMapping:
    """The choice for one chip; InfeasibleError when no split fits the SRAM.

    `before` is the split of the product that left x where it lies, if one did.
    """
    rates = CoreRates.of(chip, grid, options)
    earlier = np.array([NO_SPLIT if before is None else split_number(before, grid)])
    rate = np.array([rates.dram_bytes_per_cycle], dtype=np.float64)
    one = np.zeros(1, dtype=np.int64)
    choice = choose_splits(shape, rates, grid, chip.noc.ranked_as, options, earlier, one, rate).choice
    if not choice.feasible[0]:
        bound = rates.sram_bytes - STREAM_TILES * rates.tile_bytes
        remedy = "more SRAM a core (chip.sram.capacity_kib), more cores (chip.cores), smaller tiles "
        remedy += "(mapping.tile_kib) or fewer tokens at a time (workload)"
        constraint = f"SRAM of a core for a {shape.m} x {shape.k} x {shape.n} product"
        raise InfeasibleError(
            [Infeasibility(constraint, float(choice.act_bytes[0]), float(bound), "bytes", remedy)]
        )
    parts = {"compute": choice.compute[0], "dram": choice.dram[0], "network": choice.network[0]}
    return MatmulMapping(
        choice.splits[choice.split[0]], int(choice.sharers[0]), int(choice.passes[0]), int(choice.reductions[0]),
        int(choice.tile_n[0]), int(choice.tile_k[0]), float(choice.cycles[0]),
        max(parts, key=lambda name: float(parts[name])), int(choice.act_bytes[0]),
    )  # fmt: skip


def split_number(split: Split, grid: Grid) -> int:
    """The place of a split in `all_splits` of a grid."""
    return all_splits(grid.rows, grid.columns).index(split)


def tile_shape(
    shape: MatmulShape, n: Any, k: Any, sharers: Any, reductions: Any, tile_bytes: IntArray, array_columns: IntArray
) -> tuple[IntArray, IntArray]:
    """Columns and reduction length of the weight tiles that stream, (designs,): about `tile_bytes`, whole array columns
    if possible, and no wider than one of the `reductions` stretches of columns; whole groups of a LUT unit.
    """
    group = shape.k_quantum
    groups = -(-k // group)
    block_k = -(-groups // sharers) * group
    quantum = np.lcm(shape.quantum, elements_per_byte(shape.w_bits))
    whole = np.lcm(array_columns, quantum)
    column_bytes = whole * shape.w_bits / 8
    pieces = np.maximum(1, np.ceil(block_k * column_bytes / tile_bytes)).astype(np.int64)
    tile_k = np.maximum(1, -(-(block_k // group) // pieces)) * group
    tile_n = np.maximum(whole, (tile_bytes * 8 / (tile_k * shape.w_bits)).astype(np.int64) // whole * whole)
    columns = -(-n // reductions)
    stretch = -(-columns // whole) * whole
    return np.minimum(np.minimum(tile_n, stretch), -(-n // quantum) * quantum), tile_k
