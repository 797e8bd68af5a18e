"""Packets over networks given as data: the rules N1 to N7 against the oracle, and the contract of servers."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cairn.base.spec import source_of
from cairn.hw_models.noc import layout
from cairn.hw_models.noc.network import Network, Routes, hops
from cairn.hw_models.noc.one_way import one_way_torus
from cairn.hw_models.noc.oracle import TableNetwork
from cairn.hw_models.noc.packets import PacketSpec
from cairn.hw_models.noc.route_tables import Routing, build_routes
from cairn.hw_models.noc.server import build_network_server
from cairn.hw_models.noc.topologies import TopologySpec, build_network
from cairn.hw_models.server import DONE, ERROR, WANTS_FIRST
from tests.hw_models.noc_cases import GHZ, events
from tests.hw_models.server_contract import Timed, check_contract, drive, run_requests

KINDS: list[tuple[TopologySpec, Routing]] = [
    (TopologySpec(kind="ring", shape=(5,)), "auto"),
    (TopologySpec(kind="ring", shape=(6,), wrap_cycles=3), "auto"),
    (TopologySpec(kind="mesh", shape=(2, 2, 3)), "auto"),
    (TopologySpec(kind="mesh", shape=(3, 4)), "o1turn"),
    (TopologySpec(kind="torus", shape=(4, 3)), "yx"),
    (TopologySpec(kind="torus", shape=(4, 2), link_cycles=2), "o1turn"),
    (TopologySpec(kind="concentrated_mesh", shape=(2, 2), concentration=3), "auto"),
    (TopologySpec(kind="crossbar", shape=(7,)), "auto"),
    (TopologySpec(kind="all_to_all", shape=(5,)), "auto"),
    (TopologySpec(kind="custom", shape=(5,), links=((0, 1), (1, 2), (2, 3), (3, 4), (1, 3))), "up_down"),
]
WIDTH = st.sampled_from([1.0, 1.5, 2.0, 3.7])


@st.composite
def wired(draw: st.DrawFn) -> tuple[Network, Routes]:
    number = draw(st.integers(0, len(KINDS)))
    if number == len(KINDS):
        return one_way_torus(3, 4, draw(st.sampled_from([(1, 1), (-1, 1), (-1, -1)])), draw(st.booleans()))
    spec, routing = KINDS[number]
    network = build_network(spec)
    return network, build_routes(spec, network, routing)


@st.composite
def packets(draw: st.DrawFn, nodes: int) -> PacketSpec:
    one_for_each = st.lists(WIDTH, min_size=nodes, max_size=nodes).map(tuple)
    return PacketSpec(
        link_bytes_per_cycle=draw(WIDTH),
        injection_bytes_per_cycle=draw(st.none() | WIDTH | one_for_each),
        ejection_bytes_per_cycle=draw(st.none() | WIDTH | one_for_each),
        start_cycles=draw(st.integers(1, 3)),
        injection_cycles=draw(st.integers(1, 3)),
        router_cycles=draw(st.integers(0, 2)),
        ejection_cycles=draw(st.integers(0, 3)),
        header_bytes=draw(st.integers(0, 2)),
        max_packet_bytes=draw(st.integers(1, 12)),
        buffer_flits=draw(st.none() | st.integers(1, 4)),
        credit_cycles=draw(st.integers(1, 6)),
        channels=draw(st.none() | st.integers(1, 3)),
        loopback=True,
    )


@settings(max_examples=150, deadline=None)
@given(st.data(), wired(), st.sampled_from([0, 30, 3_000, 60_000]))
def test_a_network_given_as_data_keeps_the_contract_and_agrees_with_the_oracle(
    data: st.DataObject, network: tuple[Network, Routes], spread: int
) -> None:
    wiring, routes = network
    spec = data.draw(packets(wiring.nodes))
    node, least = st.integers(0, wiring.nodes - 1), 0 if spec.header_bytes else 1
    row = st.tuples(st.sampled_from([0, WANTS_FIRST]), node, node, st.integers(least, 40))
    tasks = data.draw(st.lists(st.integers(0, 99), min_size=1, max_size=20, unique=True))
    timed = [Timed(data.draw(st.integers(0, spread)), task, data.draw(row)) for task in tasks]
    check_contract(
        build_network_server(spec, wiring, routes, GHZ, max_transfers=20),
        timed,
        expected=TableNetwork(spec, wiring, routes, GHZ).run(timed),
        least_ticks=lambda row: GHZ.ticks(ceil(row[3] / max(_ports(spec, spec.ejection_bytes_per_cycle, row[2])))),
        bytes_of=lambda row: row[3],
        counted_bytes=lambda counted: int(counted["bytes"]),
        cuts=data.draw(st.lists(st.integers(0, 100_000), max_size=5)),
    )


def _ports(spec: PacketSpec, port: float | tuple[float, ...] | None, node: int) -> list[Fraction]:
    width = port[node] if isinstance(port, tuple) else port or spec.link_bytes_per_cycle
    return [Fraction(str(width))]


def done(spec: PacketSpec, topology: TopologySpec, requests: list[tuple[int, int, int]]) -> list[int]:
    """Cycles to DONE of transfers (source, destination, bytes) that are all requested at tick 0, at 1 GHz."""
    network = build_network(topology)
    timed = [Timed(0, task, (0, *request)) for task, request in enumerate(requests)]
    at = events(build_network_server(spec, network, build_routes(topology, network), GHZ), timed)
    return [at[task, DONE] // 1000 for task in range(len(timed))]


LINE = TopologySpec(kind="mesh", shape=(4,))
WIDE = PacketSpec(link_bytes_per_cycle=32)


def test_a_width_may_be_a_decimal_fraction_and_counts_exactly() -> None:
    """2810 bytes at 28.1 a cycle are 100 cycles, one byte more is 101."""
    spec = WIDE.model_copy(update={"injection_bytes_per_cycle": 28.1})
    assert done(spec, LINE, [(0, 1, 2810)]) == [1 + 1 + 2 + 100]
    assert done(spec, LINE, [(0, 1, 2811)]) == [1 + 1 + 2 + 101]


def test_a_header_is_passed_by_every_port_and_link_and_may_be_all_there_is() -> None:
    spec = WIDE.model_copy(update={"header_bytes": 32})
    assert done(spec, LINE, [(0, 3, 64)]) == [1 + 1 + 3 * 2 + 3]
    assert done(spec, LINE, [(0, 3, 0)]) == [1 + 1 + 3 * 2 + 1]


def test_ports_may_differ_from_node_to_node() -> None:
    spec = WIDE.model_copy(update={"injection_bytes_per_cycle": (32.0, 8.0, 32.0, 32.0)})
    assert done(spec, LINE, [(0, 1, 640), (1, 2, 640)]) == [4 + 20, 4 + 80]


def test_ways_in_and_out_and_wires_take_the_cycles_that_the_parameters_say() -> None:
    spec = PacketSpec(link_bytes_per_cycle=32, injection_cycles=5, router_cycles=8, ejection_cycles=4)
    assert done(spec, LINE, [(0, 2, 320)]) == [1 + 5 + 2 * 9 + 10 + 4]
    assert done(spec, LINE.model_copy(update={"link_cycles": 3}), [(0, 2, 320)]) == [1 + 5 + 2 * 11 + 10 + 4]


def test_a_long_packet_moves_a_buffer_of_flits_in_a_credit_round_trip() -> None:
    """Zero-load latency of BookSim2's pipeline: floor((P - 1) / B) * max(B, 6) + (P - 1) mod B after the head."""
    for flits, buffer in [(1, 4), (4, 4), (16, 4), (16, 8), (16, 16)]:
        spec = PacketSpec(link_bytes_per_cycle=1, buffer_flits=buffer, credit_cycles=6)
        after_head = (flits - 1) // buffer * max(buffer, 6) + (flits - 1) % buffer
        assert done(spec, LINE, [(0, 3, flits)]) == [1 + 1 + 3 * 2 + after_head + 1]


