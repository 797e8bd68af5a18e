"""Speed of products by table look-up on numbers, CPU time of one thread, cold and warm.

    python benchmarks/mpgemm.py [--size N] [--repeat N] [--no-cold]

N x N x N with 4 activations to a table. *Cold* is the first product of a fresh process, libraries loaded, kernels
compiled in an earlier one (or in this, where there is no cache); *warm* the fastest of several, packing of weights left
out, table precompute included. Exit status 1 when 1024^3 with weights of 2 bits and INT8 activations takes 5 s or more,
warm or cold.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from words import at_least_one

from cairn.base.streams import stream
from cairn.hw_models.compute.lut.functional.counts import look_ups
from cairn.hw_models.compute.lut.functional.formats import ActivationFormat, Activations, encode_fp8
from cairn.hw_models.compute.lut.functional.mpgemm import mpgemm
from cairn.hw_models.compute.lut.functional.planes import PackedWeights, pack
from cairn.hw_models.compute.lut.functional.prepared import TableKind
from cairn.hw_models.compute.lut.functional.weights import Weights

TARGET_S: Final = 5.0
"""Issue 6: functional mpGEMM of 1024^3 at W2A8 in less than this much CPU time."""


@dataclass(frozen=True)
class Case:
    """A pair of precisions and a sort of table."""

    bits: int
    format: ActivationFormat
    table: TableKind = "exact"
    target_s: float | None = None

    @property
    def name(self) -> str:
        return f"W{self.bits}, {self.format}, {self.table} tables"


CASES: Final = (
    Case(2, ActivationFormat.INT8, target_s=TARGET_S),
    Case(1, ActivationFormat.INT8),
    Case(4, ActivationFormat.INT8),
    Case(2, ActivationFormat.INT8, "int8"),
    Case(2, ActivationFormat.FP16),
    Case(4, ActivationFormat.FP8_E4M3),
)


def operands(case: Case, size: int) -> tuple[PackedWeights, Activations]:
    """Random weights and activations, size x size each."""
    random = stream(1, "benchmark", "mpgemm", case.name)
    weights = Weights.of(random.integers(0, 1 << case.bits, (size, size)), case.bits)
    raw: npt.NDArray[Any]
    if case.format.is_integer:
        raw = random.integers(-128, 128, (size, size))
    else:
        real = random.random((size, size)) - 0.5
        raw = real.astype(np.float16) if case.format is ActivationFormat.FP16 else encode_fp8(real, case.format)
    return pack(weights), Activations.of(raw, case.format)


def seconds(case: Case, size: int) -> float:
    """CPU time of one product."""
    weights, activations = operands(case, size)
    begin = time.process_time()
    mpgemm(weights, activations, table=case.table)
    return time.process_time() - begin


def cold_seconds(index: int, size: int) -> float:
    """CPU time of the first product of a fresh process."""
    command = [sys.executable, __file__, "--size", str(size), "--only", str(index)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=at_least_one, default=1024, help="M = N = K")
    parser.add_argument("--repeat", type=at_least_one, default=3, help="runs, of which the fastest counts")
    parser.add_argument("--no-cold", action="store_true", help="leave the fresh processes out")
    parser.add_argument("--only", type=int, help="time the first product of this case, and print nothing else")
    options = parser.parse_args()
    if options.only is not None:
        print(seconds(CASES[options.only], options.size))
        return 0

    missed = False
    for index, case in enumerate(CASES):
        warm = min(seconds(case, options.size) for _ in range(options.repeat + 1))
        cold = None if options.no_cold else cold_seconds(index, options.size)
        over = case.target_s is not None and max(warm, cold or 0.0) >= case.target_s
        target = "" if case.target_s is None else f"target {case.target_s:g} s" + ("  MISSED" if over else "")
        rate = int(look_ups(options.size, options.size, options.size, case.bits, 4)) / warm / 1e6
        line = f"{case.name:<30} warm {warm:>6.2f} s  {rate:>6.0f} M look-ups/s  "
        line += "" if cold is None else f"cold {cold:>6.2f} s  "
        print((line + target).rstrip())
        missed |= over
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
