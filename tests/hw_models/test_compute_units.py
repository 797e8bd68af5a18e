"""Units for low-bit weights: all keep one contract; areas and energies follow from what they are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.lut.spec import LutSpec
from cairn.hw_models.compute.systolic.spec import SystolicSpec
from cairn.hw_models.compute.units.add_only import AddOnly
from cairn.hw_models.compute.units.anchors import AnchorSpec, float_unit_gates
from cairn.hw_models.compute.units.cells import CellSpec, full_table_add_bits, full_table_adds, half_table_add_bits
from cairn.hw_models.compute.units.contract import (
    ComputeUnit,
    check_sizes,
    density_tops_per_mm2,
    evaluate,
    mm2_per_mac,
    most_bits_smaller_than,
    tops_per_w,
)  # fmt: skip
from cairn.hw_models.compute.units.look_up import ConventionalLut, Figlut, LookUpUnit, LutTensorCore, UnpuLike
from cairn.hw_models.compute.units.mac import MacTensorCore
from cairn.hw_models.compute.units.systolic import SystolicUnit
from tests.hw_models.unit_contract import check_unit

LOOK_UP = (LutTensorCore, ConventionalLut, UnpuLike, Figlut, AddOnly)


@pytest.mark.parametrize("kind", LOOK_UP)
@pytest.mark.parametrize("activation", ["int8", "int16", "fp8", "fp16"])
@pytest.mark.parametrize("shape", [{}, {"m": 3, "n": 5, "k": 3, "arrays": 4}, {"k": 1}])
def test_units_that_go_plane_by_plane_keep_the_contract(kind: Any, activation: str, shape: dict[str, int]) -> None:
    check_unit(kind(activation=activation, **shape), refused=9)


@pytest.mark.parametrize("activation", ["int8", "fp8", "fp16"])
def test_mac_tensor_cores_keep_the_contract(activation: Any) -> None:
    check_unit(MacTensorCore.a100(activation))
    check_unit(MacTensorCore(activation=activation, m=1, n=1, k=4, fill_cycles=3))


@pytest.mark.parametrize("activation", ["int8", "fp8", "fp16"])
@pytest.mark.parametrize("dataflow", ["output_stationary", "weight_stationary"])
def test_systolic_arrays_keep_the_contract(activation: Any, dataflow: Any) -> None:
    check_unit(SystolicUnit(activation=activation, array=SystolicSpec(rows=8, columns=4, dataflow=dataflow)))


def test_a_table_needs_the_additions_of_the_papers() -> None:
    assert full_table_adds(4) == 11, "one for each of the 16 subsets but the empty one and those of one"
    assert half_table_add_bits(4, 8) == 6 * 9 + 8 * 10
    assert full_table_add_bits(4, 8) == 6 * 9 + 4 * 10 + 1 * 10
    assert half_table_add_bits(1, 8) == 0


def test_an_integer_array_of_the_reference_has_its_published_area_and_power() -> None:
    unit = LutTensorCore(activation="int8")
    assert unit.area_mm2 * 1e6 == pytest.approx(AnchorSpec().lut_int8_um2)
    assert float(unit.mac_pj(1)) * 512 == pytest.approx(AnchorSpec().lut_int8_mw)


@pytest.mark.parametrize("activation", ["fp8", "fp16"])
def test_float_arrays_of_the_reference_have_the_areas_that_went_in(activation: Any) -> None:
    um2 = {"fp8": AnchorSpec().lut_fp8_um2, "fp16": AnchorSpec().lut_fp16_um2}
    assert LutTensorCore(activation=activation).area_mm2 * 1e6 == pytest.approx(um2[activation])


def test_full_tables_made_inside_follow_from_the_cells_and_not_from_their_published_area() -> None:
    made_inside = UnpuLike(activation="int8", symmetric=True)
    assert UnpuLike(activation="int8").area_mm2 * 1e6 == pytest.approx(17271.71, rel=0.02)
    assert made_inside.area_mm2 * 1e6 == pytest.approx(13116.6, rel=0.02)


def test_area_follows_planes_so_that_a_look_up_unit_loses_its_lead_with_more_bits() -> None:
    unit, mac = LutTensorCore(activation="int8"), MacTensorCore.a100("int8")
    area = mm2_per_mac(unit, np.arange(1, 9))
    assert area == pytest.approx(area[0] * np.arange(1, 9))
    assert mm2_per_mac(mac, np.arange(1, 9)) == pytest.approx(np.full(8, float(mm2_per_mac(mac, 1))))
    assert most_bits_smaller_than(unit, mac) == 6
    assert most_bits_smaller_than(mac, mac) == 0
    assert most_bits_smaller_than(LutTensorCore(activation="int8", node_nm=5), mac) == 8


def test_an_adder_of_integers_keeps_every_bit_of_its_sum() -> None:
    unit, cells = AddOnly(activation="int8", m=1, n=1), CellSpec()
    tree = cells.full_adder * (2 * 9 + 10) + cells.and_gate * 4 * 8
    gates = tree + cells.xor * 10 + cells.accumulator(10)
    assert unit.area_mm2 * 1e6 == pytest.approx(gates * AnchorSpec().um2_per_gate(cells))


def test_adders_of_floats_have_registers_between_them_and_one_addition_a_cycle() -> None:
    unit, cells = AddOnly(activation="fp16", m=1, n=1), CellSpec()
    adder = unit.anchors.float_adder_gates("fp16", cells)
    gates = 4 * adder + cells.and_gate * 4 * 16 + cells.registers(3 * 16) + float_unit_gates("fp16", 16, cells)
    assert unit.area_mm2 * 1e6 == pytest.approx(gates * unit.anchors.um2_per_gate(cells))
    fill = {name: int(AddOnly(activation=name).cycles(2, 64, 4, 1)) - 1 for name in ("int8", "fp16")}
    assert fill == {"int8": 1, "fp16": 1 + 2}, "a tree of 4 has two levels"


def test_an_adder_loses_to_macs_beyond_2_bits_of_fp16_and_later_where_macs_are_of_int8() -> None:
    most = {name: most_bits_smaller_than(AddOnly(activation=name), MacTensorCore(activation=name))
            for name in ("fp16", "int8")}  # fmt: skip
    assert most == {"fp16": 2, "int8": 3}


def test_tables_made_once_cost_precompute_once_however_many_columns_read_them() -> None:
    unit = LutTensorCore(activation="int8")
    narrow, wide = (unit.energy_pj(8, n, 64, 2) for n in (64, 640))
    assert float(narrow.precompute) == float(wide.precompute) > 0
    assert float(wide.look_up) == pytest.approx(10 * float(narrow.look_up))


def test_tables_made_inside_are_made_again_for_every_block_of_columns() -> None:
    unit = UnpuLike(activation="int8")
    narrow, wide = (unit.energy_pj(8, n, 64, 2) for n in (64, 640))
    assert float(wide.precompute) == pytest.approx(10 * float(narrow.precompute))


def test_a_reader_of_figluts_tables_takes_least_energy_at_32_readers() -> None:
    energies = {readers: Figlut(n=readers).reader_pj for readers in range(1, 129)}
    assert min(energies, key=lambda readers: energies[readers]) == 32


def test_a_half_table_takes_half_the_power_of_a_full_one() -> None:
    ratio = Figlut().table_pj / Figlut(symmetric=False).table_pj
    assert ratio == pytest.approx(0.494, rel=0.05), "FIGLUT, Table III"


def test_a_flip_flop_table_takes_less_power_for_each_reader_than_a_float_adder() -> None:
    unit = Figlut()
    adder = unit.anchors.float_adder_gates("fp16", unit.cells) * unit.anchors.mac_pj_per_gate(unit.cells)
    assert unit.reader_pj - LutTensorCore(activation="fp16")._accumulate_pj / 128 < adder


def test_a_chips_lut_unit_takes_the_cycles_of_its_spec() -> None:
    spec = LutSpec(m=4, n=16, k=4, arrays=3, fill_cycles=2, node_nm=28)
    unit = LutTensorCore.of(spec, "int8")
    sizes = (np.array([1, 9]), np.array([17, 100]), np.array([33, 64]))
    assert unit.cycles(*sizes, 2).tolist() == spec.tile_cycles(*sizes, 2).tolist()
    assert unit.traffic(*sizes, 2).activation_bits.tolist() == spec.tile_traffic(*sizes, 2).table_bits.tolist()
    assert unit.traffic(*sizes, 2).weight_bits.tolist() == spec.tile_traffic(*sizes, 2).weight_bits.tolist()


@pytest.mark.parametrize("node", [16, 7, 5])
def test_a_newer_node_takes_less_and_the_result_says_how_much(node: Any) -> None:
    old, new = LutTensorCore(activation="int8"), LutTensorCore(activation="int8", node_nm=node)
    assert new.area_mm2 < old.area_mm2
    assert new.energy_pj(8, 64, 64, 2).total < old.energy_pj(8, 64, 64, 2).total
    assert new.cycles(8, 64, 64, 2) == old.cycles(8, 64, 64, 2)
    assert old.provenance == "area and energy at 28 nm, not scaled"
    assert f"from 28 nm to {node} nm (Stillmaker and Baas" in new.provenance


QUANTISED = [("fp16", "int8"), ("fp8", "int8"), ("int16", "int8"), ("int8", "int16"), ("fp8", "fp16")]


@pytest.mark.parametrize(("activation", "table"), QUANTISED)
@pytest.mark.parametrize("shape", [{}, {"m": 3, "n": 5, "k": 3, "arrays": 4}, {"k": 1}])
def test_units_with_tables_of_another_format_keep_the_contract(activation: Any, table: Any, shape: Any) -> None:
    check_unit(LutTensorCore(activation=activation, table=table, **shape), refused=9)


def test_units_whose_sums_are_scaled_in_turn_keep_the_contract() -> None:
    check_unit(LutTensorCore(activation="fp16", table="int8", tables_per_scale=4, least_planes=3), refused=9)


@pytest.mark.parametrize("activation", ["int16", "fp8", "fp16"])
def test_an_array_of_quantised_tables_is_an_integer_array_and_a_multiply_accumulate_for_each_look_up(
    activation: Any,
) -> None:
    integers, anchors = LutTensorCore(activation="int8"), AnchorSpec()
    unit = LutTensorCore(activation=activation, table="int8")
    assert unit.scale_units == 2 * 64
    assert unit.area_mm2 * 1e6 == pytest.approx(anchors.lut_int8_um2 + 128 * anchors.mac_fp16_um2)
    for bits in (1, 4):
        scaled = (float(unit.mac_pj(bits)) - float(integers.mac_pj(bits))) * 4
        assert scaled == pytest.approx(anchors.mac_fp16_pj), "once a group, whatever the planes"
    assert unit.scale_pj == pytest.approx(anchors.mac_fp16_pj)


def test_a_table_that_is_quantised_is_read_in_eight_bits_an_entry_and_one_scale() -> None:
    sizes = (2, 64, 4, 2)
    quantised, own = LutTensorCore(activation="fp16", table="int8"), LutTensorCore(activation="fp16")
    assert float(own.traffic(*sizes).activation_bits) == 2 * 8 * 16
    assert float(quantised.traffic(*sizes).activation_bits) == 2 * (8 * 8 + 16)
    shared = LutTensorCore(activation="fp16", table="int8", tables_per_scale=4)
    assert float(shared.traffic(*sizes).activation_bits) == 2 * (8 * 8 + 4)
    assert float(quantised.energy_pj(*sizes).precompute) > float(own.energy_pj(*sizes).precompute)


def test_scale_units_that_several_look_ups_share_are_fewer_and_weights_of_fewer_planes_wait_for_them() -> None:
    unit = LutTensorCore(activation="fp16", table="int8", least_planes=2)
    assert unit.scale_units == 64
    assert unit.peak_macs_per_cycle([1, 2, 3]).tolist() == [256, 256, 512 / 3]
    assert unit.cycles(2, 64, 40, [1, 2, 3]).tolist() == [21, 21, 31]
    assert LutTensorCore(activation="fp16", table="int8", tables_per_scale=4, m=1, n=6).scale_units == 2


def test_sums_of_eight_bits_in_tables_of_sixteen_need_no_scale() -> None:
    wide, int16 = LutTensorCore(activation="int8", table="int16"), LutTensorCore(activation="int16")
    assert (wide.area_mm2, wide.scale_units) == (int16.area_mm2, 0)
    assert float(wide.energy_pj(8, 8, 8, 1).precompute) < float(int16.energy_pj(8, 8, 8, 1).precompute)
    assert LutTensorCore(activation="fp8", table="fp16").area_mm2 == LutTensorCore(activation="fp16").area_mm2


@pytest.mark.parametrize(("more", "message"), [
    ({"activation": "int8", "table": "fp16"}, "tables of int8 are int8 or int16, not fp16"),
    ({"activation": "fp16", "table": "int8", "precompute": "inside"}, "made inside, it has the activations' format"),
    ({"activation": "fp16", "least_planes": 2}, "belong to tables that are quantised"),
])  # fmt: skip
def test_tables_that_do_not_suit_the_activations_are_refused(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LutTensorCore(**more)


@pytest.mark.parametrize(("activation", "bits", "table"), [
    ("fp16", 8, "int8"), ("fp16", 16, "fp16"), ("int16", 8, "int8"), ("fp8", 8, "fp8"), ("fp8", 16, "fp16"),
    ("int8", 8, "int8"), ("int8", 16, "int16"),
])  # fmt: skip
def test_a_chips_table_bits_say_which_tables_its_unit_is_charged_for(activation: Any, bits: Any, table: str) -> None:
    spec = LutSpec(activation=activation, table_bits=bits, node_nm=28)
    unit = LutTensorCore.of(spec)
    assert unit.entry_format == table
    assert unit.quantised == spec.quantised
    sizes = (np.array([1, 9]), np.array([17, 100]), np.array([33, 64]))
    assert unit.traffic(*sizes, 2).activation_bits.tolist() == spec.tile_traffic(*sizes, 2).table_bits.tolist()
    assert unit.cycles(*sizes, 2).tolist() == spec.tile_cycles(*sizes, 2).tolist()
    assert LutTensorCore.of(spec, node_nm=7).area_mm2 < unit.area_mm2


def test_a_format_without_tables_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"^activation: must be one of int8, int16, fp8, fp16, got 'int4'"):
        LutTensorCore.of(LutSpec(), "int4")


def test_units_of_several_kinds_are_evaluated_together() -> None:
    units: list[ComputeUnit] = [MacTensorCore.a100("int8"), LutTensorCore(activation="int8"), SystolicUnit()]
    together = evaluate(units, [2, 0, 1], 8, 64, [64, 128, 256], [2, 4, 1])
    assert together.cycles.tolist() == [
        int(units[2].cycles(8, 64, 64, 2)), int(units[0].cycles(8, 64, 128, 4)), int(units[1].cycles(8, 64, 256, 1))
    ]  # fmt: skip
    assert together.energy_pj[1] == float(units[0].energy_pj(8, 64, 128, 4).total)
    with pytest.raises(ValueError, match="unit must be 0 to 2, got 3 to 3"):
        evaluate(units, [3], 1, 1, 1, 1)


def test_density_is_peak_over_area_and_efficiency_does_not_depend_on_the_clock() -> None:
    slow, fast = LutTensorCore(activation="int8", clock_ghz=1), LutTensorCore(activation="int8", clock_ghz=2)
    assert float(density_tops_per_mm2(slow, 2)) == pytest.approx(2 * 256e-3 / slow.area_mm2)
    assert float(density_tops_per_mm2(fast, 2)) == 2 * float(density_tops_per_mm2(slow, 2))
    assert float(tops_per_w(fast, 2)) == float(tops_per_w(slow, 2))


def test_formats_without_a_published_area_are_refused() -> None:
    with pytest.raises(ValidationError, match="'int8', 'fp8' or 'fp16'"):
        MacTensorCore(activation="int16")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="activation: no area or energy is published for int16; there are fp16, fp8"):
        AnchorSpec().float_adder_gates("int16", CellSpec())


@pytest.mark.parametrize(("m", "n", "k", "name"), [(0, 1, 1, "m"), (1, -2, 1, "n"), (1, 1, 0, "k")])
def test_products_of_no_size_are_refused(m: int, n: int, k: int, name: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name}: a product has at least 1 row, column and element"):
        check_sizes(m, n, k)


@pytest.mark.parametrize("size", [4.5, 4.0, "4", None])
def test_products_of_sizes_that_are_not_whole_are_refused(size: Any) -> None:
    with pytest.raises(ConfigError, match=r"^n: a product has whole rows, columns and elements; got "):
        check_sizes(1, size, 1)


def test_a_look_up_unit_of_one_activation_has_a_table_of_one() -> None:
    unit: LookUpUnit = LutTensorCore(activation="int8", k=1)
    assert unit.table_entries == 1
    assert float(unit.energy_pj(4, 64, 8, 2).precompute) == 0
