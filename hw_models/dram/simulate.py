"""One channel alone on requests: `simulate_channel` runs the cycle model and answers what it measured.

Requests come as blocks and are not kept, so a trace of any length streams through. The run goes on until the last
request is done, not until the last one is accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd

from cairn.base.errors import BugError, ConfigError
from cairn.hw_models.dram.control import layout as ix
from cairn.hw_models.dram.control.build import ControllerSpec, build_state
from cairn.hw_models.dram.control.drive import (
    BINS,
    BUCKETS,
    M_BIN_TICKS,
    M_LAST_ACCEPTED,
    M_READ_MAX,
    M_READ_SUM,
    M_READS,
    M_WRITE_MAX,
    M_WRITE_SUM,
    M_WRITES,
    MEASURES,
    bucket_floor,
    run_requests,
)
from cairn.hw_models.dram.control.step import OVERDUE
from cairn.hw_models.dram.device import Device
from cairn.hw_models.dram.request_list import RequestBlock
from cairn.hw_models.dram.standard import COMMANDS
from cairn.hw_models.server import ERROR, IntArray

LOG_ROOM: Final = 1 << 16
FIRST_BIN_TICKS: Final = 16
PERCENTILES: Final = (50, 95, 99)
"""Percentiles of latencies that a report tells."""
LOGGED: Final = (*COMMANDS, "ACT2", "CAS")
"""Names of logged commands by number: ACT2 ends a split activate, CAS starts the data clock."""

CommandSink = Callable[[IntArray], None]
"""Receives logged commands, in order: an array of shape (commands, 4) of tick, command, flat bank, row (or -1)."""


@dataclass(frozen=True)
class Latencies:
    """Latencies of reads (acceptance to the end of the data) or writes (acceptance to the command), in ticks."""

    count: int
    total: int
    maximum: int
    buckets: IntArray = field(repr=False)

    def as_dict(self, tick_ps: float) -> dict[str, float]:
        """Count, mean, median (p50), p95, p99 and maximum, in ns of ticks of `tick_ps`."""
        spread = {f"p{percent}_ns": self.percentile(percent) * tick_ps / 1000 for percent in PERCENTILES}
        return {
            "count": self.count,
            "mean_ns": self.mean * tick_ps / 1000,
            **spread,
            "max_ns": self.maximum * tick_ps / 1000,
        }

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else 0.0

    def percentile(self, percent: float) -> int:
        """The latency that `percent` of the requests do not exceed; above 255 ticks within 0.8 % below."""
        if not self.count:
            return 0
        reached = np.searchsorted(np.cumsum(self.buckets), np.ceil(self.count * percent / 100))
        return bucket_floor(int(reached))


@dataclass(frozen=True)
class ChannelResult:
    """What a run measured. Ticks are those of the device; `cycles` is the later of the last read's data and the last
    write command."""

    device: Device
    controller: ControllerSpec
    cycles: int
    last_accepted: int
    read_outcomes: tuple[int, int, int]
    write_outcomes: tuple[int, int, int]
    reads: Latencies
    writes: Latencies
    commands: Mapping[str, int]
    charged: IntArray = field(repr=False)
    bins: IntArray = field(repr=False)
    bin_ticks: int = 0

    @property
    def requests(self) -> int:
        return self.reads.count + self.writes.count

    @property
    def hits(self) -> int:
        return self.read_outcomes[0] + self.write_outcomes[0]

    @property
    def misses(self) -> int:
        return self.read_outcomes[1] + self.write_outcomes[1]

    @property
    def conflicts(self) -> int:
        return self.read_outcomes[2] + self.write_outcomes[2]

    @property
    def bytes_moved(self) -> int:
        return self.requests * self.device.organisation.transaction_bytes

    @property
    def time_ns(self) -> float:
        return self.cycles * self.device.tick_ps / 1000

    @property
    def bandwidth_gb_per_s(self) -> float:
        return self.bytes_moved / self.time_ns if self.cycles else 0.0

    @property
    def efficiency(self) -> float:
        """Achieved over peak bandwidth."""
        return self.bandwidth_gb_per_s / self.device.peak_gb_per_s

    @cached_property
    def causes(self) -> pd.Series:
        """Ticks charged to each cause, summed over pseudo-channels. They add up to `span_ticks` of each.

        `drain` is the latency of a read after its place on the bus; a pseudo-channel that ends earlier than the run has
        no demand afterwards.
        """
        rest = self.span_ticks - self.charged.sum(axis=1)
        drain = np.minimum(rest, self.device.read_ticks - self.device.burst_ticks)
        total = np.append(self.charged.sum(axis=0), drain.sum())
        total[ix.NO_DEMAND] += (rest - drain).sum()
        return pd.Series(total, index=pd.Index(ix.CAUSES, name="cause"), name="ticks")

    @property
    def span_ticks(self) -> int:
        """Ticks that are charged in each pseudo-channel: the run, or a little more where a write's data end later."""
        return max(self.cycles, int(self.charged.sum(axis=1).max(initial=0)))

    @property
    def limited_by(self) -> str:
        """The cause with the largest share."""
        return str(self.causes.idxmax())

    @property
    def lost_to(self) -> str:
        """The cause, other than data on the bus, with the largest share: what to change for more bandwidth."""
        return str(self.causes.drop("data_bus").idxmax())

    def over_time(self) -> pd.DataFrame:
        """Bandwidth in bins of the run: start_ns, read and write GB/s."""
        last = max(1, -(-self.cycles // self.bin_ticks)) if self.bin_ticks else 1
        start = np.arange(min(last, BINS)) * self.bin_ticks * self.device.tick_ps / 1000
        scale = self.device.organisation.transaction_bytes / (self.bin_ticks * self.device.tick_ps / 1000)
        moved = self.bins[:, : start.size] * scale
        return pd.DataFrame({"start_ns": start, "read_gb_per_s": moved[0], "write_gb_per_s": moved[1]})

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain data for JSON: device, controller, time, bandwidth, outcomes, latencies, causes."""
        device = self.device
        outcomes = ("hits", "misses", "conflicts")
        return {
            "device": {
                "name": device.name,
                "standard": device.standard.name,
                "source": device.standard.source,
                "organisation": device.organisation.model_dump(),
                "clock_ps": device.clock_ps,
                "ticks_per_clock": device.ticks_per_clock,
                "clocks": dict(device.clocks),
            },
            "controller": self.controller.model_dump(),
            "requests": self.requests,
            "bytes": self.bytes_moved,
            "ticks": self.cycles,
            "tick_ps": device.tick_ps,
            "time_ns": self.time_ns,
            "bandwidth_gb_per_s": self.bandwidth_gb_per_s,
            "peak_gb_per_s": device.peak_gb_per_s,
            "efficiency": self.efficiency,
            "reads": {
                **self.reads.as_dict(device.tick_ps),
                **dict(zip(outcomes, self.read_outcomes, strict=True)),
            },
            "writes": {
                **self.writes.as_dict(device.tick_ps),
                **dict(zip(outcomes, self.write_outcomes, strict=True)),
            },
            "commands": dict(self.commands),
            "time_share_by_cause": self.shares.to_dict(),
            "limited_by": self.limited_by,
            "lost_to": self.lost_to,
        }

    @property
    def shares(self) -> pd.Series:
        """Share of the time that is charged to each cause; they add up to 1."""
        return (self.causes / max(1, self.causes.sum())).rename("share")


def simulate_channel(
    device: Device,
    controller: ControllerSpec | None = None,
    requests: RequestBlock | Iterable[RequestBlock] = (),
    *,
    commands: CommandSink | None = None,
    done: IntArray | None = None,
) -> ChannelResult:
    """Run requests, given at once or in blocks, through one channel; each is offered in order when its time has come.

    `commands` receives all issued commands. `done`, an array with room for every request, receives the tick of each
    request's read or write command. ConfigError when a block names a bank or row that the device does not have.
    """
    run = _Run(device, controller or ControllerSpec(), commands, done)
    for block in [requests] if isinstance(requests, RequestBlock) else requests:
        run.offer(block)
    return run.finish()


class _Run:
    """A channel in the middle of its requests."""

    def __init__(
        self, device: Device, controller: ControllerSpec, commands: CommandSink | None, done: IntArray | None
    ) -> None:
        self.device, self.controller, self.commands = device, controller, commands
        self.state = build_state(device, controller, log=LOG_ROOM if commands else 0)
        self.base = int(self.state[ix.P_BLOCKS_AT])
        self.measures = np.zeros(MEASURES, dtype=np.int64)
        self.measures[M_BIN_TICKS] = FIRST_BIN_TICKS
        self.latencies = np.zeros((2, BUCKETS), dtype=np.int64)
        self.bins = np.zeros((2, BINS), dtype=np.int64)
        self.done = np.zeros(0, dtype=np.int64) if done is None else done
        self.offered = 0

    def offer(self, block: RequestBlock) -> None:
        """Take in a block: it returns when all of it is accepted."""
        _check(block, self.device, self.offered)
        self._run(block, is_last=False)
        self.offered += len(block)

    def finish(self) -> ChannelResult:
        """Serve what is waiting and answer the result."""
        nothing = np.zeros(0, dtype=np.int64)
        self._run(RequestBlock(nothing, nothing, nothing, nothing), is_last=True)
        return self._result()

    def _run(self, block: RequestBlock, *, is_last: bool) -> None:
        at, count = 0, len(block)
        while True:
            at = run_requests(
                self.state, self.base, block.arrive, block.write, block.bank, block.row, at, self.offered, is_last,
                self.measures, self.latencies, self.bins, self.done,
            )  # fmt: skip
            if self.state[ERROR] == OVERDUE:
                raise ConfigError(
                    f"{self.device.name}: {self.controller.refresh} refreshes fall due faster than they can be done",
                    key="refresh",
                )
            if self.state[ERROR]:
                raise BugError(f"{self.device.name}: requests wait and no command can issue")
            if not self._emptied_log() and at == count:
                return

    def _emptied_log(self) -> bool:
        """Hand on the logged commands; answers whether the log was full, so that the run must be taken up again."""
        logged = int(self.state[self.base + ix.C_LOGGED])
        if not self.commands or not logged:
            return False
        at = self.base + int(self.state[ix.P_LOG_AT])
        self.commands(self.state[at : at + ix.LOG_WORDS * logged].reshape(logged, ix.LOG_WORDS).copy())
        self.state[self.base + ix.C_LOGGED] = 0
        return True

    def _result(self) -> ChannelResult:
        block, m = self.state[self.base :], self.measures
        outcomes = [int(x) for x in block[ix.C_READ_HITS : ix.C_READ_HITS + 6]]
        shares = int(self.state[ix.P_SHARES_AT])
        pseudo = self.device.organisation.pc
        return ChannelResult(
            device=self.device,
            controller=self.controller,
            cycles=int(block[ix.C_LAST_END]),
            last_accepted=int(m[M_LAST_ACCEPTED]),
            read_outcomes=(outcomes[0], outcomes[1], outcomes[2]),
            write_outcomes=(outcomes[3], outcomes[4], outcomes[5]),
            reads=Latencies(int(m[M_READS]), int(m[M_READ_SUM]), int(m[M_READ_MAX]), self.latencies[0]),
            writes=Latencies(int(m[M_WRITES]), int(m[M_WRITE_SUM]), int(m[M_WRITE_MAX]), self.latencies[1]),
            commands={name: int(count) for name, count in zip(COMMANDS, block[ix.C_COUNTS :], strict=False)},
            charged=block[shares : shares + pseudo * ix.DRAIN].reshape(pseudo, ix.DRAIN).copy(),
            bins=self.bins,
            bin_ticks=int(m[M_BIN_TICKS]),
        )


def _check(block: RequestBlock, device: Device, offered: int) -> None:
    for name, values, size in (("bank", block.bank, device.banks), ("row", block.row, device.organisation.row)):
        outside = np.flatnonzero((values < 0) | (values >= size))
        if outside.size:
            number = int(outside[0])
            raise ConfigError(f"request {offered + number} names {name} {values[number]}; there are {size}", key=name)
