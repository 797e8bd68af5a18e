"""All mappings of a product, each simulated."""

from __future__ import annotations

import pytest

from cairn.base.errors import InfeasibleError
from cairn.hw_models.pim.device import pim_device
from cairn.hw_models.pim.gemv import GemvMapping, lower_gemv
from cairn.hw_models.pim.simulate import simulate_program
from cairn.hw_models.pim.sweep import candidates, sweep_gemv

AIM = pim_device("GDDR6_AiM")


def test_the_fastest_mapping_is_no_slower_than_any_other_and_takes_what_it_says() -> None:
    tried = sweep_gemv(AIM, 4096, 4096)
    assert [one.cycles for one in tried] == sorted(one.cycles for one in tried)
    best = tried[0]
    again = simulate_program(lower_gemv(AIM, 4096, 4096, best.mapping).program)
    assert again.cycles == best.cycles
    by_mapping = {one.mapping: one.cycles for one in tried}
    assert by_mapping[GemvMapping()] == 13056
    assert by_mapping[GemvMapping(accumulators=8)] == 7995
    assert best.cycles <= 7995


def test_sums_beyond_what_a_bank_holds_and_parts_that_do_not_divide_are_no_candidates() -> None:
    few = list(candidates(AIM.changed(accumulators=2, channels=2)))
    assert {one.accumulators for one in few} == {1, 2}
    assert {one.k_parts for one in few} == {1, 2}
    assert all(one.vectors_together == 1 for one in few)
    batch = list(candidates(AIM, vectors=3))
    assert max(one.vectors_together for one in batch) == 2


def test_what_fits_in_no_mapping_is_infeasible() -> None:
    with pytest.raises(InfeasibleError, match="rows of a bank"):
        sweep_gemv(pim_device("GDDR6_AiM", channels=1, row=4), 4096, 4096)
