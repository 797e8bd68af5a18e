"""Recorded reads of a Wormhole chip as a plan of transfers over its two networks, run by the packet model.

A read is four tasks, each after the one before: a delay to the cycle in which it was issued, the request, which is a
header alone, on its way to the responder, what the responder takes, and the data on their way back over the same
network. Issue times are recorded; when a read ends is predicted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from cairn.base.ticks import Clock
from cairn.hw_models.noc.network import Network, Routes, hops
from cairn.hw_models.noc.one_way import one_way_torus
from cairn.hw_models.noc.packets import PacketSpec
from cairn.hw_models.noc.server import build_network_server
from cairn.hw_models.server import Server
from cairn.sim.engine.compiled import simulate_plan
from cairn.sim.plan.plan import COMPUTE_COLUMNS, COPY_COLUMNS, NO_QUEUE, NO_SERVER, SYNC, Edges, IntArray, Plan
from cairn.validation.reference import Record, ReferenceDir

PUBLISHED: Final = "noc/noc_published.yaml"
COLUMNS: Final = 10  # tenstorrent/tt-isa-documentation, WormholeB0/NoC/README.md: a grid of 10 x 12
ROWS: Final = 12
CYCLE: Final = Clock.from_ghz(1.0)  # any clock does: reads and results are in cycles
NETWORKS: Final = ("noc0", "noc1")


@dataclass(frozen=True)
class Reads:
    """Reads of one kernel, each array (reads,): cycle of issue, nodes, bytes, and which of the two networks."""

    issue: IntArray
    requester: IntArray
    responder: IntArray
    size: IntArray
    network: IntArray

    @classmethod
    def of(cls, records: Sequence[Record]) -> Reads:
        """The rows of `wormhole_reads.csv` of one trace."""
        names = ("t_issue", "req_x", "req_y", "resp_x", "resp_y", "bytes", "noc")
        issue, req_x, req_y, resp_x, resp_y, size, network = np.array(
            [[record.integer(name) for name in names] for record in records], dtype=np.int64
        ).T
        return cls(issue, req_y * COLUMNS + req_x, resp_y * COLUMNS + resp_x, size, network)


@dataclass(frozen=True)
class Wormhole:
    """The published constants of the chip: cycles at the ends of a way and of a hop, bytes per cycle.

    `link_bytes_per_cycle` is the wires' width, `model_link_bytes_per_cycle` what tt-npe's own model has a link carry.
    """

    into_cycles: int
    hop_cycles: int
    out_cycles: int
    link_bytes_per_cycle: float
    model_link_bytes_per_cycle: float
    header_bytes: int
    max_packet_bytes: int
    inject_bytes_per_cycle: Mapping[str, float]
    absorb_bytes_per_cycle: float
    responder_cycles: int

    @classmethod
    def of(cls, reference: ReferenceDir) -> Wormhole:
        """From `noc_published.yaml`. A read along a row goes once round its ring; what is left of its published latency
        without the hops and the ways in and out, twice each, is what the responder takes."""
        noc: dict[str, Any] = reference.yaml(PUBLISHED)["wormhole_noc"]
        model = noc["model_constants_tt_npe"]
        ways = ("niu_to_router_cycles", "router_to_router_cycles", "router_to_niu_cycles")
        into, hop, out = (int(noc[way]["value"]) for way in ways)
        flit = int(noc["link_bits_per_cycle"]["value"]) // 8
        return cls(
            into_cycles=into,
            hop_cycles=hop,
            out_cycles=out,
            link_bytes_per_cycle=flit,
            model_link_bytes_per_cycle=float(model["link_bytes_per_cycle"]),
            header_bytes=int(noc["long_packet_header"]["header_flits"]) * flit,
            max_packet_bytes=int(noc["long_packet_header"]["data_bytes_max"]),
            inject_bytes_per_cycle=model["inject_bytes_per_cycle"],
            absorb_bytes_per_cycle=float(model["absorb_bytes_per_cycle"]["worker"]),
            responder_cycles=int(model["read_latency_cycles"]["same_row"]) - COLUMNS * hop - 2 * (into + out),
        )

    def packets(self, responder: str) -> PacketSpec:
        """The packet model with responders of one kind (worker or dram); who reads is a worker. One virtual channel:
        the data of all reads have the class of responses, and a packet keeps its channel until its tail has passed a
        link (tt-isa-documentation, WormholeB0/NoC/README.md, Virtual channels)."""
        return PacketSpec(
            link_bytes_per_cycle=self.link_bytes_per_cycle,
            injection_bytes_per_cycle=self.inject_bytes_per_cycle[responder],
            ejection_bytes_per_cycle=self.absorb_bytes_per_cycle,
            injection_cycles=self.into_cycles,
            router_cycles=self.hop_cycles - 1,
            ejection_cycles=self.out_cycles,
            header_bytes=self.header_bytes,
            max_packet_bytes=self.max_packet_bytes,
            channels=1,
            loopback=True,
        )


def tori() -> list[tuple[Network, Routes]]:
    """NoC 0 goes east, then south; NoC 1 goes north, then west; rows are counted to the south."""
    return [one_way_torus(COLUMNS, ROWS, (1, 1), True), one_way_torus(COLUMNS, ROWS, (-1, -1), False)]


class Replay:
    """Replays kernels whose responders are of one kind."""

    def __init__(self, chip: Wormhole, responder: str):
        self.chip = chip
        self.spec = chip.packets(responder)
        networks = tori()
        self.hops = np.stack([hops(network, routes)[0] for network, routes in networks])
        self.servers: dict[str, Server] = {
            name: build_network_server(self.spec, network, routes, CYCLE)
            for name, (network, routes) in zip(NETWORKS, networks, strict=True)
        }

    def cycles(self, reads: Reads) -> float:
        """Cycles from the first event of a kernel to the end of its last read."""
        return float(simulate_plan(self._plan(reads), self.servers).makespan) / CYCLE.num

    def alone(self, reads: Reads) -> IntArray:
        """Cycle in which each read would end if it met nobody. Its data are one packet, as long as its longest hold."""
        there, back = (
            self.hops[reads.network, source, target] * self.chip.hop_cycles
            for source, target in ((reads.requester, reads.responder), (reads.responder, reads.requester))
        )
        ends = 2 * (self.chip.into_cycles + self.chip.out_cycles)
        holds = self._longest(np.zeros_like(reads.size)) + self._longest(reads.size)
        ended: IntArray = reads.issue + ends + there + back + holds + self.chip.responder_cycles
        return ended

    def _longest(self, size: IntArray) -> IntArray:
        """Cycles of a packet on the slowest of ports and link."""
        spec = self.spec
        ports = (spec.injection_bytes_per_cycle, spec.ejection_bytes_per_cycle, spec.link_bytes_per_cycle)
        widths = [spec.port_widths(port, 1)[0] for port in ports]
        moved = size + spec.header_bytes
        holds = np.stack([-(-moved * width.denominator // width.numerator) for width in widths])
        longest: IntArray = holds.max(axis=0)
        return longest

    @property
    def _responder(self) -> int:
        """Cycles from the end of a request to the transfer's own start."""
        return self.chip.responder_cycles - self.spec.start_cycles

    def _plan(self, reads: Reads) -> Plan:
        """Tasks 0 .. n-1 are the delays of the n reads, followed by n requests, n responders, n transfers of data."""
        n = reads.issue.size
        zeros = np.zeros(n, np.int64)
        asking = np.stack([zeros, reads.requester, reads.responder, zeros], axis=1)
        data = np.stack([zeros, reads.responder, reads.requester, reads.size], axis=1)
        both, over = np.concatenate([asking, data]), np.tile(reads.network, 2)
        tables = tuple(np.ascontiguousarray(both[over == network]) for network in range(len(NETWORKS)))
        place = np.empty(2 * n, np.int64)
        for network, table in enumerate(tables):
            place[over == network] = np.arange(len(table))
        none = np.full(n, NO_SERVER)
        delays = (reads.issue - self.spec.start_cycles, zeros, zeros + self._responder, zeros)
        following = np.concatenate([np.arange(3 * n), np.full(n + 1, 3 * n)]).astype(np.int32)
        return Plan(
            queue=np.full(4 * n, NO_QUEUE), duration=np.concatenate(delays) * CYCLE.num,
            server=np.concatenate([none, reads.network, none, reads.network]),
            request=np.concatenate([none, place[:n], none, place[n:]]),
            waits=np.repeat([0, 1], [n, 3 * n]),
            on_first=Edges(np.zeros(4 * n + 1, np.int32), np.empty(0, np.int32)),
            on_done=Edges(following, n + np.arange(3 * n, dtype=np.int32)),
            op=np.full(4 * n, -1), block=np.zeros(4 * n, np.int64), kind=np.full(4 * n, SYNC), row=np.full(4 * n, -1),
            queues=(), servers=NETWORKS, requests=tables,
            compute=np.empty((0, len(COMPUTE_COLUMNS)), np.int64), copies=np.empty((0, len(COPY_COLUMNS)), np.int64),
        )  # fmt: skip
