"""Rows of a table that differ: what is worked out once for many designs that are alike in it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from cairn.base.kernel import kernel

IntArray = npt.NDArray[np.int64]

TABLE: Final = 1 << 16
"""assumed: codes up to which a table is quick to clear, whatever the number of rows."""


def different(*columns: npt.NDArray[Any]) -> tuple[IntArray, IntArray]:
    """The rows (n,) of columns, numbered by the first of each sort: the number of each, and where its first stands."""
    rows = len(columns[0])
    code, count = np.zeros(rows, dtype=np.int64), 1
    for column in columns:
        values, among = _codes(column, rows)
        code, count = (values, among) if count == 1 else (code * among + values, count * among)
        if count > max(TABLE, rows):
            code, left = pd.factorize(code)
            count = len(left)
    return _numbered(code, count)


def _codes(column: npt.NDArray[Any], rows: int) -> tuple[IntArray, int]:
    """Whole numbers from 0 that differ where the values do, and how many there may be."""
    if column.dtype.kind == "i" and rows:
        low = int(column.min())
        among = int(column.max()) - low + 1
        if among <= TABLE:
            return column.astype(np.int64) - low, among
    codes, values = pd.factorize(column, use_na_sentinel=False)
    return codes.astype(np.int64), len(values)


@kernel()
def _numbered(code: IntArray, count: int) -> tuple[IntArray, IntArray]:
    number, first, seen = np.full(count, -1), np.empty(min(count, code.size), dtype=np.int64), 0
    result = np.empty(code.size, dtype=np.int64)
    for row in range(code.size):
        if number[code[row]] < 0:
            number[code[row]] = seen
            first[seen] = row
            seen += 1
        result[row] = number[code[row]]
    return result, first[:seen].copy()
