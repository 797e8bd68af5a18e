"""Stages of fused attention, from the very units and key blocks that lowering gives to the cores."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.hw_models.compute.vector.cycle import operations_of
from cairn.hw_models.noc.spec import NocTopology
from cairn.sim.mapping.attention_job import SCORE_BYTES, STREAMED
from cairn.sim.mapping.attention_work import Units, Visits, count_up, decoding, place_keys, plan_visits, share_units
from cairn.sim.mapping.different import different
from cairn.sim.mapping.grid import Grid
from cairn.sim.twin.machine import Machine
from cairn.sim.twin.stage import Counts, Stage
from cairn.sim.twin.traffic import busiest, loads_of, moved
from cairn.workloads.graph import Attention, Block, Operator, Role

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shared:
    """How an attention is shared on so many cores with tiles of so many keys: visits, and what each of them is."""

    units: Units
    visits: Visits
    rows: IntArray
    """Query rows of each visit that see any of its keys."""
    keys: IntArray
    away: npt.NDArray[np.bool_]
    """Whether the keys of a visit come from another core's channel."""
    rank: IntArray
    home: IntArray
    kept: IntArray
    """New keys kept on each core's channel, (cores,)."""
    query_rows: IntArray
    """Most query rows of a unit, over the ranks."""


def shared(attention: Attention, cores: int, quantum: int, tile: int) -> Shared:
    """The units and visits of lowering."""
    units = share_units(attention, cores, quantum)
    blocks = place_keys(attention, units, tile)
    visits = plan_visits(units, blocks, decoding(attention))
    unit = visits.unit
    q0 = units.q0[unit]
    if attention.causal:
        cached = np.array([r.cached for r in attention.requests])
        q0 = np.maximum(q0, visits.n0 - cached[units.request[unit]])
    rows = np.maximum(0, units.q1[unit] - np.minimum(q0, units.q1[unit]))
    rank, home = units.rank[unit], blocks.home[visits.block]
    fresh = np.array([r.cached for r in attention.requests])[blocks.request]
    new = np.maximum(0, blocks.s1 - np.maximum(blocks.s0, fresh)).astype(np.float64)
    kept = np.bincount(blocks.home, weights=new, minlength=cores).astype(np.int64)
    return Shared(units, visits, rows, visits.n1 - visits.n0, rank != home, rank, home, kept, units.q1 - units.q0)


@lru_cache(maxsize=4096)
def most_rows(attention: Attention, cores: int, quantum: int) -> int:
    """Most query rows of a unit."""
    units = share_units(attention, cores, quantum)
    return int((units.q1 - units.q0).max())


@dataclass(frozen=True)
class Load:
    """What a shared attention asks of the busiest core and of the network, caches having `width` bytes a key."""

    sizes: IntArray
    """(tiles, 2): rows and keys of the different tiles of the core with the most multiply-accumulates."""
    times: IntArray
    """(tiles,): how many it has of each."""
    first: float
    """Scores of its first tile."""
    scores: float
    """Scores of all its tiles."""
    pairs: float
    """Scores of all cores."""
    read_most: float
    """Most bytes of keys and values from one channel."""
    written_most: float
    """Most bytes of new keys and values into one channel; none in decoding, which uses them from SRAM."""
    read: float
    inward: float
    """Bytes of keys and values that come from another core's channel."""
    crossing: float
    """Most bytes over one link or port."""


