"""Metrics of the harness against SciPy, NumPy and the definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from cairn.validation.metrics import METRICS, evaluate, kendall_tau, percentile, same_turn
from cairn.validation.rows import Row

FEW = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=12)
NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


def row(reference: float, prediction: float | None, **other: object) -> Row:
    return Row(f"r{reference}", "kind", reference, prediction, "us", "invented", **other)


@given(FEW)
def test_kendall_tau_is_tau_b_of_scipy_ties_included(pairs: list[tuple[int, int]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    expected = kendalltau(first, second).statistic
    assert kendall_tau(first, second) == pytest.approx(expected, nan_ok=True)


def test_kendall_tau_is_one_for_the_same_order_and_minus_one_for_the_reverse() -> None:
    assert kendall_tau([1, 2, 5], [10, 20, 30]) == 1
    assert kendall_tau([1, 2, 5], [30, 20, 10]) == -1
    assert math.isnan(kendall_tau([1, 1, 1], [1, 2, 3]))
    with pytest.raises(ValueError, match="sequences of 2 and 3 values"):
        kendall_tau([1, 2], [1, 2, 3])


@given(NUMBERS, st.floats(0, 100))
def test_a_percentile_is_linear_between_ranks_as_in_numpy(values: list[float], percent: float) -> None:
    assert percentile(values, percent) == pytest.approx(float(np.percentile(values, percent)), rel=1e-9, abs=1e-6)


def test_a_percentile_that_meets_a_missing_prediction_is_infinite() -> None:
    assert percentile([1.0, 2.0, math.inf], 50) == 2
    assert percentile([1.0, 2.0, math.inf], 90) == math.inf
    assert math.isnan(percentile([], 50))


def test_an_error_is_relative_to_the_reference_and_signed() -> None:
    assert row(10.0, 11.0).error() == pytest.approx(0.1)
    assert row(10.0, 8.0).error() == pytest.approx(-0.2)
    assert row(0.0, 0.0).error() == 0
    assert row(0.0, 1.0).error() == math.inf


def test_no_error_is_charged_up_to_the_rounding_of_the_reference() -> None:
    assert row(0.12, 0.1244, resolution=0.005).error() == 0
    assert row(0.12, 0.1270, resolution=0.005).error() == pytest.approx(0.002 / 0.12)


def test_a_row_without_a_prediction_has_an_infinite_error() -> None:
    assert row(1.0, None).error() == math.inf
    assert row(1.0, math.nan).error() == math.inf
    assert row(1.0, 1.0, baselines={"roofline": 2.0}).error("roofline") == 1
    assert row(1.0, 1.0).error("roofline") == math.inf


@pytest.mark.parametrize("metric", METRICS)
def test_no_metric_passes_over_a_missing_prediction(metric: str) -> None:
    value = evaluate(metric, [row(1.0, None), row(2.0, None)])
    assert math.isnan(value) or value in (math.inf, 0.0)
    assert value != 0 or metric.startswith("share_")


def test_metrics_follow_their_definitions() -> None:
    rows = [row(10.0, 11.0), row(20.0, 20.0), row(40.0, 30.0)]
    expected = {"median_error": 0.1, "p90_error": 0.22, "p95_error": 0.235, "mean_error": 0.35 / 3, "max_error": 0.25}
    expected |= {"kendall_tau": 1, "min_ratio": 0.75, "max_difference": 10, "share_equal": 1 / 3, "share_same_turn": 1}
    expected |= {"kendall_tau_of_best_tenth": 1}
    assert {name: evaluate(name, rows) for name in METRICS} == pytest.approx(expected)


def test_a_sweep_turns_otherwise_only_when_both_ratios_leave_one_on_opposite_sides() -> None:
    assert same_turn(0.8, 0.9)
    assert same_turn(0.8, 1.005)
    assert same_turn(1.005, 0.5)
    assert not same_turn(0.8, 1.02)
    assert not same_turn(1.3, 0.98)
    rows = [row(0.8, 0.9), row(0.8 + 1e-9, 1.2), row(1.5, None), row(1.2, 1.1)]
    assert evaluate("share_same_turn", rows) == 0.5


def test_a_reference_that_is_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="row rnan: the reference value is nan"):
        row(math.nan, 1.0)


def test_the_rank_of_the_best_tenth_looks_at_the_lowest_references_alone() -> None:
    rows = [row(float(n), float(100 - n)) for n in range(40)]
    for place, prediction in enumerate((1.0, 2.0, 4.0, 3.0)):  # the best four: one pair of six is the other way round
        rows[place] = row(float(place), prediction)
    metric = METRICS["kendall_tau_of_best_tenth"]
    assert metric(rows[::-1], "cairn") == pytest.approx(4 / 6)
    assert METRICS["kendall_tau"](rows, "cairn") < 0
