"""The stream of an attention whose cores read the keys above themselves alone, as in decoding: all steps at once.

The tasks are those of the step-by-step stream (attention.py), in the same order: of each step loads of keys and joints
with the newest ones, the same for values, scores, soft-max, and then the context of the step before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.attention_cache import key_region
from cairn.sim.mapping.attention_job import Job, steps_of, tell_used
from cairn.sim.mapping.attention_visits import contexts, scores, soft_maxes
from cairn.sim.mapping.buffer import Entry
from cairn.sim.mapping.context import NONE, row_bytes
from cairn.sim.plan.builder import Region
from cairn.sim.plan.plan import SRAM

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

KEY_LOADS, KEY_JOINTS, VALUE_LOADS, VALUE_JOINTS, SCORES, SOFT_MAXES, CONTEXTS = range(7)
"""Tasks of a step, in this order; the contexts are those of the step before."""


@dataclass(frozen=True)
class _Numbered:
    """All visits in the order of their steps, and the tasks of each: -1 where it has none of a kind."""

    now: IntArray
    begin: IntArray
    """(steps + 1,) first visit of each step."""
    tasks: IntArray
    """(kinds, visits)."""


def reads_own_keys(job: Job) -> bool:
    """Whether every core reads tiles of its own channel alone, each of them once, its newest rows from its SRAM."""
    return job.local and job.values is not None and len(job.areas(job.keys)) == len(job.areas(job.values)) == 1


def stream_own_keys(job: Job, queries: IntArray) -> IntArray:
    """All visits: scores, soft-max, context; answers each unit's last task."""
    numbered = _numbered(job)
    now, tasks = numbered.now, numbered.tasks
    _wait_for_room(job, numbered)
    keys = _bring(job, job.keys, now, tasks[KEY_LOADS], tasks[KEY_JOINTS])
    values = _bring(job, job.values or job.keys, now, tasks[VALUE_LOADS], tasks[VALUE_JOINTS])
    unit = job.visits.unit[now]
    scored = scores(job, now, [queries[unit], keys], tasks[SCORES])
    softened = soft_maxes(job, now, scored, tasks[SOFT_MAXES])
    worked = contexts(job, now, [softened, values], tasks[CONTEXTS])
    done = np.full(job.units.count, NONE, dtype=np.int64)
    np.maximum.at(done, unit, worked)
    return done


def _numbered(job: Job) -> _Numbered:
    """The numbers of all tasks."""
    visits = job.visits
    steps = [now for now, _ in steps_of(visits)]
    now = np.concatenate([np.empty(0, dtype=np.int64), *steps])
    begin = np.cumsum([0, *(step.size for step in steps)])
    step = np.repeat(np.arange(len(steps)), np.diff(begin))
    cached = job.cached[job.blocks.request[visits.block[now]]]
    loads, joints = visits.n0[now] < np.minimum(visits.n1[now], cached), visits.n1[now] > cached
    there = np.broadcast_to(True, now.shape)
    has = np.stack([loads, joints, loads, joints, there, there, there])
    kind = np.arange(len(has))[:, None]
    at = (len(has) * (step + (kind == CONTEXTS)) + kind)[has]  # contexts stand with the step behind
    order = np.argsort(at, kind="stable")
    numbers = np.empty(at.size, dtype=np.int64)
    numbers[order] = job.scope.plan.reserve(at.size)
    tasks = np.full(has.shape, NONE, dtype=np.int64)
    tasks[has] = numbers
    return _Numbered(now, begin, tasks)


def _wait_for_room(job: Job, numbered: _Numbered) -> None:
    """Loads wait until what lay in their place of the stream buffer has been used."""
    visits, stream, plan = job.visits, job.scope.stage.stream, job.scope.plan
    now, tasks = numbered.now, numbered.tasks
    unit = visits.unit[now]
    rank = job.units.rank[unit]
    rows = visits.n1[now] - visits.n0[now]
    widths = [_row_bytes(job, cache) for cache in (job.keys, job.values or job.keys)]
    waiting, waited = [], []
    before: tuple[slice, Entry] | None = None
    for begin, end in zip(numbered.begin[:-1].tolist(), numbered.begin[1:].tolist(), strict=True):
        these = slice(begin, end)
        most = int(rows[these].max())
        places = []
        for width, kind in zip(widths, (KEY_LOADS, VALUE_LOADS), strict=True):
            place, waits = stream.reserve(max(1, most * width))
            places.append(place)
            waiting += [tasks[kind, these]] * len(waits)
            waited += [wait[rank[these]] for wait in waits]
        tell_used(job, places[0], unit[these], tasks[SCORES, these])
        if before is not None:
            tell_used(job, before[1], unit[before[0]], tasks[CONTEXTS, before[0]])
        before = these, places[1]
    if before is not None:
        tell_used(job, before[1], unit[before[0]], tasks[CONTEXTS, before[0]])
    if waiting:
        loads = np.concatenate(waiting)
        plan.after(loads[loads >= 0], np.concatenate(waited)[loads >= 0])


def _row_bytes(job: Job, cache: str) -> int:
    ((first, last),) = job.areas(cache)
    return int(row_bytes(last - first, job.scope.bits(cache)))


def _bring(job: Job, cache: str, now: IntArray, loads: IntArray, joints: IntArray) -> IntArray:
    """Load the rows of each visit that are not new, and join them with the new ones where it sees any; the task after
    which they are there."""
    visits, plan = job.visits, job.scope.plan
    block, pick = visits.block[now], np.nonzero(loads >= 0)[0]
    cached = job.cached[job.blocks.request[block]]
    (area,) = job.areas(cache)
    if pick.size:
        rows = visits.n0[now][pick], np.minimum(visits.n1[now], cached)[pick]
        source = key_region(job, cache, area, block[pick], rows)
        core = job.core(job.units.rank[visits.unit[now[pick]]])
        plan.copy(source, Region(SRAM, core, source.slice), job.op, None, "unique", tasks=loads[pick])
    newest = np.nonzero(joints >= 0)[0]
    after = [loads[newest], job.caches.stored[cache][block[newest]]]
    plan.sync(after, newest.size, 0, job.op, joints[newest])
    return np.where(joints >= 0, joints, loads)
