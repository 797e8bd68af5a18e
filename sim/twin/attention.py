"""Stages of fused attention, from the very units and key blocks that lowering gives to the cores."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.hw_models.compute.vector.cycle import operations_of
from cairn.hw_models.noc.spec import NocTopology
from cairn.sim.mapping.attention_job import SCORE_BYTES, STREAMED
from cairn.sim.mapping.attention_work import count_up, decoding, share_units
from cairn.sim.mapping.different import different
from cairn.sim.mapping.grid import Grid
from cairn.sim.twin.heads import AtHomes, OnUnits
from cairn.sim.twin.layout import Layout, Several
from cairn.sim.twin.machine import Machine
from cairn.sim.twin.places import Layouts
from cairn.sim.twin.shared import shared
from cairn.sim.twin.stage import Counts, Stage
from cairn.sim.twin.traffic import Ports, busiest, loads_of, moved
from cairn.workloads.graph import Attention, Block, Operator, Role

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@lru_cache(maxsize=4096)
def most_rows(attention: Attention, cores: int, quantum: int) -> int:
    """Most query rows of a unit."""
    units = share_units(attention, cores, quantum)
    return int((units.q1 - units.q0).max())


MANY_KEYS: Final = 1 << 40
"""Keys of a tile that holds all keys of a unit."""


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
    asked_first: float
    """Most bytes of them that one channel is asked for by the first step of the cores."""
    written_most: float
    """Most bytes of new keys and values into one channel; none in decoding, which uses them from SRAM."""
    read: float
    inward: float
    """Bytes of keys and values that come from another core's channel."""
    crossing: float
    """Most bytes over one link or port."""
    parts: int
    """Most parts that the keys of a pair are cut into."""
    rows: int
    """Most query rows of a unit."""
    pairs_of_busiest: int
    """Pairs of the core with the most multiply-accumulates."""
    space: float
    """Bytes of the stream buffer for the tiles of all steps: all cores give a step as many as the largest tile has."""


