"""Other low-bit units on numbers: full tables, bit-serial, shift and add, ternary tables, BitMoD, ANT and OliVe."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.lut.functional import ant, bitmod, olive
from cairn.hw_models.compute.lut.functional.formats import Activations
from cairn.hw_models.compute.lut.functional.mpgemm import mpgemm
from cairn.hw_models.compute.lut.functional.other_units import (
    UnitResult,
    bit_serial,
    full_table,
    shift_add,
    ternary_look_up,
)
from cairn.hw_models.compute.lut.functional.planes import pack
from cairn.hw_models.compute.lut.functional.weights import Weights
from tests.hw_models.lut_cases import FLOATS, INTEGERS, activations_of, cases, weights_of

UNITS: dict[str, Callable[[Weights, Activations], UnitResult]] = {
    "bit_serial": bit_serial,
    "shift_add": shift_add,
    "full_table": lambda weights, activations: full_table(weights, activations, 1 if weights.bits > 4 else 3),
}


@pytest.mark.parametrize("unit", UNITS)
@settings(max_examples=200, deadline=None)
@given(case=cases(INTEGERS, scaled=False))
def test_every_unit_gives_what_numpy_gives_for_integers(unit: str, case: tuple[Weights, Activations, int]) -> None:
    weights, activations, _ = case
    expected = activations.values.astype(np.int64) @ weights.dequantised().astype(np.int64).T
    assert np.array_equal(UNITS[unit](weights, activations).values, expected)


@pytest.mark.parametrize("unit", UNITS)
@settings(max_examples=100, deadline=None)
@given(case=cases((*INTEGERS, *FLOATS), scaled=True))
def test_every_unit_gives_what_the_look_up_gives_with_scales(
    unit: str, case: tuple[Weights, Activations, int]
) -> None:
    """Sums of these floats are exact in float64; z and z' round differently where s is no power of two."""
    weights, activations, group = case
    expected = mpgemm(pack(weights, group), activations, accumulator="float64").values
    largest = np.abs(activations.values).sum(axis=1).max() * (2 << weights.bits) * np.abs(weights.scales).max()
    error = np.abs(UNITS[unit](weights, activations).values - expected).max()
    assert error <= 1e-12 * largest * activations.scales.max()


def test_units_do_as_often_what_their_shapes_say() -> None:
    rng = np.random.default_rng(2)
    weights, activations = weights_of(rng, 2, 5, 14, None, False), activations_of(rng, INTEGERS[0], 3, 14, False)
    assert bit_serial(weights, activations).operations == {"bit_operations": 3 * 5 * 14 * 2}
    ones = int(np.unpackbits(weights.codes).sum())
    assert shift_add(weights, activations).operations == {"additions": 3 * ones, "dequantisations": 15}
    full = full_table(weights, activations, 4).operations
    assert (full["tables"], full["look_ups"]) == (3 * 4, 3 * 5 * 4)
    assert full["additions"] == 3 * 4 * (3 + 12 + 48 + 192)  # three of four codes add, for 1, 2, 3 and 4 activations
    assert full["look_ups"] * 2 == mpgemm(pack(weights, 4), activations).look_ups


