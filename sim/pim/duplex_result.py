"""One decode step by cores alone and with each PIM unit, beside each other: tables for people and files."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from cairn.hw_models.pim.duplex import Unit
from cairn.sim.pim.crossover import operators_by_intensity
from cairn.sim.pim.duplex_energy import StepEnergy, machine_areas, step_energy
from cairn.sim.pim.duplex_run import DuplexRunSpec, check_memory
from cairn.sim.pim.step import PARTS, OperatorTime, StepTime, step_time
from cairn.sim.report.store import RESULT_FILE, whole_folder
from cairn.sim.run import code_version
from cairn.workloads.graph import OperatorGraph

RESULT_SCHEMA: Final = "cairn.duplex_result/1"
SUMS: Final = ("cores_ms", "pim_ms", "ms")
COSTS: Final = ("memory_mj", "compute_mj", "mj_per_token", "mm2")


@dataclass(frozen=True)
class DuplexResult:
    """What the step takes by each system: `cores` alone, then with each unit by its name."""

    spec: DuplexRunSpec
    graph: OperatorGraph
    steps: Mapping[str, StepTime]
    device_bytes: float
    provenance: Mapping[str, Any]

    def totals(self) -> pd.DataFrame:
        """A row for each system: system, ms, tokens_per_s, speedup over the cores alone, ms of each part, then energy
        of a step in memory and of its operations, of a token, and area that PIM adds (mm2, all devices)."""
        alone = next(iter(self.steps.values())).seconds
        return pd.DataFrame(
            {
                "system": name, "ms": step.seconds * 1e3, "tokens_per_s": self.spec.batch / step.seconds,
                "speedup": alone / step.seconds, **{part: getattr(step, part) * 1e3 for part in PARTS},
                **self._costs(name),
            }
            for name, step in self.steps.items()
        )  # fmt: skip

    def _costs(self, name: str) -> dict[str, float]:
        energy, machine = self.energies[name], self.spec.machine(None if name == "cores" else Unit(name))
        areas = machine_areas(machine, self.spec.energy)
        values = (energy.memory_j * 1e3, energy.compute_j * 1e3, energy.joules * 1e3 / self.spec.batch)
        return dict(zip(COSTS, (*values, sum(each.mm2 for each in areas)), strict=True))

    @cached_property
    def energies(self) -> Mapping[str, StepEnergy]:
        """Energy of the step by each system."""
        units = {name: None if name == "cores" else Unit(name) for name in self.steps}
        return {
            name: step_energy(self.spec.machine(units[name]), step, self.spec.energy)
            for name, step in self.steps.items()
        }  # fmt: skip

    def operators(self) -> pd.DataFrame:
        """A row for each system with PIM and operator, summed over the layers that have it.

        Columns: system, operator, count (layers), ops_per_byte (mean), cores_ms and pim_ms (on one side alone; NaN for
        what PIM is not asked), ms, mj (energy, all devices), pim_share (0 cores, 1 PIM, between: divided).
        """
        rows = [
            _row(name, each, joules)
            for name, step in self.steps.items() if name != "cores"
            for each, joules in zip(step.operators, self.energies[name].operators_j, strict=True)
        ]  # fmt: skip
        table = pd.DataFrame(rows)
        weights = table["count"]
        table[["ops_per_byte", "pim_share"]] = table[["ops_per_byte", "pim_share"]].mul(weights, axis=0)
        summed = table.groupby(["system", "operator"], sort=False).sum(min_count=1).reset_index()
        summed[["ops_per_byte", "pim_share"]] = summed[["ops_per_byte", "pim_share"]].div(summed["count"], axis=0)
        return summed

    def as_dict(self) -> dict[str, Any]:
        """The content of `result.json`; what is not known is null."""
        operators = self.operators()
        return {
            "schema": RESULT_SCHEMA,
            "config": self.spec.model_dump(mode="json", by_alias=True),
            "device_bytes": self.device_bytes,
            "totals": self.totals().to_dict("records"),
            "operators": operators.astype(object).where(operators.notna(), None).to_dict("records"),
            "provenance": dict(self.provenance),
        }

    def to_json(self, indent: int | None = 2) -> str:
        """The content of `result.json` as text."""
        return json.dumps(self.as_dict(), indent=indent, allow_nan=False)

    def save(self, folder: Path) -> None:
        """Write `result.json`, `totals.csv`, `operators.csv` and `crossover.png`; the folder appears whole or not."""
        from cairn.sim.pim.crossover_plot import plot_crossover

        with whole_folder(folder, RESULT_SCHEMA.partition("/")[0]) as scratch:
            (scratch / RESULT_FILE).write_text(self.to_json() + "\n", encoding="utf-8")
            self.totals().to_csv(scratch / "totals.csv", index=False)
            self.operators().to_csv(scratch / "operators.csv", index=False)
            steps = {(self.spec.model.name, self.spec.batch): self.graph}
            placed = operators_by_intensity(steps, self.spec.machine(None).groups)
            plot_crossover(self.spec.device, placed, scratch / "crossover.png")

    def summary(self) -> str:
        """Tables of parts and of operators for a person."""
        spec, about = self.spec, self.provenance
        how = "experts divided between both sides" if spec.coprocessing else f"choice {spec.choice.value}"
        over = f"{spec.devices} device{'s' if spec.devices > 1 else ''}"
        operators = self.operators()
        operators["where"] = [_where(share) for share in operators.pop("pim_share")]
        parts = [
            f"{spec.name}: {spec.model.name}, {spec.batch:,} requests over {spec.context:,} keys on {over}",
            f"{how}; {self.device_bytes / 2**30:,.1f} GiB on a device of "
            f"{spec.device.stacks * spec.device.stack_gib:,.1f}",
            f"\nThe step, ms by part\n{_text(self.totals().drop(columns=list(COSTS)))}",
            f"\nEnergy of memory and operations, and area added, all devices\n"
            f"{_text(self.totals()[['system', *COSTS]])}",
            f"\nOperators, ms of all layers on either side alone and as done\n{_text(operators)}",
            f"\ncairn {about['version']}, run {about['run_hash']}, {about['fidelity']}, {about['wall_s']:.1f} s",
        ]
        return "\n".join(parts)


def compare(spec: DuplexRunSpec) -> DuplexResult:
    """Work the step out for cores alone and for each unit. ConfigError for operators without a model, InfeasibleError
    when heads or experts cannot be divided over the devices, or weights and caches exceed their memory."""
    wall, graph = time.perf_counter(), spec.graph()
    systems: dict[str, Unit | None] = {"cores": None, **{name: Unit(name) for name in spec.units}}
    size = check_memory(spec, graph)
    steps = {name: step_time(spec.machine(unit), graph) for name, unit in systems.items()}
    about = json.dumps(spec.model_dump(mode="json", by_alias=True), sort_keys=True)
    provenance = {
        "version": code_version(),
        "run_hash": hashlib.sha256(about.encode()).hexdigest()[:12],
        "fidelity": "operator by operator",
        "seed": spec.seed,
        "wall_s": time.perf_counter() - wall,
    }
    return DuplexResult(spec, graph, steps, size, provenance)


def _row(system: str, op: OperatorTime, joules: float) -> dict[str, Any]:
    times = (op.cores_s, np.nan if op.pim_s is None else op.pim_s, op.seconds)
    milliseconds = {name: 1e3 * op.count * each for name, each in zip(SUMS, times, strict=True)}
    return {
        "system": system, "operator": op.name, "count": op.count, "ops_per_byte": op.ops_per_byte, **milliseconds,
        "mj": joules * 1e3, "pim_share": op.pim_share,
    }  # fmt: skip


def _where(share: float) -> str:
    """Where an operator is done, by the share of PIM."""
    if share in (0.0, 1.0):
        return "PIM" if share else "cores"
    return f"{share:.0%} PIM"


def _text(table: pd.DataFrame) -> str:
    return table.to_string(index=False, float_format=lambda value: f"{value:,.3f}", na_rep="-")
