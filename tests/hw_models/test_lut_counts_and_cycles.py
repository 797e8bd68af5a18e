"""What products on numbers count, beside what the cycle models of their units take: look-ups, tables, bits, terms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.hw_models.compute.bitserial.cycle import array_cycles, pass_cycles
from cairn.hw_models.compute.bitserial.spec import BITMOD, DotArraySpec
from cairn.hw_models.compute.lut.cycle import array_steps
from cairn.hw_models.compute.lut.functional import bitmod, counts
from cairn.hw_models.compute.lut.functional.formats import ActivationFormat, Activations
from cairn.hw_models.compute.lut.functional.mpgemm import mpgemm
from cairn.hw_models.compute.lut.functional.planes import PackedWeights, pack
from cairn.hw_models.compute.lut.functional.prepared import prepare
from cairn.hw_models.compute.lut.spec import LutSpec
from tests.hw_models.lut_cases import activations_of, weights_of

SPECS = st.builds(
    LutSpec, m=st.integers(1, 4), n=st.integers(1, 9), k=st.integers(1, 6), arrays=st.integers(1, 5),
    fill_cycles=st.integers(0, 3),
)  # fmt: skip
SIZES = st.tuples(st.integers(1, 9), st.integers(1, 30), st.integers(1, 60))
BITS = st.integers(1, 8)
SEEDS = st.integers(0, 2**32 - 1)


def up(size: int, part: int) -> int:
    return -(-size // part) * part


def operands(seed: int, m: int, n: int, k: int, bits: int, group: int) -> tuple[PackedWeights, Activations]:
    rng = np.random.default_rng(seed)
    weights = pack(weights_of(rng, bits, n, k, None, scaled=False), group)
    return weights, activations_of(rng, ActivationFormat.INT8, m, k, scaled=False)


@settings(deadline=None)
@given(SPECS, SIZES, BITS, SEEDS)
def test_arrays_do_the_look_ups_of_a_product_and_those_of_padded_rows_and_columns(
    spec: LutSpec, sizes: tuple[int, int, int], bits: int, seed: int
) -> None:
    m, n, k = sizes
    done = int(array_steps(spec, m, n, k)) * bits * spec.m * spec.n
    assert done == int(counts.look_ups(up(m, spec.m), up(n, spec.n), k, bits, spec.k))
    found = mpgemm(*operands(seed, m, n, k, bits, spec.k))
    assert found.look_ups == int(counts.look_ups(m, n, k, bits, spec.k)) <= done
    wasted = 1 - (1 - found.waste) * found.look_ups / done  # padding of the depth, and that of rows and columns
    assert float(spec.padding_waste(m, n, k)) == pytest.approx(wasted)


@settings(deadline=None)
@given(SPECS, SIZES, BITS, SEEDS)
def test_no_look_up_unit_does_more_than_one_look_up_a_cycle(
    spec: LutSpec, sizes: tuple[int, int, int], bits: int, seed: int
) -> None:
    cycles = int(spec.tile_cycles(*sizes, bits)) - spec.fill_cycles
    found = mpgemm(*operands(seed, *sizes, bits, spec.k))
    assert found.look_ups <= cycles * spec.arrays * spec.m * spec.n


@settings(deadline=None)
@given(SPECS, st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 9)), BITS)
def test_units_whose_blocks_are_full_do_a_look_up_in_every_cycle(
    spec: LutSpec, blocks: tuple[int, int, int], bits: int
) -> None:
    m, n, k = blocks[0] * spec.m, blocks[1] * spec.n * spec.arrays, blocks[2] * spec.k
    cycles = int(spec.tile_cycles(m, n, k, bits)) - spec.fill_cycles
    assert int(counts.look_ups(m, n, k, bits, spec.k)) == cycles * spec.arrays * spec.m * spec.n


@settings(deadline=None)
@given(SPECS, SIZES, BITS, SEEDS)
def test_precompute_takes_the_additions_that_forming_the_tables_of_a_product_takes(
    spec: LutSpec, sizes: tuple[int, int, int], bits: int, seed: int
) -> None:
    m, _, k = sizes
    found = mpgemm(*operands(seed, *sizes, bits, spec.k))
    assert found.additions == int(spec.precompute_adds(m, k)) == int(counts.precompute_additions(m, k, spec.k))
    naive = int(counts.table_count(m, k, spec.k) * counts.naive_table_additions(spec.k))
    assert naive == int(spec.precompute_adds(m, k, naive=True))


@settings(deadline=None)
@given(SPECS, SIZES, BITS, SEEDS)
def test_what_enters_a_unit_are_the_bits_of_the_packed_weights_and_of_the_tables(
    spec: LutSpec, sizes: tuple[int, int, int], bits: int, seed: int
) -> None:
    m, n, k = up(sizes[0], spec.m), up(sizes[1], spec.n), sizes[2]  # whole blocks: no padding but that of the depth
    weights, activations = operands(seed, m, n, k, bits, spec.k)
    tables = prepare(activations, spec.k, table="int8")
    moved = spec.tile_traffic(m, n, k, bits)
    rounds = -(-n // (spec.n * spec.arrays))
    assert int(moved.weight_bits) == weights.stored_bits * m // spec.m  # again for each block of rows
    assert int(moved.table_bits) == tables.table_bits * rounds  # again for each round of columns


@pytest.mark.parametrize("bits", sorted(bitmod.BASIC))
def test_a_pass_of_bitmod_takes_as_many_cycles_as_its_floats_have_terms(bits: int) -> None:
    kinds = range(len(bitmod.SPECIAL[bits]))
    most = max(len(bitmod.float_terms(float(value))) for kind in kinds for value in bitmod.values(bits, kind))
    assert most == bitmod.FP_TERMS == int(pass_cycles(BITMOD, bits))
    assert int(pass_cycles(BITMOD, bits + bitmod.SCALE_TERMS / BITMOD.group)) == most  # as files give it, with scales


@pytest.mark.parametrize("bits", range(1, 9))
def test_a_pass_of_bitmod_takes_as_many_cycles_as_its_integers_have_booth_digits(bits: int) -> None:
    digits = {len(bitmod.booth_digits(value, bits)) for value in range(-(1 << (bits - 1)), 1 << (bits - 1))}
    assert digits == {int(pass_cycles(BITMOD, bits))}


def test_a_group_of_bitmod_is_scaled_in_as_many_cycles_as_its_scale_has_terms() -> None:
    assert BITMOD.scale_cycles == bitmod.SCALE_TERMS
    assert BITMOD.group == bitmod.BitModWeights.group_size


@settings(deadline=None)
@given(
    rows=st.integers(1, 5), columns=st.integers(1, 5), bits=st.sampled_from(sorted(bitmod.BASIC)),
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 12), st.integers(1, 300)), seed=SEEDS,
)  # fmt: skip
def test_an_array_of_bitmod_does_the_terms_of_a_product_one_an_element_lane_and_cycle(
    rows: int, columns: int, bits: int, sizes: tuple[int, int, int], seed: int
) -> None:
    array = DotArraySpec(rows=rows, columns=columns)
    (m, n, k), lanes = sizes, array.peak_macs_per_pass
    terms = _terms(seed, m, n, k, bits)
    assert terms <= int(array_cycles(array, m, n, k, bits)) * lanes
    m, n, k = up(m, columns), up(n, rows), up(k, BITMOD.group)  # every element at work
    assert _terms(seed, m, n, k, bits) == int(array_cycles(array, m, n, k, bits)) * lanes


def _terms(seed: int, m: int, n: int, k: int, bits: int) -> int:
    """Terms of a product of random weights and INT8 activations, as `bitmod.product` counts them."""
    rng = np.random.default_rng(seed)
    weights = bitmod.quantised(rng.normal(size=(n, k)), bits)
    _, counted = bitmod.product(weights, activations_of(rng, ActivationFormat.INT8, m, k, scaled=False))
    return counted["terms"]
