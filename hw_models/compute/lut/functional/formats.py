"""Activations in the formats that look-up units take: INT8, INT16, FP8 (both kinds) and FP16, decoded exactly."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError

FloatArray = npt.NDArray[np.float64]


class ActivationFormat(StrEnum):
    """Formats of LTC (ISCA 2025, section 4): W INT1 to INT4 by A FP16, FP8, INT16, INT8."""

    INT8 = "int8"
    INT16 = "int16"
    FP8_E4M3 = "fp8_e4m3"
    FP8_E5M2 = "fp8_e5m2"
    FP16 = "fp16"

    @property
    def bits(self) -> int:
        """Bits of one activation."""
        return 16 if self in (ActivationFormat.INT16, ActivationFormat.FP16) else 8

    @property
    def is_integer(self) -> bool:
        return self in (ActivationFormat.INT8, ActivationFormat.INT16)


BY_DTYPE: Final = {"int8": ActivationFormat.INT8, "int16": ActivationFormat.INT16, "float16": ActivationFormat.FP16}
"""Formats that a NumPy type says by itself; FP8 has none."""

# OCP 8-bit Floating Point Specification (OFP8) 1.0, section 5: bits of mantissa and the exponent's bias.
_E4M3: Final = (3, 7)
_E5M2: Final = (2, 15)


def fp8_values(fmt: ActivationFormat) -> FloatArray:
    """The 256 values of an FP8 format by code, exactly; NaN and infinities where the code means them.

    E4M3 has no infinities, and NaN only where all bits but the sign are 1 (largest value 448); E5M2 has those of IEEE
    754 (largest value 57,344). Source: OFP8 1.0, table 1 and 2. ConfigError for a format that is not FP8.
    """
    if fmt not in (ActivationFormat.FP8_E4M3, ActivationFormat.FP8_E5M2):
        raise ConfigError(f"{fmt} is not an FP8 format (allowed: fp8_e4m3, fp8_e5m2)", key="format")
    mantissa_bits, bias = _E4M3 if fmt is ActivationFormat.FP8_E4M3 else _E5M2
    code = np.arange(128)
    exponent, mantissa = code >> mantissa_bits, code & ((1 << mantissa_bits) - 1)
    whole = np.where(exponent > 0, mantissa + (1 << mantissa_bits), mantissa)  # subnormals have no leading one
    values = np.ldexp(whole.astype(np.float64), np.maximum(exponent, 1) - bias - mantissa_bits)
    if fmt is ActivationFormat.FP8_E4M3:
        values[127] = np.nan
    else:
        values[124], values[125:] = np.inf, np.nan
    return np.concatenate([values, -values])


def encode_fp8(values: npt.ArrayLike, fmt: ActivationFormat) -> npt.NDArray[np.uint8]:
    """Codes of the nearest FP8 values, ties to the even code; what is beyond the largest value becomes that one.

    The shape is that of `values`. ConfigError for NaN.
    """
    table = fp8_values(fmt)
    real = np.asarray(values, np.float64)
    if np.isnan(real).any():
        raise ConfigError("values must not hold NaN", key="values")
    positive = table[:128][np.isfinite(table[:128])]
    size = np.minimum(np.abs(real), positive[-1])
    above = np.searchsorted(positive, size).clip(1)
    below = above - 1
    to_below, to_above = size - positive[below], positive[above] - size  # exact, or far from a tie
    lower = (to_below < to_above) | ((to_below == to_above) & (below % 2 == 0))
    code: npt.NDArray[np.int64] = np.where(lower, below, above) | np.where(np.signbit(real), 128, 0)
    return code.astype(np.uint8)


@dataclass(frozen=True)
class Activations:
    """M x K activations: `values` are int32 or float64 and exact, `scales` has one factor (> 0) for each row."""

    values: npt.NDArray[Any]
    format: ActivationFormat
    scales: FloatArray

    @classmethod
    def of(
        cls, array: npt.ArrayLike, fmt: ActivationFormat | None = None, *, scales: npt.ArrayLike = 1.0
    ) -> Activations:
        """Check and decode an M x K array. Arrays of int8, int16 and float16 need no `fmt`.

        INT8 and INT16 take integers of any NumPy type within range, FP16 numbers that FP16 holds exactly, FP8 codes
        (uint8; see `encode_fp8`). `scales` is one factor, or one for each row. ConfigError otherwise.
        """
        raw = np.asarray(array)
        if raw.ndim != 2 or 0 in raw.shape:
            raise ConfigError(f"activations must be M x K with M, K >= 1, got the shape {raw.shape}", key="activations")
        chosen = _format_of(raw, fmt)
        values = _integers(raw, chosen) if chosen.is_integer else _floats(raw, chosen)
        factors = np.broadcast_to(np.asarray(scales, np.float64), (raw.shape[0],)).copy()
        if not (np.isfinite(factors) & (factors > 0)).all():
            raise ConfigError("scales of activations must be finite and > 0", key="scales")
        return cls(values, chosen, factors)

    @property
    def shape(self) -> tuple[int, int]:
        """M and K."""
        return self.values.shape[0], self.values.shape[1]


def _format_of(raw: npt.NDArray[Any], fmt: ActivationFormat | None) -> ActivationFormat:
    known = fmt or BY_DTYPE.get(raw.dtype.name)
    if known is None or known not in tuple(ActivationFormat):
        names = ", ".join(ActivationFormat)
        raise ConfigError(f"activations of {fmt or raw.dtype} need a format (allowed: {names})", key="format")
    return ActivationFormat(known)


def _integers(raw: npt.NDArray[Any], fmt: ActivationFormat) -> npt.NDArray[np.int32]:
    if raw.dtype.kind not in "iu":
        raise ConfigError(f"{fmt} activations must be whole numbers, got {raw.dtype}", key="activations")
    low, high = -(1 << (fmt.bits - 1)), (1 << (fmt.bits - 1)) - 1
    if raw.min() < low or raw.max() > high:
        found = raw.min() if raw.min() < low else raw.max()
        raise ConfigError(f"{fmt} activations must be {low} to {high}, got {found}", key="activations")
    return raw.astype(np.int32)


def _floats(raw: npt.NDArray[Any], fmt: ActivationFormat) -> FloatArray:
    if fmt is ActivationFormat.FP16:
        with np.errstate(over="ignore"):
            values = raw.astype(np.float16).astype(np.float64)
        if not np.array_equal(values, raw.astype(np.float64), equal_nan=True):
            why = "fp16 activations must be FP16 numbers: round them with .astype('float16')"
            raise ConfigError(why, key="activations")
    else:
        if raw.dtype != np.uint8:
            why = f"{fmt} activations must be codes of type uint8 (encode_fp8), got {raw.dtype}"
            raise ConfigError(why, key="activations")
        values = fp8_values(fmt)[raw]
    if not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise ConfigError(f"activations must be finite, {count} are NaN or infinite", key="activations")
    return values
