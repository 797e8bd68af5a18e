"""Headlines of papers, beside what decode steps come to here. They name no exact runs, so no gate looks at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from typing import Final

import numpy as np

from cairn.hw_models.pim.duplex import DuplexSpec, Unit
from cairn.hw_models.pim.system_energy import DuplexEnergySpec
from cairn.sim.pim.duplex_energy import step_energy
from cairn.sim.pim.step import Machine, StepTime, step_time
from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suites.pim.duplex import graph

PAPERS: Final = "pim/paper_headlines.csv"
SHAPES: Final = {"mixtral": (4, 1, 4), "glam": (8, 1, 8), "grok1": (16, 2, 8)}
"""Devices, nodes, and devices of a group: table I of Duplex."""
BATCHES: Final = (32, 64, 128)
CONTEXTS: Final = (256, 1024, 2048, 4096)
"""Of the paper's lengths (256,256) to (4096,4096), the tokens at which a step is taken."""


def rows(reference: ReferenceDir) -> Iterator[Row]:
    """Throughput gains of Duplex over the GPU and over bank PIM, energy saved, and how busy the GPU is without."""
    if reference.optional(PAPERS) is None:
        return
    answers: dict[str, Callable[[], float]] = {
        "duplex.tput.max": lambda: max(_gains(tuple(SHAPES), None)),
        "duplex.tput.avg": lambda: float(np.mean(_gains(tuple(SHAPES), None))),
        "duplex.vsbank.max": lambda: max(_gains(("mixtral",), Unit.BANK)),
        "duplex.vsbank.avg": lambda: float(np.mean(_gains(("mixtral",), Unit.BANK))),
        "duplex.en.avg": lambda: 100 * float(np.mean([_saved(*at) for at in product(SHAPES, BATCHES, CONTEXTS)])),
        "duplex.en.glam": lambda: 100 * max(_saved("glam", *at) for at in product(BATCHES, CONTEXTS)),
        "duplex.gpuutil.att": lambda: 100 * max(_busy(name, "attention") for name in SHAPES),
    }
    for record in reference.csv(PAPERS):
        if (answer := answers.get(record.text("id"))) is not None:
            yield Row(
                record.text("id"), "headlines", record.number("value"), answer(), record.text("unit"),
                f"{PAPERS} ({record.text('source')})", ("headlines",), remark=record.text("conditions"),
            )  # fmt: skip


@cache
def _step(name: str, batch: int, context: int, pim: Unit | None, divided: bool) -> StepTime:
    return step_time(_machine(name, pim, divided), graph(name, "decode", batch, context))


def _machine(name: str, pim: Unit | None, divided: bool) -> Machine:
    devices, nodes, group = SHAPES[name]
    experts = group if divided else devices // min(devices, 8)
    return Machine(DuplexSpec(), devices, nodes, group, experts, pim, divided)


def _saved(name: str, batch: int, context: int) -> float:
    """Share of the energy of the GPU alone that Duplex, experts divided, does not need."""
    alone, duplex = (
        step_energy(_machine(name, *how), _step(name, batch, context, *how), DuplexEnergySpec()).joules
        for how in ((None, False), (Unit.LOGIC, True))
    )
    return 1 - duplex / alone


def _gains(names: tuple[str, ...], other: Unit | None) -> list[float]:
    """Time with `other` beside the cores (None: cores alone) over that of Duplex, experts divided."""
    return [
        _step(*at, other, False).seconds / _step(*at, Unit.LOGIC, True).seconds
        for at in product(names, BATCHES, CONTEXTS)
    ]


def _busy(name: str, part: str) -> float:
    """Share of the cores' peak that a part of a step uses, batch 128, 4,096 tokens."""
    step, devices = graph(name, "decode", 128, 4096), SHAPES[name][0]
    ops = sum(
        segment.repeat * op.matrix_ops
        for segment in step.segments for op in segment.block.operators if op.name == part
    )  # fmt: skip
    seconds = float(getattr(_step(name, 128, 4096, None, False), part))
    return ops / devices / (DuplexSpec().peak_tflops * 1e12 * seconds)