def test_a_stalled_packet_keeps_its_link_when_there_is_one_channel_and_shares_it_when_there_are_more() -> None:
    """Ten flits with one place in the buffer take 9 * 6 + 1 cycles; the second packet meets the first at one link."""
    one, two, many = (
        PacketSpec(link_bytes_per_cycle=1, buffer_flits=1, credit_cycles=6, channels=channels)
        for channels in (1, 2, None)
    )
    # 0 -> 2 reaches link 1 -> 2 two cycles behind 1 -> 2.
    both = [(1, 2, 10), (0, 2, 10)]
    alone = 1 + 1 + 2 + 55
    assert [done(spec, LINE, both) for spec in (one, two, many)] == [
        [alone, alone + 55], [alone, alone + 28], [alone, alone + 10]
    ]  # fmt: skip


def test_transfers_of_a_node_take_the_tables_in_turn() -> None:
    spec = TopologySpec(kind="mesh", shape=(2, 2))
    network = build_network(spec)
    server = build_network_server(WIDE, network, build_routes(spec, network, "o1turn"), GHZ)
    counted = drive(server, [Timed(1000 * task, task, (0, 0, 3, 64)) for task in range(6)])[1]
    ends = zip(counted["link_source"].tolist(), counted["link_destination"].tolist(), strict=True)
    moved = dict(zip(ends, counted["link_bytes"].tolist(), strict=True))
    assert moved[0, 1] == moved[1, 3] == moved[0, 2] == moved[2, 3] == 3 * 64


