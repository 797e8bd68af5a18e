"""What `check_plan` refuses, and in which words."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import CairnError
from cairn.sim.plan.checks import check_plan
from cairn.sim.plan.plan import COMPUTE_COLUMNS, COPY, INDEX_COLUMNS, Edges, Plan, Queue
from tests.sim.random_plans import edges, make_plan, plans
from tests.sim.toy_pipe import pipe

SERVERS = {"pipe": pipe()}
GOOD = make_plan(
    [0, 1, 1],
    [1, 0, 2],
    done=[(0, 1)],
    first=[(0, 2)],
    server=[0, -1, -1],
    request=[0, -1, -1],
    tables={"pipe": [[1, 4]]},
)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def message_of(plan: Plan, servers: Any = SERVERS) -> str:
    with pytest.raises(CairnError) as caught:
        check_plan(plan, servers)
    return str(caught.value)


@settings(deadline=None)
@given(plan=plans({"pipe": st.just((0, 1))}))
def test_a_right_plan_passes(plan: Plan) -> None:
    check_plan(plan, SERVERS)


def test_numbers_of_things_are_taken_as_int32_where_they_fit() -> None:
    plan = dataclasses.replace(GOOD, op=ints(0, (1 << 31) - 1, -1), on_done=Edges(ints(0, 1, 1, 1), ints(2)))
    assert plan.op.tolist() == [0, (1 << 31) - 1, -1]
    indices = [getattr(plan, name) for name in INDEX_COLUMNS]
    indices += [part for edges in (plan.on_first, plan.on_done) for part in (edges.start, edges.targets)]
    assert {each.dtype for each in indices} == {np.dtype(np.int32)}
    assert {each.dtype for each in (plan.duration, plan.compute, *plan.requests)} == {np.dtype(np.int64)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"queue": [0, 1, 1]}, "plan: queue must be an array with one entry for each task"),
        ({"duration": ints(1, 0)}, "plan: duration has shape (2,), it must be (3,)"),
        ({"op": np.zeros(3)}, "plan: op must be an int32 array, not float64"),
        ({"row": ints(-1, 1 << 31, -1)}, "plan: row must be an int32 array, not int64"),
        ({"duration": ints(1, 0, 1).astype(np.int32)}, "plan: duration must be an int64 array, not int32"),
        ({"queue": ints(0, 2, 1)}, "plan: queue of task 1 is 2, but the plan has 2 queues (-1: none)"),
        ({"queue": ints(0, 1, -2)}, "plan: queue of task 2 is -2, but the plan has 2 queues (-1: none)"),
        (
            {"queues": (Queue("a", "u", 0), Queue("b", "u", 0, depth=0))},
            "plan: queue 'b' has depth 0; it must be at least 1",
        ),
        ({"server": ints(1, -1, -1)}, "plan: server of task 0 is 1, but the plan has 1 servers (-1: none)"),
        ({"servers": ("pip",)}, "plan: there is no server 'pip'; did you mean 'pipe'? (allowed: pipe)"),
        ({"requests": ()}, "plan: 1 servers need as many request tables, not 0"),
        (
            {"requests": (np.zeros((1, 3), np.int64),)},
            "plan: requests[0] (server 'pipe': flags, bytes) has shape (1, 3), it must be (1, 2)",
        ),
        ({"request": ints(1, -1, -1)}, "plan: task 0 names request 1 of server 'pipe', whose table has 1 rows"),
        ({"request": ints(-1, -1, -1)}, "plan: task 0 names request -1 of server 'pipe', whose table has 1 rows"),
        ({"kind": ints(0, 3, 0)}, "plan: kind of task 1 is 3, but there are 3 kinds: sync, compute, copy"),
        ({"kind": ints(0, COPY, 0), "row": ints(-1, 0, -1)}, "plan: task 1 names row 0 of copies, which has 0 rows"),
        ({"row": ints(-1, -2, -1)}, "plan: row of task 1 is -2; -1 means not described"),
        (
            {"operators": ("a",), "op": ints(0, 1, -1)},
            "plan: op of task 1 is 1, but the plan has 1 operators (-1: none)",
        ),
        ({"block": ints(0, -2, 0)}, "plan: block of task 1 is -2, but it counts the plan's blocks (-1: none)"),
        (
            {"compute": np.zeros((2, 3), np.int64)},
            "plan: compute has shape (2, 3), it must be (2, " + str(len(COMPUTE_COLUMNS)) + ")",
        ),
        ({"duration": ints(1, -5, 1)}, "plan: duration of task 1 is -5 ticks; it must not be negative"),
        (
            {"duration": ints(1 << 61, 1 << 61, 1 << 61)},
            "plan: the durations add up to more than 2**61 ticks (26 days); a run must be shorter",
        ),
        (
            {"waits": ints(0, 1, 2)},
            "plan: task 2 waits for 2 events, but 1 edges lead to it (an edge in on_first and one in on_done are two "
            "events)",
        ),
        (
            {"on_done": Edges(ints(0, 1, 0, 1), ints(1))},
            "plan: on_done.start must rise from 0 to the number of targets, 1",
        ),
        (
            {"on_done": Edges(ints(0, 1, 1, 2), ints(1))},
            "plan: on_done.start must rise from 0 to the number of targets, 1",
        ),
        (
            {"on_first": Edges(ints(0, 1, 1, 1), ints(3))},
            "plan: on_first.targets[0] is 3, but the plan has tasks 0 to 2",
        ),
    ],
)
def test_a_wrong_plan_is_refused_with_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    assert message_of(dataclasses.replace(GOOD, **changes)) == message


CYCLE = "the plan cannot run, its dependences and queue order form a cycle: "


def test_a_cycle_of_dependences_is_named() -> None:
    plan = make_plan([0, 1, 2, 2], done=[(0, 1), (2, 0), (0, 3)], first=[(1, 2)])
    assert message_of(plan) == (
        CYCLE + "task 0 (q0) must end before task 1 (q1), which must give its first data before task 2 (q2), which "
        "must end before task 0 (q0)"
    )


def test_a_cycle_through_queue_order_is_named_and_its_run_along_the_queue_is_one_step() -> None:
    plan = make_plan([0, 0, 0, 0, 1], done=[(3, 4), (4, 0)])
    assert message_of(plan) == (
        CYCLE + "task 0 (q0) stands in its queue before task 3 (q0), which must end before task 4 (q1), which must end "
        "before task 0 (q0)"
    )


def test_a_task_that_waits_for_itself_is_named() -> None:
    assert message_of(make_plan([-1], done=[(0, 0)])) == CYCLE + "task 0 must end before task 0"


def test_a_long_cycle_is_cut_short() -> None:
    n = 40
    text = message_of(make_plan(list(range(n)), done=[(task, (task + 1) % n) for task in range(n)]))
    assert "... 28 more steps ..." in text
    assert text.count("must end before") == 12


@settings(deadline=None)
@given(plan=plans(), data=st.data())
def test_an_edge_against_the_order_of_a_queue_is_a_cycle(plan: Plan, data: st.DataObject) -> None:
    lines = [np.flatnonzero(plan.queue == queue) for queue in range(len(plan.queues))]
    line = max(lines, key=len)
    if len(line) < 2:
        return
    early = data.draw(st.integers(0, len(line) - 2))
    late = data.draw(st.integers(early + 1, len(line) - 1))
    back = (int(line[late]), int(line[early]))
    pairs = [
        (int(task), int(target)) for task, target in zip(_sources(plan.on_done), plan.on_done.targets, strict=True)
    ]
    waits = plan.waits + np.bincount([back[1]], minlength=plan.n_tasks)
    cyclic = dataclasses.replace(plan, on_done=edges([*pairs, back], plan.n_tasks), waits=waits)
    assert message_of(cyclic).startswith(CYCLE)


def _sources(lists: Edges) -> np.ndarray:
    return np.repeat(np.arange(lists.start.size - 1), np.diff(lists.start))
