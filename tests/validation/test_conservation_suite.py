"""The suite `conservation`: its rows agree, and its gates see a byte that is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cairn.sim.record import RunRecord
from cairn.sim.run import simulate
from cairn.validation.gates import Verdict
from cairn.validation.reference import ReferenceDir
from cairn.validation.suite import Suite, SuiteResult, load_suite, run_suite
from cairn.validation.suites.conservation.suite import rows_of
from cairn.validation.suites.light.random_runs import random_run


def judged(record: RunRecord) -> SuiteResult:
    sheet = load_suite("conservation").sheet
    rows = list(rows_of("run", record))
    return run_suite(Suite("conservation", lambda reference, run_all: rows, sheet), ReferenceDir())


@pytest.fixture(scope="module")
def record() -> RunRecord:
    return simulate(random_run(2, 0))


def test_a_run_passes_every_gate_and_reports_bytes_by_cause(record: RunRecord) -> None:
    result = judged(record)
    assert result.verdict is Verdict.PASS, result.why
    assert {"run/bytes/reread", "run/bytes/duplicate", "run/bytes/spill", "run/bytes/padding"} <= {
        row.id for row in result.rows
    }


def test_a_byte_too_many_fails_although_the_sum_of_all_operators_may_agree(record: RunRecord) -> None:
    plan = record.plan
    unique = [row for row in range(len(plan.copies)) if plan.copies[row, 11] == 0 and plan.copies[row, 6] == 1]
    op = {int(plan.row[task]): int(plan.op[task]) for task in range(plan.n_tasks) if plan.kind[task] == 2}
    first = unique[0]
    other = next(row for row in unique if op[row] != op[first])
    copies = plan.copies.copy()
    copies[first, 10] += 1
    copies[other, 10] -= 1
    result = judged(replace(record, plan=replace(plan, copies=copies)))
    assert result.verdict is Verdict.FAIL
    assert "graph" in result.why
    assert "trace" not in result.why


def test_an_operator_that_executes_too_little_fails(record: RunRecord) -> None:
    compute = record.plan.compute.copy()
    compute[:, 9] = 0
    result = judged(replace(record, plan=replace(record.plan, compute=compute)))
    assert result.verdict is Verdict.FAIL
