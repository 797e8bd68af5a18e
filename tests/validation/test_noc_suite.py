"""The suite `noc`: passes as shipped on a few of its cases, and fails where it should."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cairn.base.errors import ConfigError
from cairn.validation.harness import validate
from cairn.validation.reference import SHIPPED, ReferenceDir
from cairn.validation.suite import SuiteResult, load_suite, run_suite
from cairn.validation.suites.noc import random_networks, suite
from cairn.validation.suites.noc.cases import load_cases
from cairn.validation.suites.noc.permutation import Fibonacci, random_permutation
from cairn.validation.suites.noc.suite import BATCH, BATCH_CASES, CURVE_CASES, SUMMARY, _batch_rows

CURVES = ("mesh4x4_uniform_p4_v2_b4_std4", "mesh8x8_hs4corner_p4_v2_b4_std4")
BATCHES = ("batch_mesh4x4_transpose_p4_v2_b4_std4_bs32", "batch_torus8x8_tornado_p4_v2_b4_std4_bs32")
Values = dict[str, Any]


def copied(folder: Path, change: Callable[[str, Values], None] = lambda file, values: None) -> Path:
    """A reference folder with a few of the shipped cases, each row or case changed."""
    (folder / "noc").mkdir(parents=True)
    for name, kept in ((BATCH, BATCHES), (SUMMARY, CURVES)):
        rows = [row for row in csv.DictReader(io.StringIO((SHIPPED / name).read_text())) if row["case_id"] in kept]
        for row in rows:
            change(name, row)
        with (folder / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    for name, kept in ((BATCH_CASES, BATCHES), (CURVE_CASES, CURVES)):
        content = yaml.safe_load((SHIPPED / name).read_text())
        content["cases"] = [case for case in content["cases"] if case["id"] in kept]
        for case in content["cases"]:
            change(name, case)
        (folder / name).write_text(yaml.safe_dump(content))
    return folder


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer random networks and probes: what the suite says of them is tested elsewhere."""
    monkeypatch.setattr(random_networks, "EACH", 5)
    monkeypatch.setattr(suite, "PROBES", 1)


def with_value(file: str, key: str, value: object) -> Callable[[str, Values], None]:
    def change(name: str, values: Values) -> None:
        if name == file:
            values[key] = value

    return change


def run(folder: Path) -> SuiteResult:
    return run_suite(load_suite("noc"), ReferenceDir(folder))


def test_every_shipped_batch_without_random_numbers_completes_in_the_cycle_of_booksim2() -> None:
    rows = list(_batch_rows(ReferenceDir()))
    counted = [row for row in rows if row.counts]
    assert len(counted) == 73
    assert [row.id for row in counted if row.prediction != row.reference] == []
    (drawn,) = [row for row in rows if not row.counts]
    assert abs(drawn.error()) < 0.02


def test_a_few_cases_pass_every_gate_and_a_changed_figure_fails_its_own(tmp_path: Path) -> None:
    result = run(copied(tmp_path / "same"))
    assert {gate.gate.name for gate in result.gates if gate.verdict == "pass"} == {g.name for g in result.sheet.gates}
    changed = run(copied(tmp_path / "batch", with_value(BATCH, "completion_cycles", 300)))
    assert {gate.gate.name for gate in changed.gates if gate.verdict == "fail"} == {
        "batch_equal", "batch_error", "batch_worst",
    }  # fmt: skip


def test_a_case_whose_own_seeds_differ_is_reported_and_counts_for_no_gate(tmp_path: Path) -> None:
    result = run(copied(tmp_path, with_value(SUMMARY, "lat_at_80pct_sat_seed2", 99.0)))
    gates = {gate.gate.name: gate for gate in result.gates}
    assert gates["latency_uniform"].rows == gates["saturation"].rows == 0
    assert any("own seeds differ" in row.remark for row in result.rows)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("traffic", "diagonal", r"no traffic pattern 'diagonal' is known here"),
        ("topology", "fly", "no routing 'dor' on 'fly'"),
        ("pipeline", "std5", "pipeline 'std5' is not among cr3"),
        ("num_vcs", 0, "pipeline std4: Input should be greater than or equal to 1"),
    ],
)
def test_a_case_that_cairn_has_not_is_named(tmp_path: Path, key: str, value: object, message: str) -> None:
    def change(name: str, values: Values) -> None:
        if name == BATCH_CASES and values["topology"] == "mesh":
            values[key] = value

    with pytest.raises(ConfigError, match=rf"cases\[0\] \(batch_mesh4x4.*{message}"):
        load_cases(ReferenceDir(copied(tmp_path, change)), BATCH_CASES, "")


def test_numbers_of_the_random_permutation_are_those_that_knuth_publishes() -> None:
    sequence = Fibonacci(310952)
    for _ in range(2010):
        block = sequence.block(1009)
    assert block[0] == 995235265  # The Art of Computer Programming, volume 2, section 3.6
    assert sorted(random_permutation(50, 7)) == list(range(50))


def test_a_row_without_its_case_is_named_with_its_line(tmp_path: Path) -> None:
    folder = copied(tmp_path, with_value(BATCH, "case_id", "nothing"))
    with pytest.raises(ConfigError, match=r"booksim2_batch.csv:2: case_id: no case 'nothing'"):
        validate(["noc"], reference=folder)


def test_a_folder_without_these_files_fails_and_says_which_is_missing(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.verdict == "fail"
    assert "noc/booksim2_batch.csv is not there" in result.why
