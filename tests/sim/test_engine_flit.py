"""Both engines with the flit network as server of a plan."""

from __future__ import annotations

from functools import lru_cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import CairnError
from cairn.base.ticks import Clock
from cairn.hw_models.noc.flit.server import build_flit_server
from cairn.hw_models.noc.flit.spec import RouterSpec
from cairn.hw_models.noc.route_tables import build_routes
from cairn.hw_models.noc.topologies import TopologySpec, build_network
from cairn.hw_models.server import WANTS_FIRST, Server
from cairn.sim.plan.plan import NO_QUEUE, Plan
from tests.sim.random_plans import make_plan, plans
from tests.sim.test_engine_servers import Engine, both, check_same

ROW = st.tuples(
    st.sampled_from([0, WANTS_FIRST]), st.integers(0, 3), st.integers(0, 3), st.sampled_from([1, 64, 700])
).filter(lambda row: row[1] != row[2])


@lru_cache(maxsize=2)
def flit_server(transfers: int = 64) -> Server:
    topology = TopologySpec(kind="torus", shape=(2, 2))
    network = build_network(topology)
    routes = build_routes(topology, network, "o1turn")
    return build_flit_server(
        network, routes, RouterSpec(virtual_channels=4), Clock.from_ghz(1.6), link_bytes_per_cycle=32,
        max_packet_bytes=256, start_cycles=20, max_transfers=transfers,
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(plan=plans({"noc": ROW}))
def test_both_engines_give_one_trace_on_plans_with_the_flit_network(plan: Plan) -> None:
    trace = check_same(plan, {"noc": flit_server()})
    served = plan.server >= 0
    assert (trace.end[served] >= trace.first[served]).all()
    assert (trace.first[served] > trace.start[served]).all()


@both
def test_a_flit_network_without_room_ends_the_run(engine: Engine) -> None:
    plan = make_plan([NO_QUEUE] * 3, server=[0] * 3, request=[0] * 3, tables={"noc": [[0, 0, 1, 64]]})
    with pytest.raises(CairnError, match="server 'noc' reports error 2 at tick 0: it was given more at once"):
        engine(plan, {"noc": flit_server(1)})
