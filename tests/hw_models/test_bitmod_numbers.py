"""BitMoD on numbers: terms add up to weights, in as many cycles as a pass has; products are NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.bitserial.cycle import pass_cycles
from cairn.hw_models.compute.bitserial.numbers import (
    GRIDS,
    SPECIAL,
    booth_terms,
    grid_terms,
    quantise,
    scaled_product,
    serial_product,
)
from cairn.hw_models.compute.bitserial.spec import BITMOD

seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("bits", [3, 4])
def test_every_value_of_a_grid_is_a_sum_of_as_many_powers_of_two_as_a_pass_has_cycles(bits: int) -> None:
    values = np.array((*GRIDS[bits], *SPECIAL[bits]))
    terms = grid_terms(values)
    assert terms.sum(axis=-1).tolist() == values.tolist()
    assert terms.shape[-1] == pass_cycles(BITMOD, bits)
    assert all(term == 0 or abs(term) & (abs(term) - 1) == 0 for term in terms.ravel().tolist())


@pytest.mark.parametrize("bits", [1, 2, 3, 5, 6, 8, 16])
def test_every_integer_is_a_sum_of_as_many_booth_digits_as_a_pass_has_cycles(bits: int) -> None:
    values = np.unique(np.linspace(-(1 << (bits - 1)), (1 << (bits - 1)) - 1, 257).astype(np.int64))
    terms = booth_terms(values, bits)
    assert terms.sum(axis=-1).tolist() == values.tolist()
    assert terms.shape[-1] == pass_cycles(BITMOD, bits)
    assert np.isin(np.abs(terms) >> (2 * np.arange(terms.shape[-1])), [0, 1, 2]).all()


@given(seeds, st.integers(1, 5), st.integers(1, 6), st.integers(1, 40), st.integers(1, 8))
def test_a_product_term_by_term_is_the_product(seed: int, m: int, n: int, k: int, bits: int) -> None:
    draw = np.random.default_rng(seed)
    x, w = draw.integers(-128, 128, (m, k)), draw.integers(-(1 << (bits - 1)), 1 << (bits - 1), (n, k))
    assert (serial_product(x, booth_terms(w, bits)) == x @ w.T).all()


@settings(max_examples=50)
@given(seeds, st.sampled_from([3, 4]), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
def test_a_product_scaled_after_each_group_is_that_of_the_dequantised_weights(
    seed: int, bits: int, m: int, n: int, groups: int
) -> None:
    draw = np.random.default_rng(seed)
    x, weights = draw.integers(-128, 128, (m, 16 * groups)), quantise(draw.normal(size=(n, 16 * groups)), bits, 16)
    grids = (weights.values * np.repeat(weights.scales, 16, axis=1)).T  # whole numbers: equal to the last bit
    assert (scaled_product(x, weights) == (x @ grids) * weights.channel).all()
    assert scaled_product(x, weights) == pytest.approx(x @ weights.dequantised().T)


@pytest.mark.parametrize("bits", [3, 4])
def test_a_special_value_for_each_group_leaves_no_more_error_than_one_for_all(bits: int) -> None:
    weights = np.random.default_rng(1).standard_t(4, size=(16, 512))
    mixed = quantise(weights, bits)
    assert len(np.unique(mixed.special)) > 1
    for special in SPECIAL[bits]:
        alone = quantise(weights, bits, specials=[special])
        mine = np.repeat(mixed.special == special, 128, axis=1)
        assert (mixed.values[mine] == alone.values[mine]).all()
        errors = [((one.dequantised() - weights) ** 2).sum() for one in (mixed, alone)]
        assert errors[0] < errors[1]


def test_zeros_stay_zeros() -> None:
    found = quantise(np.zeros((2, 128)), 3)
    assert not found.values.any() and not found.dequantised().any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quantise(np.ones((1, 128)), 5), "bits: grids have 3 or 4 bits, got 5"),
        (lambda: quantise(np.ones((1, 130)), 4), r"group: must divide the inputs of weights \[n, k\], got 128 for"),
        (lambda: quantise(np.full((1, 128), np.nan), 4), "weights: weights must be finite"),
        (lambda: quantise(np.ones((1, 128)), 3, specials=[5]), r"specials: must be some of \(3, -3, 6, -6\), got"),
        (lambda: grid_terms([7, 3]), r"values: two powers of two do not make \[7\]"),
        (lambda: booth_terms([4], 3), "values: must fit 3 bits of two's complement, 1 to 32"),
    ],
)
def test_what_does_not_fit_is_refused(call: object, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        call()  # type: ignore[operator]
