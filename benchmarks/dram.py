"""Speed of the DRAM channel's cycle model: requests a second of CPU time, warm, one thread, statistics on.

    python benchmarks/dram.py [--requests N] [--repeat N] [--presets NAME ...] [--no-cold]

Every rate is that of the fastest of several runs of a request list that is already made. Exit status 1 when a target is
missed: 4 million requests/s of streams, 0.8 million of one bank with a new row for every request, and of random reads
0.8 million on DDR4-2400 and 0.5 million on HBM3-6400. The cold time is that of a process that imports the model and
runs ten requests: libraries, and kernels loaded from their cache (compiled first where there is none yet).
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Final

from cairn.hw_models.dram.control.build import ControllerSpec
from cairn.hw_models.dram.device import device
from cairn.hw_models.dram.mapping import AddressMap
from cairn.hw_models.dram.request_list import pattern
from cairn.hw_models.dram.simulate import simulate_channel

PRESETS: Final = ("DDR4_2400R", "DDR5_4800BN", "LPDDR5_6400", "GDDR6_14000", "HBM2_2000", "HBM3_6400", "HBM4_8000")
PATTERNS: Final = ("stream_rd", "random_rd", "conflict1", "mix21_stream", "gemv2")
MAPPING: Final = "bank_group_first"
STREAM_PER_S: Final = 4e6
CONFLICT_PER_S: Final = 0.8e6
RANDOM_PER_S: Final = {"DDR4_2400R": 0.8e6, "HBM3_6400": 0.5e6}
COLD: Final = (
    "from cairn.hw_models.dram.device import device\n"
    "from cairn.hw_models.dram.mapping import AddressMap\n"
    "from cairn.hw_models.dram.request_list import pattern\n"
    "from cairn.hw_models.dram.simulate import simulate_channel\n"
    "part = device('DDR4_2400R')\n"
    "simulate_channel(part, requests=pattern('stream_rd', 10, AddressMap.named(part, 'bank_group_first')))\n"
)


def target_per_s(preset: str, name: str) -> float | None:
    """The rate that must be reached, None where none is set."""
    if name == "random_rd":
        return RANDOM_PER_S.get(preset)
    return {"stream_rd": STREAM_PER_S, "conflict1": CONFLICT_PER_S}.get(name)


def best_s(work: Callable[[], object], repeat: int) -> float:
    """CPU seconds of the fastest of `repeat` runs."""
    times = []
    for _ in range(repeat):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return min(times)


def rate_per_s(preset: str, name: str, requests: int, repeat: int) -> float:
    """Requests a second of one pattern on one preset, all-bank refresh, the usual queues of 32."""
    part, controller = device(preset), ControllerSpec()
    block = pattern(name, requests, AddressMap.named(part, MAPPING))
    simulate_channel(part, controller, block)
    return requests / best_s(lambda: simulate_channel(part, controller, block), repeat)


def cold_s() -> tuple[float, float]:
    """CPU and wall seconds of a fresh process up to its first ten requests."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, "-c", COLD], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.perf_counter() - begin


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=100_000, help="requests of each run")
    parser.add_argument("--repeat", type=int, default=25, help="runs, of which the fastest counts")
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), help="presets of the DRAM standards")
    parser.add_argument("--no-cold", action="store_true", help="leave out the time of a fresh process")
    options = parser.parse_args()

    missed = False
    for preset in options.presets:
        for name in PATTERNS:
            rate, target = rate_per_s(preset, name, options.requests, options.repeat), target_per_s(preset, name)
            verdict = "" if target is None else f"target {target / 1e6:g}" + ("  MISSED" if rate < target else "")
            print(f"{f'{preset}, {name}':<32}{rate / 1e6:>9.3f} M requests/s  {verdict}".rstrip())
            missed |= target is not None and rate < target
    if not options.no_cold:
        cpu, wall = cold_s()
        print(f"{'cold: a process, ten requests':<32}{cpu:>9.3f} s of CPU, {wall:.3f} s in all")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
