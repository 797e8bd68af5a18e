"""Closed form of products on banks that listen to one buffer: clocks of many designs at once, nothing fitted.

A product is a row of computing instructions; between the first commands of two that follow each other lies a row
change, and in some places a stretch in register mode (buffer, results, accumulators). How long each sort of gap is
follows from the rules P1 to P5 and the device's limits; how often it comes, from the mapping. With the numbers of AiM
this is

    outputs first, several segments   rounds x (sum of (2 c + 98) + (2 c + 52) over segments of c columns, + 8)
    buffer used again                 sum over segments of rounds x (2 c + 98) + (2 c + 52), + 5 rounds + 3

Refresh adds its length for each interval that passes. Limits that reach over more than one gap (four activates in a
window, a turn of the bus that outlasts a row change) are not in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.pim.device import PimDevice
from cairn.hw_models.pim.gemv import GemvLayout

Array = npt.NDArray[np.int64]


@dataclass(frozen=True)
class GapTimes:
    """Clocks that decide the gaps, one value for each design: from one command to the next that may follow it.

    mac, fill, bias, result      from one such command to the next of its sort
    mac_result                   from computing to a result; fill_result, bias_result alike
    bias_fill, result_bias, result_fill   between commands of registers
    mode                         from a change of mode to what follows
    mac_close, open_close, close_open, open_open, open_mac   rows
    mac_done .. result_done      from a command to the end of its work
    refresh, interval            a refresh, and how often one falls due
    """

    mac: Array
    fill: Array
    bias: Array
    result: Array
    mac_result: Array
    bias_fill: Array
    result_bias: Array
    result_fill: Array
    mode: Array
    mac_close: Array
    open_close: Array
    close_open: Array
    open_open: Array
    open_mac: Array
    result_done: Array
    refresh: Array
    interval: Array

    @classmethod
    def of(cls, devices: Sequence[PimDevice]) -> GapTimes:
        """The times of several designs; each array has their number."""
        columns = zip(*(_times(device) for device in devices), strict=True)
        return cls(*(np.array(column, dtype=np.int64) for column in columns))


def _times(device: PimDevice) -> tuple[int, ...]:
    """The fields of `GapTimes` of one device, in their order."""
    roles, needed = device.standard.roles, {"mac", "fill", "bias", "result"}
    if set(roles) != needed or device.standard.mode_command is None:
        raise ConfigError(f"{device.name} has other commands for a product than the closed form knows", key="device")
    mac, fill, bias, result = (roles[role] for role in ("mac", "fill", "bias", "result"))
    opens = next(name for name, one in device.commands.items() if one.reach == "all" and one.row == "opens")
    limits: dict[tuple[str, str], int] = {}
    for limit in device.dram.limits():
        if limit.window == 1:
            pair = limit.previous, limit.following
            limits[pair] = max(limits.get(pair, 0), limit.ticks)

    def gap(first: str, second: str) -> int:
        known = device.commands.get(first)
        answer = device.latency(first) + 1 if known is not None and known.blocks else 1
        return max(answer, limits.get((first, second), 0))

    return (
        gap(mac, mac), gap(fill, fill), gap(bias, bias), gap(result, result), gap(mac, result), gap(bias, fill),
        gap(result, bias), gap(result, fill), gap(device.standard.mode_command, fill), gap(mac, "PREA"),
        gap(opens, "PREA"), gap("PREA", opens), gap(opens, opens), gap(opens, mac), device.latency(result),
        device.dram.clocks["nRFC"], device.dram.clocks["nREFI"],
    )  # fmt: skip


@dataclass(frozen=True)
class Shapes:
    """What of a layout decides the counts, one value for each design: see `GemvLayout`; `last` is the columns of the
    last segment, `slots` the segments that the buffer holds, `of_row` those of a row, `held` the sums held together."""

    rounds: Array
    segments: Array
    full: Array
    last: Array
    slots: Array
    of_row: Array
    held: Array

    @property
    def groups(self) -> Array:
        """Groups of rounds whose sums are held together."""
        return -(-self.rounds // self.held)

    @property
    def held_last(self) -> Array:
        """Rounds of the last group."""
        return self.rounds - (self.groups - 1) * self.held

    @property
    def filled_groups(self) -> Array:
        """Groups that bring the inputs to the buffer; what it holds as a whole is brought once."""
        return np.where(self.segments <= self.slots, 1, self.groups)

    @classmethod
    def of(cls, layouts: Sequence[GemvLayout]) -> Shapes:
        """The shapes of several layouts; ConfigError for rows that rounds share, which the form does not know."""
        if any(layout.shared for layout in layouts):
            raise ConfigError("the closed form knows no rounds that share rows", key="share_rows")
        rows = [
            (one.rounds, one.segments, one.segment(0), one.segment(one.segments - 1),
             one.buffer_columns // one.segment_columns, one.device.dram.organisation.col // one.segment_columns,
             min(one.mapping.accumulators, one.rounds))
            for one in layouts
        ]  # fmt: skip
        return cls(*(np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)))


def gemv_cycles(times: GapTimes, shapes: Shapes, *, refresh: bool = False) -> Array:
    """Clocks of products with one vector, one for each design: as `simulate_program` of `lower_gemv`."""
    total = _start(times, shapes) + _inside(times, shapes) + _between_segments(times, shapes)
    total += _between_groups(times, shapes) + _end(times, shapes.last, shapes.held_last)
    return with_refresh(total, times) if refresh else total


def _inside(times: GapTimes, shapes: Shapes) -> Array:
    """Gaps between rounds of a group, in one segment: a row change each."""
    rows = shapes.rounds - shapes.groups
    return rows * ((shapes.segments - 1) * _row_gap(times, shapes.full) + _row_gap(times, shapes.last))


def _between_segments(times: GapTimes, shapes: Shapes) -> Array:
    """Gaps from one segment of a group to the next. A group of one round stays in its row where that holds both."""
    between = np.maximum(shapes.segments - 1, 0)
    full, to_last = np.maximum(between - 1, 0), np.minimum(between, 1)
    single = np.where(shapes.held == 1, shapes.groups, np.minimum(shapes.held_last == 1, shapes.groups))
    single = np.minimum(single, shapes.filled_groups)
    changes_row = full // shapes.of_row, np.where(between % shapes.of_row == 0, to_last, 0)
    total = (shapes.groups - shapes.filled_groups) * between * _row_gap(times, shapes.full)
    for count, rows, filled in ((full, changes_row[0], shapes.full), (to_last, changes_row[1], shapes.last)):
        in_new_row = (shapes.filled_groups - single) * count + single * rows
        total += in_new_row * _fill_gap(times, shapes.full, filled)
        total += single * (count - rows) * _fill_in_row(times, shapes.full, filled)
    return total


def _between_groups(times: GapTimes, shapes: Shapes) -> Array:
    """Gaps from the last segment of a group to the first of the next."""
    total = np.zeros_like(shapes.rounds)
    turns = np.maximum(shapes.groups - 2, 0), np.minimum(shapes.groups - 1, 1)
    for following, count in zip((shapes.held, shapes.held_last), turns, strict=True):
        with_fill = np.where(shapes.filled_groups > 1, count, 0)
        total += with_fill * _turn_gap(times, shapes, following, True)
        total += (count - with_fill) * _turn_gap(times, shapes, following, False)
    return total


def with_refresh(cycles: Array, times: GapTimes) -> Array:
    """Clocks where a refresh comes at every interval, each of which adds its own length."""
    passed: Array = cycles // (times.interval - times.refresh)
    return cycles + passed * times.refresh


def _reopen(times: GapTimes, columns: Array, change: Array) -> Array:
    """From the first computing command of a segment to that of the next, in another row: `change` is the tick, counted
    from the first, before which the banks cannot be precharged for other reasons."""
    close = np.maximum((columns - 1) * times.mac + times.mac_close, times.open_close - times.open_mac)
    close = np.maximum(close, change)
    again: Array = np.maximum(close + times.close_open, times.open_open - times.open_mac)
    return again + times.open_mac


def _row_gap(times: GapTimes, columns: Array) -> Array:
    """First to first, nothing between but a row change."""
    return _reopen(times, columns, np.zeros_like(columns))


def _back_to_rows(times: GapTimes, columns: Array, last: Array) -> Array:
    """First to first, after a stretch in register mode whose last command is at `last`."""
    close = np.maximum((columns - 1) * times.mac + times.mac_close, times.open_close - times.open_mac)
    return _reopen(times, columns, np.maximum(last + 1, close) + times.mode)


def _fill_gap(times: GapTimes, columns: Array, filled: Array) -> Array:
    """First to first, the buffer filled between."""
    change = (columns - 1) * times.mac + 1
    return _back_to_rows(times, columns, change + times.mode + (filled - 1) * times.fill)


def _fill_in_row(times: GapTimes, columns: Array, filled: Array) -> Array:
    """First to first, the buffer filled between and the row kept open."""
    last = (columns - 1) * times.mac + 1 + times.mode + (filled - 1) * times.fill
    change: Array = np.maximum(last + 1, columns * times.mac)
    return change + times.mode


def _turn_gap(times: GapTimes, shapes: Shapes, following: Array, filled: bool) -> Array:
    """First to first between two groups: results, accumulators of `following` sums, and the buffer where `filled`."""
    change = (shapes.last - 1) * times.mac + np.maximum(times.mac_result, 1)
    results = change + times.mode + (shapes.held - 1) * times.result
    biases = results + times.result_bias + (following - 1) * times.bias
    last = biases
    if filled:
        last = np.maximum(biases + times.bias_fill, results + times.result_fill) + (shapes.full - 1) * times.fill
    return _back_to_rows(times, shapes.last, last)


def _start(times: GapTimes, shapes: Shapes) -> Array:
    """Tick of the first computing command."""
    biases = 1 + times.mode + (shapes.held - 1) * times.bias
    fills = biases + times.bias_fill + (shapes.full - 1) * times.fill
    return fills + 1 + times.mode + times.open_mac


def _end(times: GapTimes, columns: Array, held: Array) -> Array:
    """From the first command of the last segment to the end (P7)."""
    change = (columns - 1) * times.mac + np.maximum(times.mac_result, 1)
    return change + times.mode + (held - 1) * times.result + times.result_done + 2
