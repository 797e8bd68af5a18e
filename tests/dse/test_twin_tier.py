"""The analytical twin as the cheap tier: where it is used, and what a search finds with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cairn.dse.study import Study, run_sweep
from cairn.dse.sweep import load_sweep
from cairn.dse.sweep_spec import Method
from cairn.dse.twin_tier import twin_tiers

SMALL = """\
schema: cairn.sweep/1
name: small
run: demo
set: {workload.context: 128, workload.batch: 2, model.layers: 4}
parameters:
  side:
    choices: [4, 8]
    set: {chip.matrix_unit.rows: value, chip.matrix_unit.columns: value}
  chip.dram.bandwidth_gb_per_s: [16, 32, 64, 128]
  chip.noc.link_bytes_per_cycle: [4, 8, 16]
objectives: [area, time_per_token]
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)
    return file


def front(study: Study) -> list[int]:
    return sorted(study.front["point"].tolist())


def test_a_search_with_the_twin_finds_the_exact_front_and_simulates_less(small: Path) -> None:
    everything = run_sweep(small, points=24)
    assert everything.method is Method.EXHAUSTIVE and len(everything.entries) == 24
    some = run_sweep(small, points=18)
    assert some.method is Method.TIERED and len(some.entries) <= 18
    assert front(some) == front(everything)
    assert some.analytical is not None and len(some.analytical) == 24


def test_the_twin_is_near_the_simulator_in_every_field_that_objectives_use(small: Path) -> None:
    sweep = load_sweep(small)
    tiers = twin_tiers(sweep)
    assert tiers is not None
    study = run_sweep(small, points=24)
    answer = tiers[0].evaluate(sweep.space.columns(study.points["point"].to_numpy()))
    assert answer.runs.all()
    for name, within in (("latency_s", 0.1), ("energy_j", 0.1), ("area_mm2", 1e-9), ("dram_bytes", 0.02)):
        ratio = np.asarray(answer.fields[name]) / study.points[name].to_numpy(dtype=float)
        assert np.abs(ratio - 1).max() < within, name


@pytest.mark.parametrize(
    "change",
    ["set: {model: retnet-1.3b}", "set: {mapping.paradigm: dataflow, mapping.stages: 2}",
     "parameters: {mapping.paradigm: [spmd, dataflow]}", "parameters: {model.layers: [2, 4]}"],
)  # fmt: skip
def test_a_search_over_runs_that_the_twin_does_not_know_has_no_cheap_tier(tmp_path: Path, change: str) -> None:
    parts = {"parameters": "parameters: {workload.batch: [1, 2]}", change.split(":")[0]: change}
    file = tmp_path / "sweep.yaml"
    lines = ["schema: cairn.sweep/1", "name: x", "run: demo", *parts.values(), "objectives: [area, time_per_token]"]
    file.write_text("\n".join(lines) + "\n")
    assert twin_tiers(load_sweep(file)) is None
