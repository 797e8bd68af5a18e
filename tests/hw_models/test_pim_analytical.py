"""The closed form of products on banks that listen to a buffer, against the channel."""

from __future__ import annotations

import numpy as np
import pytest

from cairn.base.errors import ConfigError
from cairn.hw_models.pim.analytical import GapTimes, Shapes, gemv_cycles
from cairn.hw_models.pim.device import pim_device
from cairn.hw_models.pim.gemv import GemvMapping, GemvPlan, lower_gemv
from cairn.hw_models.pim.random_cases import random_product
from cairn.hw_models.pim.simulate import simulate_program

AIM = pim_device("GDDR6_AiM")


def forms(plans: list[GemvPlan], *, refresh: bool = False) -> list[int]:
    times, shapes = GapTimes.of([plan.layout.device for plan in plans]), Shapes.of([plan.layout for plan in plans])
    return [int(cycles) for cycles in gemv_cycles(times, shapes, refresh=refresh)]


def test_the_closed_form_is_the_channel_on_random_designs_without_refresh() -> None:
    rng = np.random.default_rng(20)
    plans = [random_product(rng) for _ in range(40)]
    assert forms(plans) == [simulate_program(plan.program).cycles for plan in plans]


def test_with_refresh_it_is_within_a_few_percent() -> None:
    rng = np.random.default_rng(21)
    plans = [random_product(rng) for _ in range(40)]
    cycles = np.array([simulate_program(plan.program, "all_bank").cycles for plan in plans])
    errors = np.abs(np.array(forms(plans, refresh=True)) / cycles - 1)
    assert np.median(errors) < 0.01
    assert errors.max() < 0.1


@pytest.mark.parametrize(("columns", "rounds"), [(64, 1), (64, 5), (8, 1), (8, 5), (3, 2)])
def test_with_the_numbers_of_aim_it_is_the_published_form(columns: int, rounds: int) -> None:
    row, fill = 2 * columns + 98, 2 * columns + 52
    one = lower_gemv(AIM, 512 * rounds, 16 * columns)
    assert forms([one]) == [row + fill + 8 + (rounds - 1) * (row + 60)]
    several = lower_gemv(AIM, 512 * rounds, 4096)
    assert forms([several]) == [rounds * (4 * (226 + 180) + 8)]
    reuse = lower_gemv(AIM, 512 * rounds, 4096, GemvMapping(accumulators=rounds))
    assert forms([reuse]) == [4 * (rounds * 226 + 180) + 5 * rounds + 3]


def test_what_the_form_does_not_know_is_refused() -> None:
    shared = lower_gemv(AIM, 4096, 128, GemvMapping(share_rows=True))
    with pytest.raises(ConfigError, match="knows no rounds that share rows"):
        Shapes.of([shared.layout])
    with pytest.raises(ConfigError, match="HBM2_PIM has other commands for a product"):
        GapTimes.of([pim_device("HBM2_PIM")])
