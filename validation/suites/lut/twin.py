"""The analytical twin against the cycle simulator, on random chips with LUT units."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from scipy.stats import qmc

from cairn.base.errors import CairnError
from cairn.sim.config.run_config import load
from cairn.sim.run import simulate
from cairn.sim.twin.twin import Twin
from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row

SEED: Final = 6
"""Seed of the Sobol sequence that designs are drawn by."""
FEW: Final = 52
MANY: Final = 128
"""Designs of each phase that are looked at, and with --all."""
SHAPES: Final = ((2, 64, 4), (1, 128, 4), (4, 32, 4), (8, 16, 4), (2, 128, 2), (2, 50, 5), (2, 32, 3), (4, 64, 4))
ARRAYS: Final = (1, 2, 4, 8, 16, 32)
MODELS: Final = ("bitnet-b1.58-700m", "bitnet-b1.58-3b", "bitnet-b1.58-2b4t", "llama-2-7b")
WEIGHT_BITS: Final = (1, 2, 3, 4, 6)
"""Of Llama-2-7B; the BitNet models are ternary."""
ACTIVATIONS: Final = ("int8", "fp16")
PRECOMPUTE: Final = ("fused", "separate")
GRIDS: Final = ((4, 4), (4, 6), (4, 8), (6, 8), (8, 8))
SRAM_KIB: Final = (256, 512, 1024, 2048, 4096)
GB_PER_S_OF_A_CORE: Final = (4, 8, 16, 32, 64)
LINK_BYTES: Final = (8, 16, 32, 64)
AXES: Final = (SHAPES, ARRAYS, MODELS, WEIGHT_BITS, ACTIVATIONS, PRECOMPUTE, GRIDS, SRAM_KIB, GB_PER_S_OF_A_CORE,
               LINK_BYTES)  # fmt: skip
STEPS: Final = {
    "decode": ("workload.batch=8", "workload.context=512"),
    "prefill": ("workload.phase=prefill", "workload.batch=1", "workload.context=null", "workload.new_tokens=256"),
}
GATES: Final = {
    phase: tuple(f"twin_{who}_{what}" for who in (phase, "all") for what in ("median", "tau")) for phase in STEPS
}


def rows(reference: ReferenceDir, run_all: bool) -> Iterator[Row]:
    """A row for each design and phase: the simulated time of the step, and the twin's."""
    count = MANY if run_all else FEW
    if not run_all:
        reference.leave_out(f"{2 * (MANY - FEW)} steps on chips with LUT units: --all runs them")
    for phase in STEPS:
        for number, design in enumerate(drawn(count)):
            yield _row(phase, number, design)


def drawn(count: int) -> list[tuple[Any, ...]]:
    """The first `count` designs: a value of each of AXES."""
    points = qmc.Sobol(len(AXES), seed=SEED).random_base2(max(1, (count - 1).bit_length()))[:count]
    index = (points * [len(axis) for axis in AXES]).astype(np.int64)
    return [tuple(axis[place] for axis, place in zip(AXES, row, strict=True)) for row in index.tolist()]


def settings_of(phase: str, design: tuple[Any, ...]) -> list[str]:
    """A design as overrides; ports of the SRAM grow with the arrays, so that they bind on some designs only."""
    (m, n, k), arrays, model, weight_bits, activation, precompute, grid, sram_kib, gb_per_s, link = design
    port = 64 * max(1, arrays // 2)
    return [
        *STEPS[phase], f"model={model}", f"mapping.precompute={precompute}", "engine.tolerance=0.01",
        f"chip.lut_unit.m={m}", f"chip.lut_unit.n={n}", f"chip.lut_unit.k={k}", f"chip.lut_unit.arrays={arrays}",
        f"chip.lut_unit.activation={activation}", f"chip.cores.rows={grid[0]}", f"chip.cores.columns={grid[1]}",
        f"chip.sram.capacity_kib={sram_kib}", f"chip.sram.read_bytes_per_cycle={port}",
        f"chip.sram.bank_width_bytes={port // 2}", f"chip.noc.link_bytes_per_cycle={link}",
        f"chip.dram.bandwidth_gb_per_s={gb_per_s * grid[0] * grid[1]}", *_precision(model, weight_bits, activation),
    ]  # fmt: skip


def _precision(model: str, weight_bits: int, activation: str) -> list[str]:
    if model != "llama-2-7b":
        return []
    bits = 8 if activation == "int8" else 16
    return [f"model.precision.weight_bits={weight_bits}", f"model.precision.activation_bits={bits}"]


def _row(phase: str, number: int, design: tuple[Any, ...]) -> Row:
    (m, n, k), arrays, model, weight_bits, activation, precompute, grid, sram_kib, gb_per_s, link = design
    bits = f" W{weight_bits}" if model == "llama-2-7b" else ""
    remark = (
        f"{arrays} x {m}-{n}-{k} {activation}, {precompute}, {model}{bits}, {grid[0]} x {grid[1]} cores, "
        f"{sram_kib} KiB, {gb_per_s} GB/s a core, links of {link} B"
    )
    name, group = f"twin/{phase}/{number}", f"twin, {phase}"
    config = load("bitnet-3b-decode", settings_of(phase, design))
    try:
        simulated = simulate(config).total_ps / 1e9
    except CairnError as trouble:
        refused = dict.fromkeys(GATES[phase], f"the simulator refuses it: {trouble}")
        return Row(name, group, 0.0, None, "ms", "cycle simulator", (), refused, remark=remark)
    table = Twin(config).evaluate({})
    predicted = float(table.latency_s[0] * 1e3) if table.runs[0] else None
    return Row(name, group, simulated, predicted, "ms", "cycle simulator", GATES[phase], remark=remark)
