"""The packet model on a network alone: packets offered in time, and what became of each."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import CairnError
from cairn.base.kernel import kernel
from cairn.base.ticks import NEVER, Clock
from cairn.hw_models.noc import layout as at
from cairn.hw_models.noc.cycle import advance, next_event
from cairn.hw_models.noc.flit.measure import BatchResult, Latency, LoadResult, SamplingSpec, run_packets
from cairn.hw_models.noc.flit.spec import RouterSpec
from cairn.hw_models.noc.network import IntArray, Network, Routes, hops
from cairn.hw_models.noc.packets import PacketSpec
from cairn.hw_models.noc.request import enqueue
from cairn.hw_models.noc.route_tables import build_routes
from cairn.hw_models.noc.server import build_network_server, counters
from cairn.hw_models.noc.topologies import TopologySpec, build_network
from cairn.hw_models.noc.traffic import MAX_FLITS, Bernoulli, Packets, Pattern, trace
from cairn.hw_models.server import DONE, DONE_AT, ERROR, NOW

CYCLE: Final = Clock.from_ghz(1.0)
"""Cycles are what is asked for; any clock serves."""
MOST_UNDER_WAY: Final = 1 << 19
"""assumed: packets that are under way at once; some 300 bytes each."""

TRUSTED_SHARE: Final = 0.5
ALONE_SHARE: Final = 0.25
"""Of the load at which the flit model saturates, packets are trusted up to the first, up to the second where a set has
one virtual channel, behind whose packets all others wait: suite `packets`, latencies within 10 % there."""

BoolArray = npt.NDArray[np.bool_]


def packet_spec(router: RouterSpec, sets: int = 1) -> PacketSpec:
    """The packet model of a network of such routers, a flit being a byte.

    Its times are those of the flit model where nobody is met: what each router adds, and what a buffer-full of flits
    needs until its credits are back, are read off single packets on a line of three routers. The routes divide the
    virtual channels into `sets`.
    """
    topology = TopologySpec(kind="mesh", shape=(3,))
    network = build_network(topology)
    routes = build_routes(topology, network)

    def alone(destination: int, flits: int) -> int:
        packet = trace([0], [0], [destination], [flits], network)
        return run_packets(network, routes, router, packet).latency.longest

    one_hop, two_hops = alone(1, 1), alone(2, 1)
    buffer = router.buffer_flits
    in_router = two_hops - one_hop - topology.link_cycles
    return PacketSpec(
        link_bytes_per_cycle=1,
        injection_cycles=1,
        router_cycles=in_router,
        ejection_cycles=one_hop - in_router - topology.link_cycles - 3,  # start, injection, and the flit itself
        max_packet_bytes=MAX_FLITS,
        buffer_flits=buffer,
        credit_cycles=(alone(1, 2 * buffer + 1) - one_hop) // 2,
        channels=max(1, router.virtual_channels // sets),
        loopback=True,
    )


@kernel()
def _drive(state: IntArray, ticks: IntArray, requests: IntArray, ended: IntArray) -> int:
    """Make each request at its tick, and write down when it is done. Answers the server's error, 0 for none."""
    number = 0
    while number < ticks.size or next_event(state) < NEVER:
        until = ticks[number] if number < ticks.size else NEVER
        count = advance(state, until)
        for place in range(count):
            code = state[state[DONE_AT] + place]
            if code & 1 == DONE:
                ended[code >> 1] = state[NOW]
        if state[ERROR] != 0:
            return int(state[ERROR])
        while number < ticks.size and ticks[number] == state[NOW]:
            enqueue(state, number, requests[number])
            number += 1
    return int(state[ERROR])


