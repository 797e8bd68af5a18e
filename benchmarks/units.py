"""Speed of the cycle and energy model of units for low-bit weights: points a second of CPU time, warm.

    python benchmarks/units.py [--points N] [--repeat N]

A point is a product of random sizes at random weight bits on one of eight units; its cycles and energy are worked out.
Exit status 1 when the fastest of several runs stays below a million points/s.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Final

import numpy as np
from words import at_least_one

from cairn.hw_models.compute.units.add_only import AddOnly
from cairn.hw_models.compute.units.contract import ComputeUnit, evaluate
from cairn.hw_models.compute.units.look_up import ConventionalLut, Figlut, LutTensorCore, UnpuLike
from cairn.hw_models.compute.units.mac import MacTensorCore
from cairn.hw_models.compute.units.systolic import SystolicUnit

TARGET_PER_S: Final = 1e6
UNITS: Final[tuple[ComputeUnit, ...]] = (
    MacTensorCore.a100("int8"), MacTensorCore.a100("fp16"), SystolicUnit(activation="int8"),
    LutTensorCore(activation="int8", arrays=16), ConventionalLut(activation="int8", arrays=16),
    UnpuLike(activation="int8"), Figlut(), AddOnly(activation="fp16"),
)  # fmt: skip


def points(count: int) -> tuple[np.ndarray, ...]:
    """Units, m, n, k and weight bits of `count` points, with a fixed seed."""
    draw = np.random.default_rng(0)
    sizes = (draw.integers(1, top, count) for top in (2048, 16384, 16384))
    return draw.integers(0, len(UNITS), count), *sizes, draw.integers(1, 9, count)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--points", type=at_least_one, default=1_000_000, help="points of each run")
    parser.add_argument("--repeat", type=at_least_one, default=5, help="runs, of which the fastest counts")
    options = parser.parse_args()
    asked = points(options.points)
    times = []
    for _ in range(options.repeat):
        begin = time.process_time()
        evaluate(UNITS, *asked)
        times.append(time.process_time() - begin)
    rate = options.points / min(times)
    missed = rate < TARGET_PER_S
    print(f"{'cycles and energy of units':<32}{rate / 1e6:>9.3f} M points/s  target 1" + ("  MISSED" if missed else ""))
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
