"""Topologies and routes as data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cairn.base.errors import ConfigError
from cairn.hw_models.noc.network import Network, Routes, channel_cycle, hops
from cairn.hw_models.noc.route_tables import Routing, build_routes, table_routes
from cairn.hw_models.noc.topologies import TopologySpec, build_network


def build(routing: Routing = "auto", **topology: object) -> tuple[Network, Routes]:
    spec = TopologySpec.model_validate(topology)
    network = build_network(spec)
    return network, build_routes(spec, network, routing)


@pytest.mark.parametrize(
    ("topology", "links", "farthest", "mean"),
    [
        # closed forms: links 2 sum of (k - 1) n / k; mean of |i - j| over a line (k^2 - 1) / 3k, of a ring k / 4
        ({"kind": "mesh", "shape": (8, 8)}, 224, 14, 2 * 63 / 24),
        ({"kind": "mesh", "shape": (4, 4, 4)}, 288, 9, 3 * 15 / 12),
        ({"kind": "torus", "shape": (8, 8)}, 256, 8, 4.0),
        ({"kind": "ring", "shape": (6,)}, 12, 3, 1.5),
        ({"kind": "crossbar", "shape": (9,)}, 0, 0, 0.0),
        ({"kind": "all_to_all", "shape": (6,)}, 30, 1, 5 / 6),
        ({"kind": "concentrated_mesh", "shape": (4, 4), "concentration": 4}, 48, 6, 2 * 15 / 12),
    ],
)
def test_a_topology_has_the_links_and_distances_of_its_closed_form(
    topology: dict[str, object], links: int, farthest: int, mean: float
) -> None:
    network, routes = build(**topology)
    distance = hops(network, routes)
    assert network.links == links
    assert distance.max() == farthest
    assert distance.mean() == pytest.approx(mean)


@pytest.mark.parametrize("routing", ["xy", "yx", "o1turn"])
@pytest.mark.parametrize("kind", ["mesh", "torus"])
@given(shape=st.lists(st.integers(1, 5), min_size=2, max_size=3).filter(lambda shape: np.prod(shape) > 1))
@settings(max_examples=20)
def test_dimension_order_takes_the_shortest_ways_and_cannot_deadlock(
    kind: str, routing: Routing, shape: list[int]
) -> None:
    network, routes = build(routing, kind=kind, shape=shape)
    where = np.stack(np.unravel_index(np.arange(network.nodes), shape, order="F"), axis=1)
    apart = np.abs(where[:, None] - where[None, :])
    shortest = np.minimum(apart, np.array(shape) - apart) if kind == "torus" else apart
    assert (hops(network, routes) == shortest.sum(axis=-1)).all()
    assert channel_cycle(network, routes) == []


@given(nodes=st.integers(3, 10), seed=st.integers(0, 1 << 20))
@settings(max_examples=30)
def test_up_down_ways_of_any_connected_network_arrive_and_cannot_deadlock(nodes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    links = {(node, node + 1) for node in range(nodes - 1)}
    links |= {tuple(sorted(rng.choice(nodes, 2, replace=False).tolist())) for _ in range(2 * nodes)}
    network, routes = build("up_down", kind="custom", shape=(nodes,), links=sorted(links))
    assert channel_cycle(network, routes) == []
    assert (hops(network, routes)[0] >= 1).sum() == nodes * (nodes - 1)


def test_half_of_the_packets_go_either_way_round_where_both_are_as_long() -> None:
    network, routes = build(kind="ring", shape=(4,))
    first = routes.next_link[:, 0, 2]
    assert sorted(network.link_destination[first].tolist()) == [1, 3]


def test_ways_that_could_deadlock_are_refused_with_the_circle_of_links() -> None:
    with pytest.raises(ConfigError, match=r"circle of 6 links between routers \(0->1 1->2 2->3 3->4 4->5 5->0\)"):
        build("shortest", kind="ring", shape=(6,))


def test_a_table_that_leads_in_a_circle_is_refused() -> None:
    network = build_network(TopologySpec(kind="ring", shape=(4,)))
    round_and_round = np.repeat(np.flatnonzero(network.link_direction == 0)[:, None], 4, axis=1)
    with pytest.raises(ConfigError, match="goes in a circle"):
        table_routes(network, round_and_round)


def test_a_table_may_only_name_links_of_the_router() -> None:
    network = build_network(TopologySpec(kind="mesh", shape=(2, 1)))
    with pytest.raises(ConfigError, match="link 1 at router 0, which is not a link of that router"):
        table_routes(network, np.array([[-1, 1], [0, -1]]))


@pytest.mark.parametrize(
    ("topology", "message"),
    [
        ({"kind": "mesh", "shape": (0, 3)}, "at least one node in each dimension"),
        ({"kind": "mesh", "shape": (1,)}, "at least two nodes"),
        ({"kind": "ring", "shape": (2, 2)}, "one number"),
        ({"kind": "custom", "shape": (4,), "links": [(0, 1), (2, 7)]}, r"links\[1\] \(2, 7\) names a node outside"),
        ({"kind": "custom", "shape": (4,)}, "links are missing"),
        ({"kind": "mesh", "shape": (4,), "links": [(0, 1)]}, "for no other"),
        ({"kind": "mesh", "shape": (2, 2), "concentration": 2}, "concentrated_mesh"),
        ({"kind": "mesh", "shape": (100, 100)}, "at most"),
    ],
)
def test_a_topology_that_does_not_fit_is_refused(topology: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TopologySpec.model_validate(topology)


def test_a_network_that_is_not_connected_is_refused() -> None:
    with pytest.raises(ConfigError, match="no way leads from node 0 to node 2"):
        build(kind="custom", shape=(4,), links=[(0, 1), (2, 3)])
