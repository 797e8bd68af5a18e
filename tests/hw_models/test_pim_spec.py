"""PIM units as part of a chip: what is refused, rates, energy and area."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.cost import area_mm2, pim_pj
from cairn.hw_models.dram.pim_spec import PimSpec
from cairn.sim.config.problems import validate
from cairn.sim.config.resolve import CHIP, load_document


def load(name: str) -> ChipSpec:
    return validate(load_document(name, CHIP), ChipSpec)


def chip(pim: dict[str, Any], **content: Any) -> ChipSpec:
    return ChipSpec.model_validate({"name": "test", "source": "assumed: for a test", "pim": pim, **content})


@pytest.mark.parametrize(
    ("pim", "content", "rule"),
    [
        ({"kind": "bank"}, {"dram": {"model": "voxel_estimator"}}, "pim needs dram.model: controller"),
        ({"kind": "bank", "mixed_access": True}, {}, r"mode_change_cycles \(21\) must be 0 with mixed_access"),
        ({"kind": "logic", "banks_together": 4}, {}, "state mixed_access: true"),
        ({"kind": "bank", "column_bytes": 48}, {}, r"pim.column_bytes \(48\) must divide dram.row_bytes \(8192\)"),
        ({"kind": "middle"}, {}, "kind"),
        ({}, {}, "kind"),
    ],
)
def test_units_that_do_not_fit_are_refused_with_the_rule(
    pim: dict[str, Any], content: dict[str, Any], rule: str
) -> None:
    with pytest.raises(ValidationError, match=rule):
        chip(pim, **content)


def test_units_on_the_logic_die_have_four_times_the_bus_and_eight_operations_a_byte() -> None:
    cube = load("hbm3-cube-logic-pim")
    assert cube.pim_bytes_per_s == pytest.approx(4 * cube.dram_bytes_per_s)
    assert cube.pim_ops_per_s == pytest.approx(8 * cube.pim_bytes_per_s)


def test_units_at_the_banks_have_sixteen_times_the_bus_and_one_operation_a_byte() -> None:
    cube = load("hbm3-cube-bank-pim")
    assert cube.pim_bytes_per_s == pytest.approx(16 * cube.dram_bytes_per_s)
    assert cube.pim_ops_per_s == pytest.approx(cube.pim_bytes_per_s)


def test_a_chip_without_units_says_nothing_of_them() -> None:
    cube = load("hbm3-cube")
    assert cube.pim_bytes_per_s == 0 == cube.pim_ops_per_s == pim_pj(cube, 10, 10)
    assert "pim" not in cube.model_dump(mode="json", by_alias=True)
    assert "pim" not in area_mm2(cube)


def test_a_chip_with_units_survives_being_written_and_read_again() -> None:
    cube = load("hbm3-cube-logic-pim")
    assert ChipSpec.model_validate(cube.model_dump(mode="json", by_alias=True)) == cube


def test_energy_is_of_macs_and_bytes_and_activates_are_not_counted_twice() -> None:
    cube = load("hbm3-cube-bank-pim")
    assert pim_pj(cube, 100, 64) == pytest.approx(100 * 0.32 + 64 * 4.4)
    charged = {"dram": {"charged": "by_command", "interface": "tsv"}}
    content = cube.model_dump(mode="json", by_alias=True)
    by_command = ChipSpec.model_validate(content | {"energy": content["energy"] | charged})
    assert pim_pj(by_command, 100, 64) == pytest.approx(100 * 0.32 + 64 * 3.52)


def test_units_on_the_logic_die_take_the_area_that_duplex_says() -> None:
    cube = load("hbm3-cube-logic-pim")
    assert area_mm2(cube)["pim"] == pytest.approx(17.80, abs=0.01)


def test_banks_form_sets_that_open_rows_together() -> None:
    units = PimSpec(kind="logic", banks_together=8, mixed_access=True, mode_change_cycles=0)
    assert units.together(32) == 8
    assert PimSpec(kind="bank").together(32) == 32


@pytest.mark.parametrize(
    ("parts", "rows", "turns", "spacings", "sets"),
    [(1, 1, 1, 1.0, 1), (1, 9, 2, 2.0, 2), (2, 8, 2, 1.0, 1), (2, 9, 3, 1.5, 2), (2, 13, 4, 2.0, 2)],
)  # fmt: skip
def test_rows_beyond_those_at_once_take_further_parts_of_a_spacing(
    parts: int, rows: int, turns: int, spacings: float, sets: int
) -> None:
    units = PimSpec(kind="logic", mode_change_cycles=0, mixed_access=True, rows_at_once=8, turn_parts=parts)
    assert (units.turns_of(rows), units.spacings_of(rows), units.sets_of(rows)) == (turns, spacings, sets)
