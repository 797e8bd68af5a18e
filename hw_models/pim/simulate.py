"""One channel alone on a program: `simulate_program` runs the cycle model and answers what it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.checker import ProtocolChecker, Verdict
from cairn.hw_models.pim import cycle as cy
from cairn.hw_models.pim.device import PimDevice
from cairn.hw_models.pim.program import Program
from cairn.hw_models.pim.tables import INTERVAL, Tables, tables_of
from cairn.hw_models.server import IntArray

NO_LOG: Final = np.zeros((0, 4), dtype=np.int64)


@dataclass(frozen=True)
class ChannelRun:
    """What a program took on one channel.

    cycles      clocks to the end (P7)
    counts      commands by name, those that the channel adds by itself included
    ends        tick of the last command of each instruction
    open_ticks  clocks during which some row was open
    commands    the trace, shape (commands, 4) of tick, number, bank, row; empty unless asked for
    """

    device: PimDevice
    cycles: int
    counts: Mapping[str, int]
    ends: IntArray = field(repr=False)
    open_ticks: int
    commands: IntArray = field(repr=False)

    @property
    def seconds(self) -> float:
        return self.device.seconds(self.cycles)


def simulate_program(
    program: Program, refresh: str = "none", *, trace: bool = False, first_refresh: int | None = None
) -> ChannelRun:
    """Run a program to its end. `refresh` is "none" or "all_bank" (P6); with `trace` every command is kept.

    first_refresh  tick at which the first refresh falls due, where the channel ran before; nREFI when left out
    """
    tables = tables_of(program.device, refresh)
    due = int(tables.numbers[INTERVAL]) if first_refresh is None else first_refresh
    return _result(program, tables, due, trace)


def simulate_channels(programs: Sequence[Program], refresh: str = "none", *, trace: bool = False) -> list[ChannelRun]:
    """Run programs of the channels of one device, each channel by itself: they share nothing but the device.

    ConfigError where the programs are of different devices.
    """
    if not programs:
        return []
    if any(program.device is not programs[0].device for program in programs):
        raise ConfigError("programs of one call are of one device", key="programs")
    tables = tables_of(programs[0].device, refresh)
    return [_result(program, tables, int(tables.numbers[INTERVAL]), trace) for program in programs]


def _result(program: Program, tables: Tables, due: int, trace: bool) -> ChannelRun:
    channel, ends = _run(program, tables, due, NO_LOG)
    if trace:
        channel, ends = _run(program, tables, due, np.zeros((int(channel.counts.sum()), 4), dtype=np.int64))
    names = program.device.standard.traced_commands
    counted = {name: int(count) for name, count in zip(names, channel.counts, strict=True) if count}
    cycles, open_ticks = int(channel.state[cy.END]), int(channel.state[cy.OPEN_TICKS])
    return ChannelRun(program.device, cycles, counted, ends, open_ticks, channel.log)


def _run(program: Program, tables: Tables, due: int, log: IntArray) -> tuple[cy.Channel, IntArray]:
    """A channel after a program, and the ticks at which its instructions ended."""
    kinds = len(tables.commands)
    channel = cy.Channel(
        commands=tables.commands, starts=tables.starts, rules=tables.rules, numbers=tables.numbers,
        state=np.zeros(cy.STATE_WORDS, dtype=np.int64), rows=np.zeros(tables.banks, dtype=np.int64),
        gates=np.zeros(kinds, dtype=np.int64), ready=np.zeros((kinds, tables.banks), dtype=np.int64),
        rings=np.zeros((max(1, tables.rings), cy.RING + 1), dtype=np.int64), counts=np.zeros(kinds, dtype=np.int64),
        log=log,
    )  # fmt: skip
    cy.reset(channel, due)
    ends = np.zeros(len(program), dtype=np.int64)
    cy.run_channel(channel, program.words, ends)
    return channel, ends


def verdict_of(run: ChannelRun, refresh: str = "none") -> Verdict:
    """What the protocol checker says of a run that was traced. A refresh waits for the instruction before it, so it may
    be late by one interval."""
    checker = ProtocolChecker(run.device.dram, refresh, late=1)
    checker.feed(run.commands)
    return checker.finish()
