"""Energy and area of DRAM channels against counts, published figures and currents of data sheets."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from cairn.base.errors import ConfigError
from cairn.base.spec import Spec, source_of
from cairn.hw_models.dram.area import (
    area_spec,
    bank_gbit_per_mm2,
    channel_area_mm2,
    die_gbit_per_mm2,
    stack_area_mm2,
    via_gb_per_s_per_mm2,
)
from cairn.hw_models.dram.control.build import ControllerSpec
from cairn.hw_models.dram.cost import (
    INTERFACE_OF_STANDARD,
    INTERFACES,
    TERMS,
    ChannelEnergy,
    channel_energy,
    energy_pj,
    energy_spec,
    refreshed_bits,
    row_bits,
)
from cairn.hw_models.dram.currents import HBM2, Currents
from cairn.hw_models.dram.device import device
from cairn.hw_models.dram.mapping import AddressMap
from cairn.hw_models.dram.request_list import pattern
from cairn.hw_models.dram.simulate import ChannelResult, simulate_channel
from cairn.hw_models.dram.standard import standards

STACKS = ("HBM2_2000", "HBM3_6400", "HBM4_8000")
HBM2_ACCESS = (3.59, 3.97)
"""Published pJ/bit of HBM2: dev.e_fgdram with every bit of a row used, without standby and refresh; dev.hmc_e."""


@cache
def run(preset: str, name: str, *, interval: int = 0, refresh: str = "all_bank") -> ChannelResult:
    chosen = device(preset)
    requests = pattern(name, 20_000, AddressMap.named(chosen, "bank_group_first"), interval=interval)
    return simulate_channel(chosen, ControllerSpec.model_validate({"refresh": refresh}), requests)


def energy(preset: str, name: str, interface: str = "interposer", *, interval: int = 0) -> ChannelEnergy:
    return channel_energy(run(preset, name, interval=interval), energy_spec(interface))


def per_bit(found: ChannelEnergy, term: str | None = None) -> float:
    return (found.total_pj if term is None else found.terms[term]) / found.moved_bits


def test_terms_add_up_to_what_counts_and_time_say() -> None:
    result = run("HBM2_2000", "random_mix21")
    found = energy("HBM2_2000", "random_mix21")
    bits, rows = result.bytes_moved * 8, result.commands["ACT"] * 8192
    refreshed = result.commands["REF"] * (1 << 32) / 8192  # half a channel of 2^33 bits, in 8192 refreshes
    watts = 1.2 * 0.055  # IDD3N of a channel of 1 GiB, which is what the preset has
    by_hand = 0.11 * rows + (0.44 + 1.01 + 1.23 + 0.5 + 0.3) * bits
    by_hand += 1.2 * (250 - 55) * 260 * refreshed / (1 << 20) + watts * result.time_ns * 1000
    assert result.commands["REF"] > 10 and result.commands["WR"] > 5000
    assert tuple(found.terms) == TERMS and found.moved_bits == bits
    assert found.total_pj == pytest.approx(by_hand, rel=1e-12)
    assert found.pj_per_bit == pytest.approx(by_hand / bits) and found.total_pj == sum(found.terms.values())
    assert found.power_w * result.time_ns * 1000 == pytest.approx(found.total_pj)


def test_arrays_of_counts_give_arrays_of_energies() -> None:
    spec = energy_spec("tsv")
    counts = np.array([[8192.0, 256.0, 0.0, 1.0], [0.0, 512.0, 4096.0, 2.0]])
    names = ("row_bits", "moved_bits", "refreshed_bits", "gb_ns")
    together = energy_pj(spec, **dict(zip(names, counts.T, strict=True)))
    for number, row in enumerate(counts):
        single = energy_pj(spec, **dict(zip(names, map(float, row), strict=True)))
        assert {term: float(np.asarray(each)[number]) for term, each in together.items()} == pytest.approx(single)


@pytest.mark.parametrize("preset", STACKS)
def test_a_stream_costs_what_is_published_for_hbm(preset: str) -> None:
    least, most = HBM2_ACCESS
    found = energy(preset, "stream_rd")
    assert least < per_bit(found) < most
    # whole rows are read, so the activate costs its published share and what refresh opens anew
    assert 0.11 <= per_bit(found, "activate") < 0.11 * 1.15


@pytest.mark.parametrize("preset", STACKS)
def test_more_activates_a_byte_cost_more(preset: str) -> None:
    stream, random, conflict = (energy(preset, name) for name in ("stream_rd", "random_rd", "conflict1"))
    assert per_bit(stream) < per_bit(random) < per_bit(conflict)
    assert per_bit(conflict, "activate") == pytest.approx(32 * 0.11, rel=1e-3)  # a row of 1 KiB for each 32 bytes
    assert per_bit(conflict, "cell") == per_bit(stream, "cell")


def test_at_the_locality_of_the_published_mean_an_activate_costs_its_published_share() -> None:
    # O'Connor et al. give 1.21 pJ/bit at the mean of their applications and 909 pJ for a row of 1 KiB
    used = 909 / 1.21
    found = energy_pj(energy_spec("interposer"), row_bits=8192.0, moved_bits=used, refreshed_bits=0.0, gb_ns=0.0)
    assert float(found["activate"]) / used == pytest.approx(1.21, rel=0.01)


def test_a_channel_with_little_to_do_spends_its_energy_on_standby() -> None:
    busy, idle = energy("HBM3_6400", "stream_rd"), energy("HBM3_6400", "stream_rd", interval=2000)
    assert busy.terms["standby"] < 0.1 * busy.total_pj
    assert idle.terms["standby"] > 0.75 * idle.total_pj
    assert idle.power_w == pytest.approx(HBM2.standby_open_w, rel=0.35) and idle.power_w > HBM2.standby_open_w


def test_refresh_costs_the_same_by_banks_as_for_all_at_once() -> None:
    spec = energy_spec("interposer")
    whole, parts = (run("HBM3_6400", "stream_rd", interval=20, refresh=refresh) for refresh in ("all_bank", "per_bank"))
    assert whole.commands["REFPB"] == 0 and parts.commands["REF"] == 0
    watts = [channel_energy(result, spec).terms["refresh"] / result.time_ns for result in (whole, parts)]
    assert watts[0] == pytest.approx(watts[1], rel=0.05)
    assert refreshed_bits(whole.device, one_bank=True) * 32 == refreshed_bits(whole.device)


def test_currents_and_the_ladder_agree_within_a_factor_of_two_and_a_quarter() -> None:
    ladder = energy_spec("interposer")
    assert HBM2.activate_pj == pytest.approx(1.2 * (65 * 48 - 55 * 34 - 40 * 14))
    assert HBM2.standby_closed_w < HBM2.standby_open_w
    core = ladder.cell_pj_per_bit + ladder.column_pj_per_bit
    ratios = {
        "activate": ladder.activate_pj_per_row_bit / (HBM2.activate_pj / HBM2.row_bits),
        "read": core / (HBM2.read_pj / HBM2.burst_bits),
        "write": core / (HBM2.write_pj / HBM2.burst_bits),
        "rows of a refresh": HBM2.activate_pj / HBM2.row_bits / ladder.refresh_pj_per_row_bit,
    }
    expected = {"activate": 2.18, "read": 1.71, "write": 1.28, "rows of a refresh": 0.87}
    assert ratios == pytest.approx(expected, abs=0.01)
    assert max(ratios.values()) < 2.25


def test_bonded_dram_costs_what_is_reported_for_it() -> None:
    spec = energy_spec("hybrid_bond")
    whole_rows = energy_pj(spec, row_bits=1.0, moved_bits=1.0, refreshed_bits=0.0, gb_ns=0.0)
    total = sum(map(float, whole_rows.values()))
    assert total == pytest.approx(0.88) and 0.66 < total < 7.6 / 8  # dev.sedram; dev.tasa; vx.e_dram with vx.e_tsv
    costs = [per_bit(energy("HBM3_6400", "stream_rd", interface)) for interface in ("interposer", "tsv", "hybrid_bond")]
    assert costs[0] - costs[1] == pytest.approx(0.3)
    assert costs[2] < costs[1] / 2


def test_a_run_without_requests_has_power_and_no_energy_per_bit() -> None:
    nothing = ChannelEnergy(dict.fromkeys(TERMS, 0.0), 0, 0.0)
    assert nothing.pj_per_bit is None and nothing.power_w == 0.0 and nothing.as_dict()["total_pj"] == 0.0


@pytest.mark.parametrize("chosen", [energy_spec, area_spec])
def test_an_unknown_interface_is_refused_with_those_that_exist(chosen: object) -> None:
    assert callable(chosen)
    with pytest.raises(ConfigError, match=r"no DRAM interface 'dimm'.*interposer, tsv, hybrid_bond"):
        chosen("dimm")


@pytest.mark.parametrize("interface", INTERFACES)
def test_every_default_says_where_it_is_from(interface: str) -> None:
    specs: tuple[Spec, ...] = (energy_spec(interface), area_spec(interface), Currents())
    assert [name for spec in specs for name in type(spec).model_fields if not source_of(type(spec), name)] == []


def test_interfaces_are_known_for_standards_that_exist() -> None:
    assert set(INTERFACE_OF_STANDARD) <= set(standards()) and set(INTERFACE_OF_STANDARD.values()) <= set(INTERFACES)
    assert all(row_bits(device(preset)) == 8192 for preset in STACKS)


def test_densities_lie_between_published_ones() -> None:
    for interface in INTERFACES:
        spec = area_spec(interface)
        assert bank_gbit_per_mm2(spec) == pytest.approx(0.119, abs=0.001)
        # dev.alibaba; vx.dram_capacity over eight dies of 800 mm2 (vx.area.dse_cost)
        assert 64 / 1024 < die_gbit_per_mm2(spec) < 192 * 8 / (8 * 800)
    # vx.area.table4 over vx.dram_bw.code; dev.voxel_tsv_density
    assert 12288 * 2**30 / 1e9 / 18.4 < via_gb_per_s_per_mm2(area_spec("hybrid_bond")) < 400 / 0.02
    assert via_gb_per_s_per_mm2(area_spec("tsv")) == 200


def test_area_of_a_channel_grows_with_what_it_holds_and_carries() -> None:
    spec = area_spec("tsv")
    one = channel_area_mm2(device("HBM3_6400"), spec)
    assert one["bank"] == pytest.approx(8 / bank_gbit_per_mm2(spec))
    assert sum(one.values()) - one["via"] == pytest.approx(8 / die_gbit_per_mm2(spec))
    assert one["via"] == pytest.approx(51.2 / 200)
    eight = channel_area_mm2(device("HBM3_6400"), spec, dies=8)
    assert eight == pytest.approx({**one, "via": 8 * one["via"]})
    doubled = stack_area_mm2(spec, capacity_bytes=2 << 30, gb_per_s=102.4)
    assert doubled == pytest.approx({part: 2 * area for part, area in one.items()})
