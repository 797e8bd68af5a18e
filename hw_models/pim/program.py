"""A program of one channel: instructions in order, each a command for a number of columns.

Besides what the channel needs (command, count, bank, row) an instruction says what data it is about, so that a program
can be run on numbers (`numbers.py`): the first column of the row, the first column of the buffer, the accumulator of
each unit, and which of the host's data it brings or takes away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from cairn.base.errors import ConfigError
from cairn.base.registry import nearest_hint
from cairn.hw_models.pim.device import PimDevice
from cairn.hw_models.server import IntArray

COMMAND: Final = 0
COUNT: Final = 1
BANK: Final = 2
ROW: Final = 3
COLUMN: Final = 4
BUFFER: Final = 5
ACCUMULATOR: Final = 6
HOST: Final = 7
FIELDS: Final = ("command", "count", "bank", "row", "column", "buffer", "accumulator", "host")
"""What the columns of a program hold; `host` is -1 where an instruction has no data of the host."""
OF_ITSELF: Final = ("ACT", "PRE", "PREA", "REF", "REFPB", "RDA", "WRA", "ACT2", "CAS")
"""Plain commands that a program cannot name: the channel issues what is needed by itself (P2, P3, P6)."""


@dataclass(frozen=True)
class Program:
    """Instructions of one channel of `device`: `words` of shape (instructions, 8), columns as in `FIELDS`."""

    device: PimDevice
    words: IntArray

    def __len__(self) -> int:
        return len(self.words)

    @property
    def columns(self) -> int:
        """Commands that the program asks for, without what the channel adds by itself."""
        return int(self.words[:, COUNT].sum())

    def named(self) -> Iterator[tuple[str, dict[str, int]]]:
        """Command and fields of each instruction."""
        names = self.device.standard.traced_commands
        for word in self.words.tolist():
            yield names[word[COMMAND]], dict(zip(FIELDS[1:], word[1:], strict=True))


class ProgramBuilder:
    """Writes a program, instruction by instruction."""

    def __init__(self, device: PimDevice) -> None:
        self.device = device
        self._numbers = {name: number for number, name in enumerate(device.standard.traced_commands)}
        self._words: list[tuple[int, ...]] = []

    def add(
        self, command: str, count: int = 1, *, bank: int = 0, row: int = 0, column: int = 0, buffer: int = 0,
        accumulator: int = 0, host: int = -1,
    ) -> None:  # fmt: skip
        """Add an instruction. ConfigError for a command that the device has not or issues by itself."""
        if command not in self._numbers:
            hint = nearest_hint(command, self.device.commands)
            raise ConfigError(f"{self.device.name} has no command {command!r}{hint}", key="command")
        self._words.append((self._numbers[command], count, bank, row, column, buffer, accumulator, host))

    def build(self) -> Program:
        """The program, checked (`checked`)."""
        return checked(Program(self.device, np.array(self._words, dtype=np.int64).reshape(-1, len(FIELDS))))


def checked(program: Program) -> Program:
    """The program, or ConfigError with the first instruction that cannot be: field, value, what is allowed."""
    device, words = program.device, program.words
    names, o = device.standard.traced_commands, device.dram.organisation
    if words.ndim != 2 or words.shape[1] != len(FIELDS):
        raise ConfigError(f"a program has columns {', '.join(FIELDS)}; this has the shape {words.shape}", key="program")
    own = {*OF_ITSELF, device.standard.mode_command}
    own |= {name for name, command in device.commands.items() if command.row in ("opens", "closes")}
    for number in np.unique(words[:, COMMAND]).tolist():
        if not 0 <= number < len(names) or names[number] in own:
            what = names[number] if 0 <= number < len(names) else number
            raise ConfigError(f"{what} is no command of a program; the channel issues it by itself", key="command")
    limits = {COUNT: (1, o.col), BANK: (0, device.dram.banks - 1), ROW: (0, o.row - 1), COLUMN: (0, o.col - 1)}
    for field, (least, most) in limits.items():
        _within(words, field, words[:, field], least, most)
    if device.standard.all_banks_only:
        _refuse_single_banks(program)
    banked = np.array([_reads_rows(device, name) for name in names])[words[:, COMMAND]]
    _within(words, COLUMN, np.where(banked, words[:, COLUMN] + words[:, COUNT], 0), 0, o.col, "column + count")
    return program


def _refuse_single_banks(program: Program) -> None:
    """ConfigError for a command to one bank while all banks act as one."""
    roles, inside = program.device.standard.roles, False
    for at, (name, _) in enumerate(program.named()):
        known = program.device.commands.get(name)
        if name in (roles.get("setup"), roles.get("result")):
            inside = name == roles.get("setup")
        elif inside and (known is None or known.reach == "bank"):
            raise ConfigError(
                f"instruction {at} of {len(program)}: {name} reaches one bank while all banks of {program.device.name} "
                f"act as one; put it before {roles.get('setup')} or after {roles.get('result')}", key="command",
            )  # fmt: skip


def _reads_rows(device: PimDevice, name: str) -> bool:
    command = device.commands.get(name)
    return command.row != "none" if command else name in ("RD", "WR")


def _within(words: IntArray, field: int, values: IntArray, least: int, most: int, name: str = "") -> None:
    wrong = np.flatnonzero((values < least) | (values > most))
    if wrong.size:
        at = int(wrong[0])
        what = name or FIELDS[field]
        raise ConfigError(
            f"instruction {at} of {len(words)}: {what} is {int(values[at])}, must be from {least} to {most}", key=what
        )
