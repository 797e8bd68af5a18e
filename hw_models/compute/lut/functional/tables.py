"""Tables of activations: half of all sums with signs, by a tree that counts its additions (L4), and their INT8 form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError

STEPS: Final = 127
"""Largest entry of a quantised table: INT8 without -128, so that a sign can be changed (L7)."""


@dataclass(frozen=True)
class Tables:
    """`entries` is M x tables x 2^(group-1) (L4); `additions` is how many sums were formed for them."""

    entries: npt.NDArray[Any]
    additions: int


def precompute(values: npt.NDArray[Any], group: int) -> Tables:
    """Half tables of M x K values, in their own type; K is filled with zeros to whole groups (L3).

    Sums of integers are exact in int32 for activations of 16 bits; each sum of floats is rounded to their type.
    """
    rows, depth = values.shape
    tables = -(-depth // group)
    padded = np.zeros((rows, tables * group), values.dtype)
    padded[:, :depth] = values
    parts = padded.reshape(rows, tables, group)
    low = group // 2
    upper = _signed_sums(parts[:, :, low:], fixed=True)
    if low == 0:
        return upper
    lower = _signed_sums(parts[:, :, :low], fixed=False)
    entries = (upper.entries[..., :, None] + lower.entries[..., None, :]).reshape(rows, tables, 1 << (group - 1))
    return Tables(entries, upper.additions + lower.additions + entries.size)


def _signed_sums(parts: npt.NDArray[Any], fixed: bool) -> Tables:
    """All sums of the last axis with signs, in order of its plus bits; `fixed`: the last number always has a minus."""
    size = parts.shape[2]
    count = 1 << (size - 1 if fixed else size)
    sums = np.empty((*parts.shape[:2], count), parts.dtype)
    additions = 0
    for entry in range(count):
        total = parts[:, :, 0] if entry & 1 else -parts[:, :, 0]
        for j in range(1, size):
            total = total + parts[:, :, j] if entry >> j & 1 else total - parts[:, :, j]
            additions += total.size
        sums[:, :, entry] = total
    return Tables(sums, additions)


def in_half(entries: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Entries rounded to FP16 and back to their type (L7); ConfigError where one is beyond 65,504."""
    with np.errstate(over="ignore"):
        rounded = entries.astype(np.float16)
    if not np.isfinite(rounded).all():
        largest = float(np.abs(entries).max())
        raise ConfigError(f"float16 tables hold sums up to 65,504, got {largest:,.0f}: scale activations", key="table")
    return rounded.astype(entries.dtype)


def quantise(entries: npt.NDArray[Any], step_type: npt.DTypeLike) -> tuple[npt.NDArray[np.int8], npt.NDArray[Any]]:
    """Entries as INT8, and the step of each table (M x tables, of `step_type`), 1 for a table of zeros (L7)."""
    largest = np.abs(entries).max(axis=2).astype(np.float64)
    steps = np.where(largest > 0, largest / STEPS, 1.0).astype(step_type)
    scaled = np.rint(entries / steps[..., None].astype(np.float64))
    return scaled.clip(-STEPS, STEPS).astype(np.int8), steps
