"""Spaces: numbers, vectors, settings and columns say the same; conditions leave each design one number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.dse.space import Parameter, Space


def plain(name: str, values: tuple[object, ...], **options: object) -> Parameter:
    return Parameter(name, values, {name: values}, **options)  # type: ignore[arg-type]


CONDITIONAL = Space(
    (
        plain("paradigm", ("spmd", "dataflow", "compute_shift")),
        plain("stages", (2, 4, 8), when={"paradigm": frozenset({1})}),
        plain("depth", (1, 2), when={"stages": frozenset({2})}),
        plain("rows", (16, 32)),
    ),
    {"stages": 4, "depth": 1},
)


def test_numbers_and_vectors_are_inverse() -> None:
    numbers = np.arange(CONDITIONAL.product)
    np.testing.assert_array_equal(CONDITIONAL.numbers(CONDITIONAL.vectors(numbers)), numbers)


def test_a_design_has_one_number() -> None:
    numbers = np.concatenate(list(CONDITIONAL.blocks(5)))
    settings = [tuple(sorted(CONDITIONAL.settings(int(n)).items())) for n in numbers]
    assert len(set(settings)) == len(settings) == CONDITIONAL.size == 12
    every = {tuple(sorted(CONDITIONAL.settings(n).items())) for n in range(CONDITIONAL.product)}
    assert set(settings) == every


@given(st.integers(0, 2**32 - 1))
def test_the_number_of_designs_is_that_of_the_points_that_are_walked_through(seed: int) -> None:
    draw = np.random.default_rng(seed)
    names = draw.permutation(5)
    parameters = []
    for place, name in enumerate(names):
        when = {}
        if place and draw.random() < 0.7:  # on one further up in the conditions, wherever it stands
            when = {f"p{names[draw.integers(place)]}": frozenset(draw.integers(0, 2, 2).tolist())}
        parameters.append(plain(f"p{name}", tuple(range(int(draw.integers(2, 5)))), when=when))
    parameters.sort(key=lambda parameter: parameter.name)
    space = Space(tuple(parameters))
    every = np.unique(space.canonical(space.vectors(np.arange(space.product))))
    assert space.size == every.size
    np.testing.assert_array_equal(np.concatenate(list(space.blocks(7))), every)


def test_few_designs_are_counted_and_listed_at_once_however_many_combinations_there_are() -> None:
    kinds = plain("kind", tuple(range(24)))
    space = Space((kinds, *(plain(f"of_{i}", (1, 2, 3, 4), when={"kind": frozenset({i})}) for i in range(24))))
    assert space.product == 24 * 4**24
    assert space.size == 24 * 4
    assert space.listable(24 * 4) and not space.listable(24 * 4 - 1)
    assert np.concatenate(list(space.blocks(10))).size == 24 * 4


def test_columns_hold_what_the_settings_say_and_the_run_otherwise() -> None:
    numbers = np.concatenate(list(CONDITIONAL.blocks()))
    columns = CONDITIONAL.columns(numbers)
    for i, number in enumerate(numbers):
        here = {key: column[i] for key, column in columns.items()}
        assert here == CONDITIONAL.defaults | CONDITIONAL.settings(int(number))


def test_conditions_in_a_circle_are_refused() -> None:
    space = Space((plain("a", (1, 2), when={"b": frozenset({0})}), plain("b", (1, 2), when={"a": frozenset({0})})))
    with pytest.raises(ValueError, match="the conditions of a, b go round in a circle"):
        space.active([[0, 0]])


def test_draws_are_different_points_and_repeat_by_seed() -> None:
    drawn = CONDITIONAL.draw(8, 1, "test", exclude=[0, 1])
    assert len(set(drawn)) == 8
    assert not set(drawn) & {0, 1}
    assert drawn == CONDITIONAL.draw(8, 1, "test", exclude=[0, 1])
    assert drawn != CONDITIONAL.draw(8, 2, "test", exclude=[0, 1])
    np.testing.assert_array_equal(CONDITIONAL.canonical(CONDITIONAL.vectors(drawn)), drawn)


def test_a_space_that_is_used_up_gives_what_is_left() -> None:
    everything = np.concatenate(list(CONDITIONAL.blocks())).tolist()
    assert sorted(CONDITIONAL.draw(100, 3, "test", exclude=everything[:9])) == everything[9:]
