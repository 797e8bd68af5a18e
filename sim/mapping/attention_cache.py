"""Keys and values of an attention: where they lie in DRAM, how new ones get there, and how tiles of them come back.

New keys and values go to the core below the channel that keeps them, are turned there (rotary embedding) and appended.
In decoding a core works on the keys of its own channel and takes the newest ones from SRAM; otherwise tiles are read
back from their channels, over the network where the reader is another core.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.attention_job import Job
from cairn.sim.mapping.buffer import Entry
from cairn.sim.mapping.context import NONE, row_bytes
from cairn.sim.mapping.heads import apply_pending
from cairn.sim.mapping.pieces import wanted
from cairn.sim.plan.builder import Region, Slice
from cairn.sim.plan.plan import DRAM, SRAM
from cairn.workloads.graph import Role

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def place_blocks(job: Job) -> None:
    """Places for the blocks of each cache, the n-th block of every home at the same address (unless they have one)."""
    if job.caches.addresses:
        return
    memory = job.scope.stage.memory
    caches = [cache for cache in (job.keys, job.values) if cache is not None]
    areas = [(cache, *area) for cache in caches for area in job.areas(cache)]
    size = np.zeros(int(job.blocks.order.max()) + 1, dtype=np.int64)
    np.maximum.at(size, job.blocks.order, job.blocks.s1 - job.blocks.s0)
    places: dict[tuple[str, int], list[tuple[int, ...]]] = {(cache, first): [] for cache, first, _ in areas}
    for rows in size:
        for cache, first, last in areas:
            place = memory.place(int(rows) * int(row_bytes(last - first, job.scope.bits(cache))))
            places[cache, first].append(place.at(0))
    for key, found in places.items():
        job.caches.addresses[key] = np.array(found, dtype=np.int64)


def key_region(
    job: Job, cache: str, area: tuple[int, int], block: IntArray, rows: tuple[IntArray, IntArray]
) -> Region:  # fmt: skip
    """Rows of an area of a cache as they lie in the channels of the blocks' homes."""
    blocks, (first, last) = job.blocks, area
    width = row_bytes(last - first, job.scope.bits(cache))
    table = job.caches.addresses[cache, first][blocks.order[block]]
    table[:, 4] += (rows[0] - blocks.s0[block]) * width
    bank, banks, row, stripe, offset = table.T
    group = job.group(blocks.request[block], blocks.head[block])
    data = Slice(job.scope.tensor(cache), rows, area, (rows[1] - rows[0]) * width, group)
    return job.scope.stage.above(job.core(blocks.home[block]), data, (bank, banks, row, stripe, offset))


def append_rows(job: Job, cache: str) -> IntArray:
    """New rows of a cache: to the home of their block, turned there, and written to its channel. Answers by block the
    task that stores them, -1 where none does."""
    scope, blocks = job.scope, job.blocks
    cached = job.cached[blocks.request]
    new = np.array([request.new for request in job.attention.requests])[blocks.request]
    pick = np.nonzero((blocks.s1 > cached) & (blocks.s0 < cached + new))[0]
    ready = job.caches.stored.setdefault(cache, np.full(blocks.s0.size, NONE, dtype=np.int64))
    written = np.full(blocks.s0.size, NONE, dtype=np.int64)
    if pick.size == 0:
        return written
    row = np.maximum(blocks.s0, cached)[pick]
    token = job.token0[blocks.request[pick]] + row - cached[pick]
    rows = blocks.s1[pick] - row
    name, first = _source_columns(job, cache)
    width = job.width(cache)
    column = first + blocks.head[pick] * width
    core = job.core(blocks.home[pick])
    want = wanted(core, token, token + rows, column, column + width)
    x = scope.bring(name, want, job.op)
    _, x = apply_pending(scope, name, x)
    ready[pick] = x.ready
    if not any(tensor == cache for tensor, _ in job.operator.writes):
        job.caches.kept.add(cache)
        return written
    stored = []
    for area in job.areas(cache):
        target = key_region(job, cache, area, pick, (row, row + rows))
        stored.append(scope.plan.copy(Region(SRAM, core, target.slice), target, job.op, x.ready, "append"))
    written[pick] = stored[0] if len(stored) == 1 or job.local else _all(job, stored)
    if not job.local:
        ready[pick] = written[pick]
    return written


def _all(job: Job, tasks: list[IntArray]) -> IntArray:
    """Tasks that end when those of all arrays have, entry by entry."""
    return tasks[0] if len(tasks) == 1 else job.scope.plan.sync(tasks, tasks[0].size, 0, job.op)


def _source_columns(job: Job, cache: str) -> tuple[str, int]:
    """The activation that holds the new rows of a cache, and the first column of its first head there."""
    attention = job.attention
    activations = [n for n in job.operator.inputs if job.scope.block.tensor(n).role is Role.ACTIVATION]
    if attention.latent:
        return activations[-1], 0
    keys = attention.heads * attention.head_dim
    return activations[-1], keys if cache == job.keys else keys + attention.kv_heads * attention.head_dim


@dataclass(frozen=True)
class Arrived:
    """Tiles of one step: the task after which each visit's is there, and their place in the stream buffer."""

    ready: IntArray
    place: Entry


