"""The DRAM standards as data: each loads, siblings agree where they must, and presets give the published figures."""

from __future__ import annotations

from typing import Any

import pytest

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.control.build import ControllerSpec
from cairn.hw_models.dram.device import device
from cairn.hw_models.dram.mapping import AddressMap
from cairn.hw_models.dram.request_list import pattern
from cairn.hw_models.dram.simulate import simulate_channel
from cairn.hw_models.dram.standard import FOLDER, Standard, presets, standards

NAMES = ("DDR3", "DDR4", "DDR5", "GDDR6", "HBM2", "HBM3", "HBM4", "LPDDR5")
PER_BANK = ("GDDR6", "HBM2", "HBM3", "HBM4", "LPDDR5")
"""Standards with a command to refresh one bank."""


def ruled(standard: Standard, *scopes: str) -> set[str]:
    """Rules written in these scopes, all scopes if none is named."""
    return {rule for scope in scopes or standard.rules for rule in standard.rules.get(scope, {})}


def test_every_file_of_standards_loads_and_bears_the_name_of_its_standard() -> None:
    assert {file.stem for file in FOLDER.glob("*.yaml")} == {name.lower() for name in NAMES}
    assert sorted(standards()) == sorted(NAMES)


@pytest.mark.parametrize("preset", sorted(presets()))
def test_every_preset_is_complete_and_refreshes_within_its_interval(preset: str) -> None:
    clocks = device(preset).clocks
    assert 0 < clocks.get("nRFC", clocks.get("nRFCab", 0)) < clocks["nREFI"]
    assert ("nRFCpb" in clocks) == (standards()[presets()[preset]].name in PER_BANK)


@pytest.mark.parametrize("name", NAMES)
def test_every_standard_has_the_rules_of_a_bank(name: str) -> None:
    wanted = {"ACT -> ACT", "ACT -> RD", "ACT -> WR", "ACT -> PRE", "PRE -> ACT", "RD -> PRE", "WR -> PRE"}
    assert wanted <= ruled(standards()[name], "bank")
    assert standards()[name].rules["bank"]["ACT -> ACT"] == "nRC"
    assert standards()[name].rules["bank"]["ACT -> PRE"] == "nRAS"
    assert standards()[name].rules["bank"]["PRE -> ACT"] == "nRP"


@pytest.mark.parametrize("name", NAMES)
def test_every_standard_has_the_rules_above_a_bank(name: str) -> None:
    wanted = {
        "RD -> RD", "WR -> WR", "RD -> WR", "WR -> RD", "RD -> PREA", "WR -> PREA", "ACT -> ACT", "4 ACT -> ACT",
        "ACT -> PREA", "PREA -> ACT", "ACT -> REF", "PREA -> REF", "REF -> ACT",
    }  # fmt: skip
    assert wanted <= ruled(standards()[name], "channel", "pseudo_channel", "rank")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "DDR3"])
def test_every_standard_with_bank_groups_has_their_rules(name: str) -> None:
    assert {"RD -> RD", "WR -> WR", "WR -> RD", "ACT -> ACT"} <= ruled(standards()[name], "bank_group")


@pytest.mark.parametrize("name", PER_BANK)
def test_every_standard_that_refreshes_single_banks_has_the_rules_for_it(name: str) -> None:
    assert {"REFPB -> ACT", "ACT -> REFPB", "PRE -> REFPB"} <= ruled(standards()[name], "bank")
    assert "REFPB -> ACT" in ruled(standards()[name], "channel", "pseudo_channel", "rank")


def test_standards_without_a_refresh_of_single_banks_have_no_rule_that_names_it() -> None:
    for name in set(NAMES) - set(PER_BANK):
        assert not [rule for rule in ruled(standards()[name]) if "REFPB" in rule]


@pytest.mark.parametrize("name", NAMES)
def test_a_precharge_holds_the_next_refresh_back_except_where_the_source_has_no_such_rule(name: str) -> None:
    assert ("PRE -> REF" in ruled(standards()[name])) == (name != "GDDR6")


@pytest.mark.parametrize("name", NAMES)
def test_what_follows_a_write_counts_from_the_end_of_its_data(name: str) -> None:
    standard = standards()[name]
    assert standard.rules["bank"]["WR -> PRE"] == f"{standard.write_latency} + nWR"
    for scope in ("channel", "pseudo_channel", "rank"):
        for rule, then in (("WR -> PREA", "nWR"), ("WR -> RD", "nWTR" if name == "DDR3" else "nWTRS")):
            assert standard.rules.get(scope, {}).get(rule, f"{standard.write_latency} + {then}") == (
                f"{standard.write_latency} + {then}"
            )


@pytest.mark.parametrize("name", NAMES)
def test_rules_of_a_refresh_of_all_banks_stand_in_its_scope(name: str) -> None:
    standard = standards()[name]
    for scope in standard.rules:
        of_refresh = [rule for rule in ruled(standard, scope) if {"PREA", "REF"} & set(rule.split())]
        assert bool(of_refresh) == (scope == standard.refresh_scope)


