"""The suite `lut`, its units: what went in counts for nothing, constants fit their rows, wrong figures fail."""

from __future__ import annotations

from typing import Any

import pytest

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.units import shapes as shape_search
from cairn.hw_models.compute.units.anchors import AnchorSpec
from cairn.hw_models.compute.units.cells import CellSpec
from cairn.hw_models.compute.units.look_up import UnpuLike
from cairn.validation.gates import Verdict, judge
from cairn.validation.reference import Entry, ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suite import load_suite
from cairn.validation.suites.lut import arrays, bit_width, latency, precompute, shapes
from cairn.validation.suites.lut.gpus import FILE, gpu, parse
from cairn.validation.suites.lut.models import layer_macs, matrices, model, table_inputs

ENTRIES = ReferenceDir().entries(FILE)
OTHERS = ReferenceDir().entries("lut/lut_hw_others.yaml")


def verdicts(rows: list[Row]) -> dict[str, Verdict]:
    results = [judge(gate, rows) for gate in load_suite("lut").sheet.gates]
    return {result.gate.name: result.verdict for result in results if result.rows}


def entry(name: str, value: Any) -> dict[str, Entry]:
    """One entry of the reference with another value."""
    old = ENTRIES[name]
    return {name: Entry(name, old.what, value, old.unit, old.conditions, old.source, old.file)}


def test_areas_and_rates_that_did_not_go_in_come_out_within_a_tenth() -> None:
    rows = list(arrays.rows(ENTRIES, OTHERS))
    assert {gate: verdict for gate, verdict in verdicts(rows).items() if verdict is not Verdict.PASS} == {}
    counted = {row.id for row in rows if "arrays" in row.counts}
    assert {f"arrays/a100_lut8x/{figure}" for figure in ("area", "density", "eff", "peak")} <= counted


@pytest.mark.parametrize("figure", ["a100_fp16/area", "a100_int8/eff", "h100_fp8/area", "h100_lut4x/density"])
def test_figures_that_anchors_were_derived_from_count_for_nothing(figure: str) -> None:
    (row,) = [row for row in arrays.rows(ENTRIES, OTHERS) if row.id == f"arrays/{figure}"]
    assert not row.counts
    assert row.excluded == {"arrays": "an input: the anchors were derived from it"}


def test_a_further_row_of_table_1_is_predicted_by_its_name() -> None:
    (row,) = arrays.rows(entry("ltc_t1_a100_lut8x_area", 0.19) | {}, {})
    assert verdicts([row])["arrays"] is Verdict.FAIL
    four, quantity = parse("ltc_t1_a100_lut4x_area") or (None, "")
    eight, _ = parse("ltc_t1_a100_lut8x_area") or (None, "")
    assert four is not None and eight is not None and quantity == "area"
    assert eight.unit.area_mm2 == pytest.approx(2 * four.unit.area_mm2)
    assert eight.peak_tops == pytest.approx(2 * four.peak_tops)
    assert parse("ltc_t2_full_area") is None
    assert parse("ltc_t1_b200_lut4x_area") is None


def test_single_units_are_told_apart_by_name_and_a_range_must_be_one() -> None:
    mac = ENTRIES["ltc_dp4_mac_w16a16"]
    both = dict.fromkeys(("ltc_dp4_mac_w16a16", "ltc_dp4_lut_w1a16", "ltc_dp4_lut_w2a16"), mac)
    densities = [row.prediction or 0.0 for row in arrays.rows(both, {})]
    assert densities[1] == pytest.approx(2 * densities[2])
    assert densities[1] == pytest.approx(densities[0] * 6.993, rel=1e-3)
    with pytest.raises(ConfigError, match="a range such as 4 to 6 belongs here, not 'some'"):
        list(arrays.rows(entry("ltc_tc_ppa_gain", "some"), {}))


def test_a_selector_of_another_size_breaks_the_rows_of_table_2() -> None:
    wrong = UnpuLike(activation="int8", cells=CellSpec(select=2 * CellSpec().select))
    assert wrong.area_mm2 * 1e6 > 1.05 * 17271.71


