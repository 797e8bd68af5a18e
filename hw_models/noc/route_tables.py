"""Routes as tables: dimension-ordered, O1TURN, shortest and up*/down* ways, or a table of one's own."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.noc.network import EJECT, IntArray, Network, Routes, require_deadlock_free
from cairn.hw_models.noc.topologies import TopologySpec, coordinates

Routing = Literal["auto", "xy", "yx", "o1turn", "shortest", "up_down"]
FloatArray = npt.NDArray[np.float64]
GRIDS: Final = ("mesh", "torus", "ring", "concentrated_mesh")


def build_routes(spec: TopologySpec, network: Network, routing: Routing = "auto") -> Routes:
    """The routes of a network, none of which can deadlock.

    `xy` goes along the first dimension first (dimension order), `yx` along the last; `o1turn` gives half of the packets
    each (two groups of virtual channels; Seo et al., ISCA 2005). On a torus packets go the shorter way round, half of
    them either way where both are as long, and those that pass the closing link of a dimension have a class of their
    own. `shortest` takes the fewest links, `up_down` the shortest way that first nears router 0, then goes away from it
    (Autonet, Schroeder et al., IEEE JSAC 9(8), 1991). `auto` is `xy` on grids and `shortest` elsewhere. Raises
    ConfigError where a routing does not fit the topology or could deadlock.
    """
    if routing == "auto":
        routing = "xy" if spec.kind in GRIDS else "shortest"
    if routing in ("xy", "yx", "o1turn"):
        if spec.kind not in GRIDS:
            raise ConfigError(f"routing {routing} needs the dimensions of a mesh, torus or ring, not a {spec.kind}")
        if routing == "o1turn" and len(spec.shape) < 2:
            raise ConfigError("routing o1turn needs two dimensions at least")
        return _dimension_ordered(spec, network, routing)
    if routing == "up_down":
        return _single(_up_down(network))
    routes = _single(_shortest(network))
    require_deadlock_free(network, routes, "use routing up_down, or dimension order on a grid")
    return routes


def _single(next_link: IntArray) -> Routes:
    return Routes(next_link[None], np.zeros_like(next_link)[None], np.zeros(1, dtype=np.int64))


def table_routes(network: Network, next_link: IntArray) -> Routes:
    """Routes of a table (routers, nodes) of links, -1 to eject. Raises ConfigError for a table that does not arrive
    everywhere, or could deadlock."""
    if next_link.shape != (network.routers, network.nodes):
        raise ConfigError(
            f"a table of routes for {network.name} has {network.routers} rows (routers) and {network.nodes} columns "
            f"(nodes), got {next_link.shape}"
        )
    routes = _single(np.asarray(next_link, dtype=np.int64))
    require_deadlock_free(network, routes, "choose other links")
    return routes


def _dimension_ordered(spec: TopologySpec, network: Network, routing: Routing) -> Routes:
    dimensions = list(range(len(spec.shape)))
    orders = {"xy": [dimensions], "yx": [dimensions[::-1]], "o1turn": [dimensions, dimensions[::-1]]}[routing]
    ties = (0, 1) if spec.wraps and any(size % 2 == 0 for size in spec.shape) else (0,)
    tables = [_ordered_table(spec, network, order, tie) for order in orders for tie in ties]
    return Routes(
        next_link=np.stack([links for links, _ in tables]),
        turn_class=np.stack([classes for _, classes in tables]),
        group=np.repeat(np.arange(len(orders), dtype=np.int64), len(ties)),
        classes=2 if spec.wraps else 1,
        groups=len(orders),
    )


def _ordered_table(spec: TopologySpec, network: Network, order: list[int], tie: int) -> tuple[IntArray, IntArray]:
    """Links and classes (routers, nodes) of dimension order; `tie` 1 goes down where both ways round are as long."""
    where = coordinates(spec.shape)
    here, there = where[:, None, :], where[network.node_router][None, :, :]
    port = np.full((network.routers, network.nodes), EJECT)
    turn_class = np.zeros_like(port)
    for dimension in reversed(order):
        size = spec.shape[dimension]
        apart = there[..., dimension] - here[..., dimension]
        up = apart > 0
        if spec.wraps:
            forward = apart % size
            up = 2 * forward < size if tie else 2 * forward <= size
        leads = apart != 0
        passes_close = (apart < 0) if spec.wraps else np.zeros_like(leads)
        port = np.where(leads, 2 * dimension + ~up, port)
        turn_class = np.where(leads, passes_close, turn_class)
    return _links_of_ports(network, port), turn_class


def _links_of_ports(network: Network, port: IntArray) -> IntArray:
    """The links (routers, nodes) that leave in the directions `port`; EJECT stays."""
    directions = int(network.link_direction.max(initial=0)) + 1
    link_of = np.full((network.routers, directions), EJECT)
    link_of[network.link_source, network.link_direction] = np.arange(network.links)
    link = link_of[np.arange(network.routers)[:, None], np.maximum(port, 0)]
    return np.where(port == EJECT, EJECT, link)


def _distances(network: Network, links: IntArray) -> FloatArray:
    """(routers, routers): fewest of `links` from one router to another, infinite where there is no way."""
    from scipy.sparse import coo_matrix  # a fifth of a second, which networks without tables do not need
    from scipy.sparse.csgraph import shortest_path

    ends = (network.link_source[links], network.link_destination[links])
    graph = coo_matrix((np.ones(links.size), ends), shape=(network.routers, network.routers))
    return np.asarray(shortest_path(graph.tocsr(), unweighted=True), dtype=np.float64)


def _nearer(network: Network, links: IntArray, distance: FloatArray) -> IntArray:
    """(routers, nodes): the first of `links` that leads a hop nearer to the node's router; EJECT where none does."""
    target = distance[:, network.node_router]
    chosen = np.full((network.routers, network.nodes), EJECT)
    for link in links[::-1]:
        source, destination = network.link_source[link], network.link_destination[link]
        nearer = np.isfinite(target[source]) & (target[destination] == target[source] - 1)
        chosen[source, nearer] = link
    return chosen


def _shortest(network: Network) -> IntArray:
    links = np.arange(network.links)
    return _nearer(network, links, _distances(network, links))


def _up_down(network: Network) -> IntArray:
    every = np.arange(network.links)
    level = _distances(network, every)[0]
    order = np.lexsort((np.arange(network.routers), level))
    rank = np.empty(network.routers, dtype=np.int64)
    rank[order] = np.arange(network.routers)
    is_up = rank[network.link_destination] < rank[network.link_source]
    down = _distances(network, every[~is_up])
    chosen = _nearer(network, every[~is_up], down)
    away = down.copy()
    for router in order:  # what lies above is known already
        for link in np.flatnonzero(is_up & (network.link_source == router)):
            over = 1 + away[network.link_destination[link]]
            better = ~np.isfinite(down[router]) & (over < away[router])
            away[router] = np.where(better, over, away[router])
            chosen[router] = np.where(better[network.node_router], link, chosen[router])
    if not np.isfinite(away).all():
        source, target = np.argwhere(~np.isfinite(away))[0]
        raise ConfigError(
            f"routing up_down finds no way from router {source} to router {target} of {network.name}: links are needed "
            "in both directions"
        )
    return chosen
