"""Tables that grow at their end, in one piece of memory each: plans have millions of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
IntLike = int | Sequence[int] | npt.NDArray[np.integer]

_FIRST_ROWS: Final = 1 << 12
_GROWTH: Final = 1.25
"""Assumed: at most a quarter of a table is spare, and a row is moved four times on average where memory must move."""


class Growing:
    """Rows of `width` integers, kept by columns (each contiguous) or by rows."""

    def __init__(self, width: int, *, by_rows: bool):
        self.count = 0
        self._by_rows = by_rows
        self._capacity = _FIRST_ROWS
        shape = (_FIRST_ROWS, width) if by_rows else (_FIRST_ROWS,)
        self._parts = [np.empty(shape, dtype=np.int64) for _ in range(1 if by_rows else width)]

    def append(self, n: int, columns: Sequence[IntLike]) -> None:
        """Append `n` rows; each column is one value or `n` of them."""
        begin, self.count = self.count, self.count + n
        if self.count > self._capacity:
            self._resize(max(self.count, int(self._capacity * _GROWTH)))
        if self._by_rows:
            rows = self._parts[0][begin : self.count]
            for index, value in enumerate(columns):
                rows[:, index] = value
        else:
            for part, value in zip(self._parts, columns, strict=True):
                part[begin : self.count] = value

    def take(self) -> list[IntArray]:
        """The columns, or the one array of rows; the table is empty afterwards."""
        self._resize(self.count)
        parts, self._parts = self._parts, [np.empty((0, *part.shape[1:]), dtype=np.int64) for part in self._parts]
        self.count = self._capacity = 0
        return parts

    def _resize(self, rows: int) -> None:
        self._capacity = rows
        for part in self._parts:  # in place where the system can: no second copy of a large table
            part.resize((rows, *part.shape[1:]), refcheck=False)
