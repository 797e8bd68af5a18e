"""The stream of a fused attention, all steps at once.

The tasks are those of the step-by-step stream (attention.py), in the same order. Of each step: what brings the keys of
its visits, by cause and from near and far; joints with the newest ones; the same for values; scores, soft-max, and then
the context of the step before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

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

CAUSES: Final = ("unique", "reread", "spill")
"""Rows from before the step that are read once, or again, and rows written in this step."""
NEAR, LOADED, SENT, JOINED = range(4)
"""Tasks of a cause: loads from the channel above; from another one loads there, transfers, and joints of the two."""
OF_CAUSE: Final = 4
NEWEST: Final = OF_CAUSE * len(CAUSES)
"""Joints of what was brought with the newest rows, which are in the SRAM."""
OF_CACHE: Final = NEWEST + 1
SCORES, SOFT_MAXES, CONTEXTS = range(2 * OF_CACHE, 2 * OF_CACHE + 3)
"""Tasks after those of keys and of values; the contexts of a step stand in the next one."""


@dataclass(frozen=True)
class _Numbered:
    """All visits in the order of their steps, and the tasks of each: -1 where it has none of a kind."""

    now: IntArray
    begin: IntArray
    """(steps + 1,) first visit of each step."""
    tasks: IntArray
    """(kinds, visits)."""

    def loads(self, cache: int) -> IntArray:
        """The load of each visit, of keys (0) or values (1)."""
        kinds = [OF_CACHE * cache + OF_CAUSE * cause + kind for cause in range(len(CAUSES)) for kind in (NEAR, LOADED)]
        found: IntArray = self.tasks[kinds].max(axis=0)
        return found


def can_stream_at_once(job: Job) -> bool:
    """Whether keys and values are caches of their own, whose rows lie together and are read from DRAM."""
    if job.values is None or (not job.local and job.caches.kept & {job.keys, job.values}):
        return False
    return len(job.areas(job.keys)) == len(job.areas(job.values)) == 1


def stream_at_once(job: Job, queries: IntArray) -> IntArray:
    """All visits: scores, soft-max, context; answers each unit's last task."""
    numbered = _numbered(job)
    now, tasks = numbered.now, numbered.tasks
    _wait_for_room(job, numbered)
    keys = _bring(job, job.keys, now, tasks[:OF_CACHE])
    values = _bring(job, job.values or job.keys, now, tasks[OF_CACHE : 2 * OF_CACHE])
    unit = job.visits.unit[now]
    scored = scores(job, now, [queries[unit], keys], tasks[SCORES])
    softened = soft_maxes(job, now, scored, tasks[SOFT_MAXES])
    worked = contexts(job, now, [softened, values], tasks[CONTEXTS])
    done = np.full(job.units.count, NONE, dtype=np.int64)
    np.maximum.at(done, unit, worked)
    return done


def _numbered(job: Job) -> _Numbered:
    """The numbers of all tasks."""
    steps = list(steps_of(job.visits))
    now = np.concatenate([np.empty(0, dtype=np.int64), *(visits for visits, _ in steps)])
    fresh = np.concatenate([np.empty(0, dtype=np.bool_), *(first for _, first in steps)])
    begin = np.cumsum([0, *(visits.size for visits, _ in steps)])
    step = np.repeat(np.arange(len(steps)), np.diff(begin))
    brings = _kinds(job, now, fresh)
    has = np.concatenate([brings, brings, np.ones((3, now.size), dtype=np.bool_)])
    kind = np.arange(len(has))[:, None]
    at = (len(has) * (step + (kind == CONTEXTS)) + kind)[has]
    numbers = job.scope.plan.reserve(at.size)
    if not job.scope.plan.skips:  # where they are skipped, their order is no matter
        numbers[np.argsort(at, kind="stable")] = numbers.copy()
    tasks = np.full(has.shape, NONE, dtype=np.int64)
    tasks[has] = numbers
    return _Numbered(now, begin, tasks)