@lru_cache(maxsize=4096)
def load_of(
    attention: Attention, topology: NocTopology, grid: Grid, quantum: int, tile: int, width: float, ports: Ports
) -> Load:  # fmt: skip
    s = shared(attention, grid.size, quantum, tile)
    rows, size = s.rows * (attention.heads // attention.kv_heads), (s.keys * width).astype(np.float64)
    mine = s.rank == np.argmax(np.bincount(s.rank, weights=(s.rows * s.keys).astype(np.float64)))
    tiles = np.stack([rows[mine], s.keys[mine]], axis=1)
    sizes, times = np.unique(tiles, axis=0, return_counts=True)
    begins = s.visits.step == 0
    read, asked = (np.bincount(s.home, weights=each, minlength=grid.size) for each in (size, size * begins))
    carried = moved(s.home[s.away], s.rank[s.away], size[s.away], grid.size)
    return Load(
        sizes, times, float(tiles[0].prod()), float(tiles.prod(axis=1).sum()), float((rows * s.keys).sum()),
        float(read.max()), float(asked.max()), 0.0 if decoding(attention) else float(s.kept.max() * width),
        float(read.sum()), float(size[s.away].sum()), busiest(loads_of(topology, grid, carried, ports)),
        int(s.units.parts.max(initial=1)), int(s.query_rows.max()),
        int(np.unique(s.units.pair[s.visits.unit[mine]]).size), s.most_keys * width,
    )  # fmt: skip


def attention_stage(machine: Machine, block: Block, operator: Operator, stream_bytes: Any, x: Layouts) -> Stage:
    """A fused attention: `stream_bytes` (designs,) of SRAM are there for keys and values, `x` says how queries lie."""
    attention = operator.attention
    if attention is None:
        raise ValueError(f"operator {operator.name} has no attention parameters")
    caches = [block.tensor(name) for name in operator.inputs if block.tensor(name).role is Role.KV]
    queries = block.tensor(operator.inputs[0])
    columns = machine.array(machine.chip.mac.columns).astype(np.int64)
    tile = _tile_keys(machine, attention, caches[0].bits, columns, stream_bytes)
    widths, ports = machine.ports
    index, first = different(columns, tile, widths)
    width = sum(tensor.columns * tensor.bits / 8 for tensor in caches)
    loads = tuple(
        load_of(attention, machine.topology, machine.grid, quantum, keys, width, ports[kind])
        for quantum, keys, kind in zip(*(column[first].tolist() for column in (columns, tile, widths)), strict=True)
    )
    return Work(machine, attention, loads, index, caches, width, columns, tile, x).stage(operator.name, queries.bits)


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
class Work:
    machine: Machine
    attention: Attention
    loads: tuple[Load, ...]
    index: IntArray
    """(designs,): which of the loads a design has."""
    caches: list[Any]
    width: float
    quantum: IntArray
    tile: IntArray
    """(designs,): columns of the matrix unit, at whose multiples keys are cut, and keys of a tile."""
    x: Layouts

    def _of(self, name: str) -> FloatArray:
        """A number of the loads, for each design."""
        return np.array([getattr(load, name) for load in self.loads], dtype=np.float64)[self.index]

    def stage(self, name: str, x_bits: float) -> Stage:
        machine, attention = self.machine, self.attention
        matrix, vector, touched = self._tiles(x_bits)
        tokens = sum(r.new for r in attention.requests)
        across = self._of("crossing") / machine.link
        appended = tokens * attention.kv_heads * self.width
        lead, append, brought = self.bring(x_bits)
        share = 1 - 1 / self.x.stretches(machine)
        lead, early = lead * (1 - share), lead * share
        written = self._of("written_most")  # new keys are written before they are read
        elements = tokens * (attention.heads + attention.kv_heads) * attention.head_dim / machine.cores
        lead = lead + machine.vector_cycles(elements, "rope")
        first = machine.vector_cycles(self._of("first"), "softmax_online")
        decode = decoding(attention)
        if not decode:  # keys are stored before they are read
            lead, early = lead + append * (1 - share), early + append * share
        work = np.maximum(np.maximum(matrix, vector), across + append * decode) + first
        done = tokens * attention.heads * attention.value_dim
        tail = self.join() + machine.vector_cycles(done / machine.cores, "divide") + machine.barrier_cycles
        pairs = self._of("pairs")
        macs = pairs * (attention.head_dim + attention.value_dim)
        operations = pairs * operations_of("softmax_online") + done + elements * machine.cores * operations_of("rope")
        sent = brought + self._of("inward")
        dram = self._of("read") + appended
        sram = touched * pairs / np.maximum(1.0, self._of("scores")) + pairs * 2 * SCORE_BYTES + 2 * sent + dram
        counts = Counts(macs, operations, sram, sent, dram)
        return Stage(
            name, lead, work, tail, self._of("read_most"), counts, written, early, space_bytes=self._of("space"),
            storing=append * (not decode), chased_bytes=self._of("asked_first") + self._of("space"),
        )

    def bring(self, x_bits: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Cycles in which queries come to their units, then new keys and values to the homes of their blocks, and the
        bytes that move.
        """
        machine, attention = self.machine, self.attention
        keys = attention.heads * attention.head_dim
        values = keys + attention.kv_heads * attention.head_dim
        tokens = sum(r.new for r in attention.requests)

        def to_units(design: int) -> Layout:
            return OnUnits(attention, int(self.quantum[design]), attention.head_dim, False)

        # in decoding, new rows go to the units that look at them, whatever the tiles
        tiles = np.full(machine.designs, MANY_KEYS) if decoding(attention) else self.tile

        def to_homes(design: int) -> Layout:
            quantum, tile = int(self.quantum[design]), int(tiles[design])
            return Several((
                AtHomes(attention, quantum, tile, keys, attention.head_dim),
                AtHomes(attention, quantum, tile, values, attention.value_dim),
            ))  # fmt: skip

        queries = self.x.moves(machine, x_bits, to_units, self.quantum)
        bring, sent = machine.batch_cycles(queries), queries.sent
        bring = np.where(self.x.known, bring, machine.scatter_cycles(tokens * keys * x_bits / 8))
        append = np.zeros(machine.designs)
        if not attention.latent:
            fresh = self.x.moves(machine, x_bits, to_homes, self.quantum, tiles)
            append, sent = machine.batch_cycles(fresh), sent + fresh.sent
        return machine.array(bring), machine.array(append), sent

    def join(self) -> Any:
        """Cycles in which partial results of pairs whose keys were cut are joined in a tree, in 32 bits with their
        maximum and sum."""
        machine, attention = self.machine, self.attention
        parts, rows = self._of("parts"), self._of("rows") * (attention.heads // attention.kv_heads)
        size = rows * (attention.value_dim + 2) * 4
        step = machine.message_cycles(size) + machine.vector_cycles(2 * rows * attention.value_dim, "rescale")
        return np.ceil(np.log2(parts)) * step

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
