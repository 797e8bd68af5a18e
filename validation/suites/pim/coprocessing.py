"""Cores, PIM units, or each operator where it is faster: decode steps on one cube, all three ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cairn.sim.config.run_config import load
from cairn.sim.run import simulate
from cairn.validation.rows import Row

CHIPS: Final = ("hbm3-cube-logic-pim", "hbm3-cube-bank-pim")
RULES: Final = ("none", "all", "auto")
LAYERS: Final = 1
"""Layers of a step: what is chosen for an operator depends on none but its own layer."""
STEPS: Final = {
    "llama-2-7b": ("llama-2-7b-decode-pim", (2, 16, 64)),
    "mixtral-8x7b": ("mixtral-8x7b-decode-pim", (32, 2, 8)),
}
"""Shipped runs and the batches that are tried, their own first."""


def rows(run_all: bool) -> Iterator[Row]:
    """For each chip, model and batch: `auto` against the faster side alone, then each side's time."""
    for chip in CHIPS:
        for model, (run, batches) in STEPS.items():
            for batch in batches if run_all else batches[:2]:
                yield from _rows_of(chip, model, run, batch)


def _rows_of(chip: str, model: str, run: str, batch: int) -> Iterator[Row]:
    us = {rule: _us(chip, run, batch, rule) for rule in RULES}
    best = min(us["none"], us["all"])
    name = f"{chip}/{model}/batch {batch}"
    yield Row(
        f"coprocessing/{name}", "auto, no slower than either side", best, max(us["auto"], best), "us",
        "the faster of cores and units alone", ("coprocessing",), remark=f"auto takes {us['auto']:.1f} us",
    )  # fmt: skip
    yield Row(
        f"sides/{name}", "units against cores", us["none"], us["all"], "us", "cores alone",
        remark=f"speed-up {us['none'] / us['all']:.2f}",
    )  # fmt: skip


def _us(chip: str, run: str, batch: int, rule: str) -> float:
    settings = (f"chip={chip}", f"mapping.pim={rule}", f"workload.batch={batch}", f"model.layers={LAYERS}")
    return float(simulate(load(run, settings)).total_ps) / 1e6
