"""ANT's data types of 3 to 8 bits: int, float, pot (powers of two) and flint, as codes and as integers with shifts.

Source: ANT (Guo et al., MICRO 2022, arXiv 2208.14286), sections III and IV. Signed types have the sign in the highest
bit, over the size in the others; int is two's complement. A scale that takes values to real numbers is the caller's.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError

IntArray = npt.NDArray[np.int64]

MIN_BITS: Final = 3
MAX_BITS: Final = 8
EXPONENT_BITS: Final = {2: 2, 3: 2, 4: 3, 5: 3, 6: 3, 7: 4, 8: 4}
"""Exponent bits of float by bits of its size. assumed: E2M1 of 4 bits with a sign, E3 and E4 of wider ones, as in FP6
and FP8; ANT's released code (quant_modules.py, float_value) leaves 1, 2 or 3 to the caller."""


class AntType(StrEnum):
    """The four primitive types that ANT chooses from, tensor by tensor."""

    INT = "int"
    FLOAT = "float"
    POT = "pot"
    FLINT = "flint"


def base_and_shift(kind: AntType, bits: int, signed: bool = True) -> tuple[IntArray, IntArray]:
    """For each of 2^bits codes a small integer and a left shift: its value is integer * 2^shift.

    That is what ANT's decoder hands to its multipliers (section IV): of flint, a leading 0 means a plain integer; a
    leading 1 the integer in the other bits, shifted by 1 more than twice its leading zeros (all zeros: 1 at the very
    top). ConfigError for types and widths that are not supported.
    """
    if kind not in tuple(AntType):
        raise ConfigError(f"no type is called {kind!r} (allowed: {', '.join(AntType)})", key="kind")
    if not MIN_BITS <= bits <= MAX_BITS:
        raise ConfigError(f"{kind} of {bits} bits is not supported (allowed: {MIN_BITS} to {MAX_BITS})", key="bits")
    width = bits - 1 if signed else bits
    code = np.arange(1 << bits)
    if kind is AntType.INT:
        return np.where(signed & (code >> width == 1), code - (1 << bits), code), np.zeros_like(code)
    size = code & ((1 << width) - 1)
    base, shift = _OF_SIZE[kind](size, width)
    if int(shift.max()) + width > 62:
        raise ConfigError(f"{kind} of {bits} bits has values beyond 2^62 (fewer bits are allowed)", key="bits")
    return np.where(signed & (code >> width == 1), -base, base), shift


def values(kind: AntType, bits: int, signed: bool = True) -> IntArray:
    """The value of each code; whole numbers, as floats are counted in their smallest step."""
    base, shift = base_and_shift(kind, bits, signed)
    return base << shift


def encode(numbers: npt.ArrayLike, kind: AntType, bits: int, signed: bool = True) -> npt.NDArray[np.uint8]:
    """Codes of the nearest values, the one closer to zero of two, the lowest code of equal values (no minus zero)."""
    table = values(kind, bits, signed).astype(np.float64)
    codes = np.lexsort((np.arange(table.size), np.abs(table)))
    grid, order = np.unique(table[codes], return_index=True)
    real = np.asarray(numbers, np.float64)
    if np.isnan(real).any():
        raise ConfigError("numbers must not hold NaN", key="numbers")
    above = np.searchsorted(grid, real).clip(1, grid.size - 1)
    low, high = grid[above - 1], grid[above]
    middle = (low + high) / 2
    upper = np.where(low >= 0, real > middle, real >= middle)
    chosen: npt.NDArray[np.uint8] = codes[order][np.where(upper, above, above - 1)].astype(np.uint8)
    return chosen


def product(
    weights: npt.NDArray[np.uint8], activations: npt.NDArray[np.uint8], kind: AntType, bits: int
) -> IntArray:
    """M x N products of M x K activation codes and N x K weight codes, both signed: integers multiplied, shifts added.

    Exact in int64; ConfigError where a sum could pass it, or K differ.
    """
    base, shift = base_and_shift(kind, bits)
    if weights.ndim != 2 or activations.ndim != 2 or weights.shape[1] != activations.shape[1]:
        raise ConfigError(f"K differ: activations {activations.shape}, weights {weights.shape}", key="activations")
    if 0 in weights.shape or 0 in activations.shape:
        raise ConfigError("M, N and K must be >= 1", key="activations")
    if max(int(weights.max()), int(activations.max())) >> bits:
        raise ConfigError(f"codes of {bits} bits must be below {1 << bits}", key="weights")
    largest = int(np.abs(base << shift).max())
    if largest**2 * weights.shape[1] >> 62:
        raise ConfigError(f"sums of {kind} of {bits} bits could pass 2^62 (fewer bits or a smaller K)", key="bits")
    total = np.zeros((activations.shape[0], weights.shape[0]), np.int64)
    for k in range(weights.shape[1]):
        a, w = activations[:, k, None], weights[None, :, k]
        total += base[a] * base[w] << (shift[a] + shift[w])
    return total


def _flint(size: IntArray, width: int) -> tuple[IntArray, IntArray]:
    rest = size & ((1 << (width - 1)) - 1)
    zeros = width - 1 - np.array([int(value).bit_length() for value in rest])
    leading = size >> (width - 1) == 1
    base = np.where(leading, np.where(rest == 0, 1, rest), size)
    shift = np.where(leading, np.where(rest == 0, 2 * width - 2, 2 * zeros + 1), 0)
    return base, shift


def _float(size: IntArray, width: int) -> tuple[IntArray, IntArray]:
    mantissa_bits = width - EXPONENT_BITS[width]
    exponent, mantissa = size >> mantissa_bits, size & ((1 << mantissa_bits) - 1)
    return np.where(exponent > 0, mantissa + (1 << mantissa_bits), mantissa), np.maximum(exponent - 1, 0)


def _pot(size: IntArray, width: int) -> tuple[IntArray, IntArray]:
    del width
    return np.minimum(size, 1), np.maximum(size - 1, 0)


_OF_SIZE: Final = {AntType.FLINT: _flint, AntType.FLOAT: _float, AntType.POT: _pot}
