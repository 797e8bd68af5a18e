"""Which core reads which rows of an embedding table."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


def dealt(rows: IntArray, cores: int) -> tuple[IntArray, IntArray, IntArray]:
    """(row, core, place): the different rows that tokens ask for, the rank of the core that reads each, and its number
    among the rows of that core. Each row is read once.

    No more rows than cores: one a core. Otherwise cores have equal parts of them in the order in which tokens ask for
    them, so that the tokens of a core follow each other.
    """
    unique, first = np.unique(rows, return_index=True)
    if unique.size <= cores:
        return unique, np.arange(unique.size), np.zeros(unique.size, dtype=np.int64)
    turn = np.empty(unique.size, dtype=np.int64)
    turn[np.argsort(first)] = np.arange(unique.size)
    core = turn * cores // unique.size
    return unique, core, turn - -(-core * unique.size // cores)


def runs(core: IntArray) -> tuple[IntArray, IntArray]:
    """(begin, end) of the tokens in a row that lie on one core; `core` is that of each token."""
    begin = np.flatnonzero(np.concatenate(([True], core[1:] != core[:-1])))
    return begin, np.append(begin[1:], core.size)