def test_hop_bytes_are_bytes_times_links() -> None:
    spec = TopologySpec(kind="ring", shape=(7,))
    network = build_network(spec)
    routes = build_routes(spec, network)
    timed = [Timed(0, task, (0, 0, task, 100)) for task in range(1, 7)]
    counted = drive(build_network_server(WIDE, network, routes, GHZ), timed)[1]
    assert counted["hop_bytes"] == 100 * int(hops(network, routes)[0, 0].sum()) == counted["link_bytes"].sum()


def test_a_node_sends_to_itself_only_where_that_is_allowed() -> None:
    spec = PacketSpec(link_bytes_per_cycle=32, loopback=True)
    assert done(spec, LINE, [(2, 2, 320)]) == [1 + 1 + 10]
    network = build_network(LINE)
    server = build_network_server(WIDE, network, build_routes(LINE, network), GHZ)
    state = server.fresh()
    server.kind.enqueue(state, 0, np.array([0, 2, 2, 320], dtype=np.int64))
    assert state[ERROR] == layout.BAD_REQUEST


@pytest.mark.parametrize("row_first", [True, False])
@pytest.mark.parametrize("step", [(1, 1), (-1, -1), (1, -1)])
def test_routes_of_a_one_way_torus_go_the_way_of_its_rings(
    step: tuple[int, int], row_first: bool
) -> None:
    columns, rows = 4, 3
    network, routes = one_way_torus(columns, rows, step, row_first)
    nodes = np.arange(columns * rows)
    x, y = nodes % columns, nodes // columns
    across = (step[0] * (x[None, :] - x[:, None])) % columns
    down = (step[1] * (y[None, :] - y[:, None])) % rows
    assert np.array_equal(hops(network, routes)[0], across + down)
    first = routes.next_link[0, 0, 1 + columns]
    assert network.link_dimension[first] == (0 if row_first else 1)


def test_a_one_way_torus_of_one_row_is_refused() -> None:
    with pytest.raises(ValueError, match="is 2 x 2 at least"):
        one_way_torus(4, 1, (1, 1), True)


def test_port_widths_of_another_number_of_nodes_are_refused() -> None:
    network = build_network(LINE)
    spec = PacketSpec(link_bytes_per_cycle=32, injection_bytes_per_cycle=(8.0, 8.0))
    with pytest.raises(ValueError, match="port widths of 4 nodes are wanted, got 2"):
        build_network_server(spec, network, build_routes(LINE, network), GHZ)
    with pytest.raises(ValidationError, match="injection_bytes_per_cycle names 2 nodes, ejection_bytes_per_cycle 1"):
        PacketSpec(link_bytes_per_cycle=1, injection_bytes_per_cycle=(1.0, 1.0), ejection_bytes_per_cycle=(1.0,))


@pytest.mark.parametrize("field", list(PacketSpec.model_fields))
def test_every_parameter_of_packets_names_its_source(field: str) -> None:
    assert source_of(PacketSpec, field)


def test_a_long_run_uses_records_again() -> None:
    network, routes = one_way_torus(3, 3, (1, 1), True)
    timed = [Timed(200_000 * task, task, (WANTS_FIRST, task % 9, (task + 4) % 9, 200)) for task in range(100)]
    server = build_network_server(WIDE, network, routes, GHZ, max_transfers=2, max_packets=8)
    assert run_requests(server, timed) == TableNetwork(WIDE, network, routes, GHZ).run(timed)
