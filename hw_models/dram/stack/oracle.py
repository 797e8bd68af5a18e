"""The rules of channels with controllers in plain Python, burst by burst, for small cases.

Written from the rules in `stack` (S1 to S5) and `control` (K1 to K7, K10): it keeps the commands themselves, looks at
every waiting burst at every tick at which anything may issue, and knows all arrivals beforehand, where the server keeps
earliest moments, moves runs of bursts in one step and must not look ahead.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

import numpy as np

from cairn.hw_models.dram.pim_spec import PimSpec
from cairn.hw_models.dram.request import IS_BUFFER, IS_PIM, REQUEST_COLUMNS, TURNS
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.dram.stack.device import stack_controller, stack_device, tick_ps, write_wait_ticks
from cairn.hw_models.dram.stack.oracle_pim import PimRequest, PimUnits
from cairn.hw_models.server import DONE, FIRST, IS_WRITE, WANTS_FIRST, IntArray

Completion = tuple[int, int, int]
COUNTED = ("bytes_read", "bytes_written", "padding_bytes", "row_hits", "row_misses", "row_conflicts", "activates")
BUFFER = -1
"""Bank of bursts to and from PIM buffers."""


@dataclass
class Request:
    """A request with the runs that have not begun to enter: (bank, row, bursts, bytes)."""

    arrived: int
    task: int
    write: bool
    wants_first: bool
    runs: list[tuple[int, int, int, int]]
    unissued: int
    begun: bool = False


@dataclass
class Burst:
    """A burst in a queue, or activated for."""

    request: Request
    bank: int
    row: int
    number: int
    run_entered: int
    counted: bool = False


@dataclass
class Bank:
    """A bank: its open row, the burst it was activated for, and the last command of each sort."""

    row: int | None = None
    active: Burst | None = None
    last: dict[str, int] = field(default_factory=dict)


class Channel:
    """One channel, from its first tick to its last."""

    pim: PimUnits | None = None

    def __init__(self, spec: DramSpec, channels: int, requests: list[Request]):
        device = stack_device(spec, channels)
        self.t, self.command = device.clocks, device.command_ticks("ACT")
        controller = stack_controller(spec)
        self.room = {False: controller.read_queue, True: controller.write_queue}
        self.enter, self.leave = controller.marks()
        self.refresh = spec.refresh == "all_bank"
        self.write_wait = write_wait_ticks(spec, channels)
        self.requests, self.read_ticks = requests, device.read_ticks
        self.banks = [Bank() for _ in range(spec.banks_per_channel)]
        self.queue: list[Burst] = []
        self.entering: list[Burst] = []
        self.last: dict[str, int] = {}
        self.bus: dict[str, int] = {}
        self.acts: list[int] = []
        self.served_last, self.number, self.due, self.refreshes = -1, 0, 0, 0
        self.writing, self.offered = False, 0
        self.seen: tuple[object, ...] = ()
        self.counts = dict.fromkeys((*COUNTED, "pim_bytes", "pim_rows"), 0)
        self.events: list[Completion] = []

    def run(self, burst_bytes: int) -> None:
        """Every tick at which anything may happen, until all requests are done."""
        now = 0
        while True:
            self.offered = now
            self._offer(now, burst_bytes)
            if not any(request.unissued for request in self.requests) and not (self.pim and self.pim.requests):
                return
            now = min(tick for tick in self._moments(now) if tick > now)
            falls_due = self.refresh and now % self.t["nREFI"] == 0
            self.due += falls_due
            if not falls_due and self.pim and self.pim.act(now):
                continue
            self._column_slot(now)
            self._row_slot(now)
            if falls_due and self.pim and self.pim.last_column == now:  # no command: it is reached all the same
                self.pim.act(now)

    def _offer(self, now: int, burst_bytes: int) -> None:
        """S3: the run that has begun goes on; then the request whose turn it is begins another."""
        while True:
            if not self.entering:
                present = sorted((r for r in self.requests if self._may_enter(r, now)), key=lambda r: r.task)
                above = [request for request in present if request.task > self.served_last]
                if not present:
                    return
                request = above[0] if above else present[0]
                if not self._free(request.write):
                    return
                bank, row, bursts, size = request.runs.pop(0)
                self.served_last = request.task
                self.entering = [Burst(request, bank, row, 0, now) for _ in range(bursts)]
                self.counts["padding_bytes"] += bursts * burst_bytes - size
                self.counts["bytes_written" if request.write else "bytes_read"] += size
            while self.entering and self._free(self.entering[0].request.write):
                burst = self.entering.pop(0)
                burst.number, self.number = self.number, self.number + 1
                self.queue.append(burst)
            if self.entering:
                return

    def _may_enter(self, request: Request, now: int) -> bool:
        """S3: it is there, and its next run is for no bank that the units have claimed, or may claim by right."""
        if not request.runs or request.arrived > now:
            return False
        return not (self.pim and self.pim.keeps_out(request.runs[0][0], now))

    def asks(self, banks: range) -> bool:
        """Whether the next run of a request that was there at the last tick looked at is for one of `banks`."""
        return any(r.runs and r.arrived <= self.offered and r.runs[0][0] in banks for r in self.requests)

    def _free(self, write: bool) -> bool:
        return len(self._waiting(write)) < self.room[write]

    def _waiting(self, write: bool) -> list[Burst]:
        return [burst for burst in self.queue if burst.request.write == write]

    def _moments(self, now: int) -> Iterator[int]:
        """Ticks at which something may happen: a command of anyone waiting, a refresh, an arrival, and the next one."""
        yield from (r.arrived for r in self.requests if r.runs)
        yield from (burst.run_entered + self.write_wait for burst in self._waiting(True))
        if self.refresh:
            yield (now // self.t["nREFI"] + 1) * self.t["nREFI"]
        bursts = [*self.queue, *(bank.active for bank in self.banks if bank.active)]
        for burst in bursts:
            yield self._earliest(self._command(burst), burst.bank)
        if self.due:
            yield from (self._earliest("PREA", 0), self._earliest("REF", 0))
        if self.pim:
            yield from self.pim.moments()
        units = self.pim.state() if self.pim else ()
        there = sum(bool(r.runs) and r.arrived <= now for r in self.requests)
        seen = self.number, there, self.due, self.writing, *self.last.values(), *self.bus.values(), *units
        if seen != self.seen:  # who may issue already does so at the next tick, or when something else has happened
            yield now + 1
        self.seen = seen

    def _command(self, burst: Burst) -> str:
        """K2, S6."""
        if burst.bank == BUFFER:
            return "WR" if burst.request.write else "RD"
        bank = self.banks[burst.bank]
        if bank.row is None:
            return "ACT"
        if bank.row != burst.row:
            return "PRE"
        return "WR" if burst.request.write else "RD"

    def _earliest(self, command: str, bank: int) -> int:
        """K7: the rules of stacked banks, each beside the timing that it names."""
        t, own, ever = self.t, {} if bank == BUFFER else self.banks[bank].last, self.last
        if command in ("RD", "WR"):
            ever = self.last | self.bus
        written = t["nCL"] + t["nBL"] + t["nWR"]
        column, row = (
            (("RD", self.command), ("WR", self.command)),
            [(x, self.command) for x in ("ACT", "PRE", "PREA", "REF")],
        )
        of_bank: dict[str, Sequence[tuple[str, int]]] = {
            "RD": [("ACT", t["nRCD"])],
            "WR": [("ACT", t["nRCD"])],
            "ACT": [("ACT", t["nRC"]), ("PRE", t["nRP"])],
            "PRE": [("ACT", t["nRAS"]), ("RD", t["nRTP"]), ("WR", written)],
        }
        of_all: dict[str, Sequence[tuple[str, int]]] = {
            "RD": [("RD", t["nBL"]), ("WR", t["nBL"] + t["nWTR"]), *column],
            "WR": [("WR", t["nBL"]), ("RD", t["nBL"] + t["nRTW"]), *column],
            "ACT": [("ACT", t["nRRD"]), ("PREA", t["nRP"]), ("REF", t["nRFC"]), *row],
            "PRE": row,
            "PREA": [("ACT", t["nRAS"]), ("RD", t["nRTP"]), ("WR", written), ("REF", t["nRFC"]), *row],
            "REF": [("ACT", t["nRC"]), ("PRE", t["nRP"]), ("PREA", t["nRP"]), *row],
        }
        ticks = [own[previous] + delay for previous, delay in of_bank.get(command, []) if previous in own]
        ticks += [ever[previous] + delay for previous, delay in of_all[command] if previous in ever]
        if command == "ACT" and len(self.acts) >= 4:
            ticks.append(self.acts[-4] + t["nFAW"])
        return max(ticks, default=0)

    def _mode(self, now: int) -> list[Burst]:
        """K4, S4: the queue that is served now."""
        reads, writes = len(self._waiting(False)), len(self._waiting(True))
        if any(burst.run_entered + self.write_wait <= now for burst in self._waiting(True)):
            self.writing = True
        elif not self.writing:
            self.writing = writes >= self.enter or reads == 0
        elif writes <= self.leave and reads:
            self.writing = False
        return self._waiting(self.writing)

    def _column_slot(self, now: int) -> None:
        """K3, K5: activated bursts first, then hits, the oldest that may issue; while a refresh is due, only those."""
        active = [bank.active for bank in self.banks if bank.active]
        chosen = self._oldest(active, now, ("RD", "WR"))
        if chosen is None and not self.due:
            chosen = self._oldest(self._free_of_pim(self._mode(now)), now, ("RD", "WR"))
        if chosen is None:
            return
        if chosen.bank != BUFFER and self.banks[chosen.bank].active is chosen:
            self.banks[chosen.bank].active = None
        else:
            self.queue.remove(chosen)
            if chosen.bank != BUFFER:
                self._count(chosen, "row_hits")
        self._issue("WR" if chosen.request.write else "RD", chosen.bank, now)
        self._complete(chosen.request, now)

    def _complete(self, request: Request, now: int) -> None:
        """S5."""
        end = ceil((now + self.read_ticks) * self.tick)
        if request.wants_first and not request.begun:
            self.events.append((end, request.task, FIRST))
        request.begun = True
        request.unissued -= 1
        if not request.unissued:
            self.events.append((end, request.task, DONE))

    tick: Fraction = Fraction(1)

    def _row_slot(self, now: int) -> None:
        """K3, K5, K10: the refresh that is due, else activates and precharges."""
        if self.due:
            self._refresh_slot(now)
            return
        waiting = self._free_of_pim(self._mode(now))
        chosen = self._oldest([burst for burst in waiting if self._may(burst, waiting)], now, ("ACT", "PRE"))
        if chosen is None:
            return
        bank, command = self.banks[chosen.bank], self._command(chosen)
        if command == "PRE":
            self._count(chosen, "row_conflicts")
            bank.row = None
        else:
            self._count(chosen, "row_misses")
            self.counts["activates"] += 1
            self.acts.append(now)
            self.queue.remove(chosen)
            bank.row, bank.active = chosen.row, chosen
        self._issue(command, chosen.bank, now)

    def _free_of_pim(self, bursts: list[Burst]) -> list[Burst]:
        """Those whose bank is not claimed (S7)."""
        return [burst for burst in bursts if not (self.pim and burst.bank in self.pim.claimed)]

    def _may(self, burst: Burst, waiting: list[Burst]) -> bool:
        """Whether a burst may have its row command: it closes no row opened for another or hit by an older one."""
        if self._command(burst) != "PRE":
            return True
        bank = self.banks[burst.bank]
        older = any(x.number < burst.number and x.bank == burst.bank and x.row == bank.row for x in waiting)
        return bank.active is None and not older

    def _refresh_slot(self, now: int) -> None:
        if any(bank.active for bank in self.banks) or (self.pim and self.pim.rows_open):
            return
        command = "PREA" if any(bank.row is not None for bank in self.banks) else "REF"
        if self._earliest(command, 0) > now:
            return
        self._issue(command, 0, now)
        self.due -= command == "REF"
        for bank in self.banks:
            bank.row = None

    def _oldest(self, bursts: list[Burst], now: int, commands: tuple[str, str]) -> Burst | None:
        ready = [b for b in bursts if (c := self._command(b)) in commands and self._earliest(c, b.bank) <= now]
        return min(ready, key=lambda burst: burst.number, default=None)

    def _issue(self, command: str, bank: int, now: int) -> None:
        if command in ("RD", "WR"):
            self.bus[command] = now
        if bank == BUFFER:  # S6: it pushes back no row command
            return
        self.last[command] = now
        if command in ("RD", "WR", "ACT", "PRE"):
            self.banks[bank].last[command] = now

    def _count(self, burst: Burst, outcome: str) -> None:
        """K6."""
        if not burst.counted:
            self.counts[outcome] += 1
        burst.counted = True


class StackOracle:
    """All channels of `spec`; `run` answers completions and counters of timed requests `(tick, task, row)`."""

    def __init__(self, spec: DramSpec, channels: int, pim: PimSpec | None = None):
        self.spec, self.channels, self.pim = spec, channels, pim

    def run(self, timed: Iterable[tuple[int, int, Sequence[int]]]) -> tuple[list[Completion], Mapping[str, IntArray]]:
        """Sorted `(ps, task, event)`, and arrays over channels named as the server's counters."""
        queues: list[list[Request]] = [[] for _ in range(self.channels)]
        of_units: list[list[PimRequest]] = [[] for _ in range(self.channels)]
        tick = tick_ps(self.spec, self.channels)
        for ps, task, row in timed:
            columns = dict(zip(REQUEST_COLUMNS, row, strict=True))
            flags = columns["flags"]
            if flags & IS_PIM:
                of_units[columns["channel"]].append(self._pim_request(ceil(ps / tick), task, columns))
                continue
            if flags & IS_BUFFER:
                columns |= {"bank_base": BUFFER, "bank_count": 1}
            runs = list(self._cut(columns))
            queues[columns["channel"]].append(
                Request(
                    ceil(ps / tick), task, bool(flags & IS_WRITE), bool(flags & WANTS_FIRST), runs,
                    sum(bursts for _, _, bursts, _ in runs),
                )
            )  # fmt: skip
        served = []
        for queue, units in zip(queues, of_units, strict=True):
            channel = Channel(self.spec, self.channels, queue)
            channel.tick = tick
            if self.pim is not None:
                channel.pim = PimUnits(self.pim, self.spec, tick, units, channel)
            channel.run(self.spec.burst_bytes)
            served.append(channel)
        names = served[0].counts
        counted = {name: np.array([channel.counts[name] for channel in served], dtype=np.int64) for name in names}
        return sorted(event for channel in served for event in channel.events), counted

    def _pim_request(self, arrived: int, task: int, columns: Mapping[str, int]) -> PimRequest:
        """S6."""
        if self.pim is None:
            raise ValueError("a PIM request for channels without PIM units")
        together = columns["bank_count"] * self.pim.column_bytes
        banks = range(columns["bank_base"], columns["bank_base"] + columns["bank_count"])
        begin, in_row = columns["offset_bytes"] // together, self.spec.row_bytes // self.pim.column_bytes
        rows = [columns["row_base"] + c // in_row for c in range(begin, begin + columns["bytes"] // together)]
        turns = max(Fraction(1), Fraction(columns["flags"] // TURNS, self.pim.turn_parts))
        return PimRequest(arrived, task, bool(columns["flags"] & WANTS_FIRST), banks, rows, turns)

    def _cut(self, columns: Mapping[str, int]) -> Iterator[tuple[int, int, int, int]]:
        """The runs of a request (S2)."""
        stripe, granule = columns["stripe_bytes"], self.spec.turn_bytes
        at, end = columns["offset_bytes"], columns["offset_bytes"] + columns["bytes"]
        while at < end:
            upto = min(end, (at // stripe + 1) * stripe, (at // granule + 1) * granule)
            number = at // stripe
            byte = number // columns["bank_count"] * stripe + at % stripe
            bank = columns["bank_base"] + number % columns["bank_count"]
            yield (
                bank,
                columns["row_base"] + byte // self.spec.row_bytes,
                -(-(upto - at) // self.spec.burst_bytes),
                upto - at,
            )
            at = upto
