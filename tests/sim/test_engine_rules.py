"""The rules of `cairn.sim.engine`, one test each, on both engines; and the closed form of plans without servers."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from cairn.sim.engine import compiled, reference
from cairn.sim.plan.plan import NO_QUEUE, Plan, Trace
from tests.sim.random_plans import make_plan, plans

Engine = Callable[..., Trace]
both = pytest.mark.parametrize("engine", [compiled.simulate_plan, reference.simulate_plan], ids=["compiled", "simpy"])


def closed_form(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Start and end of every task of a plan without servers, from the rules and without an event loop.

    A task starts when its predecessors have ended, the task before it in its queue has started, and its queue has a
    free place: of k tasks before it all but depth - 1 have ended. Repeated until nothing changes.
    """
    start = np.zeros(plan.n_tasks, np.int64)
    lines = [np.flatnonzero(plan.queue == queue) for queue in range(len(plan.queues))]
    while True:
        end = start + plan.duration
        new = np.zeros_like(start)
        for edges in (plan.on_first, plan.on_done):
            np.maximum.at(new, edges.targets, np.repeat(end, np.diff(edges.start)))
        for line, queue in zip(lines, plan.queues, strict=True):
            for place, task in enumerate(line[1:], 1):
                new[task] = max(new[task], new[line[place - 1]])
                if place >= queue.depth:
                    new[task] = max(new[task], np.sort(end[line[:place]])[place - queue.depth])
        if (new == start).all():
            return start, end
        start = new


@both
@settings(deadline=None)
@given(plan=plans())
def test_every_task_starts_as_soon_as_dependences_line_and_places_allow_and_no_sooner(
    engine: Engine, plan: Plan
) -> None:
    trace = engine(plan, {})
    start, end = closed_form(plan)
    np.testing.assert_array_equal(trace.start, start)
    np.testing.assert_array_equal(trace.end, end)
    np.testing.assert_array_equal(trace.first, end)


@both
def test_an_empty_plan_ends_at_tick_0(engine: Engine) -> None:
    assert engine(make_plan([], depth=[1]), {}).makespan == 0


@both
def test_the_head_of_the_line_blocks_the_tasks_behind_it(engine: Engine) -> None:
    # Task 1 heads queue 1 and waits for task 0; task 2 behind it waits for nothing and waits all the same.
    trace = engine(make_plan([0, 1, 1], [10, 1, 1], done=[(0, 1)], depth=[1, 2]), {})
    assert trace.start.tolist() == [0, 10, 10]


@both
def test_a_queue_holds_at_most_depth_tasks_in_flight_and_a_short_one_frees_its_place(engine: Engine) -> None:
    trace = engine(make_plan([0] * 5, [9, 2, 2, 9, 1], depth=[2]), {})
    assert trace.start.tolist() == [0, 0, 2, 4, 9]


@both
def test_a_task_without_a_queue_starts_when_its_predecessors_have_ended(engine: Engine) -> None:
    trace = engine(make_plan([NO_QUEUE] * 4, [3, 5, 1, 1], done=[(0, 2), (1, 2)]), {})
    assert trace.start.tolist() == [0, 0, 5, 0]


@both
def test_a_chain_of_zero_length_tasks_takes_no_time(engine: Engine) -> None:
    trace = engine(make_plan([0, 1, 0, NO_QUEUE], [4, 0, 0, 0], done=[(0, 1), (1, 2), (2, 3)]), {})
    assert trace.start.tolist() == [0, 4, 4, 4]
    assert trace.end.tolist() == [4, 4, 4, 4]


@both
def test_first_data_of_a_task_that_no_server_serves_comes_at_its_end(engine: Engine) -> None:
    trace = engine(make_plan([0, 1], [6, 1], first=[(0, 1)]), {})
    assert trace.first.tolist() == [6, 7]
    assert trace.start[1] == 6


@both
def test_an_edge_for_first_data_and_one_for_the_end_are_two_events(engine: Engine) -> None:
    plan = make_plan([0, 1], [6, 1], first=[(0, 1)], done=[(0, 1), (0, 1)])
    assert plan.waits[1] == 3
    assert engine(plan, {}).start[1] == 6


@both
def test_times_beyond_32_bits_are_kept(engine: Engine) -> None:
    trace = engine(make_plan([0, 0], [1 << 59, (1 << 59) + 1]), {})
    assert trace.makespan == (1 << 60) + 1


def test_a_unit_in_python_answers_durations_when_its_tasks_are_issued() -> None:
    plan = make_plan([0, 0, 1], [1, 1, 5])
    issued: list[tuple[int, int]] = []

    def unit(plan: Plan, task: int, now: int) -> int:
        issued.append((task, now))
        return 10 + now

    trace = reference.simulate_plan(plan, {}, {"unit0": unit})
    assert trace.end.tolist() == [10, 30, 5]
    assert issued == [(0, 0), (1, 10)]


def test_progress_reports_end_at_the_number_of_tasks() -> None:
    seen: list[tuple[int, int]] = []
    compiled.simulate_plan(make_plan([0] * 50), {}, progress=lambda ended, tasks: seen.append((ended, tasks)))
    assert seen[-1] == (50, 50)


def big_plan() -> Plan:
    """3000 tasks with many ties, the same in every process."""
    rng = np.random.Generator(np.random.PCG64(5))
    n = 3000
    pairs = [(int(rng.integers(max(0, task - 40), task)), task) for task in range(1, n) for _ in range(2)]
    depth = [1, 2, 3, 1, 1, 2, 4, 1]
    queue = rng.integers(-1, len(depth), n).tolist()
    return make_plan(queue, rng.integers(0, 4, n).tolist(), done=pairs[::2], first=pairs[1::2], depth=depth)


def trace_digest(trace: Trace) -> str:
    return hashlib.sha256(b"".join(part.tobytes() for part in (trace.start, trace.first, trace.end))).hexdigest()


def test_another_process_with_another_hash_seed_gives_the_same_trace() -> None:
    code = (
        "from tests.sim import test_engine_rules as t;"
        "print(*(t.trace_digest(e.simulate_plan(t.big_plan(), {})) for e in (t.compiled, t.reference)))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    root = Path(__file__).resolve().parents[2]
    out = subprocess.run([sys.executable, "-c", code], cwd=root, env=environment, capture_output=True, text=True)
    here = trace_digest(compiled.simulate_plan(big_plan(), {}))
    assert out.stdout.split() == [here, here], out.stderr
