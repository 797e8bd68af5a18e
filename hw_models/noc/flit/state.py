"""Building the state of a flit network: from a network, its routes and a router to one array of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from cairn.base.errors import ConfigError
from cairn.hw_models.noc.flit import layout as at
from cairn.hw_models.noc.flit.spec import RouterSpec
from cairn.hw_models.noc.network import IntArray, Network, Routes
from cairn.hw_models.server import DONE_AT

NODE_CYCLES: Final = 1
"""Cycles of the ways between a node and its router: reference/noc/booksim2_cases.yaml (channel_latency)."""

MAX_SLOTS: Final = 1 << 24
"""assumed: flits that all buffers of a network hold; 512 MiB, doubled where sizes are no powers of two."""


@dataclass(frozen=True)
class Channels:
    """The channels of a network: its links, then injection, then ejection channels.

    Arrays (channels,): `source` and `sink` are routers, -1 where a node is; `node` is that node, -1 of links.
    `input` and `output` are the numbers of the ports at sink and source, -1 where a node is.
    """

    source: IntArray
    sink: IntArray
    node: IntArray
    cycles: IntArray
    dimension: IntArray
    input: IntArray
    output: IntArray

    @property
    def count(self) -> int:
        return int(self.source.size)


def channels_of(network: Network) -> Channels:
    """The channels of `network` with their ports (rule F0)."""
    links, nodes = network.links, network.nodes
    none = np.full(nodes, -1, dtype=np.int64)
    source = np.concatenate([network.link_source, none, network.node_router])
    sink = np.concatenate([network.link_destination, network.node_router, none])
    number = np.arange(source.size)
    leaving = np.concatenate([np.zeros(links, dtype=np.int64), none, np.zeros(nodes, dtype=np.int64)])
    # A link in comes from where the link out in its opposite direction goes: growing and falling change places.
    opposite = np.concatenate([network.link_direction ^ 1, np.full(2 * nodes, 1 << 40)])
    return Channels(
        source=source,
        sink=sink,
        node=np.concatenate([np.full(links, -1), np.arange(nodes), np.arange(nodes)]),
        cycles=np.concatenate([network.link_cycles, np.full(2 * nodes, NODE_CYCLES)]),
        dimension=np.concatenate([network.link_dimension, none, none]),
        input=_ports(sink, np.lexsort((number, opposite, sink))),
        output=_ports(source, np.lexsort((number, leaving, source))),
    )


def _ports(router: IntArray, order: IntArray) -> IntArray:
    """(channels,): the number of each channel among those of its router, in `order`; -1 without a router."""
    ports = np.full(router.size, -1, dtype=np.int64)
    ordered = order[router[order] >= 0]
    _, first, counts = np.unique(router[ordered], return_index=True, return_counts=True)
    ports[ordered] = np.arange(ordered.size) - np.repeat(first, counts)
    return ports


def check_fit(network: Network, routes: Routes, router: RouterSpec) -> None:
    """Raises ConfigError when `routes` do not fit `network` or the virtual channels of `router`, and for too many
    buffers."""
    if router.virtual_channels % routes.sets:
        raise ConfigError(
            f"virtual_channels ({router.virtual_channels}) must be a multiple of {routes.sets} on {network.name}: its "
            f"routes divide them into {routes.sets} sets, so that packets cannot wait for each other in a circle"
        )
    if routes.next_link.shape[1:] != (network.routers, network.nodes):
        raise ConfigError(f"routes of shape {routes.next_link.shape} do not belong to {network.name}")
    slots = (network.links + 2 * network.nodes) * router.virtual_channels * router.buffer_flits
    if slots > MAX_SLOTS:
        raise ConfigError(
            f"{network.name} with {router.virtual_channels} virtual_channels of {router.buffer_flits} buffer_flits has "
            f"buffers for {slots:,} flits; the flit model holds {MAX_SLOTS:,} at most"
        )
    if routes.classes > at.CLASS_MASK:
        raise ConfigError(f"routes have {routes.classes} classes; a flit network allows {at.CLASS_MASK}")


def build_state(
    network: Network, routes: Routes, router: RouterSpec, packets: int, transfers: int = 0
) -> IntArray:
    """The state of an empty network with room for `packets` packets, which come last in it, and for `transfers`."""
    check_fit(network, routes, router)
    channels = channels_of(network)
    vc_bits = (router.virtual_channels - 1).bit_length()
    slot_bits = (router.buffer_flits - 1).bit_length()
    ends = channels.count << vc_bits
    inputs = np.bincount(channels.sink[channels.sink >= 0], minlength=network.routers) * router.virtual_channels
    wheel = 1 << (int(channels.cycles.max()) + _horizon(router)).bit_length()
    widest = int(np.bincount(np.maximum(channels.source, 0)).max() + inputs.max())
    regions = {
        at.ROUTES: routes.next_link.size,
        at.GROUPS: routes.tables,
        at.CHANNELS: channels.count * at.CHANNEL,
        at.LANES: channels.count * router.input_speedup * at.LANE,
        at.SENDERS: ends * at.SENDER,
        at.BUFFERS: ends * at.BUFFER,
        at.SLOTS: (ends << slot_bits) * at.SLOT,
        at.ROUTERS: network.routers * at.ROUTER,
        at.LISTS: 4 * int(inputs.sum()),
        at.NODE_RECORDS: network.nodes * at.NODE,
        at.FLIT_WHEEL: wheel,
        at.CREDIT_WHEEL: wheel,
        at.AWAKE_ROUTERS: network.routers,
        at.AWAKE_NODES: network.nodes,
        at.TOUCHED: widest << vc_bits,
        at.CHOSEN: widest << vc_bits,
        DONE_AT: 2 * network.nodes,  # in a cycle a head or a tail arrives at each node, or one flit that is both
        at.TRANSFERS: transfers * at.TRANSFER,
        at.PACKETS: packets * at.PACKET,
    }
    state = np.zeros(at.BODY + sum(regions.values()), dtype=np.int64)
    offset = at.BODY
    for slot, words in regions.items():
        state[slot] = offset
        offset += words
    for slot, value in _parameters(network, routes, router, vc_bits, slot_bits, wheel).items():
        state[slot] = value
    packed = (routes.next_link << at.CLASS_BITS) | routes.turn_class
    _region(state, at.ROUTES, routes.next_link.size)[:] = np.where(routes.next_link < 0, -1, packed).ravel()
    _region(state, at.GROUPS, routes.tables)[:] = routes.group
    _write_routers(state, network, inputs)
    _write_channels(state, network, channels, router)
    _write_ends(state, channels, router, vc_bits, slot_bits)
    return state


def _horizon(router: RouterSpec) -> int:
    """Cycles, beside those of a wire, within which all that is sent has arrived: a full output, credits behind it."""
    waiting = router.virtual_channels * router.buffer_flits
    return 2 * router.st_final_delay + router.credit_delay + waiting + 8


def _region(state: IntArray, offset: int, words: int) -> IntArray:
    return state[state[offset] : state[offset] + words]


def _parameters(
    network: Network, routes: Routes, router: RouterSpec, vc_bits: int, slot_bits: int, wheel: int
) -> dict[int, int]:
    delays = (router.routing_delay, router.vc_alloc_delay, router.sw_alloc_delay, router.st_final_delay)
    return {
        at.VCS: router.virtual_channels,
        at.VC_BITS: vc_bits,
        at.SLOT_BITS: slot_bits,
        at.ROUTING_DELAY: router.routing_delay,
        at.VC_DELAY: router.vc_alloc_delay,
        at.SWITCH_DELAY: router.sw_alloc_delay,
        at.FINAL_DELAY: router.st_final_delay,
        at.CREDIT_DELAY: router.credit_delay,
        at.SPECULATIVE: router.speculative,
        at.INPUT_SPEEDUP: router.input_speedup,
        at.INTERNAL_SPEEDUP: router.internal_speedup,
        at.SINGLE: max(delays[:3]) == 1,
        at.NODES: network.nodes,
        at.N_ROUTERS: network.routers,
        at.LINKS: network.links,
        at.CLASSES: routes.classes,
        at.SETS: routes.sets,
        at.TABLES: routes.tables,
        at.WHEEL_MASK: wheel - 1,
    }


def _write_routers(state: IntArray, network: Network, inputs: IntArray) -> None:
    table = _region(state, at.ROUTERS, network.routers * at.ROUTER).reshape(-1, at.ROUTER)
    table[:, at.R_NUMBER] = np.arange(network.routers)
    begins = state[at.LISTS] + 4 * (np.cumsum(inputs) - inputs)
    for number, field in enumerate((at.R_ROUTING, at.R_WAITING, at.R_SWITCH, at.R_WINNERS)):
        table[:, field] = begins + number * inputs
    for field in (at.R_ROUTED_AT, at.R_FOUND_AT, at.R_SWITCHED_AT, at.R_CROSS_FROM, at.R_CROSS_TO):
        table[:, field] = -1


def _write_channels(state: IntArray, network: Network, channels: Channels, router: RouterSpec) -> None:
    count, speedup = channels.count, router.input_speedup
    vc_bits = int(state[at.VC_BITS])
    table = _region(state, at.CHANNELS, count * at.CHANNEL).reshape(-1, at.CHANNEL)
    for field, end in ((at.C_SOURCE, channels.source), (at.C_SINK, channels.sink)):
        table[:, field] = np.where(end >= 0, state[at.ROUTERS] + end * at.ROUTER, 0)
    table[:, at.C_DIMENSION], table[:, at.C_CYCLES] = channels.dimension, channels.cycles
    table[:, at.C_OUT] = channels.output
    table[:, at.C_NODE] = np.where(channels.node >= 0, state[at.NODE_RECORDS] + channels.node * at.NODE, 0)
    table[:, at.C_FREE] = (1 << router.virtual_channels) - 1
    for field in (at.C_DEPART, at.C_CREDIT, at.C_STEP):
        table[:, field] = -1
    table[:, at.C_SENDERS] = state[at.SENDERS] + (np.arange(count) << vc_bits) * at.SENDER

    lanes = _region(state, at.LANES, count * speedup * at.LANE).reshape(count, speedup, at.LANE)
    lanes[:, :, at.L_NUMBER] = channels.input[:, None] * speedup + np.arange(speedup)
    lanes[:, :, at.L_TURN] = np.arange(speedup)

    nodes = _region(state, at.NODE_RECORDS, network.nodes * at.NODE).reshape(-1, at.NODE)
    nodes[:, at.N_VC] = -1
    nodes[:, at.N_CHANNEL] = state[at.CHANNELS] + (network.links + np.arange(network.nodes)) * at.CHANNEL


def _write_ends(state: IntArray, channels: Channels, router: RouterSpec, vc_bits: int, slot_bits: int) -> None:
    ends = channels.count << vc_bits
    number = np.arange(ends)
    channel, vc = number >> vc_bits, number & ((1 << vc_bits) - 1)
    slots = state[at.SLOTS] + (number << slot_bits) * at.SLOT
    senders = _region(state, at.SENDERS, ends * at.SENDER).reshape(-1, at.SENDER)
    senders[:, at.S_CREDITS] = np.where(vc < router.virtual_channels, router.buffer_flits, 0)
    senders[:, at.S_NUMBER] = (channels.output[channel] << vc_bits) + vc
    buffers = _region(state, at.BUFFERS, ends * at.BUFFER).reshape(-1, at.BUFFER)
    buffers[:, at.B_NUMBER] = (channels.input[channel] << vc_bits) + vc
    speedup = router.input_speedup
    buffers[:, at.B_LANE] = state[at.LANES] + (channel * speedup + vc % speedup) * at.LANE
    buffers[:, at.B_CHANNEL] = state[at.CHANNELS] + channel * at.CHANNEL
    senders[:, at.S_WRITE] = senders[:, at.S_SLOTS] = slots
    buffers[:, at.B_READ] = buffers[:, at.B_SLOTS] = slots
    table = _region(state, at.SLOTS, (ends << slot_bits) * at.SLOT).reshape(-1, at.SLOT)
    table[:, at.F_VC] = np.arange(ends << slot_bits) >> slot_bits
