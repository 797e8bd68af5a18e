"""Lowering of fused attention: queries go to the cores that work on them, keys and values stream past tile by tile.

New keys and values go to the core below the channel that keeps them, are turned there (rotary embedding) and appended.
In decoding a core works on the keys of its own channel and takes the newest ones from SRAM; otherwise tiles are read
back from their channels, over the network where the reader is another core.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.attention_work import KeyBlocks, Units, Visits, decoding, place_keys, plan_visits, share_units
from cairn.sim.mapping.buffer import Entry
from cairn.sim.mapping.context import NONE, Scope, row_bytes
from cairn.sim.mapping.heads import apply_pending
from cairn.sim.mapping.memory import Address
from cairn.sim.mapping.pieces import Pieces, wanted
from cairn.sim.plan import actions
from cairn.sim.plan.builder import Region, Slice, Tile
from cairn.sim.plan.plan import DRAM, SRAM
from cairn.workloads.graph import Attention, Operator, Role

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
    blocks: KeyBlocks
    visits: Visits
    keys: str
    values: str | None
    token0: IntArray
    """First token row of each request."""
    cached: IntArray
    addresses: dict[str, list[Address]] = field(default_factory=dict)
    stored: dict[str, IntArray] = field(default_factory=dict)
    """Task after which the new rows of a block may be used, by cache."""
    kept: set[str] = field(default_factory=set)
    """Caches whose new rows are not appended: they stay in the SRAM of their home."""

    @property
    def op(self) -> int:
        return self.scope.op(self.operator)

    @property
    def local(self) -> bool:
        return decoding(self.attention)

    @property
    def queries_per_key(self) -> int:
        return self.attention.heads // self.attention.kv_heads

    def core(self, rank: IntArray) -> IntArray:
        return self.scope.grid.cores[rank]

    def group(self, request: IntArray, head: IntArray) -> IntArray:
        return request * self.attention.kv_heads + head

    def width(self, cache: str) -> int:
        return self.scope.block.tensor(cache).columns


def lower_attention(scope: Scope, operator: Operator) -> None:
    """Write the tasks of a fused attention."""
    job = job_of(scope, operator)
    place_blocks(job)
    queries = bring_queries(job)
    for cache in (job.keys, job.values):
        if cache is not None:
            append_rows(job, cache)
    done = _stream(job, queries)
    result = join_parts(job, done)
    y = result_pieces(job, result)
    tile = Tile(job.op, actions.FINISH, (y.rect[:, 0], y.rect[:, 1]), (y.rect[:, 2], y.rect[:, 3]))
    ready = scope.vector(y.core, tile, "divide", y.elements, y.ready)
    scope.pieces[operator.outputs[0]] = Pieces(y.core, y.rect, ready)


def result_pieces(job: Job, done: IntArray) -> Pieces:
    """Where the result lies: with the first part of every pair's keys."""
    units = job.units
    first = units.part == 0
    columns = job.queries_per_key * job.attention.value_dim
    row0 = job.token0[units.request] + units.q0
    rect = (row0, row0 + units.q1 - units.q0, units.head * columns, (units.head + 1) * columns)
    return Pieces(job.core(units.rank)[first], np.stack([r[first] for r in rect], axis=1), done[first])


def job_of(scope: Scope, operator: Operator) -> Job:
    """Who does what in an attention (of the scores and, unfused, of the context that follows them)."""
    attention = operator.attention
    if attention is None:
        raise ValueError(f"operator {operator.name} has no attention parameters")
    caches = [name for name in operator.inputs if scope.block.tensor(name).role is Role.KV]
    new = np.array([r.new for r in attention.requests])
    quantum = scope.chip.matrix_unit.columns
    units = share_units(attention, scope.grid.size, quantum)
    tile = _tile_keys(scope, attention, units, scope.block.tensor(caches[0]).bits, quantum)
    blocks = place_keys(attention, units, tile)
    visits = plan_visits(units, blocks, decoding(attention))
    cached = np.array([r.cached for r in attention.requests])
    return Job(
        scope, operator, attention, units, blocks, visits, caches[0], caches[1] if len(caches) > 1 else None,
        np.cumsum(new) - new, cached,
    )  # fmt: skip


