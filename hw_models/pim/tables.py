"""A device's commands and rules as the arrays that the channel's kernel reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from cairn.base.errors import ConfigError
from cairn.hw_models.pim.device import PimDevice
from cairn.hw_models.server import IntArray

# Columns of `commands`
REACH: Final = 0
ROWS: Final = 1
REGISTERS: Final = 2
LATENCY: Final = 3
BLOCKS: Final = 4
BANKED: Final = 5
"""Whether a rule of a smaller scope than the channel holds the command back."""
COMMAND_WORDS: Final = 6

NONE: Final = 0
ONE: Final = 1
ALL: Final = 2
"""What a command reaches: no bank, one, all."""
NO_ROW: Final = 0
OPENS: Final = 1
CLOSES: Final = 2
NEEDS: Final = 3
NEEDS_AND_CLOSES: Final = 4
NEEDS_CLOSED: Final = 5
"""What a command does to rows, or asks of them."""

# Columns of `rules`
FOLLOWING: Final = 0
SHARE: Final = 1
"""Consecutive banks that share a node of the rule's scope."""
DELAY: Final = 2
RING: Final = 3
"""Where the rule's last ticks lie among the rings; -1 for a rule that counts from the last command."""
WINDOW: Final = 4

# Columns of `numbers`
ACTIVATE: Final = 0
ACTIVATE_ALL: Final = 1
PRECHARGE: Final = 2
PRECHARGE_ALL: Final = 3
CHANGE_MODE: Final = 4
REFRESH: Final = 5
INTERVAL: Final = 6
"""Ticks between refreshes, 0 for none."""

_ROWS: Final = {
    "none": NO_ROW, "opens": OPENS, "closes": CLOSES, "needs": NEEDS, "needs_and_closes": NEEDS_AND_CLOSES,
}  # fmt: skip
_PLAIN: Final = {
    "ACT": (ONE, OPENS), "PRE": (ONE, CLOSES), "PREA": (ALL, CLOSES), "REF": (ALL, NEEDS_CLOSED),
    "RD": (ONE, NEEDS), "WR": (ONE, NEEDS),
}  # fmt: skip
LONG_AGO: Final = -(1 << 60)


@dataclass(frozen=True)
class Tables:
    """What the kernel reads: see the columns above. `starts` says where each command's rules begin."""

    commands: IntArray
    starts: IntArray
    rules: IntArray
    rings: int
    numbers: IntArray
    banks: int


def tables_of(device: PimDevice, refresh: str) -> Tables:
    """The tables of a device with `refresh` "none" or "all_bank"; ConfigError for another, or rules it cannot keep."""
    if refresh not in ("none", "all_bank"):
        raise ConfigError(f"there is no refresh {refresh!r}; there are none and all_bank", key="refresh")
    names = device.standard.traced_commands
    number = {name: index for index, name in enumerate(names)}
    starts, rules, rings = _rules(device, number)
    commands = np.array([_command(device, name) for name in names], dtype=np.int64)
    narrow = rules[rules[:, SHARE] < device.dram.banks]
    commands[narrow[:, FOLLOWING], BANKED] = 1
    opens_all = [name for name, command in device.commands.items() if command.reach == "all" and command.row == "opens"]
    if len(opens_all) != 1:
        raise ConfigError(f"{device.name}: one command opens a row in all banks, not {len(opens_all)}", key="commands")
    mode = device.standard.mode_command
    numbers = [
        number["ACT"], number[opens_all[0]], number["PRE"], number["PREA"], number[mode] if mode else -1, number["REF"],
        device.dram.ticks("nREFI") if refresh == "all_bank" else 0,
    ]  # fmt: skip
    return Tables(commands, starts, rules, rings, np.array(numbers, dtype=np.int64), device.dram.banks)


def _command(device: PimDevice, name: str) -> list[int]:
    command = device.commands.get(name)
    if command is None:
        return [*_PLAIN.get(name, (NONE, NO_ROW)), 0, device.latency(name), 0, 0]
    reach = {"none": NONE, "bank": ONE, "all": ALL}[command.reach]
    return [reach, _ROWS[command.row], int(command.register_mode), device.latency(name), int(command.blocks), 0]


def _rules(device: PimDevice, number: dict[str, int]) -> tuple[IntArray, IntArray, int]:
    o = device.dram.organisation
    group, rank = o.ba, o.bg * o.ba
    share = {
        "channel": device.dram.banks, "pseudo_channel": o.rk * rank, "rank": rank, "bank_group": group, "bank": 1,
    }  # fmt: skip
    by_command: dict[int, list[list[int]]] = {index: [] for index in range(len(number))}
    rings = 0
    for limit in device.dram.limits():
        if limit.ticks <= 0 and limit.window == 1:
            continue
        if limit.scope not in share or (limit.window > 1 and share[limit.scope] < device.dram.banks):
            raise ConfigError(
                f"{device.name}: a channel that computes has no rule {limit.previous} -> {limit.following} of "
                f"{limit.window} in scope {limit.scope}", key="rules",
            )  # fmt: skip
        ring = rings if limit.window > 1 else -1
        rings += limit.window > 1
        row = [number[limit.following], share[limit.scope], limit.ticks, ring, limit.window]
        by_command[number[limit.previous]].append(row)
    starts = np.cumsum([0, *(len(rows) for rows in by_command.values())]).astype(np.int64)
    rules = np.array([row for rows in by_command.values() for row in rows], dtype=np.int64).reshape(-1, WINDOW + 1)
    return starts, rules, rings