def test_hbm3_and_hbm4_have_the_same_structure_but_for_what_hbm4_adds() -> None:
    three, four = standards()["HBM3"], standards()["HBM4"]
    same = ("ranks_are", "refresh_scope", "read_latency", "write_latency", "ticks_per_clock", "command_clocks")
    assert [getattr(three, name) for name in same] == [getattr(four, name) for name in same]
    added = {
        (scope, rule, expression)
        for scope, rules in four.rules.items()
        for rule, expression in rules.items()
        if three.rules[scope].get(rule) != expression
    }
    assert added == {
        ("pseudo_channel", "REF -> REFPB", "nRFC"),
        ("bank_group", "ACT -> REFPB", "nRRDL"),
        ("bank_group", "REFPB -> ACT", "nRRDL"),
    }
    assert not {(scope, rule) for scope in three.rules for rule in ruled(three, scope) - ruled(four, scope)}


def test_ddr3_ddr4_and_ddr5_differ_in_few_rules_between_ranks_and_commands() -> None:
    ddr = [standards()[name] for name in ("DDR3", "DDR4", "DDR5")]
    assert ddr[0].rules["other_rank"] == ddr[1].rules["other_rank"] == ddr[2].rules["other_rank"]
    assert ddr[0].rules["bank"] == ddr[1].rules["bank"] == ddr[2].rules["bank"]
    assert ruled(ddr[1], "rank") - ruled(ddr[0], "rank") == {"REF -> PREA"}
    assert {rule.replace("PREA", "PRE") for rule in ruled(ddr[2], "rank") - ruled(ddr[1], "rank")} == {"PRE -> PRE"}


@pytest.mark.parametrize(
    ("preset", "peak"),
    [
        ("DDR4_2400R", 19.2077), ("DDR5_4800BN", 19.2308), ("LPDDR5_6400", 12.8), ("GDDR6_14000", 28.0702),
        ("HBM2_2000", 32.0), ("HBM3_6400", 51.2),
    ],
)  # fmt: skip
def test_peak_bandwidth_is_that_of_the_reference_measurements(preset: str, peak: float) -> None:
    # Peaks of Ramulator 2.1 @c5b1c3a, to four decimals: bytes of a transaction x pseudo-channels / (nBL x tCK).
    assert device(preset).peak_gb_per_s == pytest.approx(peak, abs=5e-5)


@pytest.mark.parametrize(
    ("preset", "ticks"),
    [
        ("DDR4_2400R", 16 + 16 + 16 + 4 + 1),
        ("DDR5_4800BN", 36 + 36 + 36 + 8 + 1 - 1),  # ACT, of two clocks, is stamped at its first
        ("LPDDR5_6400", 15 + 15 + 17 + 2 + 1 + 1),  # a CAS starts the data clock
        ("GDDR6_14000", 30 + 30 + 24 + 2 + 1),
        ("HBM2_2000", 14 + 14 + 14 + 2 + 1),  # PRE to ACT is one shorter, ACT to RD one longer
        ("HBM3_6400", 2 * (26 + 31 + 20 + 2) + 1),  # 1.5 clocks of ACT, less the half ones of PRE, and even ticks
    ],
)
def test_a_read_that_meets_another_open_row_takes_precharge_activate_and_read(preset: str, ticks: int) -> None:
    # The largest latencies measured with Ramulator 2.1 @c5b1c3a at low load: 53, 116, 51, 87, 45 and 159 ticks.
    of = device(preset)
    requests = pattern("conflict1", 20, AddressMap.named(of, "bank_group_first"), interval=1000)
    result = simulate_channel(of, ControllerSpec(refresh="none"), requests)
    assert result.read_outcomes == (0, 1, 19)
    assert result.reads.maximum == ticks


def test_an_unknown_preset_is_told_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError) as error:
        device("HBM3_640")
    assert str(error.value) == (
        "preset: there is no DRAM preset 'HBM3_640'; did you mean HBM3_6400? There are DDR3_1333H, DDR3_1600K, "
        "DDR4_2400R, DDR4_3200AA, DDR5_3200AN, DDR5_4800BN, GDDR6_14000, GDDR6_14000_1350mV, HBM2_2000, HBM2_2400, "
        "HBM3_6400, HBM4_8000, LPDDR5_6400"
    )


def test_an_unknown_timing_is_told_with_those_that_exist() -> None:
    with pytest.raises(ConfigError) as error:
        device("DDR3_1600K", nCCDL=4)
    assert str(error.value) == (
        "nCCDL: DDR3 has no timing or size 'nCCDL'; it has nBL, nCL, nRCD, nRP, nRAS, nRC, nWR, nRTP, nCWL, nCCD, "
        "nWTR, nCS, nRRD, nFAW, nRFC, nREFI, density_mb, width_bits, transaction_bytes, pc, rk, bg, ba, row, col"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nRAS": 10}, "nRAS: 10 is less than nRCD = 16: a row stays open at least until it can be read"),
        ({"nRC": 50}, "nRC: 50 is less than nRAS + nRP = 55: a row cannot open again before it was closed"),
        ({"nFAW": 3}, "nFAW: 3 is less than nRRDS = 4: four activates take longer than two"),
        ({"nCCDL": 3}, "nCCDL: 3 is less than nCCDS = 4: commands of one bank group are no closer than those of two"),
        ({"nREFI": 0}, "nREFI: must be positive: a refresh every 0 clocks leaves no time for anything"),
        ({"nREFI": 433}, "nREFI: 433 is not more than nRFC = 433: the channel would only refresh"),
        ({"nRP": -1}, "nRP: must be a whole number of clocks, 0 or more, got -1"),
    ],
)
def test_timings_that_contradict_each_other_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        device("DDR4_2400R", **changes)
    assert str(error.value) == message
