"""Arrays whose elements split for narrow operands: cycles by rules F1 to F4."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cairn.base.errors import ConfigError
from cairn.base.spec import source_of
from cairn.hw_models.compute.fusion.cycle import array_cycles, bound_cycles, scalings, split
from cairn.hw_models.compute.fusion.designs import ANT_DESIGNS, MIXPE_DESIGNS
from cairn.hw_models.compute.fusion.spec import FusedArraySpec

sizes = st.integers(0, 4000)
arrays = st.sampled_from(
    [
        FusedArraySpec(name="a", rows=rows, columns=columns, high_bits=high, low_bits=low, dataflow=dataflow)
        for rows, columns in ((1, 1), (3, 70), (32, 28), (64, 5))
        for high, low in ((8, 8), (8, 1), (16, 4), (16, 2))
        for dataflow in ("output_stationary", "weight_stationary")
    ]
)


def test_an_element_of_8_bits_does_two_products_of_4_bits_along_each_operand_and_no_more_below() -> None:
    array = FusedArraySpec(name="a", rows=1, columns=1)
    assert split(array, np.array([8, 6, 4.5, 4, 3, 1.58])).tolist() == [1, 1, 1, 2, 2, 2]


def test_outputs_in_place_take_their_tiles_times_the_inputs() -> None:
    int8 = FusedArraySpec(name="INT8", rows=32, columns=32)
    assert array_cycles(int8, 64, 12288, 4096, 8, 8) == 2 * 384 * 4096  # reference/lut/mixpe_ant.yaml: 3,145,728
    assert array_cycles(int8, 64, 12288, 4096, 4, 4) == 1 * 192 * 4096
    assert array_cycles(int8, 64, 12288, 4096, 8, 4) == 2 * 192 * 4096


def test_weights_in_place_take_a_cycle_for_each_token_and_tile_of_weights() -> None:
    array = FusedArraySpec(name="a", rows=32, columns=28, dataflow="weight_stationary")
    assert array_cycles(array, 64, 57, 65, 8, 8) == 64 * 3 * 3


@given(arrays, sizes, sizes, sizes, st.integers(1, 8), st.integers(1, 8))
def test_no_product_is_faster_than_all_elements_split_and_busy(
    array: FusedArraySpec, m: int, n: int, k: int, activation: int, weight: int
) -> None:
    bound = bound_cycles(array, m, n, k, activation, weight)
    assert array_cycles(array, m, n, k, activation, weight) >= bound


@given(arrays, sizes, sizes, sizes, st.integers(1, 7))
def test_wider_operands_take_no_less(array: FusedArraySpec, m: int, n: int, k: int, bits: int) -> None:
    narrow, wide = (array_cycles(array, m, n, k, one, one) for one in (bits, bits + 1))
    assert narrow <= wide


def test_a_group_is_scaled_once_for_each_output() -> None:
    assert scalings(64, 4096, 4097, 128) == 64 * 4096 * 33
    with pytest.raises(ConfigError, match="group: a group has at least one weight, got 0"):
        scalings(1, 1, 1, 0)


@pytest.mark.parametrize("bits", [0, 9, float("nan"), np.array([8, 16])])
def test_bits_that_an_element_does_not_take_are_refused(bits: object) -> None:
    array = FusedArraySpec(name="INT8", rows=1, columns=1)
    with pytest.raises(ConfigError, match=r"weight_bits: INT8 takes 1 to 8 bits, got"):
        array_cycles(array, 1, 1, 1, 8, bits)  # type: ignore[arg-type]


def test_low_bits_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"low_bits \(3\) must divide high_bits \(8\)"):
        FusedArraySpec(name="a", rows=1, columns=1, low_bits=3)


def test_energy_of_a_cycle_is_the_power_of_all_elements_over_the_clock() -> None:
    array = FusedArraySpec(name="a", rows=32, columns=32)
    assert array.dynamic_pj == pytest.approx(1024 * 279960e-9 / 500e6 * 1e12)
    assert array.leakage_pj == pytest.approx(1024 * 64314e-9 / 500e6 * 1e12)


def test_published_designs_have_names_of_their_own_and_sourced_parameters() -> None:
    for designs in (MIXPE_DESIGNS, ANT_DESIGNS):
        assert len({design.name for design in designs}) == len(designs)
    assert [name for name in FusedArraySpec.model_fields if not source_of(FusedArraySpec, name)] == []
