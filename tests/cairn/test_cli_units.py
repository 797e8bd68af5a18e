"""`cairn units` end to end."""

from __future__ import annotations

import pytest

from cairn.cli.main import main
from cairn.hw_models.compute.units.catalogue import Wanted, unit, unit_kinds
from cairn.hw_models.compute.units.contract import utilisation
from tests.cairn.commands import as_json, refusal


def test_the_table_says_what_its_json_says_and_both_what_the_units_answer(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("units", "--activation", "fp16", "--shape", "33x500x1000", "--bits", "1.6,4", "--node", "7")
    content = as_json(capsys, *words)
    assert content["schema"] == "cairn.units/1" and content["shape"] == [33, 500, 1000]
    taking = [name for name in unit_kinds if "fp16" in unit_kinds.get(name).formats]
    assert [one["unit"] for one in content["units"]] == 2 * taking
    assert {"mac", "lut", "lut-int8", "bitmod", "ant", "olive"} <= set(taking)
    assert main(list(words)) == 0
    text = capsys.readouterr().out
    for one in content["units"]:
        built = unit(one["unit"], Wanted("fp16", node_nm=7, least_planes=2))
        assert one["area_mm2"] == built.area_mm2 <= 1
        assert one["cycles"] == int(built.cycles(33, 500, 1000, one["weight_bits"]))
        assert one["waste"] == 1 - float(utilisation(built, 33, 500, 1000, one["weight_bits"]))
        energy = built.energy_pj(33, 500, 1000, one["weight_bits"])
        assert one["arrays_uj"] + one["sram_uj"] == pytest.approx(float(energy.total) * 1e-6)
        assert f"{one['cycles']:,}" in text and f"{one['tops_per_mm2']:.3g}" in text
    assert "from 28 nm to 7 nm (Stillmaker and Baas" in text.replace("\n", " ")
    assert "Weights of 1.6 bits" in text


def test_only_the_units_asked_for_are_shown_at_the_clock_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    content = as_json(capsys, "units", "--unit", "figlut", "--unit", "lut", "--bits", "1", "--clock", "0.5")
    assert [(one["unit"], one["clock_ghz"]) for one in content["units"]] == [("figlut", 0.5), ("lut", 0.5)]
    smaller = as_json(capsys, "units", "--unit", "lut", "--bits", "1", "--area", "0.1")["units"][0]
    assert smaller["area_mm2"] <= 0.1 < 0.2 < content["units"][1]["area_mm2"]


def test_units_without_the_format_are_named_below_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    content = as_json(capsys, "units", "--activation", "int16", "--bits", "2")
    names = [one["unit"] for one in content["units"]]
    assert "mac" not in names and "lut-int8" in names
    assert "mac takes int8, fp8, fp16" in content["notes"]


def test_the_list_has_every_unit(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["units", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(unit_kinds)


@pytest.mark.parametrize(("words", "message"), [
    (("--shape", "12x12"), "--shape 12x12: three sizes M x N x K belong here, such as 2048x4096x4096"),
    (("--shape", "0x1x1"), "--shape 0x1x1: rows, columns and elements are from 1 to 1,000,000"),
    (("--shape", "1x1x2000000"), "--shape 1x1x2000000: rows, columns and elements are from 1 to 1,000,000"),
    (("--bits", "1;2"), "--bits 1;2: numbers with commas between belong here, such as 1,2,4"),
    (("--bits", "2,9"), "--bits 2,9: weights have 1 to 8 whole bits, or 1.58 to 2 where they are ternary; "
                        "got [2.0, 9.0]"),
    (("--activation", "int4"), "activation: must be one of int8, int16, fp8, fp16, got 'int4'"),
    (("--activation", "int16", "--unit", "mac"), "activation: mac takes int8, fp8, fp16, not int16"),
    (("--unit", "lot"), "no unit is called 'lot'; did you mean 'lut'? (allowed: " + ", ".join(unit_kinds) + ")"),
    (("--unit", "lut", "--area", "0.001"), "area: 0.001 mm2 hold no array, which takes 0.012 mm2"),
    (("--area", "-1"), "area: must be a number of mm2 above 0, got -1.0"),
    (("--clock", "0"), "clock: must be above 0 and at most 100 GHz, got 0.0"),
    (("--node", "10"), "node: must be one of 28, 16, 7, 5 nm, got 10"),
])  # fmt: skip
def test_a_mistake_is_refused_with_what_is_allowed(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    assert refusal(capsys, "units", *words) == message


@pytest.mark.parametrize("name", list(unit_kinds))
def test_a_unit_of_more_area_holds_more_and_never_more_than_it_may(name: str) -> None:
    for activation in unit_kinds.get(name).formats:
        small, large = (unit(name, Wanted(activation, area_mm2=area)) for area in (0.3, 1.2))
        assert 0.3 * 0.5 < small.area_mm2 <= 0.3 < 1.2 * 0.5 < large.area_mm2 <= 1.2
