"""The contract suite of servers: every kind (DRAM, NoC, ...) passes it on random timed requests.

A test of a kind builds a server, draws `Timed` requests with Hypothesis, asks its oracle for the completions and
calls `check_contract`, which drives the compiled functions as an engine does, in several ways, and checks that

(a) completions equal those of the oracle, whatever the split of the time into advances;
(b) the counters at the end do not depend on that split;
(c) `next_event` never exceeds the next completion, never lies before the present, and exceeds `until` when
    nothing completed; an advance stops at the first completion;
(d) FIRST is reported once for requests that want it, at or before their DONE, and for no others;
(e) no request finishes in less than `least_ticks` of its row (its bytes at peak rate);
(f) the bytes counted are the bytes requested;
(g) a run leaves the server's initial state as it was.

    timed = [Timed(tick=0, task=3, row=(0, 1, ...)), ...]
    check_contract(server, timed, expected=oracle(timed), least_ticks=..., bytes_of=..., counted_bytes=...)

`run_requests` alone is the driver: it answers the completions as sorted `(tick, task, event)`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from cairn.base.ticks import NEVER
from cairn.hw_models.server import COUNT, DONE, DONE_AT, FIRST, FLAGS, NOW, WANTS_FIRST, IntArray, Server

Completion = tuple[int, int, int]


class Timed(NamedTuple):
    """A request of `task` that reaches the server at `tick`; `row` has one number per request column."""

    tick: int
    task: int
    row: Sequence[int]


class Driver:
    """Runs one copy of a server's state as an engine does, and checks the clauses that hold at every call."""

    def __init__(self, server: Server):
        self.kind = server.kind
        self.state: IntArray = server.fresh()
        self.completions: list[Completion] = []

    def advance_to(self, until: int) -> None:
        """Advance to `until`, collecting every completion on the way."""
        while self._step(until):
            pass

    def enqueue(self, request: Timed) -> None:
        assert int(self.state[NOW]) == request.tick, "a request is enqueued at the server's present"
        self.kind.enqueue(self.state, request.task, np.array(request.row, dtype=np.int64))
        assert self.kind.next_event(self.state) >= request.tick

    def drain(self, *, leap: bool) -> None:
        """Run until nothing is under way: in one leap to the end of time, or from one `next_event` to the next."""
        if leap:
            self.advance_to(NEVER - 1)
        while (bound := int(self.kind.next_event(self.state))) < NEVER:
            self.advance_to(bound)

    def _step(self, until: int) -> int:
        before, bound = int(self.state[NOW]), int(self.kind.next_event(self.state))
        assert bound >= before, "next_event lies before the present"
        count = int(self.kind.advance(self.state, until))
        now = int(self.state[NOW])
        assert before <= now <= until
        assert count == int(self.state[COUNT])
        if count == 0:
            assert now == until, "an advance without completions ends at `until`"
            assert int(self.kind.next_event(self.state)) > until, "nothing completed, yet next_event <= until"
            return 0
        assert now >= bound, f"a completion at {now} precedes next_event {bound}"
        at = int(self.state[DONE_AT])
        for code in self.state[at : at + count].tolist():
            self.completions.append((now, code // 2, code % 2))
        return count


def run_requests(
    server: Server,
    timed: Iterable[tuple[int, int, Sequence[int]]],
    *,
    cuts: Iterable[int] = (),
    leap: bool = False,
    advance_between_equals: bool = True,
) -> list[Completion]:
    """Completions `(tick, task, event)`, sorted, of requests `(tick, task, row)` on a fresh copy of the server."""
    return drive(server, timed, cuts=cuts, leap=leap, advance_between_equals=advance_between_equals)[0]


def drive(
    server: Server,
    timed: Iterable[tuple[int, int, Sequence[int]]],
    *,
    cuts: Iterable[int] = (),
    leap: bool = False,
    advance_between_equals: bool = True,
) -> tuple[list[Completion], Mapping[str, Any]]:
    """As `run_requests`, with the counters of the server at the end.

    `cuts` are ticks at which an advance ends although nothing arrives. `leap` drains in one advance instead of
    following `next_event`. Without `advance_between_equals`, requests of one tick are enqueued back to back.
    """
    driver = Driver(server)
    arrivals = sorted((Timed(*request) for request in timed), key=lambda request: (request.tick, request.task))
    pauses = sorted(set(cuts))
    for request in arrivals:
        while pauses and pauses[0] < request.tick:
            driver.advance_to(pauses.pop(0))
        if advance_between_equals or int(driver.state[NOW]) < request.tick:
            driver.advance_to(request.tick)
        driver.enqueue(request)
    for pause in pauses:
        if pause > int(driver.state[NOW]):
            driver.advance_to(pause)
    driver.drain(leap=leap)
    return sorted(driver.completions), server.kind.counters(driver.state)


def check_contract(
    server: Server,
    timed: Sequence[Timed],
    *,
    expected: Iterable[Completion],
    least_ticks: Callable[[Sequence[int]], int],
    bytes_of: Callable[[Sequence[int]], int],
    counted_bytes: Callable[[Mapping[str, Any]], int],
    cuts: Sequence[int] = (),
) -> Mapping[str, Any]:
    """Check clauses (a) to (g) for one server and one list of requests (task ids unique); answers the counters.

    `expected` are the oracle's completions, `least_ticks(row)` the ticks that the bytes of a request take at peak
    rate, `bytes_of(row)` its bytes and `counted_bytes(counters)` the bytes that the server counted. `cuts` are
    further ticks to stop at; tests draw them at random.
    """
    initial = server.state.copy()
    completions, counters = drive(server, timed)
    assert completions == sorted(expected)  # (a)
    _check_events(timed, completions, least_ticks)  # (d), (e)
    assert counted_bytes(counters) == sum(bytes_of(request.row) for request in timed)  # (f)

    near_completions = sorted({max(tick + delta, 0) for tick, _, _ in completions for delta in (-1, 0, 1)})
    splits: list[dict[str, Any]] = [
        {"leap": True},
        {"advance_between_equals": False},
        {"cuts": cuts},
        {"cuts": near_completions},
        {"cuts": sorted({*cuts, *near_completions}), "leap": True, "advance_between_equals": False},
    ]
    for split in splits:
        again, counted = drive(server, timed, **split)
        assert again == completions, f"another split of time gives other completions: {split}"  # (a)
        _check_equal_counters(counted, counters)  # (b)
    assert np.array_equal(server.state, initial), "a run changed the server's initial state"  # (g)
    return counters


def _check_events(
    timed: Sequence[Timed], completions: Sequence[Completion], least_ticks: Callable[[Sequence[int]], int]
) -> None:
    first = {task: tick for tick, task, event in completions if event == FIRST}
    done = {task: tick for tick, task, event in completions if event == DONE}
    assert len(first) + len(done) == len(completions), "an event is reported twice"
    assert set(done) == {request.task for request in timed}
    assert set(first) == {request.task for request in timed if request.row[FLAGS] & WANTS_FIRST}
    for task, tick in first.items():
        assert tick <= done[task]
    for request in timed:
        assert done[request.task] - request.tick >= least_ticks(request.row), f"task {request.task} beats its peak rate"


def _check_equal_counters(counted: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    assert counted.keys() == expected.keys()
    for name in expected:
        assert np.array_equal(counted[name], expected[name]), f"counter {name} depends on the split of time"
