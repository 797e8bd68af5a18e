"""What a matrix product costs in each split over the cores: closed forms that rank splits, for one chip or many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from cairn.hw_models.chip import ChipSpec
from cairn.sim.mapping.grid import Grid, Split
from cairn.sim.mapping.options import MappingSpec, Paradigm, Placement

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Floats = FloatArray | float
Ints = IntArray | int

STREAM_TILES = 4
"""Tiles that the stream buffer holds at least: two in use (one computed, one passed on) and two on their way."""

PARTIAL_SHARE = 8
"""Partial sums of a stretch of columns take at most this part of the SRAM, twice (assumed)."""

FINER_STRETCHES = (1, 2, 4)
"""Times as many stretches as the SRAM asks for that are costed (assumed to be enough): what is left of the reduction
when the products end is one stretch, but every stretch pays the start of its transfers."""

WORTH = 0.05
"""Part of a product's cycles that cutting its columns finer must save (assumed: it costs simulation time as well).
Splits are compared as if the finest cut were made."""


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


@dataclass(frozen=True)
class MatmulCost:
    """Cycles of the resources for each candidate split, infinite in all where it does not fit; arrays (splits,) or
    (designs, splits).
    """

    compute: FloatArray
    dram: FloatArray
    network: FloatArray
    exposed: FloatArray
    total: FloatArray
    act_bytes: FloatArray
    passes: IntArray
    reductions: IntArray


@dataclass(frozen=True)
class CoreRates:
    """What a core has for a mapping decision: bytes a cycle of its channel and link, cycles of a hop and a start.

    Numbers of one chip, or arrays (designs, 1) of several that have the same grid and topology.
    """

    dram_bytes_per_cycle: Floats
    link_bytes_per_cycle: Floats
    hop_cycles: Floats
    start_cycles: Floats
    sram_bytes: Ints
    tile_bytes: Ints
    all_to_all: bool
    matrix_cycles: Callable[[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike], IntArray]
    columns_quantum: Ints
    vector_lanes: Ints
    packet_cycles: Floats

    @classmethod
    def of(cls, chip: ChipSpec, grid: Grid, options: MappingSpec) -> CoreRates:
        share = chip.dram.bandwidth_gb_per_s / chip.channels * np.minimum(1.0, chip.channels / chip.core_count)
        sram = chip.sram.capacity_kib * 1024
        return cls(
            dram_bytes_per_cycle=share / chip.clock_ghz,
            link_bytes_per_cycle=chip.noc.link_bytes_per_cycle,
            hop_cycles=chip.noc.hop_cycles,
            start_cycles=chip.noc.start,
            sram_bytes=sram,
            tile_bytes=np.minimum(options.tile_kib * 1024, sram // (2 * STREAM_TILES)),
            all_to_all=chip.noc.topology == "all_to_all",
            matrix_cycles=lambda m, n, k: chip.matrix_cycles(m, n, k),
            columns_quantum=chip.matrix_unit.columns,
            vector_lanes=chip.vector_unit.lanes,
            packet_cycles=chip.noc.max_packet_bytes / chip.noc.link_bytes_per_cycle,
        )


def matmul_costs(
    shape: MatmulShape, splits: tuple[Split, ...], rates: CoreRates, paradigm: Paradigm, placement: Placement,
    sharers_limit: int | None, arrange: FloatArray | float = 0.0,
) -> MatmulCost:  # fmt: skip
    """Closed-form cost of every split: the busiest core's compute, DRAM and network cycles.

    One chip (`rates` of numbers) gives arrays (splits,), several (of arrays (designs, 1)) give (designs, splits).

    Weights stream while the cores compute. Gathering x and reducing y come before and after the compute ("exposed") but
    not before and after the weight stream, which runs ahead. A ring over stride s loads each link s times; unicasts
    from each of P members of a line to all others load its middle link P/4 times as much as a ring does. `arrange`
    says, for each split, how many times the part of x that a core begins with passes the most loaded link while x is
    brought from where it was made (`arrangement`).
    """
    factors = np.array([[*s.m, *s.n, *s.k] for s in splits], dtype=np.float64)
    gm, gn, gk = factors[:, 0] * factors[:, 1], factors[:, 2] * factors[:, 3], factors[:, 4] * factors[:, 5]
    m, n, k = np.ceil(shape.m / gm), np.ceil(shape.n / gn), np.ceil(shape.k / gk)
    shared = sharers_of(gm, sharers_limit)
    x_bytes, w_bytes = m * k * shape.x_bits / 8, k * n * shape.w_bits / 8
    y_bytes = m * n * shape.partial_bits / 8
    budget = rates.sram_bytes - STREAM_TILES * rates.tile_bytes
    partial = np.where(gk > 1, 2 * np.minimum(y_bytes, rates.sram_bytes / PARTIAL_SHARE), 0.0)
    passes = np.clip(np.ceil((x_bytes + y_bytes / gk) / np.maximum(budget - partial, 1)), 1, np.maximum(m, 1))
    act = (x_bytes + y_bytes / gk) / passes + partial
    stretches = np.where(gk > 1, np.ceil(y_bytes / passes / (rates.sram_bytes / PARTIAL_SHARE)), 1.0)
    strides = _strides(factors, placement, gn, gk)
    spread = {g: _spread(size, paradigm, rates) for g, size in (("m", shared), ("n", gn), ("k", gk))}
    flows = {
        "n": x_bytes * (gn - 1) / gn,
        "m": w_bytes * (shared - 1) / shared * passes,
        "k": y_bytes * (gk - 1) / gk,
    }
    link = rates.link_bytes_per_cycle
    time = {g: flows[g] / link * np.maximum(1.0, strides[g] * spread[g]) for g in flows}
    step = {g: rates.start_cycles + rates.hop_cycles * strides[g] for g in flows}
    compute = rates.matrix_cycles(*(v.astype(np.int64) for v in (m, n, k))).astype(np.float64)
    dram = w_bytes / shared * passes / rates.dram_bytes_per_cycle
    network = (flows["n"] + flows["m"] + flows["k"]) / link
    gather = time["n"] + (gn - 1) * step["n"] + arrange * x_bytes / gn / link
    # a small message of the chain may find a packet of the weight ring on its link, half of it on average
    blocked = np.where(shared > 1, rates.packet_cycles / 2, 0)
    adding = m * n * (gk - 1) / gk / rates.vector_lanes

    def cycles(reductions: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Cycles in all, and those outside of the weight stream that nothing hides."""
        in_all = reductions * passes
        reducing = np.where(gk > 1, time["k"] + in_all * (gk - 1) * (step["k"] + blocked) + adding, 0)
        exposed = gather + reducing / in_all
        moving = np.maximum(np.maximum(time["m"], reducing), network)
        return _overlapped(dram, _overlapped(compute, moving) + exposed), exposed

    # more stretches than the SRAM asks for, with an array's columns in each, where that saves enough
    common = np.broadcast_shapes(stretches.shape, gather.shape, dram.shape, compute.shape)
    stretches = np.broadcast_to(stretches, common)
    finer = np.array(FINER_STRETCHES, dtype=np.float64).reshape(-1, *(1,) * stretches.ndim) * stretches
    possible = (gk > 1) & (finer * rates.columns_quantum <= n)
    possible[0] = True
    costs = [cycles(count) for count in finer]
    each = np.where(possible, [in_all for in_all, _ in costs], np.inf)
    total = each.min(axis=0)
    first = np.argmax(each <= (1 + WORTH) * total, axis=0)[None]
    reductions = np.take_along_axis(finer, first, axis=0)[0]
    exposed = np.take_along_axis(np.array([outside for _, outside in costs]), first, axis=0)[0]
    total = np.where(act > budget, np.inf, total)
    whole = [np.asarray(count, dtype=np.int64) for count in (passes, reductions)]
    return MatmulCost(compute, dram, network, exposed, total, act, *whole)


