"""Products by look-up: bit for bit what NumPy and the oracle say, within derived bounds where sums are rounded."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.lut.functional import counts
from cairn.hw_models.compute.lut.functional.bounds import float_bound, half_table_bound, table_bound
from cairn.hw_models.compute.lut.functional.formats import ActivationFormat, Activations, encode_fp8, fp8_values
from cairn.hw_models.compute.lut.functional.mpgemm import look_up, mpgemm
from cairn.hw_models.compute.lut.functional.oracle import by_look_up, definition
from cairn.hw_models.compute.lut.functional.planes import pack, unpack
from cairn.hw_models.compute.lut.functional.prepared import Accumulator, TableKind, prepare
from cairn.hw_models.compute.lut.functional.tables import precompute, quantise
from cairn.hw_models.compute.lut.functional.weights import Weights, absmean_ternary, quantised
from tests.hw_models.lut_cases import (
    FLOATS,
    INTEGERS,
    activations_of,
    cases,
    cases_of_table,
    problem_of,
    weights_of,
)

ACCUMULATORS: tuple[Accumulator, ...] = ("float32", "float64")
BOUNDS: dict[TableKind, Any] = {"exact": float_bound, "int8": table_bound, "float16": half_table_bound}
TABLES = tuple(BOUNDS)


@settings(max_examples=1000, deadline=None)
@given(cases(INTEGERS, scaled=False))
def test_integer_activations_give_what_numpy_gives(case: tuple[Weights, Activations, int]) -> None:
    weights, activations, group = case
    values = mpgemm(pack(weights, group), activations).values
    expected = activations.values.astype(np.int64) @ weights.dequantised().astype(np.int64).T
    assert values.dtype == np.int64
    assert np.array_equal(values, expected)


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 8), st.integers(1, 3), st.integers(1, 5), st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_ternary_and_binary_weights_give_what_numpy_gives(group: int, m: int, n: int, k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a = rng.integers(-128, 128, (m, k), dtype=np.int8)
    trits, signs = rng.integers(-1, 2, (n, k)), 2 * rng.integers(0, 2, (n, k)) - 1
    for weights, plain in ((Weights.ternary(trits), trits), (Weights.binary(signs), signs)):
        values = mpgemm(pack(weights, group), a).values
        assert values.dtype == np.int64
        assert np.array_equal(values, a.astype(np.int64) @ plain.T)


@settings(max_examples=200, deadline=None)
@given(cases(INTEGERS, scaled=True))
def test_scales_of_groups_and_rows_give_what_numpy_gives_group_by_group(case: tuple[Weights, Activations, int]) -> None:
    """To the last bit: whole sums, each times its scale, added up in order of k."""
    weights, activations, group = case
    a, size = activations.values.astype(np.int64), weights.group_size
    expected = np.zeros((a.shape[0], weights.shape[0]))
    for g in range(weights.groups):
        part = slice(g * size, (g + 1) * size)
        doubled = 2 * weights.codes[:, part].astype(np.int64) - (2 * weights.zeros[:, [g]]).astype(np.int64)
        expected += weights.scales[:, g] / 2 * (a[:, part] @ doubled.T)
    assert np.array_equal(mpgemm(pack(weights, group), activations).values, expected * activations.scales[:, None])


@pytest.mark.parametrize("accumulator", ACCUMULATORS)
@pytest.mark.parametrize("table", TABLES)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_every_bit_and_every_count_is_that_of_the_scalar_oracle(
    data: st.DataObject, table: TableKind, accumulator: Accumulator
) -> None:
    weights, activations, group = data.draw(cases_of_table(table))
    result = mpgemm(pack(weights, group), activations, table=table, accumulator=accumulator)
    expected, counted = by_look_up(
        problem_of(weights, activations), group,
        single=accumulator == "float32", int8=table == "int8", half=table == "float16",
    )  # fmt: skip
    assert result.values.tolist() == expected
    assert (result.tables, result.additions, result.look_ups) == (counted.tables, counted.additions, counted.look_ups)
    assert max(counted.entries) < 2 ** (group - 1)


@pytest.mark.parametrize("table", TABLES)
@settings(max_examples=150, deadline=None)
@given(data=st.data(), accumulator=st.sampled_from(ACCUMULATORS))
def test_no_product_is_further_from_the_exact_one_than_its_bound(
    data: st.DataObject, accumulator: Accumulator, table: TableKind
) -> None:
    weights, activations, group = data.draw(cases_of_table(table))
    packed = pack(weights, group)
    values = mpgemm(packed, activations, table=table, accumulator=accumulator).values
    bound = BOUNDS[table](packed, activations, accumulator)
    exact = definition(problem_of(weights, activations))
    for m, n in np.ndindex(values.shape):
        assert abs(Fraction(float(values[m, n])) - exact[m][n]) <= Fraction(float(bound[m, n]))


def test_the_bound_of_quantised_tables_is_nearly_reached_by_entries_half_way_between_steps() -> None:
    """A table with the step 2: its entries are odd, so every look-up is off by half a step, in one direction."""
    a = np.array([[127, 63, 63, 1]])  # |a| = 254: step 2, entries of the other signs odd or even alike
    for bits in (1, 4):
        weights = Weights.of(np.full((1, 4), (1 << bits) - 1), bits, scales=2.0, zeros=((1 << bits) - 1) / 2)
        packed, activations = pack(weights), Activations.of(a, ActivationFormat.INT8)
        _, steps = quantise(precompute(activations.values, 4).entries, np.float64)
        assert steps.tolist() == [[2.0]]
        bound = float(table_bound(packed, activations, "float64")[0, 0])
        assert bound == pytest.approx(((1 << bits) - 1) * 1.0, rel=1e-9)  # half a step for each look-up, times 2^i
    a = np.array([[100, 27, 126, 0]])  # 253 of 254: step 253/127, the entry of 1 (100 + 27 - 126) rounds to 0
    weights = Weights.of([[1, 1, 0, 0]], 1, scales=2.0, zeros=0.5)
    values = mpgemm(pack(weights), Activations.of(a, ActivationFormat.INT8), table="int8", accumulator="float64").values
    bound = float(table_bound(pack(weights), Activations.of(a, ActivationFormat.INT8), "float64")[0, 0])
    assert 0.98 * bound < abs(values[0, 0] - 1) <= bound


def test_exact_tables_of_integers_have_no_error_but_that_of_scaling() -> None:
    rng = np.random.default_rng(3)
    weights, activations = weights_of(rng, 4, 5, 64, 16, False), activations_of(rng, INTEGERS[0], 3, 64, False)
    packed = pack(weights)
    relative = float_bound(packed, activations) / table_bound(packed, activations)
    assert relative.max() < 1e-10


@settings(max_examples=200, deadline=None)
@given(cases(INTEGERS, scaled=True))
def test_unpacking_gives_the_weights_back(case: tuple[Weights, Activations, int]) -> None:
    weights, _, group = case
    back = unpack(pack(weights, group))
    assert np.array_equal(back.codes, weights.codes)
    assert np.array_equal(back.scales, weights.scales) and np.array_equal(back.zeros, weights.zeros)
    assert (back.bits, back.group_size) == (weights.bits, weights.group_size)


@settings(max_examples=200, deadline=None)
@given(cases(INTEGERS, scaled=True))
def test_the_remap_is_exact_and_its_codes_are_odd(case: tuple[Weights, Activations, int]) -> None:
    weights, _, _ = case
    codes, scales, zeros = weights.remapped()
    assert (codes % 2 == 1).all() and np.abs(codes).max() < 1 << weights.bits
    of = np.arange(weights.shape[1]) // weights.group_size
    for n, k in np.ndindex(weights.shape):
        plain = Fraction(weights.scales[n, of[k]]) * (int(weights.codes[n, k]) - Fraction(weights.zeros[n, of[k]]))
        assert Fraction(scales[n, of[k]]) * (int(codes[n, k]) - Fraction(zeros[n, of[k]])) == plain


def test_the_tree_takes_fourteen_additions_for_four_activations_and_one_by_one_twenty_four() -> None:
    """FIGLUT (HPCA 2025), section III-E, as in reference/lut/lut_hw_others.yaml, figlut_gen_adds."""
    assert int(counts.table_additions(4)) == 14
    assert int(counts.naive_table_additions(4)) == 24
    assert (np.asarray(counts.table_additions(range(1, 9))) <= counts.naive_table_additions(range(1, 9))).all()


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 50), st.integers(1, 8), st.integers(1, 8))
def test_counts_of_a_product_are_those_of_the_formulas(m: int, n: int, k: int, bits: int, group: int) -> None:
    rng = np.random.default_rng(1)
    result = mpgemm(
        pack(weights_of(rng, bits, n, k, None, False), group), activations_of(rng, INTEGERS[0], m, k, False)
    )
    assert result.look_ups == int(counts.look_ups(m, n, k, bits, group))
    assert result.additions == int(counts.precompute_additions(m, k, group))
    assert result.tables == int(counts.table_count(m, k, group))
    assert result.padded_depth == int(counts.padded_depth(k, group)) == k + -k % group
    assert result.waste == pytest.approx(float(counts.waste(k, group)))


@settings(max_examples=100, deadline=None)
@given(cases((*INTEGERS, *FLOATS), scaled=True), st.sampled_from(["exact", "int8"]), st.integers(1, 8))
def test_products_that_share_tables_give_what_each_gives_alone_and_form_them_once(
    case: tuple[Weights, Activations, int], table: TableKind, bits: int
) -> None:
    weights, activations, group = case
    other = weights_of(np.random.default_rng(bits), bits, 3, weights.shape[1], None, True)
    tables = prepare(activations, group, table=table)
    for packed in (pack(weights, group), pack(other, group)):
        alone, shared = mpgemm(packed, activations, table=table), look_up(packed, tables)
        assert np.array_equal(alone.values, shared.values)
        assert (shared.additions, alone.additions) == (0, tables.additions)
        assert (shared.look_ups, shared.tables) == (alone.look_ups, alone.tables)


def test_tables_take_the_bits_of_their_entries() -> None:
    """LTC (ISCA 2025), eq. 7: M = 2 tables of 8 entries are 128 bits in INT8 and 256 in FP16."""
    a = np.ones((2, 4), np.float16)
    assert prepare(a, 4, table="int8").table_bits == 128
    assert prepare(a, 4, table="float16").table_bits == 256
    assert prepare(a.astype(np.int8), 4).table_bits == 16 * 10  # a sum of four 8-bit numbers has 10 bits


def test_a_depth_that_fills_its_groups_takes_m_n_k_b_over_g_look_ups() -> None:
    assert int(counts.look_ups(8, 16, 64, 2, 4)) == 8 * 16 * 64 * 2 // 4
    assert float(counts.waste(66, 4)) == pytest.approx(2 / 68)
    assert counts.look_ups(np.array([1, 2]), 3, 8, np.array([[1], [4]]), 4).shape == (2, 2)


@pytest.mark.parametrize(("bits", "activation_bits"), [(1, 8), (2, 8), (4, 16)])
def test_an_accumulator_of_the_stated_bits_holds_the_largest_sums_and_one_of_less_does_not(
    bits: int, activation_bits: int
) -> None:
    k = 96
    fmt = ActivationFormat.INT8 if activation_bits == 8 else ActivationFormat.INT16
    low = Activations.of(np.full((1, k), -(1 << (activation_bits - 1))), fmt)
    top = (1 << bits) - 1
    weights = Weights.of([[top] * k, [0] * k], bits, scales=2.0, zeros=top / 2)  # q' = 2^b - 1 and its negative
    sums = mpgemm(pack(weights), low).values[0]
    width = int(counts.accumulator_bits(k, bits, activation_bits))
    assert sums.max() < 1 << (width - 1) and sums.max() >= 1 << (width - 2)


def test_fp8_codes_have_the_values_of_the_ocp_specification() -> None:
    """OFP8 1.0, table 2: largest, smallest normal and smallest subnormal numbers of both formats."""
    e4m3, e5m2 = fp8_values(ActivationFormat.FP8_E4M3), fp8_values(ActivationFormat.FP8_E5M2)
    assert [e4m3[c] for c in (0x00, 0x01, 0x07, 0x08, 0x38, 0x7E)] == [0, 2**-9, 0.875 * 2**-6, 2**-6, 1, 448]
    assert [e5m2[c] for c in (0x00, 0x01, 0x03, 0x04, 0x3C, 0x7B)] == [0, 2**-16, 0.75 * 2**-14, 2**-14, 1, 57344]
    assert np.isnan(e4m3[[0x7F, 0xFF]]).all() and np.isfinite(e4m3).sum() == 254
    assert e5m2[0x7C] == np.inf and e5m2[0xFC] == -np.inf and np.isfinite(e5m2).sum() == 248
    assert np.array_equal(e4m3[128:], -e4m3[:128], equal_nan=True)


@pytest.mark.parametrize("fmt", [ActivationFormat.FP8_E4M3, ActivationFormat.FP8_E5M2])
def test_encoding_fp8_takes_the_nearest_value_and_the_even_code_of_two(fmt: ActivationFormat) -> None:
    table = fp8_values(fmt)
    finite = np.flatnonzero(np.isfinite(table))
    assert np.array_equal(encode_fp8(table[finite], fmt), finite)
    positive = table[:128][np.isfinite(table[:128])]
    middles = (positive[:-1] + positive[1:]) / 2
    assert (encode_fp8(middles, fmt) % 2 == 0).all()
    assert np.array_equal(encode_fp8(np.nextafter(middles, np.inf), fmt), np.arange(1, positive.size))
    assert np.array_equal(encode_fp8(np.nextafter(middles, -np.inf), fmt), np.arange(positive.size - 1))
    assert table[encode_fp8(np.array([1e9, -np.inf]), fmt)].tolist() == [positive[-1], -positive[-1]]


@pytest.mark.parametrize("fmt", list(ActivationFormat))
def test_activations_are_decoded_exactly(fmt: ActivationFormat) -> None:
    activations = activations_of(np.random.default_rng(7), fmt, 4, 50, False)
    if fmt is ActivationFormat.FP16:
        assert np.array_equal(activations.values, activations.values.astype(np.float16).astype(np.float64))
    assert activations.values.dtype == (np.int32 if fmt.is_integer else np.float64)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_rounding_weights_is_off_by_half_a_step_at_most(bits: int, symmetric: bool) -> None:
    real = np.random.default_rng(bits).normal(size=(6, 40))
    weights = quantised(real, bits, group_size=16, symmetric=symmetric)
    steps = weights.scales[:, np.arange(40) // 16]
    allowed = 0.5 if symmetric else 1.0  # a rounded zero point may push the last code out of range by half a step
    assert (np.abs(weights.dequantised() - real) <= allowed * steps * (1 + 1e-12)).all()
    assert weights.groups == 3


def test_rounding_weights_without_symmetry_keeps_zero_exact() -> None:
    real = np.array([[0.0, 0.3, 1.7, 5.0, -0.2, 0.0]])
    assert (quantised(real, 3).dequantised()[0, [0, 5]] == 0).all()
    assert quantised(np.zeros((1, 4)), 4).dequantised().tolist() == [[0.0] * 4]


def test_absmean_ternary_weights_follow_bitnet() -> None:
    weights = absmean_ternary([[1.0, -2.0, 0.1, 0.9]])
    assert weights.dequantised().tolist() == [[1.0, -1.0, 0.0, 1.0]]
    assert (weights.bits, weights.scales[0, 0]) == (2, 1.0)


GOOD = np.ones((2, 8), np.int8)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Weights.of([[0]], 9), r"bits: weights of 9 bits are not supported \(allowed: 1 to 8\)"),
        (lambda: Weights.of([[0]], 0), "bits: weights of 0 bits are not supported"),
        (lambda: Weights.of([[0]], *(2.0,)), "bits: weights of 2.0 bits are not supported"),
        (lambda: Weights.of([[4]], 2), "codes: codes of 2 bits must be 0 to 3, got 4 to 4"),
        (lambda: Weights.of([[-1]], 2), "codes: codes of 2 bits must be 0 to 3, got -1 to -1"),
        (lambda: Weights.of(np.zeros((0, 4), int), 2), r"codes: .*N, K >= 1, got the shape \(0, 4\)"),
        (lambda: Weights.of([[0.5]], 2), "codes: codes must be whole numbers, got float64"),
        (lambda: Weights.of([[1, 2]], 2, group_size=0), "group_size: group_size must be a whole number >= 1, got 0"),
        (lambda: Weights.of([[1, 2]], 2, group_size=1.5), "group_size: group_size must be a whole number"),
        (lambda: Weights.of([[1, 2]], 2, scales=[[1.0, 2.0]]), r"scales: .* 1 x 1 \(rows x scale groups\), got"),
        (lambda: Weights.of([[1, 2]], 2, zeros=0.3), "zeros: zeros must be whole or half numbers"),
        (lambda: Weights.of([[1, 2]], 2, scales=np.nan), "scales: scales must be finite"),
        (lambda: Weights.signed([[8]], 4), "values: weights of 4 bits must be -8 to 7, got 8 to 8"),
        (lambda: Weights.ternary([[2]]), "values: ternary weights must be -1, 0 or 1"),
        (lambda: Weights.binary([[0]]), "values: binary weights must be -1 or 1"),
        (lambda: quantised([[np.inf]], 2), "real: real weights must be N x K and finite"),
        (lambda: pack(Weights.of(GOOD, 2), 9), r"group: tables of 9 activations are not supported \(allowed: 1 to 8\)"),
        (lambda: pack(Weights.of(GOOD, 2, group_size=6), 4),
         "group_size: scale groups of 6 weights are no multiple of a table's 4 activations"),
        (lambda: Activations.of(np.zeros((0, 3), np.int8)), "activations: .*M, K >= 1, got the shape"),
        (lambda: Activations.of(GOOD.astype(np.float32)), r"format: activations of float32 need a format"),
        (lambda: Activations.of([[128]], ActivationFormat.INT8), "activations: int8 .* must be -128 to 127, got 128"),
        (lambda: Activations.of([[0.5]], ActivationFormat.INT8), "activations: int8 activations must be whole numbers"),
        (lambda: Activations.of([[0.1]], ActivationFormat.FP16), "activations: fp16 activations must be FP16 numbers"),
        (lambda: Activations.of([[1e6]], ActivationFormat.FP16), "activations: fp16 activations must be FP16 numbers"),
        (lambda: Activations.of([[1]], ActivationFormat.FP8_E4M3), "activations: fp8_e4m3 activations must be codes"),
        (lambda: Activations.of(np.array([[127]], np.uint8), ActivationFormat.FP8_E4M3),
         "activations: activations must be finite, 1 are NaN"),
        (lambda: Activations.of(GOOD, scales=0.0), "scales: scales of activations must be finite and > 0"),
        (lambda: mpgemm(pack(Weights.of(GOOD, 2)), GOOD[:, :7]), "activations: .* K = 7, weights have K = 8"),
        (lambda: mpgemm(pack(Weights.of(GOOD, 2)), GOOD, **{"table": "fp4"}), "table: no table is called 'fp4'"),
        (lambda: mpgemm(pack(Weights.of(GOOD, 2)), GOOD, **{"accumulator": "int4"}), "accumulator: no accumulator is"),
        (lambda: mpgemm(pack(Weights.of(GOOD, 2)), GOOD, table="float16"),
         "table: int8 activations have no float16 tables"),
        (lambda: mpgemm(pack(Weights.of(GOOD, 2)), np.full((1, 8), 6e4, np.float16), table="float16"),
         "table: float16 tables hold sums up to 65,504, got 240,000"),
        (lambda: look_up(pack(Weights.of(GOOD, 2)), prepare(GOOD, 2)), "group: tables have groups of 2, weights of 4"),
        (lambda: prepare(GOOD, 0), r"group: tables of 0 activations are not supported \(allowed: 1 to 8\)"),
        (lambda: encode_fp8([np.nan], ActivationFormat.FP8_E4M3), "values: values must not hold NaN"),
        (lambda: fp8_values(ActivationFormat.FP16), "format: fp16 is not an FP8 format"),
        (lambda: counts.look_ups(1, 1, 0, 1, 4), "k: must be whole numbers, >= 1, got 0"),
        (lambda: counts.table_entries(9), "group: must be whole numbers, 1 to 8, got 9"),
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_refused_with_the_field_and_what_is(make: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make()
