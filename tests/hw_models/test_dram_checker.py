"""The protocol checker finds a break of every rule, and none where there is none."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from cairn.base.errors import ConfigError
from cairn.hw_models.dram import checker, checker_refresh, checker_rules
from cairn.hw_models.dram.checker import TRACED, ProtocolChecker, Verdict, Violation, check_trace
from cairn.hw_models.dram.checker_rules import Rule, banks_by_scope, rules_of
from cairn.hw_models.dram.control.build import ControllerSpec
from cairn.hw_models.dram.device import Device, device
from cairn.hw_models.dram.mapping import AddressMap
from cairn.hw_models.dram.request_list import pattern
from cairn.hw_models.dram.simulate import LOGGED, simulate_channel
from cairn.hw_models.dram.standard import presets, standards
from cairn.hw_models.server import IntArray

PRESETS = (
    "DDR3_1600K", "DDR4_2400R", "DDR5_4800BN", "GDDR6_14000", "HBM2_2000", "HBM3_6400", "HBM4_8000", "LPDDR5_6400",
)  # fmt: skip
PER_BANK = tuple(preset for preset in PRESETS if "nREFIpb" in device(preset).clocks)
Told = tuple[int, str, int, int]
"""A command in words: tick, name, flat bank, row."""


def trace(commands: Iterable[Told]) -> IntArray:
    """Commands as a logged trace."""
    rows = [(tick, TRACED.index(name), bank, row) for tick, name, bank, row in commands]
    return np.array(rows, dtype=np.int64).reshape(-1, 4)


def broken(verdict: Verdict) -> set[str]:
    """The rules that a verdict finds broken."""
    return {violation.rule for violation in verdict.violations}


def check(of: Device, *commands: Told, refresh: str = "none") -> set[str]:
    """The rules that a few commands break."""
    return broken(check_trace(of, trace(commands), refresh))


@cache
def real(preset: str, refresh: str = "all_bank", page: str = "open") -> tuple[Device, list[Told]]:
    """A trace of the compiled controller on random reads and writes, with refreshes at short intervals."""
    of = device(preset)
    of = of.changed(nREFI=2 * of.clocks.get("nRFC", of.clocks.get("nRFCab", 0)))
    spec = ControllerSpec.model_validate({"refresh": refresh, "page": page})
    logged: list[IntArray] = []
    requests = pattern("random_mix21", 2000, AddressMap.named(of, "bank_group_first"))
    simulate_channel(of, spec, requests, commands=logged.append)
    return of, [(tick, TRACED[number], bank, row) for tick, number, bank, row in np.concatenate(logged).tolist()]


def spoiled(commands: list[Told], name: str, change: Callable[[Told], Told | None], skip: int = 40) -> IntArray:
    """The trace with the command `name` number `skip` changed, or dropped for None; in the order of ticks."""
    places = [place for place, command in enumerate(commands) if command[1] == name]
    place = places[min(skip, len(places) - 2)]
    changed = change(commands[place])
    rest = [*commands[:place], *([] if changed is None else [changed]), *commands[place + 1 :]]
    return trace(sorted(rest, key=lambda command: command[0]))


def test_the_checker_reads_standards_and_devices_and_nothing_of_controllers() -> None:
    for module in (checker, checker_rules, checker_refresh):
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not [name for name in names if "control" in name or "simulate" in name]
        assert "limits" not in {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert TRACED == LOGGED


@pytest.mark.parametrize("preset", sorted(presets()))
def test_two_readings_of_a_standard_give_the_same_limits(preset: str) -> None:
    of = device(preset)
    found: dict[tuple[str, str, str, int], int] = {}
    for rule in rules_of(of):
        key = (rule.scope, rule.previous, rule.following, rule.window)
        found[key] = max(found.get(key, -10_000), rule.needed)
    limits: dict[tuple[str, str, str, int], int] = {}
    refreshes_banks = "nRFCpb" in of.clocks
    for limit in of.limits()[: len(of.limits()) - len(of.buses())]:
        if limit.following == "REFPB" and not refreshes_banks:
            continue  # there is no such command
        key = (limit.scope, limit.previous, limit.following, limit.window)
        limits[key] = max(limits.get(key, -10_000), limit.ticks)
    assert found == limits


def pair_for(of: Device, rule: Rule) -> tuple[int, int] | None:
    """Two banks that share a node of the rule's scope and, where possible, none below; None where there are none."""
    o, share = of.organisation, banks_by_scope(of)
    if rule.scope == "other_rank":
        return (0, share["rank"]) if o.rk > 1 else None
    if {"PREA", "REF"} & {rule.previous, rule.following} or rule.scope == "bank":
        return 0, 0
    group = share["bank_group"]
    other = {"bank_group": 1, "rank": group, "pseudo_channel": share["rank"], "channel": group}[rule.scope]
    return (0, other) if other < share[rule.scope] else (0, 0)


