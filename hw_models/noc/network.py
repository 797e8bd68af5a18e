"""A network as data: nodes, routers, directed links, and the route from every router to every node.

Every topology of Cairn can be built as one of these (`topologies.py`, `route_tables.py`), and models that walk routes
by table need nothing else. Nodes inject and eject; several may share a router (concentration).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
EJECT: Final = -1
"""Instead of a link: the node is attached to this router."""


@dataclass(frozen=True)
class Network:
    """`nodes` on `routers`, joined by directed links.

    `node_router` (nodes,): the router of each node. `link_source`, `link_destination` (links,): routers at the ends;
    `link_cycles` (links,): cycles of the wire, >= 1; `link_direction` (links,): twice the dimension in which a link
    runs, one more where coordinates fall; 0 where there are no dimensions. The ports of a router are numbered in the
    order of its links, then its nodes. `place` (routers, 2): column and row in a drawing.
    """

    name: str
    nodes: int
    routers: int
    node_router: IntArray
    link_source: IntArray
    link_destination: IntArray
    link_cycles: IntArray
    link_direction: IntArray
    place: npt.NDArray[np.float64]

    @property
    def links(self) -> int:
        """Directed links."""
        return int(self.link_source.size)

    @property
    def link_dimension(self) -> IntArray:
        """(links,): the dimension in which each link runs."""
        return self.link_direction // 2

    def links_out(self, router: int) -> IntArray:
        """Links that leave a router, in the order of its ports."""
        return np.flatnonzero(self.link_source == router).astype(np.int64)


@dataclass(frozen=True)
class Routes:
    """Where packets go. A packet keeps one of the `tables` from its source to its end (chosen evenly at injection).

    `next_link` (tables, routers, nodes): the link to take, or EJECT. Virtual channels are divided into `groups` x
    `classes` equal sets. `group` (tables,): the group of each table. `turn_class` (tables, routers, nodes): the class
    of a packet that enters a dimension here; it keeps the class as long as it stays in that dimension (the rule of
    the dateline: on a ring that closes, packets that pass the closing link have a class of their own). Sets are not
    told apart at the ejection port.
    """

    next_link: IntArray
    turn_class: IntArray
    group: IntArray
    classes: int = 1
    groups: int = 1

    @property
    def tables(self) -> int:
        return int(self.next_link.shape[0])

    @property
    def sets(self) -> int:
        """Sets into which the virtual channels are divided; their number must be a multiple of this."""
        return self.classes * self.groups


@dataclass(frozen=True)
class Step:
    """The next hop of all routes: `link` and `channel_set`, each (tables, nodes, nodes), -1 where none is left."""

    link: IntArray
    channel_set: IntArray


def walk(network: Network, routes: Routes) -> Iterator[Step]:
    """Follow the routes between all pairs of nodes, hop by hop. Raises ConfigError where one does not arrive."""
    nodes = network.nodes
    table, source, target = np.meshgrid(np.arange(routes.tables), np.arange(nodes), np.arange(nodes), indexing="ij")
    router = network.node_router[source]
    dimension = np.full(router.shape, -1)
    channel_class = np.zeros(router.shape, dtype=np.int64)
    for _ in range(network.routers + 1):
        link = routes.next_link[table, router, target]
        moving = link != EJECT
        _check_step(network, router, link, moving, source, target)
        if not moving.any():
            return
        runs = network.link_dimension[np.where(moving, link, 0)]
        turns = moving & (runs != dimension)
        channel_class = np.where(turns, routes.turn_class[table, router, target], channel_class)
        channel_set = routes.group[table] * routes.classes + channel_class
        yield Step(np.where(moving, link, -1), np.where(moving, channel_set, -1))
        dimension = np.where(moving, runs, dimension)
        router = np.where(moving, network.link_destination[np.where(moving, link, 0)], router)
    first = np.argwhere(moving)[0]
    raise ConfigError(f"network {network.name}: the route from node {first[1]} to node {first[2]} goes in a circle")


def hops(network: Network, routes: Routes) -> IntArray:
    """(tables, nodes, nodes): links from source to destination."""
    count = np.zeros((routes.tables, network.nodes, network.nodes), dtype=np.int64)
    for step in walk(network, routes):
        count += step.link >= 0
    return count


def _check_step(
    network: Network, router: IntArray, link: IntArray, moving: BoolArray, source: IntArray, target: IntArray
) -> None:
    wrong = moving & ((link < EJECT) | (link >= network.links))
    known = moving & ~wrong
    wrong[known] = network.link_source[link[known]] != router[known]
    wrong |= ~moving & (network.node_router[target] != router)
    if wrong.any():
        at = tuple(np.argwhere(wrong)[0])
        raise ConfigError(
            f"network {network.name}: on the way from node {source[at]} to node {target[at]}, the routes name "
            f"link {link[at]} at router {router[at]}, which is not a link of that router"
        )


def channel_cycle(network: Network, routes: Routes) -> list[tuple[int, int]]:
    """A cycle of channels (link, set of virtual channels) that may wait for each other; empty where there is none.

    Without such a cycle no traffic can deadlock (Dally and Seitz, IEEE ToC C-36(5), 1987).
    """
    pairs: set[int] = set()
    channels = network.links * routes.sets
    held: IntArray | None = None
    for step in walk(network, routes):
        here = np.where(step.link >= 0, step.link * routes.sets + step.channel_set, -1)
        if held is not None:
            pairs.update(np.unique(held[here >= 0] * channels + here[here >= 0]).tolist())
        held = here
    successors: dict[int, list[int]] = {}
    for pair in sorted(pairs):
        successors.setdefault(pair // channels, []).append(pair % channels)
    return [divmod(channel, routes.sets) for channel in _cycle(successors)]


def _cycle(successors: dict[int, list[int]]) -> list[int]:
    """Some cycle of a graph, or nothing: depth-first search with the path in hand."""
    done: set[int] = set()
    for start in successors:
        path: list[int] = []
        on_path: set[int] = set()
        stack = [(start, 0)]
        while stack:
            channel, depth = stack.pop()
            while len(path) > depth:
                left = path.pop()
                on_path.discard(left)
                done.add(left)
            if channel in on_path:
                return path[path.index(channel) :]
            if channel in done:
                continue
            path.append(channel)
            on_path.add(channel)
            stack.extend((after, depth + 1) for after in successors.get(channel, ()))
    return []


def require_deadlock_free(network: Network, routes: Routes, remedy: str) -> None:
    """Refuse routes that may deadlock, with the cycle of channels. Raises ConfigError."""
    cycle = channel_cycle(network, routes)
    if not cycle:
        return
    named = [f"{network.link_source[link]}->{network.link_destination[link]}" for link, _ in cycle]
    shown = " ".join(named if len(named) <= 12 else [*named[:12], "..."])
    raise ConfigError(
        f"network {network.name}: packets can wait for each other in a circle of {len(cycle)} links between routers "
        f"({shown}), and would never arrive; {remedy}"
    )
