"""Numbers that a person gives, as arrays: what is none, or has the wrong shape, is refused with its field."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError


def numbers(key: str, given: npt.ArrayLike) -> npt.NDArray[Any]:
    """`given` as an array of any type of number; ConfigError for text and for rows of different lengths."""
    try:
        array = np.asarray(given)
    except (TypeError, ValueError):  # NumPy: rows of different lengths
        raise ConfigError("must be numbers in rows of one length", key=key) from None
    if array.dtype.kind not in "biuf":
        raise ConfigError(f"must be numbers in rows of one length, got {array.dtype}", key=key)
    return array


def reals(key: str, given: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """`given` in float64; ConfigError as `numbers`."""
    return numbers(key, given).astype(np.float64)


def real_matrix(given: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """N x K real weights; ConfigError for another shape and for NaN and infinities."""
    raw = reals("real", given)
    if raw.ndim != 2 or 0 in raw.shape:
        raise ConfigError(f"real weights must be N x K with N, K >= 1, got the shape {raw.shape}", key="real")
    if wrong := int((~np.isfinite(raw)).sum()):
        raise ConfigError(f"real weights must be finite, {wrong} are NaN or infinite", key="real")
    return raw


def extremes(raw: npt.NDArray[Any]) -> str:
    """Lowest and highest number of an array, for messages: `4`, or `-1 to 9`."""
    low, high = raw.min(), raw.max()
    return f"{low}" if low == high else f"{low} to {high}"
