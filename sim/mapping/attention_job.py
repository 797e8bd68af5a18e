"""An attention being lowered: who does what, in which order, and which rows of queries look at which tile of keys."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.attention_work import (
    KeyBlocks,
    Units,
    Visits,
    decoding,
    place_keys,
    plan_visits,
    share_rows,
    share_units,
)
from cairn.sim.mapping.buffer import Entry
from cairn.sim.mapping.context import NONE, Scope, row_bytes
from cairn.sim.mapping.past import Caches, Past
from cairn.workloads.graph import Attention, Operator, OpKind, Role

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

SCORE_BYTES = 2
"""Bytes of a score between the matrix and the vector unit (assumed: the precision of activations)."""

STREAMED = 8
"""Tiles that the stream buffer holds at least: keys and values of a step that waits for its soft-max, of the step that
is scored, and of the two after it, which are on their way (assumed)."""


@dataclass
class Job:
    """One attention being lowered."""

    scope: Scope
    operator: Operator
    attention: Attention
    units: Units
    visits: Visits
    caches: Caches
    keys: str
    values: str | None
    token0: IntArray
    """First token row of each request."""
    cached: IntArray
    """Rows of each request before its new ones."""

    @property
    def op(self) -> int:
        return self.scope.op(self.operator)

    @property
    def blocks(self) -> KeyBlocks:
        return self.caches.blocks

    @property
    def local(self) -> bool:
        return self.caches.local

    @property
    def queries_per_key(self) -> int:
        return self.attention.heads // self.attention.kv_heads

    def core(self, rank: IntArray) -> IntArray:
        return self.scope.grid.cores[rank]

    def group(self, request: IntArray, head: IntArray) -> IntArray:
        return request * self.attention.kv_heads + head

    def width(self, cache: str) -> int:
        return self.scope.block.tensor(cache).columns

    def areas(self, cache: str) -> list[tuple[int, int]]:
        """Columns [first, last) of a cache that lie together in a block, row after row.

        All of them do, but for latents whose first columns are read alone, as values: those lie apart from the rest.
        """
        width, values = self.width(cache), self.attention.value_dim
        if self.attention.latent and self.operator.kind is not OpKind.ATTENTION and values < width:
            return [(0, values), (values, width)]
        return [(0, width)]


def job_of(scope: Scope, operator: Operator) -> Job:
    """Who does what in an attention (of the scores and, unfused, of the context that follows them)."""
    attention = operator.attention
    if attention is None:
        raise ValueError(f"operator {operator.name} has no attention parameters")
    keys, *values = (name for name in operator.inputs if scope.block.tensor(name).role is Role.KV)
    new, cached = (np.array([getattr(r, what) for r in attention.requests]) for what in ("new", "cached"))
    if scope.past is None:
        units = share_units(attention, scope.grid.size, scope.chip.mac.columns)
        blocks = place_keys(attention, units, _tile_keys(scope, attention, units, keys))
        caches = Caches(blocks, decoding(attention), cached)
    else:
        units = share_rows(attention, scope.grid.size)
        caches = _caches_of_all(scope, scope.past, attention, keys)
    visits = plan_visits(units, caches.blocks, caches.local)
    return Job(
        scope, operator, attention, units, visits, caches, keys, values[0] if values else None,
        np.cumsum(new) - new, cached,
    )  # fmt: skip


def _caches_of_all(scope: Scope, past: Past, attention: Attention, keys: str) -> Caches:
    """The caches of a request that comes in several micro-batches, decided for all of them by the first.

    Blocks are dealt over the cores that would work on the whole request. They are as long as the micro-batch with most
    scores allows, and a new one begins where the rows of a micro-batch do, or what its window shows it.
    """
    if keys not in past.caches:
        cores = scope.grid.size
        parts = [replace(attention, requests=(part,)) for part in past.parts]
        tile = min(_tile_keys(scope, part, share_rows(part, cores), keys) for part in parts)
        begins = [part.cached for part in past.parts]
        shown = [max(0, begin - attention.window + 1) for begin in begins] if attention.window else []
        whole = replace(attention, requests=(past.whole,))
        blocks = place_keys(whole, share_rows(whole, cores), tile, (*begins, *shown))
        past.caches[keys] = Caches(blocks, local=False, before=np.array([past.whole.cached]))
    return past.caches[keys]


def _tile_keys(scope: Scope, attention: Attention, units: Units, cache: str) -> int:
    """Keys of a tile: about the tile size in bytes, and few enough that its scores fit an eighth of the SRAM."""
    quantum = scope.chip.mac.columns
    row = int(row_bytes(attention.head_dim, scope.bits(cache)))
    rows = int((units.q1 - units.q0).max()) * (attention.heads // attention.kv_heads)
    by_scores = scope.chip.sram.capacity_kib * 1024 // 8 // (rows * SCORE_BYTES)
    by_bytes = min(scope.stage.tile_bytes, scope.stage.stream.capacity_bytes // STREAMED) // row
    keys = min(by_bytes, by_scores)
    return max(quantum, keys // quantum * quantum)


def steps_of(visits: Visits) -> Iterator[tuple[IntArray, BoolArray]]:
    """Visits that the cores do at the same time, step by step, and which of them are the first to their block."""
    if visits.step.size == 0:
        return
    order = np.argsort(visits.step, kind="stable")
    starts = np.searchsorted(visits.step[order], np.arange(int(visits.step.max()) + 2))
    first_read = np.zeros(visits.unit.size, dtype=bool)
    first_read[np.unique(visits.block[order], return_index=True)[1]] = True
    for begin, end in itertools.pairwise(starts):
        yield order[begin:end], first_read[begin:end]


@dataclass(frozen=True)
class _Effective:
    """Query rows of a unit that look at any key of a visit, and the tile they form."""

    row0: IntArray
    row1: IntArray


def rows_of(job: Job, now: IntArray) -> _Effective:
    visits, units = job.visits, job.units
    unit = visits.unit[now]
    q0 = units.q0[unit]
    if job.attention.causal:
        q0 = np.maximum(q0, visits.n0[now] - job.cached[units.request[unit]])
    token = job.token0[units.request[unit]]
    return _Effective(token + np.minimum(q0, units.q1[unit]), token + units.q1[unit])


def tell_used(job: Job, place: Entry, unit: IntArray, tasks: IntArray) -> None:
    """Tell a place in the stream buffer that `tasks` of these units use what lies there."""
    by_rank = np.full(job.scope.grid.size, NONE, dtype=np.int64)
    by_rank[job.units.rank[unit]] = tasks
    place.users.append(by_rank)
