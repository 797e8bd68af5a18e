"""MixPE on numbers: shifts and additions make products, and the order of dequantisation changes none of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.fusion.numbers import dequantised_after, shift_add

seeds = st.integers(0, 2**32 - 1)


@given(seeds, st.integers(1, 5), st.integers(1, 5), st.integers(1, 40), st.integers(1, 8))
def test_a_product_by_shifts_and_additions_is_the_product(seed: int, m: int, n: int, k: int, bits: int) -> None:
    draw = np.random.default_rng(seed)
    x, w = draw.integers(-128, 128, (m, k)), draw.integers(-(1 << (bits - 1)), 1 << (bits - 1), (n, k))
    assert (shift_add(x, w, bits) == x @ w.T).all()


@given(seeds, st.integers(1, 4), st.integers(1, 4))
def test_dequantised_after_the_group_or_before_it_a_product_is_the_same(seed: int, n: int, groups: int) -> None:
    draw = np.random.default_rng(seed)
    x, w = draw.integers(-128, 128, (3, 8 * groups)), draw.integers(-8, 8, (n, 8 * groups))
    scales = 2.0 ** draw.integers(-8, 3, (n, groups))  # powers of two: no rounding, so that equal means equal
    before = x @ (w * np.repeat(scales, 8, axis=1)).T
    assert (dequantised_after(x, w, scales, 4) == before).all()


@pytest.mark.parametrize(("weights", "bits"), [([[8]], 4), ([[-9]], 4), ([[0]], 0), ([[0]], 17)])
def test_weights_that_do_not_fit_are_refused(weights: list[list[int]], bits: int) -> None:
    with pytest.raises(ConfigError, match=f"^weights: must fit {bits} bits of two's complement, 1 to 16$"):
        shift_add([[1]], weights, bits)


@pytest.mark.parametrize("scales", [[1.0], [[1.0, 1.0, 1.0]], [[1.0], [1.0]], np.ones((1, 0))])
def test_groups_that_do_not_divide_are_refused(scales: object) -> None:
    with pytest.raises(ConfigError, match=r"^scales: must be \[outputs, groups\]"):
        dequantised_after([[1, 2, 3, 4]], [[1, 2, 3, 4]], scales, 4)  # type: ignore[arg-type]
