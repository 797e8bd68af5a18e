"""Quantised weights: codes of 1 to 8 bits, a scale and a zero point for each scale group (L1), and their remap (L2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError

FloatArray = npt.NDArray[np.float64]
CodeArray = npt.NDArray[np.uint8]

MAX_BITS: Final = 8
"""Planes of a weight that the units here walk: the issue's range; LTC itself has 1 to 4 (ISCA 2025, section 4)."""


@dataclass(frozen=True)
class Weights:
    """N x K weights w[n, k] = scales[n, G] (codes[n, k] - zeros[n, G]) with G = k // group_size (L1).

    `codes` are 0 to 2^bits - 1; `scales` and `zeros` are N x ceil(K / group_size), twice a zero point being whole.
    """

    codes: CodeArray
    bits: int
    scales: FloatArray
    zeros: FloatArray
    group_size: int

    @classmethod
    def of(
        cls,
        codes: npt.ArrayLike,
        bits: int,
        *,
        scales: npt.ArrayLike = 1.0,
        zeros: npt.ArrayLike = 0.0,
        group_size: int | None = None,
    ) -> Weights:
        """Check N x K codes; scales and zero points are one for all, or N x groups. Without a size, a row is a group.

        ConfigError for bits, codes, shapes or zero points that are not allowed.
        """
        raw = np.asarray(codes)
        _check_codes(raw, bits)
        depth = raw.shape[1]
        size = _group_size(group_size, depth)
        groups = -(-depth // size)
        factors = _per_group("scales", scales, raw.shape[0], groups)
        points = _per_group("zeros", zeros, raw.shape[0], groups)
        if (2 * points != np.floor(2 * points)).any() or np.abs(points).max() > 1 << MAX_BITS:
            limit = 1 << MAX_BITS
            raise ConfigError(f"zeros must be whole or half numbers of -{limit} to {limit}", key="zeros")
        return cls(raw.astype(np.uint8), bits, factors, points, size)

    @classmethod
    def signed(cls, values: npt.ArrayLike, bits: int, **rest: Any) -> Weights:
        """Weights given as whole numbers -2^(bits-1) to 2^(bits-1) - 1, such as INT4's -8 to 7; `rest` as in `of`."""
        return cls.of(_shifted(values, bits, 1 << (bits - 1)), bits, zeros=float(1 << (bits - 1)), **rest)

    @classmethod
    def ternary(cls, values: npt.ArrayLike, **rest: Any) -> Weights:
        """Weights of -1, 0 and +1 as codes of 2 bits, 0, 1 and 2 with zero point 1: two planes, as LTC runs BitNet."""
        raw = np.asarray(values)
        if raw.size and (np.abs(raw) > 1).any():
            raise ConfigError("ternary weights must be -1, 0 or 1", key="values")
        return cls.of(_shifted(raw, 2, 1), 2, zeros=1.0, **rest)

    @classmethod
    def binary(cls, values: npt.ArrayLike, *, scales: npt.ArrayLike = 1.0, group_size: int | None = None) -> Weights:
        """Weights of -1 and +1 as codes of 1 bit: w = 2 (q - 1/2), so that z' = 0 and one plane is all there is."""
        raw = np.asarray(values)
        if raw.size and (np.abs(raw) != 1).any():
            raise ConfigError("binary weights must be -1 or 1", key="values")
        return cls.of((raw + 1) // 2, 1, scales=2 * np.asarray(scales, np.float64), zeros=0.5, group_size=group_size)

    @property
    def shape(self) -> tuple[int, int]:
        """N and K."""
        return self.codes.shape[0], self.codes.shape[1]

    @property
    def groups(self) -> int:
        """Scale groups of a row."""
        return int(self.scales.shape[1])

    def dequantised(self) -> FloatArray:
        """The N x K weights as float64 numbers, each rounded once."""
        of = np.arange(self.codes.shape[1]) // self.group_size
        return self.scales[:, of] * (self.codes - self.zeros[:, of])

    def remapped(self) -> tuple[npt.NDArray[np.int64], FloatArray, FloatArray]:
        """q' (N x K, odd numbers), s' and z' (N x groups) of L2; q', z' and s' are exact."""
        top = (1 << self.bits) - 1
        return 2 * self.codes.astype(np.int64) - top, self.scales / 2, 2 * self.zeros - top


def quantised(
    real: npt.ArrayLike, bits: int, *, group_size: int | None = None, symmetric: bool = False
) -> Weights:
    """Round N x K real weights to the nearest of 2^bits evenly spaced values for each scale group.

    Asymmetric: from the smallest to the largest weight of the group, zero among them, with a whole zero point.
    Symmetric: the zero point is in the middle of the codes, so that no code is zero: w = s (q - (2^bits - 1) / 2). The
    usual round-to-nearest; ConfigError for weights that are not finite.
    """
    raw = np.asarray(real, np.float64)
    if raw.ndim != 2 or 0 in raw.shape or not np.isfinite(raw).all():
        raise ConfigError(f"real weights must be N x K and finite, got the shape {raw.shape}", key="real")
    _check_bits(bits)
    size = _group_size(group_size, raw.shape[1])
    top = (1 << bits) - 1
    starts = np.arange(0, raw.shape[1], size)
    if symmetric:
        scales = 2 * np.maximum.reduceat(np.abs(raw), starts, axis=1) / top
        zeros = np.full(scales.shape, top / 2)
    else:
        low = np.minimum(np.minimum.reduceat(raw, starts, axis=1), 0)
        scales = (np.maximum(np.maximum.reduceat(raw, starts, axis=1), 0) - low) / top
        zeros = np.rint(-low / np.where(scales > 0, scales, 1))
    scales = np.where(scales > 0, scales, 1)  # a group of zeros
    of = np.arange(raw.shape[1]) // size
    steps = raw / scales[:, of] + zeros[:, of]
    codes = np.rint(steps).clip(0, top).astype(np.int64)
    return Weights.of(codes, bits, scales=scales, zeros=zeros, group_size=size)


def absmean_ternary(real: npt.ArrayLike) -> Weights:
    """Ternary weights of N x K real ones: one scale, the mean size, and the nearest of -1, 0, 1 to each over it.

    Source: BitNet b1.58 (Ma et al., arXiv 2402.17764, eq. 1 to 3).
    """
    raw = np.asarray(real, np.float64)
    if raw.ndim != 2 or 0 in raw.shape or not np.isfinite(raw).all():
        raise ConfigError(f"real weights must be N x K and finite, got the shape {raw.shape}", key="real")
    scale = float(np.abs(raw).mean()) or 1.0
    return Weights.ternary(np.rint(raw / scale).clip(-1, 1).astype(np.int64), scales=scale)


def _shifted(values: npt.ArrayLike, bits: int, by: int) -> npt.NDArray[np.int64]:
    _check_bits(bits)
    raw = np.asarray(values)
    if raw.dtype.kind not in "iu":
        raise ConfigError(f"weights must be whole numbers, got {raw.dtype}", key="values")
    low, high = -by, (1 << bits) - 1 - by
    if raw.size and (raw.min() < low or raw.max() > high):
        found = f"got {raw.min()} to {raw.max()}"
        raise ConfigError(f"weights of {bits} bits must be {low} to {high}, {found}", key="values")
    return raw.astype(np.int64) + by


def _check_bits(bits: int) -> None:
    if not isinstance(bits, int | np.integer) or not 1 <= bits <= MAX_BITS:
        raise ConfigError(f"weights of {bits} bits are not supported (allowed: 1 to {MAX_BITS})", key="bits")


def _group_size(given: int | None, depth: int) -> int:
    if given is None:
        return depth
    if not isinstance(given, int | np.integer) or given < 1:
        raise ConfigError(f"group_size must be a whole number >= 1, got {given}", key="group_size")
    return int(given)


def _check_codes(raw: npt.NDArray[Any], bits: int) -> None:
    _check_bits(bits)
    if raw.ndim != 2 or 0 in raw.shape:
        raise ConfigError(f"codes must be N x K with N, K >= 1, got the shape {raw.shape}", key="codes")
    if raw.dtype.kind not in "iu":
        raise ConfigError(f"codes must be whole numbers, got {raw.dtype}", key="codes")
    if raw.min() < 0 or raw.max() >> bits:
        found = f"got {raw.min()} to {raw.max()}"
        raise ConfigError(f"codes of {bits} bits must be 0 to {(1 << bits) - 1}, {found}", key="codes")


def _per_group(name: str, given: npt.ArrayLike, rows: int, groups: int) -> FloatArray:
    values = np.asarray(given, np.float64)
    try:
        full = np.broadcast_to(values, (rows, groups))
    except ValueError:
        shape = f"{rows} x {groups} (rows x scale groups)"
        raise ConfigError(f"{name} must be one number or {shape}, got the shape {values.shape}", key=name) from None
    if not np.isfinite(full).all():
        raise ConfigError(f"{name} must be finite", key=name)
    return full.copy()