@lru_cache(maxsize=4096)
def load_of(
    attention: Attention, topology: NocTopology, grid: Grid, quantum: int, tile: int, width: float
) -> Load:  # fmt: skip
    s = shared(attention, grid.size, quantum, tile)
    rows, size = s.rows * (attention.heads // attention.kv_heads), (s.keys * width).astype(np.float64)
    mine = s.rank == np.argmax(np.bincount(s.rank, weights=(s.rows * s.keys).astype(np.float64)))
    tiles = np.stack([rows[mine], s.keys[mine]], axis=1)
    sizes, times = np.unique(tiles, axis=0, return_counts=True)
    read = np.bincount(s.home, weights=size, minlength=grid.size)
    carried = moved(s.home[s.away], s.rank[s.away], size[s.away], grid.size)
    return Load(
        sizes, times, float(tiles[0].prod()), float(tiles.prod(axis=1).sum()), float((rows * s.keys).sum()),
        float(read.max()), 0.0 if decoding(attention) else float(s.kept.max() * width), float(read.sum()),
        float(size[s.away].sum()), busiest(loads_of(topology, grid, carried)),
    )  # fmt: skip


def attention_stage(machine: Machine, block: Block, operator: Operator, stream_bytes: Any) -> Stage:
    """A fused attention, `stream_bytes` (designs,) of SRAM being there for keys and values."""
    attention = operator.attention
    if attention is None:
        raise ValueError(f"operator {operator.name} has no attention parameters")
    caches = [block.tensor(name) for name in operator.inputs if block.tensor(name).role is Role.KV]
    x = block.tensor(operator.inputs[0])
    columns = machine.array(machine.chip.matrix_unit.columns).astype(np.int64)
    tile = _tile_keys(machine, attention, caches[0].bits, columns, stream_bytes)
    index, first = different(columns, tile)
    width = sum(tensor.columns * tensor.bits / 8 for tensor in caches)
    loads = tuple(
        load_of(attention, machine.topology, machine.grid, quantum, keys, width)
        for quantum, keys in zip(columns[first].tolist(), tile[first].tolist(), strict=True)
    )
    return _Work(machine, attention, loads, index, caches, width).stage(operator.name, x.bits)


def _tile_keys(
    machine: Machine, attention: Attention, bits: float, columns: IntArray, stream_bytes: Any
) -> IntArray:
    """Keys of a tile, as lowering takes them."""
    rows = most_rows(attention, machine.cores, int(columns.max())) * (attention.heads // attention.kv_heads)
    sram = machine.array(machine.sram_bytes)
    row = -(-attention.head_dim * bits // 8)
    by_scores = sram // 8 // (rows * SCORE_BYTES)
    by_bytes = np.minimum(machine.tile_bytes(stream_bytes), stream_bytes // STREAMED) // row
    keys = np.minimum(by_bytes, by_scores).astype(np.int64)
    whole: IntArray = np.maximum(columns, keys // columns * columns)
    return whole


@dataclass(frozen=True)
class _Work:
    machine: Machine
    attention: Attention
    loads: tuple[Load, ...]
    index: IntArray
    """(designs,): which of the loads a design has."""
    caches: list[Any]
    width: float

    def _of(self, name: str) -> FloatArray:
        """A number of the loads, for each design."""
        return np.array([getattr(load, name) for load in self.loads], dtype=np.float64)[self.index]

    def stage(self, name: str, x_bits: float) -> Stage:
        machine, attention = self.machine, self.attention
        matrix, vector, touched = self._tiles(x_bits)
        tokens = sum(r.new for r in attention.requests)
        across = self._of("crossing") / machine.link
        queries = tokens * (attention.heads * attention.head_dim * x_bits / 8) / machine.cores
        appended = tokens * attention.kv_heads * self.width / machine.cores
        lead = machine.scatter_cycles((queries + appended) * machine.cores)
        written = self._of("written_most")  # new keys are written before they are read
        elements = tokens * (attention.heads + attention.kv_heads) * attention.head_dim / machine.cores
        lead = lead + machine.vector_cycles(elements, "rope")
        first = machine.vector_cycles(self._of("first"), "softmax_online")
        work = np.maximum(np.maximum(matrix, vector), across) + first
        done = tokens * attention.heads * attention.value_dim
        tail = machine.vector_cycles(done / machine.cores, "divide")
        pairs = self._of("pairs")
        macs = pairs * (attention.head_dim + attention.value_dim)
        operations = pairs * operations_of("softmax_online") + done + elements * machine.cores * operations_of("rope")
        sent = (queries + appended) * machine.cores + self._of("inward")
        dram = self._of("read") + appended * machine.cores
        sram = touched * pairs / np.maximum(1.0, self._of("scores")) + pairs * 2 * SCORE_BYTES + 2 * sent + dram
        counts = Counts(macs, operations, sram, sent, dram)
        return Stage(name, lead, work, tail, self._of("read_most"), counts, written)

    def _tiles(self, x_bits: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Cycles of the matrix and of the vector unit for all tiles of the busiest core, and the bytes that the former
        moves from and to SRAM; arrays (designs,).
        """
        attention = self.attention
        count = np.array([len(load.times) for load in self.loads])
        begin = np.cumsum(count) - count
        design = np.repeat(np.arange(self.index.size), count[self.index])  # one entry for each tile of each design
        tile = np.repeat(begin[self.index], count[self.index]) + count_up(design)
        rows, keys = np.concatenate([load.sizes for load in self.loads])[tile].T
        each = self.machine.at(design)
        key_bits, value_bits = self.caches[0].bits, self.caches[-1].bits
        score_bits, context_bits = (x_bits, key_bits, 8.0 * SCORE_BYTES), (8.0 * SCORE_BYTES, value_bits, 32.0)
        scores = each.chip.matrix_cycles(rows, keys, attention.head_dim, *score_bits)
        context = each.chip.matrix_cycles(rows, attention.value_dim, keys, *context_bits)
        touched = each.matrix_bytes(rows, keys, attention.head_dim, score_bits)
        touched = touched + each.matrix_bytes(rows, attention.value_dim, keys, context_bits)
        matrix, vector = scores + context + 2 * each.issue_cycles, each.vector_cycles(rows * keys, "softmax_online")
        times = np.concatenate([load.times for load in self.loads])[tile]
        return tuple(np.bincount(design, times * value) for value in (matrix, vector, touched))  # type: ignore[return-value]
