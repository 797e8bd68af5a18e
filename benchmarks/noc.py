"""Speed of the network models, CPU time, warm, one thread: router-cycles a second of flits, packets a second.

    python benchmarks/noc.py [--cycles N] [--repeat N]

A router-cycle is one router simulated for one cycle, whether or not anything happens in it. Uniform Bernoulli traffic
on square meshes, packets made beforehand; every rate is that of the fastest of several runs. Exit status 1 when a
target is missed on the 8 x 8 mesh: 4 million router-cycles/s at a low load, 1.5 million near saturation;
2 million packets/s at loads up to half of saturation, beyond which the packet model is not to be trusted. There each
packet is a transfer of its own over the network of a chip, requested one after the other as an engine does.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from cairn.base.kernel import kernel
from cairn.base.streams import stream
from cairn.base.ticks import NEVER, Clock
from cairn.hw_models.noc.flit.simulate import FlitNetwork
from cairn.hw_models.noc.flit.spec import RouterSpec
from cairn.hw_models.noc.route_tables import build_routes
from cairn.hw_models.noc.server import build_noc_server
from cairn.hw_models.noc.spec import IntArray, NocSpec
from cairn.hw_models.noc.topologies import TopologySpec, build_network
from cairn.hw_models.noc.traffic import Bernoulli, Pattern
from cairn.hw_models.server import Server

LOW_PER_S: Final = 4e6
SATURATED_PER_S: Final = 1.5e6


@dataclass(frozen=True)
class FlitCase:
    """Uniform traffic on a mesh of `size` x `size`; `load` in flits per node and cycle."""

    name: str
    size: int
    virtual_channels: int
    buffer_flits: int
    packet_flits: int
    load: float
    target_per_s: float | None = None


# The cases that BookSim2 was timed on: benchmarks/README.md.
FLIT_CASES: Final = (
    FlitCase("low load", 8, 2, 4, 4, 0.02, LOW_PER_S),
    FlitCase("half of saturation", 8, 2, 4, 4, 0.15),
    FlitCase("85 % of saturation", 8, 2, 4, 4, 0.25, SATURATED_PER_S),
    FlitCase("4 channels of 8", 8, 4, 8, 4, 0.35, SATURATED_PER_S),
    FlitCase("packets of 16 flits", 8, 2, 4, 16, 0.20),
    FlitCase("70 % of saturation", 16, 2, 4, 4, 0.10),
)


def flit_rate_per_s(case: FlitCase, cycles: int, repeat: int) -> float:
    """Router-cycles a second of one case."""
    topology = TopologySpec(kind="mesh", shape=(case.size, case.size))
    network = build_network(topology)
    routes = build_routes(topology, network)
    router = RouterSpec(virtual_channels=case.virtual_channels, buffer_flits=case.buffer_flits)
    packets = Bernoulli(Pattern("uniform", network.nodes), case.load, case.packet_flits).period(cycles)
    times = []
    for _ in range(repeat):
        run = FlitNetwork(network, routes, router)
        run.offer(packets)
        run.run(1)  # whatever is compiled or loaded is compiled and loaded by now
        begin = time.process_time()
        run.run(cycles)
        times.append(time.process_time() - begin)
    return network.routers * cycles / min(times)


PACKETS_PER_S: Final = 2e6
FLIT_BYTES: Final = 16
PACKET_CASES: Final = ((8, 4, 0.02), (8, 4, 0.15), (8, 4, 0.25), (8, 4, 0.35), (8, 16, 0.20), (16, 4, 0.10))
"""Side of the mesh, flits of a packet, load: those of BookSim2 that were timed (reference/noc)."""
TRUSTED_LOAD: Final = 0.15


@dataclass(frozen=True)
class Rate:
    """A case and its packets per second."""

    side: int
    flits: int
    load: float
    per_s: float

    @property
    def counts(self) -> bool:
        """Whether the target holds for this case."""
        return self.side == 8 and self.load <= TRUSTED_LOAD


@kernel()
def _drive(enqueue: Any, advance: Any, state: IntArray, ticks: IntArray, rows: IntArray) -> int:
    """Hand over every request at its tick, and run to the end; answers the completions."""
    completions = 0
    for task in range(ticks.size):
        while True:
            count = advance(state, ticks[task])
            if count == 0:
                break
            completions += count
        enqueue(state, task, rows[task])
    while True:
        count = advance(state, NEVER - 1)
        if count == 0:
            return completions
        completions += count


def packet_case(side: int, flits: int, load: float, packets: int) -> tuple[Server, IntArray, IntArray]:
    """A server, and ticks and rows of its requests."""
    random = stream(1, "benchmark", "packets", side, flits, str(load))
    nodes = side * side
    cycles = np.sort(random.uniform(0, packets * flits / (load * nodes), packets)).astype(np.int64)
    source = random.integers(0, nodes, packets)
    destination = (source + random.integers(1, nodes, packets)) % nodes
    size = np.full(packets, FLIT_BYTES * flits)
    rows = np.ascontiguousarray(np.stack([np.zeros(packets, np.int64), source, destination, size], axis=1))
    spec = NocSpec(link_bytes_per_cycle=FLIT_BYTES, hop_cycles=5, start_cycles=1)
    return build_noc_server(spec, side, side, Clock.from_ghz(1.0)), cycles * 1000, rows


def packet_rates(packets: int, repeat: int) -> Iterator[Rate]:
    """The packets per second of each case."""
    for side, flits, load in PACKET_CASES:
        server, ticks, rows = packet_case(side, flits, load, packets)
        calls = (server.kind.enqueue, server.kind.advance)
        _drive(*calls, server.fresh(), ticks[:100], rows[:100])
        times = []
        for _ in range(repeat):
            state = server.fresh()
            begin = time.process_time()
            completions = _drive(*calls, state, ticks, rows)
            times.append(time.process_time() - begin)
            if completions != packets:
                raise RuntimeError(f"{completions} of {packets} packets arrived")
        yield Rate(side, flits, load, packets / min(times))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cycles", type=int, default=20_000, help="cycles of each run")
    parser.add_argument("--repeat", type=int, default=3, help="runs, of which the fastest counts")
    parser.add_argument("--packets", type=int, default=300_000, help="packets of each case of the packet model")
    options = parser.parse_args()

    missed = False
    for case in FLIT_CASES:
        rate = flit_rate_per_s(case, options.cycles, options.repeat)
        target = case.target_per_s
        verdict = "" if target is None else f"target {target / 1e6:g}" + ("  MISSED" if rate < target else "")
        name = f"flits, {case.size} x {case.size}, {case.name}, load {case.load:g}"
        print(f"{name:<56}{rate / 1e6:>8.2f} M router-cycles/s  {verdict}".rstrip())
        missed |= target is not None and rate < target
    for found in packet_rates(options.packets, options.repeat):
        verdict = "" if not found.counts else f"target {PACKETS_PER_S / 1e6:g}"
        verdict += "  MISSED" if found.counts and found.per_s < PACKETS_PER_S else ""
        name = f"packets of {found.flits} flits, {found.side} x {found.side}, load {found.load:g}"
        print(f"{name:<56}{found.per_s / 1e6:>8.2f} M packets/s        {verdict}".rstrip())
        missed |= found.counts and found.per_s < PACKETS_PER_S
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
