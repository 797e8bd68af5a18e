"""What a matrix product costs in each split over the cores: closed forms that rank splits, for one chip or many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.noc.spec import NocTopology
from cairn.sim.mapping import cost_layout as at
from cairn.sim.mapping.by_tables import ByTables
from cairn.sim.mapping.cost_kernel import split_costs, with_stream
from cairn.sim.mapping.dram_rate import dram_bytes_per_cycle
from cairn.sim.mapping.grid import Grid, Split, all_splits
from cairn.sim.mapping.options import MappingSpec, Paradigm, Placement

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Floats = FloatArray | float
Ints = IntArray | int

STREAM_TILES: Final = 4
"""Tiles that the stream buffer holds at least: two in use (one computed, one passed on) and two on their way."""


def aimed_tile_bytes(sram_bytes: Ints, options: MappingSpec) -> Ints:
    """Size that streamed tiles aim at on cores of so much SRAM."""
    return np.minimum(options.tile_kib * 1024, sram_bytes // (2 * STREAM_TILES))


@dataclass(frozen=True)
class MatmulShape:
    """y[m, n] = x[m, k] w[k, n], with the bits of an element of x, w and of a partial sum."""

    m: int
    n: int
    k: int
    x_bits: float
    w_bits: float
    partial_bits: float
    quantum: int = 1
    """Columns of y that must stay together (gate and up)."""
    tables: ByTables | None = None
    """How a LUT unit does the product; None where the matrix unit does it."""

    @property
    def k_quantum(self) -> int:
        """Elements along k that stay together: a group of a LUT unit."""
        return 1 if self.tables is None else self.tables.group

    def depth(self, parts: Any) -> Any:
        """Elements along k of the largest of so many parts, whole groups where possible."""
        units = -(-self.k // self.k_quantum)
        return np.minimum(-(-units // parts) * self.k_quantum, self.k)


@dataclass(frozen=True)
class CoreRates:
    """What a core has for a mapping decision: bytes a cycle of its channel and link, cycles of a hop and a start.

    Numbers of one chip, or arrays (chips,) of several that have the same grid and topology. `cycles` answers
    (units, sizes) for the different matrix units among them, or (sizes,) where there is one; `unit` says which of them
    a chip has, a number or (chips,). Cycles and columns are those of the unit that does the product.
    """

    dram_bytes_per_cycle: Floats
    link_bytes_per_cycle: Floats
    hop_cycles: Floats
    start_cycles: Floats
    sram_bytes: Ints
    tile_bytes: Ints
    all_to_all: bool
    cycles: Callable[[MatmulShape, npt.ArrayLike, npt.ArrayLike, npt.ArrayLike], IntArray]
    unit: Ints
    columns: Callable[[MatmulShape], Ints]
    vector_lanes: Ints
    packet_cycles: Floats

    @classmethod
    def of(
        cls, chip: ChipSpec, grid: Grid, options: MappingSpec, units: ChipSpec | None = None, unit: Ints = 0
    ) -> CoreRates:
        """`units` are chips (units, 1) with the different matrix units of `chip`; none where there is one chip."""
        sram = chip.sram.capacity_kib * 1024
        tile = aimed_tile_bytes(sram, options)
        of_unit = units or chip
        return cls(
            dram_bytes_per_cycle=dram_bytes_per_cycle(chip, options, tile),
            link_bytes_per_cycle=chip.noc.link_bytes_per_cycle,
            hop_cycles=chip.noc.hop_cycles,
            start_cycles=chip.noc.start,
            sram_bytes=sram,
            tile_bytes=tile,
            all_to_all=chip.noc.ranked_as is NocTopology.ALL_TO_ALL,
            cycles=lambda shape, m, n, k: _cycles(of_unit, shape, m, n, k),
            unit=unit,
            columns=lambda shape: chip.mac.columns if shape.tables is None else shape.tables.columns,
            vector_lanes=chip.vector_unit.lanes,
            packet_cycles=chip.noc.max_packet_bytes / chip.noc.link_bytes_per_cycle,
        )

    def table(self, shape: MatmulShape) -> FloatArray:
        """(chips, columns of `cost_layout`): what the costs of splits depend on, beside cycles and the channel."""
        columns: list[Floats | Ints] = [0.0] * at.CHIP_COLUMNS
        columns[at.SRAM] = self.sram_bytes
        columns[at.BUDGET] = self.sram_bytes - STREAM_TILES * self.tile_bytes
        columns[at.LINK] = self.link_bytes_per_cycle
        columns[at.HOP] = self.hop_cycles
        columns[at.START] = self.start_cycles
        columns[at.LANES] = self.vector_lanes
        columns[at.ARRAY] = self.columns(shape)
        columns[at.PACKET] = self.packet_cycles
        wide = np.broadcast_arrays(np.atleast_1d(self.unit), *columns)[1:]
        return np.stack(wide, axis=1).astype(np.float64)


def _cycles(chip: ChipSpec, shape: MatmulShape, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike) -> IntArray:
    """Cycles of blocks of a product on the unit that does it, whose SRAM ports feed operands of the product's bits."""
    bits = shape.x_bits, shape.w_bits, shape.partial_bits
    return chip.matrix_cycles(m, n, k, *bits, weights=shape.tables is not None)


