"""`Result`: what a person wants from a run. Every table is computed from the run record when it is first asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from cairn.base.ticks import PS_PER_S, PS_PER_US
from cairn.sim.plan.plan import CAUSES
from cairn.sim.record import RunRecord
from cairn.sim.report.attribution import Steps, charge
from cairn.sim.report.busy import ClassBusy, class_busy
from cairn.sim.report.energy import area_table, dynamic_energy_pj, power_density, static_power
from cairn.sim.report.hardware import Peaks, task_hops, unit_count
from cairn.sim.report.operators import bounds, operator_table
from cairn.sim.report.taskframe import task_table
from cairn.sim.report.tasks import SYNC_CLASS, TaskView
from cairn.sim.report.work import NOC, READ, WRITE, Work, count_work

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]

SCHEMA: Final = "cairn.result/1"


class Result:
    """A finished run: headline numbers as properties, details as DataFrames whose columns carry their units.

    Time is charged to operators by the rule of `cairn.sim.report.attribution`, so `operators["time_us"]` sums to
    the latency. `record` is everything that was run, for those who want more than is reported.
    """

    def __init__(self, record: RunRecord):
        self.record = record

    def __repr__(self) -> str:
        return f"<Result {self.record.name}: {self.latency_s * 1e3:,.3f} ms, {self.tokens_per_s:,.0f} tokens/s>"

    # -- headline numbers -----------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def latency_s(self) -> float:
        """Time of the whole step, every repeat of every block included."""
        return self.record.total_ps / PS_PER_S

    @property
    def tokens(self) -> int:
        """New tokens that the step processes, all requests together."""
        return self.record.graph.tokens

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.latency_s if self.record.total_ps else 0.0

    @property
    def time_per_token_s(self) -> float:
        """Latency over tokens of the step, the inverse of `tokens_per_s`; a decoding request waits `latency_s`."""
        return self.latency_s / self.tokens if self.tokens else 0.0

    @property
    def energy_j(self) -> float:
        """Energy of the step: dynamic of everything executed, static over its latency."""
        return float(self.energy["energy_j"].sum())

    @property
    def power_w(self) -> float:
        """Mean power over the step."""
        return self.energy_j / self.latency_s if self.record.total_ps else 0.0

    @cached_property
    def bound_s(self) -> dict[str, float]:
        """Speed of light of the whole step by resource: no run is faster than the greatest of these."""
        return {name: float(values.sum()) for name, values in bounds(self.record, self.peaks).items()}

    @property
    def efficiency(self) -> float:
        """The greatest bound over the latency, at most 1."""
        return max(self.bound_s.values()) / self.latency_s if self.record.total_ps else 0.0

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Version, run hash, seed, fidelity, wall and CPU time."""
        return self.record.provenance

    # -- tables ---------------------------------------------------------------------------------------------------

    @cached_property
    def operators(self) -> pd.DataFrame:
        """One row per operator of each kind of block, all repeats summed.

        block, operator, kind, repeat; `time_us` charged to it (the column sums to the latency) and `time_share`;
        `span_us` from first start to last end of one instance, `bound_us` of all its instances and the resource
        `bound` that sets it; `efficiency` = bound / time, above 1 where operands were loaded while earlier operators
        ran; `limiting`, the unit class whose busiest unit worked most in the operator's time ("latency" when none
        for more than half), and `<class>_busy` of each; matrix operations executed and required; DRAM bytes by
        direction and cause; NoC bytes; energy by component.
        """
        return operator_table(self.record, self.steps, self._work, self._busy, self._energy_pj, self.peaks)

    @cached_property
    def tasks(self) -> pd.DataFrame:
        """One row per simulated task: what it was, where and when (ps) it ran, its tile or bytes, its weight."""
        return task_table(self.record, self.view)

    @cached_property
    def units(self) -> pd.DataFrame:
        """One row per unit: class, unit number, busy time and utilisation over the whole run, tasks and bytes."""
        view = self.view
        frames = []
        for name, busy in self._busy.items():
            mine = view.of_class(name)
            count = busy.busy_ps.shape[1]
            sums = np.zeros((2, count), dtype=np.int64)
            np.add.at(sums[0], view.unit[mine], view.weight[mine])
            np.add.at(sums[1], view.unit[mine], view.weight[mine] * view.bytes[mine])
            busy_ps = busy.per_unit_ps
            frames.append(
                pd.DataFrame(
                    {
                        "unit_class": name,
                        "unit": np.arange(count),
                        "busy_us": busy_ps / PS_PER_US,
                        "utilisation": busy_ps / max(self.record.total_ps, 1),
                        "tasks": sums[0],
                        "bytes": sums[1],
                    }
                )
            )
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    @cached_property
    def energy(self) -> pd.DataFrame:
        """Energy by component: dynamic and static, joules of the step, share and mean power."""
        dynamic = {name: float(values.sum()) * 1e-12 for name, values in self._energy_pj.items() if name != "static"}
        static = {name: power * self.latency_s for name, power in static_power(self.record.chip).items()}
        rows = [(name, "dynamic", joule) for name, joule in dynamic.items()]
        rows += [(name, "static", joule) for name, joule in static.items()]
        table = pd.DataFrame(rows, columns=["component", "nature", "energy_j"])
        total = max(float(table["energy_j"].sum()), 1e-300)
        table["share"] = table["energy_j"] / total
        table["power_w"] = table["energy_j"] / self.latency_s if self.record.total_ps else 0.0
        return table

    @cached_property
    def area(self) -> pd.DataFrame:
        """Area by component in mm2, and its share."""
        return area_table(self.record.chip)

    @cached_property
    def power_density(self) -> dict[str, Any]:
        """Mean power over die area against the chip's limit, and the clock that would meet the limit.

        The clock is reported, not applied: scaled by limit over density, as Voxel does (arXiv 2604.26821 section 3.4).
        """
        return power_density(self.record.chip, self.power_w, float(self.area["area_mm2"].sum()))

    @cached_property
    def bytes(self) -> pd.DataFrame:
        """Bytes by cause over the whole run: read from DRAM, written to DRAM, carried by the NoC."""
        moved = self._work.moved.sum(axis=0)
        table = pd.DataFrame({"cause": CAUSES, "dram_read_bytes": moved[READ], "dram_write_bytes": moved[WRITE]})
        table["noc_bytes"] = moved[NOC]
        return table

    # -- outputs --------------------------------------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """Headline numbers, units in the names, as plain values that JSON can hold."""
        dram_bytes = int(self.bytes[["dram_read_bytes", "dram_write_bytes"]].sum().sum())
        peak = self.peaks.dram_bytes_per_s
        achieved = dram_bytes / self.latency_s if self.record.total_ps else 0.0
        matrix_ops = int(self.operators["matrix_ops"].sum())
        rate = matrix_ops / self.latency_s if self.record.total_ps else 0.0
        phase = self.record.graph.phase
        return {
            "name": self.name,
            "model": self.record.graph.model,
            "phase": phase,
            "tokens": self.tokens,
            "latency_s": self.latency_s,
            "latency_ps": self.record.total_ps,
            "tokens_per_s": self.tokens_per_s,
            "time_per_token_s": self.time_per_token_s,
            "ttft_s": self.latency_s if phase == "prefill" else None,
            "tpot_s": self.latency_s if phase == "decode" else None,
            "bound_s": self.bound_s,
            "efficiency": self.efficiency,
            "energy_j": self.energy_j,
            "energy_per_token_j": self.energy_j / self.tokens if self.tokens else 0.0,
            "power_w": self.power_w,
            "area_mm2": float(self.area["area_mm2"].sum()),
            "power_density": self.power_density,
            "dram_bytes": dram_bytes,
            "dram_gb_per_s": achieved / 1e9,
            "dram_peak_gb_per_s": peak / 1e9,
            "dram_utilisation": achieved / peak,
            "noc_bytes": int(self.bytes["noc_bytes"].sum()),
            "matrix_ops": matrix_ops,
            "matrix_ops_required": int(self.operators["matrix_ops_required"].sum()),
            "matrix_tera_ops_per_s": rate / 1e12,
            "matrix_peak_tera_ops_per_s": self.peaks.matrix_ops_per_s / 1e12,
            "time_by_limiting_us": self.time_by_limiting(),
            "tasks_simulated": self.record.plan.n_tasks,
        }

    def time_by_limiting(self) -> dict[str, float]:
        """Microseconds charged to operators, by their limiting resource, greatest first."""
        sums = self.operators.groupby("limiting")["time_us"].sum().sort_values(ascending=False)
        return {str(name): float(value) for name, value in sums.items() if value > 0}

    def as_dict(self) -> dict[str, Any]:
        """The content of `result.json`."""
        return {
            "schema": SCHEMA,
            **self.summary(),
            "energy": self.energy.to_dict("records"),
            "area": self.area.to_dict("records"),
            "bytes": self.bytes.to_dict("records"),
            "repetition": [vars(repetition) for repetition in self.record.repetitions],
            "provenance": dict(self.provenance),
            "config": dict(self.record.config),
        }

    def to_json(self, indent: int | None = 2) -> str:
        """The content of `result.json` as text."""
        return json.dumps(self.as_dict(), indent=indent, allow_nan=False, default=str)

    def save(self, folder: str | Path, *, trace: bool = False) -> Path:
        """Write the result folder (see `cairn.sim.report.store`), the timeline too with `trace`."""
        from cairn.sim.report.store import save

        return save(self, Path(folder), trace=trace)

    def plot_operators(self, path: str | Path | None = None) -> Figure:
        """Time of each operator, coloured by what limits it; written to `path` when one is given."""
        from cairn.sim.report.plots import plot_operators

        return plot_operators(self, path)

    def plot_roofline(self, path: str | Path | None = None) -> Figure:
        """Every operator on the chip's roofline; written to `path` when one is given."""
        from cairn.sim.report.roofline import plot_roofline

        return plot_roofline(self, path)

    def plot_utilisation(self, path: str | Path | None = None) -> Figure:
        """Utilisation of the unit classes over the simulated time; written to `path` when one is given."""
        from cairn.sim.report.plots import plot_utilisation

        return plot_utilisation(self, path)

    # -- inside ---------------------------------------------------------------------------------------------------

    @cached_property
    def steps(self) -> Steps:
        """The steps of the run and the time charged to each."""
        return charge(self.record)

    @cached_property
    def peaks(self) -> Peaks:
        """Peak rates of the chip."""
        return Peaks.of(self.record.chip)

    @cached_property
    def view(self) -> TaskView:
        """What every task was: unit class, unit, bytes, weight."""
        return TaskView.of(self.record)

    @cached_property
    def _work(self) -> Work:
        return count_work(self.record, self.view, task_hops(self.record.chip, self.record.plan, self.view))

    @cached_property
    def unit_counts(self) -> dict[str, int]:
        """How many units of each class in use the chip has."""
        return {name: unit_count(self.record.chip, self.view, name) for name in self.view.classes if name != SYNC_CLASS}

    @cached_property
    def _busy(self) -> dict[str, ClassBusy]:
        record = self.record
        return {
            name: class_busy(name, self.view, record.trace, self.steps, len(record.operators), count)
            for name, count in self.unit_counts.items()
        }

    @cached_property
    def _energy_pj(self) -> dict[str, FloatArray]:
        charged_s = np.zeros(len(self.record.operators) + 1)
        np.add.at(charged_s, self.steps.op, self.steps.charged / PS_PER_S)
        return dynamic_energy_pj(self.record, self._work) | {
            "static": charged_s * sum(static_power(self.record.chip).values()) * 1e12
        }
