"""Topologies as data: what a configuration says of the wiring of a network alone, and the network that follows.

Grids (mesh, torus, ring) have any number of dimensions; numbers of routers grow along the first dimension fastest
(router = x + y * columns + ...). At each router the links come in the order of the dimensions, in each the link of
growing coordinates first.
"""

from __future__ import annotations

from math import prod
from typing import Final, Literal

import numpy as np
from pydantic import model_validator

from cairn.base.errors import ConfigError
from cairn.base.spec import Spec, required, sourced
from cairn.hw_models.noc.network import IntArray, Network

Kind = Literal["mesh", "torus", "ring", "concentrated_mesh", "crossbar", "all_to_all", "custom"]
MAX_TABLE: Final = 1 << 24
"""assumed: routers x nodes of a network whose routes are tables; a mesh of 64 x 64, 128 MiB a table."""


class TopologySpec(Spec):
    """The wiring of a network.

    `shape`: nodes along each dimension of a mesh or torus, routers of a concentrated mesh, `[n]` of the others. `links`
    of a custom network are pairs of routers, one direction each with `directed`, both without.
    """

    kind: Kind = sourced("mesh", "reference/stacked3d/voxel.yaml (vx.noc_topo)")
    shape: tuple[int, ...] = required(min_length=1, max_length=6)
    concentration: int = sourced(1, "assumed: a router for each node; concentrated_mesh has more", ge=1, le=64)
    link_cycles: int = sourced(1, "assumed: a wire between neighbours is passed in a cycle", ge=1, le=1 << 16)
    wrap_cycles: int | None = sourced(
        None, "assumed: the wires of a folded torus are all alike: link_cycles", ge=1, le=1 << 16
    )
    links: tuple[tuple[int, int], ...] = sourced((), "given by the configuration: custom networks only")
    directed: bool = sourced(False, "assumed: wires are laid in pairs")

    @model_validator(mode="after")
    def _fits(self) -> TopologySpec:
        if min(self.shape) < 1:
            raise ValueError(f"shape ({list(self.shape)}) needs at least one node in each dimension")
        flat = self.kind in ("ring", "crossbar", "all_to_all", "custom")
        if flat and len(self.shape) != 1:
            raise ValueError(f"shape ({list(self.shape)}) of a {self.kind} network is one number, of its nodes")
        if self.concentration > 1 and self.kind != "concentrated_mesh":
            raise ValueError(f"concentration ({self.concentration}) is for kind concentrated_mesh, not {self.kind}")
        if bool(self.links) != (self.kind == "custom"):
            raise ValueError("links are given for kind custom, and for no other" if self.links else "links are missing")
        routers = 1 if self.kind == "crossbar" else prod(self.shape)
        nodes = prod(self.shape) * self.concentration
        if nodes < 2:
            raise ValueError(f"a network joins at least two nodes, shape {list(self.shape)} has {nodes}")
        if routers * nodes > MAX_TABLE:
            raise ValueError(
                f"shape ({list(self.shape)}) has {routers} routers x {nodes} nodes; tables hold {MAX_TABLE:,} at most"
            )
        self._check_links(routers)
        return self

    def _check_links(self, routers: int) -> None:
        for number, (source, destination) in enumerate(self.links):
            if not (0 <= source < routers and 0 <= destination < routers):
                raise ValueError(f"links[{number}] ({source}, {destination}) names a node outside 0..{routers - 1}")
            if source == destination:
                raise ValueError(f"links[{number}] joins node {source} with itself")

    @property
    def wraps(self) -> bool:
        """Whether the dimensions close."""
        return self.kind in ("torus", "ring")


