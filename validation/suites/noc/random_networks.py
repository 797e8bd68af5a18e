"""Random networks under heavy random traffic: nothing may be lost, and nobody may wait for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from cairn.base.streams import stream
from cairn.hw_models.noc.flit.simulate import DeadlockError, FlitNetwork
from cairn.hw_models.noc.flit.spec import RouterSpec
from cairn.hw_models.noc.network import Network, Routes, hops
from cairn.hw_models.noc.route_tables import Routing, build_routes
from cairn.hw_models.noc.topologies import Kind, TopologySpec, build_network
from cairn.hw_models.noc.traffic import Packets, trace
from cairn.validation.rows import Row

KINDS: Final[tuple[Kind, ...]] = (
    "mesh", "torus", "ring", "concentrated_mesh", "crossbar", "all_to_all", "custom",
)  # fmt: skip
EACH: Final = 300
"""Configurations of each kind, 2,100 in all: the issue of this suite asks for 2,000."""


def conservation_rows() -> Iterator[Row]:
    """For each kind of network how many of its random configurations deadlock, or lose packets or flits."""
    for kind in KINDS:
        wrong = [trouble for number in range(EACH) if (trouble := _trouble(kind, number))]
        yield Row(
            id=f"random/{kind}", kind=f"{EACH} random networks of each kind", reference=0, prediction=len(wrong),
            unit="configurations", source="flits and packets are conserved, and arrive", counts=("conserved",),
            remark="; ".join(wrong[:3]),
        )  # fmt: skip


def _trouble(kind: Kind, number: int) -> str:
    """What goes wrong in a random configuration; empty when nothing does."""
    network, routes, router, packets = random_configuration(kind, number)
    run = FlitNetwork(network, routes, router, seed=number)
    run.offer(packets)
    try:
        run.run()
    except DeadlockError as error:
        return f"{number}: {error}"
    finished = run.harvest()
    injected, ejected = run.node_flits
    passed = hops(network, routes)[finished.table, finished.source, finished.destination]
    kept = (
        finished.count == packets.count
        and np.array_equal(injected, np.bincount(packets.source, packets.flits, network.nodes))
        and np.array_equal(ejected, np.bincount(packets.destination, packets.flits, network.nodes))
        and run.channel_flits[: network.links].sum() == (passed * finished.flits).sum()
    )
    return "" if kept else f"{number}: {packets.count} packets offered, {finished.count} arrived"


def random_configuration(kind: Kind, number: int) -> tuple[Network, Routes, RouterSpec, Packets]:
    """Configuration `number` of a kind of network: shape, routes, router, and more packets than it can take at once."""
    random = stream(number, "noc", "random", kind)

    def pick(values: Any) -> Any:
        return values[int(random.integers(0, len(values)))]

    topology = TopologySpec.model_validate({"kind": kind, **_shape(kind, random, pick)})
    network = build_network(topology)
    routing: Routing = "up_down" if kind == "custom" else "auto"
    if kind in ("mesh", "torus", "concentrated_mesh"):
        routing = pick(("xy", "yx", "o1turn") if len(topology.shape) > 1 else ("xy", "yx"))
    routes = build_routes(topology, network, routing)
    speculative = bool(pick((False, False, True)))
    router = RouterSpec(
        virtual_channels=routes.sets * pick((1, 1, 2, 3)),
        buffer_flits=pick((1, 2, 4, 7)),
        routing_delay=pick((0, 1, 2)),
        vc_alloc_delay=1 if speculative else pick((1, 1, 2)),
        sw_alloc_delay=1 if speculative else pick((1, 1, 2)),
        st_final_delay=pick((1, 1, 2)),
        credit_delay=pick((0, 1, 3)),
        speculative=speculative,
        input_speedup=pick((1, 1, 2)),
        internal_speedup=pick((1, 1, 2)),
    )
    count = 12 * network.nodes
    target = random.integers(0, network.nodes, count)
    if pick((False, False, True)):  # half of them to one node
        target = np.where(random.random(count) < 0.5, pick(range(network.nodes)), target)
    cycle = random.integers(0, pick((1, 50, 500)), count)
    flits = random.integers(1, pick((2, 6, 20)), count)
    return network, routes, router, trace(cycle, random.integers(0, network.nodes, count), target, flits, network)


def _shape(kind: Kind, random: np.random.Generator, pick: Any) -> dict[str, Any]:
    """Shape and wires of a random network, of some 30 nodes at most."""
    wires = {"link_cycles": pick((1, 2, 3))}
    if kind in ("mesh", "torus"):
        return {**wires, "shape": pick(((4, 4), (5, 3), (2, 6), (3, 3, 3), (2, 2, 2), (1, 7), (2, 2, 2, 2)))}
    if kind == "concentrated_mesh":
        return {**wires, "shape": pick(((2, 2), (3, 2), (3, 3))), "concentration": pick((2, 3, 4))}
    nodes = pick((3, 4, 5, 8, 12))
    if kind != "custom":
        return {**wires, "shape": (nodes,)}
    tree = [(int(random.integers(0, node)), node) for node in range(1, nodes)]
    more = [(int(random.integers(0, nodes)), int(random.integers(0, nodes))) for _ in range(nodes)]
    return {**wires, "shape": (nodes,), "links": [*tree, *(pair for pair in more if pair[0] != pair[1])]}
