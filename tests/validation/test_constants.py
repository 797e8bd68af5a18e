"""`cairn validate --constants`: every fitted constant with its rows, and nothing is run."""

from __future__ import annotations

import json

import pytest

from cairn.base.errors import CairnError
from cairn.cli.main import main
from cairn.validation.constants import fitted_constants
from cairn.validation.suite import load_suite, suite_names


def test_every_fitted_constant_of_every_suite_is_listed_with_its_rows() -> None:
    listed = [(one["suite"], one["constant"], one["value"], tuple(one["rows"])) for one in fitted_constants()]  # type: ignore[call-overload]
    assert listed == [
        (name, fitted.constant, fitted.value, fitted.rows)
        for name in suite_names()
        for fitted in load_suite(name).sheet.fitted
    ]
    assert {suite for suite, *_ in listed} >= {"wafer", "lut"}


def test_the_command_prints_constants_and_rows_and_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "lut", "--constants"]) == 0
    text = capsys.readouterr().out
    for word in ("separate_precompute_efficiency", "0.0981", "separate/decode", "latency/prefill/a100_int8"):
        assert word in text
    assert "wafer" not in text


def test_constants_are_printed_as_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "wafer", "--constants", "--json"]) == 0
    assert [one["suite"] for one in json.loads(capsys.readouterr().out)] == ["wafer", "wafer"]


def test_a_suite_without_fitted_constants_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "models", "--constants"]) == 0
    assert capsys.readouterr().out == "no constant is fitted\n"


def test_constants_of_an_unknown_suite_are_refused() -> None:
    with pytest.raises(CairnError, match="no suite is called"):
        fitted_constants(["lot"])
