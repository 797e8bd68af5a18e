"""MixPE on numbers: products by shifts and additions, and groups dequantised after they are added up.

Source: MixPE (arXiv 2411.16158): weights of few bits select shifted activations, and a group's integer sum meets its
scale once, instead of every weight before it is multiplied.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]


def shift_add(x: npt.ArrayLike, weights: npt.ArrayLike, bits: int) -> IntArray:
    """x [m, k] times weights [n, k] of `bits` in two's complement, a shifted activation for each set bit: [m, n].

    ConfigError for weights that do not fit, or for other than 1 to 16 bits.
    """
    rows, w = np.asarray(x, dtype=np.int64), np.asarray(weights, dtype=np.int64)
    if not 1 <= bits <= 16 or (w.size and (w.min() < -(1 << (bits - 1)) or w.max() >= 1 << (bits - 1))):
        raise ConfigError(f"must fit {bits} bits of two's complement, 1 to 16", key="weights")
    total = np.zeros((rows.shape[0], w.shape[0]), dtype=np.int64)
    for bit in range(bits):
        selected = (rows << bit) @ ((w >> bit) & 1).T
        total += -selected if bit == bits - 1 else selected  # the highest bit counts below zero
    return total


def dequantised_after(x: npt.ArrayLike, weights: npt.ArrayLike, scales: npt.ArrayLike, bits: int) -> FloatArray:
    """x [m, k] times weights [n, k] with `scales` [n, groups], each group's integer sum scaled once: [m, n].

    ConfigError for groups that do not divide k, and as `shift_add`.
    """
    rows, w = np.asarray(x, dtype=np.int64), np.asarray(weights, dtype=np.int64)
    factors = np.asarray(scales, dtype=np.float64)
    if factors.ndim != 2 or factors.shape[0] != w.shape[0] or not factors.shape[1] or w.shape[1] % factors.shape[1]:
        message = f"must be [outputs, groups] with groups that divide the inputs, got {list(factors.shape)}"
        raise ConfigError(message, key="scales")
    size = w.shape[1] // factors.shape[1]
    total = np.zeros((rows.shape[0], w.shape[0]))
    for group in range(factors.shape[1]):
        part = slice(group * size, (group + 1) * size)
        total += shift_add(rows[:, part], w[:, part], bits) * factors[:, group]
    return total
