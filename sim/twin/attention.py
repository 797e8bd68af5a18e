"""Stages of fused attention, from the very units and key blocks that lowering gives to the cores."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.hw_models.compute.vector.cycle import operations_of
from cairn.sim.mapping.attention_job import SCORE_BYTES, STREAMED
from cairn.sim.mapping.attention_work import Units, Visits, decoding, place_keys, plan_visits, share_units
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
    query_rows: IntArray
    """Most query rows of a unit, over the ranks."""


@lru_cache(maxsize=4096)
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
    return Shared(units, visits, rows, visits.n1 - visits.n0, rank != home, rank, home, units.q1 - units.q0)


def attention_stage(machine: Machine, block: Block, operator: Operator, stream_bytes: Any) -> Stage:
    """A fused attention, `stream_bytes` (designs,) of SRAM being there for keys and values."""
    attention = operator.attention
    if attention is None:
        raise ValueError(f"operator {operator.name} has no attention parameters")
    caches = [block.tensor(name) for name in operator.inputs if block.tensor(name).role is Role.KV]
    x = block.tensor(operator.inputs[0])
    group = attention.heads // attention.kv_heads
    columns = machine.array(machine.chip.matrix_unit.columns).astype(np.int64)
    tile = _tile_keys(machine, attention, caches[0].bits, columns, stream_bytes)
    results = np.zeros((9, machine.designs))
    codes, index = np.unique(np.stack([columns, tile], axis=1), axis=0, return_inverse=True)
    for number, (quantum, keys) in enumerate(codes.tolist()):
        pick = np.nonzero(np.ravel(index) == number)[0]
        work_of = _Work(machine, attention, shared(attention, machine.cores, quantum, keys), group, caches)
        results[:, pick] = np.stack([machine.array(value)[pick] for value in work_of.numbers(x.bits)])
    lead, work, tail, stream, macs, vector, sent, dram, sram = results
    counts = Counts(macs, vector, sram, sent, dram)
    return Stage(operator.name, lead, work, tail, stream, counts, made_here=not decoding(attention))


def _tile_keys(
    machine: Machine, attention: Attention, bits: float, columns: IntArray, stream_bytes: Any
) -> IntArray:
    """Keys of a tile, as lowering takes them."""
    units = share_units(attention, machine.cores, int(columns.max()))
    rows = int((units.q1 - units.q0).max()) * (attention.heads // attention.kv_heads)
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
    shared: Shared
    group: int
    caches: list[Any]

    def numbers(self, x_bits: float) -> tuple[Any, ...]:
        """Lead, work, tail, streamed bytes; multiply-accumulates, vector operations; network, DRAM and SRAM bytes."""
        machine, attention, s = self.machine, self.attention, self.shared
        mine = s.rank == self._hottest()
        count, keys = (s.rows * self.group)[mine], s.keys[mine]
        matrix: Any = 0.0
        vector: Any = 0.0
        touched: Any = 0.0
        sizes, times = np.unique(np.stack([count, keys], axis=1), axis=0, return_counts=True)
        key_bits, value_bits = self.caches[0].bits, self.caches[-1].bits
        for (rows, length), often in zip(sizes.tolist(), times.tolist(), strict=True):
            scores = machine.chip.matrix_cycles(rows, length, attention.head_dim, x_bits, key_bits, 8.0 * SCORE_BYTES)
            context = machine.chip.matrix_cycles(rows, attention.value_dim, length, 8.0 * SCORE_BYTES, value_bits, 32.0)
            matrix = matrix + often * (scores + context + 2 * machine.issue_cycles)
            vector = vector + often * machine.vector_cycles(rows * length, "softmax_online")
            score_bits, context_bits = (x_bits, key_bits, 8.0 * SCORE_BYTES), (8.0 * SCORE_BYTES, value_bits, 32.0)
            touched = touched + often * (
                machine.matrix_bytes(rows, length, attention.head_dim, score_bits)
                + machine.matrix_bytes(rows, attention.value_dim, length, context_bits)
            )
        width = sum(tensor.columns * tensor.bits / 8 for tensor in self.caches)
        tokens = sum(r.new for r in attention.requests)
        read = np.bincount(s.home, weights=s.keys * width, minlength=machine.cores)
        inward = np.bincount(s.rank[s.away], weights=(s.keys * width)[s.away], minlength=machine.cores)
        carried = moved(s.home[s.away], s.rank[s.away], (s.keys * width)[s.away], machine.cores)
        across = busiest(loads_of(machine.topology, machine.grid, carried)) / machine.link
        queries = tokens * (attention.heads * attention.head_dim * x_bits / 8) / machine.cores
        appended = tokens * attention.kv_heads * width / machine.cores
        lead = machine.scatter_cycles((queries + appended) * machine.cores)
        if not decoding(attention):  # new keys are written before they are read
            lead = lead + appended / machine.dram_rate
        elements = tokens * (attention.heads + attention.kv_heads) * attention.head_dim / machine.cores
        lead = lead + machine.vector_cycles(elements, "rope")
        first = machine.vector_cycles(float(count[0] * keys[0]), "softmax_online")
        work = np.maximum(np.maximum(matrix, vector), across) + first
        done = tokens * attention.heads * attention.value_dim
        tail = machine.vector_cycles(done / machine.cores, "divide")
        pairs = float((s.rows * self.group * s.keys).sum())
        macs = pairs * (attention.head_dim + attention.value_dim)
        operations = pairs * operations_of("softmax_online") + done + elements * machine.cores * operations_of("rope")
        sent = (queries + appended) * machine.cores + float(inward.sum())
        dram = float(read.sum()) + appended * machine.cores
        sram = touched * pairs / max(1.0, float((count * keys).sum())) + pairs * 2 * SCORE_BYTES + 2 * sent + dram
        return lead, work, tail, read.max(), macs, operations, sent, dram, sram

    def _hottest(self) -> int:
        """The rank with the most multiply-accumulates."""
        s = self.shared
        return int(np.argmax(np.bincount(s.rank, weights=(s.rows * s.keys).astype(np.float64))))
