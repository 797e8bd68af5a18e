"""Lowering of fused attention: queries go to the cores that work on them, keys and values stream past tile by tile."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.attention_at_once import can_stream_at_once, stream_at_once
from cairn.sim.mapping.attention_cache import Arrived, append_rows, bring_tile, place_blocks
from cairn.sim.mapping.attention_job import Job, job_of, steps_of, tell_used
from cairn.sim.mapping.attention_visits import contexts, scores, soft_maxes
from cairn.sim.mapping.context import NONE, Scope
from cairn.sim.mapping.heads import apply_pending
from cairn.sim.mapping.pieces import Pieces, wanted
from cairn.sim.mapping.pim_attention import attend_on_units, job_on_units
from cairn.sim.plan import actions
from cairn.sim.plan.builder import Region, Slice, Tile
from cairn.sim.plan.plan import SRAM
from cairn.workloads.graph import Operator

IntArray = npt.NDArray[np.int64]


def lower_attention(scope: Scope, operator: Operator) -> None:
    """Write the tasks of a fused attention, on the cores or, where the mapping says so, on PIM units."""
    on_units = job_on_units(scope, operator)
    job = job_of(scope, operator) if on_units is None else on_units
    done = _attend(job) if on_units is None else attend_on_units(job)
    result = join_parts(job, done)
    y = result_pieces(job, result)
    tile = Tile(job.op, actions.FINISH, (y.rect[:, 0], y.rect[:, 1]), (y.rect[:, 2], y.rect[:, 3]))
    ready = scope.vector(y.core, tile, "divide", y.elements, y.ready)
    scope.pieces[operator.outputs[0]] = Pieces(y.core, y.rect, ready)


def _attend(job: Job) -> IntArray:
    """The tasks on the cores up to the sums of weighted values; answers the last one of each unit of work."""
    place_blocks(job)
    queries = bring_queries(job)
    for cache in (job.keys, job.values):
        if cache is not None:
            append_rows(job, cache)
    return _stream(job, queries)


def result_pieces(job: Job, done: IntArray) -> Pieces:
    """Where the result lies: with the first part of every pair's keys."""
    units = job.units
    first = units.part == 0
    columns = job.queries_per_key * job.attention.value_dim
    row0 = job.token0[units.request] + units.q0
    rect = (row0, row0 + units.q1 - units.q0, units.head * columns, (units.head + 1) * columns)
    return Pieces(job.core(units.rank)[first], np.stack([r[first] for r in rect], axis=1), done[first])


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


def _stream(job: Job, queries: IntArray) -> IntArray:
    """All visits, step by step or written at once: scores, soft-max, context; answers each unit's last task."""
    if can_stream_at_once(job):
        return stream_at_once(job, queries)
    visits = job.visits
    done = np.full(job.units.count, NONE, dtype=np.int64)
    waiting: tuple[IntArray, IntArray, Arrived] | None = None
    for now, fresh in steps_of(visits):
        keys = bring_tile(job, job.keys, now, fresh)
        values = keys if job.values is None else bring_tile(job, job.values, now, fresh)
        scored = soft_maxes(job, now, score_tasks(job, now, keys, [queries[visits.unit[now]]]))
        if waiting is not None:  # the matrix unit scores the next tile while the vector unit works on this one
            done[visits.unit[waiting[0]]] = context_tasks(job, *waiting)
        waiting = (now, scored, values)
    if waiting is not None:
        done[visits.unit[waiting[0]]] = context_tasks(job, *waiting)
    return done


def score_tasks(job: Job, now: IntArray, arrived: Arrived, after: list[IntArray]) -> IntArray:
    """Queries times the keys of a step's visits, after those arrived and `after`."""
    scored = scores(job, now, [*after, arrived.ready])
    tell_used(job, arrived.place, job.visits.unit[now], scored)
    return scored


def context_tasks(job: Job, now: IntArray, after: IntArray, values: Arrived) -> IntArray:
    """Probabilities, there after `after`, times the values of a step's visits."""
    done = contexts(job, now, [after, values.ready])
    tell_used(job, values.place, job.visits.unit[now], done)
    return done


def join_parts(job: Job, done: IntArray, normalised: bool = False) -> IntArray:
    """Partial results of a pair whose keys were split, joined in a tree towards its part 0.

    Normalised ones are partial sums of the result and are added; others come with maximum and sum and are rescaled.
    """
    units, scope, value_dim = job.units, job.scope, job.attention.value_dim
    most = int(units.parts.max(initial=1))
    if most == 1:
        return done
    result = done.copy()
    number = np.full((int(units.pair.max()) + 1, most), NONE, dtype=np.int64)
    number[units.pair, units.part] = np.arange(units.count)
    rows = (units.q1 - units.q0) * job.queries_per_key
    columns = job.queries_per_key * (value_dim + (0 if normalised else 2))  # result, maximum, sum
    size = (units.q1 - units.q0) * columns * 4  # in 32 bits
    y = job.operator.outputs[0]
    tensor = scope.tensor(y if normalised else f"{y}.partial")
    step = 1
    while step < most:
        sender = np.nonzero(units.part % (2 * step) == step)[0]
        receiver = number[units.pair[sender], units.part[sender] - step]
        row0 = job.token0[units.request[sender]] + units.q0[sender]
        span = (row0, row0 + (units.q1 - units.q0)[sender])
        group = job.group(units.request[sender], units.head[sender])
        first, matrix = (units.head[sender] * columns, 0 * group) if normalised else (0 * group, group)
        data = Slice(tensor, span, (first, first + columns), size[sender], matrix)
        core = job.core(units.rank)
        sent = scope.plan.copy(
            Region(SRAM, core[sender], data), Region(SRAM, core[receiver], data), job.op, result[sender], "reduce",
            reduce=True,
        )  # fmt: skip
        tile = Tile(job.op, actions.MERGE, span, (units.s0[sender], units.s1[sender]), (0, 0), group)
        elements = rows[sender] * value_dim
        kind, terms = ("reduce_add", 1) if normalised else ("rescale", 2)
        result[receiver] = scope.vector(core[receiver], tile, kind, terms * elements, [sent, result[receiver]])
        step *= 2
    return result
