"""What the closed forms of a channel (closed_form.py) need: sizes and rules in ticks, and how streams walk banks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.control.build import ControllerSpec, scope_banks
from cairn.hw_models.dram.device import Device
from cairn.hw_models.dram.mapping import AddressMap

FloatArray = npt.NDArray[np.float64]
Floats = FloatArray | float


@dataclass(frozen=True)
class ChannelTicks:
    """What the forms need of a channel: sizes, queues, and ticks from one command to another (first ticks of both).

    Names say which: `read_to_precharge` is from a RD to the PRE of its bank. `*_group` binds inside a bank group.
    `read_clock` and `write_clock` are the ticks for which the data clock runs on, inf where it never stops.
    `refresh_interval` is inf without refresh; `refresh_turns` are the refreshes that fall due at once. `row_bus` and
    `row_bus_square` are the sum of the ticks, and of their squares, of a random request's commands on the bus that its
    activate uses, `row_bus_shared` says that reads and writes use that bus too.
    """

    pseudo_channels: Floats
    ranks: Floats
    groups: Floats
    group_banks: Floats
    columns: Floats
    read_queue: Floats
    write_queue: Floats
    writes_at_once: Floats
    clock: Floats
    burst: Floats
    read_end: Floats
    read_gap: Floats
    read_gap_group: Floats
    write_gap: Floats
    write_gap_group: Floats
    read_to_write: Floats
    write_to_read: Floats
    write_to_read_group: Floats
    act_units: Floats
    act_gap: Floats
    act_gap_group: Floats
    four_acts: Floats
    row_cycle: Floats
    row_open: Floats
    act_to_read: Floats
    act_to_write: Floats
    precharge: Floats
    read_to_precharge: Floats
    write_to_precharge: Floats
    row_bus: Floats
    row_bus_square: Floats
    row_bus_shared: Floats
    column_command: Floats
    act_to_close: Floats
    read_to_close: Floats
    write_to_close: Floats
    close_to_refresh: Floats
    refresh_to_act: Floats
    read_clock: Floats
    write_clock: Floats
    refresh_interval: Floats
    refresh_turns: Floats

    @classmethod
    def of(cls, device: Device, controller: ControllerSpec | None = None) -> ChannelTicks:
        """The ticks of a device behind a controller. ConfigError for refreshes of single banks, which have no form."""
        spec = controller or ControllerSpec()
        if spec.refresh == "per_bank":
            raise ConfigError("closed forms know refreshes of all banks, or none", key="refresh")
        enter, leave = spec.marks()
        o, clock = device.organisation, device.standard.data_clock
        return cls(
            pseudo_channels=o.pc, ranks=o.rk, groups=o.bg, group_banks=o.ba, columns=o.col,
            read_queue=spec.read_queue, write_queue=spec.write_queue, writes_at_once=enter - leave,
            clock=device.ticks_per_clock, read_clock=device.ticks(clock.read) if clock else np.inf,
            write_clock=device.ticks(clock.write) if clock else np.inf,
            burst=device.burst_ticks, read_end=device.read_ticks,
            **_between(device), **_buses(device), act_units=_act_units(device),
            refresh_interval=device.ticks("nREFI") if spec.refresh == "all_bank" else np.inf,
            refresh_turns=device.banks // scope_banks(device),
        )  # fmt: skip

    @classmethod
    def stack(cls, channels: Sequence[ChannelTicks]) -> ChannelTicks:
        """Several channels as arrays of shape (channels,)."""
        return cls(**{f.name: np.array([float(getattr(one, f.name)) for one in channels]) for f in fields(cls)})


_SHARED: Final = ("channel", "pseudo_channel", "rank")
_BETWEEN: Final[dict[str, tuple[str, str, tuple[str, ...], int]]] = {
    # name: (previous, following, scopes, window)
    "read_gap": ("RD", "RD", _SHARED, 1),
    "read_gap_group": ("RD", "RD", (*_SHARED, "bank_group"), 1),
    "write_gap": ("WR", "WR", _SHARED, 1),
    "write_gap_group": ("WR", "WR", (*_SHARED, "bank_group"), 1),
    "read_to_write": ("RD", "WR", _SHARED, 1),
    "write_to_read": ("WR", "RD", _SHARED, 1),
    "write_to_read_group": ("WR", "RD", (*_SHARED, "bank_group"), 1),
    "act_gap": ("ACT", "ACT", _SHARED, 1),
    "act_gap_group": ("ACT", "ACT", (*_SHARED, "bank_group"), 1),
    "four_acts": ("ACT", "ACT", _SHARED, 4),
    "row_cycle": ("ACT", "ACT", (*_SHARED, "bank_group", "bank"), 1),
    "row_open": ("ACT", "PRE", ("bank",), 1),
    "act_to_read": ("ACT", "RD", ("bank",), 1),
    "act_to_write": ("ACT", "WR", ("bank",), 1),
    "precharge": ("PRE", "ACT", ("bank",), 1),
    "read_to_precharge": ("RD", "PRE", ("bank",), 1),
    "write_to_precharge": ("WR", "PRE", ("bank",), 1),
    "act_to_close": ("ACT", "PREA", _SHARED, 1),
    "read_to_close": ("RD", "PREA", _SHARED, 1),
    "write_to_close": ("WR", "PREA", _SHARED, 1),
    "close_to_refresh": ("PREA", "REF", _SHARED, 1),
    "refresh_to_act": ("REF", "ACT", _SHARED, 1),
}


def _between(device: Device) -> dict[str, int]:
    """Ticks of each rule of _BETWEEN, the strongest limit; whole clocks where both commands keep to those (K8)."""
    found = {}
    for name, (previous, following, scopes, window) in _BETWEEN.items():
        ticks = max(
            (x.ticks for x in device.limits() if (x.previous, x.following, x.window) == (previous, following, window)
             and x.scope in scopes), default=1,
        )  # fmt: skip
        clock = device.ticks_per_clock if "PRE" not in f"{previous} {following}" else 1
        found[name] = -(-ticks // clock) * clock
    return found


def _act_units(device: Device) -> int:
    """Parts of the channel whose activates are spaced apart from those of others: ranks, else pseudo-channels."""
    o, scopes = device.organisation, [x.scope for x in device.limits() if (x.previous, x.window) == ("ACT", 4)]
    return o.pc * o.rk if "rank" in scopes else o.pc


def _buses(device: Device) -> dict[str, int]:
    """A random request's commands on the bus of its activate: PRE and ACT, and on a bus for all its RD as well."""
    commands = ["PRE", "ACT"] if device.standard.row_and_column_bus else ["PRE", "ACT", "RD"]
    lengths = [device.command_ticks(command) for command in commands]
    if device.standard.split_activate:
        lengths.append(device.command_ticks("ACT"))
    return {
        "row_bus": sum(lengths),
        "row_bus_square": sum(length * length for length in lengths),
        "row_bus_shared": int(not device.standard.row_and_column_bus),
        "column_command": device.command_ticks("RD"),
    }


