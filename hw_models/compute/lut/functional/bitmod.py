"""BitMoD's weights: FP3 and FP4 with a special value for each group, and integers, all as terms of one bit.

Source: BitMoD (Chen et al., HPCA 2025, arXiv 2411.11745); values as in its released code (auto_dtype.py). A term is
sign * 2^exponent; a weight takes as many cycles as its data type has terms: 2 for FP3 and FP4, 3 for INT6, 4 for INT8,
8 for the scale of a group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.lut.functional.formats import Activations

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BASIC: Final[Mapping[int, tuple[float, ...]]] = {
    3: (0.0, 1.0, 2.0, 4.0),
    4: (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0),
}
"""Sizes of the basic values by bits, FP3 and FP4 (E2M1); the code of minus zero stands for the special value."""
SPECIAL: Final[Mapping[int, tuple[float, ...]]] = {3: (3.0, -3.0, 6.0, -6.0), 4: (5.0, -5.0, 8.0, -8.0)}
"""Special values: extra resolution (ER, +-3 and +-5) and extra asymmetry (EA, +-6 and +-8)."""
FP_TERMS: Final = 2
"""Values of FP3 and FP4, special ones included, are sums of two powers of two at most: 2 cycles."""
SCALE_TERMS: Final = 8
"""The scale of a group is an 8-bit integer, multiplied bit by bit: 8 cycles."""
LOWEST: Final = -1
"""Exponent of the smallest step, 0.5."""


def values(bits: int, special: int) -> FloatArray:
    """The 2^bits values by code (sign in the highest bit); the code of minus zero is the special value number 0 to 3.

    ConfigError for bits other than 3 and 4, and for other special values.
    """
    if bits not in BASIC:
        raise ConfigError(f"floats of {bits} bits are not supported (allowed: 3, 4)", key="bits")
    if special not in range(len(SPECIAL[bits])):
        raise ConfigError(f"there is no special value {special} (allowed: 0 to 3)", key="special")
    sizes = np.array(BASIC[bits])
    table = np.concatenate([sizes, -sizes])
    table[sizes.size] = SPECIAL[bits][special]
    return table


def float_terms(value: float) -> list[tuple[int, int]]:
    """The terms (sign, exponent) of a value, from the highest: the ones of its size in binary, two at most.

    ConfigError where the value has more than two, or one below 2^-1.
    """
    left, terms = abs(value), []
    sign = -1 if value < 0 else 1
    for exponent in range(3, LOWEST - 1, -1):
        if left >= 2.0**exponent:
            terms.append((sign, exponent))
            left -= 2.0**exponent
    if left or len(terms) > FP_TERMS:
        raise ConfigError(f"{value} is no sum of {FP_TERMS} powers of two of 2^{LOWEST} to 2^3", key="value")
    return terms


def booth_digits(value: int, bits: int) -> list[int]:
    """Digits of -2 to 2, lowest first, whose sum times 4^i is the value: Booth's radix 4, ceil(bits / 2) terms.

    `value` in two's complement of `bits` bits; ConfigError otherwise.
    """
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
        raise ConfigError(f"integers of {bits} bits are {low} to {high}, got {value}", key="value")
    digits, carry = [], 0
    for i in range(0, bits, 2):
        high, low = value >> (i + 1) & 1, value >> i & 1
        digits.append(carry + low - 2 * high)
        carry = high
    return digits


@dataclass(frozen=True)
class BitModWeights:
    """N x K codes of 3 or 4 bits; a group has a special value (0 to 3) and a whole scale (1 to 127), a row a scale."""

    codes: npt.NDArray[np.uint8]
    bits: int
    special: IntArray
    group_scales: IntArray
    row_scales: FloatArray
    group_size: int = 128

    def table(self) -> FloatArray:
        """The values of each group's codes: N x groups x 2^bits."""
        kinds = np.stack([values(self.bits, number) for number in range(len(SPECIAL[self.bits]))])
        return kinds[self.special]

    def dequantised(self) -> FloatArray:
        """The N x K weights."""
        of = np.arange(self.codes.shape[1]) // self.group_size
        rows = np.arange(self.codes.shape[0])[:, None]
        scale = self.row_scales[:, None] * self.group_scales
        return self.table()[rows, of, self.codes] * scale[:, of]


