"""How much of a known front each search finds: a closed-form roofline with a cheap tier that is wrong on purpose.

    python benchmarks/dse_synthetic.py [--seeds 10] [--methods tiered,random,nsga2,tpe,gp] [--check]

The problem has the shape of the one in the optimizer study (shared/digests/optimizers.md): a mixed prefill and decode
job over 8 discrete parameters, 1,382,400 designs, log latency and log energy to be made small, area <= 350 mm2 and
power <= 120 W, which some 31 % of the designs meet. It is written anew from that description, so its constants are
assumed and its figures need not be those of the study. The cheap tier is the truth times a smooth bias of the
parameters times pseudo-random noise of 10 %. Value: hypervolume of the feasible points found over that of the exact
front, logarithms normalised to the range of the exact front, reference (1, 1); medians over seeds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from cairn.dse.front import hypervolume, nondominated
from cairn.dse.outcome import Outcome, Status
from cairn.dse.problem import CheapTable, Evaluated, History, Problem
from cairn.dse.proposers import Nsga2, OptunaSampler, Random, torch_is_there
from cairn.dse.search import Limits, Proposer, search
from cairn.dse.space import FloatArray, IntArray, Parameter, Space
from cairn.dse.study import Memory
from cairn.dse.sweep_spec import SearchSpec, TiersSpec
from cairn.dse.tiered import Tiered
from cairn.dse.workers import Here

VALUES: Mapping[str, tuple[float, ...]] = {
    "cores": (4, 8, 12, 16, 24, 32, 48, 64, 96, 128),
    "array": (8, 16, 24, 32, 48, 64, 96, 128),
    "sram_kib": (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384),
    "channels": (1, 2, 4, 6, 8, 12, 16, 24),
    "pin_gbps": (2.4, 3.2, 4.8, 5.6, 6.4, 8.0),
    "clock_ghz": (0.4, 0.8, 1.2, 1.6, 2.0),
    "noc_bytes": (8, 16, 32, 64),
    "weight_bits": (4, 8),
}
SMALLER: Mapping[str, tuple[float, ...]] = {name: each[:: 2 if len(each) > 5 else 1] for name, each in VALUES.items()}
"""A space of 48,000 designs, for tests."""
AREA_MM2, POWER_W = 350.0, 120.0


def space_of(values: Mapping[str, Sequence[float]]) -> Space:
    """The space of some values of each parameter."""
    return Space(tuple(Parameter(name, tuple(each), {name: tuple(each)}) for name, each in values.items()))


def truth(space: Space, numbers: IntArray) -> tuple[FloatArray, FloatArray]:
    """Latency in s and energy in J (n, 2), area and power as excess over their bounds (n, 2). All constants assumed."""
    c = {name: column.astype(np.float64) for name, column in space.columns(numbers).items()}
    weights_gb = 7.0 * c["weight_bits"] / 8  # a model of 7 G parameters
    bandwidth = c["channels"] * 8 * c["pin_gbps"]  # GB/s: 64 pins a channel
    peak = 2 * c["cores"] * c["array"] ** 2 * c["clock_ghz"] / 1e3  # Tops/s
    on_chip = c["cores"] * c["sram_kib"] / 2**10  # MiB
    reread = 1 + 3 * np.exp(-on_chip / 24)
    fabric = np.sqrt(c["cores"]) * c["noc_bytes"] * c["clock_ghz"]  # GB/s over a cut
    use = 1 / (1 + c["array"] / 64)
    prefill_ops, decode_ops = 2 * 7.0 * 4096 / 1e3, 2 * 7.0 * 64 * 16 / 1e3  # Tops: 4096 tokens, then 64 steps of 16
    prefill = _overlapped(prefill_ops / (peak * use), weights_gb * reread / bandwidth, 20 * reread / fabric)
    decode = _overlapped(decode_ops / (peak * use), 64 * (weights_gb + 2.0) / bandwidth, 64 * 0.3 / fabric)
    lossy = np.where(c["weight_bits"] < 8, 1.8, 1.0)  # fewer bits need more steps for the same answer
    latency = (prefill + decode) * lossy
    precision = 0.4 + 0.6 * c["weight_bits"] / 8
    volts = 0.35 + 0.45 * c["clock_ghz"]
    moved_gb = weights_gb * (reread + 64) + 64 * 2.0
    dynamic = (prefill_ops + decode_ops) * 1.2 * precision * volts**2 / np.sqrt(use)
    dynamic = (dynamic + moved_gb * (0.02 + 0.02 * c["pin_gbps"] ** 1.5)) * np.sqrt(lossy)
    area = c["cores"] * (
        c["array"] ** 2 * 4e-3 * precision + c["sram_kib"] * 4e-3 + 0.015 * c["noc_bytes"] + 0.2
    ) + c["channels"] * (3.0 + 0.6 * c["pin_gbps"])
    static = 0.04 * area * volts + 0.1 * c["channels"]
    energy = dynamic + static * latency
    power = dynamic / latency * 1.5 + static
    values = np.stack((latency, energy), axis=1)
    return values, np.stack((area / AREA_MM2 - 1, power / POWER_W - 1), axis=1)


def _overlapped(*times: FloatArray) -> FloatArray:
    """Times that overlap, the longest counting most."""
    return np.asarray(sum(each**4 for each in times)) ** 0.25


@dataclass(frozen=True)
class Synthetic:
    """The problem on a space; `noise` of the cheap tier is the standard deviation of its logarithm."""

    space: Space
    noise: float = 0.1

    def __call__(self, number: int) -> Outcome:
        values, excess = truth(self.space, np.array([number]))
        status = Status.FEASIBLE if (excess <= 0).all() else Status.INFEASIBLE
        return Outcome(status, tuple(values[0].tolist()), tuple(excess[0].tolist()))

    def table(self, numbers: IntArray) -> CheapTable:
        """The cheap tier: both objectives wrong by up to a third either way, smoothly, and by noise."""
        values, excess = truth(self.space, numbers)
        x = self.space.features(numbers)
        bias = np.stack(
            (0.25 * np.sin(2 * x[:, 1] + x[:, 2]) + 0.15 * x[:, 3] * x[:, 0], 0.2 * x[:, 4] - 0.2 * x[:, 1] ** 2),
            axis=1,
        )
        values = values * np.exp(bias + self.noise * _noise(numbers))
        return CheapTable(values, excess, np.ones(len(numbers), dtype=np.bool_))

    def problem(self, *, tiered: bool) -> Problem:
        return Problem(self.space, (1.0, 1.0), (True, True), 2, self, self if tiered else None)

    @cached_property
    def exact(self) -> tuple[FloatArray, FloatArray, float]:
        """Least and greatest scaled objectives of the exact front, and its hypervolume."""
        parts = []
        for block in self.space.blocks():
            values, excess = truth(self.space, block)
            parts.append(np.log(values[(excess <= 0).all(axis=1)]))
        scaled = np.concatenate(parts)
        front = scaled[nondominated(scaled)]
        low, high = front.min(axis=0), front.max(axis=0)
        return low, high, hypervolume((front - low) / (high - low), np.ones(2))

    @cached_property
    def feasible_share(self) -> float:
        return float(np.mean([(truth(self.space, b)[1] <= 0).all(axis=1).mean() for b in self.space.blocks()]))

    def share(self, scaled: FloatArray) -> float:
        """Hypervolume of feasible points over that of the exact front."""
        low, high, whole = self.exact
        return hypervolume((scaled - low) / (high - low), np.ones(2)) / whole


def _noise(numbers: IntArray) -> FloatArray:
    """Two standard normal columns that look random and depend on the point alone (splitmix64, Box-Muller)."""
    uniform = []
    for salt in (1, 2):
        z = numbers.astype(np.uint64) * np.uint64(2) + np.uint64(salt)
        z = z * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
        uniform.append((z >> np.uint64(11)).astype(np.float64) / 2.0**53)
    radius = np.sqrt(-2 * np.log1p(-uniform[0]))
    return np.stack((radius * np.cos(2 * np.pi * uniform[1]), radius * np.sin(2 * np.pi * uniform[1])), axis=1)


def proposer_of(method: str, problem: Problem, seed: int) -> Proposer:
    """A search as a sweep file would have it, with the defaults of a sweep file."""
    settings = SearchSpec()
    if method == "tiered":
        return Tiered(problem, settings, TiersSpec(), seed)
    if method == "random":
        return Random(problem, settings.batch, seed)
    if method == "nsga2":
        return Nsga2(problem, settings.population, seed)
    return OptunaSampler(problem, method, settings.batch, settings.startup, seed)


def shares(synthetic: Synthetic, method: str, seed: int, marks: Sequence[int]) -> tuple[list[float], float]:
    """Share of the hypervolume after as many points as `marks` say, and CPU seconds of the search."""
    problem = synthetic.problem(tiered=method == "tiered")
    start = time.process_time()
    proposer = proposer_of(method, problem, seed)
    found = search(problem, proposer, Here(problem.evaluate), Memory(), Limits(points=max(marks)))
    spent = time.process_time() - start
    return [synthetic.share(_feasible(problem, found[:mark])) for mark in marks], spent


def _feasible(problem: Problem, found: Sequence[Evaluated]) -> FloatArray:
    return History.of(problem, found).front


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; with --check, 1 when a gate of the search fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--methods", default="tiered,random,nsga2,tpe,gp")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args(argv)
    synthetic, marks = Synthetic(space_of(VALUES)), (25, 50, 100)
    print(f"{synthetic.space.size:,} designs, {synthetic.feasible_share:.0%} feasible, {arguments.seeds} seeds")
    print(f"{'method':8} " + " ".join(f"{f'N={mark}':>8}" for mark in marks) + f" {'lowest':>8} {'CPU s':>7}")
    medians: dict[str, Any] = {}
    for method in arguments.methods.split(","):
        if method == "gp" and not torch_is_there():
            print(f"{method:8} needs torch, which is not installed")
            continue
        results = [shares(synthetic, method, seed, marks) for seed in range(arguments.seeds)]
        medians[method] = [statistics.median(each[0][i] for each in results) for i in range(len(marks))]
        cells = " ".join(f"{value:8.3f}" for value in medians[method])
        lowest, cpu = min(each[0][-1] for each in results), statistics.mean(each[1] for each in results)
        print(f"{method:8} {cells} {lowest:8.3f} {cpu:7.1f}", flush=True)
    return _checked(medians, marks) if arguments.check else 0


def _checked(medians: Mapping[str, Sequence[float]], marks: Sequence[int]) -> int:
    gates = (("tiered", 50, 0.85), ("tiered", 100, 0.97), ("gp" if "gp" in medians else "tpe", 100, 0.7))
    status = 0
    for method, mark, least in gates:
        if method in medians:
            value = medians[method][marks.index(mark)]
            print(f"{'ok' if value >= least else 'FAILED':6} {method} after {mark}: {value:.3f}, at least {least}")
            status |= value < least
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
