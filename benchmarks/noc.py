"""Speed of the network models, CPU time, warm, one thread: router-cycles a second of flits, packets a second.


    python benchmarks/noc.py [--cycles N] [--repeat N]

A router-cycle is one router simulated for one cycle, whether or not anything happens in it. Uniform Bernoulli traffic
on square meshes, packets made beforehand; every rate is that of the fastest of several runs. Exit status 1 when a
target is missed on the 8 x 8 mesh: 4 million router-cycles/s at a low load, 1.5 million near saturation, 2 million
packets/s. The packet model is given the same packets.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from typing import Final

from cairn.hw_models.noc.flit.simulate import FlitNetwork
from cairn.hw_models.noc.flit.spec import RouterSpec
from cairn.hw_models.noc.route_tables import build_routes
from cairn.hw_models.noc.topologies import TopologySpec, build_network
from cairn.hw_models.noc.traffic import Bernoulli, Pattern
from cairn.sim.network.packets import PacketNetwork

LOW_PER_S: Final = 4e6
SATURATED_PER_S: Final = 1.5e6
PACKETS_PER_S: Final = 2e6


SIZE_OF_TARGETS: Final = 8
"""Side of the meshes that have targets."""


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


def packet_rate_per_s(case: FlitCase, cycles: int, repeat: int) -> float:
    """Packets a second of one case, sent by the packet model."""
    topology = TopologySpec(kind="mesh", shape=(case.size, case.size))
    network = build_network(topology)
    router = RouterSpec(virtual_channels=case.virtual_channels, buffer_flits=case.buffer_flits)
    by_packets = PacketNetwork(network, build_routes(topology, network), router)
    packets = Bernoulli(Pattern("uniform", network.nodes), case.load, case.packet_flits).period(cycles)
    by_packets.send(packets)  # compiles or loads what is not yet there
    times = []
    for _ in range(repeat):
        begin = time.process_time()
        by_packets.send(packets)
        times.append(time.process_time() - begin)
    return packets.count / min(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cycles", type=int, default=20_000, help="cycles of each run")
    parser.add_argument("--repeat", type=int, default=3, help="runs, of which the fastest counts")
    options = parser.parse_args()

    missed = False
    for case in FLIT_CASES:
        rate = flit_rate_per_s(case, options.cycles, options.repeat)
        target = case.target_per_s
        verdict = "" if target is None else f"target {target / 1e6:g}" + ("  MISSED" if rate < target else "")
        name = f"flits, {case.size} x {case.size}, {case.name}, load {case.load:g}"
        print(f"{name:<56}{rate / 1e6:>8.2f} M router-cycles/s  {verdict}".rstrip())
        missed |= target is not None and rate < target
    for case in FLIT_CASES:
        rate = packet_rate_per_s(case, options.cycles, options.repeat)
        target = PACKETS_PER_S if case.size == SIZE_OF_TARGETS else None
        verdict = "" if target is None else f"target {target / 1e6:g}" + ("  MISSED" if rate < target else "")
        name = f"packets, {case.size} x {case.size}, {case.name}, load {case.load:g}"
        print(f"{name:<56}{rate / 1e6:>8.2f} M packets/s        {verdict}".rstrip())
        missed |= target is not None and rate < target
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
