"""Ternary weights in bytes, three ways: 2 bits each, five to a byte, three in 5 bits. Each has an inverse.

Weights are flat arrays of -1, 0 and 1. The last byte, or the last 5 bits, are filled with weights of zero. Unpacking
refuses codes that no weights pack to, so that packing what was unpacked gives the same bytes.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError

ByteArray = npt.NDArray[np.uint8]
TritArray = npt.NDArray[np.int8]

TRITS_PER_BYTE: Final = 5
"""3^5 = 243 of 256 codes: 1.6 bits for each weight (llama.cpp's TQ1_0 stores the same five trits, in another code)."""
_POWERS: Final = 3 ** np.arange(TRITS_PER_BYTE)
TRITS_PER_INDEX: Final = 3
INDEX_BITS: Final = 4
"""Three trits are 27 codes, of which 13 are others with the sign changed, and zero: a sign and an index of 0 to 13.
bitnet.cpp's TL2 (Wang et al., arXiv 2410.16144), which keeps signs and indices apart; LTC (ISCA 2025), section 5."""


def pack_two_bits(weights: npt.ArrayLike) -> ByteArray:
    """Codes w + 1 in 2 bits, four to a byte, the first lowest; ceil(size / 4) bytes."""
    trits = _trits(weights, 4)
    return _as_bytes((trits.reshape(-1, 4) << np.arange(0, 8, 2)).sum(axis=1))


def unpack_two_bits(packed: npt.ArrayLike, size: int) -> TritArray:
    """The `size` weights of `pack_two_bits`; ConfigError for the code 3, a wrong length, or bad padding."""
    codes = _bytes(packed, -(-size // 4), size)[:, None] >> np.arange(0, 8, 2) & 3
    _refuse(codes == 3, "the code 3 is no ternary weight (allowed: 0, 1, 2)")
    return _cut(codes.ravel() - 1, size)


def pack_five_in_byte(weights: npt.ArrayLike) -> ByteArray:
    """Sum of (w + 1) 3^i over five weights, the first lowest; ceil(size / 5) bytes of 0 to 242."""
    return _as_bytes(_trits(weights, TRITS_PER_BYTE).reshape(-1, TRITS_PER_BYTE) @ _POWERS)


def unpack_five_in_byte(packed: npt.ArrayLike, size: int) -> TritArray:
    """The `size` weights of `pack_five_in_byte`; ConfigError for bytes above 242, a wrong length, or bad padding."""
    codes = _bytes(packed, -(-size // TRITS_PER_BYTE), size)
    _refuse(codes >= 3**TRITS_PER_BYTE, f"a byte of five ternary weights is 0 to {3**TRITS_PER_BYTE - 1}")
    return _cut((codes[:, None] // _POWERS % 3).ravel() - 1, size)


def signed_indices(weights: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Sign (16) and index of every three weights: v = w0 + 3 w1 + 9 w2, the index |v|, the sign set where v < 0."""
    trits = _trits(weights, TRITS_PER_INDEX).reshape(-1, TRITS_PER_INDEX) - 1
    value = trits @ _POWERS[:TRITS_PER_INDEX]
    return _as_bytes(np.abs(value) | np.where(value < 0, 1 << INDEX_BITS, 0))


def pack_three_in_five_bits(weights: npt.ArrayLike) -> ByteArray:
    """The fields of `signed_indices`, 5 bits each, one after the other from the lowest bit of the first byte."""
    fields = signed_indices(weights)
    bits = fields[:, None] >> np.arange(INDEX_BITS + 1, dtype=np.uint8) & 1
    return np.packbits(bits.ravel(), bitorder="little")


def unpack_three_in_five_bits(packed: npt.ArrayLike, size: int) -> TritArray:
    """The `size` weights of `pack_three_in_five_bits`.

    ConfigError for indices 14 and 15, a sign on index 0, a wrong length, and padding that is not zero.
    """
    fields = -(-size // TRITS_PER_INDEX)
    width = INDEX_BITS + 1
    raw = _bytes(packed, -(-fields * width // 8), size).astype(np.uint8)
    bits = np.unpackbits(raw, bitorder="little")
    _refuse(bits[fields * width :], "the bits after the last weights must be 0")
    codes = bits[: fields * width].reshape(-1, width) @ (1 << np.arange(width))
    index, negative = codes & ((1 << INDEX_BITS) - 1), codes >> INDEX_BITS == 1
    _refuse(index > 3**TRITS_PER_INDEX // 2, "an index of three ternary weights is 0 to 13")
    _refuse(negative & (index == 0), "three weights of zero have no sign")
    shifted = np.where(negative, -index, index) + 3**TRITS_PER_INDEX // 2
    return _cut((shifted[:, None] // _POWERS[:TRITS_PER_INDEX] % 3).ravel() - 1, size)


def packed_bytes(size: int) -> dict[str, int]:
    """Bytes of `size` weights in each packing, by name."""
    fields = -(-size // TRITS_PER_INDEX)
    return {
        "two_bits": -(-size // 4),
        "five_in_byte": -(-size // TRITS_PER_BYTE),
        "three_in_five_bits": -(-fields * (INDEX_BITS + 1) // 8),
    }


def _trits(weights: npt.ArrayLike, multiple: int) -> npt.NDArray[np.int64]:
    """w + 1, filled with 1 (a weight of zero) to a multiple."""
    raw = np.asarray(weights)
    if raw.ndim != 1 or raw.size == 0 or raw.dtype.kind not in "iu":
        raise ConfigError(f"must be a flat array of whole numbers, got {raw.dtype} {raw.shape}", key="weights")
    if (np.abs(raw.astype(np.int64)) > 1).any():
        raise ConfigError("ternary weights must be -1, 0 or 1", key="weights")
    filled = np.ones(-(-raw.size // multiple) * multiple, np.int64)
    filled[: raw.size] = raw.astype(np.int64) + 1
    return filled


def _as_bytes(codes: npt.NDArray[Any]) -> ByteArray:
    return codes.astype(np.uint8)


def _bytes(packed: npt.ArrayLike, length: int, size: int) -> npt.NDArray[np.int64]:
    raw = np.asarray(packed)
    if size < 1:
        raise ConfigError(f"must be >= 1, got {size}", key="size")
    if raw.dtype != np.uint8 or raw.shape != (length,):
        raise ConfigError(f"{size} weights are {length} bytes (uint8), got {raw.dtype} {raw.shape}", key="packed")
    return raw.astype(np.int64)


def _refuse(wrong: npt.NDArray[Any], why: str) -> None:
    if wrong.any():
        raise ConfigError(f"{why}; found one at position {int(np.argmax(wrong.ravel() != 0))}", key="packed")


def _cut(trits: npt.NDArray[Any], size: int) -> TritArray:
    _refuse(trits[size:], "weights after the last one must be 0")
    return trits[:size].astype(np.int8)
