"""Networks, routers and packets that the tests of the flit model draw, and short ways to run them."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from cairn.hw_models.noc.flit import layout as at
from cairn.hw_models.noc.flit.oracle import OracleNetwork
from cairn.hw_models.noc.flit.oracle_parts import OraclePacket
from cairn.hw_models.noc.flit.simulate import FlitNetwork
from cairn.hw_models.noc.flit.spec import RouterSpec
from cairn.hw_models.noc.network import IntArray, Network, Routes
from cairn.hw_models.noc.route_tables import Routing, build_routes
from cairn.hw_models.noc.topologies import TopologySpec, build_network
from cairn.hw_models.noc.traffic import Packets, trace

Built = tuple[Network, Routes]
Rows = list[tuple[int, int, int, int]]

SHAPES: dict[str, list[tuple[int, ...]]] = {
    "mesh": [(3, 2), (2, 2), (4, 1), (2, 2, 2), (1, 5)],
    "torus": [(3, 2), (4, 2), (3, 3), (2, 2)],
    "ring": [(3,), (4,), (6,)],
    "concentrated_mesh": [(2, 2), (3, 1)],
    "crossbar": [(5,), (2,)],
    "all_to_all": [(4,)],
    "custom": [(5,)],
}


def build(routing: Routing = "auto", **topology: object) -> Built:
    spec = TopologySpec.model_validate(topology)
    network = build_network(spec)
    return network, build_routes(spec, network, routing)


@st.composite
def networks(draw: st.DrawFn) -> Built:
    """A small network of any kind with routes that fit it."""
    kind = draw(st.sampled_from(list(SHAPES)))
    topology: dict[str, Any] = {"kind": kind, "shape": draw(st.sampled_from(SHAPES[kind]))}
    topology["link_cycles"] = draw(st.integers(1, 3))
    routing: Routing = "auto"
    if kind == "concentrated_mesh":
        topology["concentration"] = draw(st.integers(1, 3))
    if kind == "custom":
        topology["links"] = ((0, 1), (1, 2), (2, 3), (3, 0), (3, 4), (1, 4))
        routing = "up_down"
    elif kind in ("mesh", "torus", "concentrated_mesh"):
        routing = draw(st.sampled_from(["xy", "yx", "o1turn"]))
    return build(routing, **topology)


@st.composite
def routers(draw: st.DrawFn, sets: int) -> RouterSpec:
    """Small buffers and any pipeline; virtual channels for `sets` sets."""
    speculative = draw(st.booleans())
    one = st.just(1)
    return RouterSpec(
        virtual_channels=sets * draw(st.integers(1, 3)),
        buffer_flits=draw(st.integers(1, 5)),
        routing_delay=draw(st.integers(0, 3)),
        vc_alloc_delay=draw(one if speculative else st.integers(1, 3)),
        sw_alloc_delay=draw(one if speculative else st.integers(1, 3)),
        st_final_delay=draw(st.integers(1, 3)),
        credit_delay=draw(st.integers(0, 3)),
        speculative=speculative,
        input_speedup=draw(st.integers(1, 3)),
        internal_speedup=draw(st.integers(1, 3)),
    )


@st.composite
def packet_rows(draw: st.DrawFn, nodes: int) -> Rows:
    """Up to 40 packets (cycle, source, destination, flits), close together or apart."""
    spread = draw(st.sampled_from([0, 5, 40, 400]))
    node = st.integers(0, nodes - 1)
    row = st.tuples(st.integers(0, spread), node, node, st.integers(1, 7))
    return draw(st.lists(row, min_size=1, max_size=40))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Network, Routes, RouterSpec, Packets]:
    network, routes = draw(networks())
    router = draw(routers(routes.sets))
    return network, routes, router, trace(*zip(*draw(packet_rows(network.nodes)), strict=True), network)


def results(run: FlitNetwork, count: int) -> IntArray:
    """(count, 4): cycles in which the first `count` packets offered were issued, injected, and arrived (head, tail)."""
    table = run.state[int(run.state[at.PACKETS]) :].reshape(-1, at.PACKET)[:count]
    return table[:, [at.P_ISSUED, at.P_INJECTED, at.P_HEAD, at.P_ARRIVED]].copy()


def oracle_results(
    network: Network, routes: Routes, router: RouterSpec, packets: Packets, tables: IntArray
) -> IntArray:
    """What the oracle says of the same packets, each on its table of the routes."""
    columns = (packets.cycle, packets.source, packets.destination, packets.flits, tables)
    judged = [OraclePacket(*(int(value) for value in row)) for row in zip(*columns, strict=True)]
    OracleNetwork(network, routes, router).run(judged, limit=100_000)
    return np.array([[packet.issued, packet.injected, packet.head, packet.arrived] for packet in judged])
