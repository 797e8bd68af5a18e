"""Is a plan well formed, and can it run? Every mistake found here is one readable CairnError."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from cairn.base.errors import CairnError
from cairn.base.kernel import kernel
from cairn.base.registry import nearest_hint
from cairn.base.ticks import NEVER
from cairn.hw_models.server import Server
from cairn.sim.plan.cycles import find_cycle
from cairn.sim.plan.plan import (
    COMPUTE,
    COMPUTE_COLUMNS,
    COPY,
    COPY_COLUMNS,
    INDEX_COLUMNS,
    NO_SERVER,
    SYNC,
    Edges,
    IndexArray,
    Plan,
)

_PER_TASK: Final = ("duration", *INDEX_COLUMNS)


def check_plan(plan: Plan, servers: Mapping[str, Server]) -> None:
    """CairnError unless the plan is well formed, fits `servers` and can run to its end.

    Checked: shapes and types of all arrays; queue, server, request, operator and table indices; durations that are
    not negative and whose sum is a tick; `waits` equal to the predecessor events of each task (an edge counts once
    for every event waited for); dependences and queue order without a cycle. Linear in tasks and edges.
    """
    _check_arrays(plan)
    _check_queues(plan)
    _check_servers(plan, servers)
    _check_tables(plan)
    _check_durations(plan)
    _check_edges(plan)
    cycle = find_cycle(plan)
    if cycle is not None:
        raise CairnError(cycle)


def _check_arrays(plan: Plan) -> None:
    if not isinstance(plan.queue, np.ndarray) or plan.queue.ndim != 1:
        raise CairnError("plan: queue must be an array with one entry for each task")
    n = plan.queue.size
    if n >= np.iinfo(np.int32).max:
        raise CairnError(f"plan: {n:,} tasks; an engine runs at most 2**31 - 2 tasks at a time: simulate fewer blocks")
    for name in _PER_TASK:
        _check_array(name, getattr(plan, name), (n,), np.int32 if name in INDEX_COLUMNS else np.int64)
    for name, edges in (("on_first", plan.on_first), ("on_done", plan.on_done)):
        _check_array(f"{name}.start", edges.start, (n + 1,), np.int32)
        _check_array(f"{name}.targets", edges.targets, (np.size(edges.targets),), np.int32)
    _check_array("compute", plan.compute, (len(plan.compute), len(COMPUTE_COLUMNS)))
    _check_array("copies", plan.copies, (len(plan.copies), len(COPY_COLUMNS)))


def _check_array(name: str, values: object, shape: tuple[int, ...], wanted: type[np.integer] = np.int64) -> None:
    if not isinstance(values, np.ndarray) or values.dtype != wanted:
        kind = values.dtype if isinstance(values, np.ndarray) else type(values).__name__
        raise CairnError(f"plan: {name} must be an {wanted.__name__} array, not {kind}")
    if values.shape != shape:
        raise CairnError(f"plan: {name} has shape {values.shape}, it must be {shape}")


def _check_queues(plan: Plan) -> None:
    for queue in plan.queues:
        if queue.depth < 1:
            raise CairnError(f"plan: queue {queue.name!r} has depth {queue.depth}; it must be at least 1")
    _check_range("queue", plan.queue, -1, len(plan.queues), "the plan has {} queues (-1: none)")


def _check_servers(plan: Plan, servers: Mapping[str, Server]) -> None:
    if len(plan.requests) != len(plan.servers):
        raise CairnError(f"plan: {len(plan.servers)} servers need as many request tables, not {len(plan.requests)}")
    _check_range("server", plan.server, NO_SERVER, len(plan.servers), "the plan has {} servers (-1: none)")
    for index, (name, table) in enumerate(zip(plan.servers, plan.requests, strict=True)):
        if name not in servers:
            raise CairnError(f"plan: there is no server {name!r}{nearest_hint(name, servers)}")
        columns = servers[name].kind.request_columns
        _check_array(f"requests[{index}] (server {name!r}: {', '.join(columns)})", table, (len(table), len(columns)))
    served = plan.server != NO_SERVER
    rows = np.array([len(table) for table in plan.requests] + [0], np.int64)[plan.server]
    wrong = served & ((plan.request < 0) | (plan.request >= rows))
    if wrong.any():
        task = int(np.argmax(wrong))
        raise CairnError(
            f"plan: task {task} names request {plan.request[task]} of server "
            f"{plan.servers[plan.server[task]]!r}, whose table has {rows[task]} rows"
        )


def _check_tables(plan: Plan) -> None:
    _check_range("kind", plan.kind, SYNC, COPY + 1, "there are {} kinds: sync, compute, copy")
    _check_range("block", plan.block, -1, NEVER, "it counts the plan's blocks (-1: none)")
    operators = len(plan.operators) if plan.operators else NEVER
    _check_range("op", plan.op, -1, operators, "the plan has {} operators (-1: none)")
    for kind, table, name in ((COMPUTE, plan.compute, "compute"), (COPY, plan.copies, "copies")):
        wrong = (plan.kind == kind) & (plan.row >= len(table))
        if wrong.any():
            task = int(np.argmax(wrong))
            raise CairnError(f"plan: task {task} names row {plan.row[task]} of {name}, which has {len(table)} rows")
    if plan.row.min(initial=0) < -1:
        raise CairnError(f"plan: row of task {int(np.argmin(plan.row))} is {plan.row.min()}; -1 means not described")


def _check_range(name: str, values: IndexArray, low: int, high: int, why: str) -> None:
    """CairnError unless low <= values < high; `why` may name the bound as {}."""
    if values.size and (values.min() < low or values.max() >= high):
        task = int(np.argmax((values < low) | (values >= high)))
        raise CairnError(f"plan: {name} of task {task} is {values[task]}, but {why.format(high)}")


def _check_durations(plan: Plan) -> None:
    if not plan.n_tasks:
        return
    if plan.duration.min() < 0:
        task = int(np.argmin(plan.duration))
        raise CairnError(f"plan: duration of task {task} is {plan.duration[task]} ticks; it must not be negative")
    # A float sum is within 1 part in 10**9 of the exact one and cannot wrap; half the range is left to servers.
    if plan.duration.sum(dtype=np.float64) >= NEVER / 2:
        raise CairnError("plan: the durations add up to more than 2**61 ticks (26 days); a run must be shorter")


def _check_edges(plan: Plan) -> None:
    events = np.zeros(plan.n_tasks, np.int32)
    for name, edges in (("on_first", plan.on_first), ("on_done", plan.on_done)):
        _check_csr(name, edges, plan.n_tasks)
        _count(edges.targets, events)
    wrong = events != plan.waits
    if wrong.any():
        task = int(np.argmax(wrong))
        raise CairnError(
            f"plan: task {task} waits for {plan.waits[task]} events, but {events[task]} edges lead to it "
            "(an edge in on_first and one in on_done are two events)"
        )


@kernel()
def _count(targets: IndexArray, events: IndexArray) -> None:
    """Add how often each task is a target."""
    for index in range(targets.size):
        events[targets[index]] += 1


def _check_csr(name: str, edges: Edges, n: int) -> None:
    start, targets = edges.start, edges.targets
    if start[0] != 0 or start[-1] != targets.size or (n and np.diff(start).min() < 0):
        raise CairnError(f"plan: {name}.start must rise from 0 to the number of targets, {targets.size}")
    if targets.size and (targets.min() < 0 or targets.max() >= n):
        place = int(np.argmax((targets < 0) | (targets >= n)))
        raise CairnError(f"plan: {name}.targets[{place}] is {targets[place]}, but the plan has tasks 0 to {n - 1}")
