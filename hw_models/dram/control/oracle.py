"""The judge of the compiled controller: rules K1 to K13 in plain Python, tick by tick, for hundreds of requests.

Written from the words in `control/__init__.py` and from a device's limits. It shares no code with the kernels: requests
stand in plain lists, every tick is looked at, and what may issue is found by asking each limit when the commands that
it counts were issued last.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from cairn.base.errors import BugError
from cairn.hw_models.dram.control.build import ControllerSpec
from cairn.hw_models.dram.device import Device, Limit
from cairn.hw_models.dram.request_list import RequestBlock

HIT, MISS, CONFLICT = range(3)
NO_ROW: Final = -1
WIDE: Final = ("PREA", "REF")
"""Commands to all banks of a refresh scope."""
COLUMN: Final = ("RD", "WR", "RDA", "WRA")
LOGGED: Final = ("ACT", "RD", "WR", "PRE", "PREA", "REF", "REFPB", "RDA", "WRA", "ACT2", "CAS")
MOST_TICKS: Final = 1_000_000

Command = tuple[int, int, int, int]
"""Tick, command (its place in LOGGED), flat bank, row (or -1)."""


@dataclass
class _Request:
    """A request; `stamp` is the tick of its acceptance, `counted` whether it is a hit, miss or conflict already."""

    number: int
    arrive: int
    write: int
    bank: int
    row: int
    stamp: int = -1
    counted: bool = False


@dataclass
class _Bank:
    """A bank: its open (or opening) row, and the request that it was activated for until that is served."""

    row: int = NO_ROW
    opening: bool = False
    active: _Request | None = None


@dataclass(frozen=True)
class _Choice:
    """A command to issue, for a request unless it is for a refresh."""

    command: str
    bank: int
    request: _Request | None = None


@dataclass(frozen=True)
class OracleResult:
    """What the oracle answers: as `ChannelResult`, all commands, and the tick of each request's read or write."""

    cycles: int
    read_outcomes: tuple[int, int, int]
    write_outcomes: tuple[int, int, int]
    commands: list[Command]
    done: list[int]


def simulate_by_rules(device: Device, controller: ControllerSpec, requests: RequestBlock) -> OracleResult:
    """Run `requests` through one channel, tick by tick."""
    return _Controller(device, controller, requests).run()


