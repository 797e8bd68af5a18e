"""Cycles of SRAM accesses: bytes over port width, and the exact number of bank conflicts of strided ones.

The port takes `port // word` words at a time, as a group; the words of a group that lie in one bank line (a bank's
width of consecutive bytes) are one access, and each bank serves one line per cycle. Line l lies in bank l mod banks.
The group is done when its busiest bank is, and then the next group is taken.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from cairn.hw_models.sram.spec import SramSpec

IntArray = npt.NDArray[np.int64]


def access_cycles(
    spec: SramSpec, n_bytes: int, stride_bytes: int, word_bytes: int, *, write: bool = False, start_bytes: int = 0
) -> int:
    """Cycles to read (or write) `n_bytes` as words of `word_bytes`, each `stride_bytes` after the one before.

    The first word begins at `start_bytes`. A word must lie in one line: `word_bytes` divides `bank_width_bytes`,
    `stride_bytes` and `start_bytes`, and is not wider than the port (ValueError). A stride of 0 reads one word again.

    Groups `period` apart begin at the same place in a line, and a shift by whole lines only renames the banks, so
    one period of groups is costed and multiplied: the result is exact.
    """
    port = spec.write_bytes_per_cycle if write else spec.read_bytes_per_cycle
    _check(spec, n_bytes, stride_bytes, word_bytes, start_bytes, port)
    words, group = -(-n_bytes // word_bytes), port // word_bytes
    full, rest = divmod(words, group)
    period = spec.bank_width_bytes // math.gcd(spec.bank_width_bytes, group * stride_bytes)
    costs = [
        _group_cycles(spec, start_bytes + first * group * stride_bytes, stride_bytes, group)
        for first in range(min(full, period))
    ]
    rounds, left = divmod(full, period)
    total = rounds * sum(costs) + sum(costs[:left])
    if rest:
        total += _group_cycles(spec, start_bytes + full * group * stride_bytes, stride_bytes, rest)
    return total


def stream_cycles(spec: SramSpec, n_bytes: npt.ArrayLike, *, write: bool = False) -> IntArray:
    """Cycles to read (or write) whole contiguous blocks of `n_bytes` (array, >= 0) through the port, conflict-free."""
    port = spec.write_bytes_per_cycle if write else spec.read_bytes_per_cycle
    return -(-np.asarray(n_bytes, dtype=np.int64) // port)


def _group_cycles(spec: SramSpec, start: int, stride: int, words: int) -> int:
    """Cycles of the busiest bank for `words` words from `start` on."""
    width, banks = spec.bank_width_bytes, spec.banks
    if stride <= width:  # every line from the first to the last is touched
        lines = (start + (words - 1) * stride) // width - start // width + 1
        return -(-lines // banks)
    if stride % width == 0:  # lines `stride / width` apart meet banks / gcd different banks
        return -(-words // (banks // math.gcd(banks, stride // width)))
    lines_touched = (start + np.arange(words, dtype=np.int64) * stride) // width
    return int(np.bincount(lines_touched % banks).max())


def _check(spec: SramSpec, n_bytes: int, stride: int, word: int, start: int, port: int) -> None:
    if n_bytes < 0 or stride < 0 or start < 0 or word < 1:
        raise ValueError("n_bytes, stride_bytes and start_bytes must be >= 0 and word_bytes >= 1")
    if word > port:
        raise ValueError(f"word_bytes {word} is wider than the port of {port} bytes")
    for name, value in (("bank_width_bytes", spec.bank_width_bytes), ("stride_bytes", stride), ("start_bytes", start)):
        if value % word:
            raise ValueError(f"word_bytes {word} must divide {name} {value}, so that a word lies in one line")
