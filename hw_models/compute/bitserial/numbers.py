"""BitMoD on numbers: weights of a mixture of data types, done term by term as the elements do.

A weight of 3 or 4 bits stands for a value of a small grid, to which each group of weights adds one special value of its
own (BitMoD, HPCA 2025, section III; grids as in its code, AWQ-BitMoD/awq/quantize/auto_dtype.py, those of 4 bits
doubled). Integers go in Booth digits of radix 4. Either way a weight is a sum of `pass_cycles` signed powers of two,
and an element adds one of them times its activation in each cycle; its group's sum is then scaled, a bit of the scale
in a cycle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

GRIDS: Final[dict[int, tuple[int, ...]]] = {
    3: (-4, -2, -1, 0, 1, 2, 4),
    4: (-12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12),
}
SPECIAL: Final[dict[int, tuple[int, ...]]] = {3: (3, -3, 6, -6), 4: (10, -10, 16, -16)}
SCALE_BITS: Final = 8
"""BitMoD (HPCA 2025): scales of groups are integers of 8 bits over a scale for each output."""


class Quantised(NamedTuple):
    """Weights: grid values [n, k], integer scales and special values of groups [n, k / group], scales of outputs."""

    values: IntArray
    scales: IntArray
    special: IntArray
    channel: FloatArray
    bits: int

    @property
    def group(self) -> int:
        return int(self.values.shape[1] // self.scales.shape[1])

    def dequantised(self) -> FloatArray:
        """The numbers that the weights stand for, [n, k]."""
        return self.values * np.repeat(self.scales, self.group, axis=1) * self.channel[:, None]


def quantise(
    weights: npt.ArrayLike, bits: int, group: int = 128, specials: Sequence[int] | None = None
) -> Quantised:
    """`weights` [n, k] in `bits` (3 or 4), each group with the one of `specials` that leaves least squared error.

    Without `specials` all of BitMoD's are tried. ConfigError for other bits, for a group that does not divide k, for
    weights that are not finite, and for special values that BitMoD has not.
    """
    w = np.asarray(weights, dtype=np.float64)
    if bits not in GRIDS:
        raise ConfigError(f"grids have 3 or 4 bits, got {bits}", key="bits")
    if w.ndim != 2 or group < 1 or w.shape[1] % group:
        raise ConfigError(f"must divide the inputs of weights [n, k], got {group} for {list(w.shape)}", key="group")
    if not np.isfinite(w).all():
        raise ConfigError("weights must be finite", key="weights")
    choices = tuple(SPECIAL[bits] if specials is None else specials)
    if not choices or not set(choices) <= set(SPECIAL[bits]):
        raise ConfigError(f"must be some of {SPECIAL[bits]}, got {choices}", key="specials")
    groups = w.reshape(w.shape[0], -1, group)
    channel = _channel(groups, bits)
    tried = [_in_groups(groups, np.array(sorted((*GRIDS[bits], extra))), channel) for extra in choices]
    errors = np.stack([error for *_, error in tried])
    best = np.argmin(errors, axis=0)
    values = np.choose(best[..., None], [value for value, *_ in tried])
    scales = np.choose(best, [scale for _, scale, *_ in tried])
    return Quantised(values.reshape(w.shape), scales, np.array(choices)[best], channel, bits)


def _channel(groups: FloatArray, bits: int) -> FloatArray:
    """A scale for each output, such that the largest group's integer scale has all its bits, special values aside."""
    largest = np.abs(groups).max(axis=(1, 2), initial=0.0)
    return np.where(largest > 0, largest, 1.0) / max(GRIDS[bits]) / (2**SCALE_BITS - 1)


def _in_groups(groups: FloatArray, grid: IntArray, channel: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Grid values, integer scales and squared errors of groups [n, g, group] on one grid."""
    wanted = np.abs(groups).max(axis=2, initial=0.0) / np.abs(grid).max()
    scales = np.clip(np.rint(wanted / channel[:, None]), 1, 2**SCALE_BITS - 1).astype(np.int64)
    steps = (scales * channel[:, None])[..., None]
    middles = (grid[1:] + grid[:-1]) / 2
    values = grid[np.searchsorted(middles, groups / steps)]
    return values, scales, ((values * steps - groups) ** 2).sum(axis=2)


def grid_terms(values: npt.ArrayLike) -> IntArray:
    """Grid values as sums of two signed powers of two, or zeros: [..., 2]. ConfigError for a value of no grid."""
    v = np.asarray(values, dtype=np.int64)
    size = np.abs(v)
    first = np.where(size > 0, 1 << np.int64(np.log2(np.maximum(size, 1))), 0)
    rest = size - first
    if v.size and (rest & (rest - 1)).any():
        wrong = sorted(set(v[(rest & (rest - 1)) != 0].tolist()))
        raise ConfigError(f"two powers of two do not make {wrong}", key="values")
    return np.asarray(np.stack([first, rest], axis=-1) * np.sign(v)[..., None], dtype=np.int64)


def booth_terms(values: npt.ArrayLike, bits: int) -> IntArray:
    """Integers of `bits` (two's complement) as ceil(bits / 2) digits of -2 to 2 times powers of four: [..., digits].

    ConfigError for values that do not fit.
    """
    v = np.asarray(values, dtype=np.int64)
    if not 1 <= bits <= 32 or (v.size and (v.min() < -(1 << (bits - 1)) or v.max() >= 1 << (bits - 1))):
        raise ConfigError(f"must fit {bits} bits of two's complement, 1 to 32", key="values")
    own = (v[..., None] >> np.arange(bits + 1)) & 1
    below = np.concatenate([np.zeros((*v.shape, 1), dtype=np.int64), own], axis=-1)
    digits = [below[..., i] + below[..., i + 1] - 2 * below[..., i + 2] for i in range(0, bits, 2)]
    return np.stack([digit << (2 * place) for place, digit in enumerate(digits)], axis=-1)


def serial_product(x: npt.ArrayLike, terms: IntArray) -> IntArray:
    """x [m, k] times weights as `terms` [n, k, cycles], one term of every weight a cycle: [m, n]."""
    rows = np.asarray(x, dtype=np.int64)
    total = np.zeros((rows.shape[0], terms.shape[0]), dtype=np.int64)
    for cycle in range(terms.shape[2]):
        total += rows @ terms[..., cycle].T
    return total


def scaled_product(x: npt.ArrayLike, weights: Quantised) -> FloatArray:
    """x [m, k] of integers times quantised weights, each group's sum scaled bit by bit, then each output: [m, n]."""
    rows, size = np.asarray(x, dtype=np.int64), weights.group
    total = np.zeros((rows.shape[0], weights.values.shape[0]), dtype=np.int64)
    for number in range(weights.scales.shape[1]):
        part = slice(number * size, (number + 1) * size)
        sums = serial_product(rows[:, part], grid_terms(weights.values[:, part]))
        for bit in range(SCALE_BITS):  # a bit of the scale in a cycle: B3
            total += (sums << bit) * ((weights.scales[:, number] >> bit) & 1)
    return total * weights.channel
