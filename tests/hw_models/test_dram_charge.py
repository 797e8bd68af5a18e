"""A chip's DRAM charged by command: terms, powers, vias on the logic die and the DRAM dies, against counts by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cairn.base.spec import source_of
from cairn.base.ticks import NEVER
from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.cost import (
    COMPONENTS,
    EnergySpec,
    area_mm2,
    die_shortage,
    dram_die_mm2,
    dram_die_shortage,
    dynamic_energy_pj,
    power_shortage,
    static_power_w,
)
from cairn.hw_models.dram.area import DramDieSpec, area_spec, dram_die_area, stack_area_mm2
from cairn.hw_models.dram.build import build_dram, dram_counters
from cairn.hw_models.dram.charge import (
    COMPONENT,
    DYNAMIC,
    STATIC,
    DramChargeSpec,
    dynamic_pj,
    energies,
    refreshed_bits_per_ns,
    static_w,
)
from cairn.hw_models.dram.cost import INTERFACES, TERMS, DramEnergySpec, energy_spec
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.server import NOW

NOTHING = {"macs": 0, "vector_ops": 0, "sram_bytes": 0, "noc_bytes": 0, "noc_hop_bytes": 0}


def by_command(interface: str, **numbers: float) -> DramChargeSpec:
    return DramChargeSpec.model_validate({"charged": "by_command", "interface": interface, **numbers})


def chip(charge: dict[str, Any] | None = None, area: dict[str, Any] | None = None, **changes: Any) -> ChipSpec:
    content = {"name": "voxel", "source": "defaults", "energy": {"dram": charge or {}}, "area": {"dram": area or {}}}
    return ChipSpec.model_validate({**content, **changes})


def test_every_term_has_one_nature_and_one_component() -> None:
    assert (*DYNAMIC, *STATIC) == TERMS
    assert set(COMPONENT) == set(TERMS) and set(COMPONENT.values()) <= set(COMPONENTS)
    assert set(DramEnergySpec.model_fields) == set(DramChargeSpec.model_fields) - {"charged", "interface"}
    for spec in (DramChargeSpec, DramDieSpec):
        assert [name for name in spec.model_fields if not source_of(spec, name)] == []


def test_a_chip_that_says_nothing_is_charged_per_byte_whatever_rows_it_opens() -> None:
    energy = dynamic_energy_pj(EnergySpec(), **NOTHING, dram_bytes=1000, dram_row_bits=65536)
    assert (energy["dram"], energy["tsv"]) == (7000.0, 600.0)
    stated = EnergySpec.model_validate({"dram": {"interface": "tsv"}})
    assert dynamic_energy_pj(stated, **NOTHING, dram_bytes=1000, dram_row_bits=65536) == energy
    assert static_power_w(chip())["dram"] == 192 * 0.125


def test_by_command_rows_and_bits_are_charged_and_bytes_are_not() -> None:
    energy = EnergySpec.model_validate({"dram": {"charged": "by_command", "interface": "interposer"}})
    found = dynamic_energy_pj(energy, **NOTHING, dram_bytes=128, dram_row_bits=65536)
    assert found["dram"] == pytest.approx(0.11 * 65536 + (0.44 + 1.01 + 1.23) * 1024)
    assert found["tsv"] == pytest.approx((0.5 + 0.3) * 1024)
    dearer = EnergySpec.model_validate({**energy.model_dump(), "dram_pj_per_byte": 70.0, "tsv_pj_per_byte": 6.0})
    assert dynamic_energy_pj(dearer, **NOTHING, dram_bytes=128, dram_row_bits=65536) == found


@pytest.mark.parametrize(("interface", "pj_per_bit"), [("hybrid_bond", 0.88), ("tsv", 3.29), ("interposer", 3.59)])
def test_whole_rows_used_once_cost_what_is_published(interface: str, pj_per_bit: float) -> None:
    """dev.sedram; dev.e_fgdram, with the interposer and without."""
    terms = dynamic_pj(by_command(interface), row_bits=65536.0, moved_bytes=8192.0)
    assert sum(terms.values()) / 65536 == pytest.approx(pj_per_bit)


@pytest.mark.parametrize("name", DramEnergySpec.model_fields)
def test_a_number_that_is_given_replaces_that_of_the_interface_alone(name: str) -> None:
    changed, own = energies(by_command("tsv", **{name: 12.5})), energy_spec("tsv")
    assert {**own.model_dump(), name: 12.5} == changed.model_dump()
    assert energies(by_command("tsv")) == own


def test_terms_of_many_designs_are_those_of_each() -> None:
    charge = by_command("hybrid_bond")
    rows, moved = np.array([0.0, 8192.0, 1e9]), np.array([10.0, 20.0, 30.0])
    together = dynamic_pj(charge, row_bits=rows, moved_bytes=moved)
    for number in range(3):
        alone = dynamic_pj(charge, row_bits=float(rows[number]), moved_bytes=float(moved[number]))
        assert {term: float(values[number]) for term, values in together.items()} == pytest.approx(alone)


def test_standby_and_refresh_are_powers_of_the_dram() -> None:
    """192 GB; every bit once in 8192 intervals of 12480 cycles at 1.6 GHz, 7.8 us."""
    still = static_w(by_command("tsv"), DramSpec())
    assert still == pytest.approx({"refresh": 0.0, "standby": 192 * 1.2 * 0.055 / 1.073741824})
    dram = DramSpec(refresh="all_bank")
    refreshed = 192e9 * 8 / 8192 / 7800
    assert refreshed_bits_per_ns(dram) == pytest.approx(refreshed)
    found = static_w(by_command("tsv", refresh_pj_per_row_bit=0.1, standby_w_per_gb=0.5), dram)
    assert found == pytest.approx({"refresh": 0.1 * refreshed * 1e-3, "standby": 96.0})
    spec = chip({"charged": "by_command", "interface": "tsv", "standby_w_per_gb": 0.5}, dram={"refresh": "all_bank"})
    own = energy_spec("tsv").refresh_pj_per_row_bit
    assert static_power_w(spec)["dram"] == pytest.approx(96.0 + own * refreshed * 1e-3)


def test_a_channel_refreshes_as_often_as_its_refresh_power_says() -> None:
    """A channel with one read in each microsecond, for 400 us: 51 refreshes of 1/8192 of its rows."""
    spec = DramSpec(refresh="all_bank", model="controller", channels=1, bandwidth_gb_per_s=47.0, capacity_gb=0.75)
    server = build_dram(spec, 1, 1, 64)
    state = server.fresh()
    for number in range(400):
        while state[NOW] < number * 1_000_000:
            server.kind.advance(state, number * 1_000_000)
        server.kind.enqueue(state, number, np.array([0, 0, number % 16, 1, 0, 8192, 0, 64], dtype=np.int64))
    while server.kind.next_event(state) < NEVER:
        server.kind.advance(state, server.kind.next_event(state))
    counted, bits_each = int(dram_counters(spec, state)["refreshes"].sum()), 0.75e9 * 8 / 8192
    assert counted == 51 == int(refreshed_bits_per_ns(spec) * state[NOW] / 1000 / bits_each)


def test_the_power_check_sees_what_the_dram_draws_by_command() -> None:
    spec = chip({"charged": "by_command", "interface": "interposer", "standby_w_per_gb": 1.0})
    bound = 0.7 * sum(area_mm2(spec).values())
    logic = sum(power for name, power in static_power_w(spec).items() if name != "dram")
    assert power_shortage(spec, bound - logic - 192.0 - 0.1) is None
    assert power_shortage(spec, bound - logic - 192.0 + 0.1) is not None


def test_vias_and_bonds_of_a_stated_interface_stand_on_the_logic_die() -> None:
    voxel = area_mm2(chip())
    assert voxel["tsv"] == pytest.approx(18.4 * 12000 / 13194.139533312)
    assert area_mm2(chip({"interface": "interposer"})) == voxel  # its PHY is not known
    assert area_mm2(chip({"interface": "tsv"})) == pytest.approx({**voxel, "tsv": 12000 / (1600 / 2 * 2 / 8)})
    assert area_mm2(chip({"interface": "hybrid_bond"}))["tsv"] == pytest.approx(12000 / (110000 / 2 * 0.5 / 8))
    own = chip({"interface": "tsv"}, {"via_gb_per_s_per_mm2": 1000.0})
    assert area_mm2(own)["tsv"] == pytest.approx(12.0)
    assert die_shortage(chip({"interface": "tsv"})) is not None  # 60 mm2 of vias where Voxel has 16.7


@pytest.mark.parametrize("interface", INTERFACES)
def test_all_dram_dies_together_are_the_stack(interface: str) -> None:
    parts = dram_die_area(DramDieSpec(dies=6), interface, capacity_gb=48.0, gb_per_s=3000.0)
    stack = stack_area_mm2(area_spec(interface), capacity_bytes=48e9, gb_per_s=3000.0, dies=6)
    assert {part: 6 * area for part, area in parts.items()} == pytest.approx(stack)
    assert parts == dram_die_area(DramDieSpec(), interface, capacity_gb=48.0, gb_per_s=3000.0, dies=6)


def test_dram_dies_are_no_part_of_the_logic_die_and_unknown_without_an_interface() -> None:
    assert dram_die_mm2(chip()) is None
    few, many = (dram_die_mm2(chip({"interface": "hybrid_bond"}, {"dies": dies})) for dies in (4, 16))
    assert few is not None and many is not None
    assert (few["bank"], few["periphery"]) == pytest.approx((4 * many["bank"], 4 * many["periphery"]))
    assert few["via"] == many["via"]
    assert set(area_mm2(chip({"interface": "hybrid_bond"}))) == {"matrix", "vector", "sram", "noc", "tsv"}


def test_the_density_of_a_newer_process_can_be_stated() -> None:
    """192 GB on eight dies of 800 mm2 (vx.dram_capacity, vx.area.dse_cost) are 0.2235 x 2^30 bits on a mm2."""
    density = 192e9 * 8 / 2**30 / 6400
    parts = dram_die_area(DramDieSpec(gbit_per_mm2=density), "tsv", capacity_gb=192.0, gb_per_s=0.0)
    assert sum(parts.values()) == pytest.approx(800) and parts["periphery"] == pytest.approx(200)


def test_dram_dies_beyond_the_limit_are_refused_where_the_chip_asks() -> None:
    asked = {"within_die_limit": True}
    assert dram_die_shortage(chip({"interface": "hybrid_bond"})) is None
    assert dram_die_shortage(chip({"interface": "hybrid_bond"}, {**asked, "gbit_per_mm2": 0.24})) is None
    problem = dram_die_shortage(chip({"interface": "hybrid_bond"}, asked))
    assert problem is not None and (problem.constraint, problem.bound) == ("area of a DRAM die", 850.0)
    assert problem.demand == pytest.approx(192e9 * 8 / 2**30 / 8 / 0.0887 + 3.5, rel=0.01)
    assert "more DRAM dies (chip.area.dram.dies)" in problem.remedy
    with pytest.raises(ValueError, match=r"within_die_limit needs an interface \(energy.dram.interface or"):
        chip({}, asked)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"charged": "by_command"}, "`charged` by_command needs an `interface`: interposer, tsv or hybrid_bond"),
        ({"cell_pj_per_bit": 0.4}, "cell_pj_per_bit has no meaning where `charged` is per_byte; set it to by_command"),
        ({"charged": "by_command", "interface": "tsv", "standby_w_per_gb": -1.0}, "greater than or equal to 0"),
        ({"charged": "by_command", "interface": "dimm"}, "'interposer', 'tsv' or 'hybrid_bond'"),
        ({"charged": "by_row"}, "'per_byte' or 'by_command'"),
    ],
)
def test_what_does_not_fit_together_is_refused(content: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DramChargeSpec.model_validate(content)
