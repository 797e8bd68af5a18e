"""The rules of the DRAM server in plain Python, one request at a time, for small cases.

Written from the rules in the package's docstring: it keeps the commands themselves and the instants of every run,
and knows all arrivals beforehand, where the cycle model keeps bounds and must not look ahead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

import numpy as np

from cairn.hw_models.dram.layout import REQUEST_COLUMNS
from cairn.hw_models.dram.spec import TIMINGS, DramSpec
from cairn.hw_models.server import DONE, FIRST, IS_WRITE, WANTS_FIRST, IntArray

Completion = tuple[int, int, int]


@dataclass(frozen=True)
class Run:
    """Consecutive bytes of one row of one bank (D1)."""

    bank: int
    row: int
    size_bytes: int


@dataclass
class Request:
    """A request with its runs still to be admitted."""

    arrival: int
    task: int
    is_write: bool
    wants_first: bool
    runs: list[Run]
    begun: bool = False


@dataclass
class Bank:
    """A bank's open row and the last commands that bind the next ones."""

    row: int | None = None
    act: int | None = None
    read: int | None = None
    write_end: int | None = None


@dataclass
class Channel:
    """A channel in the middle of its admissions."""

    banks: list[Bank]
    acts: list[int] = field(default_factory=list)
    begins: list[int] = field(default_factory=list)
    bus_free: int = 0
    was_write: bool | None = None
    admitted: int = 0
    served_last: int = -1
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(
            ("bytes_read", "bytes_written", "padding_bytes", "row_hits", "row_misses", "row_conflicts"), 0
        )
    )


@dataclass(frozen=True)
class Commands:
    """When the commands and data of one run happen."""

    outcome: str
    act: int | None
    begin: int


class DramOracle:
    """All channels of `spec`; `run` answers completions and counters of timed requests `(tick, task, row)`."""

    def __init__(self, spec: DramSpec, channels: int):
        self.spec, self.channels = spec, channels
        self.slot: Fraction = spec.slot_ticks(channels)
        self.t = {name: spec.timing_ticks(name) for name in TIMINGS}

    def run(self, timed: Iterable[tuple[int, int, Sequence[int]]]) -> tuple[list[Completion], Mapping[str, IntArray]]:
        """Sorted `(tick, task, event)`, and arrays over channels named as the server's counters."""
        queues: list[list[Request]] = [[] for _ in range(self.channels)]
        for tick, task, row in timed:
            columns = dict(zip(REQUEST_COLUMNS, row, strict=True))
            queues[columns["channel"]].append(self._request(tick, task, columns))
        completions: list[Completion] = []
        states = []
        for queue in queues:
            channel = Channel([Bank() for _ in range(self.spec.banks_per_channel)])
            completions.extend(self._serve(channel, queue))
            states.append(channel.counts)
        counted = {name: np.array([counts[name] for counts in states], dtype=np.int64) for name in states[0]}
        return sorted(completions), counted

    def _request(self, tick: int, task: int, columns: Mapping[str, int]) -> Request:
        flags = columns["flags"]
        runs = list(self._cut(columns))
        return Request(tick, task, bool(flags & IS_WRITE), bool(flags & WANTS_FIRST), runs)

    def _cut(self, columns: Mapping[str, int]) -> Iterator[Run]:
        """The runs of a request (D1)."""
        stripe, granule = columns["stripe_bytes"], self.spec.run_bytes
        at, end = columns["offset_bytes"], columns["offset_bytes"] + columns["bytes"]
        while at < end:
            upto = min(end, (at // stripe + 1) * stripe, (at // granule + 1) * granule)
            number = at // stripe
            byte = number // columns["bank_count"] * stripe + at % stripe
            bank = columns["bank_base"] + number % columns["bank_count"]
            yield Run(bank, columns["row_base"] + byte // self.spec.row_bytes, upto - at)
            at = upto

    def _serve(self, channel: Channel, queue: list[Request]) -> Iterator[Completion]:
        """Admit runs until none is left (D2), answering completions (D6)."""
        while waiting := [request for request in queue if request.runs]:
            admission = max(channel.admitted, min(request.arrival for request in waiting))
            if len(channel.begins) >= self.spec.queue_runs:
                admission = max(admission, channel.begins[-self.spec.queue_runs])
            present = sorted((r for r in waiting if r.arrival <= admission), key=lambda r: r.task)
            above = [request for request in present if request.task > channel.served_last]
            request = above[0] if above else present[0]
            channel.admitted, channel.served_last = admission, request.task
            run = request.runs.pop(0)
            begin, end = self._issue(channel, run, request.is_write, admission)
            if request.wants_first and not request.begun:
                yield begin + ceil(self.slot), request.task, FIRST
            request.begun = True
            if not request.runs:
                yield end, request.task, DONE

    def _issue(self, channel: Channel, run: Run, is_write: bool, admission: int) -> tuple[int, int]:
        """Begin and end of a run's data; the channel afterwards."""
        commands = self._commands(channel, run, is_write, admission)
        if self.spec.refresh == "all_bank":  # D5
            number = 1
            while (start := number * self.t["t_refi"]) <= commands.begin:
                if start > max(channel.begins, default=-1):
                    for bank in channel.banks:
                        bank.row = None
                    after = max(admission, start + self.t["t_rfc"])
                    commands = self._commands(channel, run, is_write, after)
                number += 1
        bursts = ceil(Fraction(run.size_bytes, self.spec.burst_bytes))
        end = commands.begin + ceil(bursts * self.slot)
        bank = channel.banks[run.bank]
        if commands.act is not None:
            channel.acts.append(commands.act)
            bank.row, bank.act = run.row, commands.act
        if is_write:
            bank.write_end = end
        else:
            bank.read = end - ceil(self.slot) - self.t["t_cl"]
        channel.begins.append(commands.begin)
        channel.bus_free, channel.was_write = end, is_write
        channel.counts[commands.outcome] += 1
        channel.counts["bytes_written" if is_write else "bytes_read"] += run.size_bytes
        channel.counts["padding_bytes"] += bursts * self.spec.burst_bytes - run.size_bytes
        return commands.begin, end

    def _commands(self, channel: Channel, run: Run, is_write: bool, earliest: int) -> Commands:
        """Commands of a run, none before `earliest` (D3, D4)."""
        t, bank = self.t, channel.banks[run.bank]
        act: int | None = None
        column = [earliest]
        if bank.row == run.row:
            outcome = "row_hits"
            column.append(_after(bank.act, t["t_rcd"], earliest))
        else:
            constraints = [earliest, _after(bank.act, t["t_ras"] + t["t_rp"], earliest)]
            if bank.row is None:
                outcome = "row_misses"
            else:
                outcome = "row_conflicts"
                precharge = max(
                    earliest,
                    _after(bank.act, t["t_ras"], earliest),
                    _after(bank.read, t["t_rtp"], earliest),
                    _after(bank.write_end, t["t_wr"], earliest),
                )
                constraints.append(precharge + t["t_rp"])
            if channel.acts:
                constraints.append(channel.acts[-1] + t["t_rrd"])
            if len(channel.acts) >= 4:
                constraints.append(channel.acts[-4] + t["t_faw"])
            act = max(constraints)
            column.append(act + t["t_rcd"])
        turn = 0
        if channel.was_write is not None and channel.was_write != is_write:
            turn = t["t_rtw"] if is_write else t["t_wtr"]
        return Commands(outcome, act, max(max(column) + t["t_cl"], channel.bus_free + turn))


def _after(command: int | None, delay: int, otherwise: int) -> int:
    return otherwise if command is None else command + delay
