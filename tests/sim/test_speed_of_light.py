"""No run is faster than light, and the bounds would notice one that is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cairn.base.errors import InfeasibleError
from cairn.sim.record import RunRecord
from cairn.sim.run import simulate
from cairn.validation.suites.light.bounds import simulated_bounds, step_bounds, transfers_too_fast
from cairn.validation.suites.light.random_runs import random_run

from .test_mapping_accounting import tiny

SEED = 7


@pytest.mark.parametrize("index", range(60))
def test_a_random_run_beats_neither_the_bounds_of_its_step_nor_those_of_what_was_simulated(index: int) -> None:
    try:
        record = simulate(random_run(SEED, index))
    except InfeasibleError:
        pytest.skip("the drawn model does not fit the drawn chip")
    assert record.total_ps >= max(step_bounds(record).values())
    assert record.trace.makespan >= max(simulated_bounds(record).values())
    assert transfers_too_fast(record) == 0


@pytest.fixture(scope="module")
def record() -> RunRecord:
    return simulate(tiny())


def test_the_step_is_bound_by_unique_bytes_at_peak_bandwidth(record: RunRecord) -> None:
    totals = record.graph.totals()
    moved = totals["read_bytes"] + totals["written_bytes"]
    assert step_bounds(record)["unique bytes at peak bandwidth"] == pytest.approx(moved / 60e9 * 1e12)


def test_bounds_of_units_ports_and_channels_are_all_positive(record: RunRecord) -> None:
    assert min(simulated_bounds(record).values()) > 0


def test_a_transfer_that_ends_when_it_starts_is_too_fast(record: RunRecord) -> None:
    served = int((record.plan.server >= 0).sum())
    instant = replace(record, trace=replace(record.trace, end=record.trace.start))
    assert transfers_too_fast(instant) == served


def test_the_same_number_draws_the_same_run_and_another_number_another() -> None:
    assert random_run(3, 5) == random_run(3, 5)
    assert random_run(3, 5) != random_run(3, 6)


def test_random_runs_cover_all_families_paradigms_and_topologies() -> None:
    runs = [random_run(SEED, index) for index in range(150)]
    assert {run.model.name for run in runs} == {"dense", "latent", "experts", "retnet", "mamba"}
    assert {run.mapping.paradigm.value for run in runs} == {"spmd", "compute_shift", "dataflow"}
    assert {run.chip.noc.topology.value for run in runs} == {"mesh", "torus", "all_to_all"}
    assert {run.workload.attention.value for run in runs} == {"fused", "unfused"}
    assert any(run.chip.cores.rows != run.chip.cores.columns for run in runs)