def test_look_up_units_lose_to_macs_beyond_the_published_bits() -> None:
    rows = list(bit_width.rows(ENTRIES))
    assert verdicts(rows) == {"bits": Verdict.PASS}
    assert verdicts(list(bit_width.rows(entry("ltc_area_break_even_bits", [7, 2, 2])))) == {"bits": Verdict.FAIL}
    assert {row.id for row in rows if not row.counts} == {
        "bits/lut/fp8", "bits/add/fp8", "bits/conventional_lut/fp8", "bits/add/int8"
    }  # fmt: skip


def test_the_crossover_moves_with_the_area_of_the_mac_that_goes_in() -> None:
    smaller = AnchorSpec(mac_int8_um2=AnchorSpec().mac_int8_um2 / 2)
    lut = bit_width.LutTensorCore(activation="int8", anchors=smaller)
    assert bit_width.most_bits_smaller_than(lut, bit_width.MacTensorCore(activation="int8", anchors=smaller)) == 3


def test_the_published_shape_is_best_and_others_are_not() -> None:
    assert verdicts(list(shapes.rows(ENTRIES))) == {"best_shape": Verdict.PASS, "best_k": Verdict.PASS}
    assert verdicts(list(shapes.rows(entry("ltc_best_tile", [8, 16, 4]))))["best_shape"] is Verdict.FAIL
    assert verdicts(list(shapes.rows(entry("ltc_best_k", [5, 5]))))["best_k"] is Verdict.FAIL


def test_a_shape_as_good_as_the_published_one_is_named_with_the_registers_that_make_it_so() -> None:
    rows = {row.id: row for row in shapes.rows(ENTRIES)}
    found = sorted(name for name in rows if "/tie/" in name)
    assert found == ["shapes/fp8/tie/4-32-4", "shapes/int8/tie/4-32-4"], "with entries of 16 bits 2-64-4 is alone"
    row = rows["shapes/int8/tie/4-32-4"]
    assert (row.reference, row.prediction) == (2 * 8 * 8 + 4 * 64, 4 * 8 * 8 + 4 * 32)
    assert "4 x 8 x 8 + 4 x 32" in row.remark and not row.counts
    assert rows["shapes/int8"].remark.endswith("4-32-4 ties.")
    assert "64 M + 4 N" in load_suite("lut").sheet.note_on(row)


def test_every_shape_of_the_search_has_the_lanes_asked_for() -> None:
    ranked = shape_search.best_first("int8", lanes=48)
    assert all(shape.m * shape.n * shape.k == 48 for shape in ranked)
    assert len({(shape.m, shape.n, shape.k) for shape in ranked}) == len(ranked) == 10 + 8 + 5 + 6 + 4 + 4
    assert [shape.product for shape in ranked] == sorted(shape.product for shape in ranked)


def test_constants_of_the_latencies_are_those_that_fit_their_two_rows() -> None:
    sheet = load_suite("lut").sheet
    rows = {row.id: row for row in latency.rows(ENTRIES)}
    for quantity in latency.PHASES:
        for at in latency.FITTED_ON:
            row = rows[f"latency/{quantity}/{at}"]
            assert abs(row.error()) < 2e-4
            assert not row.counts and sheet.is_fitted(row)


def test_the_latency_of_the_third_unit_is_predicted_within_a_tenth() -> None:
    rows = list(latency.rows(ENTRIES))
    assert verdicts(rows)["latency"] is Verdict.PASS
    assert {row.id for row in rows if "latency" in row.counts} == {
        "latency/prefill/a100_lut8x", "latency/decode1024/a100_lut8x"
    }  # fmt: skip
    assert verdicts(list(latency.rows(entry("ltc_t1_a100_lut8x_decode1024", 9.0)))) == {"latency": Verdict.FAIL}


def test_no_latency_is_below_the_time_at_peak_rate() -> None:
    for row in latency.rows(ENTRIES):
        assert row.prediction is not None and row.prediction > row.baselines["peak rate"]
    assert latency.ideal_ms(gpu("a100", "fp16"), 2048) == pytest.approx(42.3, abs=0.1)


