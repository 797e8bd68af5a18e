"""OliVe's outlier-victim pairs: of two neighbours of 4 bits, an outlier takes a wide type and its victim becomes zero.

Source: OliVe (Guo et al., ISCA 2023, arXiv 2304.07493) and its released code (quant_modules.py). A normal value is int4
without -8, or signed flint4 without minus zero; the code that is left out, 1000, marks the victim. Its neighbour is
then an adaptive biased float (abfloat) E2M1: sign, 2 bits of exponent e, 1 of mantissa m, of value (2 + m) 2^(e +
bias), whose size code 0 is not used.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.lut.functional import ant

ByteArray = npt.NDArray[np.uint8]
IntArray = npt.NDArray[np.int64]

VICTIM: Final = 0b1000
"""The code that marks a victim."""


class Normal(StrEnum):
    """Types of normal values."""

    INT4 = "int4"
    FLINT4 = "flint4"


BIAS: Final = {Normal.INT4: 2, Normal.FLINT4: 3}
"""Outliers begin above the largest normal value: 12 to 96 above 7, and 24 to 192 above 16 (released code: 48 to 384
where the largest power of two, 8 or 16, is scaled to 32)."""


def normal_values(normal: Normal) -> IntArray:
    """The values of 16 codes; 0 for the victim's code."""
    if normal not in tuple(Normal):
        raise ConfigError(f"no normal type is called {normal!r} (allowed: {', '.join(Normal)})", key="normal")
    table = ant.values(ant.AntType.INT if normal is Normal.INT4 else ant.AntType.FLINT, 4)
    table[VICTIM] = 0
    return table


def outlier_values(normal: Normal) -> IntArray:
    """The values of 16 abfloat codes; 0 for the two that are not used, 0000 and 1000."""
    normal_values(normal)  # refuses what is no type
    code = np.arange(16)
    size, bias = code & 7, BIAS[normal]
    value = np.where(size == 0, 0, (2 + (size & 1)) << ((size >> 1) + bias))
    return np.where(code >> 3 == 1, -value, value)


def encode(numbers: npt.ArrayLike, normal: Normal = Normal.INT4) -> ByteArray:
    """A byte for each pair of neighbours in the last axis, of an even length, the first in the lower 4 bits.

    A number nearer to an outlier's value than to any normal one is an outlier; of two in a pair the first stays, as in
    the released code. Nearest values, those closer to zero of two. ConfigError for odd lengths and NaN.
    """
    real = np.asarray(numbers, np.float64)
    if real.ndim == 0 or real.shape[-1] % 2 or real.size == 0:
        raise ConfigError(f"must have an even number of values in the last axis, got {real.shape}", key="numbers")
    if np.isnan(real).any():
        raise ConfigError("numbers must not hold NaN", key="numbers")
    plain, wide = normal_values(normal), outlier_values(normal)
    normal_code, normal_error = _nearest(real, plain, [code for code in range(16) if code != VICTIM])
    outlier_code, outlier_error = _nearest(real, wide, [code for code in range(16) if code & 7])
    shape = (*real.shape[:-1], -1, 2)
    outlier = (outlier_error < normal_error).reshape(shape)
    first = outlier[..., 0]
    second = outlier[..., 1] & ~first
    normal_pair, outlier_pair = normal_code.reshape(shape), outlier_code.reshape(shape)
    low = np.where(first, outlier_pair[..., 0], np.where(second, VICTIM, normal_pair[..., 0]))
    high = np.where(second, outlier_pair[..., 1], np.where(first, VICTIM, normal_pair[..., 1]))
    packed: ByteArray = (low | high << 4).astype(np.uint8)
    return packed


def decode(packed: ByteArray, normal: Normal = Normal.INT4) -> IntArray:
    """The whole values of the pairs, twice as many in the last axis.

    ConfigError for two victims in a pair, and for an abfloat code that is not used beside a victim.
    """
    low, high = packed & 15, packed >> 4
    plain, wide = normal_values(normal), outlier_values(normal)
    if ((low == VICTIM) & (high == VICTIM)).any():
        raise ConfigError("a pair has two victims (allowed: one, beside an outlier)", key="packed")
    if (((low == VICTIM) & (high & 7 == 0)) | ((high == VICTIM) & (low & 7 == 0))).any():
        raise ConfigError("an outlier has a code that is not used (allowed: size codes 1 to 7)", key="packed")
    first = np.where(high == VICTIM, wide[low], plain[low])
    second = np.where(low == VICTIM, wide[high], plain[high])
    values: IntArray = np.stack([first, second], axis=-1).reshape(*packed.shape[:-1], -1)
    return values


def product(weights: ByteArray, activations: ByteArray, normal: Normal = Normal.INT4) -> IntArray:
    """M x N products of M x K/2 and N x K/2 pairs, exact: both are decoded to integers with shifts and multiplied."""
    if weights.ndim != 2 or activations.ndim != 2 or weights.shape[1] != activations.shape[1]:
        raise ConfigError(f"K differ: activations {activations.shape}, weights {weights.shape}", key="activations")
    result: IntArray = decode(activations, normal) @ decode(weights, normal).T
    return result


def _nearest(real: npt.NDArray[np.float64], table: IntArray, codes: list[int]) -> tuple[IntArray, npt.NDArray[Any]]:
    """The code of the nearest value, closer to zero of two, and how far it is."""
    ordered = np.array(sorted(codes, key=lambda code: abs(int(table[code]))))
    distance = np.abs(real[..., None] - table[ordered])
    best = distance.argmin(axis=-1)
    return ordered[best], distance.min(axis=-1)