@dataclass(frozen=True)
class Walk:
    """How a stream walks the banks: sizes of the levels that it deals columns over before it takes the next column.

    `run` transactions of each row follow each other, then the next set of banks has its turn. `turn_pseudo` and
    `turn_groups` say that the next set is in the other pseudo-channel or bank group, so that two sets overlap;
    `same_banks` that it is the next row of the same banks.
    """

    pseudo: Floats
    groups: Floats
    group_banks: Floats
    ranks: Floats
    run: Floats
    turn_pseudo: npt.ArrayLike = False
    turn_groups: npt.ArrayLike = False
    same_banks: npt.ArrayLike = False

    @classmethod
    def of(cls, mapping: AddressMap) -> Walk:
        """The walk of consecutive transactions under a mapping."""
        at = mapping.order.index("col")
        inside = mapping.order[:at]
        following = next(field for field in (*mapping.order[at + 1 :], "row") if mapping.size(field) > 1)
        pseudo, groups, group_banks, ranks = (
            mapping.size(level) if level in inside else 1 for level in ("pc", "bg", "ba", "rk")
        )
        return cls(
            pseudo, groups, group_banks, ranks, mapping.size("col"),
            turn_pseudo=following == "pc", turn_groups=following == "bg", same_banks=following == "row",
        )  # fmt: skip

    @property
    def banks(self) -> FloatArray:
        """Banks of a set in one pseudo-channel."""
        return np.asarray(self.groups, dtype=np.float64) * self.group_banks * self.ranks

    @classmethod
    def one_group(cls, ticks: ChannelTicks) -> Walk:
        """The banks of one bank group, one transaction in each."""
        return cls(1, 1, ticks.group_banks, 1, 1)

    @classmethod
    def all_banks(cls, ticks: ChannelTicks) -> Walk:
        """All banks of the channel, one transaction in each."""
        return cls(ticks.pseudo_channels, ticks.groups, ticks.group_banks, ticks.ranks, 1)


def all_banks(ticks: ChannelTicks) -> FloatArray:
    """Banks of the channel."""
    return floats(ticks.pseudo_channels) * ticks.ranks * ticks.groups * ticks.group_banks


def floats(value: npt.ArrayLike) -> FloatArray:
    """An argument as an array of floats."""
    return np.asarray(value, dtype=np.float64)
