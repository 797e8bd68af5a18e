"""Building the packet server of a chip or of a network alone, and reading what it counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from cairn.base.ticks import NEVER, Clock
from cairn.hw_models.noc import layout as at
from cairn.hw_models.noc.chip_network import chip_network
from cairn.hw_models.noc.cycle import advance, next_event
from cairn.hw_models.noc.network import Network, Routes
from cairn.hw_models.noc.packets import PacketSpec
from cairn.hw_models.noc.request import enqueue
from cairn.hw_models.noc.spec import REQUEST_COLUMNS, IntArray, NocSpec, NocTopology
from cairn.hw_models.noc.topology import DIRECTIONS, wire
from cairn.hw_models.server import DONE_AT, Server, ServerKind, server_kinds


@dataclass(frozen=True)
class _Wires:
    """What is between the ports: far and near end and latency of each link (links,), tables of routes or none.

    `node_router` (nodes,) is the router of each node; where there are no tables, its place (`layout.NODE_ROUTERS`).
    """

    nodes: int
    routers: int
    far: IntArray
    near: IntArray
    latency: IntArray
    node_router: IntArray
    tables: IntArray


def build_noc_server(
    spec: NocSpec, rows: int, columns: int, clock: Clock, max_transfers: int = 65536, max_packets: int | None = None
) -> Server:
    """The network of `rows` x `columns` cores on a chip whose clock is `clock`.

    At most `max_transfers` transfers and `max_packets` packets (not below `max_transfers`; default: two a transfer
    and 4096 more) may be under way at once; beyond that the state's ERROR slot is set (reasons in `layout.py`) and
    nothing completes any more. Requests have the columns REQUEST_COLUMNS and are checked by `check_requests`.
    Raises ValueError for a size below one and for a clock beyond 1000 GHz, whose cycles are shorter than a tick, and
    ConfigError for a topology that does not fit the grid.
    """
    if not spec.by_direction:
        wires = _of_network(spec.packets, *chip_network(spec, rows, columns))
        state = _state(spec.packets, wires, spec.clock(clock), max_transfers, max_packets)
        return Server(noc_kind, state, {"topology": spec.topology.value, "rows": rows, "columns": columns})
    neighbour = wire(spec.topology, rows, columns).neighbour
    node = np.arange(rows * columns)
    far = neighbour.ravel()
    wires = _Wires(
        nodes=node.size,
        routers=node.size,
        far=far,
        near=np.arange(far.size) // DIRECTIONS,
        latency=np.full(far.size, spec.hop_cycles),
        node_router=node // columns << at.PLACE_BITS | node % columns,
        tables=np.empty((0, 0, 0), dtype=np.int64),
    )
    state = _state(spec.packets, wires, spec.clock(clock), max_transfers, max_packets)
    state[at.ROWS], state[at.COLUMNS] = rows, columns
    state[at.WRAPS] = spec.topology is NocTopology.TORUS
    return Server(noc_kind, state, {"topology": spec.topology.value, "rows": rows, "columns": columns})


def build_network_server(
    spec: PacketSpec,
    network: Network,
    routes: Routes,
    clock: Clock,
    max_transfers: int = 65536,
    max_packets: int | None = None,
) -> Server:
    """A network given as data; sources and destinations of requests are its nodes. Limits as in `build_noc_server`.

    Raises ValueError for limits and clocks as there, and for port widths of another number of nodes.
    """
    wires = _of_network(spec, network, routes)
    return Server(noc_kind, _state(spec, wires, clock, max_transfers, max_packets), {"network": network.name})


def _of_network(spec: PacketSpec, network: Network, routes: Routes) -> _Wires:
    return _Wires(
        nodes=network.nodes,
        routers=network.routers,
        far=network.link_destination,
        near=network.link_source,
        latency=network.link_cycles + spec.router_cycles,
        node_router=network.node_router,
        tables=routes.next_link,
    )


def _state(spec: PacketSpec, wires: _Wires, clock: Clock, max_transfers: int, max_packets: int | None) -> IntArray:
    packets = 2 * max_transfers + 4096 if max_packets is None else max_packets
    if max_transfers < 1 or packets < max_transfers:
        raise ValueError(f"1 <= max_transfers <= max_packets is required, got {max_transfers} and {packets}")
    if clock.num < clock.den:
        raise ValueError("the clock of a network may not exceed 1000 GHz: one cycle has to last a tick at least")
    nodes, links = wires.nodes, wires.far.size
    regions = {
        at.NEIGHBOURS: links,
        at.LINK_SOURCES: links,
        at.RESOURCES: links * at.RESOURCE,
        at.INJECTIONS: nodes * at.RESOURCE,
        at.EJECTIONS: nodes * at.RESOURCE,
        at.WIDTHS: (2 * nodes + 1) * at.WIDTH,
        at.NODE_ROUTERS: wires.node_router.size,
        at.TURNS: wires.node_router.size,
        at.TABLES: wires.tables.size,
        at.TRANSFERS: max_transfers * at.TRANSFER,
        at.PACKETS: packets * at.PACKET,
        at.BATCH: links + 2 * nodes,
        DONE_AT: 2 * max_transfers,
    }
    state = np.zeros(at.BODY + sum(regions.values()), dtype=np.int64)
    offset = at.BODY
    for slot, words in regions.items():
        state[slot] = offset
        offset += words
    for slot, values in (
        (at.NEIGHBOURS, wires.far),
        (at.LINK_SOURCES, wires.near),
        (at.NODE_ROUTERS, wires.node_router),
        (at.TABLES, wires.tables),
    ):
        state[state[slot] : state[slot] + values.size] = values.ravel()
    state[at.NEXT_TRANSFER], state[at.NEXT_PACKET] = state[at.TRANSFERS], state[at.PACKETS]
    state[at.ARRIVALS + at.FAR_AT] = state[at.PROMISES + at.FAR_AT] = NEVER
    state[at.NUM], state[at.DEN], state[at.LAST_TICK] = clock.num, clock.den, NEVER // clock.den - 1
    state[at.NUMBERED_LINKS], state[at.NODES], state[at.ROUTERS] = links, nodes, wires.routers
    state[at.N_TABLES] = wires.tables.shape[0]
    _write_parameters(state, spec, wires)
    return state


def _write_parameters(state: IntArray, spec: PacketSpec, wires: _Wires) -> None:
    state[at.START_CYCLES], state[at.EJECTION_CYCLES] = spec.start_cycles, spec.ejection_cycles
    state[at.PACKET_BYTES], state[at.HEADER_BYTES] = spec.max_packet_bytes, spec.header_bytes
    state[at.LOOPBACK] = spec.loopback
    state[at.BUFFER_FLITS] = spec.buffer_flits or 0
    state[at.CREDIT_CYCLES], state[at.CHANNELS] = spec.credit_cycles, spec.channels or at.MANY_CHANNELS
    state[at.LIMITED] = spec.buffer_flits is not None or spec.channels is not None
    link = spec.link_width
    state[at.LINK_FULL] = spec.full_cycles(link)
    injection = spec.port_widths(spec.injection_bytes_per_cycle, wires.nodes)
    ejection = spec.port_widths(spec.ejection_bytes_per_cycle, wires.nodes)
    widths = [number for width in (*injection, *ejection, link) for number in (width.numerator, width.denominator)]
    state[state[at.WIDTHS] : state[at.WIDTHS] + len(widths)] = widths
    for begin, of_class, latency in (
        (at.RESOURCES, [link] * wires.far.size, wires.latency),
        (at.INJECTIONS, injection, spec.injection_cycles),
        (at.EJECTIONS, ejection, spec.ejection_cycles),
    ):
        table = state[state[begin] : state[begin] + at.RESOURCE * len(of_class)].reshape(-1, at.RESOURCE)
        table[:, at.LATENCY] = latency
        table[:, at.FULL] = [spec.full_cycles(width) for width in of_class]


def counters(state: IntArray) -> Mapping[str, Any]:
    """What the network counted.

    Numbers: `transfers` and `hop_bytes` (bytes x links) requested, `packets` and `bytes` delivered, `wait_cycles`
    and `max_wait_cycles` that heads queued, `cycle_ps`. Arrays over links (L,): `link_source`,
    `link_destination` (routers), `link_bytes`, `link_busy_cycles`, `link_wait_cycles`; empty in all-to-all, whose
    links are not numbered. Arrays over nodes (n,): the last three with `injection_` and `ejection_`.
    """
    far = state[state[at.NEIGHBOURS] : state[at.LINK_SOURCES]]
    exists = np.flatnonzero(far >= 0)
    ends = (at.RESOURCES, at.INJECTIONS, at.EJECTIONS, at.WIDTHS)
    links, injection, ejection = (
        state[state[begin] : state[end]].reshape(-1, at.RESOURCE) for begin, end in pairwise(ends)
    )
    counted: dict[str, Any] = {
        "transfers": int(state[at.SUM_TRANSFERS]),
        "packets": int(state[at.SUM_PACKETS]),
        "bytes": int(ejection[:, at.BYTES].sum()),
        "hop_bytes": int(state[at.SUM_HOP_BYTES]),
        "wait_cycles": int(state[at.SUM_WAIT]),
        "max_wait_cycles": int(state[at.MAX_WAIT]),
        "cycle_ps": float(state[at.NUM]) / float(state[at.DEN]),
        "link_source": state[state[at.LINK_SOURCES] + exists],
        "link_destination": far[exists],
    }
    for name, table in (("link", links[exists]), ("injection", injection), ("ejection", ejection)):
        counted[f"{name}_bytes"] = table[:, at.BYTES].copy()
        counted[f"{name}_busy_cycles"] = table[:, at.BUSY].copy()
        counted[f"{name}_wait_cycles"] = table[:, at.WAIT].copy()
    return counted


noc_kind = server_kinds.add("noc", ServerKind("noc", enqueue, advance, next_event, REQUEST_COLUMNS, counters))