class PacketNetwork:
    """A network by the packet model; every run starts empty."""

    def __init__(self, network: Network, routes: Routes, router: RouterSpec):
        self.network, self.routes = network, routes
        self.spec = packet_spec(router, routes.sets)
        self.hops = hops(network, routes).mean(axis=0)
        self.trusted_share = ALONE_SHARE if self.spec.channels == 1 else TRUSTED_SHARE

    def send(self, packets: Packets) -> tuple[IntArray, dict[str, IntArray]]:
        """When each packet has arrived (n,), cycles, and what links and ports counted. CairnError beyond the room."""
        room = max(64, min(packets.count, MOST_UNDER_WAY))
        server = build_network_server(self.spec, self.network, self.routes, CYCLE, room, 2 * room + 4096)
        state = server.fresh()
        zeros = np.zeros(packets.count, dtype=np.int64)
        requests = np.stack([zeros, packets.source, packets.destination, packets.flits], axis=1)
        ended = np.full(packets.count, -1)
        error = _drive(state, packets.cycle * CYCLE.num // CYCLE.den, requests, ended)
        if error in (at.TOO_MANY_TRANSFERS, at.TOO_MANY_PACKETS):
            raise CairnError(f"more than {room:,} packets are under way at once on {self.network.name}: a lower load")
        if error or (ended < 0).any():
            raise RuntimeError(f"the packet model stopped with error {error}")
        return ended * CYCLE.den // CYCLE.num, dict(counters(state))

    def batch(self, packets: Packets) -> BatchResult:
        """Packets that are all given."""
        ended, counted = self.send(packets)
        return BatchResult(
            cycles=int(ended.max(initial=-1)) + 1,
            latency=_latency(packets, ended, np.ones(packets.count, dtype=bool)),
            hops=float(self.hops[packets.source, packets.destination].mean()),
            link_flits=counted["link_bytes"],
            injected_flits=counted["injection_bytes"],
            ejected_flits=counted["ejection_bytes"],
        )

    def load(self, pattern: Pattern, load: float, packet_flits: int, seed: int, sampling: SamplingSpec) -> LoadResult:
        """Bernoulli injection for the longest time of `sampling`; packets created after the warm-up count.

        It is called saturated when the mean latency exceeds the limit of `sampling`, or packets are under way longer
        after the end than `drain_periods`.
        """
        begin, end = sampling.warmup_periods * sampling.period, sampling.max_periods * sampling.period
        packets = Bernoulli(pattern, load, packet_flits, seed).period(end)
        ended, counted = self.send(packets)
        measured = packets.cycle >= begin
        latency = _latency(packets, ended, measured)
        nodes, cycles = self.network.nodes, end - begin
        inside = (ended >= begin) & (ended < end)
        arrived = np.bincount(packets.destination[inside], packets.flits[inside], nodes) / cycles
        last = int(ended.max(initial=0))
        why = ""
        if latency.mean > sampling.latency_limit:
            why = f"mean latency exceeds {sampling.latency_limit:g} cycles"
        elif last > end + sampling.drain_periods * sampling.period:
            why = f"packets are still under way {last - end} cycles after the measurement"
        return LoadResult(
            offered=load,
            created=float(packets.flits[measured].sum()) / (nodes * cycles),
            accepted=float(arrived.mean()),
            accepted_lowest=float(arrived.min()),
            accepted_highest=float(arrived.max()),
            latency=latency,
            hops=float(self.hops[packets.source[measured], packets.destination[measured]].mean()),
            link_flits_per_cycle=counted["link_bytes"] / max(last, 1),
            measured_cycles=cycles,
            cycles=last,
            converged=not why,
            saturated=bool(why),
            why=why,
        )


def _latency(packets: Packets, ended: IntArray, chosen: BoolArray) -> Latency:
    """Latencies of packets; the packet model does not part waiting at the source from the network: queueing is NaN."""
    total = (ended - packets.cycle)[chosen]
    if total.size == 0:
        return Latency(0, np.nan, 0, np.nan, np.nan)
    return Latency(int(total.size), float(total.mean()), int(total.max()), np.nan, float(total.mean()))