@pytest.mark.parametrize("name", sorted(standards()))
def test_one_tick_less_than_any_rule_asks_for_is_found_and_as_many_are_not(name: str) -> None:
    standard = standards()[name]
    of = device(next(iter(standard.presets)))
    of = of.changed(rk=2) if standard.ranks_are != "none" else of
    tried = 0
    for rule in rules_of(of):
        banks = pair_for(of, rule)
        if banks is None or rule.needed < 2:
            continue
        before = [(100 + place, rule.previous, banks[0], 0) for place in range(rule.window)]
        assert rule.text not in check(of, *before, (100 + rule.needed, rule.following, banks[1], 0)), rule
        assert rule.text in check(of, *before, (99 + rule.needed, rule.following, banks[1], 0)), rule
        tried += 1
    assert tried > 40


@pytest.mark.parametrize("name", sorted(standards()))
def test_a_rule_of_a_narrow_scope_does_not_bind_other_nodes(name: str) -> None:
    of = device(next(iter(standards()[name].presets)))
    share = banks_by_scope(of)
    for rule in rules_of(of):
        if rule.scope in ("bank", "bank_group", "pseudo_channel") and share[rule.scope] < of.banks and rule.needed > 1:
            before = [(100 + place, rule.previous, 0, 0) for place in range(rule.window)]
            assert rule.text not in check(of, *before, (100 + rule.window, rule.following, share[rule.scope], 0)), rule


@pytest.mark.parametrize("page", ["open", "closed"])
@pytest.mark.parametrize(
    ("preset", "refresh"),
    [*((name, kind) for name in PRESETS for kind in ("none", "all_bank")), *((name, "per_bank") for name in PER_BANK)],
)
def test_traces_of_the_controller_break_no_rule(preset: str, refresh: str, page: str) -> None:
    of, commands = real(preset, refresh, page)
    verdict = check_trace(of, trace(commands), refresh)
    assert (verdict.violations, verdict.count) == ((), 0)
    assert verdict.commands == len(commands) >= 4000


@pytest.mark.parametrize("preset", PRESETS)
def test_a_read_of_another_row_than_the_open_one_is_found(preset: str) -> None:
    of, commands = real(preset)
    verdict = check_trace(of, spoiled(commands, "RD", lambda c: (c[0], c[1], c[2], c[3] + 1)), "all_bank")
    assert broken(verdict) == {checker.ROW_IS_OPEN}
    assert verdict.count == 1


def closed_by_precharge(commands: list[Told]) -> tuple[int, int, int]:
    """The place of a PRE that alone makes a later activate possible, the tick of that activate and the bank."""
    closed: dict[int, int] = {}
    for place, (tick, name, bank, _) in enumerate(commands):
        if name == "PRE":
            closed[bank] = place
        elif name == "PREA":
            closed.clear()
        elif name == "ACT" and bank in closed:
            return closed[bank], tick, bank
    raise AssertionError("no bank is closed and opened again")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_missing_precharge_is_found_at_the_next_activate(preset: str) -> None:
    of, commands = real(preset)
    place, tick, bank = closed_by_precharge(commands)
    verdict = check_trace(of, trace([*commands[:place], *commands[place + 1 :]]), "all_bank")
    assert checker.BANK_IS_CLOSED in broken(verdict)
    assert (verdict.violations[0].tick, verdict.violations[0].bank) == (tick, bank)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_missing_activate_is_found_at_the_read_or_write(preset: str) -> None:
    of, commands = real(preset)
    assert checker.ROW_IS_OPEN in broken(check_trace(of, spoiled(commands, "ACT", lambda c: None), "all_bank"))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_missing_precharge_of_all_banks_is_found_at_the_refresh(preset: str) -> None:
    of, commands = real(preset)
    verdict = check_trace(of, spoiled(commands, "PREA", lambda c: None, skip=1), "all_bank")
    assert checker.REFRESH_IS_CLOSED in broken(verdict)


