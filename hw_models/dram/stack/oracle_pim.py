"""The PIM units of a channel in plain Python (rules S6 to S8), as part of the oracle: column by column, knowing all
arrivals beforehand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING

from cairn.hw_models.dram.pim_spec import PimSpec
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.server import DONE, FIRST

if TYPE_CHECKING:
    from cairn.hw_models.dram.stack.oracle import Channel


@dataclass
class PimRequest:
    """A request with the row of each column that is still to be worked on."""

    arrived: int
    task: int
    wants_first: bool
    banks: range
    columns: list[int]
    turns: Fraction


class PimUnits:
    """What the units of a channel have claimed, and what they do next. `requests` are in the order of arrival."""

    def __init__(self, pim: PimSpec, spec: DramSpec, tick: Fraction, requests: list[PimRequest], channel: Channel):
        cycle = Fraction(spec.clock.num, spec.clock.den)
        rcd = spec.t_rcd if pim.t_rcd_mac is None else pim.t_rcd_mac
        cycles = {
            "rcd": rcd, "rtp": spec.t_rtp, "spacing": pim.spacing_cycles, "change": pim.mode_change_cycles,
            "yield": pim.yield_cycles,
        }  # fmt: skip
        self.t = {name: ceil(count * cycle / tick) for name, count in cycles.items()}
        self.pim, self.requests, self.channel = pim, list(requests), channel
        self.claimed = range(0)
        self.ready = 0
        """From when on the units may claim by right, or the mode has changed."""
        self.rows = 0
        self.leaving = False
        self.to_open: list[int] = []
        self.to_close: list[int] = []
        self.last_column: int | None = None
        self.closed_from = 0
        self.begun = False
        """Whether the row is being opened, or open."""

    @property
    def rows_open(self) -> bool:
        """Whether rows are open, or being opened or closed, for the units."""
        return self.begun or bool(self.to_close)

    def moments(self) -> Iterator[int]:
        """Ticks at which the units may act."""
        yield from (self.ready, self.ready + 1, self.closed_from)
        yield from (request.arrived + 1 for request in self.requests)
        if self.last_column is not None:
            yield self.last_column
        for bank in self.claimed:
            yield from (self._earliest(command, bank) for command in ("ACT", "PRE"))

    def state(self) -> tuple[object, ...]:
        """What changes when the units have acted."""
        return (
            len(self.requests), self.claimed, self.ready, self.leaving, len(self.to_open), len(self.to_close),
            self.last_column,
        )  # fmt: skip

    def act(self, now: int) -> bool:
        """One step at tick `now` if there is one."""
        if self.last_column is not None:
            return self._columns_done(now)
        if self.to_close:
            return self._close(now)
        if self.begun:
            return self._open(now)
        if self.leaving:
            return now >= self.ready and self._release(now, self.t["yield"])
        if not self.claimed:
            return self._claim(now)
        return self._go_on(now)

    def _claim(self, now: int) -> bool:
        """S7."""
        if not self.requests or self.requests[0].arrived >= now or self.channel.due:
            return False
        banks = self.requests[0].banks if self.pim.mixed_access else range(len(self.channel.banks))
        if self._wanted(banks) and now < self.ready:
            return False
        self.claimed = banks
        self.ready = now + (0 if self.pim.mixed_access else self.t["change"])
        return True

    def _go_on(self, now: int) -> bool:
        """S8 up to the first activate; S7 where there is no request."""
        if not any(request.arrived <= now for request in self.requests):
            if now <= self.ready or not self._wanted(self.claimed):
                return False
            self.leaving, self.ready = True, now + self.t["change"]
            return True
        if self.requests[0].arrived == now:
            return False
        if self.channel.due or now < self.ready or any(self.channel.banks[bank].active for bank in self.claimed):
            return False
        still_open = [bank for bank in self.claimed if self.channel.banks[bank].row is not None]
        if still_open:
            return self._precharge(still_open, now) > 0
        self.to_open = list(self.requests[0].banks)
        self.begun = self._open(now)
        return self.begun

    def _open(self, now: int) -> bool:
        together = self.pim.activate == "together"
        asked = list(self.claimed) if together else self.to_open[:1]
        if any(self._earliest("ACT", bank) > now for bank in asked):
            return False
        for bank in self.to_open if together else asked:
            self._issue("ACT", bank, now)
            self.channel.acts.append(now)
            self.channel.banks[bank].row = self.requests[0].columns[0]
            self.channel.counts["activates"] += 1
        self.to_open = [] if together else self.to_open[1:]
        if not self.to_open:
            request = self.requests[0]
            columns = request.columns.count(request.columns[0])
            self.last_column = now + self.t["rcd"] + (columns - 1) * ceil(self.t["spacing"] * request.turns)
        return True

    def _columns_done(self, now: int) -> bool:
        if self.last_column != now:
            return False
        request, self.last_column, self.begun = self.requests[0], None, False
        row = request.columns[0]
        done = request.columns.count(row)
        request.columns = [other for other in request.columns if other != row]
        self.channel.counts["pim_bytes"] += done * len(request.banks) * self.pim.column_bytes
        self.channel.counts["pim_rows"] += len(request.banks)
        self.rows += 1
        self.to_close, self.closed_from = list(request.banks), now + self.t["rtp"]
        end = ceil((now + self.channel.read_ticks) * self.channel.tick)
        if request.wants_first:
            self.channel.events.append((end, request.task, FIRST))
        request.wants_first = False
        if not request.columns:
            self.channel.events.append((end, request.task, DONE))
            self.requests.pop(0)
        return True

    def _close(self, now: int) -> bool:
        if now < self.closed_from:
            return False
        closed = self._precharge(self.to_close, now)
        self.to_close = self.to_close[closed:]
        if closed and not self.to_close:
            self._after_row(now)
        return closed > 0

    def _after_row(self, now: int) -> None:
        """S7."""
        gives_way = self.rows >= self.pim.turn_rows and self._wanted(self.claimed)
        if self.pim.mixed_access:
            rows = self.rows
            self._release(now, self.t["yield"] if gives_way else 0)
            self.rows = 0 if gives_way else rows
        else:
            self.leaving, self.ready = gives_way, now + (self.t["change"] if gives_way else 0)

    def _release(self, now: int, wait: int) -> bool:
        self.claimed, self.leaving, self.ready, self.rows = range(0), False, now + wait, 0
        return True

    def _precharge(self, banks: list[int], now: int) -> int:
        """Precharge all of `banks`, or the first one of them, if it may be; answers how many were."""
        asked = banks if self.pim.activate == "together" else banks[:1]
        if any(self._earliest("PRE", bank) > now for bank in asked):
            return 0
        for bank in asked:
            self._issue("PRE", bank, now)
            self.channel.banks[bank].row = None
        return len(asked)

    def _wanted(self, banks: range) -> bool:
        return any(burst.bank in banks for burst in self.channel.queue) or self.channel.asks(banks)

    def keeps_out(self, bank: int, now: int) -> bool:
        """S3: runs for a bank that is claimed, or that may be claimed by right, do not begin to enter."""
        if bank in self.claimed:
            return True
        first = self.requests[0] if self.requests else None
        if first is None or now < self.ready or first.arrived > now:
            return False
        return bank in (first.banks if self.pim.mixed_access else range(len(self.channel.banks)))

    def _earliest(self, command: str, bank: int) -> int:
        return self.channel._earliest(command, bank)

    def _issue(self, command: str, bank: int, now: int) -> None:
        self.channel._issue(command, bank, now)