@dataclass(frozen=True)
class Product:
    """A product on several chips: its splits, those that cost alike together, and what the kernels ask of each.

    Splits of equal group sizes whose rings have equal strides cost the same, but for bringing x.
    """

    shape: MatmulShape
    splits: tuple[Split, ...]
    alike: IntArray
    """(splits,): the row of a split in `sizes`."""
    fits: BoolArray
    """(splits,): whether no dimension has more parts than elements; all where that is so of none."""
    sizes: FloatArray
    """(rows, columns of `cost_layout`)"""
    chips: FloatArray
    """(chips, columns of `cost_layout`)"""
    unit: IntArray
    """(chips,): row of a chip in `cycles`."""
    cycles: FloatArray
    """(units, rows of `sizes`): cycles of a core's block on the unit that does it."""

    @classmethod
    def of(cls, shape: MatmulShape, rates: CoreRates, grid: Grid, options: MappingSpec) -> Product:
        """The product on the chips of `rates`, in all splits of their grid."""
        splits = all_splits(grid.rows, grid.columns)
        spread_out = options.paradigm is Paradigm.SPMD and not rates.all_to_all
        layout = _layout(grid.rows, grid.columns, options.placement, options.weight_sharers, spread_out)
        sizes = np.concatenate([np.empty((len(layout.groups), at.GM)), layout.groups], axis=1)
        m, n = (np.ceil(size / layout.groups[:, i]) for i, size in enumerate((shape.m, shape.n)))
        sizes[:, at.M], sizes[:, at.N], sizes[:, at.K] = m, n, shape.depth(layout.groups[:, 2])
        parts = layout.groups[layout.alike][:, :3]
        most = shape.m, max(1, shape.n // shape.quantum), -(-shape.k // shape.k_quantum)
        fits = np.asarray((parts <= most).all(axis=1))
        if not fits.any():
            fits = np.ones(fits.size, dtype=np.bool_)
        blocks, row = np.unique(sizes[:, :3].astype(np.int64), axis=0, return_inverse=True)
        cycles = np.atleast_2d(rates.cycles(shape, *blocks.T))[:, np.ravel(row)].astype(np.float64)
        unit = np.atleast_1d(np.asarray(rates.unit, dtype=np.int64))
        return cls(shape, splits, layout.alike, fits, sizes, rates.table(shape), unit, cycles)

    @property
    def elements(self) -> tuple[float, float, float, float, float]:
        """What an element of the product takes, as `cost_kernel` asks for it."""
        shape = self.shape
        held, adds = (shape.x_bits, 0.0) if shape.tables is None else (shape.tables.held_bits, shape.tables.adds)
        return float(shape.x_bits), float(shape.w_bits), float(shape.partial_bits), float(held), float(adds)

    def costs(self, chip: IntArray, split: IntArray) -> FloatArray:
        """(n, COST_COLUMNS of `cost_layout`) of n pairs of a chip and a split."""
        return split_costs(self.alike[split], chip, self.sizes, self.chips, self.unit, self.cycles, self.elements)


@dataclass(frozen=True)
class _Layout:
    alike: IntArray
    groups: FloatArray
    """(rows, columns of `cost_layout` from GM on)"""


@lru_cache(maxsize=64)
def _layout(rows: int, columns: int, placement: Placement, limit: int | None, spread_out: bool) -> _Layout:
    """What the splits of a grid cost depends on, and which of them are alike in it.

    A ring over stride s loads each link s times; where operands are `spread_out` by unicasts, P members of a line load
    its middle link P/4 times as much as a ring does.
    """
    factors = _factors(rows, columns)
    gm, gn, gk = factors[:, 0] * factors[:, 1], factors[:, 2] * factors[:, 3], factors[:, 4] * factors[:, 5]
    shared = sharers_of(gm, limit)
    strides = ring_strides(rows, columns, placement)
    busy = [
        np.maximum(1.0, strides[name] * (np.maximum(1.0, size / 4) if spread_out else 1.0))
        for name, size in (("n", gn), ("m", shared), ("k", gk))
    ]
    table = np.stack([gm, gn, gk, shared, *(strides[name] for name in "nmk"), *busy], axis=1)
    groups, alike = np.unique(table, axis=0, return_inverse=True)
    return _Layout(np.ravel(alike).astype(np.int64), groups)


@dataclass(frozen=True)
class MatmulCost:
    """What splits cost, arrays (n,): cycles of the resources of the busiest core, and in all.

    `total` is infinite where the blocks do not fit the SRAM.
    """

    compute: FloatArray
    dram: FloatArray
    network: FloatArray
    total: FloatArray
    act_bytes: FloatArray
    passes: IntArray
    reductions: IntArray


def matmul_costs(
    product: Product, chip: IntArray, split: IntArray, load: FloatArray, dram_bytes_per_cycle: Floats
) -> MatmulCost:
    """Costs of n splits of a product, each on one of its chips; arrays (n,).

    `load` says how many times the part of x that a core begins with passes the most loaded link while x is brought from
    where it was made (`arrangement`).
    """
    costs = product.costs(chip, split)
    rate = np.broadcast_to(np.asarray(dram_bytes_per_cycle, dtype=np.float64), load.shape)
    total, cut = with_stream(costs, load, rate)
    stretches = np.array(at.FINER_STRETCHES)[cut] * costs[:, at.STRETCHES]
    return MatmulCost(
        costs[:, at.COMPUTE], costs[:, at.BYTES] / rate, costs[:, at.NETWORK], total,
        costs[:, at.ACT], costs[:, at.PASSES].astype(np.int64), stretches.astype(np.int64),
    )  # fmt: skip


def sharers_of(gm: FloatArray, limit: int | None) -> FloatArray:
    """Cores that pass a weight block round: all of the m group, or its largest divisor within `limit`."""
    if limit is None:
        return gm
    return np.array([max(d for d in range(1, int(g) + 1) if g % d == 0 and d <= limit) for g in gm], dtype=np.float64)


def _strides(factors: FloatArray, placement: Placement, gn: FloatArray, gk: FloatArray) -> dict[str, FloatArray]:
    """Hops between ring neighbours of each dimension (as `grid.ranks_of` lays them out)."""
    if placement is Placement.SEQUENTIAL:
        one = np.ones_like(gn)
        return {"n": gk, "k": one, "m": np.minimum(gn * gk, 16 * one)}
    m0, m1, n0, n1, k0, k1 = factors.T
    return {
        "n": np.ones_like(m0),
        "k": np.maximum(np.where(k0 > 1, n0, 1), np.where(k1 > 1, n1, 1)),
        "m": np.maximum(np.where(m0 > 1, n0 * k0, 1), np.where(m1 > 1, n1 * k1, 1)),
    }


@lru_cache(maxsize=64)
def ring_strides(rows: int, columns: int, placement: Placement) -> dict[str, FloatArray]:
    """Hops between ring neighbours of the m, n and k group of each split of a grid."""
    factors = _factors(rows, columns)
    return _strides(factors, placement, factors[:, 2] * factors[:, 3], factors[:, 4] * factors[:, 5])


def _factors(rows: int, columns: int) -> FloatArray:
    return np.array([[*s.m, *s.n, *s.k] for s in all_splits(rows, columns)], dtype=np.float64)


def elements_per_byte(bits: float) -> int:
    """The least number of elements that fills whole bytes: 1 for 8 and 16 bits, 4 for 2 bits, 5 for 1.6 bits."""
    exact = Fraction(bits).limit_denominator(1000) / 8
    return exact.denominator
