"""The suite `lut`: its random cases are many and cover all formats, and a wrong unit breaks its gates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cairn.hw_models.compute.lut.functional import olive
from cairn.hw_models.compute.lut.functional.formats import ActivationFormat
from cairn.hw_models.compute.lut.functional.mpgemm import MpgemmResult, mpgemm
from cairn.hw_models.compute.lut.functional.weights import Weights
from cairn.validation.gates import Verdict, judge
from cairn.validation.rows import Row
from cairn.validation.suite import load_suite
from cairn.validation.suites.lut import functional


def verdicts(rows: list[Row]) -> dict[str, Verdict]:
    results = [judge(gate, rows) for gate in load_suite("lut").sheet.gates]
    return {result.gate.name: result.verdict for result in results if result.rows}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INTEGER_CASES", "BOUNDED_CASES", "PACKING_CASES", "UNIT_CASES"):
        monkeypatch.setattr(functional, name, 4)


def test_thousands_of_integer_cases_are_drawn() -> None:
    assert len(functional.INTEGER_FORMATS) * len(functional.WEIGHTS) * functional.INTEGER_CASES >= 2000


def test_every_format_and_every_width_has_a_row_and_the_gates_hold(few: None) -> None:
    rows = list(functional.rows(False))
    names = " ".join(row.id for row in rows)
    assert all(f"A_{fmt}" in names for fmt in ActivationFormat)
    assert all(f"W{bits}A" in names for bits in range(1, 9)) and "W_ternary_A" in names
    assert verdicts(rows) == {"functional_exact": Verdict.PASS, "functional_bounds": Verdict.PASS}


def test_one_wrong_result_fails_the_gate(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def wrong(weights: Any, activations: Any, **rest: Any) -> MpgemmResult:
        result = mpgemm(weights, activations, **rest)
        calls.append(result)
        if len(calls) == 7:
            result.values[0, 0] += 1
        return result

    monkeypatch.setattr(functional, "mpgemm", wrong)
    assert verdicts(list(functional.rows(False)))["functional_exact"] is Verdict.FAIL


def test_a_wrong_unit_fails_the_gate(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(olive, "decode", lambda packed, normal: np.ones((len(packed), 2 * packed.shape[1]), int))
    assert verdicts(list(functional.rows(False)))["functional_exact"] is Verdict.FAIL


def test_results_beyond_half_a_step_of_each_table_fail_the_gate(few: None, monkeypatch: pytest.MonkeyPatch) -> None:
    bound = functional.table_bound
    monkeypatch.setitem(functional.BOUNDS, "int8", lambda *given: bound(*given) / 20)
    assert verdicts(list(functional.rows(False)))["functional_bounds"] is Verdict.FAIL


def test_weights_that_are_drawn_are_the_integers_that_numpy_multiplies() -> None:
    rng = np.random.default_rng(0)
    for name in functional.WEIGHTS:
        weights, plain = functional.drawn_weights(rng, name, 3, 20, 8)
        assert isinstance(weights, Weights)
        assert np.array_equal(weights.dequantised(), plain)
