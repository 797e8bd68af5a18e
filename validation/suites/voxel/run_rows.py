"""Rows for whole runs: their times, ranked, beside a plain roofline; and how each one-parameter sweep turns."""

from __future__ import annotations

from collections.abc import Iterator

from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suites.voxel.runs import (
    DEFAULT,
    MAPPING,
    NOT_THE_MODEL,
    UNPHYSICAL,
    RunRow,
    SweepStep,
    read,
    sweep_steps,
    why_not_ranked,
)
from cairn.validation.suites.voxel.simulated import Simulated
from cairn.validation.suites.voxel.steps import MODELS, PARADIGMS, TOPOLOGIES, roofline_ms, run_of

ROOFLINE = "roofline"
RANKED = ("tau_decode", "tau_decode_roofline")
RANKED_WITH_MAPPING = ("tau_decode_mapping", "tau_decode_mapping_roofline")
PREFILL = ("tau_prefill", "tau_prefill_roofline")
SWEEPS = "sweeps"


def run_rows(reference: ReferenceDir, simulated: Simulated, run_all: bool) -> Iterator[Row]:
    """A row for each run, then one for each step of a sweep between two of them.

    Without `run_all`, of the decode runs only those that are ranked over physical parameters are simulated.
    """
    done: dict[str, Row] = {}
    kept: list[RunRow] = []
    later = 0
    for run in read(reference):
        if reason := why_left_out(run):
            reference.leave_out(f"run {run.id}: {reason}")
        elif not run_all and run.setting.phase == "decode" and why_not_ranked(run, DEFAULT):
            later += 1
        else:
            kept.append(run)
            done[run.id] = _run_row(run, simulated)
            yield done[run.id]
    if later:
        reference.leave_out(f"{later} decode runs that are not ranked: --all runs them")
    for step in sweep_steps(kept):
        yield _sweep_row(step, done)


def why_left_out(run: RunRow) -> str:
    """Why Cairn has no counterpart of `run`, or "" when it has."""
    setting = run.setting
    if setting.model in NOT_THE_MODEL:
        return f"not the model of this name: {NOT_THE_MODEL[setting.model]}"
    if setting.model not in MODELS:
        return "no model of this name is shipped"
    if setting.paradigm not in PARADIGMS:
        return "one stage of a pipeline, with the whole chip's memory bandwidth to itself"
    if setting.noc_topology not in TOPOLOGIES:
        return f"no topology is called {setting.noc_topology}"
    for name in ("core_group", "dram_mode"):
        if getattr(setting, name) != getattr(DEFAULT, name):
            return f"{name} differs, and in Voxel {UNPHYSICAL[name]}"
    return ""


def _run_row(run: RunRow, simulated: Simulated) -> Row:
    config = run_of(run.setting)
    times, remark = simulated.step(config)
    counts, excluded = _gates(run)
    return Row(
        id=f"run/{run.id}",
        kind=f"run, {run.setting.phase}",
        reference=run.time_ms,
        prediction=None if times is None else times.latency_ms,
        unit="ms",
        source=run.source,
        counts=counts,
        excluded=excluded,
        baselines={ROOFLINE: roofline_ms(config)},
        remark=remark,
    )


def _gates(run: RunRow) -> tuple[tuple[str, ...], dict[str, str]]:
    """The gates that a run counts for, and why not for the ranking over physical parameters."""
    if run.setting.phase == "prefill":
        return PREFILL, {}
    reason = why_not_ranked(run, DEFAULT)
    if not reason:
        return (*RANKED, *RANKED_WITH_MAPPING), {}
    unphysical = any(getattr(run.setting, name) != getattr(DEFAULT, name) for name in UNPHYSICAL)
    mapping = any(getattr(run.setting, name) != getattr(DEFAULT, name) for name in MAPPING)
    return (RANKED_WITH_MAPPING if mapping and not unphysical else ()), {RANKED[0]: reason}


def _sweep_row(step: SweepStep, done: dict[str, Row]) -> Row:
    before, after = done[step.before.id], done[step.after.id]
    ratio = after.prediction / before.prediction if after.prediction and before.prediction else None
    return Row(
        id=step.id,
        kind=f"sweep, {step.before.setting.phase}",
        reference=step.reference_ratio,
        prediction=ratio,
        unit="ratio",
        source=f"{before.source}, {after.source}",
        counts=(SWEEPS,),
        baselines={ROOFLINE: after.baselines[ROOFLINE] / before.baselines[ROOFLINE]},
    )
