"""Whether refreshes come when they are due: the part of the protocol checker that counts them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.checker_rules import banks_by_scope
from cairn.hw_models.dram.device import Device
from cairn.hw_models.dram.standard import evaluate

EARLY: Final = "refresh: none comes before it is due"
LATE: Final = "refresh: it comes before as many more are due as may be late"
ROUND: Final = "refresh: each bank once before any bank again"
OTHER: Final = "refresh: of the sort that is asked for"

Finding = tuple[str, int, int]
"""A rule, what it needs (a tick or a count), what was got."""


class RefreshWatch:
    """Counts refreshes by unit (a refresh scope; with per-bank refresh what takes turns over its banks) against time.

    With per-bank refresh one bank of the channel is due at each multiple of the interval, or one of each pseudo-channel
    in devices of half ticks (HBM3, HBM4; K10).
    """

    def __init__(self, device: Device, refresh: str, late: int) -> None:
        names = {"none": "", "all_bank": "REF", "per_bank": "REFPB"}
        if refresh not in names:
            raise ConfigError(f"there is no refresh {refresh!r}; there are {', '.join(names)}", key="refresh")
        standard, share = device.standard, banks_by_scope(device)
        self.command, self.late = names[refresh], late
        scope = standard.refresh_scope
        if refresh == "per_bank":
            scope = "pseudo_channel" if standard.ticks_per_clock == 2 else "channel"
        self.unit_banks = share[scope]
        self.counts = [0] * (share["channel"] // self.unit_banks)
        self.bank_counts = [0] * share["channel"]
        self.interval = 0
        if self.command:
            timing = "nREFI" if refresh == "all_bank" else "nREFIpb"
            self.interval = standard.ticks_per_clock * evaluate(timing, device.clocks)

    def check(self, tick: int, command: str, bank: int) -> Iterator[Finding]:
        """What is wrong with a command, if it is a refresh."""
        if command not in ("REF", "REFPB"):
            return
        if command != self.command:
            yield OTHER, 0, 1
            return
        unit = bank // self.unit_banks
        self.counts[unit] += 1
        due = self.counts[unit] * self.interval
        if tick < due:
            yield EARLY, due, tick
        if tick >= due + self.late * self.interval:
            yield LATE, due + self.late * self.interval, tick
        if command == "REFPB":
            turn = self.bank_counts[bank]
            first = unit * self.unit_banks
            if turn != min(self.bank_counts[first : first + self.unit_banks]):
                yield ROUND, min(self.bank_counts[first : first + self.unit_banks]), turn
            self.bank_counts[bank] += 1

    def missing(self, now: int) -> Iterator[tuple[int, str, int, int]]:
        """First bank, rule, count needed and count got of units that lack refreshes at the end of a trace."""
        if self.interval:
            needed = now // self.interval - self.late
            for unit, count in enumerate(self.counts):
                if count < needed:
                    yield unit * self.unit_banks, LATE, needed, count
