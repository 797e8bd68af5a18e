"""How an attention is shared on the cores: the units, key blocks and visits of lowering."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.attention_work import KeyBlocks, Units, Visits, decoding, place_keys, plan_visits, share_units
from cairn.workloads.graph import Attention

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Shared:
    """How an attention is shared on so many cores with tiles of so many keys: visits, and what each of them is."""

    units: Units
    blocks: KeyBlocks
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
    most_keys: int
    """Keys of the largest tile of each step, in all steps together."""


@lru_cache(maxsize=256)
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
    keys, most = visits.n1 - visits.n0, units.q1 - units.q0
    largest = np.zeros(int(visits.step.max(initial=-1)) + 1, dtype=np.int64)
    np.maximum.at(largest, visits.step, keys)
    return Shared(units, blocks, visits, rows, keys, rank != home, rank, home, kept, most, int(largest.sum()))