def _kinds(job: Job, now: IntArray, fresh: BoolArray) -> BoolArray:
    """(OF_CACHE, visits): which tasks bring a visit the rows of a cache; `fresh` marks the first visit to a block."""
    visits, blocks = job.visits, job.blocks
    block = visits.block[now]
    request, n0, n1 = blocks.request[block], visits.n0[now], visits.n1[now]
    near = blocks.home[block] == job.units.rank[visits.unit[now]]
    is_new, newest = n0 >= job.caches.before[request], n1 > job.cached[request]
    there = n0 < (np.minimum(n1, job.cached[request]) if job.local else n1)
    kinds = []
    for cause in (there & ~is_new & fresh, there & ~is_new & ~fresh, there & is_new):
        kinds += [cause & near, *[cause & ~near] * (OF_CAUSE - 1)]
    return np.stack([*kinds, newest & job.local])


def _wait_for_room(job: Job, numbered: _Numbered) -> None:
    """Loads wait until what lay in their place of the stream buffer has been used."""
    visits, stream, plan = job.visits, job.scope.stage.stream, job.scope.plan
    now, tasks = numbered.now, numbered.tasks
    unit = visits.unit[now]
    rank = job.units.rank[unit]
    rows = visits.n1[now] - visits.n0[now]
    widths = [_row_bytes(job, cache) for cache in (job.keys, job.values or job.keys)]
    loads = numbered.loads(0), numbered.loads(1)
    waiting, waited = [], []
    before: tuple[slice, Entry] | None = None
    for begin, end in zip(numbered.begin[:-1].tolist(), numbered.begin[1:].tolist(), strict=True):
        these = slice(begin, end)
        most = int(rows[these].max())
        places = []
        for width, load in zip(widths, loads, strict=True):
            place, waits = stream.reserve(max(1, most * width))
            places.append(place)
            waiting += [load[these]] * len(waits)
            waited += [wait[rank[these]] for wait in waits]
        tell_used(job, places[0], unit[these], tasks[SCORES, these])
        if before is not None:
            tell_used(job, before[1], unit[before[0]], tasks[CONTEXTS, before[0]])
        before = these, places[1]
    if before is not None:
        tell_used(job, before[1], unit[before[0]], tasks[CONTEXTS, before[0]])
    if waiting and not plan.skips:
        waiters = np.concatenate(waiting)
        plan.after(waiters[waiters >= 0], np.concatenate(waited)[waiters >= 0])


def _row_bytes(job: Job, cache: str) -> int:
    ((first, last),) = job.areas(cache)
    return int(row_bytes(last - first, job.scope.bits(cache)))


def _bring(job: Job, cache: str, now: IntArray, tasks: IntArray) -> IntArray:
    """Bring each visit the rows that it looks at; the task after which they are there."""
    visits, plan = job.visits, job.scope.plan
    block = visits.block[now]
    n0, n1, cached = visits.n0[now], visits.n1[now], job.cached[job.blocks.request[block]]
    rows = n0, np.minimum(n1, cached) if job.local else n1
    home, core = (job.core(rank) for rank in (job.blocks.home[block], job.units.rank[visits.unit[now]]))
    stored, (area,) = job.caches.stored.get(cache), job.areas(cache)
    ready = np.full(now.size, NONE, dtype=np.int64)
    for number, cause in enumerate(CAUSES):
        near, loaded, sent, joined = tasks[OF_CAUSE * number : OF_CAUSE * (number + 1)]
        for first, there in ((near, near), (loaded, joined)):
            pick = np.nonzero(there >= 0)[0]
            if pick.size == 0:
                continue
            source = key_region(job, cache, area, block[pick], (rows[0][pick], rows[1][pick]))
            target = Region(SRAM, core[pick], source.slice)
            after = [] if job.local or stored is None else [stored[block[pick]]]
            if there is near:
                plan.copy(source, target, job.op, after, cause, tasks=first[pick])
            else:
                legs = plan.fetch(source, target, home[pick], job.op, after, cause, (loaded[pick], sent[pick]))
                plan.sync(list(legs), pick.size, 0, job.op, joined[pick])
            ready[pick] = there[pick]
    newest = np.nonzero(tasks[NEWEST] >= 0)[0]
    if newest.size and stored is not None:
        plan.sync([ready[newest], stored[block[newest]]], newest.size, 0, job.op, tasks[NEWEST, newest])
        ready[newest] = tasks[NEWEST, newest]
    return ready
