"""Cycles of products on an array of dot-product elements; vectorised. Rules B1 to B3 of the package."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.bitserial.spec import DotArraySpec, ElementSpec
from cairn.hw_models.compute.matrix_unit import IntArray, tile_sizes


def pass_cycles(element: ElementSpec, weight_bits: npt.ArrayLike) -> IntArray:
    """Cycles of a pass (B2) for weights of `weight_bits` (any shape, scales included).

    Raises ConfigError for fewer than 1, and for more than the element takes beside less than a bit of scale.
    """
    bits = np.asarray(weight_bits, dtype=np.float64)
    taken = (bits >= 1) & (np.floor(bits) <= element.max_weight_bits)
    if bits.size and not taken.all():
        wrong = bits[~taken].flat[0]
        message = f"weights must have 1 to {element.max_weight_bits} bits beside their scales, got {wrong:g}"
        raise ConfigError(message, key="weight_bits")
    if element.bits_per_cycle is None:
        return np.ones(bits.shape, dtype=np.int64)
    # B2: the scale's share of a bit costs no pass, hence the floor
    return np.asarray(-(-np.floor(bits) // element.bits_per_cycle), dtype=np.int64)


def passes(array: DotArraySpec, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike) -> IntArray:
    """Passes of each product of m tokens, n outputs, k inputs (B1); each reads both buffers once."""
    m, n, k = tile_sizes(m, n, k)
    return -(-k // array.element.dot) * -(-n // array.rows) * -(-m // array.columns)


def array_cycles(
    array: DotArraySpec, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike
) -> IntArray:
    """Cycles of each product of m tokens, n outputs and k inputs with weights of `weight_bits`; shapes broadcast.

    ValueError for sizes that are not whole or negative, ConfigError for bits that no pass takes.
    """
    element = array.element
    m, n, k = tile_sizes(m, n, k)
    lane = -(-k // element.dot) * pass_cycles(element, weight_bits)
    if element.bits_per_cycle is not None:
        lane = np.maximum(lane, -(-k // element.group) * element.scale_cycles)  # B3
    return np.asarray(lane * -(-n // array.rows) * -(-m // array.columns))  # B1


def bound_cycles(
    array: DotArraySpec, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike
) -> IntArray:
    """The speed of light: cycles of each product with every element busy in every pass."""
    m, n, k = tile_sizes(m, n, k)
    return np.asarray(-(-m * n * k * pass_cycles(array.element, weight_bits) // array.peak_macs_per_pass))