def bring_tile(job: Job, cache: str, now: IntArray, fresh: BoolArray, columns: int | None = None) -> Arrived:
    """The rows of a cache (their first `columns`) for each visit of a step, into the stream buffer."""
    scope, visits, blocks = job.scope, job.visits, job.blocks
    block = visits.block[now]
    cached = job.cached[blocks.request[block]]
    n0, n1 = visits.n0[now], visits.n1[now]
    areas = [area for area in job.areas(cache) if columns is None or area[0] < columns]
    width = sum(int(row_bytes(last - first, scope.bits(cache))) for first, last in areas)
    place, waits = scope.stage.stream.reserve(max(1, int((n1 - n0).max()) * width))
    rows = n0, np.minimum(n1, cached) if job.local else n1
    ready = _all(job, [_bring_area(job, cache, area, now, rows, fresh, waits) for area in areas])
    if job.local:
        newest = np.nonzero(visits.n1[now] > cached)[0]
        fresh_rows = job.caches.stored[cache][block[newest]]
        owner = np.concatenate([np.arange(newest.size)] * 2)
        both = np.concatenate([ready[newest], fresh_rows])
        ready[newest] = scope.plan.join(owner, both, newest.size, job.op)
    return Arrived(ready, place)


def _bring_area(
    job: Job, cache: str, area: tuple[int, int], now: IntArray, rows: tuple[IntArray, IntArray], fresh: BoolArray,
    waits: list[IntArray],
) -> IntArray:  # fmt: skip
    """Rows of an area of a cache, once the tasks `waits` of the core have ended; the task after which each is there."""
    visits, blocks = job.visits, job.blocks
    unit, block = visits.unit[now], visits.block[now]
    core, home = job.core(job.units.rank[unit]), job.core(blocks.home[block])
    ready = np.full(now.size, NONE, dtype=np.int64)
    new_rows = rows[0] >= job.caches.before[blocks.request[block]]
    for pick, cause in _causes(rows[1] > rows[0], fresh, new_rows):
        rank = job.units.rank[unit[pick]]
        source = key_region(job, cache, area, block[pick], (rows[0][pick], rows[1][pick]))
        after = [w[rank] for w in waits] + ([] if job.local else [job.caches.stored[cache][block[pick]]])
        near = home[pick] == core[pick]
        if cause == "spill" and cache in job.caches.kept:
            ready[pick] = _share(job, source.slice, core[pick], home[pick], near, after)
        else:
            ready[pick] = _read(job, source, core[pick], home[pick], near, after, cause)
    return ready


def _causes(there: BoolArray, fresh: BoolArray, new_rows: BoolArray) -> list[tuple[IntArray, str]]:
    """Visits by why their bytes are read: rows from before the step once, or again, and rows written in this step."""
    kinds = ((there & ~new_rows & fresh, "unique"), (there & ~new_rows & ~fresh, "reread"), (there & new_rows, "spill"))
    return [(np.nonzero(mask)[0], cause) for mask, cause in kinds if mask.any()]


def _read(
    job: Job, source: Region, core: IntArray, home: IntArray, near: BoolArray, after: list[IntArray], cause: str
) -> IntArray:  # fmt: skip
    """Loads from the own channel where `near`, over the network elsewhere; the task after which the data is there."""
    plan, part = job.scope.plan, source.slice
    if near.all():
        return plan.copy(source, Region(SRAM, core, part), job.op, after, cause)
    ready = np.full(core.size, NONE, dtype=np.int64)
    for mask in (near, ~near):
        pick = np.nonzero(mask)[0]
        if pick.size == 0:
            continue
        cut = _cut(part, pick)
        address = tuple(_at(a, pick) for a in source.address or ())
        begin = Region(DRAM, _at(source.place, pick), cut, address)  # type: ignore[arg-type]
        end = Region(SRAM, core[pick], cut)
        waits = [w[pick] for w in after]
        if mask is near:
            ready[pick] = plan.copy(begin, end, job.op, waits, cause)
        else:
            legs = plan.fetch(begin, end, home[pick], job.op, waits, cause)
            ready[pick] = plan.join(
                np.concatenate([np.arange(pick.size)] * 2), np.concatenate(legs), pick.size, job.op
            )
    return ready


def _share(
    job: Job, part: Slice, core: IntArray, home: IntArray, near: BoolArray, after: list[IntArray]
) -> IntArray:
    """New rows that were not appended: over the network from the SRAM of their home, which has them already."""
    ready = after[-1].copy()
    pick = np.nonzero(~near)[0]
    if pick.size:
        cut = _cut(part, pick)
        source, target = Region(SRAM, home[pick], cut), Region(SRAM, core[pick], cut)
        ready[pick] = job.scope.plan.copy(source, target, job.op, [w[pick] for w in after], "share")
    return ready


def _cut(part: Slice, pick: IntArray) -> Slice:
    rows = _at(part.rows[0], pick), _at(part.rows[1], pick)
    return Slice(part.tensor, rows, part.columns, _at(part.bytes, pick), _at(part.group, pick))


def _at(value: object, pick: IntArray) -> IntArray:
    return np.asarray(value, dtype=np.int64)[pick]
