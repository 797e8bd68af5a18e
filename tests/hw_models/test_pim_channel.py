"""The channel whose banks compute: rules P1 to P7, the program that it takes, and the protocol checker."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.checker import ProtocolChecker
from cairn.hw_models.pim.device import PimDevice, pim_device
from cairn.hw_models.pim.oracle import run_oracle
from cairn.hw_models.pim.program import ROW, Program, ProgramBuilder, checked
from cairn.hw_models.pim.random_cases import random_device
from cairn.hw_models.pim.simulate import ChannelRun, simulate_program, verdict_of
from cairn.hw_models.pim.standard import pim_presets

AIM = pim_device("GDDR6_AiM")
CLOCKS = AIM.dram.clocks


def run(*instructions: tuple[str, int, dict[str, int]], refresh: str = "none", device: PimDevice = AIM) -> ChannelRun:
    builder = ProgramBuilder(device)
    for command, count, fields in instructions:
        builder.add(command, count, **fields)
    return simulate_program(builder.build(), refresh, trace=True)


def trace(of: ChannelRun) -> list[tuple[int, str, int, int]]:
    names = of.device.standard.traced_commands
    return [(tick, names[number], bank, row) for tick, number, bank, row in of.commands.tolist()]


def ticks(of: ChannelRun, command: str) -> list[int]:
    return [tick for tick, name, *_ in trace(of) if name == command]


def test_the_first_command_issues_at_tick_1_and_one_command_issues_a_tick() -> None:
    all_ticks = [tick for tick, *_ in trace(run(("WRGB", 4, {}), ("MAC16", 4, {}), ("RDMAC16", 1, {})))]
    assert all_ticks[0] == 1
    assert all(after > before for before, after in pairwise(all_ticks))


def test_a_closed_bank_is_activated_first_and_another_row_is_precharged_first() -> None:
    one = trace(run(("WRCP", 1, {"bank": 3, "row": 7}), ("WRCP", 1, {"bank": 3, "row": 8})))
    assert [name for _, name, *_ in one] == ["ACT", "WRCP", "PRE", "ACT", "WRCP"]
    many = trace(run(("MAC16", 1, {"row": 7}), ("MAC16", 1, {"row": 8})))
    assert [name for _, name, *_ in many] == ["ACT16", "MAC16", "PREA", "ACT16", "MAC16"]


def test_all_banks_are_precharged_where_only_some_are_open_in_the_row() -> None:
    names = [name for _, name, *_ in trace(run(("WRCP", 1, {"bank": 3, "row": 7}), ("MAC16", 1, {"row": 7})))]
    assert names == ["ACT", "WRCP", "PREA", "ACT16", "MAC16"]


def test_the_mode_changes_at_the_tick_at_which_the_next_command_could_have_come() -> None:
    of = run(("MAC16", 1, {"row": 0}), ("WRGB", 1, {}), ("MAC16", 1, {"row": 1}))
    first, second = ticks(of, "TMOD")
    assert first == ticks(of, "MAC16")[0] + 1, "nothing holds a write of the buffer back"
    assert ticks(of, "WRGB") == [first + CLOCKS["nMODCH"]]
    assert second == ticks(of, "WRGB")[0] + 1, "the banks could be precharged by then"
    assert ticks(of, "PREA") == [second + CLOCKS["nMODCH"]]


def test_nothing_issues_before_the_host_has_what_it_waits_for() -> None:
    first, second = ticks(run(("RDMAC16", 1, {}), ("RDMAC16", 1, {})), "RDMAC16")
    assert second == first + AIM.latency("RDMAC16") + 1


def test_the_run_ends_a_tick_after_the_last_command_is_complete() -> None:
    of = run(("WRMAC16", 1, {}))
    assert of.cycles == ticks(of, "WRMAC16")[0] + AIM.latency("WRMAC16") + 1
    assert run().cycles == 2


def test_a_refresh_that_is_due_comes_before_the_next_instruction_with_all_banks_closed() -> None:
    of = run(*(("MAC16", 64, {"row": row}) for row in range(40)), refresh="all_bank")
    refreshes = ticks(of, "REF")
    assert len(refreshes) == of.cycles // CLOCKS["nREFI"]
    for number, tick in enumerate(refreshes, start=1):
        assert number * CLOCKS["nREFI"] <= tick <= number * CLOCKS["nREFI"] + 226
    assert verdict_of(of, "all_bank").count == 0


def test_without_refresh_the_checker_misses_the_refreshes_of_a_run_that_owes_them() -> None:
    of = run(*(("MAC16", 64, {"row": row}) for row in range(40)))
    assert verdict_of(of).count == 0
    assert verdict_of(of, "all_bank").count > 0


def test_a_window_of_activates_holds_all_banks_back_where_it_is_switched_on() -> None:
    strict = pim_device("GDDR6_AiM", switches=["faw"])
    with_window = run(("MAC16", 1, {}), device=strict)
    assert ticks(with_window, "MAC16")[0] - 1 == CLOCKS["nRCDRDMAC"] + 3 * CLOCKS["nFAW"]
    assert verdict_of(with_window).count == 0
    copies = [("WRCP", 1, {"bank": bank, "row": 0}) for bank in range(5)]
    opened = ticks(run(*copies, device=strict.changed(nFAW=400)), "ACT")
    assert opened[4] - opened[0] == 400


def test_a_limit_of_power_spaces_the_commands_of_all_banks() -> None:
    limited = pim_device("GDDR6_AiM", switches=["power"], nCCDAB=6)
    first, second = ticks(run(("MAC16", 2, {}), device=limited), "MAC16")
    assert second - first == 6


def test_every_command_that_comes_a_tick_too_early_is_caught() -> None:
    of = run(
        ("WRGB", 2, {}), ("WRMAC16", 1, {}), ("MAC16", 3, {"row": 1}), ("RDMAC16", 1, {}), ("EWMUL16", 2, {"row": 2}),
        ("AF16", 1, {"row": 3}), ("RDAF16", 1, {}), ("WRA16", 1, {"row": 4}), ("RDCP", 2, {"bank": 5, "row": 4}),
        ("WRCP", 2, {"bank": 5, "row": 6}), ("MAC", 2, {"bank": 6, "row": 1}),
    )  # fmt: skip
    for at, (_, command, *_) in enumerate(trace(of)):
        if at == 0 or command == "TMOD":
            continue  # a change of mode waits for the command after it (P3), by no rule of the device
        moved = of.commands.copy()
        moved[at:, 0] -= 1
        checker = ProtocolChecker(AIM.dram)
        checker.feed(moved)
        assert checker.finish().count > 0, trace(of)[at]


def test_a_wrong_row_mode_or_bank_state_is_caught() -> None:
    of = run(("WRGB", 1, {}), ("MAC16", 2, {"row": 1}), ("MAC16", 2, {"row": 2}))
    names = AIM.standard.traced_commands

    def violations(commands: np.ndarray) -> set[str]:
        checker = ProtocolChecker(AIM.dram)
        checker.feed(commands)
        return {violation.rule.split(":")[0] for violation in checker.finish().violations}

    other_row = of.commands.copy()
    other_row[-1, 3] = 9
    no_mode = of.commands[of.commands[:, 1] != names.index("TMOD")]
    left_open = of.commands[of.commands[:, 1] != names.index("PREA")]
    assert violations(other_row) == {"state"}
    assert violations(no_mode) == {"mode"}
    assert violations(left_open) == {"state"}


def test_a_program_cannot_name_what_the_channel_issues_by_itself_nor_what_is_not_there() -> None:
    builder = ProgramBuilder(AIM)
    with pytest.raises(ConfigError, match=r"GDDR6_AiM has no command 'MAC61'; did you mean 'MAC16'\?"):
        builder.add("MAC61")
    builder.add("PREA")
    with pytest.raises(ConfigError, match="PREA is no command of a program; the channel issues it by itself"):
        builder.build()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"bank": 16}, "instruction 0 of 1: bank is 16, must be from 0 to 15"),
        ({"row": 16384}, "row is 16384, must be from 0 to 16383"),
        ({"count": 65}, "count is 65, must be from 1 to 64"),
        ({"count": 2, "column": 63}, r"column \+ count is 65, must be from 0 to 64"),
    ],
)
def test_an_instruction_outside_the_device_is_refused(fields: dict[str, int], message: str) -> None:
    builder = ProgramBuilder(AIM)
    builder.add("RDCP", **fields)
    with pytest.raises(ConfigError, match=message):
        builder.build()


def test_single_banks_are_refused_while_all_banks_act_as_one() -> None:
    builder = ProgramBuilder(pim_device("HBM2_PIM"))
    builder.add("RD", bank=2)
    builder.add("SETUP")
    builder.add("MACEV", 2)
    builder.add("WRRES", row=1)
    builder.add("WR", bank=2)
    assert len(builder.build()) == 5
    builder.add("SETUP")
    builder.add("RD", bank=2)
    message = r"instruction 6 of 7: RD reaches one bank .* put it before SETUP or after WRRES"
    with pytest.raises(ConfigError, match=message):
        builder.build()


def test_words_of_another_shape_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"this has the shape \(2, 3\)"):
        checked(Program(AIM, np.zeros((2, 3), dtype=np.int64)))
    assert ROW == 3


def test_a_device_refuses_presets_switches_and_timings_that_it_has_not() -> None:
    with pytest.raises(ConfigError, match="there is no PIM preset 'GDDR6_AIM'; did you mean 'GDDR6_AiM'"):
        pim_device("GDDR6_AIM")
    with pytest.raises(ConfigError, match="GDDR6-AiM has no switch 'fav'; did you mean 'faw'"):
        pim_device("GDDR6_AiM", switches=["fav"])
    with pytest.raises(ConfigError, match="has no timing or size 'nRPP'"):
        pim_device("GDDR6_AiM", nRPP=3)
    with pytest.raises(ConfigError, match="there is no refresh 'often'; there are none and all_bank"):
        run(("MAC16", 1, {}), refresh="often")


def random_program(device: PimDevice, rng: np.random.Generator, length: int) -> Program:
    """Instructions of every sort that the device has, in few rows and banks so that they meet."""
    program = ProgramBuilder(device)
    own = device.standard.roles.get("setup") if device.standard.all_banks_only else device.standard.mode_command
    names = [name for name, one in device.commands.items() if one.row not in ("opens", "closes") and name != own]
    for _ in range(length):
        program.add(
            str(rng.choice([*names, "RD", "WR"])), int(rng.integers(1, 5)), bank=int(rng.integers(device.dram.banks)),
            row=int(rng.integers(3)),
        )  # fmt: skip
    return program.build()


@pytest.mark.parametrize("preset", sorted(pim_presets()))
@pytest.mark.parametrize("refresh", ["none", "all_bank"])
@pytest.mark.parametrize("seed", range(6))
def test_kernel_and_oracle_agree_on_every_command_of_random_programs(preset: str, refresh: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    program = random_program(random_device(rng, preset), rng, 30)
    of = simulate_program(program, refresh, trace=True)
    cycles, issued = run_oracle(program, refresh)
    assert trace(of) == issued
    assert of.cycles == cycles
    assert verdict_of(of, refresh).count == 0, verdict_of(of, refresh).violations[:3]
    assert sum(of.counts.values()) == len(issued)
