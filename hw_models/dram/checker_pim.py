"""What the protocol checker asks of commands that compute: rows in all banks, modes, and answers that are waited for.

It reads the device's data alone. Timing rules between these commands are checked with those of all others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cairn.hw_models.dram.device import Device
from cairn.hw_models.dram.standard import evaluate
from cairn.hw_models.pim.standard import PimCommand, PimStandard

CLOSED: Final = -1
ALL_OPEN: Final = "state: a command that needs a row finds it open in every bank that it reaches"
ALL_CLOSED: Final = "state: an activate finds the banks that it reaches closed"
MODE: Final = "mode: registers are reached in register mode, banks in array mode (P3)"
ANSWER: Final = "answer: nothing comes before the host has what it waits for (P5)"

Finding = tuple[int, str, int, int]
"""Bank, a rule, what it needs and what was got (rows, modes, ticks)."""


class PimWatch:
    """Follows rows of the further commands, the mode, and answers. Knows nothing where the device has no such commands.

    `check` changes the rows that the checker holds, since what these commands open and close others need.
    """

    def __init__(self, device: Device) -> None:
        standard = device.standard
        self.commands: dict[str, PimCommand] = {}
        self.mode_command: str | None = None
        if isinstance(standard, PimStandard):
            self.commands = dict(standard.commands)
            self.mode_command = standard.mode_command
            self.answers = {
                name: evaluate(command.latency, device.clocks) + 1
                for name, command in self.commands.items()
                if command.blocks
            }
        self.register_mode = False
        self.earliest = 0

    def check(self, tick: int, command: str, bank: int, row: int, rows: list[int]) -> Iterator[Finding]:
        """What is wrong with a command, before plain DRAM commands change the rows."""
        if not self.commands:
            return
        if tick < self.earliest:
            yield bank, ANSWER, self.earliest, tick
        if command in self.answers:
            self.earliest = tick + self.answers[command]
        if command == self.mode_command:
            self.register_mode = not self.register_mode
            return
        known = self.commands.get(command)
        needs_registers = known is not None and known.register_mode
        if self.mode_command is not None and needs_registers != self.register_mode:
            yield bank, MODE, int(needs_registers), int(self.register_mode)
        if known is not None and known.reach != "none":
            banks = range(len(rows)) if known.reach == "all" else range(bank, bank + 1)
            yield from _rows(known, banks, row, rows)


def _rows(command: PimCommand, banks: range, row: int, rows: list[int]) -> Iterator[Finding]:
    """Rows that are not as the command needs them, and what it makes of them."""
    for bank in banks:
        if command.row in ("needs", "needs_and_closes") and (rows[bank] != row or row == CLOSED):
            yield bank, ALL_OPEN, row, rows[bank]
        if command.row == "opens":
            if rows[bank] != CLOSED:
                yield bank, ALL_CLOSED, CLOSED, rows[bank]
            rows[bank] = row
        elif command.row in ("closes", "needs_and_closes"):
            rows[bank] = CLOSED
