"""How much a product by look-up takes: tables, additions, look-ups, and what padding wastes. Sizes broadcast as arrays.

All sizes are whole numbers >= 1. `m` rows of activations, `n` of weights, `k` terms of a sum, `bits` of a weight,
`group` activations to a table.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError

IntArray = npt.NDArray[np.int64]
MAX_GROUP = 8
"""Largest group: its half table has 128 entries (assumed enough: the best group is 4 or 5, LTC section 4.2.1)."""


def _whole(name: str, value: npt.ArrayLike, high: int | None = None) -> IntArray:
    array = np.asarray(value)
    if array.dtype.kind not in "iu" or (array.size and (array.min() < 1 or (high is not None and array.max() > high))):
        allowed = f"1 to {high}" if high is not None else ">= 1"
        raise ConfigError(f"must be whole numbers, {allowed}, got {value!r}", key=name)
    return array.astype(np.int64)


def padded_depth(k: npt.ArrayLike, group: npt.ArrayLike) -> IntArray:
    """k rounded up to whole groups (L3)."""
    size = _whole("group", group, MAX_GROUP)
    padded: IntArray = -(-_whole("k", k) // size) * size
    return padded


def waste(k: npt.ArrayLike, group: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Share of the padded depth that is padding, 0 to (group - 1) / group."""
    return 1 - _whole("k", k) / padded_depth(k, group)


def table_entries(group: npt.ArrayLike) -> IntArray:
    """Entries of a symmetrised half table, 2^(group - 1) (L4)."""
    return np.int64(1) << (_whole("group", group, MAX_GROUP) - 1)


def table_count(m: npt.ArrayLike, k: npt.ArrayLike, group: npt.ArrayLike) -> IntArray:
    """Tables of a product: one for each row of activations and group."""
    return _whole("m", m) * (padded_depth(k, group) // _whole("group", group))


def table_additions(group: npt.ArrayLike) -> IntArray:
    """Additions for one half table with the tree of two levels: 14 for a group of 4.

    The first group // 2 activations have all 2^(group // 2) sums, the others half of theirs, each sum of p numbers
    taking p - 1 additions, and every entry is one of each: FIGLUT (HPCA 2025), section III-E.
    """
    size = _whole("group", group, MAX_GROUP)
    low = size // 2
    high = size - low
    tree = (1 << low) * np.maximum(low - 1, 0) + (1 << (high - 1)) * (high - 1) + (1 << (size - 1))
    return np.where(size == 1, 0, tree)


def naive_table_additions(group: npt.ArrayLike) -> IntArray:
    """Additions for one half table when every entry is summed alone: 24 for a group of 4 (FIGLUT, section III-E)."""
    return table_entries(group) * (_whole("group", group, MAX_GROUP) - 1)


def precompute_additions(m: npt.ArrayLike, k: npt.ArrayLike, group: npt.ArrayLike) -> IntArray:
    """Additions for all tables of a product; operators that read the same activations share them."""
    return table_count(m, k, group) * table_additions(group)


def look_ups(
    m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, bits: npt.ArrayLike, group: npt.ArrayLike
) -> IntArray:
    """Look-ups of a product, m n k bits / group with k padded (T-MAC, arXiv 2407.00088); each is one addition."""
    return table_count(m, k, group) * _whole("n", n) * _whole("bits", bits)


def accumulator_bits(k: npt.ArrayLike, bits: npt.ArrayLike, activation_bits: npt.ArrayLike) -> IntArray:
    """Bits of a two's-complement accumulator that no sum of k integer activations times q' overflows (L2, L6).

    The largest sum is k 2^(activation_bits - 1) (2^bits - 1), reached with either sign.
    """
    largest = (_whole("k", k) << (_whole("activation_bits", activation_bits) - 1)) * ((1 << _whole("bits", bits)) - 1)
    return np.array([int(value).bit_length() + 1 for value in largest.ravel()], np.int64).reshape(largest.shape)
