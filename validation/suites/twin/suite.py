"""The analytical twin against the cycle simulator, on random designs of Voxel's search space."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.stats import qmc

from cairn.base.errors import CairnError
from cairn.sim.config.run_config import load
from cairn.sim.run import simulate
from cairn.sim.twin.twin import Twin
from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row

SEED: Final = 11
"""Seed of the Sobol sequence that designs are drawn by."""
SIDES: Final = (16, 32, 64, 128, 256)
SRAM_KIB: Final = (256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 24576)
GRIDS: Final = ((4, 8), (6, 8), (8, 8), (8, 12), (8, 16), (12, 16), (16, 16), (16, 24), (16, 32))
GIB_PER_S: Final = (1000, 1500, 2000, 3000, 4000, 6000, 8000, 12000, 16000, 24000)
"""Voxel's space: yiqiliu2/voxelsim @40ce5d45, dse_pareto.py (reference/stacked3d/voxel.yaml, vx.dse.space)."""

LONG_PREFILLS: Final = ("engine.tolerance=0.01", "engine.max_simulated_blocks=7")
"""Of the layers of a prefill four are simulated: all of them would take minutes and many GB on some designs. The mean
period of the layers between the first and the last then stands for the others."""


@dataclass(frozen=True)
class Class:
    """Designs of one phase and model: how many are looked at, and how many with --all."""

    phase: str
    model: str
    few: int
    many: int
    gates: tuple[str, ...]


GATES: Final = {
    phase: tuple(f"{who}_{what}" for who in (phase, "all") for what in ("median", "p95", "tau", "best"))
    for phase in ("decode", "prefill")
}

CLASSES: Final = (
    Class("decode", "llama-2-13b", 8, 128, GATES["decode"]),
    Class("decode", "llama-2-7b", 8, 128, GATES["decode"]),
    Class("prefill", "llama-2-13b", 2, 32, GATES["prefill"]),
    Class("prefill", "llama-2-7b", 2, 32, GATES["prefill"]),
)


def predict(reference: ReferenceDir, run_all: bool) -> Iterator[Row]:
    """A row for each design: the simulated time of the step, and the twin's."""
    for each in CLASSES:
        count = each.many if run_all else each.few
        if not run_all:
            reference.leave_out(f"{each.many - each.few} designs of {each.phase} of {each.model}: --all runs them")
        for number, settings in enumerate(drawn(count)):
            yield _row(each, number, settings)


def drawn(count: int) -> list[list[str]]:
    """Settings of the first `count` designs of the sequence."""
    axes = (SIDES, SRAM_KIB, GRIDS, GIB_PER_S)
    points = qmc.Sobol(len(axes), seed=SEED).random_base2(max(1, (count - 1).bit_length()))[:count]
    index = (points * [len(axis) for axis in axes]).astype(np.int64)
    return [_settings(SIDES[a], SRAM_KIB[b], GRIDS[c], GIB_PER_S[d]) for a, b, c, d in index.tolist()]


def _settings(side: int, sram_kib: int, grid: tuple[int, int], gib_per_s: int) -> list[str]:
    """A design as overrides: vector unit, ports and banks of the SRAM grow with the side of the array."""
    return [
        f"chip.matrix_unit.rows={side}", f"chip.matrix_unit.columns={side}", f"chip.vector_unit.lanes={side}",
        f"chip.sram.read_bytes_per_cycle={4 * side}", f"chip.sram.write_bytes_per_cycle={2 * side}",
        f"chip.sram.bank_width_bytes={side // 2}", f"chip.sram.capacity_kib={sram_kib}",
        f"chip.cores.rows={grid[0]}", f"chip.cores.columns={grid[1]}",
        f"chip.dram.bandwidth_gb_per_s={gib_per_s * 2**30 / 1e9}",
    ]  # fmt: skip


def _row(each: Class, number: int, settings: list[str]) -> Row:
    long = LONG_PREFILLS if each.phase == "prefill" else ()
    config = load(f"llama-2-13b-{each.phase}", [f"model={each.model}", *long, *settings])
    names = ("matrix_unit.rows", "sram.capacity_kib", "cores.rows", "cores.columns", "dram.bandwidth_gb_per_s")
    values = dict(setting.removeprefix("chip.").split("=") for setting in settings)
    remark = ", ".join(f"{name} {float(values[name]):g}" for name in names)
    try:
        simulated = simulate(config).total_ps / 1e9
    except CairnError as trouble:
        return Row(
            f"{each.phase}/{each.model}/{number}", each.phase, 0.0, None, "ms", "cycle simulator", (),
            dict.fromkeys(each.gates, f"the simulator refuses it: {trouble}"), remark=remark,
        )  # fmt: skip
    table = Twin(config).evaluate({})
    predicted = float(table.latency_s[0] * 1e3) if table.runs[0] else None
    return Row(
        f"{each.phase}/{each.model}/{number}", each.phase, simulated, predicted, "ms", "cycle simulator", each.gates,
        remark=remark,
    )  # fmt: skip
