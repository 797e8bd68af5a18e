"""Cycles of products on an array whose elements split; vectorised. Rules F1 to F4 of the package."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.fusion.spec import FusedArraySpec
from cairn.hw_models.compute.matrix_unit import IntArray, tile_sizes


def split(array: FusedArraySpec, bits: npt.ArrayLike, name: str = "bits") -> IntArray:
    """Products of `bits` that an element does side by side along one operand (F1).

    Parts of a bit take a whole one. Raises ConfigError for bits below 1 or above the element's.
    """
    given = np.asarray(bits, dtype=np.float64)
    if given.size and not ((given >= 1) & (given <= array.high_bits)).all():
        raise ConfigError(f"{array.name} takes 1 to {array.high_bits} bits, got {given.tolist()}", key=name)
    return np.asarray(array.high_bits // np.maximum(np.ceil(given), array.low_bits), dtype=np.int64)


def array_cycles(
    array: FusedArraySpec,
    m: npt.ArrayLike,
    n: npt.ArrayLike,
    k: npt.ArrayLike,
    activation_bits: npt.ArrayLike,
    weight_bits: npt.ArrayLike,
) -> IntArray:
    """Cycles of each product of m tokens, n outputs and k inputs; shapes broadcast. Errors as `split`, `tile_sizes`."""
    m, n, k = tile_sizes(m, n, k)
    by_rows = array.rows * split(array, activation_bits, "activation_bits")
    by_columns = array.columns * split(array, weight_bits, "weight_bits")
    if array.dataflow == "weight_stationary":
        return np.asarray(m * -(-n // by_columns) * -(-k // by_rows))  # F3
    return np.asarray(-(-m // by_rows) * -(-n // by_columns) * k)  # F2


def bound_cycles(
    array: FusedArraySpec,
    m: npt.ArrayLike,
    n: npt.ArrayLike,
    k: npt.ArrayLike,
    activation_bits: npt.ArrayLike,
    weight_bits: npt.ArrayLike,
) -> IntArray:
    """The speed of light: cycles of each product with every element split and busy."""
    m, n, k = tile_sizes(m, n, k)
    side_by_side = split(array, activation_bits, "activation_bits") * split(array, weight_bits, "weight_bits")
    return np.asarray(-(-m * n * k // (array.elements * side_by_side)))


def scalings(m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, group: int) -> IntArray:
    """Scalings of group sums in each product when weights are dequantised after the group (F4), m n ceil(k / group).

    Dequantised before it, as a plain W4A16 array does, they are n k for every tile of tokens. ConfigError: group < 1.
    """
    if group < 1:
        raise ConfigError(f"a group has at least one weight, got {group}", key="group")
    m, n, k = tile_sizes(m, n, k)
    return np.asarray(m * n * -(-k // group))
