"""The network of a chip as data, for every topology that packets do not find their way through by directions."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Final

import numpy as np

from cairn.base.errors import ConfigError
from cairn.hw_models.noc.network import EJECT, IntArray, Network, Routes, hops
from cairn.hw_models.noc.route_tables import build_routes, table_routes
from cairn.hw_models.noc.spec import NocSpec, NocTopology
from cairn.hw_models.noc.topologies import TopologySpec, build_network

WIRING: Final = {"topology", "routing", "layers", "concentration", "links", "directed", "next_core"}
"""Fields of a NocSpec that say how the network is wired, and no more."""


def chip_network(spec: NocSpec, rows: int, columns: int) -> tuple[Network, Routes]:
    """Network and routes of `rows` x `columns` cores, whose nodes are the cores by number (row by row).

    The cycles of a link are its wire alone, one; `hop_cycles` of the spec count the router as well. Raises ConfigError
    where the topology does not fit the grid, cores cannot reach each other, or routes could deadlock or go in circles.
    """
    return _built(NocSpec(**spec.model_dump(include=WIRING)), rows, columns)


def chip_hops(spec: NocSpec, rows: int, columns: int) -> IntArray:
    """(cores, cores): links between cores; of several tables, which all take the fewest links, the first."""
    return _hops(NocSpec(**spec.model_dump(include=WIRING)), rows, columns)


@lru_cache(maxsize=64)
def _hops(spec: NocSpec, rows: int, columns: int) -> IntArray:
    links: IntArray = hops(*_built(spec, rows, columns))[0]
    return links


@lru_cache(maxsize=64)
def _built(spec: NocSpec, rows: int, columns: int) -> tuple[Network, Routes]:
    misfit = spec.misfit(rows, columns)
    if misfit is not None:
        raise ConfigError(misfit)
    try:
        topology = _topology(spec, rows, columns)
    except ValueError as error:
        raise ConfigError(f"noc.topology {spec.topology} on {rows} x {columns} cores: {error}") from None
    network = build_network(topology)
    if spec.routing == "table":
        network = _of_cores(spec, rows, columns, network)
        return network, table_routes(network, _links_to(network, spec.next_core))
    routes = build_routes(topology, network, spec.routing)
    node = _nodes_of_cores(spec, rows, columns)
    routes = replace(routes, next_link=routes.next_link[:, :, node], turn_class=routes.turn_class[:, :, node])
    return replace(network, node_router=network.node_router[node]), routes


def _topology(spec: NocSpec, rows: int, columns: int) -> TopologySpec:
    cores, (across, down) = rows * columns, spec.concentration
    match spec.topology:
        case NocTopology.MESH:
            return TopologySpec(kind="mesh", shape=(columns, rows))
        case NocTopology.TORUS:
            return TopologySpec(kind="torus", shape=(columns, rows))
        case NocTopology.MESH_3D:
            return TopologySpec(kind="mesh", shape=(columns, rows // spec.layers, spec.layers))
        case NocTopology.CONCENTRATED_MESH:
            shape = (columns // across, rows // down)
            return TopologySpec(kind="concentrated_mesh", shape=shape, concentration=across * down)
        case NocTopology.RING:
            return TopologySpec(kind="ring", shape=(cores,))
        case NocTopology.CROSSBAR:
            return TopologySpec(kind="crossbar", shape=(cores,))
        case NocTopology.CUSTOM:
            return TopologySpec(kind="custom", shape=(cores,), links=spec.links, directed=spec.directed)
        case NocTopology.ALL_TO_ALL:
            return TopologySpec(kind="all_to_all", shape=(cores,))


def _nodes_of_cores(spec: NocSpec, rows: int, columns: int) -> IntArray:
    """(cores,): the node of the topology that each core is."""
    core = np.arange(rows * columns, dtype=np.int64)
    row, column = np.divmod(core, columns)
    node: IntArray = core
    if spec.topology is NocTopology.RING:  # along a row, back along the next, so that neighbours lie side by side
        node = row * columns + np.where(row % 2 == 0, column, columns - 1 - column)
    if spec.topology is NocTopology.CONCENTRATED_MESH:
        across, down = spec.concentration
        router = (row // down) * (columns // across) + column // across
        node = router * across * down + (row % down) * across + column % across
    return node


def _of_cores(spec: NocSpec, rows: int, columns: int, network: Network) -> Network:
    return replace(network, node_router=network.node_router[_nodes_of_cores(spec, rows, columns)])


def _links_to(network: Network, next_core: tuple[tuple[int, ...], ...]) -> IntArray:
    """(routers, nodes): the first link from a router to that of the core to go to next."""
    router = network.node_router
    if network.routers != network.nodes:
        raise ConfigError(f"routing table needs a router for each core, {network.name} has {network.routers}")
    link_to = {
        (int(network.link_source[link]), int(network.link_destination[link])): link
        for link in range(network.links - 1, -1, -1)
    }
    table = np.full((network.routers, network.nodes), EJECT)
    for core, row in enumerate(next_core):
        for target, following in enumerate(row):
            if following == core and target == core:
                continue
            ends = (int(router[core]), int(router[following]) if 0 <= following < network.nodes else -1)
            if ends not in link_to:
                raise ConfigError(
                    f"noc.next_core sends what is at core {core} and for core {target} to core {following}, "
                    f"to which core {core} has no link"
                )
            table[router[core], target] = link_to[ends]
    return table
