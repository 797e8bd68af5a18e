"""The memories of the numeric executor: what numbers lie in each core's SRAM and in each channel's DRAM."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]
Rect = tuple[int, int, int, int]
"""Rows r0 .. r1 and columns c0 .. c1 of a matrix: (r0, r1, c0, c1)."""

ANYWHERE: Final = -1
"""Home of what lay in DRAM before the step: the channel that the plan loads it from."""


def of_units(channel: int) -> int:
    """How the buffers of a channel's PIM units are called among the cores' SRAM."""
    return -1 - channel


def shape_of(rect: Rect) -> tuple[int, int]:
    return max(0, rect[1] - rect[0]), max(0, rect[3] - rect[2])


class Sheet:
    """A matrix that grows as it is written; NaN where nothing lies."""

    def __init__(self) -> None:
        self.values: Numbers = np.full((0, 0), np.nan)

    def read(self, rect: Rect) -> Numbers:
        """A copy of the rectangle, NaN where nothing lies."""
        result = np.full(shape_of(rect), np.nan)
        there = self.values[rect[0] : rect[1], rect[2] : rect[3]]
        result[: there.shape[0], : there.shape[1]] = there
        return result

    def cells(self, rect: Rect) -> Numbers:
        """The rectangle itself, to be written to."""
        rows, columns = self.values.shape
        if rect[1] > rows or rect[3] > columns:
            grown = np.full((max(rows, rect[1]), max(columns, rect[3])), np.nan)
            grown[:rows, :columns] = self.values
            self.values = grown
        return self.values[rect[0] : rect[1], rect[2] : rect[3]]


class Sram:
    """What lies in the cores' SRAM: a sheet for each core, tensor and group."""

    def __init__(self) -> None:
        self._sheets: dict[tuple[int, Hashable, int], Sheet] = {}

    def sheet(self, core: int, tensor: Hashable, group: int) -> Sheet:
        return self._sheets.setdefault((core, tensor, group), Sheet())


class Dram:
    """What lies in DRAM: what was there before the step may be loaded from any channel, what a task has stored only
    from the channel that it was stored to."""

    def __init__(self, content: Mapping[int, Numbers]):
        self._values: dict[tuple[int, int], Sheet] = {}
        self._homes: dict[tuple[int, int], Sheet] = {}
        for tensor, matrices in content.items():
            for group, matrix in enumerate(matrices):
                rect = (0, matrix.shape[0], 0, matrix.shape[1])
                self._put(tensor, group, rect, matrix, ANYWHERE)

    def read(self, channel: int, tensor: int, group: int, rect: Rect) -> Numbers:
        """A copy of the rectangle, NaN where nothing lies in this channel."""
        key = (tensor, group)
        if key not in self._values:
            return np.full(shape_of(rect), np.nan)
        values, home = self._values[key].read(rect), self._homes[key].read(rect)
        return np.where((home == ANYWHERE) | (home == channel), values, np.nan)

    def holds(self, tensor: int, group: int, rect: Rect) -> bool:
        """Whether any of the rectangle lies in DRAM."""
        key = (tensor, group)
        return key in self._values and not bool(np.isnan(self._values[key].read(rect)).all())

    def write(self, channel: int, tensor: int, group: int, rect: Rect, values: Numbers) -> None:
        self._put(tensor, group, rect, values, channel)

    def content(self, tensor: int) -> Numbers:
        """The whole tensor, whatever channels it lies in: (groups, rows, columns), NaN where nothing lies."""
        sheets = {group: sheet.values for (name, group), sheet in self._values.items() if name == tensor}
        groups = max(sheets, default=-1) + 1
        rows, columns = (max((s.shape[axis] for s in sheets.values()), default=0) for axis in (0, 1))
        result = np.full((groups, rows, columns), np.nan)
        for group, values in sheets.items():
            result[group, : values.shape[0], : values.shape[1]] = values
        return result

    def _put(self, tensor: int, group: int, rect: Rect, values: Numbers, home: int) -> None:
        self._values.setdefault((tensor, group), Sheet()).cells(rect)[...] = values
        self._homes.setdefault((tensor, group), Sheet()).cells(rect)[...] = home
