"""Sweeps whose points are judged by a formula, for tests of the search: nothing is simulated."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cairn.dse.outcome import Outcome, judge, judged
from cairn.dse.sweep import Sweep, load_sweep
from cairn.dse.tiers import CheapAnswer, CheapTier
from cairn.sim.config.run_config import RunConfig

TOY = """\
schema: cairn.sweep/1
name: toy
run: demo
parameters:
  chip.sram.capacity_kib: [32, 64, 128, 256, 512, 1024]
  chip.dram.bandwidth_gb_per_s: [8, 16, 32, 64, 128]
  chip.noc.link_bytes_per_cycle: {powers_of_two: {from: 1, to: 16}}
objectives: [area, latency]
constraints: [power <= 40 W]
budget: {points: POINTS}
seed: 3
"""


def toy_sweep(folder: Path, *, points: int = 60, extra: str = "") -> Sweep:
    """A sweep of 150 points over the tiny chip, from a file in `folder`."""
    file = folder / "toy.yaml"
    file.write_text(TOY.replace("POINTS", str(points)) + extra, encoding="utf-8")
    return load_sweep(file)


def fields(columns: Mapping[str, Any]) -> dict[str, Any]:
    """The formula: memory and bandwidth cost area and power and save time, with a best size of links between."""
    sram, dram = columns["chip.sram.capacity_kib"], columns["chip.dram.bandwidth_gb_per_s"]
    link = columns["chip.noc.link_bytes_per_cycle"]
    latency = 1e-3 * (1 + 300 / sram + 200 / dram + 4 / link)
    area = 1 + 0.004 * sram + 0.02 * dram + 0.15 * link
    return {
        "latency_s": latency, "tokens": 4.0, "energy_j": latency * (5 + 0.2 * dram + 0.01 * sram + 0.2 * link),
        "area_mm2": area, "dram_capacity_gb": 1.0, "power_w": 5 + 0.2 * dram + 0.01 * sram + 0.2 * link,
    }  # fmt: skip


@dataclass(frozen=True)
class Formula:
    """Stands in for the simulator. Each evaluation takes `seconds` and is noted in `log`; those in `deadly` kill the
    process that makes them, the first time or, `always`, every time."""

    sweep: Sweep
    seconds: float = 0.0
    log: Path | None = None
    deadly: tuple[int, ...] = ()
    always: bool = False

    def __call__(self, number: int) -> Outcome:
        time.sleep(self.seconds)
        before = self.log.read_text(encoding="ascii").split() if self.log is not None and self.log.exists() else []
        if self.log is not None:
            with self.log.open("a", encoding="ascii") as file:
                file.write(f"{number}\n")
        if number in self.deadly and (self.always or str(number) not in before):
            os._exit(13)
        return judged(self.sweep, [fields(self.sweep.space.settings(number))], self.seconds)


@dataclass(frozen=True)
class Twin:
    """A cheap tier that is wrong by a smooth share of the latency."""

    error: float = 0.2

    def evaluate(self, columns: Mapping[str, Any]) -> CheapAnswer:
        known = fields({name: np.asarray(column, dtype=np.float64) for name, column in columns.items()})
        sram = np.log2(np.asarray(columns["chip.sram.capacity_kib"], dtype=np.float64))
        known["latency_s"] = known["latency_s"] * (1 + self.error * np.sin(sram))
        return CheapAnswer(known, np.ones(len(sram), dtype=np.bool_))


def twin(config: RunConfig) -> CheapTier:
    return Twin()


def true_front(sweep: Sweep) -> set[int]:
    """Point numbers of the exact front, by comparing every two points."""
    numbers = np.concatenate(list(sweep.space.blocks()))
    values, excess = judge(sweep, [fields(sweep.space.columns(numbers))])
    good = (excess <= 0).all(axis=1)
    signed = values * np.array([objective.sign for objective in sweep.objectives])
    found = set()
    for i in np.flatnonzero(good):
        better = (signed[good] <= signed[i]).all(axis=1) & (signed[good] < signed[i]).any(axis=1)
        if not better.any():
            found.add(int(numbers[i]))
    return found
