"""Tasks of an attention's visits on the matrix and the vector unit: scores, soft-max, context."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.attention_job import SCORE_BYTES, Job, rows_of
from cairn.sim.plan import actions
from cairn.sim.plan.builder import Tile

IntArray = npt.NDArray[np.int64]


def scores(job: Job, now: IntArray, after: list[IntArray], tasks: IntArray | None = None) -> IntArray:
    """Queries times the keys of the visits `now`."""
    scope, visits = job.scope, job.visits
    keys, width = visits.n1[now] - visits.n0[now], job.attention.head_dim
    tile, count = _tile(job, now, actions.SCORES, width)
    bits = scope.bits(job.operator.inputs[0]), scope.bits(job.keys), 8.0 * SCORE_BYTES
    return scope.matrix(_core(job, now), tile, (count, keys, np.full_like(keys, width)), bits, after, tasks=tasks)


def soft_maxes(job: Job, now: IntArray, after: IntArray, tasks: IntArray | None = None) -> IntArray:
    """Running soft-max of the scores of the visits `now`."""
    tile, count = _tile(job, now, actions.SOFTMAX, 0)
    elements = count * (job.visits.n1[now] - job.visits.n0[now])
    return job.scope.vector(_core(job, now), tile, "softmax_online", elements, after, tasks=tasks)


def contexts(job: Job, now: IntArray, after: list[IntArray], tasks: IntArray | None = None) -> IntArray:
    """Probabilities times the values of the visits `now`."""
    scope, visits = job.scope, job.visits
    keys, width = visits.n1[now] - visits.n0[now], job.attention.value_dim
    tile, count = _tile(job, now, actions.CONTEXT, width)
    bits = 8.0 * SCORE_BYTES, scope.bits(job.values or job.keys), 32.0
    return scope.matrix(_core(job, now), tile, (count, np.full_like(keys, width), keys), bits, after, tasks=tasks)


def _core(job: Job, now: IntArray) -> IntArray:
    return job.core(job.units.rank[job.visits.unit[now]])


def _tile(job: Job, now: IntArray, action: int, width: int) -> tuple[Tile, IntArray]:
    """What visits work on, and for how many query rows of all heads."""
    visits, units, rows = job.visits, job.units, rows_of(job, now)
    unit = visits.unit[now]
    group = job.group(units.request[unit], units.head[unit])
    tile = Tile(job.op, action, (rows.row0, rows.row1), (visits.n0[now], visits.n1[now]), (0, width), group)
    return tile, (rows.row1 - rows.row0) * job.queries_per_key