def quantised(real: npt.ArrayLike, bits: int, group_size: int = 128) -> BitModWeights:
    """Each group of N x K real weights with the special value that gives the smallest squared error.

    The scale takes the largest weight of the group to the largest value (search_group_dtype of the released code); it
    is then rounded to 1 to 127 times a 127th of the row's largest scale, and weights take the nearest value at that
    scale. ConfigError for bits, sizes of groups or weights that are not allowed.
    """
    raw = np.asarray(real, np.float64)
    if raw.ndim != 2 or 0 in raw.shape or not np.isfinite(raw).all():
        raise ConfigError(f"real weights must be N x K and finite, got the shape {raw.shape}", key="real")
    if group_size < 1:
        raise ConfigError(f"group_size must be >= 1, got {group_size}", key="group_size")
    tables = np.stack([values(bits, number) for number in range(len(SPECIAL.get(bits, (0,))))])
    rows, depth = raw.shape
    filled = np.zeros((rows, -(-depth // group_size) * group_size))
    filled[:, :depth] = raw
    parts = filled.reshape(rows, -1, group_size)
    scales = np.abs(parts).max(axis=2)[..., None] / np.abs(tables).max(axis=1)
    errors = [((_nearest(parts, table, scales[..., i])[1]) ** 2).sum(axis=2) for i, table in enumerate(tables)]
    special = np.argmin(errors, axis=0)
    chosen = np.take_along_axis(scales, special[..., None], axis=2)[..., 0]
    row_scales = np.where(chosen.max(axis=1) > 0, chosen.max(axis=1), 1.0) / 127
    whole = np.rint(chosen / row_scales[:, None]).clip(1, 127).astype(np.int64)
    codes, _ = _nearest(parts, tables[special], whole * row_scales[:, None])
    flat = codes.reshape(rows, -1)[:, :depth].astype(np.uint8)
    return BitModWeights(flat, bits, special, whole, row_scales, group_size)


def _nearest(parts: FloatArray, table: FloatArray, scales: FloatArray) -> tuple[IntArray, FloatArray]:
    """Codes of the nearest values and how far they are; one table, or one for each group."""
    grid = table * scales[..., None]
    distance = np.abs(parts[..., None] - grid[..., None, :])
    return distance.argmin(axis=-1), distance.min(axis=-1)


def product(weights: BitModWeights, activations: Activations) -> tuple[FloatArray, dict[str, int]]:
    """values[m, n] = sum of a w, formed term by term: a group's sum, times its scale bit by bit, then the row's scale.

    Terms are counted in halves, so that integer activations give whole sums, exact before the row's scale; sums of FP16
    are formed in float64 (the unit aligns and cuts them off, which is not modelled). ConfigError for a K that differs.
    """
    rows, depth = weights.codes.shape
    if activations.shape[1] != depth:
        raise ConfigError(f"activations have K = {activations.shape[1]}, weights have K = {depth}", key="activations")
    whole = activations.format.is_integer
    a: npt.NDArray[Any] = activations.values.astype(np.int64) if whole else activations.values
    terms = _term_table(weights.bits)
    kinds = weights.special[:, np.arange(depth) // weights.group_size]
    total = np.zeros((a.shape[0], rows), a.dtype)
    starts = range(0, depth, weights.group_size)
    for group, start in enumerate(starts):
        part = slice(start, start + weights.group_size)
        inner = np.zeros_like(total)
        for term in range(FP_TERMS):
            halves = terms[kinds[:, part], weights.codes[:, part], term]
            inner += a[:, part] @ halves.T.astype(a.dtype)
        for bit in range(SCALE_TERMS):
            on = (weights.group_scales[:, group] >> bit & 1).astype(a.dtype)
            total += (inner << bit if whole else np.ldexp(inner, bit)) * on
    result = total * 0.5 * weights.row_scales * activations.scales[:, None]
    serial = a.shape[0] * rows
    return result, {"terms": serial * depth * FP_TERMS, "scale_terms": serial * len(starts) * SCALE_TERMS}


def _term_table(bits: int) -> IntArray:
    """Terms in halves by special value, code and number of the term; 0 where a value has fewer than two."""
    table = np.zeros((len(SPECIAL[bits]), 1 << bits, FP_TERMS), np.int64)
    for special, code in np.ndindex(table.shape[:2]):
        for i, (sign, exponent) in enumerate(float_terms(float(values(bits, special)[code]))):
            table[special, code, i] = sign << (exponent - LOWEST)
    return table
