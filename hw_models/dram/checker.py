"""An independent judge of command traces: does every command keep the rules of the standard?

It knows a standard's data and the trace, nothing of controllers: what it answers holds whatever chose the commands.
Checked are the timing rules of every scope, the buses for commands, half ticks (K8), the state of banks, the data bus,
split activates and data clocks, and that refreshes come when they are due. A violation is data, not an error.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.checker_pim import PimWatch
from cairn.hw_models.dram.checker_refresh import RefreshWatch
from cairn.hw_models.dram.checker_rules import (
    COLUMNS,
    READS,
    Rule,
    banks_by_scope,
    length_ticks,
    rules_of,
)
from cairn.hw_models.dram.device import Device
from cairn.hw_models.dram.standard import TRACED_COMMANDS, evaluate
from cairn.hw_models.server import IntArray

TRACED: Final = TRACED_COMMANDS
"""Names of a trace's commands by number (`simulate.LOGGED`); a device that computes has more after these."""
CLOSED: Final = -1
KEPT: Final = 100
"""Violations that are kept; all are counted."""

TWO_AT_ONCE: Final = "bus: a command keeps its bus for its length"
OUT_OF_ORDER: Final = "trace: ticks never decrease"
RISING_ONLY: Final = "half ticks (K8): only PRE and PREA come on even ticks"
SAME_BANK: Final = "half ticks (K8): a PRE right after a row command is of another bank, and neither is for all banks"
ROW_IS_OPEN: Final = "state: a read or write goes to the open row"
BANK_IS_CLOSED: Final = "state: an ACT goes to a closed bank"
REFRESH_IS_CLOSED: Final = "state: a refresh finds its banks closed"
DATA_BUS: Final = "data bus: one burst at a time in a pseudo-channel"
SECOND_DUE: Final = "split activate: ACT2 comes within the deadline of its ACT"
SECOND_MATCHES: Final = "split activate: ACT2 completes the ACT before it"
NOTHING_BETWEEN: Final = "split activate: no other ACT, and nothing to the bank, before ACT2"
CLOCK_RUNS: Final = "data clock: it runs, or was started by CAS on the tick before"


@dataclass(frozen=True)
class Violation:
    """A command that breaks a rule.

    `needed` and `got` are ticks since the command at `previous_tick` (None where no single one is to blame) for timing
    rules and buses, and else what the rule is about: rows (-1: closed), the deadline's or due tick, counts.
    """

    tick: int
    command: str
    bank: int
    rule: str
    previous_tick: int | None
    needed: int
    got: int

    def __str__(self) -> str:
        since = "" if self.previous_tick is None else f" after tick {self.previous_tick}"
        what = f"tick {self.tick}: {self.command} to bank {self.bank}{since}"
        return f"{what}: {self.rule}: needs {self.needed}, got {self.got}"


@dataclass(frozen=True)
class Verdict:
    """All violations counted, the first ones told, and how many commands were looked at."""

    violations: tuple[Violation, ...]
    count: int
    commands: int


class _History:
    """Ticks of the last `window` commands of one sort in each node of a scope."""

    def __init__(self, share: int, nodes: int, window: int) -> None:
        self.share, self.window = share, window
        self.last: list[deque[int]] = [deque(maxlen=window) for _ in range(nodes)]


