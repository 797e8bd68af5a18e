"""Both engines with servers: the rules that servers see, equality of traces, and servers that break their contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import BugError, CairnError, PlanError
from cairn.base.ticks import Clock
from cairn.hw_models.dram.build import build_dram
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.noc.server import build_noc_server
from cairn.hw_models.noc.spec import NocSpec
from cairn.hw_models.server import IS_WRITE, WANTS_FIRST, Server
from cairn.sim.engine import compiled, reference
from cairn.sim.engine.trouble import own_plan
from cairn.sim.plan.plan import NO_QUEUE, Plan, Trace
from tests.sim import toy_pipe
from tests.sim.random_plans import make_plan, plans
from tests.sim.toy_pipe import pipe

Engine = Callable[..., Trace]
both = pytest.mark.parametrize("engine", [compiled.simulate_plan, reference.simulate_plan], ids=["compiled", "simpy"])

PIPES = {"fast": pipe(), "slow": pipe(latency=2, ticks_per_byte=3), "loose": pipe(latency=5, loose=True)}
PIPE_ROW = st.tuples(st.just(0), st.sampled_from([0, 0, 1, 2, 5]))


def check_same(plan: Plan, servers: Mapping[str, Server]) -> Trace:
    """Both engines agree to the tick, and their servers counted the same."""
    ours, other = compiled.simulate_plan(plan, servers), reference.simulate_plan(plan, servers)
    for part in ("start", "first", "end"):
        np.testing.assert_array_equal(getattr(ours, part), getattr(other, part), err_msg=part)
    for name, one, two in zip(plan.servers, ours.states, other.states, strict=True):
        counts = servers[name].kind.counters
        _check_same_counts(counts(one), counts(two))
    return ours


def _check_same_counts(one: Mapping[str, Any], two: Mapping[str, Any]) -> None:
    assert one.keys() == two.keys()
    for key in one:
        np.testing.assert_array_equal(one[key], two[key], err_msg=key)


@settings(deadline=None)
@given(plan=plans(dict.fromkeys(PIPES, PIPE_ROW)))
def test_both_engines_give_one_trace_on_plans_with_toy_servers(plan: Plan) -> None:
    trace = check_same(plan, PIPES)
    assert (trace.start <= trace.first).all() and (trace.first <= trace.end).all()
    for index, table in enumerate(plan.requests):
        used = plan.request[plan.server == index]
        assert toy_pipe.counters(trace.states[index])["bytes"] == table[used, 1].sum()


@lru_cache(maxsize=2)
def real_servers(model: str = "controller") -> dict[str, Server]:
    """Two channels of DRAM and a 2 x 2 network."""
    noc = build_noc_server(NocSpec(), 2, 2, Clock.from_ghz(1.6), max_transfers=64)
    dram = build_dram(DramSpec.model_validate({"model": model}), channels=2, cores=2, max_requests=64)
    return {"dram": dram, "noc": noc}


DRAM_ROW = st.tuples(
    st.sampled_from([0, IS_WRITE]), st.integers(0, 1), st.sampled_from([0, 2]), st.sampled_from([1, 2]),
    st.integers(0, 3), st.just(256), st.just(0), st.sampled_from([32, 256, 1000, 4096]),
)  # fmt: skip
NOC_ROW = st.tuples(st.just(0), st.integers(0, 3), st.integers(0, 3), st.sampled_from([1, 64, 1000])).filter(
    lambda row: row[1] != row[2]
)


@pytest.mark.parametrize("model", ["controller", "voxel_estimator"])
@settings(max_examples=40, deadline=None)
@given(plan=plans({"dram": DRAM_ROW, "noc": NOC_ROW}))
def test_both_engines_give_one_trace_on_plans_with_dram_and_network(model: str, plan: Plan) -> None:
    trace = check_same(plan, real_servers(model))
    served = plan.server >= 0
    assert (trace.end[served] > trace.start[served]).all()


@both
@pytest.mark.parametrize("name", ["dram", "noc"])
def test_a_real_server_without_room_ends_the_run(engine: Engine, name: str) -> None:
    servers = {
        "dram": build_dram(DramSpec(), channels=1, max_requests=1, cores=1),
        "noc": build_noc_server(NocSpec(), 2, 2, Clock.from_ghz(1.6), max_transfers=1),
    }
    rows = {"dram": [0, 0, 0, 1, 0, 256, 0, 256], "noc": [0, 0, 1, 64]}
    plan = make_plan([NO_QUEUE] * 3, server=[0] * 3, request=[0] * 3, tables={name: [rows[name]]})
    with pytest.raises(CairnError, match=f"server '{name}' reports error [0-9] at tick 0: it was given more at once"):
        engine(plan, servers)


@both
def test_first_data_releases_its_successors_before_the_end_does(engine: Engine) -> None:
    plan = make_plan(
        [0, 1, 2], first=[(0, 1)], done=[(0, 2)], server=[0, -1, -1], request=[0, -1, -1],
        tables={"pipe": [[WANTS_FIRST, 10]]},
    )  # fmt: skip
    trace = engine(plan, {"pipe": pipe(latency=4)})
    assert (trace.first[0], trace.end[0]) == (4, 14)
    assert trace.start.tolist() == [0, 4, 14]


@both
def test_without_the_flag_first_data_comes_at_the_end(engine: Engine) -> None:
    plan = make_plan([0, 1], first=[(0, 1)], server=[0, -1], request=[0, -1], tables={"pipe": [[0, 10]]})
    trace = engine(plan, {"pipe": pipe(latency=4)})
    assert trace.first.tolist() == [14, 15]


@both
def test_requests_of_one_tick_are_enqueued_in_task_id_order(engine: Engine) -> None:
    # Tasks 1, 2 and 3 become ready at tick 5, task 3 by an edge that is listed first; the pipe serves in order.
    plan = make_plan(
        [0, 3, 2, 1], [5, 0, 0, 0], done=[(0, 3), (0, 2), (0, 1)], server=[-1, 0, 0, 0], request=[-1, 0, 1, 2],
        tables={"pipe": [[0, 3], [0, 3], [0, 3]]},
    )  # fmt: skip
    assert engine(plan, {"pipe": pipe()}).end.tolist() == [5, 8, 11, 14]


@both
def test_the_next_head_of_a_queue_takes_its_turn_by_id_in_the_same_phase(engine: Engine) -> None:
    # Queue 0 has tasks 0 and 1, queue 1 task 2: issued 0, 1, 2 and not 0, 2, 1.
    plan = make_plan([0, 0, 1], depth=[2, 1], server=[0] * 3, request=[0, 1, 2], tables={"pipe": [[0, 1]] * 3})
    assert engine(plan, {"pipe": pipe()}).end.tolist() == [1, 2, 3]


@both
def test_what_a_server_completes_at_once_belongs_to_the_next_round(engine: Engine) -> None:
    # Round 1 issues task 0 (zero length) and task 2 (served at once). Both complete in round 2, so that their
    # successors 3 and 1 are issued there together, in id order, and the pipe serves 1 before 3.
    plan = make_plan(
        [0, 1, 2, 3], [0, 0, 0, 0], done=[(2, 1), (0, 3)], server=[-1, 1, 0, 1], request=[-1, 0, 0, 1],
        tables={"at once": [[0, 0]], "pipe": [[0, 4], [0, 4]]},
    )  # fmt: skip
    trace = engine(plan, {"at once": pipe(), "pipe": pipe()})
    assert trace.end.tolist() == [0, 4, 0, 8]


@both
def test_a_served_task_holds_its_place_in_the_queue_until_its_end(engine: Engine) -> None:
    plan = make_plan([0, 0], server=[0, -1], request=[0, -1], tables={"pipe": [[WANTS_FIRST, 8]]})
    assert engine(plan, {"pipe": pipe(latency=2)}).start.tolist() == [0, 10]


@both
def test_the_initial_state_of_a_server_is_left_as_it_was(engine: Engine) -> None:
    server = pipe()
    before = server.state.copy()
    engine(make_plan([0], server=[0], request=[0], tables={"pipe": [[0, 8]]}), {"pipe": server})
    np.testing.assert_array_equal(server.state, before)


@both
def test_servers_are_advanced_to_the_last_tick(engine: Engine) -> None:
    plan = make_plan([0, 1], [9, 1], server=[-1, 0], request=[-1, 0], tables={"pipe": [[0, 1]]})
    assert engine(plan, {"pipe": pipe()}).states[0][0] == 9


def test_the_reference_engine_runs_servers_in_plain_python_and_the_compiled_one_says_that_it_cannot() -> None:
    plan = make_plan([0] * 3, server=[0] * 3, request=[0, 1, 0], tables={"pipe": [[0, 3], [1, 2]]})
    plain = pipe(latency=1, kind=toy_pipe.IN_PYTHON)
    assert reference.simulate_plan(plan, {"pipe": plain}).end.tolist() == [4, 7, 11]
    with pytest.raises(CairnError) as caught:
        compiled.simulate_plan(plan, {"pipe": plain})
    assert str(caught.value) == (
        "server 'pipe': enqueue of kind 'plain pipe' is not compiled; decorate it with cairn.base.kernel.kernel, or "
        "run the plan with the reference engine"
    )


CONTRACT = "server 'pipe' breaks the server contract at tick "


@both
@pytest.mark.parametrize(
    ("server", "kind", "message"),
    [
        (
            pipe(room=1),
            PlanError,
            "server 'pipe' reports error 1 at tick 0: it was given more at once than its state has room for",
        ),
        (
            pipe(fault=toy_pipe.LATE),
            BugError,
            CONTRACT + "5: it completed something before the tick that its next_event had named as the earliest",
        ),
        (
            pipe(fault=toy_pipe.IDLE),
            BugError,
            CONTRACT + "0: it completed nothing when it was advanced, but its next_event does not lie in the future",
        ),
        (
            pipe(fault=toy_pipe.INVENTS),
            BugError,
            CONTRACT + "4: it completed a task that it was not serving (task 2 (queue 'q1'))",
        ),
        (
            pipe(fault=toy_pipe.NEVER_DONE),
            BugError,
            "the run is stuck at tick 0: 3 of 3 tasks have not ended and nothing is under way; server 'pipe' never "
            "completed task 0 (queue 'q0'), issued at tick 0",
        ),
    ],
    ids=["full", "late", "idle", "invents", "stuck"],
)
def test_a_server_that_cannot_go_on_or_breaks_its_contract_is_named(
    engine: Engine, server: Server, kind: type[Exception], message: str
) -> None:
    plan = make_plan(
        [0, NO_QUEUE, 1], done=[(0, 2)], server=[0, 0, -1], request=[0, 1, -1], tables={"pipe": [[0, 2]] * 2}
    )
    with pytest.raises(kind) as caught:
        engine(plan, {"pipe": server})
    assert str(caught.value).startswith(message)
    assert isinstance(caught.value, CairnError) == (kind is PlanError)


@both
def test_a_plan_by_hand_that_asks_too_much_is_a_mistake_and_one_of_cairns_own_a_bug(engine: Engine) -> None:
    plan = make_plan([NO_QUEUE] * 2, server=[0, 0], request=[0, 0], tables={"pipe": [[0, 2]]})
    with pytest.raises(PlanError, match="server 'pipe' reports error 1"):
        engine(plan, {"pipe": pipe(room=1)})
    told = r"own plan of run 'x' fails.*: server 'pipe' reports"
    with pytest.raises(BugError, match=told) as caught, own_plan("run 'x'"):
        engine(plan, {"pipe": pipe(room=1)})
    assert not isinstance(caught.value, CairnError)
    assert isinstance(caught.value.__cause__, PlanError)
    with pytest.raises(CairnError, match="there is no server 'pipe'"), own_plan("run 'x'"):
        engine(plan, {})


@both
def test_a_run_beyond_the_last_tick_is_refused(engine: Engine) -> None:
    size = (1 << 61) + (1 << 60)
    plan = make_plan([0, 0], [0, 1 << 60], server=[0, -1], request=[0, -1], tables={"pipe": [[0, size]]})
    with pytest.raises(CairnError, match=r"task 1 \(queue 'q0'\) issued at tick \d+ would end after 2\*\*62 ticks"):
        engine(plan, {"pipe": pipe()})
