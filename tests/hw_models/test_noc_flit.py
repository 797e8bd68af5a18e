"""The flit model: equal to its oracle, to closed forms and to BookSim2; what is conserved; deadlocks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import ConfigError
from cairn.hw_models.noc.flit import layout as at
from cairn.hw_models.noc.flit.measure import run_batch, run_packets
from cairn.hw_models.noc.flit.simulate import DeadlockError, FlitNetwork
from cairn.hw_models.noc.flit.spec import RouterSpec, pipeline
from cairn.hw_models.noc.network import Network, Routes, hops
from cairn.hw_models.noc.topologies import TopologySpec, build_network
from cairn.hw_models.noc.traffic import Packets, Pattern, PatternSpec, batch, build_pattern, trace
from tests.hw_models.noc_flit_cases import build, cases, oracle_results, results

Case = tuple[Network, Routes, RouterSpec, Packets]


def alone(router: RouterSpec, hops: int, flits: int) -> int:
    """Cycles from the creation of a packet to the arrival of its tail, on a line of routers without other traffic."""
    network, routes = build(kind="mesh", shape=(max(hops, 1) + 1, 1))
    return run_packets(network, routes, router, trace([0], [0], [hops], [flits], network)).latency.longest


@given(hops=st.integers(1, 6), flits=st.integers(1, 40), buffer=st.integers(1, 16))
@settings(max_examples=30, deadline=None)
def test_a_packet_alone_takes_the_time_of_the_closed_form(hops: int, flits: int, buffer: int) -> None:
    # shared digest of BookSim2: 2 + 5 h + floor((P - 1) / B) max(B, 6) + (P - 1) mod B through h routers
    expected = 2 + 5 * (hops + 1) + (flits - 1) // buffer * max(buffer, 6) + (flits - 1) % buffer
    assert alone(pipeline("std4", buffer_flits=buffer), hops, flits) == expected


@pytest.mark.parametrize(
    ("name", "each"), [("std4", 5), ("la3", 4), ("spec2", 3), ("int2", 3), ("isp2", 5), ("cr3", 5)]
)
def test_each_router_takes_the_cycles_of_its_pipeline(name: str, each: int) -> None:
    assert alone(pipeline(name), 5, 1) - alone(pipeline(name), 4, 1) == each


@pytest.mark.parametrize("name", ["routing_delay", "vc_alloc_delay", "sw_alloc_delay", "st_final_delay"])
def test_each_cycle_of_a_stage_adds_one_to_every_router(name: str) -> None:
    slow = RouterSpec.model_validate({name: 3})
    assert alone(slow, 4, 1) - alone(RouterSpec(), 4, 1) == 2 * 5


# Completion cycles and mean latencies of BookSim2 @28f43299, 8 x 8 mesh, 2 virtual channels of 4 flits:
# reference/noc/booksim2_batch.csv
@pytest.mark.parametrize(
    ("kind", "flits", "name", "size", "cycles", "latency"),
    [
        ("transpose", 16, "std4", 64, 7693, 2481.54),
        ("transpose", 4, "la3", 64, 1826, 566.222),
        ("transpose", 4, "spec2", 64, 1821, 562.786),
        ("transpose", 4, "int2", 64, 1821, 565.731),
        ("neighbor", 16, "cr3", 16, 590, 274.903),
    ],
)
def test_a_batch_takes_the_cycles_of_booksim2(
    kind: str, flits: int, name: str, size: int, cycles: int, latency: float
) -> None:
    network, routes = build(kind="mesh", shape=(8, 8))
    pattern = build_pattern(PatternSpec.model_validate({"kind": kind}), 64, (8, 8))
    result = run_batch(network, routes, pipeline(name), pattern, batch_size=size, packet_flits=flits)
    assert result.cycles == cycles
    assert result.latency.mean == pytest.approx(latency, abs=0.01)


@given(case=cases())
@settings(max_examples=60, deadline=None)
def test_the_compiled_model_agrees_with_the_oracle_on_every_packet(case: Case) -> None:
    network, routes, router, packets = case
    run = FlitNetwork(network, routes, router)
    run.offer(packets)
    tables = run.state[int(run.state[at.PACKETS]) :].reshape(-1, at.PACKET)[: packets.count, at.P_TABLE].copy()
    run.run()
    expected = oracle_results(network, routes, router, packets, tables)
    assert np.array_equal(results(run, packets.count), expected)


@given(case=cases(), cuts=st.lists(st.integers(1, 500), max_size=5))
@settings(max_examples=40, deadline=None)
def test_flits_and_packets_are_conserved_however_the_time_is_divided(case: Case, cuts: list[int]) -> None:
    network, routes, router, packets = case
    run = FlitNetwork(network, routes, router)
    run.offer(packets)
    for cut in sorted(cuts):
        run.run(max(cut, run.cycle))
        injected, ejected = run.node_flits
        assert injected.sum() - ejected.sum() == run.flits_inside >= 0
    run.run()
    whole = FlitNetwork(network, routes, router)
    whole.offer(packets)
    whole.run()
    count = packets.count
    assert np.array_equal(results(run, count), results(whole, count))
    assert run.unfinished == run.flits_inside == 0
    assert np.array_equal(run.node_flits[0], np.bincount(packets.source, packets.flits, network.nodes))
    assert np.array_equal(run.node_flits[1], np.bincount(packets.destination, packets.flits, network.nodes))
    finished = run.harvest()
    passed = hops(network, routes)[finished.table, finished.source, finished.destination]
    assert run.channel_flits[: network.links].sum() == (passed * finished.flits).sum()
    assert run.harvest().count == 0


@given(case=cases())
@settings(max_examples=40, deadline=None)
def test_no_packet_is_faster_than_its_links_and_its_flits(case: Case) -> None:
    network, routes, router, packets = case
    run = FlitNetwork(network, routes, router)
    run.offer(packets)
    run.run()
    finished = run.harvest()
    links = hops(network, routes)[finished.table, finished.source, finished.destination]
    least = links * int(network.link_cycles.min(initial=1)) + finished.flits - 1
    assert (finished.created <= finished.issued).all()
    assert (finished.issued <= finished.injected).all()
    assert (finished.head - finished.injected >= links * int(network.link_cycles.min(initial=1))).all()
    assert (finished.arrived - finished.injected >= least).all()


def _circle() -> tuple[Network, Routes]:
    """A ring of four routers whose packets all go the same way round, without a dateline."""
    network = build_network(TopologySpec(kind="ring", shape=(4,)))
    growing = np.flatnonzero(network.link_direction == 0)
    to_next = {int(network.link_source[link]): int(link) for link in growing}
    next_link = np.array([[-1 if router == node else to_next[router] for node in range(4)] for router in range(4)])
    return network, Routes(next_link[None], np.zeros((1, 4, 4), dtype=np.int64), np.zeros(1, dtype=np.int64))


def test_a_deadlock_names_the_links_that_wait_for_each_other() -> None:
    network, routes = _circle()
    packets = trace([0] * 4, [0, 1, 2, 3], [3, 0, 1, 2], [20] * 4, network)
    router = RouterSpec(virtual_channels=1)
    with pytest.raises(DeadlockError, match=r"deadlock on ring 4.*0->1, 1->2, 2->3, 3->0") as caught:
        run_packets(network, routes, router, packets)
    assert sorted(caught.value.cycle) == [(0, 1), (1, 2), (2, 3), (3, 0)]


def test_the_same_circle_does_no_harm_to_packets_that_fit_its_buffers() -> None:
    network, routes = _circle()
    packets = trace([0] * 4, [0, 1, 2, 3], [3, 0, 1, 2], [2] * 4, network)
    assert run_packets(network, routes, RouterSpec(virtual_channels=1), packets).latency.packets == 4


def test_idle_time_costs_nothing() -> None:
    network, routes = build(kind="mesh", shape=(4, 4))
    late = 1 << 40
    run = FlitNetwork(network, routes, RouterSpec())
    run.offer(trace([0, late], [0, 0], [15, 15], [4, 4], network))
    run.run()
    assert run.cycle == late + int(results(run, 2)[0, 3]) + 1
    assert int(run.state[at.WORK]) < 200


@pytest.mark.parametrize(
    ("topology", "vcs", "message"),
    [
        ({"kind": "torus", "shape": (4, 4)}, 3, r"virtual_channels \(3\) must be a multiple of 2 on torus 4 x 4"),
        ({"kind": "ring", "shape": (4,)}, 1, r"virtual_channels \(1\) must be a multiple of 2 on ring 4"),
    ],
)
def test_virtual_channels_must_divide_into_the_sets_of_the_routes(
    topology: dict[str, object], vcs: int, message: str
) -> None:
    network, routes = build(**topology)
    with pytest.raises(ConfigError, match=message):
        FlitNetwork(network, routes, RouterSpec(virtual_channels=vcs))


def test_buffers_beyond_what_the_model_holds_are_refused() -> None:
    network, routes = build(kind="mesh", shape=(32, 32))
    with pytest.raises(ConfigError, match=r"buffers for .* flits; the flit model holds"):
        FlitNetwork(network, routes, RouterSpec(virtual_channels=32, buffer_flits=4096))


def test_routes_of_another_network_are_refused() -> None:
    network, _ = build(kind="mesh", shape=(3, 3))
    _, routes = build(kind="mesh", shape=(4, 4))
    with pytest.raises(ConfigError, match="do not belong to mesh 3 x 3"):
        FlitNetwork(network, routes, RouterSpec())


def test_packets_of_another_network_and_of_the_past_are_refused() -> None:
    network, routes = build(kind="mesh", shape=(3, 3))
    run = FlitNetwork(network, routes, RouterSpec())
    with pytest.raises(ConfigError, match="source is 9, allowed are 0 to 8"):
        run.offer(batch(Pattern("uniform", 16), 1, 4))
    run.run(100)
    with pytest.raises(ValueError, match="not offered for the past"):
        run.offer(trace([99], [0], [1], [1], network))
    columns = [np.array(column) for column in ([101, 100], [0, 0], [1, 1], [1, 1])]
    with pytest.raises(ValueError, match="in the order of their cycles"):
        run.offer(Packets(*columns))


def test_an_unknown_pipeline_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'std5'; did you mean 'std4'\?"):
        pipeline("std5")


def test_speculation_needs_allocations_of_one_cycle() -> None:
    with pytest.raises(ValueError, match="speculative needs vc_alloc_delay and sw_alloc_delay of 1"):
        RouterSpec(speculative=True, vc_alloc_delay=2)
