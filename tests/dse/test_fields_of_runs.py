"""The fields that a search asks of a run are those of the report, without the report being made."""

from __future__ import annotations

import math

import pytest

from cairn.dse.fields import FIELDS, fields_of
from cairn.sim.config.run_config import load
from cairn.sim.record import RunRecord
from cairn.sim.report import work
from cairn.sim.report.result import Result
from cairn.sim.run import simulate

RUNS = {
    "decode": ("demo", "model.layers=3"),
    "prefill": (
        "llama-2-13b-prefill", "chip=tiny", "model=qwen3-0.6b", "model.layers=2", "workload.new_tokens=64",
    ),
    "dataflow": ("demo", "mapping.paradigm=dataflow", "model.layers=4"),
    "experts": ("mixtral-8x7b-decode", "model.layers=2", "workload.batch=4", "workload.context=64"),
    "tables": ("demo", "model.layers=2", "chip.lut_unit.arrays=1"),
    "pim": (
        "llama-2-7b-decode-pim", "model=qwen3-0.6b", "model.layers=2", "workload.context=64", "mapping.pim=attention",
    ),
}  # fmt: skip
OF_TABLES, OF_PIM = {"lut_ops", "lookups", "lut_groups", "table_adds"}, {"pim_ops", "pim_bytes"}
"""Sums that only runs with LUT units, or with PIM units at work, have."""
NOT_IN_THE_SUMMARY = {
    "power_density_w_per_mm2", "power_density_limit_w_per_mm2", "clock_within_limit_ghz", "dram_capacity_gb",
    "matrix_utilisation", "cost_usd",
}  # fmt: skip


@pytest.fixture(scope="module", params=list(RUNS))
def record(request: pytest.FixtureRequest) -> RunRecord:
    run, *settings = RUNS[request.param]
    return simulate(load(run, settings))


def test_fields_are_the_numbers_of_the_summary_to_the_last_bit(record: RunRecord) -> None:
    fields, summary = fields_of(Result(record)), Result(record).summary()
    assert set(fields) == set(FIELDS)
    for name in set(FIELDS) - NOT_IN_THE_SUMMARY:
        assert fields[name] == summary[name] or (math.isnan(fields[name]) and summary[name] is None)
    density = summary["power_density"]
    assert fields["power_density_w_per_mm2"] == density["w_per_mm2"]
    assert fields["clock_within_limit_ghz"] == density["clock_within_limit_ghz"]


def test_totals_of_the_headline_are_the_sums_of_the_operator_table(record: RunRecord) -> None:
    result = Result(record)
    headline, table = result.headline(), result.operators
    assert headline["matrix_ops"] == table["matrix_ops"].sum() > 0
    assert headline["matrix_ops_required"] == table["matrix_ops_required"].sum() > 0
    assert headline["noc_bytes"] == table["noc_bytes"].sum()
    assert headline["dram_bytes"] == table["dram_read_bytes"].sum() + table["dram_write_bytes"].sum() > 0


def test_fields_charge_no_time_to_operators(record: RunRecord) -> None:
    result = Result(record)
    fields_of(result)
    assert not {"operators", "steps", "view"} & set(vars(result))


def test_work_counted_in_parts_is_that_counted_at_once(record: RunRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "PART", record.plan.n_tasks)
    whole = work.count_work(record)
    monkeypatch.setattr(work, "PART", 777)
    absent = OF_TABLES if record.chip.lut_unit is None else set()
    absent = absent | OF_PIM if record.chip.pim is None else absent
    for name, sums in vars(work.count_work(record)).items():
        assert (sums == getattr(whole, name)).all()
        assert sums.any() != (name in absent)
