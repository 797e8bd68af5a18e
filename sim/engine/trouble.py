"""What can go wrong while a plan runs, in plain words; both engines say it the same way.

A server that breaks its contract is a bug, whatever plan it serves. A plan that comes to no end, or asks more of a
server than it has room for, is a mistake of whoever wrote it: PlanError, or BugError where Cairn did (`own_plan`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import BugError, CairnError, PlanError
from cairn.sim.plan.plan import NO_QUEUE, NO_SERVER, Plan

IntArray = npt.NDArray[np.int64]

FINE: Final = 0
STUCK: Final = 1
TOO_LATE: Final = 2
SERVER_FAILED: Final = 3
SERVER_MISSED: Final = 4
SERVER_IDLES: Final = 5
SERVER_INVENTS: Final = 6

_SERVER_RULES: Final = {
    SERVER_MISSED: "completed something before the tick that its next_event had named as the earliest",
    SERVER_IDLES: "completed nothing when it was advanced, but its next_event does not lie in the future",
    SERVER_INVENTS: "completed a task that it was not serving",
}


def fail(code: int, plan: Plan, now: int, server: int, detail: int, start: IntArray, end: IntArray) -> None:
    """Raise what `code` at tick `now` stands for; `detail` is the task, or the error number of SERVER_FAILED.

    PlanError for a plan that is stuck or overfills a server, CairnError for a run that is too long, BugError for a
    server that breaks its contract or never completes what it was given.
    """
    if code == STUCK:
        raise _stuck(plan, start, end)
    if code == TOO_LATE:
        raise CairnError(f"{name_task(plan, detail)} issued at tick {now} would end after 2**62 ticks (53 days)")
    name = plan.servers[server]
    if code == SERVER_FAILED:
        raise PlanError(
            f"server {name!r} reports error {detail} at tick {now}: it was given more at once than its state has "
            "room for, or a request it cannot serve; build it with more room or lower the depth of its queues"
        )
    which = f" ({name_task(plan, detail)})" if code == SERVER_INVENTS and 0 <= detail < plan.n_tasks else ""
    raise BugError(f"server {name!r} breaks the server contract at tick {now}: it {_SERVER_RULES[code]}{which}")


@contextmanager
def own_plan(what: str) -> Iterator[None]:
    """Around the run of a plan that Cairn wrote for `what`: only a bug lets it fail, so PlanError becomes BugError."""
    try:
        yield
    except PlanError as trouble:
        raise BugError(f"Cairn's own plan of {what} fails, which is a bug in Cairn: {trouble}") from trouble


def name_task(plan: Plan, task: int) -> str:
    """`task 7 (queue 'core0.load')`."""
    queue = int(plan.queue[task])
    return f"task {task} (no queue)" if queue == NO_QUEUE else f"task {task} (queue {plan.queues[queue].name!r})"


def _stuck(plan: Plan, start: IntArray, end: IntArray) -> PlanError | BugError:
    """Why nothing is under way: a server lost a task, or the plan's tasks wait for each other."""
    now = max(int(start.max(initial=0)), int(end.max(initial=0)))
    left = int((end < 0).sum())
    text = f"the run is stuck at tick {now}: {left} of {plan.n_tasks} tasks have not ended and nothing is under way"
    served = np.flatnonzero((start >= 0) & (end < 0) & (plan.server != NO_SERVER))
    if served.size:
        task = int(served[0])
        server, issued = plan.servers[int(plan.server[task])], int(start[task])
        return BugError(f"{text}; server {server!r} never completed {name_task(plan, task)}, issued at tick {issued}")
    return PlanError(f"{text}; the first is {name_task(plan, int(np.argmax(end < 0)))}")
