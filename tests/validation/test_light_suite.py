"""The suite `light`: rows of random runs, refusals and failures."""

from __future__ import annotations

from itertools import islice

import pytest

from cairn.base.errors import Infeasibility, InfeasibleError
from cairn.sim.config.run_config import RunConfig
from cairn.sim.record import RunRecord
from cairn.validation.gates import Verdict
from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suite import Suite, load_suite, run_suite
from cairn.validation.suites.light import suite
from cairn.validation.suites.light.random_runs import random_run


def judged(rows: list[Row]) -> Verdict:
    light = load_suite("light")
    return run_suite(Suite("light", lambda reference, run_all: rows, light.sheet), ReferenceDir()).verdict


def some_rows() -> list[Row]:
    return [row for index in range(8) for row in suite.random_rows(random_run(5, index))]


def test_random_runs_pass() -> None:
    rows = some_rows()
    assert judged(rows) is Verdict.PASS
    assert {row.id.rpartition("/")[2] for row in rows if row.counts} == {"step", "simulated", "transfers"}


def test_a_run_that_beats_its_bound_fails() -> None:
    rows = some_rows()
    fast = Row("fast", "x", 10.0, 9.999, "us", "test", ("runs",))
    assert judged([*rows, fast]) is Verdict.FAIL


def test_what_does_not_fit_counts_for_nothing_and_what_breaks_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(config: RunConfig) -> RunRecord:
        raise InfeasibleError([Infeasibility("SRAM", 2, 1, "bytes", "more SRAM")])

    def crash(config: RunConfig) -> RunRecord:
        raise IndexError("out of bounds")

    good, config = some_rows(), random_run(6, 0)
    monkeypatch.setattr("cairn.sim.run.simulate", refuse)
    (row,) = suite.random_rows(config)
    assert (row.counts, row.kind) == ((), "infeasible")
    assert judged([*good, row]) is Verdict.PASS
    monkeypatch.setattr("cairn.sim.run.simulate", crash)
    (row,) = suite.random_rows(config)
    assert "IndexError: out of bounds" in row.remark
    assert judged([*good, row]) is Verdict.FAIL


def test_the_suite_begins_with_shipped_runs_and_goes_on_with_random_ones() -> None:
    names = [row.id.partition("/")[0] for row in islice(suite.predict(ReferenceDir(), False), 5)]
    assert names[:3] == ["demo"] * 3
    assert names[3].startswith("random-")
