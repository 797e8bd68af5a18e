"""`Result`: what a person wants from a run. Every table is computed from the run record when it is first asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cairn.base.ticks import PS_PER_S
from cairn.hw_models.noc.trust import NetworkLoad
from cairn.sim.record import RunRecord
from cairn.sim.report.attribution import Steps, charge
from cairn.sim.report.busy import ClassBusy, class_busy
from cairn.sim.report.dram_energy import Activates, count_activates, dram_terms
from cairn.sim.report.energy import area_table, dram_die_table, dynamic_energy_pj, power_density, static_power
from cairn.sim.report.hardware import Peaks, unit_count
from cairn.sim.report.lut import LutUse, lut_use
from cairn.sim.report.network import load_of
from cairn.sim.report.operators import bounds, operator_table, required_matrix_ops
from cairn.sim.report.summary import content, headline, summary
from cairn.sim.report.tables import bytes_table, energy_table, unit_table
from cairn.sim.report.taskframe import task_table
from cairn.sim.report.tasks import SYNC_CLASS, TaskView
from cairn.sim.report.work import Work, count_work

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FloatArray = npt.NDArray[np.float64]


class Result:
    """A finished run: headline numbers as properties, details as DataFrames whose columns carry their units.

    Time is charged to operators by the rule of `cairn.sim.report.attribution`, so `operators["time_us"]` sums to
    the latency. `record` is everything that was run, for those who want more than is reported. `work` is what
    `count_work` says of it, for a caller who knows that already.
    """

    def __init__(self, record: RunRecord, work: Work | None = None):
        self.record = record
        self._counted = work

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
        return {name: float(values.sum()) for name, values in bounds(self.record, self.peaks, self._work).items()}

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
        for more than half of it), and `<class>_busy` of each; operations executed and required; DRAM bytes by
        direction and cause; NoC bytes; energy by component; `dram_activates` where the DRAM is charged by command.
        """
        table = operator_table(self.record, self.steps, self._work, self._busy, self._energy_pj, self.peaks)
        if self.activates is not None:
            table["dram_activates"] = self.activates.per_operator[: len(table)]
        return table

    @cached_property
    def tasks(self) -> pd.DataFrame:
        """One row per simulated task: what it was, where and when (ps) it ran, its tile or bytes, its weight."""
        return task_table(self.record, self.view)

    @cached_property
    def units(self) -> pd.DataFrame:
        """One row per unit: class, unit number, busy time and utilisation over the whole run, tasks and bytes."""
        return unit_table(self.view, self._busy, self.record.total_ps)

    @cached_property
    def energy(self) -> pd.DataFrame:
        """Energy by component: dynamic and static, joules of the step, share and mean power."""
        return energy_table(self._dynamic_pj, static_power(self.record.chip), self.latency_s)

    @cached_property
    def dram_energy(self) -> pd.DataFrame | None:
        """Energy of the DRAM by term of hw_models/dram/cost.py; None where it is charged per byte.

        The terms of a component (dynamic activate, cell, column and static refresh, standby of "dram", interface of
        "tsv") sum to its row in `energy`.
        """
        if self.activates is None:
            return None
        moved = self.bytes[["dram_read_bytes", "dram_write_bytes"]].to_numpy().sum()
        return dram_terms(self.record.chip, self.activates, int(moved), self.latency_s)

    @cached_property
    def activates(self) -> Activates | None:
        """Activates of the run and how they are known; None where the DRAM is charged per byte."""
        return count_activates(self.record) if self.record.chip.energy.dram.by_command else None

    @cached_property
    def network(self) -> NetworkLoad | None:
        """The load of the network over the blocks that were simulated, and whether the packet model was checked there;
        None where no packet network counted."""
        return load_of(self.record)

    @cached_property
    def lut(self) -> LutUse | None:
        """What LUT units did and what their tables cost; None where cores have none."""
        return lut_use(self.record, self.view, self._work, self.energy_j)

    @cached_property
    def area(self) -> pd.DataFrame:
        """Area of the logic die by component in mm2, and its share."""
        return area_table(self.record.chip)

    @cached_property
    def dram_area(self) -> pd.DataFrame:
        """Area of each DRAM die by part in mm2, and how many dies; empty where the chip states no interface."""
        return dram_die_table(self.record.chip)

    @cached_property
    def power_density(self) -> dict[str, Any]:
        """Mean power over die area against the chip's limit, and the clock that would meet the limit.

        The clock is reported, not applied: scaled by limit over density, as Voxel does (arXiv 2604.26821 section 3.4).
        """
        return power_density(self.record.chip, self.power_w, float(self.area["area_mm2"].sum()))

    @cached_property
    def bytes(self) -> pd.DataFrame:
        """Bytes by cause over the whole run: read from DRAM, written to DRAM, carried by the NoC."""
        return bytes_table(self._work)

    @cached_property
    def matrix_ops(self) -> tuple[int, int]:
        """Operations on the matrix units over the whole run: executed, and required by the operators."""
        return int(self._work.matrix_ops.sum()), int(required_matrix_ops(self.record).sum())

    # -- outputs --------------------------------------------------------------------------------------------------

    def headline(self) -> dict[str, Any]:
        """The numbers of `summary` that need no table over operators: what a search asks of every run."""
        return headline(self)

    def summary(self) -> dict[str, Any]:
        """Headline numbers, units in the names, as plain values that JSON can hold."""
        return summary(self)

    def time_by_limiting(self) -> dict[str, float]:
        """Microseconds charged to operators, by their limiting resource, greatest first."""
        sums = self.operators.groupby("limiting")["time_us"].sum().sort_values(ascending=False)
        return {str(name): float(value) for name, value in sums.items() if value > 0}

    def as_dict(self) -> dict[str, Any]:
        """The content of `result.json`."""
        return content(self)

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
        return count_work(self.record) if self._counted is None else self._counted

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
    def _dynamic_pj(self) -> dict[str, FloatArray]:
        return dynamic_energy_pj(self.record, self._work, self.activates)

    @cached_property
    def _energy_pj(self) -> dict[str, FloatArray]:
        charged_s = np.zeros(len(self.record.operators) + 1)
        np.add.at(charged_s, self.steps.op, self.steps.charged / PS_PER_S)
        return self._dynamic_pj | {"static": charged_s * sum(static_power(self.record.chip).values()) * 1e12}
