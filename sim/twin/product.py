"""Stages of matrix products: gathering x, tiles of weights against compute, partial sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.choose import NO_SPLIT, Choice, arrangement_loads
from cairn.sim.mapping.grid import split_sizes
from cairn.sim.mapping.matmul_cost import MatmulShape, ring_strides
from cairn.sim.twin.machine import Machine
from cairn.sim.twin.stage import Counts, Stage
from cairn.sim.twin.traffic import ring_loads

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def product_stage(name: str, machine: Machine, shape: MatmulShape, choice: Choice, before: IntArray) -> Stage:
    """A product as `choice` splits it; `before` (designs,) is the split that left x, NO_SPLIT where none did."""
    gm, gn, gk = split_sizes(machine.grid.rows, machine.grid.columns)[choice.split].T
    m, n, k = -(-shape.m // gm), -(-shape.n // gn), -(-shape.k // gk)
    rows = -(-m // choice.passes)
    hops = ring_strides(machine.grid.rows, machine.grid.columns, machine.options.placement)
    strides = {axis: stride[choice.split] for axis, stride in hops.items()}
    part = m * k * shape.x_bits / 8 / gn
    lead = _gather(machine, choice, before, part, gn, strides["n"])
    compute, touched = _tiles(machine, shape, choice, rows, n, k)
    weights = k * n * shape.w_bits / 8 * choice.passes
    relayed = weights * (choice.sharers - 1) / choice.sharers
    sums = rows * n * choice.passes * shape.partial_bits / 8 * (gk - 1) / gk
    stretch = _stretch(machine, shape, choice, rows, n, gk, strides["k"])
    reducing = stretch * choice.reductions * choice.passes
    crossing = _crossing(machine, choice, part * (gn - 1), relayed, sums) / machine.link
    work = np.maximum(np.maximum(compute, reducing), crossing - lead)
    copies = gm // choice.sharers
    moved = machine.cores * (part * (gn - 1) + sums + relayed)
    loaded = shape.n * shape.k * shape.w_bits / 8 * choice.passes * copies
    added = machine.cores * sums * 8 / shape.partial_bits
    counts = Counts(
        macs=float(shape.m) * shape.n * shape.k,
        vector_ops=added,
        sram_bytes=machine.cores * touched + loaded + 2 * moved + added * shape.partial_bits / 8 * 2,
        noc_bytes=moved,
        dram_bytes=loaded,
    )
    return Stage(name, lead, work, np.where(gk > 1, stretch, 0.0), weights / choice.sharers, counts)


def _crossing(
    machine: Machine, choice: Choice, gathered: FloatArray, relayed: FloatArray, sums: FloatArray
) -> FloatArray:
    """Bytes over the busiest link or port: those that a core sends on each of its three rings, where they meet."""
    result = np.zeros(machine.designs)
    pairs = np.stack([choice.split, choice.sharers], axis=1)
    for code, pick in _alike(pairs):
        loads = ring_loads(machine.topology, machine.grid, choice.splits[code[0]], code[1])
        sent = np.stack([gathered[pick], relayed[pick], sums[pick]], axis=1)
        result[pick] = (sent @ loads).max(axis=1)
    return result


def _alike(rows: IntArray) -> list[tuple[list[int], IntArray]]:
    """Different rows of a table, and where each of them stands."""
    different, index = np.unique(rows, axis=0, return_inverse=True)
    return [(row, np.nonzero(np.ravel(index) == number)[0]) for number, row in enumerate(different.tolist())]


def _gather(
    machine: Machine, choice: Choice, before: IntArray, part: FloatArray, gn: IntArray, stride: FloatArray
) -> FloatArray:
    """Cycles until every core has all of its block of x: brought from where it was made, then passed round a ring."""
    load = np.zeros(machine.designs)
    known = before != NO_SPLIT
    load[known] = arrangement_loads(
        machine.topology, machine.grid, choice.splits, before[known], choice.split[known]
    )
    across = (machine.grid.rows + machine.grid.columns) / 2
    bring = np.where(load > 0, machine.message_cycles(load * part, across), 0.0)
    bring = np.where(known, bring, machine.scatter_cycles(part * machine.cores))
    step = machine.message_cycles(part * np.maximum(1, stride), np.maximum(1, stride)) + machine.issue_cycles
    return machine.array(bring + (gn - 1) * step + np.where(gn > 1, gn * machine.chip.noc.hop_cycles, 0.0))


def _tiles(
    machine: Machine, shape: MatmulShape, choice: Choice, rows: IntArray, n: IntArray, k: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Cycles of the matrix unit for all weight tiles of a core, whole ones and what is left of each block; and the
    bytes that it moves from and to SRAM.
    """
    block_k = -(-k // choice.sharers)
    bits = shape.x_bits, shape.w_bits, shape.partial_bits
    cycles: Any = 0.0
    touched: Any = 0.0
    for width, columns in ((choice.tile_n, n // choice.tile_n), (n % choice.tile_n, (n % choice.tile_n > 0) * 1)):
        for depth, parts in (
            (choice.tile_k, block_k // choice.tile_k), (block_k % choice.tile_k, (block_k % choice.tile_k > 0) * 1)
        ):  # fmt: skip
            tiles = columns * parts * choice.sharers * choice.passes
            cycles = cycles + tiles * (machine.chip.matrix_cycles(rows, width, depth, *bits) + machine.issue_cycles)
            touched = touched + tiles * machine.matrix_bytes(rows, width, depth, bits)
    return machine.array(cycles), machine.array(touched)


def _stretch(
    machine: Machine, shape: MatmulShape, choice: Choice, rows: IntArray, n: IntArray, gk: IntArray, stride: FloatArray
) -> FloatArray:
    """Cycles in which the partial sums of one stretch of columns travel once round the ring, growing at each core."""
    elements = rows * n / gk / choice.reductions
    hops = np.maximum(1, stride)
    step = machine.message_cycles(elements * shape.partial_bits / 8 * hops, hops) + machine.issue_cycles
    step = step - machine.issue_cycles + machine.vector_cycles(elements, "reduce_add")
    return np.where(gk > 1, (gk - 1) * step + gk * machine.chip.noc.hop_cycles, 0.0)

