"""A run with each model of a DRAM channel: every byte is accounted for, and Voxel's estimator hides no row opening."""

from __future__ import annotations

import numpy as np
import pytest

from cairn.hw_models.dram.request import R_BYTES, R_CHANNEL
from cairn.hw_models.dram.stack.oracle import StackOracle
from cairn.hw_models.server import DONE, FIRST
from cairn.sim.config.run_config import load
from cairn.sim.record import RunRecord
from cairn.sim.report.result import Result
from cairn.sim.run import simulate
from cairn.validation.suites.conservation.ledger import plan_against_graph, server_counters, trace_against_plan
from cairn.validation.suites.light.bounds import transfers_too_fast

UNEVEN = ("chip.dram.burst_bytes=96", "chip.dram.row_bytes=960", "chip.dram.turn_bytes=192")
"""Bursts that do not divide what is read, so that a channel which moves whole ones pads."""


def run(model: str, *settings: str) -> RunRecord:
    return simulate(load("demo", [f"chip.dram.model={model}", *UNEVEN, *settings]))


@pytest.fixture(scope="module")
def records() -> dict[str, RunRecord]:
    return {model: run(model) for model in ("controller", "voxel_estimator")}


@pytest.mark.parametrize("model", ["controller", "voxel_estimator"])
def test_every_byte_is_accounted_for_and_no_transfer_beats_its_bytes(
    records: dict[str, RunRecord], model: str
) -> None:
    record = records[model]
    pairs = {**trace_against_plan(record), **plan_against_graph(record)}
    assert {name: pair.difference for name, pair in pairs.items()} == dict.fromkeys(pairs, 0)
    assert transfers_too_fast(record) == 0


def test_the_estimator_moves_bytes_and_a_controller_whole_bursts(records: dict[str, RunRecord]) -> None:
    padding = {model: int(server_counters(record)["dram"]["padding_bytes"].sum()) for model, record in records.items()}
    assert padding["voxel_estimator"] == 0
    assert padding["controller"] > 0


def test_the_estimator_is_slower_by_row_openings_that_a_controller_hides(records: dict[str, RunRecord]) -> None:
    voxel = run("voxel_estimator", "chip.dram.unshared_cores=1")
    counted = server_counters(voxel)["dram"]
    assert (counted["activates"] >= counted["row_misses"]).all()
    assert voxel.total_ps > records["voxel_estimator"].total_ps
    assert voxel.total_ps > records["controller"].total_ps


def test_a_report_of_a_run_with_the_estimator_has_no_bytes_of_padding(records: dict[str, RunRecord]) -> None:
    by_cause = {model: Result(record).as_dict()["bytes"] for model, record in records.items()}
    moved = {model: {row["cause"]: row for row in rows} for model, rows in by_cause.items()}
    assert moved["controller"]["padding"]["dram_read_bytes"] > 0
    assert moved["voxel_estimator"]["padding"]["dram_read_bytes"] == 0
    assert moved["voxel_estimator"]["unique"] == moved["controller"]["unique"]


def test_a_layer_ends_at_the_ticks_of_the_loop_over_single_bursts() -> None:
    """All requests of a layer to one channel, at the ticks at which they were issued, burst by burst (the oracle)."""
    record = simulate(load("demo", ["model.layers=1", "workload.embedding=false", "workload.lm_head=false"]))
    plan, trace, chip = record.plan, record.trace, record.chip
    server = plan.servers.index("dram")
    tasks = np.flatnonzero(plan.server == server)
    tasks = tasks[plan.requests[server][plan.request[tasks], R_CHANNEL] == 5]
    tasks = tasks[np.lexsort((tasks, trace.start[tasks]))]
    rows = plan.requests[server][plan.request[tasks]].tolist()
    timed = list(zip(trace.start[tasks].tolist(), tasks.tolist(), map(tuple, rows), strict=True))
    completions, _ = StackOracle(chip.dram, chip.channels).run(timed)
    done = {task: tick for tick, task, event in completions if event == DONE}
    first = {task: tick for tick, task, event in completions if event == FIRST}
    assert sum(row[R_BYTES] for row in rows) > 1_000_000
    assert [done[task] for task in tasks.tolist()] == trace.end[tasks].tolist()
    assert first == {task: int(trace.first[task]) for task in first}


def test_interleaved_tiles_on_fast_channels_complete_nothing_before_the_bound_of_the_channel() -> None:
    """A bound that counted the turns of other requests once came too late here."""
    settings = ["engine.tolerance=0.01", "mapping.banks=interleaved",
                f"chip.dram.bandwidth_gb_per_s={24000 * 2**30 / 1e9}"]  # fmt: skip
    record = simulate(load("llama-2-13b-decode", settings))
    assert record.trace.end.min() >= 0
