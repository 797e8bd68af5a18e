"""Loops of products on PIM units: every step once, two halves and no more, nobody behind one who waits for longer."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.sim.mapping.options import PimStationary
from cairn.sim.mapping.pim_order import BUFFER_HALVES, NOTHING, Order, Stay, order_of, stays_of

SIZES = st.tuples(st.sampled_from(list(PimStationary)), *(st.integers(1, high) for high in (3, 7, 7, 2)))
BOTH = pytest.mark.parametrize("stationary", list(PimStationary))


def live(stays: tuple[Stay, ...], step: int) -> int:
    """Stays that have a half at a step: from when it is free for them until another has it."""
    taken = [NOTHING if stay.before == NOTHING else stays[stay.before].last for stay in stays]
    ends = {stay.before: stays[stay.before].last for stay in stays}
    return sum(taken[n] < step <= ends.get(n, step) for n in range(len(stays)))


@given(SIZES)
def test_every_part_tile_and_segment_is_worked_on_once(sizes: tuple[PimStationary, int, int, int, int]) -> None:
    _, parts, tiles, segments, _ = sizes
    steps = order_of(*sizes).steps
    assert sorted(steps) == sorted(product(range(parts), range(tiles), range(segments)))


@given(SIZES)
def test_each_step_finds_its_segment_and_its_sums_in_one_of_the_halves(
    sizes: tuple[PimStationary, int, int, int, int],
) -> None:
    order, halves = order_of(*sizes), sizes[-1]
    for step, (part, tile, segment) in enumerate(order.steps):
        fill, sums = order.fills[order.fill_of[step]], order.sums[order.sums_of[step]]
        assert fill.first <= step <= fill.last
        assert sums.first <= step <= sums.last
        assert (order.steps[fill.first][0], order.steps[fill.first][2]) == (part, segment)
        assert order.steps[sums.first][:2] == (part, tile)
        assert live(order.fills, step) <= BUFFER_HALVES
        assert live(order.sums, step) <= halves


@given(SIZES)
def test_transfers_stand_in_the_order_of_the_steps_that_they_wait_for(
    sizes: tuple[PimStationary, int, int, int, int],
) -> None:
    order = order_of(*sizes)
    waits = [each.after for each in order.transfers]
    assert waits == sorted(waits)
    assert Counter(each.fills for each in order.transfers) == {True: len(order.fills), False: len(order.sums)}
    for each in order.transfers:
        assert each.after < order.fills[each.stay].first if each.fills else each.after == order.sums[each.stay].last


@given(SIZES)
def test_fills_and_reads_are_as_many_as_the_closed_form_says(sizes: tuple[PimStationary, int, int, int, int]) -> None:
    order = order_of(*sizes)
    assert stays_of(*sizes) == (len(order.fills), len(order.sums))


@BOTH
@pytest.mark.parametrize("halves", [1, 2])
def test_stays_of_many_products_are_those_of_each(stationary: PimStationary, halves: int) -> None:
    tiles, segments = np.array([1, 2, 5, 1]), np.array([1, 3, 2, 6])
    many = np.array(np.broadcast_arrays(*stays_of(stationary, 2, tiles, segments, halves))).T
    each = [stays_of(stationary, 2, int(n), int(k), halves) for n, k in zip(tiles, segments, strict=True)]
    np.testing.assert_array_equal(many, each)


def counted(order: Order) -> tuple[int, int]:
    return len(order.fills), len(order.sums)


def test_stationary_outputs_are_read_once_and_stationary_inputs_brought_once() -> None:
    assert counted(order_of(PimStationary.OUTPUTS, 1, 5, 4, 2)) == (4 + 4 * 2, 5)
    assert counted(order_of(PimStationary.INPUTS, 1, 5, 4, 2)) == (4, 5 + 3 * 3)


@BOTH
def test_inputs_that_both_halves_of_the_buffer_hold_are_brought_once(stationary: PimStationary) -> None:
    assert counted(order_of(stationary, 1, 5, 2, 2))[0] == 2


def test_sums_that_both_halves_of_the_accumulators_hold_are_read_once() -> None:
    assert counted(order_of(PimStationary.INPUTS, 1, 2, 9, 2)) == (9, 2)


@BOTH
def test_a_single_half_of_accumulators_is_read_before_the_next_tile_begins(stationary: PimStationary) -> None:
    order = order_of(stationary, 1, 3, 1, 1)
    assert [stay.before for stay in order.sums] == [NOTHING, 0, 1]
