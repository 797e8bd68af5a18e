"""Cycles of dependences and queue order: a plan that has one can never run to its end."""

from __future__ import annotations

from typing import Final

import numpy as np

from cairn.base.kernel import kernel
from cairn.sim.plan.plan import NO_QUEUE, Edges, IndexArray, Plan

_SHOWN: Final = 12
"""Steps of a cycle that a message names; assumed: what a person can follow."""


def find_cycle(plan: Plan) -> str | None:
    """A text that names the tasks of a cycle, or None. Indices and `waits` must have been checked.

    A task comes before its successors and before the next task of its queue. Issue, first data and end of a task
    follow each other and every step leads to an issue, so that the events have a cycle exactly when the tasks do.
    """
    first, done = plan.on_first, plan.on_done
    if _forward(first.start, first.targets) and _forward(done.start, done.targets):
        return None
    following = _following(plan.queue, len(plan.queues))
    before = _leftover(plan.waits, following, first.start, first.targets, done.start, done.targets)
    if before.max(initial=-1) < 0:
        return None
    seen: dict[int, int] = {}
    path: list[int] = []
    task = int(np.argmax(before >= 0))
    while task not in seen:
        seen[task] = len(path)
        path.append(task)
        task = int(before[task])
    cycle = path[seen[task] :][::-1]
    least = cycle.index(min(cycle))
    return _describe(plan, cycle[least:] + cycle[:least])


@kernel()
def _forward(start: IndexArray, targets: IndexArray) -> bool:
    """Whether all edges lead to later tasks, as queue order does: then there is no cycle."""
    for task in range(start.size - 1):
        for index in range(start[task], start[task + 1]):
            if targets[index] <= task:
                return False
    return True


@kernel()
def _following(queue: IndexArray, n_queues: int) -> IndexArray:
    """The next task of the same queue, -1 for none."""
    following = np.full(queue.size, -1, np.int32)
    head = np.full(n_queues, -1, np.int32)
    for task in range(queue.size - 1, -1, -1):
        if queue[task] >= 0:
            following[task] = head[queue[task]]
            head[queue[task]] = task
    return following


@kernel()
def _leftover(
    waits: IndexArray,
    following: IndexArray,
    first_start: IndexArray,
    first_targets: IndexArray,
    done_start: IndexArray,
    done_targets: IndexArray,
) -> IndexArray:
    """For each task that never becomes ready (Kahn's algorithm) a predecessor that never does either, else -1."""
    n = waits.size
    left = waits.copy()
    for task in range(n):
        if following[task] >= 0:
            left[following[task]] += 1
    stack = np.empty(n, np.int32)
    size = 0
    for task in range(n):
        if left[task] == 0:
            stack[size] = task
            size += 1
    while size > 0:
        size -= 1
        task = stack[size]
        for start, targets in ((first_start, first_targets), (done_start, done_targets)):
            for index in range(start[task], start[task + 1]):
                left[targets[index]] -= 1
                if left[targets[index]] == 0:
                    stack[size] = targets[index]
                    size += 1
        after = following[task]
        if after >= 0:
            left[after] -= 1
            if left[after] == 0:
                stack[size] = after
                size += 1
    before = np.full(n, -1, np.int32)
    for task in range(n):
        if left[task] > 0:
            if following[task] >= 0:
                before[following[task]] = task
            for start, targets in ((first_start, first_targets), (done_start, done_targets)):
                for index in range(start[task], start[task + 1]):
                    before[targets[index]] = task
    return before


def _describe(plan: Plan, cycle: list[int]) -> str:
    """The cycle in words; the steps along one queue are told as one."""
    steps: list[tuple[int, str]] = []
    for task, after in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
        link = _link(plan, task, after)
        if steps and link == steps[-1][1] == _IN_QUEUE:
            continue
        steps.append((task, link))
    if len(steps) > 1 and steps[0][1] == steps[-1][1] == _IN_QUEUE:
        steps[0] = steps.pop()
    shown = [f"{_name(plan, task)}, which {link}" for task, link in steps[:_SHOWN]]
    if len(steps) > _SHOWN:
        shown.append(f"... {len(steps) - _SHOWN} more steps ...")
    text = " ".join(shown).replace(", which", "", 1)
    return f"the plan cannot run, its dependences and queue order form a cycle: {text} {_name(plan, steps[0][0])}"


_IN_QUEUE: Final = "stands in its queue before"


def _link(plan: Plan, task: int, after: int) -> str:
    """How `task` comes before `after`; a dependence is named rather than queue order where both hold."""
    if after in _successors(plan.on_done, task):
        return "must end before"
    if after in _successors(plan.on_first, task):
        return "must give its first data before"
    return _IN_QUEUE


def _successors(edges: Edges, task: int) -> IndexArray:
    return edges.targets[edges.start[task] : edges.start[task + 1]]


def _name(plan: Plan, task: int) -> str:
    queue = int(plan.queue[task])
    return f"task {task}" + ("" if queue == NO_QUEUE else f" ({plan.queues[queue].name})")
