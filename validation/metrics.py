"""The figures that gates are set on, over the rows that count for a gate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from cairn.validation.rows import OURS, Row

FloatArray = npt.NDArray[np.float64]

FLAT = 0.01
"""assumed: a change of up to 1 % from one run of a sweep to the next is no turn, for no model here is closer."""


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float:
    """Kendall's tau-b of two equally long sequences: the rank correlation that is corrected for ties.

    1 when both rank alike, -1 when one reverses the other, nan when one of them is constant or shorter than 2.
    Source: M. G. Kendall, The treatment of ties in ranking problems, Biometrika 33 (1945).
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.shape != y.shape:
        raise ValueError(f"sequences of {x.size} and {y.size} values cannot be ranked against each other")
    upper = np.triu_indices(x.size, k=1)
    dx, dy = np.sign(x[:, None] - x[None, :])[upper], np.sign(y[:, None] - y[None, :])[upper]
    untied = math.sqrt(float(np.count_nonzero(dx)) * float(np.count_nonzero(dy)))
    return float(np.sum(dx * dy)) / untied if untied else math.nan


def percentile(values: Sequence[float], percent: float) -> float:
    """The `percent`-th percentile (0-100), linear between ranks; nan of nothing, inf where it meets an infinity."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    position = (len(ordered) - 1) * percent / 100
    low = math.floor(position)
    share = position - low
    if share == 0 or ordered[low] == ordered[low + 1]:
        return ordered[low]
    return ordered[low] + share * (ordered[low + 1] - ordered[low])


def _errors(rows: Sequence[Row], predictor: str) -> list[float]:
    return [abs(row.error(predictor)) for row in rows]


def _pairs(rows: Sequence[Row], predictor: str) -> list[tuple[float, float]]:
    """(reference, prediction) of every row; a row without a prediction is nan, which fails every gate."""
    predictions = (row.predicted(predictor) for row in rows)
    return [(row.reference, math.nan if p is None else p) for row, p in zip(rows, predictions, strict=True)]


def _median_error(rows: Sequence[Row], predictor: str) -> float:
    return percentile(_errors(rows, predictor), 50)


def _p90_error(rows: Sequence[Row], predictor: str) -> float:
    return percentile(_errors(rows, predictor), 90)


def _p95_error(rows: Sequence[Row], predictor: str) -> float:
    return percentile(_errors(rows, predictor), 95)


def _max_error(rows: Sequence[Row], predictor: str) -> float:
    return max(_errors(rows, predictor), default=math.nan)


def _mean_error(rows: Sequence[Row], predictor: str) -> float:
    errors = _errors(rows, predictor)
    return math.fsum(errors) / len(errors) if errors else math.nan


def _tau(rows: Sequence[Row], predictor: str) -> float:
    pairs = _pairs(rows, predictor)
    if any(math.isnan(prediction) for _, prediction in pairs):
        return math.nan
    return kendall_tau([reference for reference, _ in pairs], [prediction for _, prediction in pairs])


def _tau_of_best(rows: Sequence[Row], predictor: str) -> float:
    """The rank correlation within the tenth of the rows that have the lowest references (two rows at least)."""
    pairs = sorted(_pairs(rows, predictor), key=lambda pair: pair[0])
    best = pairs[: max(2, -(-len(pairs) // 10))]
    if any(math.isnan(prediction) for _, prediction in best):
        return math.nan
    return kendall_tau([reference for reference, _ in best], [prediction for _, prediction in best])


def _min_ratio(rows: Sequence[Row], predictor: str) -> float:
    ratios = [
        prediction / reference if reference else math.nan if prediction != reference else 1.0
        for reference, prediction in _pairs(rows, predictor)
    ]
    return math.nan if not ratios or any(math.isnan(ratio) for ratio in ratios) else min(ratios)


def _max_difference(rows: Sequence[Row], predictor: str) -> float:
    differences = [abs(prediction - reference) for reference, prediction in _pairs(rows, predictor)]
    return math.nan if not differences or any(math.isnan(value) for value in differences) else max(differences)


def _share_equal(rows: Sequence[Row], predictor: str) -> float:
    equal = [prediction == reference for reference, prediction in _pairs(rows, predictor)]
    return sum(equal) / len(equal) if equal else math.nan


def same_turn(reference: float, prediction: float) -> bool:
    """Whether two ratios (of a run to its neighbour in a sweep) do not turn opposite ways; `FLAT` is no turn."""

    def turn(ratio: float) -> int:
        return 0 if abs(ratio - 1) <= FLAT else 1 if ratio > 1 else -1

    return turn(reference) * turn(prediction) >= 0


def _share_same_turn(rows: Sequence[Row], predictor: str) -> float:
    same = [
        not math.isnan(prediction) and same_turn(reference, prediction)
        for reference, prediction in _pairs(rows, predictor)
    ]
    return sum(same) / len(same) if same else math.nan


METRICS: dict[str, Callable[[Sequence[Row], str], float]] = {
    "median_error": _median_error,
    "p90_error": _p90_error,
    "p95_error": _p95_error,
    "mean_error": _mean_error,
    "max_error": _max_error,
    "kendall_tau": _tau,
    "kendall_tau_of_best_tenth": _tau_of_best,
    "min_ratio": _min_ratio,
    "max_difference": _max_difference,
    "share_equal": _share_equal,
    "share_same_turn": _share_same_turn,
}
"""Metrics by the name gates give: of relative errors, of ranks, of prediction / reference, of their difference."""

PERCENT = frozenset(
    {"median_error", "p90_error", "p95_error", "mean_error", "max_error", "share_equal", "share_same_turn"}
)
"""Metrics that are shown in percent."""

ROW_WISE = frozenset({"max_error", "min_ratio", "max_difference", "share_equal", "share_same_turn"})
"""Metrics for which one row alone can fail the gate, so that each row has a verdict of its own."""


def evaluate(metric: str, rows: Sequence[Row], predictor: str = OURS) -> float:
    """The value of `metric` over `rows` by `predictor`; nan when there is nothing to say."""
    return METRICS[metric](rows, predictor)