def _tile_keys(scope: Scope, attention: Attention, units: Units, bits: float, quantum: int) -> int:
    """Keys of a tile: about the tile size in bytes, and few enough that its scores fit an eighth of the SRAM."""
    row = int(row_bytes(attention.head_dim, bits))
    rows = int((units.q1 - units.q0).max()) * (attention.heads // attention.kv_heads)
    by_scores = scope.chip.sram.capacity_kib * 1024 // 8 // (rows * SCORE_BYTES)
    by_bytes = min(scope.stage.tile_bytes, scope.stage.stream.capacity_bytes // STREAMED) // row
    keys = min(by_bytes, by_scores)
    return max(quantum, keys // quantum * quantum)


def place_blocks(job: Job) -> None:
    """Places for the blocks of each cache, the n-th block of every home at the same address."""
    memory = job.scope.stage.memory
    caches = [cache for cache in (job.keys, job.values) if cache is not None]
    size = np.zeros(int(job.blocks.order.max()) + 1, dtype=np.int64)
    np.maximum.at(size, job.blocks.order, job.blocks.s1 - job.blocks.s0)
    for cache in caches:
        job.addresses[cache] = []
    for rows in size:
        for cache in caches:
            width = int(row_bytes(job.width(cache), job.scope.bits(cache)))
            job.addresses[cache].append(memory.place(int(rows) * width))


def _address(job: Job, cache: str, block: IntArray, row: IntArray) -> tuple[IntArray, ...]:
    """DRAM address of key `row` of each block."""
    table = np.array([a.at(0) for a in job.addresses[cache]], dtype=np.int64)[job.blocks.order[block]]
    width = row_bytes(job.width(cache), job.scope.bits(cache))
    table[:, 4] += (row - job.blocks.s0[block]) * width
    return tuple(table.T)


def bring_queries(job: Job) -> IntArray:
    """Query rows to their units; the task after which each unit's queries are there, turned."""
    units, attention, scope = job.units, job.attention, job.scope
    columns = job.queries_per_key * attention.head_dim
    row0 = job.token0[units.request] + units.q0
    want = wanted(
        job.core(units.rank), row0, row0 + units.q1 - units.q0, units.head * columns, (units.head + 1) * columns
    )
    name = job.operator.inputs[0]
    x = scope.bring(name, want, job.op)
    return apply_pending(scope, name, x)[1].ready


def append_rows(job: Job, cache: str) -> None:
    """New rows of a cache: to the home of their block, turned there, and written to its channel."""
    scope, blocks = job.scope, job.blocks
    cached = job.cached[blocks.request]
    pick = np.nonzero(blocks.s1 > cached)[0]
    ready = np.full(blocks.s0.size, NONE, dtype=np.int64)
    job.stored[cache] = ready
    if pick.size == 0:
        return
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
        job.kept.add(cache)
        return
    size = rows * row_bytes(width, scope.bits(cache))
    group = job.group(blocks.request[pick], blocks.head[pick])
    data = Slice(scope.tensor(cache), (row, row + rows), (0, width), size, group)
    target = Region(DRAM, scope.stage.channel(core), data, _address(job, cache, pick, row))  # type: ignore[arg-type]
    stored = scope.plan.copy(Region(SRAM, core, data), target, job.op, after=x.ready, cause="append")
    if not job.local:
        ready[pick] = stored


def _source_columns(job: Job, cache: str) -> tuple[str, int]:
    """The activation that holds the new rows of a cache, and the first column of its first head there."""
    attention = job.attention
    activations = [n for n in job.operator.inputs if job.scope.block.tensor(n).role is Role.ACTIVATION]
    if attention.latent:
        return activations[-1], 0
    keys = attention.heads * attention.head_dim
    return activations[-1], keys if cache == job.keys else keys + attention.kv_heads * attention.head_dim


def _stream(job: Job, queries: IntArray) -> IntArray:
    """All visits step by step: scores, soft-max, context; answers each unit's last task."""
    visits = job.visits
    done = np.full(job.units.count, NONE, dtype=np.int64)
    waiting: tuple[IntArray, IntArray, Arrived] | None = None
    for now, fresh in steps_of(visits):
        keys = bring_tile(job, job.keys, now, fresh)
        values = keys if job.values is None else bring_tile(job, job.values, now, fresh)
        scored = _scores(job, now, queries, keys)
        if waiting is not None:  # the matrix unit scores the next tile while the vector unit works on this one
            done[visits.unit[waiting[0]]] = context_tasks(job, *waiting)
        waiting = (now, scored, values)
    if waiting is not None:
        done[visits.unit[waiting[0]]] = context_tasks(job, *waiting)
    return done


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
class Arrived:
    """Tiles of one step: the task after which each visit's is there, and their place in the stream buffer."""

    ready: IntArray
    place: Entry


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


def bring_tile(job: Job, cache: str, now: IntArray, fresh: BoolArray, columns: int | None = None) -> Arrived:
    """The rows of a cache (their first `columns`) for each visit of a step, into the stream buffer."""
    scope, visits, blocks, stage = job.scope, job.visits, job.blocks, job.scope.stage
    unit, block = visits.unit[now], visits.block[now]
    core, home = job.core(job.units.rank[unit]), job.core(blocks.home[block])
    cached = job.cached[blocks.request[block]]
    n1 = np.minimum(visits.n1[now], cached) if job.local else visits.n1[now]
    n0 = visits.n0[now]
    width = columns or job.width(cache)
    size = np.maximum(0, n1 - n0) * row_bytes(width, scope.bits(cache))
    most = int(((visits.n1[now] - n0) * row_bytes(width, scope.bits(cache))).max())
    place, waits = stage.stream.reserve(max(1, most))
    ready = np.full(now.size, NONE, dtype=np.int64)
    group = job.group(blocks.request[block], blocks.head[block])
    new_rows = n0 >= cached
    for pick, cause in _causes(job, size > 0, fresh, new_rows):
        rank = job.units.rank[unit[pick]]
        part = Slice(scope.tensor(cache), (n0[pick], n1[pick]), (0, width), size[pick], group[pick])
        address = _address(job, cache, block[pick], n0[pick])
        source = Region(DRAM, stage.channel(home[pick]), part, address)  # type: ignore[arg-type]
        after = [w[rank] for w in waits] + ([] if job.local else [job.stored[cache][block[pick]]])
        near = home[pick] == core[pick]
        if cause == "spill" and cache in job.kept:
            ready[pick] = _share(job, part, core[pick], home[pick], near, after)
            continue
        ready[pick] = _read(job, source, part, core[pick], home[pick], near, after, cause)
    if job.local:
        newest = np.nonzero(visits.n1[now] > cached)[0]
        fresh_rows = job.stored[cache][block[newest]]
        owner = np.concatenate([np.arange(newest.size)] * 2)
        both = np.concatenate([ready[newest], fresh_rows])
        ready[newest] = scope.plan.join(owner, both, newest.size, job.op)
    return Arrived(ready, place)


def _causes(job: Job, there: BoolArray, fresh: BoolArray, new_rows: BoolArray) -> list[tuple[IntArray, str]]:
    """Visits by why their bytes are read: cached rows once, cached rows again, rows written in this step."""
    kinds = ((there & ~new_rows & fresh, "unique"), (there & ~new_rows & ~fresh, "reread"), (there & new_rows, "spill"))
    return [(np.nonzero(mask)[0], cause) for mask, cause in kinds if mask.any()]


def _read(
    job: Job, source: Region, part: Slice, core: IntArray, home: IntArray, near: BoolArray, after: list[IntArray],
    cause: str,
) -> IntArray:  # fmt: skip
    """Loads from the own channel where `near`, over the network elsewhere; the task after which the data is there."""
    plan = job.scope.plan
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


def _scores(job: Job, now: IntArray, queries: IntArray, keys: Arrived) -> IntArray:
    """Scores and running soft-max of a step's visits."""
    scored = score_tasks(job, now, keys, [queries[job.visits.unit[now]]])
    unit, rows = job.visits.unit[now], rows_of(job, now)
    n0, n1 = job.visits.n0[now], job.visits.n1[now]
    group = job.group(job.units.request[unit], job.units.head[unit])
    tile = Tile(job.op, actions.SOFTMAX, (rows.row0, rows.row1), (n0, n1), (0, 0), group)
    elements = (rows.row1 - rows.row0) * job.queries_per_key * (n1 - n0)
    return job.scope.vector(job.core(job.units.rank[unit]), tile, "softmax_online", elements, scored)


def score_tasks(job: Job, now: IntArray, arrived: Arrived, after: list[IntArray]) -> IntArray:
    """Queries times the keys of a step's visits, after those arrived and `after`."""
    scope, visits, units = job.scope, job.visits, job.units
    unit = visits.unit[now]
    rows, keys = rows_of(job, now), visits.n1[now] - visits.n0[now]
    count = (rows.row1 - rows.row0) * job.queries_per_key
    group = job.group(units.request[unit], units.head[unit])
    core = job.core(units.rank[unit])
    span = (rows.row0, rows.row1), (visits.n0[now], visits.n1[now])
    width = job.attention.head_dim
    tile = Tile(job.op, actions.SCORES, *span, (0, width), group)
    bits = scope.bits(job.operator.inputs[0]), scope.bits(job.keys), 8.0 * SCORE_BYTES
    scored = scope.matrix(core, tile, (count, keys, np.full_like(keys, width)), bits, [*after, arrived.ready])
    tell_used(job, arrived.place, unit, scored)
    return scored


def context_tasks(job: Job, now: IntArray, after: IntArray, values: Arrived) -> IntArray:
    """Probabilities, there after `after`, times the values of a step's visits."""
    scope, visits, units = job.scope, job.visits, job.units
    unit = visits.unit[now]
    rows, keys = rows_of(job, now), visits.n1[now] - visits.n0[now]
    count = (rows.row1 - rows.row0) * job.queries_per_key
    tile = Tile(
        job.op, actions.CONTEXT, (rows.row0, rows.row1), (visits.n0[now], visits.n1[now]), (0, job.attention.value_dim),
        job.group(units.request[unit], units.head[unit]),
    )  # fmt: skip
    sizes = count, np.full_like(keys, job.attention.value_dim), keys
    bits = 8.0 * SCORE_BYTES, scope.bits(job.values or job.keys), 32.0
    done = scope.matrix(job.core(units.rank[unit]), tile, sizes, bits, [after, values.ready])
    tell_used(job, values.place, unit, done)
    return done


def tell_used(job: Job, place: Entry, unit: IntArray, tasks: IntArray) -> None:
    """Tell a place in the stream buffer that `tasks` of these units use what lies there."""
    by_rank = np.full(job.scope.grid.size, NONE, dtype=np.int64)
    by_rank[job.units.rank[unit]] = tasks
    place.users.append(by_rank)


def join_parts(job: Job, done: IntArray, normalised: bool = False) -> IntArray:
    """Partial results of a pair whose keys were split, joined in a tree towards its part 0.

    Normalised ones are added; others come with their maximum and sum and are rescaled.
    """
    units, scope = job.units, job.scope
    most = int(units.parts.max(initial=1))
    if most == 1:
        return done
    result = done.copy()
    number = np.full((int(units.pair.max()) + 1, most), NONE, dtype=np.int64)
    number[units.pair, units.part] = np.arange(units.count)
    rows = (units.q1 - units.q0) * job.queries_per_key
    columns = job.queries_per_key * (job.attention.value_dim + (0 if normalised else 2))  # result, maximum, sum
    size = (units.q1 - units.q0) * columns * 4  # in 32 bits
    tensor = scope.tensor(f"{job.operator.outputs[0]}.partial")
    step = 1
    while step < most:
        sender = np.nonzero(units.part % (2 * step) == step)[0]
        receiver = number[units.pair[sender], units.part[sender] - step]
        row0 = job.token0[units.request[sender]] + units.q0[sender]
        span = (row0, row0 + (units.q1 - units.q0)[sender])
        group = job.group(units.request[sender], units.head[sender])
        data = Slice(tensor, span, (0, columns), size[sender], group)
        core = job.core(units.rank)
        sent = scope.plan.copy(
            Region(SRAM, core[sender], data), Region(SRAM, core[receiver], data), job.op, result[sender], "reduce",
            reduce=True,
        )  # fmt: skip
        tile = Tile(job.op, actions.MERGE, span, (units.s0[sender], units.s1[sender]), (0, 0), group)
        elements = rows[sender] * job.attention.value_dim
        kind, terms = ("reduce_add", 1) if normalised else ("rescale", 2)
        result[receiver] = scope.vector(core[receiver], tile, kind, terms * elements, [sent, result[receiver]])
        step *= 2
    return result