def build_network(spec: TopologySpec) -> Network:
    """The network of a topology. Raises ConfigError when some node cannot be reached from another."""
    if spec.kind in ("mesh", "torus", "ring", "concentrated_mesh"):
        return _grid(spec)
    if spec.kind == "crossbar":
        return _network(spec, 1, np.zeros(spec.shape[0], dtype=np.int64), np.zeros((0, 2), dtype=np.int64))
    nodes = np.arange(spec.shape[0], dtype=np.int64)
    if spec.kind == "all_to_all":
        pairs = np.argwhere(~np.eye(nodes.size, dtype=bool)).astype(np.int64)
        return _network(spec, nodes.size, nodes, pairs)
    pairs = np.array(spec.links, dtype=np.int64)
    if not spec.directed:
        pairs = np.concatenate([pairs, pairs[:, ::-1]])
    pairs = pairs[np.lexsort((np.arange(len(pairs)), pairs[:, 0]))]
    network = _network(spec, nodes.size, nodes, pairs)
    _require_connected(network)
    return network


def _network(spec: TopologySpec, routers: int, node_router: IntArray, pairs: IntArray) -> Network:
    """A network without dimensions; routers are drawn on a circle."""
    angle = 2 * np.pi * np.arange(routers) / max(routers, 1)
    radius = routers / (2 * np.pi) if routers > 1 else 0.0
    zeros = np.zeros(len(pairs), dtype=np.int64)
    return Network(
        name=f"{spec.kind} {spec.shape[0]}",
        nodes=node_router.size,
        routers=routers,
        node_router=node_router,
        link_source=pairs[:, 0].copy(),
        link_destination=pairs[:, 1].copy(),
        link_cycles=zeros + spec.link_cycles,
        link_direction=zeros,
        place=radius * np.stack([np.cos(angle), np.sin(angle)], axis=1),
    )


def coordinates(shape: tuple[int, ...]) -> IntArray:
    """(routers, dimensions): coordinates of the routers of a grid."""
    index = np.arange(prod(shape), dtype=np.int64)
    columns = []
    for size in shape:
        columns.append(index % size)
        index = index // size
    return np.stack(columns, axis=1)


def _grid(spec: TopologySpec) -> Network:
    shape = spec.shape
    where = coordinates(shape)
    routers = len(where)
    strides = np.cumprod([1, *shape[:-1]])
    wrap_cycles = spec.wrap_cycles or spec.link_cycles
    rows: list[IntArray] = []
    for dimension, size in enumerate(shape):
        for sign in (1, -1):
            there = where[:, dimension] + sign
            inside = (there >= 0) & (there < size)
            exists = inside | (spec.wraps and size > 1)
            target = np.arange(routers) + (there % size - where[:, dimension]) * strides[dimension]
            cycles = np.where(inside, spec.link_cycles, wrap_cycles)
            order = np.full(routers, 2 * dimension + int(sign < 0))
            rows.append(np.stack([np.arange(routers), target, cycles, order])[:, exists])
    table = np.concatenate(rows, axis=1)
    table = table[:, np.lexsort((table[3], table[0]))]
    place = np.stack([where[:, 0], where[:, 1] if len(shape) > 1 else np.zeros(routers)], axis=1).astype(np.float64)
    layer = np.zeros(routers) if len(shape) < 3 else (np.arange(routers) // (shape[0] * shape[1])).astype(np.float64)
    return Network(
        name=f"{spec.kind} {' x '.join(str(size) for size in shape)}",
        nodes=routers * spec.concentration,
        routers=routers,
        node_router=np.repeat(np.arange(routers, dtype=np.int64), spec.concentration),
        link_source=table[0],
        link_destination=table[1],
        link_cycles=table[2],
        link_direction=table[3],
        place=place + np.stack([layer * (shape[0] + 1), np.zeros(routers)], axis=1),
    )


def _require_connected(network: Network) -> None:
    reached = np.zeros((network.routers, network.routers), dtype=bool)
    np.fill_diagonal(reached, True)
    for _ in range(network.routers):
        before = reached.sum()
        np.logical_or.at(reached, network.link_source, reached[network.link_destination])
        if reached.sum() == before:
            break
    if not reached.all():
        source, target = np.argwhere(~reached)[0]
        raise ConfigError(f"network {network.name} is not connected: no way leads from node {source} to node {target}")
