"""Factors between nodes, as their sources state them."""

from __future__ import annotations

import itertools

import pytest

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.units.technology import ENERGY, scaling

NODES = (45, 28, 16, 7, 5)


def test_the_papers_own_example_comes_out() -> None:
    """The authors' correction: from 65 nm at 1.3 V to 32 nm at 0.9 V, the energy factor of 32 nm is 0.4571."""
    square, linear, constant = ENERGY[32]
    assert (square * 0.9 + linear) * 0.9 + constant == pytest.approx(0.4571, abs=5e-5)


def test_28_nm_lies_between_its_neighbours() -> None:
    to_28, to_16 = scaling(45, 28), scaling(45, 16)
    assert 1 > to_28.area > to_16.area
    assert 1 > to_28.delay > to_16.delay
    assert 1 > to_28.energy > to_16.energy


def test_16_nm_agrees_with_what_tsmc_says_of_its_own() -> None:
    """16FF+ against 28HPM: about twice the density, or 70 % less power (TSMC, 16/12 nm technology)."""
    assert scaling(28, 16).area == pytest.approx(0.5, rel=0.15)
    assert scaling(28, 16).energy == pytest.approx(0.3, rel=0.15)


def test_5_nm_is_7_nm_and_tsmcs_step() -> None:
    step = scaling(7, 5)
    assert (step.area, step.delay, step.energy) == pytest.approx((1 / 1.84, 1 / 1.15, 0.7))
    assert "5 nm by TSMC's density and power of N5 against N7" in step.note


@pytest.mark.parametrize(("first", "last"), list(itertools.combinations(NODES, 2)))
def test_steps_multiply_and_lead_back(first: int, last: int) -> None:
    for middle in NODES:
        there, on, whole = scaling(first, middle), scaling(middle, last), scaling(first, last)
        assert there.area * on.area == pytest.approx(whole.area)
        assert there.energy * on.energy == pytest.approx(whole.energy)
        assert there.delay * on.delay == pytest.approx(whole.delay)
    assert scaling(first, last).area * scaling(last, first).area == pytest.approx(1)


def test_figures_that_are_not_scaled_say_so() -> None:
    assert scaling(28, 28).note == "area and energy at 28 nm, not scaled"


def test_other_nodes_are_refused() -> None:
    with pytest.raises(ConfigError, match="node_nm: nodes are 45, 28, 16, 7 and 5 nm; got 10"):
        scaling(28, 10)
