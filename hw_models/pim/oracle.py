"""A channel whose banks compute, in plain Python from rules P1 to P7: the judge of the kernel, with which it shares no
code. It goes tick by tick and asks, of every command so far, whether the next one may come; so it is slow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from cairn.hw_models.dram.standard import evaluate
from cairn.hw_models.pim.device import PimDevice
from cairn.hw_models.pim.program import Program

Issued = tuple[int, str, int, int]
"""Tick, command, bank (0 for commands of no bank or all), row (-1 where it is about none)."""
PLAIN_ROWS: Final = {"RD": "needs", "WR": "needs", "ACT": "opens", "PRE": "closes", "PREA": "closes", "REF": "closed"}


@dataclass
class OracleChannel:
    """One channel; `serve` takes instructions in order, `end` answers when the host knows that all is done."""

    device: PimDevice
    refresh: bool = False
    tick: int = 0
    register_mode: bool = False
    answer: int = 0
    complete: int = 0
    refreshes: int = 0
    issued: list[Issued] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rows: list[int | None] = [None] * self.device.dram.banks
        self.rules: dict[str, list[tuple[str, str, int, int]]] = {}
        for scope, written in self.device.standard.rules.items():
            for text, expression in written.items():
                words, following = text.split("->")
                before = words.split()
                window = int(before[0]) if len(before) == 2 else 1
                clocks = evaluate(expression, self.device.dram.clocks)
                self.rules.setdefault(following.strip(), []).append((scope, before[-1], window, clocks))

    def serve(self, command: str, count: int, bank: int, row: int) -> None:
        """One instruction; refreshes that are due come before it (P6)."""
        interval = self.device.dram.clocks["nREFI"]
        while self.refresh and self._when(self._next(command, bank, row), bank) >= (self.refreshes + 1) * interval:
            self._one("REF", 0, 0)
            self.refreshes += 1
        for _ in range(count):
            self._one(command, bank, row)

    def arrive(self, tick: int) -> None:
        """Q2, Q3: time passes to `tick`, with the refreshes that fall due meanwhile; completions count from here."""
        interval = self.device.dram.clocks["nREFI"]
        while self.refresh and (self.refreshes + 1) * interval <= tick:
            self.tick = max(self.tick, (self.refreshes + 1) * interval - 1)
            self._one("REF", 0, 0)
            self.refreshes += 1
        self.tick = max(self.tick, tick)
        self.complete = 0

    def end(self) -> int:
        """P7: the tick at which the run ends."""
        last = max(self.tick + 1, self.answer)
        return max(last + 1, self.complete + 1)

    def _one(self, command: str, bank: int, row: int) -> None:
        while True:
            needed = self._next(command, bank, row)
            when = self._when(needed, bank)
            if self._registers(command) != self.register_mode and (change := self.device.standard.mode_command):
                self._issue(change, 0, -1, max(when, self._when(change, 0)))  # P3
                continue
            self._issue(needed, bank, row, when)
            if needed == command:
                return

    def _registers(self, command: str) -> bool:
        return command in self.device.commands and self.device.commands[command].register_mode

    def _about_rows(self, command: str) -> str:
        known = self.device.commands.get(command)
        return known.row if known else PLAIN_ROWS.get(command, "none")

    def _banks(self, command: str, bank: int) -> set[int]:
        known = self.device.commands.get(command)
        one = known.reach == "bank" if known else command in ("RD", "WR", "ACT", "PRE")
        return {bank} if one else set(range(self.device.dram.banks))

    def _next(self, command: str, bank: int, row: int) -> str:
        """P2."""
        banks = self._banks(command, bank)
        open_rows = {self.rows[one] for one in banks}
        about = self._about_rows(command)
        if about == "closed":
            return command if open_rows == {None} else "PREA"
        if about not in ("needs", "needs_and_closes") or open_rows == {row}:
            return command
        if open_rows == {None}:
            if len(banks) == 1:
                return "ACT"
            wide = [name for name, one in self.device.commands.items() if one.row == "opens" and one.reach == "all"]
            return wide[0]
        return "PRE" if len(banks) == 1 else "PREA"

    def _when(self, command: str, bank: int) -> int:
        """P1, P4, P5: the first tick after the last command at which no rule is in the way."""
        tick = max(self.tick + 1, self.answer)
        while not self._allowed(command, self._banks(command, bank), tick):
            tick += 1
        return tick

    def _allowed(self, command: str, banks: set[int], tick: int) -> bool:
        o = self.device.dram.organisation
        share = {"bank": 1, "bank_group": o.ba, "rank": o.ba * o.bg, "pseudo_channel": o.ba * o.bg * o.rk}
        for scope, previous, window, clocks in self.rules.get(command, []):
            size = share.get(scope, self.device.dram.banks)
            for node in {one // size for one in banks}:
                touched = [at for at, name, one, _ in reversed(self.issued) if name == previous
                           and any(other // size == node for other in self._banks(name, one))]  # fmt: skip
                if len(touched) >= window and tick - touched[window - 1] < clocks:
                    return False
        return True

    def _issue(self, command: str, bank: int, row: int, tick: int) -> None:
        about, banks = self._about_rows(command), self._banks(command, bank)
        has_row = about in ("opens", "needs", "needs_and_closes")
        self.issued.append((tick, command, bank if len(banks) == 1 else 0, row if has_row else -1))
        for one in banks:
            if about == "opens":
                self.rows[one] = row
            elif about in ("closes", "needs_and_closes"):
                self.rows[one] = None
        if command == self.device.standard.mode_command:
            self.register_mode = not self.register_mode
        self.tick = tick
        self.complete = max(self.complete, tick + self.device.latency(command))
        known = self.device.commands.get(command)
        if known is not None and known.blocks:
            self.answer = tick + self.device.latency(command) + 1


def run_oracle(program: Program, refresh: str = "none") -> tuple[int, list[Issued]]:
    """Clocks of a program, and its trace."""
    channel = OracleChannel(program.device, refresh == "all_bank")
    for command, fields in program.named():
        channel.serve(command, fields["count"], fields["bank"], fields["row"])
    return channel.end(), channel.issued