@pytest.mark.parametrize(
    ("preset", "refresh"), [*((name, "all_bank") for name in PRESETS), *((name, "per_bank") for name in PER_BANK)]
)
def test_a_missing_refresh_is_found(preset: str, refresh: str) -> None:
    of, commands = real(preset, refresh)
    name = "REF" if refresh == "all_bank" else "REFPB"
    verdict = check_trace(of, spoiled(commands, name, lambda c: None, skip=1), refresh)
    assert checker_refresh.LATE in broken(verdict)
    assert broken(verdict) <= {checker_refresh.LATE, checker_refresh.ROUND}
    all_gone = trace(command for command in commands if command[1] != name)
    assert broken(check_trace(of, all_gone, refresh)) == {checker_refresh.LATE}


def test_a_refresh_before_it_is_due_or_of_another_sort_is_found() -> None:
    of = device("HBM3_6400")
    assert check(of, (of.ticks("nREFI") - 1, "REF", 0, -1), refresh="all_bank") == {checker_refresh.EARLY}
    at = of.ticks("nREFIpb")
    assert check(of, (at + 1, "REFPB", 0, -1), (at + 1, "REF", 32, -1), refresh="per_bank") >= {checker_refresh.OTHER}
    again = [(place * at + 1 - place * at % 2, "REFPB", 0, -1) for place in (1, 2)]
    assert checker_refresh.ROUND in check(of, *again, refresh="per_bank")


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("name", ["RD", "WR", "ACT", "PRE"])
def test_a_command_one_clock_earlier_than_a_real_trace_has_it_is_found_where_a_rule_held_it(
    preset: str, name: str
) -> None:
    of, commands = real(preset)
    found: set[str] = set()
    for skip in range(30, 70, 5):
        moved = spoiled(commands[:600], name, lambda c: (c[0] - of.ticks_per_clock, *c[1:]), skip)
        found |= broken(check_trace(of, moved, "all_bank"))
    assert found & {rule.text for rule in rules_of(of) if rule.following == name}


def test_commands_at_once_and_within_a_long_command_are_found() -> None:
    of = device("DDR5_4800BN")
    told = check_trace(of, trace([(10, "ACT", 0, 1), (11, "PRE", 9, 1)])).violations
    assert told[0] == Violation(11, "PRE", 9, f"{checker.TWO_AT_ONCE}: ACT", 10, 2, 1)
    assert str(told[0]) == (
        "tick 11: PRE to bank 9 after tick 10: bus: a command keeps its bus for its length: ACT: needs 2, got 1"
    )
    two_buses = device("HBM2_2000")
    opened = (10, "ACT", 0, 1)
    assert check(two_buses, opened, (60, "RD", 0, 1), (60, "PRE", 20, -1)) == set()
    assert check(two_buses, opened, (11, "PRE", 20, -1)) == {f"{checker.TWO_AT_ONCE}: ACT"}
    assert checker.OUT_OF_ORDER in check(two_buses, (10, "PRE", 20, -1), (9, "PRE", 3, -1))


def test_half_ticks_are_for_precharges_only_and_not_of_the_same_bank_right_away() -> None:
    of = device("HBM3_6400")
    for name in ("ACT", "REF", "REFPB", "RD", "WR"):
        assert checker.RISING_ONLY in check(of, (100, name, 0, 1))
        assert checker.RISING_ONLY not in check(of, (101, name, 0, 1))
    assert checker.RISING_ONLY not in check(of, (100, "PRE", 0, 1))
    for first, wait in (("ACT", 3), ("PRE", 1), ("REFPB", 1)):
        before = (101, first, 5, 1)
        assert checker.SAME_BANK in check(of, before, (101 + wait, "PRE", 5, 1))
        assert checker.SAME_BANK in check(of, before, (101 + wait, "PREA", 0, -1))
        assert checker.SAME_BANK not in check(of, before, (101 + wait, "PRE", 6, 1))
        assert checker.SAME_BANK not in check(of, before, (101 + wait, "PRE", 5 + 32, 1))  # another pseudo-channel
        assert checker.SAME_BANK not in check(of, before, (101 + wait + 2, "PRE", 5, 1))
    assert checker.SAME_BANK in check(of, (101, "PREA", 0, -1), (102, "PRE", 6, 1))


