"""A LUT unit in a core: the chip picks the unit of a product, and says what it takes there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from cairn.base.errors import ConfigError
from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.compute.lut.cost import lut_cost
from cairn.hw_models.compute.lut.spec import LutSpec
from cairn.hw_models.compute.lut.sram import lookups_of, row_blocks_held, sram_traffic, table_bits_per_element
from cairn.hw_models.compute.units.look_up import LutTensorCore
from cairn.hw_models.cost import area_mm2, lut_event_pj


def chip(**settings: Any) -> ChipSpec:
    lut = {"m": 2, "n": 64, "k": 4, "arrays": 2}
    return ChipSpec.model_validate({"name": "drawn", "source": "drawn", "lut_unit": lut, **settings})


@pytest.mark.parametrize(("weight_bits", "planes"), [(1, 1), (1.58, 2), (1.6, 2), (2, 2), (3, 3), (8, 8)])
def test_products_with_weights_of_few_bits_are_the_lut_units(weight_bits: float, planes: int) -> None:
    spec = chip()
    cycles = spec.matrix_cycles(8, 128, 64, 8, weight_bits, 16, weights=True)
    assert spec.lut_unit is not None
    assert cycles == spec.lut_unit.tile_cycles(8, 128, 64, planes) == 4 * 16 * planes + 1


@pytest.mark.parametrize(
    ("x_bits", "w_bits", "weights"), [(8, 2, False), (16, 2, True), (8, 16, True), (8, 4.5, True), (4, 2, True)]
)
def test_other_products_are_the_matrix_units(x_bits: float, w_bits: float, weights: bool) -> None:
    """Operands made during the step, activations beyond the adders' width, weights without whole planes."""
    spec, plain = chip(), chip(lut_unit=None)
    sizes = (40, 96, 72)
    assert spec.matrix_cycles(*sizes, x_bits, w_bits, 16, weights=weights) == plain.matrix_cycles(
        *sizes, x_bits, w_bits, 16
    )


@pytest.mark.parametrize("activation", ["int16", "fp16"])
def test_a_unit_for_16_bits_takes_activations_of_8_as_well(activation: str) -> None:
    spec = chip(lut_unit={"activation": activation})
    assert spec.lut_for(16, 2) is not None and spec.lut_for(8, 2) is not None


def test_without_a_matrix_unit_other_products_are_refused_with_what_is_allowed() -> None:
    spec = chip(matrix_unit=None)
    assert spec.matrix_cycles(8, 128, 64, 8, 2, 16, weights=True) > 0
    assert spec.peak_macs_per_cycle == 0 and "matrix" in area_mm2(spec)
    with pytest.raises(ConfigError, match=r"chip\.matrix_unit: .*weights of 1 to 8 whole bits or ternary ones"):
        spec.matrix_cycles(8, 128, 64, 16, 16, 16)


def test_a_core_has_something_that_multiplies() -> None:
    with pytest.raises(ValidationError, match="matrix_unit may be null only where there is a lut_unit"):
        chip(matrix_unit=None, lut_unit=None)


def test_ports_of_the_sram_bind_a_lut_unit_too() -> None:
    wide, narrow = chip(), chip(sram={"read_bytes_per_cycle": 1, "write_bytes_per_cycle": 1})
    read, written = narrow.matrix_bits(8, 128, 64, 8, 2, 16, weights=True)
    assert narrow.matrix_cycles(8, 128, 64, 8, 2, 16, weights=True) == np.ceil(read / 8)
    assert wide.matrix_cycles(8, 128, 64, 8, 2, 16, weights=True) < np.ceil(read / 8)
    assert written == 8 * 128 * 16


def test_registers_bound_how_often_weights_are_read_again() -> None:
    """R1: sums of a row block take 2 x 64 x 32 bits of each array."""
    small, large = (LutSpec(register_kib=kib) for kib in (1.0, 64.0))
    assert row_blocks_held(small, 2) == 1  # 8192 bits: tables 128, weights 512, sums of one block 4096
    assert row_blocks_held(large, 2) == (64 * 8192 - 128 - 512) // 4096
    once = 4 * 64 * 2 * 16  # one row block's weights: k n planes bits of 16 groups
    assert sram_traffic(small, 16, 64, 64, 2).weight_bits == 8 * once
    assert sram_traffic(large, 16, 64, 64, 2).weight_bits == once
    assert sram_traffic(large, 16, 64, 64, 2).table_bits == 8 * 16 * 2 * 64


def test_tables_take_twice_the_bits_of_8_bit_activations() -> None:
    assert table_bits_per_element(LutSpec()) == 16
    assert table_bits_per_element(LutSpec(table_bits=16)) == 32


def test_an_array_at_28_nm_has_the_area_and_the_energy_of_table_2() -> None:
    """LUT Tensor Core, Table 2, last row: 11,991.29 um2 and 16.22 mW at 1 GHz for 2 x 64 look-up units."""
    cost = lut_cost(LutSpec(node_nm=28))
    assert cost.area_mm2 == pytest.approx(11991.29e-6, rel=1e-3)
    assert 128 * cost.lookup_pj == pytest.approx(16.22, rel=1e-3)
    assert "not scaled" in cost.note
    assert lut_cost(LutSpec(node_nm=7)).area_mm2 < cost.area_mm2 / 5 and "28 nm to 7 nm" in lut_cost(LutSpec()).note


def test_area_and_energy_of_a_chip_have_its_lut_units() -> None:
    spec = chip()
    assert spec.lut_unit is not None
    assert area_mm2(spec)["lut"] == pytest.approx(spec.core_count * lut_cost(spec.lut_unit).area_mm2)
    assert "lut" not in area_mm2(chip(lut_unit=None)) and lut_event_pj(chip(lut_unit=None), 1, 1, 1) == {}
    looked_up = lookups_of(spec.lut_unit, 3, 65, 5, 2)
    assert looked_up == 4 * 128 * 2 * 2  # rows, columns and groups filled up, two planes
    assert set(lut_event_pj(spec, looked_up, looked_up // 2, 14)) == {"look_up", "accumulate", "precompute"}


@pytest.mark.parametrize("table_bits", [8, 16])
@pytest.mark.parametrize("planes", [1, 2, 4])
def test_a_group_is_scaled_once_whatever_its_planes(planes: int, table_bits: int) -> None:
    spec = LutSpec(activation="fp16", table_bits=table_bits, node_nm=28)
    unit = LutTensorCore.of(spec, "fp16", node_nm=28)
    whole = unit.energy_pj(6, 192, 20, planes)
    groups = lookups_of(spec, 6, 192, 20, 1)
    events = lut_event_pj(chip(lut_unit=spec), lookups_of(spec, 6, 192, 20, planes), groups, 0)
    assert events["look_up"] == pytest.approx(float(whole.look_up))
    assert events["accumulate"] == pytest.approx(float(whole.accumulate))
    assert (lut_cost(spec).scale_pj > 0) == (table_bits == 8)
