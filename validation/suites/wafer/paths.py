"""Paths that a core of a line knows under each collective, of which a WSE-2 tells 32 apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.hw_models.chip import ChipSpec, CoreGrid
from cairn.sim.collectives.exchange import all_to_all
from cairn.sim.collectives.paths import paths_per_core
from cairn.sim.collectives.reduce import Work, all_reduce, broadcast, reduce
from cairn.sim.collectives.rings import Ring, interleaved, ring_all_reduce
from cairn.sim.collectives.trees import binomial, chain, even_factors, star
from cairn.sim.plan.builder import PlanBuilder, Slice
from cairn.validation.rows import Row

SIDES: Final = (16, 64)
WORD_BYTES: Final = 4


def _ring(work: Work, order: npt.NDArray[np.int64]) -> None:
    first = np.arange(work.size)[None]
    shards = Slice(work.part.tensor, (0, 1), (first, first + 1), WORD_BYTES)
    ring_all_reduce(Ring(work.plan, work.cores[:, order], shards, work.op))


COLLECTIVES: Final[dict[str, tuple[bool, Callable[[Work], Any]]]] = {
    "reduce_chain": (False, lambda work: reduce(work, chain(work.size))),
    "reduce_binomial": (True, lambda work: reduce(work, binomial(work.size))),
    "reduce_star": (True, lambda work: reduce(work, star(work.size))),
    "broadcast_routers": (False, lambda work: broadcast(work, 0)),
    "broadcast_relay": (False, lambda work: broadcast(work, 0, how="relay")),
    "all_reduce_pipeline": (False, lambda work: all_reduce(work, chain(work.size))),
    "all_reduce_two_phase": (False, lambda work: all_reduce(work, even_factors(work.size, 2))),
    "all_reduce_3_tree": (True, lambda work: all_reduce(work, even_factors(work.size, 3))),
    "all_reduce_ring": (False, lambda work: _ring(work, np.arange(work.size))),
    "all_reduce_interleaved": (False, lambda work: _ring(work, interleaved(work.size))),
    "all_to_all": (True, lambda work: all_to_all(work.plan, work.cores[0], work.part, work.op)),
}
"""Whether the paths of a core grow with the line, and what writes the collective."""


def paths(chip: ChipSpec, name: str, size: int) -> int:
    """The most paths that a core of a line of `size` is on."""
    line = chip.model_copy(update={"cores": CoreGrid(rows=1, columns=size)})
    plan = PlanBuilder(line)
    part = Slice(plan.tensor("y"), (0, 1), (0, 1), WORD_BYTES)
    COLLECTIVES[name][1](Work(plan, np.arange(size)[None], part, plan.operator("line/collective")))
    return int(paths_per_core(plan.build(), line).max())


def rows(chip: ChipSpec, limit: int) -> Iterator[Row]:
    """Each collective on 64 cores, on 16 as the reference."""
    for name, (grows, _) in COLLECTIVES.items():
        small, large = (paths(chip, name, size) for size in SIDES)
        beyond = f", beyond the {limit} of the chip" if large > limit else ""
        yield Row(
            f"paths/{name}", "paths of a core", float(small), float(large), "paths",
            "this project's plans, a line of 16 cores", () if grows else ("paths",),
            remark=f"{large} at most on a line of 64{beyond}.",
        )  # fmt: skip
