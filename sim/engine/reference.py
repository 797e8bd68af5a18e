"""The reference engine: the rules of `cairn.sim.engine` as SimPy processes, to be read and to be tested against.

SimPy keeps the time and nothing else. Units and servers are processes that report what happened; the reports of a
tick wake one coordinator, at a priority below everything that SimPy still has to do at that tick, and only the
coordinator commits and issues. The order in which SimPy handles events of one tick therefore decides nothing.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Generator, Mapping
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import simpy
from simpy.events import EventPriority

from cairn.base.errors import CairnError
from cairn.base.registry import nearest_hint
from cairn.base.ticks import NEVER
from cairn.hw_models.server import DONE, DONE_AT, ERROR, NOW, Server
from cairn.sim.engine.trouble import (
    SERVER_FAILED,
    SERVER_IDLES,
    SERVER_INVENTS,
    SERVER_MISSED,
    STUCK,
    TOO_LATE,
    fail,
    name_task,
)
from cairn.sim.plan.checks import check_plan
from cairn.sim.plan.plan import NO_QUEUE, NO_SERVER, Edges, Plan, Trace

IntArray = npt.NDArray[np.int64]
Process: TypeAlias = Generator[simpy.Event, Any, None]
Unit: TypeAlias = Callable[[Plan, int, int], int]
"""A unit written in Python: `unit(plan, task, now)` answers how many ticks the task lasts, when it is issued."""

_LAST: Final = EventPriority(2)
"""After SimPy's URGENT (0) and NORMAL (1) events of the same tick."""


def simulate_plan(
    plan: Plan, servers: Mapping[str, Server], units: Mapping[str, Unit] | None = None, *, check: bool = True
) -> Trace:
    """Run a plan, to the tick as the compiled engine does, some 30 times slower.

    `units` replaces the planned durations of tasks that no server serves on the queues of the named units. The
    functions of servers may be plain Python. Errors as of the compiled engine.
    """
    if check:
        check_plan(plan, servers)
    for name in units or {}:
        known = {queue.unit for queue in plan.queues}
        if name not in known:
            raise CairnError(f"no queue of the plan belongs to a unit {name!r}{nearest_hint(name, known)}")
    return _Run(plan, [servers[name] for name in plan.servers], units or {}).trace()


class _Line:
    """A queue: the tasks that stand in line, in plan order, and the places that are free."""

    def __init__(self, depth: int, unit: Unit | None):
        self.tasks: deque[int] = deque()
        self.free = depth
        self.unit = unit


class _Station:
    """A server under way: its state, and the event that tells its process of new requests."""

    def __init__(self, index: int, server: Server, table: IntArray, env: simpy.Environment):
        self.index, self.kind, self.state, self.table = index, server.kind, server.fresh(), table
        self.changed = env.event()


class _Round(simpy.Event):
    """An event that is handled after all else that SimPy has to do at its tick."""

    def succeed(self, value: Any = None) -> _Round:
        self._ok, self._value = True, value
        self.env.schedule(self, _LAST)
        return self


