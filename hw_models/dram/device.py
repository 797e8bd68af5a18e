"""A DRAM device: a standard's rules with the numbers of one preset, any of them overridden, and its limits in ticks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Final

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.standard import (
    COMMANDS,
    Organisation,
    Standard,
    evaluate,
    names_in,
    parse_rule,
    standard_of,
)

_ORDERED: Final = (
    # (timing, at least the sum of these, why)
    ("nRAS", ("nRCD",), "a row stays open at least until it can be read"),
    ("nRAS", ("nRCDRD",), "a row stays open at least until it can be read"),
    ("nRC", ("nRAS",), "a row cycle holds the row's open time"),
    ("nRC", ("nRP",), "a row cycle holds the precharge"),
    ("nFAW", ("nRRD",), "four activates take longer than two"),
    ("nFAW", ("nRRDS",), "four activates take longer than two"),
    ("nCCDL", ("nCCDS",), "commands of one bank group are no closer than those of two"),
    ("nWTRL", ("nWTRS",), "turning round inside a bank group takes no less than between two"),
)
_CLOSE_ENOUGH: Final = 1
"""Clocks by which rounding may put tRC under tRAS + tRP (GDDR6 at 1.35 V: 79 against 53 + 27)."""


@dataclass(frozen=True)
class Limit:
    """`following` comes at least `ticks` after the `window`-th last `previous` within `scope`, first tick to first."""

    scope: str
    previous: str
    following: str
    ticks: int
    window: int = 1


@dataclass(frozen=True)
class Device:
    """One channel's DRAM: organisation, clock (ps) and all timings in clocks. Build one with `device` or `from_clocks`.

    A tick of a device is `1 / ticks_per_clock` of its clock: half a clock for HBM3 and HBM4, whose row commands may
    come on either edge.
    """

    name: str
    standard: Standard
    organisation: Organisation
    clock_ps: int | Fraction
    clocks: Mapping[str, int] = field(hash=False)

    @property
    def ticks_per_clock(self) -> int:
        return self.standard.ticks_per_clock

    @property
    def tick_ps(self) -> float:
        return float(self.clock_ps) / self.ticks_per_clock

    def ticks(self, expression: str) -> int:
        """Ticks of an expression over timings."""
        return self.ticks_per_clock * evaluate(expression, self.clocks)

    def command_ticks(self, command: str) -> int:
        """Ticks for which a command occupies its bus."""
        base = {"RDA": "RD", "WRA": "WR"}.get(command, command)
        return round(self.standard.command_clocks.get(base, 1) * self.ticks_per_clock)

    @property
    def burst_ticks(self) -> int:
        """Ticks of a transaction on the data bus of its pseudo-channel."""
        return self.ticks("nBL_min" if "nBL_min" in self.clocks else "nBL")

    @property
    def read_ticks(self) -> int:
        """Ticks from a read command to the end of its data."""
        return self.ticks(self.standard.read_latency)

    @property
    def write_ticks(self) -> int:
        """Ticks from a write command to the end of its data."""
        return self.ticks(self.standard.write_latency)

    @property
    def banks(self) -> int:
        o = self.organisation
        return o.pc * o.rk * o.bg * o.ba

    @property
    def transactions(self) -> int:
        """Transactions that the channel can hold."""
        return self.banks * self.organisation.row * self.organisation.col

    @property
    def capacity_bytes(self) -> int:
        return self.transactions * self.organisation.transaction_bytes

    @property
    def peak_gb_per_s(self) -> float:
        """Bytes of all pseudo-channels per second, decimal."""
        o = self.organisation
        return o.transaction_bytes * o.pc / (self.burst_ticks * self.tick_ps) * 1e3

    def limits(self) -> list[Limit]:
        """Every timing rule in ticks between the first ticks of both commands, and the occupation of the buses.

        Rules count from the end of one command to the end of the other: a command of `len` ticks is stamped at its
        first, so nominal + (len(previous) - 1) - (len(next) - 1) is what is left between the stamps.
        """
        written = []
        for scope, rules in self.standard.rules.items():
            for rule, expression in rules.items():
                window, previous, following = parse_rule(rule, self.standard.written_commands)
                written.append(Limit(scope, previous, following, self.ticks(expression), window))
        nominal = [*written, *self._automatic(written)]
        between = [self._between_stamps(limit) for limit in nominal]
        return [*between, *self.buses()]

    def _between_stamps(self, limit: Limit) -> Limit:
        longer = self.command_ticks(limit.previous) - self.command_ticks(limit.following)
        return replace(limit, ticks=limit.ticks + longer)

    def _automatic(self, written: list[Limit]) -> list[Limit]:
        """Rules of RDA and WRA: as RD and WR, but what they ask of a precharge delays the next activate or refresh."""
        precharge = self.ticks("nRP")
        added = []
        for limit in written:
            previous = [limit.previous, *_with_automatic(limit.previous)]
            following = [limit.following, *_with_automatic(limit.following)]
            for first in previous:
                for second in following:
                    if (first, second) == (limit.previous, limit.following):
                        continue
                    closing = first in ("RDA", "WRA") and second in ("PRE", "PREA")
                    then = {"PRE": "ACT", "PREA": "REF"}[second] if closing else second
                    wait = limit.ticks + (precharge if closing else 0)
                    added.append(replace(limit, previous=first, following=then, ticks=wait))
        refreshed = [replace(x, following="REFPB") for x in added if x.scope == "bank" and x.following == "ACT"
                     and x.previous in ("RDA", "WRA")]  # fmt: skip
        return [*added, *refreshed]

    def buses(self) -> list[Limit]:
        """A command of several ticks keeps its bus: the one bus of all, or that of its sort (row or column)."""
        every: list[str] = list(COMMANDS)
        column = [command for command in every if command in ("RD", "WR", "RDA", "WRA")]
        row = [command for command in every if command not in column]
        buses = [row, column] if self.standard.row_and_column_bus else [every]
        return [
            Limit("channel", previous, following, self.command_ticks(previous))
            for bus in buses
            for previous in bus
            for following in bus
            if self.command_ticks(previous) > 1
        ]

    def changed(self, **changes: Any) -> Device:
        """This device with timings (`nRP=20`), sizes (`rk=2`) or `clock_ps` changed; checked anew."""
        sizes = {name: value for name, value in changes.items() if name in Organisation.model_fields}
        clocks = {name: value for name, value in changes.items() if name not in sizes and name != "clock_ps"}
        for name in clocks:
            if name not in self.clocks:
                raise ConfigError(
                    f"{self.standard.name} has no timing or size {name!r}; it has "
                    f"{', '.join([*self.clocks, *Organisation.model_fields])}", key=name,
                )  # fmt: skip
        organisation = Organisation(**{**self.organisation.model_dump(), **sizes})
        clock = changes.get("clock_ps", self.clock_ps)
        return _checked(Device(self.name, self.standard, organisation, clock, {**self.clocks, **clocks}))


def _with_automatic(command: str) -> tuple[str, ...]:
    return {"RD": ("RDA",), "WR": ("WRA",)}.get(command, ())


def device(preset: str, **changes: Any) -> Device:
    """The device of a preset such as "HBM3_6400", with any timing (`nRP=20`), size (`rk=2`) or `clock_ps` changed."""
    standard = standard_of(preset)
    entry = standard.presets[preset]
    return from_clocks(
        preset, standard, standard.organisations[entry.organisation], entry.clock_ps, entry.clocks
    ).changed(**changes)  # fmt: skip


def from_clocks(
    name: str, standard: Standard, organisation: Organisation, clock_ps: int | Fraction, clocks: Mapping[str, int]
) -> Device:
    """A device from timings in clocks; those that the standard derives (by density or from ns) may be left out."""
    complete = dict(clocks)
    for timing, rule in standard.derived.items():
        if timing not in complete and (ns := rule.value_ns(organisation.density_mb)) is not None:
            complete[timing] = math.ceil(ns * 1000 / float(clock_ps))
    return _checked(Device(name, standard, organisation, clock_ps, complete))


def _checked(device: Device) -> Device:
    """The device, or ConfigError saying which numbers contradict each other."""
    clocks, standard = device.clocks, device.standard
    for timing, value in clocks.items():
        if value < 0 or value != int(value):
            raise ConfigError(f"must be a whole number of clocks, 0 or more, got {value}", key=timing)
    for rules in standard.rules.values():
        for rule, expression in rules.items():
            if missing := names_in(expression) - set(clocks):
                raise ConfigError(
                    f"{device.name}: {', '.join(sorted(missing))} must be given: {rule!r} is {expression}", key=rule
                )
    for timing, others, why in _ORDERED:
        if timing in clocks and all(other in clocks for other in others):
            least = sum(clocks[other] for other in others)
            if clocks[timing] < least:
                raise ConfigError(f"{clocks[timing]} is less than {' + '.join(others)} = {least}: {why}", key=timing)
    if clocks["nRC"] + _CLOSE_ENOUGH < clocks["nRAS"] + clocks["nRP"]:
        raise ConfigError(
            f"{clocks['nRC']} is less than nRAS + nRP = {clocks['nRAS'] + clocks['nRP']}: "
            "a row cannot open again before it was closed", key="nRC",
        )  # fmt: skip
    refresh = {"nREFI": ("nRFC", "nRFCab"), "nREFIpb": ("nRFCpb",)}
    for interval, lengths in refresh.items():
        if interval in clocks and clocks[interval] <= 0:
            raise ConfigError("must be positive: a refresh every 0 clocks leaves no time for anything", key=interval)
        for length in lengths:
            if interval == "nREFI" and length in clocks and clocks[interval] <= clocks[length]:
                raise ConfigError(
                    f"{clocks[interval]} is not more than {length} = {clocks[length]}: the channel would only refresh",
                    key=interval,
                )
    return device