def _overlapped(a: FloatArray, b: FloatArray) -> FloatArray:
    """Time of two activities that overlap through buffers of a few tiles: a little over the longer one when both are
    about as long, because then each waits for the other in turn (assumed: the 4-norm)."""
    c, d = a * a, b * b
    return np.asarray(np.sqrt(np.sqrt(c * c + d * d)))


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


def ring_strides(splits: tuple[Split, ...], options: MappingSpec) -> dict[str, FloatArray]:
    """Hops between ring neighbours of the m, n and k group of each split."""
    factors = np.array([[*s.m, *s.n, *s.k] for s in splits], dtype=np.float64)
    gn, gk = factors[:, 2] * factors[:, 3], factors[:, 4] * factors[:, 5]
    return _strides(factors, options.placement, gn, gk)


def _spread(size: FloatArray, paradigm: Paradigm, rates: CoreRates) -> FloatArray:
    if paradigm is not Paradigm.SPMD or rates.all_to_all:
        return np.ones_like(size)
    return np.maximum(1.0, size / 4)


def elements_per_byte(bits: float) -> int:
    """The least number of elements that fills whole bytes: 1 for 8 and 16 bits, 4 for 2 bits, 5 for 1.6 bits."""
    exact = Fraction(bits).limit_denominator(1000) / 8
    return exact.denominator