def test_overheads_of_precompute_lie_where_the_paper_has_them() -> None:
    found = verdicts(list(precompute.rows(ENTRIES)))
    assert (found["fused_below"], found["separate_range"]) == (Verdict.PASS, Verdict.PASS)
    outside = list(precompute.rows(entry("ltc_t4_opt175b_prefill", [32.38, 45.0, 33.63])))
    assert "separate_range" not in verdicts(outside), "what is published outside the range is no measure of it"
    faster = entry("ltc_t4_opt175b_prefill", [10.0, 12.0, 10.3])
    assert verdicts(list(precompute.rows(faster)))["separate_range"] is Verdict.FAIL


def test_the_efficiency_of_separate_precompute_is_the_one_that_fits_its_row() -> None:
    assert precompute.mean_percent("separate", "decode") == pytest.approx(24.41, abs=0.01)
    (fitted,) = [row for row in precompute.rows(ENTRIES) if row.id == "precompute/mean/separate/decode"]
    assert not fitted.counts and load_suite("lut").sheet.is_fitted(fitted)


def test_fused_tables_cost_what_they_are_larger_by() -> None:
    assert precompute.expansion() == 2
    activations = 2048 * (12288 + 12288 + 12288 + 4 * 12288)
    assert precompute.fused_ms("opt175b", 2048) == pytest.approx(activations * 2 * 2 / 1555e6)


def test_layers_have_the_matrices_of_their_models() -> None:
    llama = model("llama-2-70b")
    assert matrices(llama) == [(8192, 8192), (8192, 1024), (8192, 1024), (8192, 8192)] + [(8192, 28672)] * 2 + [
        (28672, 8192)
    ]  # fmt: skip
    assert layer_macs(llama, 1) == 2 * 8192**2 + 2 * 8192 * 1024 + 3 * 8192 * 28672
    assert table_inputs(llama, 10) == 10 * (3 * 8192 + 28672)


def test_tables_beyond_the_l2_leave_as_sectors_and_smaller_ones_at_the_bandwidth() -> None:
    few = 100
    moved = few * (3 * 12288 + 49152) * 2 * (1 + precompute.expansion())
    assert precompute.sectors_ms("opt175b", few) == pytest.approx(moved / 1555e6)
    tables = 1024 * 12288 * 4, 1024 * 49152 * 4
    beyond = 3 * (tables[0] - 40e6) + tables[1] - 40e6
    whole = 1024 * (3 * 12288 + 49152) * 2 * 3
    assert precompute.sectors_ms("opt175b", 1024) == pytest.approx((whole + 15 * beyond) / 1555e6)


def test_overheads_of_separate_precompute_are_shown_with_the_form_that_has_no_constant() -> None:
    rows = {row.id: row for row in precompute.rows(ENTRIES) if row.baselines}
    layers = {f"precompute/separate/{at}" for at in ("opt175b/prefill", "opt175b/decode", "bloom176b/prefill")}
    assert set(rows) == layers | {f"precompute/mean/separate/{phase}" for phase in ("prefill", "decode")}
    for phase in ("prefill", "decode"):
        assert abs(rows[f"precompute/separate/opt175b/{phase}"].error(precompute.SECTORS)) < 0.12


def test_unpus_unit_saves_more_over_a_multiplier_the_fewer_bits_weights_have() -> None:
    rows = {row.id: row for row in arrays.rows(ENTRIES, OTHERS) if "unpu_energy" in row.id}
    assert list(rows) == [f"arrays/unpu_energy/{bits}_bits" for bits in (8, 4, 1)]
    ratios = [row.prediction or 0.0 for row in rows.values()]
    assert ratios == sorted(ratios, reverse=True) and ratios[0] < 1
    assert [row.reference for row in rows.values()] == [pytest.approx(1 - saved) for saved in (0.272, 0.410, 0.536)]
    assert not any(row.counts for row in rows.values())


def test_a_multiplier_has_a_row_of_adders_less_than_its_weights_have_bits() -> None:
    cells = CellSpec()
    one, two = cells.multiply_accumulate(8, 1), cells.multiply_accumulate(8, 2)
    assert one == pytest.approx(8 * cells.and_gate + cells.accumulator(9))
    assert two - one == pytest.approx(8 * (cells.and_gate + cells.full_adder) + cells.accumulator(1))