class _Limits:
    """When a command may issue, by all limits of a device and all commands so far."""

    def __init__(self, device: Device) -> None:
        o = device.organisation
        self.share = {
            "channel": device.banks, "pseudo_channel": o.rk * o.bg * o.ba, "rank": o.bg * o.ba, "bank_group": o.ba,
            "bank": 1,
        }  # fmt: skip
        self.ranks = o.rk
        self.limits: dict[str, list[Limit]] = defaultdict(list)
        for limit in device.limits():
            self.limits[limit.following].append(limit)
        self.issued: dict[tuple[str, int, str], list[int]] = defaultdict(list)
        self.known: dict[tuple[str, int], int] = {}

    def nodes(self, scope: str, banks: Sequence[int]) -> set[int]:
        """Numbers of the ranks, bank groups, ... that hold any of `banks`."""
        return {bank // self.share[scope] for bank in banks}

    def note(self, command: str, banks: Sequence[int], tick: int) -> None:
        """A command to `banks` issued at `tick`."""
        self.known.clear()
        for scope in self.share:
            for node in self.nodes(scope, banks):
                self.issued[scope, node, command].append(tick)

    def earliest(self, command: str, banks: Sequence[int]) -> int:
        """The first tick at which a command to `banks` may issue, if nothing else does before."""
        key = command, banks[0]
        if key not in self.known:
            self.known[key] = max((self._after(limit, banks) for limit in self.limits[command]), default=0)
        return self.known[key]

    def _after(self, limit: Limit, banks: Sequence[int]) -> int:
        if limit.scope == "other_rank":
            own = self.nodes("rank", banks)
            pseudo = {rank // self.ranks for rank in own}
            nodes = {rank for p in pseudo for rank in range(p * self.ranks, (p + 1) * self.ranks)} - own
            scope = "rank"
        else:
            scope, nodes = limit.scope, self.nodes(limit.scope, banks)
        counted = (self.issued[scope, node, limit.previous] for node in nodes)
        return max((ticks[-limit.window] + limit.ticks for ticks in counted if len(ticks) >= limit.window), default=0)


class _Controller:
    """One channel with its controller. Methods cite the rules that they follow."""

    def __init__(self, device: Device, spec: ControllerSpec, requests: RequestBlock) -> None:
        self.device, self.spec = device, spec
        columns = (x.tolist() for x in (requests.arrive, requests.write, requests.bank, requests.row))
        self.to_offer = [_Request(number, *row) for number, row in enumerate(zip(*columns, strict=True))]
        self.queues: tuple[list[_Request], list[_Request]] = ([], [])
        self.sizes = (spec.read_queue, spec.write_queue)
        self.active: list[_Request] = []
        self.banks = [_Bank() for _ in range(device.banks)]
        self.limits = _Limits(device)
        self.writing = False
        self.now = 0
        self.due: list[int] = []
        self.next_refreshed = 0
        self.half_ticks = device.ticks_per_clock == 2
        self.last_rising: _Choice | None = None
        self.last_rising_tick = 0
        split = device.standard.split_activate
        self.split_ticks = device.ticks(split.deadline) if split else 0
        self.split: _Bank | None = None
        self.deadline = 0
        self.clock_until = 0
        self.after_start: _Choice | None = None
        self.outcomes = [[0, 0, 0], [0, 0, 0]]
        self.commands: list[Command] = []
        self.done = [-1] * len(self.to_offer)
        self.cycles = 0

    def run(self) -> OracleResult:
        """K1, until the last request is done."""
        while self.to_offer or any(self.queues) or self.active or self.split:
            self._offer()
            self.now += 1
            self._refresh_timer()
            self._tick()
            if self.now > MOST_TICKS:
                raise BugError(f"{self.device.name}: requests wait and nothing issues")
        reads, writes = ((x[HIT], x[MISS], x[CONFLICT]) for x in self.outcomes)
        return OracleResult(self.cycles, reads, writes, self.commands, self.done)

    def _offer(self) -> None:
        while self.to_offer:
            request = self.to_offer[0]
            queue = self.queues[request.write]
            if request.arrive > self.now or len(queue) >= self.sizes[request.write]:
                return
            request.stamp = self.now
            queue.append(self.to_offer.pop(0))

    def _scope(self, first: int) -> range:
        """Banks of the refresh scope that begins with bank `first`."""
        return range(first, first + self.limits.share[self.device.standard.refresh_scope])

    def _refresh_timer(self) -> None:
        """K10: what falls due."""
        if self.spec.refresh == "none":
            return
        every = self.device.ticks("nREFI" if self.spec.refresh == "all_bank" else "nREFIpb")
        if self.now % every:
            return
        if self.spec.refresh == "all_bank":
            self.due += range(0, self.device.banks, len(self._scope(0)))
            return
        round_of = self.device.banks // self.device.organisation.pc if self.half_ticks else self.device.banks
        self.due += range(self.next_refreshed, self.device.banks, round_of)
        self.next_refreshed = (self.next_refreshed + 1) % round_of

    def _tick(self) -> None:
        if self.split_ticks or self.device.standard.data_clock:
            self._split_slot()
        elif self.device.standard.row_and_column_bus:
            if self._rising():
                self._issue(self._pick(columns=True, rows=False))
            choice = self._pick(columns=False, rows=True)
            if choice and self._rising():
                self.last_rising, self.last_rising_tick = choice, self.now
            self._issue(choice)
        else:
            self._issue(self._pick(columns=True, rows=True))

    def _rising(self) -> bool:
        return not self.half_ticks or self.now % 2 == 1

    def _pick(self, *, columns: bool, rows: bool) -> _Choice | None:
        """K3: the choice for a slot of these sorts of commands."""
        if columns:
            ready = [
                request for request in self.active if self._may("WR" if request.write else "RD", [request.bank])
            ]  # fmt: skip
            if ready:
                request = min(ready, key=lambda x: x.stamp)  # the first of equals: that activated first
                return _Choice("WR" if request.write else "RD", request.bank, request)
        if self.due:
            return self._refresh_step() if rows else None
        queue = self.queues[self._mode()]
        for request in queue[:1] if self.spec.scheduler == "fcfs" else queue:
            command = self._next_command(request)
            if command and (columns if command in COLUMN else rows) and self._allowed(request, command, queue):
                return _Choice(command, request.bank, request)
        return None

    def _mode(self) -> bool:
        """K4: whether the queue of writes is looked at. Shares of the queue in single precision, as in the source."""
        reads, writes = len(self.queues[0]), len(self.queues[1])
        enter = float(np.float32(self.spec.enter_writes) * np.float32(self.spec.write_queue))
        leave = float(np.float32(self.spec.leave_writes) * np.float32(self.spec.write_queue))
        if self.writing:
            self.writing = not reads or (writes >= leave and writes > 0)
        else:
            self.writing = writes > enter or not reads
        return self.writing

    def _next_command(self, request: _Request) -> str | None:
        """K2, and K12 for a bank that is opening."""
        bank = self.banks[request.bank]
        if bank.opening:
            return None
        if bank.row == NO_ROW:
            return "ACT"
        if bank.row == request.row:
            return "WR" if request.write else "RD"
        return "PRE"

    def _allowed(self, request: _Request, command: str, queue: Iterable[_Request]) -> bool:
        """K5, K7, K8 and K12: whether the request's next command may issue now."""
        bank = self.banks[request.bank]
        if command in COLUMN and self.spec.scheduler == "fcfs" and (self.active or self.split):
            return False
        if command == "ACT" and self.split:
            return False
        if command == "PRE":
            if bank.active:
                return False
            if self.spec.scheduler == "frfcfs_row_hit" and any(
                other.bank == request.bank and other.row == bank.row and other.stamp <= request.stamp for other in queue
            ):
                return False
        return self._may(command, [request.bank])

    def _may(self, command: str, banks: Sequence[int]) -> bool:
        """K7 and K8."""
        if self.limits.earliest(command, banks) > self.now:
            return False
        if self._rising():
            return True
        if command not in ("PRE", "PREA"):
            return False
        before = self.last_rising
        if before is None or self.now != self.last_rising_tick + (3 if before.command == "ACT" else 1):
            return True
        if self.limits.nodes("pseudo_channel", banks) != self.limits.nodes("pseudo_channel", [before.bank]):
            return True
        return before.command not in WIDE and command not in WIDE and before.bank != banks[0]

    def _refresh_step(self) -> _Choice | None:
        """K10: the next step of the refresh that is due longest."""
        first = self.due[0]
        if self.spec.refresh == "all_bank":
            scope, close, refresh = self._scope(first), "PREA", "REF"
        else:
            scope, close, refresh = range(first, first + 1), "PRE", "REFPB"
        banks = [self.banks[number] for number in scope]
        if any(bank.active or bank.opening for bank in banks):
            return None
        command = close if any(bank.row != NO_ROW for bank in banks) else refresh
        return _Choice(command, first) if self._may(command, scope) else None

    def _split_slot(self) -> None:
        """K12 and K13: one slot of a device whose activates are split and whose data clock must run."""
        if self.split and self.now >= self.deadline:
            return self._second_activate()
        started = self.after_start is not None
        choice = self.after_start or self._pick(columns=True, rows=True)
        if choice is None:
            return self._second_activate() if self.split else None
        clock = self.device.standard.data_clock
        if choice.command in COLUMN and clock:
            if not started and self.now >= self.clock_until:
                if self.split and self.now + 1 >= self.deadline:
                    return self._second_activate()
                self.after_start = choice
                return self._log("CAS", choice.bank, NO_ROW)
            self.after_start = None
            until = self.now + self.device.ticks(clock.write if choice.command == "WR" else clock.read)
            self.clock_until = max(self.clock_until, until)
        return self._issue(choice)

    def _second_activate(self) -> None:
        bank = self.split
        if bank is None or bank.active is None:
            raise BugError("there is no activate to complete")
        self._log("ACT2", bank.active.bank, bank.row)
        bank.opening, self.split = False, None
        self.active.append(bank.active)

    def _log(self, command: str, bank: int, row: int) -> None:
        self.commands.append((self.now, LOGGED.index(command), bank, row))

    def _issue(self, choice: _Choice | None) -> None:
        if choice is None:
            return
        command, number, request = choice.command, choice.bank, choice.request
        bank = self.banks[number]
        if request and not request.counted:
            self.outcomes[request.write][{"ACT": MISS, "PRE": CONFLICT}.get(command, HIT)] += 1
            request.counted = True
        if command in COLUMN and request:
            command = self._serve(command, request, bank)
        elif command == "ACT" and request:
            self._activate(request, bank)
        banks = self._scope(number) if command in WIDE else range(number, number + 1)
        self._log(command, number, NO_ROW if command in (*WIDE, "REFPB") else bank.row)
        self.limits.note(command, banks, self.now)
        if command in ("PRE", "PREA", "RDA", "WRA"):
            for closed in banks:
                self.banks[closed].row = NO_ROW
        if command in ("REF", "REFPB"):
            self.due.pop(0)

    def _activate(self, request: _Request, bank: _Bank) -> None:
        """K2: the request leaves its queue. K12: where activates are split, the row is not open yet."""
        self.queues[request.write].remove(request)
        bank.row, bank.active = request.row, request
        if self.split_ticks:
            bank.opening, self.split, self.deadline = True, bank, self.now + self.split_ticks
        else:
            self.active.append(request)

    def _serve(self, command: str, request: _Request, bank: _Bank) -> str:
        """A request's read or write; answers RDA or WRA where K9 asks for it. K11: the length of the run."""
        if request is bank.active:
            self.active.remove(request)
            bank.active = None
        else:
            self.queues[request.write].remove(request)
        self.done[request.number] = self.now
        self.cycles = max(self.cycles, self.now + (0 if request.write else self.device.read_ticks))
        if self.spec.page == "open" or bank.active:
            return command
        waiting = [*self.queues[0], *self.queues[1]]
        hit = any(other.bank == request.bank and other.row == bank.row for other in waiting)
        return command if hit else command + "A"
