"""Ternary packings: packing and unpacking are inverses, sizes are what the papers state, bad codes are refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.lut.functional import ternary

PAIRS: dict[str, tuple[Callable[[Any], npt.NDArray[np.uint8]], Callable[[Any, int], npt.NDArray[np.int8]]]] = {
    "two_bits": (ternary.pack_two_bits, ternary.unpack_two_bits),
    "five_in_byte": (ternary.pack_five_in_byte, ternary.unpack_five_in_byte),
    "three_in_five_bits": (ternary.pack_three_in_five_bits, ternary.unpack_three_in_five_bits),
}


@pytest.mark.parametrize("name", PAIRS)
@settings(max_examples=300, deadline=None)
@given(trits=st.lists(st.integers(-1, 1), min_size=1, max_size=90))
def test_unpacking_gives_the_weights_that_were_packed(name: str, trits: list[int]) -> None:
    pack, unpack = PAIRS[name]
    packed = pack(np.array(trits))
    assert unpack(packed, len(trits)).tolist() == trits
    assert packed.size == ternary.packed_bytes(len(trits))[name]


@pytest.mark.parametrize("name", PAIRS)
@settings(max_examples=500, deadline=None)
@given(size=st.integers(1, 24), seed=st.integers(0, 2**32 - 1))
def test_bytes_that_are_not_refused_are_what_their_weights_pack_to(name: str, size: int, seed: int) -> None:
    pack, unpack = PAIRS[name]
    rng = np.random.default_rng(seed)
    packed = pack(rng.integers(-1, 2, size))
    packed[rng.integers(0, packed.size)] ^= np.uint8(1 << rng.integers(0, 8))
    try:
        trits = unpack(packed, size)
    except ConfigError:
        return
    assert np.array_equal(pack(trits), packed)


@pytest.mark.parametrize("name", PAIRS)
def test_every_combination_of_weights_has_a_code_of_its_own(name: str) -> None:
    pack, _ = PAIRS[name]
    size = {"two_bits": 4, "five_in_byte": 5, "three_in_five_bits": 3}[name]
    codes = {pack(np.array(trits)).tobytes() for trits in itertools.product((-1, 0, 1), repeat=size)}
    assert len(codes) == 3**size


def test_two_five_and_three_weights_take_the_stated_bits() -> None:
    """2, 8/5 and 5/3 bits a weight: the last is a sixth less than the first (bitnet.cpp, arXiv 2410.16144)."""
    assert ternary.packed_bytes(120) == {"two_bits": 30, "five_in_byte": 24, "three_in_five_bits": 25}


def test_three_weights_have_fourteen_indices_and_a_sign() -> None:
    codes = [int(ternary.signed_indices(trits)[0]) for trits in itertools.product((-1, 0, 1), repeat=3)]
    assert {code & 15 for code in codes} == set(range(14))
    for trits in itertools.product((-1, 0, 1), repeat=3):
        plain, opposite = (int(ternary.signed_indices(sign * np.array(trits))[0]) for sign in (1, -1))
        assert plain == opposite ^ (16 if any(trits) else 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ternary.unpack_two_bits(np.array([0b11], np.uint8), 1), "packed: the code 3 is no ternary weight"),
        (lambda: ternary.unpack_five_in_byte(np.array([243], np.uint8), 5), "packed: a byte of five .* is 0 to 242"),
        (lambda: ternary.unpack_three_in_five_bits(np.array([14], np.uint8), 3), "packed: an index .* is 0 to 13"),
        (lambda: ternary.unpack_three_in_five_bits(np.array([16], np.uint8), 3), "packed: .*zero have no sign"),
        (lambda: ternary.unpack_three_in_five_bits(np.array([32], np.uint8), 3), "packed: the bits after .* must be 0"),
        (lambda: ternary.unpack_two_bits(np.array([1], np.uint8), 1), "packed: weights after the last one must be 0"),
        (lambda: ternary.unpack_two_bits(np.array([85, 85], np.uint8), 4), r"packed: 4 weights are 1 bytes \(uint8\)"),
        (lambda: ternary.unpack_two_bits(np.array([85]), 4), r"packed: 4 weights are 1 bytes \(uint8\), got int64"),
        (lambda: ternary.unpack_two_bits(np.array([], np.uint8), 0), "size: must be >= 1, got 0"),
        (lambda: ternary.pack_two_bits([2]), "weights: ternary weights must be -1, 0 or 1"),
        (lambda: ternary.pack_five_in_byte([[0, 1]]), "weights: must be a flat array of whole numbers"),
        (lambda: ternary.pack_five_in_byte([0.0]), "weights: must be a flat array of whole numbers, got float64"),
    ],
)  # fmt: skip
def test_bad_codes_and_bad_padding_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
