"""A reference case: one row of a table of measurements, and the same requests on Cairn's channel."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.checker import ProtocolChecker
from cairn.hw_models.dram.control.build import ControllerSpec
from cairn.hw_models.dram.device import Device
from cairn.hw_models.dram.mapping import AddressMap
from cairn.hw_models.dram.request_list import PATTERNS, RequestBlock, pattern
from cairn.hw_models.dram.simulate import ChannelResult, simulate_channel
from cairn.validation.reference import Record

MAPPINGS: Final = {"bgfirst": "bank_group_first", "colfirst": "column_first", "bankfirst": "bank_first"}
SCHEDULERS: Final = {"frfcfs": "frfcfs", "frfcfs_rowhit": "frfcfs_row_hit"}
REFRESHES: Final = ("none", "all_bank")


@dataclass(frozen=True)
class Case:
    """A device, a controller and a request list, with the record that says so."""

    id: str
    device: Device
    controller: ControllerSpec
    pattern: str
    mapping: str
    requests: int
    seed: int
    interval: int
    record: Record

    @property
    def name(self) -> str:
        """What rows are called: the case, and its pattern with a mapping other than the usual one."""
        return f"{self.id}/{self.pattern}" + ("" if self.mapping == "bgfirst" else f".{self.mapping}")

    @property
    def address_map(self) -> AddressMap:
        return AddressMap.named(self.device, MAPPINGS[self.mapping])

    def request_list(self) -> RequestBlock:
        return pattern(self.pattern, self.requests, self.address_map, seed=self.seed, interval=self.interval)

    def simulated(self) -> ChannelResult:
        """The requests through Cairn's cycle model."""
        return simulate_channel(self.device, self.controller, self.request_list())

    def broken_rules(self) -> int:
        """How often the commands of that run break a rule of the standard."""
        checker = ProtocolChecker(self.device, self.controller.refresh)
        simulate_channel(self.device, self.controller, self.request_list(), commands=checker.feed)
        return checker.finish().count

    def last_read(self) -> int:
        """Ticks to the end of the last read's data, writes aside."""
        block, done = self.request_list(), np.zeros(self.requests, dtype=np.int64)
        simulate_channel(self.device, self.controller, block, done=done)
        return int(done[block.write == 0].max(initial=0)) + self.device.read_ticks


def case_of(id: str, device: Device, controller: ControllerSpec, record: Record) -> Case:
    """The case of a row with the columns pattern, mapping, n, seed and interval."""
    name, mapping = record.text("pattern"), record.text("mapping")
    _known(name, PATTERNS, record, "pattern")
    _known(mapping, MAPPINGS, record, "mapping")
    return Case(
        id, device, controller, name, mapping, record.integer("n"), record.integer("seed"), record.integer("interval"),
        record,
    )  # fmt: skip


def controller_of(record: Record) -> ControllerSpec:
    """The controller of a row with the columns scheduler, refresh (0 or 1), read_queue and write_queue."""
    scheduler, refresh = record.text("scheduler"), record.integer("refresh")
    _known(scheduler, SCHEDULERS, record, "scheduler")
    if refresh not in (0, 1):
        raise ConfigError(f"0 or 1 belongs here, not {refresh}", file=record.file, line=record.line, key="refresh")
    return ControllerSpec.model_validate({
        "scheduler": SCHEDULERS[scheduler], "refresh": REFRESHES[refresh],
        "read_queue": record.integer("read_queue"), "write_queue": record.integer("write_queue"),
    })  # fmt: skip


def device_named(name: str, devices: dict[str, Device], record: Record, column: str) -> Device:
    """The device that a row names."""
    _known(name, devices, record, column)
    return devices[name]


def _known(name: str, known: Iterable[str], record: Record, column: str) -> None:
    if name not in (names := list(known)):
        message = f"there is no {name!r} here; there are {', '.join(names)}"
        raise ConfigError(message, file=record.file, line=record.line, key=column)