class _Run:
    """One run of a plan. Processes report into `happened`; `coordinate` commits and issues."""

    def __init__(self, plan: Plan, servers: list[Server], units: Mapping[str, Unit]):
        self.plan = plan
        self.env = simpy.Environment()
        pairs = zip(servers, plan.requests, strict=True)
        self.stations = [_Station(index, server, table, self.env) for index, (server, table) in enumerate(pairs)]
        self.lines = [_Line(queue.depth, units.get(queue.unit)) for queue in plan.queues]
        self.line_of = [None if queue == NO_QUEUE else self.lines[queue] for queue in plan.queue.tolist()]
        for task, line in enumerate(self.line_of):
            if line is not None:
                line.tasks.append(task)
        self.server, self.waits = plan.server.tolist(), plan.waits.tolist()
        self.start, self.first, self.end = np.full((3, plan.n_tasks), -1, np.int64)
        self.left = plan.n_tasks
        self.happened: list[int] = []
        """Events of this round, coded 2 * task + FIRST or DONE."""
        self.round = _Round(self.env)
        self.touched = set(self.lines)
        """Lines whose head may have become ready in this round."""
        self.loose = [task for task, line in enumerate(self.line_of) if line is None and self.waits[task] == 0]
        """Ready tasks that stand in no line."""

    def trace(self) -> Trace:
        """Run to the end of the last task."""
        self.env.process(self.coordinate())
        for station in self.stations:
            self.env.process(self.serve(station))
        self.env.run()
        if self.left:
            self.trouble(STUCK, int(self.env.now))
        for station in self.stations:
            self.bring(station, int(self.end.max(initial=0)))
        return Trace(self.start, self.first, self.end, tuple(station.state for station in self.stations))

    def trouble(self, code: int, now: int, server: int = -1, detail: int = -1) -> None:
        fail(code, self.plan, now, server, detail, self.start, self.end)

    def work(self, task: int, ticks: int) -> Process:
        """A unit at work on one task."""
        yield self.env.timeout(ticks)
        self.report(2 * task + DONE)

    def serve(self, station: _Station) -> Process:
        """A server: it sleeps until its next event, or until it is given requests."""
        while self.left:
            now, bound = int(self.env.now), int(station.kind.next_event(station.state))
            if bound < now:
                self.trouble(SERVER_IDLES, now, station.index)
            station.changed = self.env.event()
            alarm = self.env.timeout(bound - now) if bound < NEVER else self.env.event()
            yield alarm | station.changed
            if self.left and self.env.now == bound:
                self.complete(station, bound)

    def complete(self, station: _Station, now: int) -> None:
        """Advance a server to a tick at which something may complete, and report what does."""
        state = station.state
        count = int(station.kind.advance(state, now))
        if state[ERROR] != 0:
            self.trouble(SERVER_FAILED, now, station.index, int(state[ERROR]))
        if state[NOW] != now:
            self.trouble(SERVER_MISSED, now, station.index)
        if count == 0 and station.kind.next_event(state) <= now:
            self.trouble(SERVER_IDLES, now, station.index)
        for event in state[state[DONE_AT] : state[DONE_AT] + count].tolist():
            task = event >> 1
            if not 0 <= task < self.plan.n_tasks or self.server[task] != station.index or self.start[task] < 0:
                self.trouble(SERVER_INVENTS, now, station.index, task)
            self.report(event)

    def report(self, event: int) -> None:
        """Rule 4: collect. The first report of a round calls for the coordinator."""
        if not self.happened:
            self.round.succeed()
        self.happened.append(event)

    def coordinate(self) -> Process:
        """Rules 3 to 6: at the end of every tick at which something happened, commit and issue."""
        while self.left:
            self.issue(int(self.env.now))
            self.round = _Round(self.env)
            yield self.round
            events, self.happened = sorted(self.happened), []
            for event in events:
                self.commit(event, int(self.env.now))

    def commit(self, event: int, now: int) -> None:
        """Rule 5: an event is one less to wait for; an end also frees the place in the queue."""
        task = event >> 1
        if self.end[task] >= 0:
            self.trouble(SERVER_INVENTS, now, self.server[task], task)
        if self.first[task] < 0:
            self.first[task] = now
            self.release(self.plan.on_first, task)
        if event & 1 == DONE:
            self.end[task] = now
            self.left -= 1
            self.release(self.plan.on_done, task)
            line = self.line_of[task]
            if line is not None:
                line.free += 1
                self.touched.add(line)

    def release(self, edges: Edges, task: int) -> None:
        for successor in edges.targets[edges.start[task] : edges.start[task + 1]].tolist():
            self.waits[successor] -= 1
            if self.waits[successor] == 0:
                line = self.line_of[successor]
                if line is None:
                    self.loose.append(successor)
                else:
                    self.touched.add(line)

    def issue(self, now: int) -> None:
        """Rule 6: issue ready heads in task-id order, each next head in turn."""
        ready = [*self.loose, *(line.tasks[0] for line in self.touched if self.is_open(line))]
        self.loose, self.touched = [], set()
        heapq.heapify(ready)
        while ready:
            task = heapq.heappop(ready)
            line = self.line_of[task]
            if line is not None:
                line.tasks.popleft()
                line.free -= 1
                if self.is_open(line):
                    heapq.heappush(ready, line.tasks[0])
            self.start[task] = now
            if self.server[task] != NO_SERVER:
                self.enqueue(self.stations[self.server[task]], task, now)
            else:
                self.env.process(self.work(task, self.ticks(task, line, now)))

    def is_open(self, line: _Line) -> bool:
        """Rule 2: whether the head of the line is ready."""
        return bool(line.tasks) and self.waits[line.tasks[0]] == 0 and line.free > 0

    def enqueue(self, station: _Station, task: int, now: int) -> None:
        """Rule 7: bring the server to now, then hand it the request."""
        self.bring(station, now)
        station.kind.enqueue(station.state, task, station.table[self.plan.request[task]])
        if station.state[ERROR] != 0:
            self.trouble(SERVER_FAILED, now, station.index, int(station.state[ERROR]))
        if not station.changed.triggered:
            station.changed.succeed()

    def bring(self, station: _Station, now: int) -> None:
        """Advance a server to `now`, up to where all that completes has been collected."""
        if station.state[NOW] < now and station.kind.advance(station.state, now) != 0:
            self.trouble(SERVER_MISSED, now, station.index)

    def ticks(self, task: int, line: _Line | None, now: int) -> int:
        """How long a unit works on a task: what the plan says, or what a unit written in Python says."""
        if line is None or line.unit is None:
            ticks = int(self.plan.duration[task])
        else:
            ticks = line.unit(self.plan, task, now)
            if not isinstance(ticks, int | np.integer) or ticks < 0:
                raise CairnError(f"unit of {name_task(self.plan, task)} answered {ticks!r}, not a number of ticks >= 0")
        if now + int(ticks) >= NEVER:
            self.trouble(TOO_LATE, now, detail=task)
        return int(ticks)
