"""Gates and their sheets."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from cairn.validation.gates import Gate, GateSheet, Verdict, judge, judge_row
from cairn.validation.suite import load_suite, suite_names
from tests.validation.toys import SHEET, suite_of, toy


def gate(**changes: object) -> Gate:
    return Gate.model_validate({"name": "g", "metric": "max_error", "limit": 0.1, "what": "a gate"} | changes)


def test_a_gate_fails_beyond_its_limit_and_holds_on_it() -> None:
    assert gate().holds(0.1)
    assert not gate().holds(0.1001)
    assert gate(direction="at_least", limit=0.8).holds(0.8)
    assert not gate(direction="at_least", limit=0.8).holds(0.7999)


@pytest.mark.parametrize("direction", ["at_most", "at_least"])
def test_no_gate_holds_for_a_value_that_is_not_a_number(direction: str) -> None:
    assert not gate(direction=direction).holds(math.nan)


def test_only_rows_that_count_are_judged_and_their_number_stands_beside_the_gate() -> None:
    rows = [toy("a", 10, 10, counts="g"), toy("b", 10, 90, counts="other"), toy("c", 10, 11, counts="g")]
    result = judge(gate(), rows)
    assert (result.rows, result.verdict, result.value) == (2, Verdict.PASS, pytest.approx(0.1))
    assert judge(gate(), rows[1:2]).verdict is Verdict.NO_ROWS


def test_a_gate_without_a_limit_is_reported_only() -> None:
    assert judge(gate(limit=None), [toy("a", 10, 90, counts="g")]).verdict is Verdict.REPORTED


def test_a_gate_on_a_baseline_looks_at_the_baseline() -> None:
    row = toy("a", 10, 90, counts="g")
    assert judge(gate(predictor="roofline"), [row]).verdict is Verdict.FAIL
    better = type(row)(**{**row.__dict__, "baselines": {"roofline": 10.5}})
    assert judge(gate(predictor="roofline"), [better]).verdict is Verdict.PASS


def test_a_row_fails_alone_only_under_a_gate_that_looks_at_single_rows() -> None:
    sheet = suite_of([], gates=[SHEET["gates"][0], {**SHEET["gates"][1], "limit": 0.5}]).sheet
    assert judge_row(sheet, toy("a", 10, 10)) is Verdict.PASS
    assert judge_row(sheet, toy("a", 10, 20)) is Verdict.FAIL
    assert judge_row(sheet, toy("a", 10, 20, counts="mean")) is Verdict.COUNTED
    assert judge_row(sheet, toy("a", 10, 20, counts="")) is Verdict.REPORTED


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gates": [{"name": "g", "metric": "max_eror", "limit": 1, "what": "w"}]}, "no metric is called 'max_eror'"),
        ({"gates": [{"name": "g", "metric": "max_error", "what": "w"}]}, "a suite needs a gate with a limit"),
        ({"gates": [SHEET["gates"][0], SHEET["gates"][0]]}, "gate names repeat"),
        ({"schema": "cairn.gates/9"}, "Input should be 'cairn.gates/1'"),
        ({"nots": []}, "Extra inputs are not permitted"),
    ],
)
def test_a_malformed_sheet_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        GateSheet.model_validate(SHEET | changes)


MAY_FIT = {
    "wafer": {"routing_stage_cycles", "operator_overhead_cycles"},
    "lut": {
        "prefill_efficiency", "prefill_constant_ms", "decode_efficiency", "decode_constant_ms",
        "separate_precompute_efficiency",
    },
    "pim": {"nSETUP"},
}  # fmt: skip
"""Constants that no paper prints, and that a suite may fit on named rows which count for no gate."""


@pytest.mark.parametrize("name", suite_names())
def test_every_shipped_suite_loads_with_its_sheet(name: str) -> None:
    suite = load_suite(name)
    assert suite.sheet.title
    fitted = {one.constant.split()[0].rstrip(",") for one in suite.sheet.fitted}
    assert fitted == MAY_FIT.get(name, set()), "no suite may fit a constant unless its issue asks for it"