class ProtocolChecker:
    """Checks a trace as it comes: hand it on as `simulate_channel(..., commands=checker.feed)`, then ask `finish()`.

    `refresh` says which refreshes the trace owes: "none", "all_bank" (REF at every multiple of nREFI for each refresh
    scope) or "per_bank" (REFPB at every multiple of nREFIpb). None may come early, and each must have come before
    `late` more are due.
    """

    def __init__(self, device: Device, refresh: str = "none", *, late: int = 1, keep: int = KEPT) -> None:
        standard, self.name, self.keep = device.standard, device.name, keep
        self.share = banks_by_scope(device)
        self.ranks = device.organisation.rk
        self.scope_banks = self.share[standard.refresh_scope]
        self.found: list[Violation] = []
        self.count = self.commands = self.now = 0
        self._read_rules(device)
        self.traced, self.all_banks = standard.traced_commands, frozenset(standard.all_bank_commands)
        self.lengths = {name: length_ticks(device, name) for name in self.traced}
        self.two_buses, self.half_ticks = standard.row_and_column_bus, standard.ticks_per_clock == 2
        self.bus_last: dict[bool, tuple[int, str]] = {}
        self.rising: tuple[int, str, int] | None = None
        self.rows = [CLOSED] * device.banks
        self._read_data_bus(device)
        self.bursts: dict[int, deque[tuple[int, int]]] = defaultdict(lambda: deque(maxlen=4))
        split = standard.split_activate
        self.deadline = evaluate(split.deadline, device.clocks) if split else None
        self.opening: tuple[int, int, int] | None = None
        self.clock_until, self.clock_started = 0, -1
        self.refreshes = RefreshWatch(device, refresh, late)
        self.pim = PimWatch(device)

    def _read_data_bus(self, device: Device) -> None:
        """Ticks of a burst, from each column command to the end of its data, and for which its data clock then runs."""
        standard = device.standard
        self.data_end: dict[str, int] = {}
        self.clock_runs: dict[str, int] = {}
        burst = "nBL_min" if "nBL_min" in device.clocks else "nBL"
        self.burst = standard.ticks_per_clock * evaluate(burst, device.clocks)
        for command in COLUMNS:
            latency = standard.read_latency if command in READS else standard.write_latency
            self.data_end[command] = standard.ticks_per_clock * evaluate(latency, device.clocks)
            if clock := standard.data_clock:
                self.clock_runs[command] = evaluate(clock.read if command in READS else clock.write, device.clocks)

    def _read_rules(self, device: Device) -> None:
        """Rules by the command they bind, histories by the commands they count."""
        histories: dict[tuple[str, str, int], _History] = {}
        self.rules: dict[str, list[tuple[_History, bool, Rule]]] = defaultdict(list)
        self.notes: dict[str, list[_History]] = defaultdict(list)
        for rule in rules_of(device):
            scope = "rank" if rule.scope == "other_rank" else rule.scope
            key = scope, rule.previous, rule.window
            if key not in histories:
                share = self.share[scope]
                histories[key] = _History(share, device.banks // share, rule.window)
                self.notes[rule.previous].append(histories[key])
            self.rules[rule.following].append((histories[key], rule.scope == "other_rank", rule))

    def feed(self, commands: IntArray) -> None:
        """Check the next commands: rows of tick, number in `traced`, flat bank, row. ConfigError for a bank beyond."""
        outside = np.flatnonzero((commands[:, 2] < 0) | (commands[:, 2] >= len(self.rows)))
        if outside.size:
            number, bank = self.commands + int(outside[0]), int(commands[outside[0], 2])
            raise ConfigError(f"command {number} names bank {bank}; {self.name} has {len(self.rows)}", key="trace")
        for tick, number, bank, row in commands.tolist():
            self._check(tick, self.traced[number], bank, row)
            self.commands += 1

    def finish(self) -> Verdict:
        """The verdict on all that was fed; refreshes that were due long before the last command must have come."""
        for bank, rule, due, got in self.refreshes.missing(self.now):
            self._report(self.now, "REF", bank, rule, None, due, got)
        self._check_deadline(self.now)
        return Verdict(tuple(self.found), self.count, self.commands)

    def _report(
        self, tick: int, command: str, bank: int, rule: str, previous: int | None, needed: int, got: int
    ) -> None:
        self.count += 1
        if len(self.found) < self.keep:
            self.found.append(Violation(tick, command, bank, rule, previous, needed, got))

    def _check(self, tick: int, command: str, bank: int, row: int) -> None:
        if tick < self.now:
            self._report(tick, command, bank, OUT_OF_ORDER, self.now, 0, tick - self.now)
        self.now = max(tick, self.now)
        self._check_bus(tick, command, bank)
        if self.half_ticks:
            self._check_half_ticks(tick, command, bank)
        if self.deadline is not None:
            self._check_split(tick, command, bank, row)
        width = self.scope_banks if command in self.all_banks else 1
        self._check_rules(tick, command, bank, width)
        for place, rule, due, got in self.pim.check(tick, command, bank, row, self.rows):
            self._report(tick, command, place, rule, None, due, got)
        self._check_state(tick, command, bank, row, width)
        if command in COLUMNS:
            self._check_data(tick, command, bank)
        for rule, due, got in self.refreshes.check(tick, command, bank):
            self._report(tick, command, bank, rule, None, due, got)

    def _check_bus(self, tick: int, command: str, bank: int) -> None:
        bus = self.two_buses and command in COLUMNS
        if bus in self.bus_last:
            before, name = self.bus_last[bus]
            if tick - before < self.lengths[name]:
                self._report(tick, command, bank, f"{TWO_AT_ONCE}: {name}", before, self.lengths[name], tick - before)
        self.bus_last[bus] = tick, command

    def _check_half_ticks(self, tick: int, command: str, bank: int) -> None:
        is_row = command not in COLUMNS
        if tick % 2 == 1:
            self.rising = (tick, command, bank) if is_row else self.rising
            return
        if command not in ("PRE", "PREA"):
            self._report(tick, command, bank, RISING_ONLY, None, 1, 0)
        if self.rising is None or not is_row:
            return
        before, first, other = self.rising
        right_after = tick - before == (3 if first == "ACT" else 1)
        pseudo = self.share["pseudo_channel"]
        if right_after and bank // pseudo == other // pseudo:
            for_all = first in self.all_banks or command in self.all_banks
            if for_all or bank == other:
                self._report(tick, command, bank, SAME_BANK, before, tick - before + 1, tick - before)

    def _check_rules(self, tick: int, command: str, bank: int, width: int) -> None:
        for history, of_others, rule in self.rules[command]:
            nodes: Iterable[int]
            if of_others:
                first = bank // self.share["pseudo_channel"] * self.ranks
                nodes = (rank for rank in range(first, first + self.ranks) if rank != bank // history.share)
            elif width == 1:
                nodes = (bank // history.share,)
            else:
                nodes = range(bank // history.share, (bank + width - 1) // history.share + 1)
            for node in nodes:
                last = history.last[node]
                if len(last) == history.window and tick - last[0] < rule.needed:
                    self._report(tick, command, bank, rule.text, last[0], rule.needed, tick - last[0])
        for history in self.notes[command]:
            for node in range(bank // history.share, (bank + width - 1) // history.share + 1):
                history.last[node].append(tick)

    def _check_state(self, tick: int, command: str, bank: int, row: int, width: int) -> None:
        rows = self.rows
        if command in COLUMNS:
            if rows[bank] != row or row == CLOSED:
                self._report(tick, command, bank, ROW_IS_OPEN, None, row, rows[bank])
        elif command == "ACT":
            if rows[bank] != CLOSED:
                self._report(tick, command, bank, BANK_IS_CLOSED, None, CLOSED, rows[bank])
            rows[bank] = row
        elif command in ("REF", "REFPB"):
            for one in range(bank, bank + width):
                if rows[one] != CLOSED:
                    self._report(tick, command, one, REFRESH_IS_CLOSED, None, CLOSED, rows[one])
        if command in ("PRE", "PREA", "RDA", "WRA"):
            rows[bank : bank + width] = [CLOSED] * width

    def _check_data(self, tick: int, command: str, bank: int) -> None:
        end = tick + self.data_end[command]
        start = end - self.burst
        bursts = self.bursts[bank // self.share["pseudo_channel"]]
        for before, other in bursts:
            if start < other + self.burst and other < end:
                self._report(tick, command, bank, DATA_BUS, before, other + self.burst - tick, start - tick)
        bursts.append((tick, start))
        if self.clock_runs:
            if tick >= self.clock_until and self.clock_started != tick - 1:
                self._report(tick, command, bank, CLOCK_RUNS, None, self.clock_until, tick)
            self.clock_until = max(self.clock_until, tick + self.clock_runs[command])

    def _check_split(self, tick: int, command: str, bank: int, row: int) -> None:
        if command == "CAS":
            self.clock_started = tick
            return
        if command == "ACT2":
            if self.opening is None or self.opening[1:] != (bank, row):
                self._report(tick, command, bank, SECOND_MATCHES, None, *((self.opening or (0, 0, CLOSED))[2:]), row)
            self._check_deadline(tick)
            self.opening = None
            return
        if self.opening is not None:
            first, opening, _ = self.opening
            width = self.scope_banks if command in self.all_banks else 1
            if command == "ACT" or bank <= opening < bank + width:
                self._report(tick, command, bank, NOTHING_BETWEEN, first, 0, tick - first)
        if command == "ACT":
            self._check_deadline(tick)
            self.opening = tick, bank, row

    def _check_deadline(self, tick: int) -> None:
        """The activate under way, if there is one, is or will be completed in time."""
        if self.opening is not None and self.deadline is not None and tick - self.opening[0] > self.deadline:
            first, bank, _ = self.opening
            self._report(tick, "ACT2", bank, SECOND_DUE, first, self.deadline, tick - first)


def check_trace(device: Device, commands: IntArray, refresh: str = "none", *, late: int = 1) -> Verdict:
    """The verdict on a whole trace, an array of shape (commands, 4) as `ProtocolChecker.feed` takes it."""
    checker = ProtocolChecker(device, refresh, late=late)
    checker.feed(commands)
    return checker.finish()