def test_bursts_that_meet_are_found_where_the_rules_let_them() -> None:
    # The source's rule for a write after a read of another rank is nBL + nCS, whatever the latencies.
    of = device("DDR4_2400R", rk=2)
    opened = [(10, "ACT", 0, 1), (20, "ACT", 16, 1)]
    wait = of.ticks("nBL + nCS")
    assert check(of, *opened, (60, "RD", 0, 1), (60 + wait, "WR", 16, 1)) == {checker.DATA_BUS}
    after = of.ticks("nCL + nBL - nCWL")
    assert check(of, *opened, (60, "RD", 0, 1), (60 + after, "WR", 16, 1)) == set()
    assert check(of, *opened, (60, "RD", 0, 1), (60 + after - 1, "WR", 16, 1)) == {checker.DATA_BUS}


def test_a_split_activate_that_is_late_torn_or_overtaken_is_found() -> None:
    of = device("LPDDR5_6400")
    first, second = (10, "ACT", 0, 1), (18, "ACT2", 0, 1)
    assert check(of, first, second) == set()
    assert check(of, first, (19, "ACT2", 0, 1)) == {checker.SECOND_DUE}
    assert check(of, first, (60, "ACT", 4, 1), (61, "ACT2", 4, 1)) == {checker.SECOND_DUE, checker.NOTHING_BETWEEN}
    assert check(of, first, (14, "ACT", 4, 1), (15, "ACT2", 4, 1)) == {checker.NOTHING_BETWEEN}
    assert check(of, first, (18, "ACT2", 1, 1)) == {checker.SECOND_MATCHES}
    assert checker.NOTHING_BETWEEN in check(of, first, (40, "CAS", 0, -1), (41, "RD", 0, 1))
    assert check(of, first, (15, "PRE", 5, 1), second) == set()
    assert check(of, first, (60, "PRE", 5, 1)) == {checker.SECOND_DUE}  # at the end of the trace


def test_a_data_clock_that_is_not_running_is_found() -> None:
    of = device("LPDDR5_6400")
    opened = [(10, "ACT", 0, 1), (11, "ACT2", 0, 1)]
    cas, read, runs = (40, "CAS", 0, -1), (41, "RD", 0, 1), of.ticks("nCL + nBL_min + nWCKPST")
    assert check(of, *opened, cas, read, (41 + runs - 1, "RD", 0, 1)) == set()
    assert check(of, *opened, cas, read, (41 + runs, "RD", 0, 1)) == {checker.CLOCK_RUNS}
    assert check(of, *opened, read) == {checker.CLOCK_RUNS}
    assert check(of, *opened, cas, (42, "RD", 0, 1)) == {checker.CLOCK_RUNS}
    lpddr, commands = real("LPDDR5_6400")
    verdict = check_trace(lpddr, spoiled(commands, "CAS", lambda c: None, skip=0), "all_bank")
    assert checker.CLOCK_RUNS in broken(verdict)


def test_a_trace_in_pieces_gives_the_verdict_of_the_whole_and_few_violations_are_kept() -> None:
    of, commands = real("HBM3_6400")
    spoilt = trace(command for command in commands if command[1] != "PRE")
    whole = check_trace(of, spoilt, "all_bank")
    pieces = ProtocolChecker(of, "all_bank")
    for at in range(0, len(spoilt), 17):
        pieces.feed(spoilt[at : at + 17])
    assert pieces.finish() == whole
    assert len(whole.violations) == checker.KEPT < whole.count


def test_an_unknown_refresh_is_refused() -> None:
    with pytest.raises(ConfigError, match="the timing nREFIpb is needed by 'nREFIpb' and not given"):
        ProtocolChecker(device("DDR4_2400R"), "per_bank")
    with pytest.raises(ConfigError) as error:
        ProtocolChecker(device("DDR4_2400R"), "allbank")
    assert str(error.value) == "refresh: there is no refresh 'allbank'; there are none, all_bank, per_bank"


def test_a_trace_of_another_device_is_refused() -> None:
    with pytest.raises(ConfigError) as error:
        check_trace(device("HBM2_2000"), trace([(10, "ACT", 0, 1), (20, "ACT", 40, 1)]))
    assert str(error.value) == "trace: command 1 names bank 40; HBM2_2000 has 32"