@pytest.mark.parametrize("group", [2, 3])
@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_tables_of_ternary_values_give_what_numpy_gives(group: int, m: int, n: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    trits, activations = rng.integers(-1, 2, (n, k)), activations_of(rng, INTEGERS[1], m, k, False)
    result = ternary_look_up(trits, activations, group)
    assert np.array_equal(result.values, activations.values.astype(np.int64) @ trits.T)
    assert result.operations["look_ups"] == m * n * -(-k // group)
    entries_with_two, entries_with_three = {2: (4, 0), 3: (6, 4)}[group]
    assert result.operations["additions"] == m * -(-k // group) * (entries_with_two + 2 * entries_with_three)


@pytest.mark.parametrize("bits", [3, 4])
def test_bitmod_has_the_values_of_its_paper(bits: int) -> None:
    basic = {3: {0, 1, -1, 2, -2, 4, -4}, 4: {0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.5, -1, -1.5, -2, -3, -4, -6}}[bits]
    special = {3: (3, -3, 6, -6), 4: (5, -5, 8, -8)}[bits]
    for number in range(4):
        table = bitmod.values(bits, number)
        assert set(table.tolist()) == basic | {special[number]} and len(set(table.tolist())) == 1 << bits


@pytest.mark.parametrize("bits", [3, 4])
def test_every_value_of_bitmod_is_the_sum_of_two_terms_at_most(bits: int) -> None:
    for number, code in itertools.product(range(4), range(1 << bits)):
        value = float(bitmod.values(bits, number)[code])
        terms = bitmod.float_terms(value)
        assert sum(sign * 2.0**exponent for sign, exponent in terms) == value
        assert len(terms) <= 2


@pytest.mark.parametrize("bits", [4, 5, 6, 8])
def test_integers_are_the_sum_of_booth_digits_one_for_two_bits(bits: int) -> None:
    for value in range(-(1 << (bits - 1)), 1 << (bits - 1)):
        digits = bitmod.booth_digits(value, bits)
        assert sum(digit * 4**i for i, digit in enumerate(digits)) == value
        assert len(digits) == -(-bits // 2) and all(-2 <= digit <= 2 for digit in digits)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([3, 4]), st.integers(1, 3), st.integers(1, 4), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_bitmod_term_by_term_gives_the_product_of_its_weights(bits: int, m: int, n: int, k: int, seed: int) -> None:
    """Exact with integer activations and scales of rows that are powers of two."""
    rng = np.random.default_rng(seed)
    groups = -(-k // 16)
    weights = bitmod.BitModWeights(
        rng.integers(0, 1 << bits, (n, k)).astype(np.uint8), bits, rng.integers(0, 4, (n, groups)),
        rng.integers(1, 128, (n, groups)), 2.0 ** rng.integers(-8, 3, n), 16,
    )  # fmt: skip
    activations = activations_of(rng, INTEGERS[0], m, k, False)
    values, operations = bitmod.product(weights, activations)
    assert np.array_equal(values, activations.values.astype(np.float64) @ weights.dequantised().T)
    assert operations == {"terms": 2 * m * n * k, "scale_terms": 8 * m * n * groups}


@pytest.mark.parametrize("bits", [3, 4])
def test_bitmod_chooses_the_special_value_that_its_weights_ask_for(bits: int) -> None:
    for number in range(4):
        table = bitmod.values(bits, number)
        weights = bitmod.quantised(np.concatenate([table, table])[None, :] * 0.3, bits, 2 << bits)
        assert weights.special.tolist() == [[number]]
        assert weights.dequantised()[0] == pytest.approx(np.concatenate([table, table]) * 0.3)


def test_bitmod_groups_of_random_weights_are_no_worse_than_with_any_one_special_value() -> None:
    """But for the rounding of scales, which is done afterwards."""
    real = np.random.default_rng(1).normal(size=(8, 256))
    chosen = ((bitmod.quantised(real, 3, 64).dequantised() - real) ** 2).sum()
    for number in range(4):
        table = bitmod.values(3, number)
        scale = np.abs(real.reshape(8, 4, 64)).max(axis=2)[..., None] / np.abs(table).max()
        near = np.abs(real.reshape(8, 4, 64, 1) - scale[..., None] * table).min(axis=3)
        assert chosen < 1.02 * (near**2).sum()


def test_flint_of_four_bits_has_the_values_of_its_paper() -> None:
    """ANT (MICRO 2022), unsigned: 0 to 7, then ever fewer bits of mantissa up to 64."""
    unsigned = ant.values(ant.AntType.FLINT, 4, signed=False)
    assert sorted(unsigned.tolist()) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 24, 32, 64]
    signed = ant.values(ant.AntType.FLINT, 4)
    assert sorted(set(signed.tolist())) == [-16, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 16]


def test_the_other_types_of_four_bits_have_their_values() -> None:
    assert sorted(ant.values(ant.AntType.INT, 4).tolist()) == list(range(-8, 8))
    assert ant.values(ant.AntType.POT, 4)[:8].tolist() == [0, 1, 2, 4, 8, 16, 32, 64]
    assert ant.values(ant.AntType.FLOAT, 4)[:8].tolist() == [0, 1, 2, 3, 4, 6, 8, 12]  # E2M1 in steps of one half


KINDS = [
    (kind, bits, signed)
    for kind, bits, signed in itertools.product(ant.AntType, range(3, 9), (True, False))
    if kind is not ant.AntType.POT or bits <= 6
]


@pytest.mark.parametrize(("kind", "bits", "signed"), KINDS)
def test_encoding_values_gives_them_back(kind: ant.AntType, bits: int, signed: bool) -> None:
    if kind is ant.AntType.POT and bits - signed > 5:
        with pytest.raises(ConfigError, match="bits: pot of 6 bits has values beyond"):
            ant.values(kind, bits, signed)
        return
    table = ant.values(kind, bits, signed)
    assert np.array_equal(table[ant.encode(table, kind, bits, signed)], table)
    assert len(set(table.tolist())) >= (1 << bits) - 1


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(ant.AntType)), st.lists(st.floats(-100, 100), min_size=1, max_size=30))
def test_no_value_of_a_type_is_nearer_than_the_encoded_one(kind: ant.AntType, numbers: list[float]) -> None:
    table = ant.values(kind, 4)
    got = table[ant.encode(numbers, kind, 4)]
    for number, value in zip(numbers, got.tolist(), strict=True):
        best = min(abs(Fraction(number) - int(other)) for other in table)
        assert abs(Fraction(number) - value) == best
        assert all(abs(value) <= abs(int(v)) for v in table if abs(Fraction(number) - int(v)) == best)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([(kind, bits) for kind, bits, signed in KINDS if signed and bits <= 5]),
    st.integers(1, 3), st.integers(1, 4), st.integers(1, 20), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_ant_integers_and_shifts_give_the_product_of_the_values(
    kind: tuple[ant.AntType, int], m: int, n: int, k: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    a, w = (rng.integers(0, 1 << kind[1], (rows, k)).astype(np.uint8) for rows in (m, n))
    table = ant.values(*kind)
    assert np.array_equal(ant.product(w, a, *kind), table[a] @ table[w].T)


def test_outliers_of_olive_have_the_values_of_its_paper() -> None:
    """ISCA 2023: E2M1 with a bias of 2 beside int4 is 12 to 96; beside flint4, with 3, it is 24 to 192."""
    assert olive.outlier_values(olive.Normal.INT4)[:8].tolist() == [0, 12, 16, 24, 32, 48, 64, 96]
    assert olive.outlier_values(olive.Normal.FLINT4)[:8].tolist() == [0, 24, 32, 48, 64, 96, 128, 192]
    assert sorted(set(olive.normal_values(olive.Normal.INT4).tolist())) == list(range(-7, 8))
    assert sorted(set(olive.normal_values(olive.Normal.FLINT4).tolist())) == [
        -16, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 16,
    ]  # fmt: skip


@pytest.mark.parametrize("normal", list(olive.Normal))
def test_every_byte_of_olive_is_refused_or_is_what_its_values_encode_to(normal: olive.Normal) -> None:
    """Minus zero of flint4 is the victim's code, int4 has none: 15 x 15 normal pairs and twice 14 with an outlier."""
    kept = 0
    for byte in range(256):
        packed = np.array([byte], np.uint8)
        try:
            pair = olive.decode(packed, normal)
        except ConfigError:
            continue
        kept += 1
        assert olive.encode(pair, normal).tolist() == [byte]
    assert kept == 15 * 15 + 2 * 14


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(list(olive.Normal)), st.lists(st.tuples(st.floats(-300, 300), st.floats(-300, 300)), min_size=1))
def test_a_pair_keeps_its_first_outlier_and_both_normal_values(
    normal: olive.Normal, pairs: list[tuple[float, float]]
) -> None:
    got = olive.decode(olive.encode(np.array(pairs).ravel(), normal), normal).reshape(-1, 2)
    plain = sorted(set(olive.normal_values(normal).tolist()))
    wide = sorted(set(olive.outlier_values(normal).tolist()) - {0})
    for pair, values in zip(pairs, got.tolist(), strict=True):
        nearest = [min(plain + wide, key=lambda v: (abs(Fraction(x) - v), abs(v))) for x in pair]
        if nearest[0] in wide:
            assert values == [nearest[0], 0]
        elif nearest[1] in wide:
            assert values == [0, nearest[1]]
        else:
            assert values == nearest


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(list(olive.Normal)), st.integers(1, 3), st.integers(1, 4), st.integers(1, 9), st.integers(0, 99))
def test_products_of_pairs_are_those_of_their_values(
    normal: olive.Normal, m: int, n: int, pairs: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    a, w = (rng.normal(scale=9, size=(rows, 2 * pairs)) for rows in (m, n))
    a_pairs, w_pairs = olive.encode(a, normal), olive.encode(w, normal)
    expected = [
        [sum(int(x) * int(y) for x, y in zip(row, column, strict=True)) for column in olive.decode(w_pairs, normal)]
        for row in olive.decode(a_pairs, normal)
    ]
    assert olive.product(w_pairs, a_pairs, normal).tolist() == expected


ONES = np.ones((2, 8), np.int8)
PAIRS = np.ones((1, 2), np.uint8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: full_table(Weights.of(ONES, 4), Activations.of(ONES), 5),
         r"group: tables of 5 weights of 4 bits are not supported \(allowed: 1 to 4, at most 65,536 entries\)"),
        (lambda: full_table(Weights.of(ONES, 4), Activations.of(ONES), 0), "group: tables of 0 weights"),
        (lambda: bit_serial(Weights.of(ONES, 4), Activations.of(ONES[:, :3])), "activations: .*K = 3, weights"),
        (lambda: ternary_look_up(ONES, Activations.of(ONES), 4), r"group: .* not supported \(allowed: 2, 3\)"),
        (lambda: ternary_look_up(2 * ONES, Activations.of(ONES)), "trits: ternary weights must be N x K of -1, 0 or 1"),
        (lambda: bitmod.values(5, 0), r"bits: floats of 5 bits are not supported \(allowed: 3, 4\)"),
        (lambda: bitmod.values(4, 4), r"special: there is no special value 4 \(allowed: 0 to 3\)"),
        (lambda: bitmod.float_terms(7.0), "value: 7.0 is no sum of 2 powers of two"),
        (lambda: bitmod.booth_digits(8, 4), "value: integers of 4 bits are -8 to 7, got 8"),
        (lambda: bitmod.quantised([[np.nan]], 4), "real: real weights must be N x K and finite"),
        (lambda: bitmod.quantised([[1.0]], 6), "bits: floats of 6 bits are not supported"),
        (lambda: bitmod.quantised([[1.0]], 4, 0), "group_size: group_size must be >= 1, got 0"),
        (lambda: bitmod.product(bitmod.quantised([[1.0]], 4), Activations.of(ONES)), "activations: .*K = 8, weights"),
        (lambda: ant.values(ant.AntType.INT, 9), r"bits: int of 9 bits is not supported \(allowed: 3 to 8\)"),
        (lambda: ant.values(*("nf4", 4)), r"kind: no type is called 'nf4' \(allowed: int, float, pot, flint\)"),
        (lambda: ant.encode([np.nan], ant.AntType.INT, 4), "numbers: numbers must not hold NaN"),
        (lambda: ant.product(PAIRS, PAIRS[:, :1], ant.AntType.INT, 4), "activations: K differ"),
        (lambda: ant.product(PAIRS * 16, PAIRS, ant.AntType.INT, 4), "weights: codes of 4 bits must be below 16"),
        (lambda: ant.product(ONES.view(np.uint8), ONES.view(np.uint8), ant.AntType.POT, 6),
         r"bits: sums of pot of 6 bits could pass 2\^62"),
        (lambda: olive.encode([1.0, 2.0, 3.0]), "numbers: must have an even number of values"),
        (lambda: olive.encode([np.nan, 0.0]), "numbers: numbers must not hold NaN"),
        (lambda: olive.decode(np.array([0x88], np.uint8)), "packed: a pair has two victims"),
        (lambda: olive.decode(np.array([0x80], np.uint8)), "packed: an outlier has a code that is not used"),
        (lambda: olive.normal_values(*("int8",)), r"normal: no normal type is called 'int8' \(allowed: int4, flint4\)"),
        (lambda: olive.product(PAIRS, PAIRS[:, :1]), "activations: K differ"),
    ],
)  # fmt: skip
def test_what_a_unit_does_not_do_is_refused_with_what_it_does(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
