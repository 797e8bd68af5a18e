"""Speed of the packet network alone: packets a second of CPU time, warm, the best of several runs.

    python benchmarks/noc_packets.py [--packets N] [--repeat N]

Uniform traffic on a mesh, each packet a transfer of its own, requested one after the other as an engine does. Loads are
flits a node and cycle. Exit status 1 when a target is missed: 2 million packets/s on 8 x 8 at loads up to half of
saturation, beyond which the packet model is not to be trusted.
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
from cairn.hw_models.noc.server import build_noc_server
from cairn.hw_models.noc.spec import IntArray, NocSpec
from cairn.hw_models.server import Server

TARGET_PER_S: Final = 2e6
FLIT_BYTES: Final = 16
CASES: Final = ((8, 4, 0.02), (8, 4, 0.15), (8, 4, 0.25), (8, 4, 0.35), (8, 16, 0.20), (16, 4, 0.10))
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


def case(side: int, flits: int, load: float, packets: int) -> tuple[Server, IntArray, IntArray]:
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


def rates(packets: int, repeat: int) -> Iterator[Rate]:
    """The packets per second of each case."""
    for side, flits, load in CASES:
        server, ticks, rows = case(side, flits, load, packets)
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
    parser.add_argument("--packets", type=int, default=300_000, help="packets of each case")
    parser.add_argument("--repeat", type=int, default=5, help="runs, of which the fastest counts")
    options = parser.parse_args()
    missed = False
    for rate in rates(options.packets, options.repeat):
        target = f"target {TARGET_PER_S / 1e6:g}" if rate.counts else ""
        name = f"{rate.side} x {rate.side} mesh, packets of {rate.flits} flits, load {rate.load:g}"
        print(f"{name:<52}{rate.per_s / 1e6:>7.2f} M packets/s  {target}")
        missed |= rate.counts and rate.per_s < TARGET_PER_S
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
