"""Reductions on a line of cores against the closed form of Luczynski et al. (arXiv 2404.15888)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from cairn.hw_models.chip import ChipSpec, CoreGrid
from cairn.sim.collectives.reduce import Work, reduce, reduce_in_phases
from cairn.sim.collectives.trees import binomial, chain, group_count
from cairn.sim.plan.builder import PlanBuilder, Slice
from cairn.sim.run import run_plan
from cairn.validation.rows import Row

WORD_BYTES: Final = 4
CORES: Final = (8, 16, 64, 256, 512)
WORDS: Final = (1, 16, 256, 2048)
CLOCK_GHZ: Final = 1.0
"""assumed: the form counts cycles, whatever they last; a cycle of 1 ns is a whole number of ticks."""


@dataclass(frozen=True)
class Cost:
    """Terms of the form for `words` on a line: contention C, element-hops E over N links, distance L, depth D."""

    contention: int
    element_hops: int
    links: int
    distance: int
    depth: int

    def cycles(self, ramp: float) -> float:
        """T = max(C, E / N) + L + (2 T_R + 1) D."""
        return max(self.contention, self.element_hops / self.links) + self.distance + (2 * ramp + 1) * self.depth


def chain_cost(cores: int, words: int) -> Cost:
    return Cost(words, words * (cores - 1), cores - 1, cores - 1, cores - 1)


def tree_cost(cores: int, words: int) -> Cost:
    """A binomial tree: in each of log2 P rounds the root receives all words, half as many cores send twice as far."""
    rounds = int(math.log2(cores))
    return Cost(rounds * words, words * rounds * cores // 2, cores - 1, cores - 1, rounds)


def two_phase_cost(cores: int, words: int) -> Cost:
    """Chains in groups of S cores, then a chain of the groups' first cores, S hops apart."""
    groups = group_count(cores)
    size = cores // groups
    hops = words * (groups * (size - 1) + (groups - 1) * size)
    return Cost(2 * words, hops, cores - 1, cores - 1, size - 1 + groups - 1)


def _write_chain(work: Work) -> None:
    reduce(work, chain(work.size))


def _write_tree(work: Work) -> None:
    """A core sends when its sum is whole: the form's tree has no streams."""
    reduce(replace(work, streams=False), binomial(work.size))


def _write_two_phase(work: Work) -> None:
    groups = group_count(work.size)
    reduce_in_phases(work, (work.size // groups, groups), middle=False)


ALGORITHMS: Final[dict[str, tuple[Callable[[int, int], Cost], Callable[[Work], None]]]] = {
    "chain": (chain_cost, _write_chain),
    "tree": (tree_cost, _write_tree),
    "two_phase": (two_phase_cost, _write_two_phase),
}


def rows(chip: ChipSpec, hardware: dict[str, Any]) -> Iterator[Row]:
    """Every algorithm over lengths of lines and vectors on the network of `chip`; the reference has the form's ramp."""
    ramp = float(hardware["ramp_latency_cycles"]["value"])
    for name, (cost, _) in ALGORITHMS.items():
        for cores in CORES:
            for words in WORDS:
                yield Row(
                    f"reduce/{name}/{cores}x{words}", f"reduce, {name}", cost(cores, words).cycles(ramp),
                    simulated(chip, name, cores, words), "cycles", "formula of wafer/wse_reduce_model.yaml",
                    ("reduce_form",),
                )  # fmt: skip


def simulated(chip: ChipSpec, algorithm: str, cores: int, words: int) -> float:
    """Cycles of a reduction of `words` to the first of a line of `cores`."""
    line = chip.model_copy(update={"cores": CoreGrid(rows=1, columns=cores), "clock_ghz": CLOCK_GHZ})
    plan = PlanBuilder(line)
    part = Slice(plan.tensor("sum"), (0, 1), (0, words), words * WORD_BYTES)
    ALGORITHMS[algorithm][1](Work(plan, np.arange(cores)[None], part, plan.operator("line/reduce")))
    return run_plan(plan.build(), line).makespan * line.clock.den / line.clock.num
