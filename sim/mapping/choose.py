"""Mapping choices: how a matrix product is split over the cores, as one vectorised pure function of plain numbers.

Lowering calls it with the one chip of a run, the analytical twin with many. Both therefore choose the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.base.errors import Infeasibility, InfeasibleError
from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.noc.spec import NocTopology
from cairn.sim.mapping.arrangement import arrangement_load
from cairn.sim.mapping.grid import Grid, Split, all_splits
from cairn.sim.mapping.matmul_cost import (
    STREAM_TILES,
    CoreRates,
    MatmulCost,
    MatmulShape,
    elements_per_byte,
    matmul_costs,
    sharers_of,
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


def choose_splits(
    shape: MatmulShape, rates: CoreRates, grid: Grid, topology: NocTopology, options: MappingSpec,
    before: IntArray | None = None,
) -> Choice:  # fmt: skip
    """The split of least closed-form cost for each design of `rates` (arrays (designs, 1), or numbers for one design).

    `before` (designs,) is the split, as a place in `all_splits` of the grid, in which another product left x; NO_SPLIT
    where none did.
    """
    splits, fits = _candidates(shape.m, max(1, shape.n // shape.quantum), shape.k, grid.rows, grid.columns)

    def costs(arrange: FloatArray | float) -> MatmulCost:
        return matmul_costs(shape, splits, rates, options.paradigm, options.placement, options.core_group, arrange)

    cost = costs(0.0)
    total = np.atleast_2d(cost.total)
    total = np.where(fits, total, np.inf)
    if before is not None and options.paradigm is not Paradigm.SPMD and bool(np.any(before != NO_SPLIT)):
        cost = costs(_loads(total, costs, splits, before, grid, topology))
        total = np.where(fits, np.atleast_2d(cost.total), np.inf)
    best = np.argmin(total, axis=1)
    row = np.arange(best.size)
    feasible = np.isfinite(total[row, best])
    best = np.where(feasible, best, np.argmin(np.where(fits, np.atleast_2d(cost.act_bytes), np.inf), axis=1))
    gm, gn, gk = np.array([split.sizes for split in splits], dtype=np.int64)[best].T
    sharers = sharers_of(gm.astype(np.float64), options.core_group).astype(np.int64)

    def of(values: Any) -> Any:
        return np.broadcast_to(np.atleast_2d(values), total.shape)[row, best]

    reductions = of(cost.reductions)
    tile_n, tile_k = tile_shape(shape, -(-shape.n // gn), -(-shape.k // gk), sharers, reductions, rates)
    return Choice(
        splits, best, feasible, sharers, of(cost.passes), reductions, tile_n, tile_k, total[row, best],
        of(cost.compute), of(cost.dram), of(cost.network), of(cost.act_bytes),
    )  # fmt: skip


def _loads(
    total: FloatArray, costs: Any, splits: tuple[Split, ...], before: IntArray, grid: Grid, topology: NocTopology
) -> FloatArray:
    """How often x passes the busiest link on its way into each split's layout, where that may decide.

    Bringing x only adds to a split's cost: one that costs more without it than the best one with it needs no load.
    """
    row = np.arange(before.size)
    loads = np.zeros(total.shape)
    first = np.argmin(total, axis=1)
    known = np.nonzero(before != NO_SPLIT)[0]
    loads[known, first[known]] = arrangement_loads(topology, grid, splits, before[known], first[known])
    bound = np.broadcast_to(np.atleast_2d(costs(loads).total), total.shape)[row, first]
    needed = (total <= bound[:, None]) & (before != NO_SPLIT)[:, None]
    design, split = np.nonzero(needed)
    loads[design, split] = arrangement_loads(topology, grid, splits, before[design], split)
    return loads


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
    choice = choose_splits(shape, rates, grid, chip.noc.topology, options, earlier)
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


@lru_cache(maxsize=1024)
def _candidates(
    m: int, columns: int, k: int, rows: int, across: int
) -> tuple[tuple[Split, ...], npt.NDArray[np.bool_]]:
    """All splits, and which give no dimension more parts than it has elements; all of them where none does."""
    splits = all_splits(rows, across)
    sizes = np.array([split.sizes for split in splits])
    fits = np.asarray((sizes <= (m, columns, k)).all(axis=1))
    return splits, fits if bool(fits.any()) else np.ones(fits.size, dtype=bool)


def tile_shape(
    shape: MatmulShape, n: Any, k: Any, sharers: Any, reductions: Any, rates: CoreRates
) -> tuple[IntArray, IntArray]:
    """Columns and reduction length of the weight tiles that stream, (designs,): about `tile_bytes`, whole array columns
    if possible, and no wider than one of the `reductions` stretches of columns.
    """
    tile_bytes, array_columns = np.ravel(rates.tile_bytes), np.ravel(rates.columns_quantum)
    block_k = -(-k // sharers)
    quantum = np.lcm(shape.quantum, elements_per_byte(shape.w_bits))
    whole = np.lcm(array_columns, quantum)
    column_bytes = whole * shape.w_bits / 8
    pieces = np.maximum(1, np.ceil(block_k * column_bytes / tile_bytes)).astype(np.int64)
    tile_k = np.maximum(1, -(-block_k // pieces))
    tile_n = np.maximum(whole, (tile_bytes * 8 / (tile_k * shape.w_bits)).astype(np.int64) // whole * whole)
    columns = -(-n // reductions)
    stretch = -(-columns // whole) * whole
    return np.minimum(np.minimum(tile_n, stretch), -(-n // quantum) * quantum), tile_k
