"""Tables that grow at their end, in one piece of memory each: plans have millions of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
IntLike = int | Sequence[int] | npt.NDArray[np.integer]

_FIRST_ROWS: Final = 1 << 18
"""Room of a new table, at least: what most plans of a search need."""
_SPARE: Final = 1 / 8
"""More room than the last table of the same name took that a new one begins with (assumed)."""

_taken: dict[str, int] = {}
"""Rows of the last tables that this process gave away, by name: plans that follow each other are often alike."""


class Growing:
    """Rows of `width` integers, kept by columns (each of them contiguous) or by rows (one contiguous table).

    Columns may have a type each (`types`); without, all are int64.

    A table begins with the room that the last one of its `name` took, and some more; room doubles when it is used up.
    Spare room is address space: memory that was never written takes no place.
    """

    def __init__(self, name: str, width: int, *, by_rows: bool, types: Sequence[type[np.integer]] = ()):
        self.count = 0
        self._name = name
        self._by_rows = by_rows
        self._room = max(_FIRST_ROWS, int(_taken.get(name, 0) * (1 + _SPARE)))
        shape = (self._room, width) if by_rows else (self._room,)
        types = types or (np.int64,) * (1 if by_rows else width)
        self._parts: list[npt.NDArray[Any]] = [np.empty(shape, dtype=each) for each in types]

    def extend(self, n: int) -> int:
        """Append `n` rows that are written later (`put`); answers the number of the first."""
        begin, self.count = self.count, self.count + n
        if self.count > self._room:
            self._grow(begin)
        return begin

    def put(self, rows: IntArray, columns: Sequence[IntLike]) -> None:
        """Write the columns of rows that `extend` has appended to a table that is kept by columns."""
        for part, value in zip(self._parts, columns, strict=True):
            part[rows] = value

    def append(self, n: int, columns: Sequence[IntLike]) -> None:
        """Append `n` rows; each column is one value or `n` of them."""
        begin = self.extend(n)
        if self._by_rows:
            rows = self._parts[0][begin : self.count]
            rows[:] = [value if type(value) is int else 0 for value in columns]  # at once what is the same in all rows
            for index, value in enumerate(columns):
                if type(value) is not int:
                    rows[:, index] = value
        else:
            for part, value in zip(self._parts, columns, strict=True):
                part[begin : self.count] = value

    def take(self) -> list[npt.NDArray[Any]]:
        """The columns, or the one table of rows. The table is given away: nothing can be appended any more."""
        parts, self._parts = self._parts, []
        _taken[self._name] = self.count
        for part in parts:
            part.resize((self.count, *part.shape[1:]), refcheck=False)
        return parts

    def _grow(self, used: int) -> None:
        self._room = max(self.count, 2 * self._room)
        for index, old in enumerate(self._parts):  # one after the other: at most one stands in memory twice
            self._parts[index] = np.empty((self._room, *old.shape[1:]), dtype=old.dtype)
            self._parts[index][:used] = old[:used]
