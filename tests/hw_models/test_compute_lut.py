"""LUT arrays: closed forms against the clocked oracle, what tables cost, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.lut.oracle import multiply
from cairn.hw_models.compute.lut.precompute import adds_per_table
from cairn.hw_models.compute.lut.spec import LutSpec, weight_planes

ARRAY = LutSpec()


def check_against_the_oracle(spec: LutSpec, m: int, n: int, k: int, planes: int) -> None:
    """Product, cycles and traffic of one product, numbers drawn with a fixed seed."""
    draw = np.random.default_rng(m * 1009 + n * 101 + k)
    a = draw.integers(-128, 128, (m, k))
    w = 2 * draw.integers(0, 1 << planes, (k, n)) - ((1 << planes) - 1)
    clocked = multiply(spec, a.tolist(), w.tolist(), planes)
    assert clocked.product == (a @ w).tolist()
    assert clocked.cycles == int(spec.tile_cycles(m, n, k, planes)), (spec, m, n, k, planes)
    traffic = spec.tile_traffic(m, n, k, planes)
    assert (clocked.table_bits, clocked.weight_bits) == (int(traffic.table_bits), int(traffic.weight_bits))


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)),
    st.integers(1, 9),
    st.integers(0, 3),
    st.tuples(st.integers(1, 7), st.integers(1, 20), st.integers(1, 20)),
    st.integers(1, 8),
)
def test_cycles_traffic_and_product_equal_the_clocked_arrays(
    shape: tuple[int, int, int], arrays: int, fill: int, sizes: tuple[int, int, int], planes: int
) -> None:
    m, n, k = shape
    check_against_the_oracle(LutSpec(m=m, n=n, k=k, arrays=arrays, fill_cycles=fill), *sizes, planes)


@pytest.mark.parametrize("least_planes", [1, 2, 5])
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (5, 9, 17, 2), (4, 6, 40, 3), (3, 20, 11, 6)])
def test_quantised_tables_bring_a_scale_each_and_groups_wait_for_scale_units(
    least_planes: int, sizes: tuple[int, int, int, int]
) -> None:
    spec = LutSpec(m=2, n=4, k=4, arrays=3, activation="fp16", least_planes=least_planes)
    assert spec.bits_per_table == 8 * 8 + 16
    check_against_the_oracle(spec, *sizes)


def test_scales_take_registers_beside_their_tables() -> None:
    assert LutSpec(activation="fp16").table_register_bits == LutSpec().table_register_bits + 2 * 16
    with pytest.raises(ValidationError, match="1 arrays x m 2 x 8 entries x table_bits 8, and scales"):
        LutSpec(activation="fp16", register_kib=0.01)


def test_scales_of_tables_that_have_none_are_refused() -> None:
    for more in ({"tables_per_scale": 4}, {"least_planes": 2}):
        with pytest.raises(ValidationError, match=r"belong to tables that are quantised.*they must be 1 here"):
            LutSpec(**more)  # type: ignore[arg-type]


def test_one_array_takes_the_cycles_of_the_published_rtl() -> None:
    assert int(ARRAY.tile_cycles(3, 65, 9, 2)) == 2 * 2 * 3 * 2 + ARRAY.fill_cycles


def test_arrays_that_all_have_blocks_divide_the_cycles() -> None:
    one, four = ARRAY, LutSpec(arrays=4)
    assert int(four.tile_cycles(8, 512, 64, 2)) - 1 == (int(one.tile_cycles(8, 512, 64, 2)) - 1) // 4


def test_arrays_without_a_column_block_of_their_own_share_one_along_k() -> None:
    assert int(LutSpec(arrays=4).tile_cycles(2, 64, 64, 1)) == 16 // 4 + 1 + 2, "two levels of the tree"


@pytest.mark.parametrize("activation_bits", [8, 16])
def test_the_width_of_activations_does_not_change_cycles(activation_bits: int) -> None:
    assert int(ARRAY.tile_cycles(4, 64, 64, 3, activation_bits)) == 2 * 16 * 3 + 1


def test_sizes_planes_and_activations_are_broadcast() -> None:
    cycles = ARRAY.tile_cycles(np.array([[1], [2]]), 64, 64, np.array([1, 2, 4]), 8)
    assert cycles.tolist() == [[17, 33, 65]] * 2


def test_a_product_without_work_takes_no_cycles() -> None:
    assert ARRAY.tile_cycles([0, 1, 1], [1, 0, 1], [1, 1, 0], 2).tolist() == [0, 0, 0]


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(st.integers(1, 8), st.integers(1, 80), st.integers(1, 8), st.integers(1, 40)),
    st.tuples(st.integers(1, 500), st.integers(1, 500), st.integers(1, 500)),
    st.integers(1, 8),
)
def test_no_product_is_faster_than_the_peak_rate(
    shape: tuple[int, int, int, int], sizes: tuple[int, int, int], planes: int
) -> None:
    spec = LutSpec(m=shape[0], n=shape[1], k=shape[2], arrays=shape[3])
    macs = sizes[0] * sizes[1] * sizes[2]
    assert int(spec.tile_cycles(*sizes, planes)) * spec.peak_macs_per_cycle(planes) >= macs * (1 - 1e-12)


def test_a_step_moves_the_bits_of_the_papers_equations() -> None:
    traffic = ARRAY.tile_traffic(2, 64, 4, 2)
    assert tuple(int(bits) for bits in traffic) == (2 * 8 * 8, 4 * 64 * 2, 2 * 64 * 32)
    assert int(LutSpec(table_bits=16).tile_traffic(2, 64, 4, 2).table_bits) == 256


def test_arrays_side_by_side_read_a_table_once() -> None:
    assert int(LutSpec(arrays=4).tile_traffic(2, 256, 4, 2).table_bits) == 128


def test_padding_is_said_as_a_share_of_the_work() -> None:
    assert float(ARRAY.padding_waste(2, 64, 4)) == 0
    assert float(ARRAY.padding_waste(1, 48, 3)) == pytest.approx(1 - 1 * 48 * 3 / 512)


def test_a_table_of_four_takes_24_additions_or_14_in_two_levels() -> None:
    assert (adds_per_table(4, naive=True), adds_per_table(4)) == (24, 14)
    assert int(ARRAY.precompute_adds(10, 18)) == 10 * 5 * 14
    assert int(ARRAY.precompute_adds(10, 18, naive=True)) == 10 * 5 * 24


def test_two_levels_never_take_more_additions() -> None:
    assert all(adds_per_table(k) <= adds_per_table(k, naive=True) for k in range(1, 9))
    with pytest.raises(ValueError, match="at least 1 activation, got 0"):
        adds_per_table(0)


def test_ternary_weights_run_as_two_planes() -> None:
    assert weight_planes([1.6, 5 / 3, 2, 1]).tolist() == [2, 2, 2, 1]


@pytest.mark.parametrize("bits", [0, 0.5, 1.4, 2.5, 9, 16, float("nan")])
def test_weights_without_planes_are_refused(bits: float) -> None:
    with pytest.raises(ConfigError, match=r"weight_bits: weights have 1 to 8 whole bits, or 1\.58 to 2"):
        ARRAY.tile_cycles(1, 1, 1, bits)


def test_activations_without_tables_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"activation_bits: must be 8 \(int8, fp8\) or 16 \(int16, fp16\)"):
        ARRAY.tile_cycles(1, 1, 1, 2, 4)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"m": 0}, "m: a product has at least 1 row, column and element; got 0"),
        ({"k": -3}, "k: a product has at least 1 row, column and element; got -3"),
        ({"activation": "bf16"}, "activation: tables are made of activations in int8, int16, fp8, fp16; got 'bf16'"),
        ({"weight_bits": 9}, "weight_bits: weights have 1 to 8 whole bits, or 1.58 to 2 where they are ternary; got 9"),
        (
            {"scale_group": 66},
            "scale_group: groups of weights with one scale must be whole tables: a multiple of k (4); got 66",
        ),
    ],
)
def test_products_that_the_unit_does_not_do_are_refused_with_what_is_allowed(
    changed: dict[str, Any], message: str
) -> None:
    asked = {"m": 1, "n": 1, "k": 1, "weight_bits": 2, "activation": "int8", "scale_group": 128}
    ARRAY.check_product(**asked)  # type: ignore[arg-type]
    with pytest.raises(ConfigError) as refused:
        ARRAY.check_product(**{**asked, **changed})
    assert str(refused.value) == message


def test_tables_larger_than_the_registers_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"tables need 2,048 bits \(8 arrays x m 2 x 8 entries x table_bits 16\)"):
        LutSpec(arrays=8, table_bits=16, register_kib=0.2)
    assert LutSpec(arrays=8, table_bits=16, register_kib=0.25).table_register_bits == 2048


@pytest.mark.parametrize("field", ["m", "n", "k", "arrays"])
def test_arrays_of_size_zero_are_refused(field: str) -> None:
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        LutSpec.model_validate({field: 0})
