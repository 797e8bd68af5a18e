"""Rows of a table that differ: what is worked out once for many designs that are alike in it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

IntArray = npt.NDArray[np.int64]


def different(*columns: npt.NDArray[Any]) -> tuple[IntArray, IntArray]:
    """The rows (n,) of columns, numbered by the first of each sort: the number of each, and where its first stands."""
    code, count = np.zeros(len(columns[0]), dtype=np.int64), 1
    for column in columns:
        more, values = pd.factorize(column, use_na_sentinel=False)
        if len(values) > 1:
            code, count = (code * len(values) + more, count * len(values)) if count > 1 else (more, len(values))
            if count > 1 << 31:  # keeps codes small
                code, left = pd.factorize(code)
                count = len(left)
    number, _ = pd.factorize(code)
    first = np.empty(int(number.max(initial=-1)) + 1, dtype=np.int64)
    first[number[::-1]] = np.arange(number.size)[::-1]
    return np.asarray(number, dtype=np.int64), first
