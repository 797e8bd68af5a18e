"""The default engine: sets up the compiled loop for a plan and runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np

from cairn.hw_models.server import Server
from cairn.sim.engine.calls import addresses
from cairn.sim.engine.layout import (
    COUNTS,
    LEFT,
    TICK,
    TROUBLE,
    TROUBLE_DETAIL,
    TROUBLE_SERVER,
    IntArray,
    Loop,
    SmallIntArray,
)
from cairn.sim.engine.loop import begin, finish, run
from cairn.sim.engine.trouble import FINE, fail
from cairn.sim.plan.checks import check_plan
from cairn.sim.plan.plan import NO_QUEUE, Plan, Trace

_ROUNDS: Final = 1 << 18
"""Rounds between two looks at Python (interrupts, progress): some 0.1 s; assumed short enough for a person."""


def simulate_plan(
    plan: Plan,
    servers: Mapping[str, Server],
    *,
    check: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Trace:
    """Run a plan and answer when every task was issued, gave its first data and ended.

    `servers` has every name of `plan.servers`; their states are copied. `progress(ended, tasks)` is called now and
    then. `check=False` leaves out `check_plan`, for plans that are known to be right: a wrong one may then crash.
    CairnError for a plan that cannot run (PlanError when that shows on the way), BugError for a server that breaks
    its contract.
    """
    if check:
        check_plan(plan, servers)
    loop = _prepare(plan, [servers[name] for name in plan.servers])
    begin(loop)
    left = int(loop.counts[LEFT])
    while left and loop.counts[TROUBLE] == FINE:
        left = run(loop, _ROUNDS)
        if progress is not None:
            progress(plan.n_tasks - left, plan.n_tasks)
    if loop.counts[TROUBLE] == FINE:
        finish(loop)
    trouble = int(loop.counts[TROUBLE])
    if trouble != FINE:
        server, detail = int(loop.counts[TROUBLE_SERVER]), int(loop.counts[TROUBLE_DETAIL])
        fail(trouble, plan, int(loop.counts[TICK]), server, detail, loop.start, loop.end)
    states = tuple(loop.state[a:b].copy() for a, b in zip(loop.state_at[:-1], loop.state_at[1:], strict=True))
    return Trace(loop.start, loop.first, loop.end, states)


def _prepare(plan: Plan, servers: list[Server]) -> Loop:
    """The arrays the loop works on: the plan's own, and room for what is under way."""
    n, q, s = plan.n_tasks, len(plan.queues), len(servers)
    states = [server.fresh() for server in servers]
    widths = np.array([table.shape[1] for table in plan.requests], np.int64)
    sizes = np.array([table.size for table in plan.requests], np.int64)
    depths = np.minimum(np.array([queue.depth for queue in plan.queues], np.int64), max(n, 1))
    places = int(min(n, depths.sum() + np.count_nonzero(plan.queue == NO_QUEUE)))
    calls = [addresses(name, server) for name, server in zip(plan.servers, servers, strict=True)]
    return Loop(
        queue=_small(plan.queue),
        following=np.empty(n, np.int32),
        duration=_flat(plan.duration),
        server=_small(plan.server),
        request=_small(plan.request),
        first_start=_small(plan.on_first.start),
        first_targets=_small(plan.on_first.targets),
        done_start=_small(plan.on_done.start),
        done_targets=_small(plan.on_done.targets),
        waits=plan.waits.copy(),
        start=np.full(n, -1, np.int64),
        first=np.full(n, -1, np.int64),
        end=np.full(n, -1, np.int64),
        head=np.full(q, -1, np.int32),
        free=depths.astype(np.int32),
        is_touched=np.zeros(q, np.int32),
        touched=np.empty(q, np.int32),
        due_tick=np.empty(places, np.int64),
        due_task=np.empty(places, np.int32),
        ready=np.empty(places + q, np.int32),
        happened=np.empty(2 * places, np.int64),
        calls=np.array(calls, np.int64).reshape(s, 3),
        state=np.concatenate([np.empty(0, np.int64), *states]),
        state_at=_offsets(np.array([state.size for state in states], np.int64)),
        row=_tables(plan.requests),
        row_at=_offsets(sizes)[:-1].copy(),
        width=widths,
        bound=np.empty(s, np.int64),
        is_dirty=np.zeros(s, np.int32),
        dirty=np.empty(s, np.int32),
        counts=np.zeros(COUNTS, np.int64),
    )


def _flat(values: IntArray) -> IntArray:
    """A flat int64 array that Numba sees as writable: a read-only one would be a new type, compiled anew."""
    return np.require(values, np.int64, ["C", "A", "W"])


def _small(values: SmallIntArray) -> SmallIntArray:
    """The same of int32."""
    return np.require(values, np.int32, ["C", "A", "W"])


def _offsets(sizes: IntArray) -> IntArray:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])


def _tables(tables: tuple[IntArray, ...]) -> IntArray:
    """All request tables one after the other; a single one is not copied."""
    if len(tables) == 1:
        return _flat(tables[0]).reshape(-1)
    return np.concatenate([np.empty(0, np.int64), *(table.reshape(-1) for table in tables)])
