"""Fronts, hypervolumes and expected improvements against definitions written out."""

from __future__ import annotations

import time

import numpy as np
import pytest

from cairn.dse.acquisition import expected_improvement
from cairn.dse.front import hypervolume, layers, nondominated, open_boxes, slack


def points(objectives: int, seed: int, count: int = 200) -> np.ndarray:
    """Random points on a coarse grid, so that many are equal in some objective or in all."""
    return np.round(np.random.default_rng(seed).random((count, objectives)), 1)


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_the_front_is_what_nothing_dominates(objectives: int, seed: int) -> None:
    values = points(objectives, seed)
    values[7] = np.nan
    expected = [
        bool(np.isfinite(row).all()) and not any((o <= row).all() and (o < row).any() for o in values) for row in values
    ]
    assert nondominated(values).tolist() == expected


@pytest.mark.parametrize("objectives", [2, 3, 4])
def test_hypervolume_is_the_share_of_grid_cells_that_are_dominated(objectives: int) -> None:
    values = points(objectives, 11, 30)
    cells = np.stack(np.meshgrid(*[np.arange(10) / 10 + 0.05] * objectives), axis=-1).reshape(-1, objectives)
    share = np.mean([(values <= cell).all(axis=1).any() for cell in cells])
    assert hypervolume(values, np.ones(objectives)) == pytest.approx(share)
    lower, upper = open_boxes(values[nondominated(values)], np.ones(objectives))
    assert np.prod(upper - np.maximum(lower, 0), axis=1).sum() == pytest.approx(1 - share)


def test_points_beyond_the_reference_add_nothing() -> None:
    assert hypervolume(np.array([[0.5, 1.5], [2.0, 0.1]]), np.ones(2)) == 0.0
    assert hypervolume(np.empty((0, 2)), np.ones(2)) == 0.0


def test_layers_peel_fronts_off_one_by_one() -> None:
    values = points(2, 3)
    rank = layers(values, len(values))
    left = values
    for level in range(int(rank.max()) + 1):
        best = np.unique(left[nondominated(left)], axis=0)
        np.testing.assert_array_equal(best, np.unique(values[rank == level], axis=0))
        left = values[rank > level]


@pytest.mark.parametrize("objectives", [2, 3])
def test_slack_is_the_least_improvement_that_reaches_the_front(objectives: int) -> None:
    front, others = points(objectives, 1, 20), points(objectives, 2, 50)
    front = front[nondominated(front)]
    distance = slack(others, front)
    for row, gap in zip(others, distance, strict=True):
        assert not (front < row - gap - 1e-9).all(axis=1).any()
        assert (front < row - gap + 1e-9).all(axis=1).any()


@pytest.mark.parametrize("objectives", [2, 3])
def test_expected_improvement_is_the_mean_growth_of_the_hypervolume(objectives: int) -> None:
    generator = np.random.default_rng(5)
    front = points(objectives, 4, 12)
    mean, spread = generator.random((3, objectives)), 0.05 + 0.2 * generator.random((3, objectives))
    exact = expected_improvement(mean, spread, front, np.ones(objectives))
    before = hypervolume(front, np.ones(objectives))
    for i in range(3):
        drawn = mean[i] + spread[i] * generator.standard_normal((4000, objectives))
        growth = [hypervolume(np.vstack((front, row)), np.ones(objectives)) - before for row in drawn]
        assert exact[i] == pytest.approx(np.mean(growth), abs=4 * np.std(growth) / 4000**0.5 + 1e-6)


def test_a_million_points_take_seconds() -> None:
    values = np.random.default_rng(0).random((1_000_000, 2))
    expected, least = [], 1.0
    for first, second in sorted(values.tolist()):
        if second < least:
            expected.append((first, second))
            least = second
    started = time.monotonic()
    front = values[nondominated(values)]
    assert time.monotonic() - started < 10
    assert sorted(map(tuple, front)) == expected
