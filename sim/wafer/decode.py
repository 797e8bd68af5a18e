"""Time of a decode on a wafer: simulated on one column and one row of the mesh, in closed form beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from cairn.base.errors import Infeasibility, InfeasibleError
from cairn.hw_models.noc.analytical import NocArrays
from cairn.sim.collectives.closed_form import broadcast_cycles, phases_cycles
from cairn.sim.collectives.paths import paths_per_core
from cairn.sim.config.problems import validate
from cairn.sim.config.resolve import WAFER, load_document, override
from cairn.sim.run import run_plan
from cairn.sim.wafer.layer import Part, chip_of, factors_of, write_layers
from cairn.sim.wafer.spec import WaferSpec
from cairn.sim.wafer.steps import layer_steps

LINES: Final[tuple[Part, ...]] = ("y", "x")
LAYERS: Final = (2, 3)
"""Layers in a row that are simulated; the difference of the two is the time of a layer among others."""


@dataclass(frozen=True)
class WaferDecode:
    """What came of a wafer run. `layer_cycles` is simulated, `closed_form_cycles` the sum over the operators' forms;
    `operators` has a row each: cycles of work, cycles of the all-reduce in closed form, elements summed."""

    spec: WaferSpec
    layer_cycles: float
    closed_form_cycles: int
    operators: pd.DataFrame

    @property
    def tokens_per_s(self) -> float:
        """Tokens a second of one request: clock over layers times the cycles of one (launch_wse2.py of the kernels)."""
        return self.spec.chip.clock_ghz * 1e9 / (self.spec.model.layers * self.layer_cycles)

    def summary(self) -> str:
        """A few lines for a person."""
        side, work = self.spec.mesh, int(self.operators["work_cycles"].sum())
        return (
            f"{self.spec.name}: {self.spec.model.name} on {side} x {side} cores, {self.spec.widths} widths\n"
            f"{self.tokens_per_s:,.1f} tokens/s, {self.layer_cycles:,.0f} cycles a layer "
            f"(closed form {self.closed_form_cycles:,}), {work:,} of them work and overhead\n"
            f"{self.operators.to_string(index=False)}"
        )


def load_wafer(path_or_name: str | Path, overrides: Iterable[str] = ()) -> WaferSpec:
    """The wafer run that a file or a shipped name describes; ConfigError with every mistake in it."""
    document = load_document(path_or_name, WAFER)
    for setting in overrides:
        document = override(document, setting, WAFER)
    return validate(document, WaferSpec, WAFER.references)


def simulate_layer(spec: WaferSpec, whole: bool = False) -> float:
    """Cycles of a layer among equal ones: of one column and one row of the mesh, or of all its cores (`whole`)."""
    parts: tuple[Part, ...] = ("whole",) if whole else LINES
    fewer, more = (sum(_cycles(spec, part, layers) for part in parts) for layers in LAYERS)
    return more - fewer


def _cycles(spec: WaferSpec, part: Part, layers: int) -> float:
    chip = chip_of(spec, part)
    clock = chip.clock
    return run_plan(write_layers(spec, part, layers), chip).makespan * clock.den / clock.num


def closed_form(spec: WaferSpec) -> pd.DataFrame:
    """Cycles of each operator: work on a core, and the way of the latest sum of its all-reduce and back."""
    noc, factors = NocArrays.of(chip_of(spec, "y").noc), factors_of(spec)
    steps = layer_steps(spec)
    summed = [step for step in steps if step.axis is not None]
    size = np.array([step.elements for step in summed]) * spec.element_bytes
    root = factors[0] // 2 + factors[0] * (factors[1] // 2)
    cycles = phases_cycles(noc, factors, size) + broadcast_cycles(noc, spec.mesh, root, size)
    reduced = dict(zip((step.name for step in summed), cycles.tolist(), strict=True))
    return pd.DataFrame(
        {
            "operator": [step.name for step in steps],
            "work_cycles": [step.cycles for step in steps],
            "all_reduce_cycles": [reduced.get(step.name, 0) for step in steps],
            "axis": [step.axis or "" for step in steps],
            "elements": [step.elements if step.axis else 0 for step in steps],
        }
    )


def check_paths(spec: WaferSpec) -> None:
    """InfeasibleError when a core is on more paths, of its row and its column together, than its router tells apart."""
    most = sum(int(paths_per_core(write_layers(spec, part, 1), chip_of(spec, part)).max()) for part in LINES)
    if most > spec.paths_per_core:
        remedy = f"larger groups, fewer of them: groups is {factors_of(spec)[1]}"
        raise InfeasibleError([Infeasibility("paths that a core knows", most, spec.paths_per_core, "paths", remedy)])


def wafer_decode(spec: WaferSpec) -> WaferDecode:
    """Run a wafer decode; InfeasibleError when a core's tiles do not fit its SRAM, or its paths the routers."""
    check_paths(spec)
    operators = closed_form(spec)
    total = int(operators["work_cycles"].sum() + operators["all_reduce_cycles"].sum())
    return WaferDecode(spec, simulate_layer(spec), total, operators)
