"""How far a product by look-up can be from the exact one, derived from rules L1 to L8; bounds are M x N, absolute.

Notation, for one result and one scale group G with T tables of g activations: u is the unit roundoff of the
accumulator, 2^-24 for float32 and 2^-53 for float64; gamma(n, u) = n u / (1 - n u) bounds what n roundings in a row do
(Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., lemma 3.1); |a| is the sum of the sizes of the group's
activations.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.hw_models.compute.lut.functional.formats import Activations
from cairn.hw_models.compute.lut.functional.planes import PackedWeights
from cairn.hw_models.compute.lut.functional.prepared import Accumulator, group_sums
from cairn.hw_models.compute.lut.functional.tables import STEPS

FloatArray = npt.NDArray[np.float64]
UNIT: Final = {"float32": 2.0**-24, "float64": 2.0**-53}
"""Unit roundoffs of IEEE 754 types, to nearest."""
HALF: Final = 2.0**-11
"""The same of FP16."""
MARGIN: Final = 1 + 2.0**-40
"""assumed: more than evaluating a bound in float64 loses (some hundred roundings of 2^-53)."""


def float_bound(weights: PackedWeights, activations: Activations, accumulator: Accumulator = "float32") -> FloatArray:
    """Largest error with exact tables: the order of summation.

    An activation passes d roundings in its table, d = ceil(g / 2) for g > 1 and 0 for g = 1 (a sum of up to ceil(g / 2)
    numbers, then one of two sums), and at most b T in the accumulator; multiplying by 2^i rounds nothing. It is added
    once in each plane, with weight 2^i, and sum of 2^i = 2^b - 1. So acc differs from its exact value by at most

        e = (2^b - 1) |a| gamma(d + b T, u)            (L6; integers: e = 0)

    L8 is p = K_G + groups + 4 roundings to float64 (sum A, product with z', difference, product with s', sum over
    groups, scale of the row), each relative to at most (2^b - 1) |a| + e + |z'| |a|:

        |error| <= sum over G of s' ( e + gamma(p, 2^-53) ((2^b - 1 + |z'|) |a| + e) )
    """
    top = (1 << weights.bits) - 1
    if activations.format.is_integer:
        share = np.zeros(weights.starts.size - 1)
    else:
        share = top * _gamma(_table_roundings(weights.group) + weights.bits * _tables(weights), accumulator)
    return _through_scales(weights, activations, share)


def table_bound(weights: PackedWeights, activations: Activations, accumulator: Accumulator = "float32") -> FloatArray:
    """Largest error with tables quantised to INT8 (L7): half a step for each look-up, times the weight of its plane.

    The largest entry of a table is the sum of the sizes of its activations, |a_t|, so its step is t = |a_t| / 127. A
    look-up errs by half a step, and by 2^-40 of one for the rounding of entry / t; in plane i it counts 2^i times.
    Summed over planes and over the tables of the group that is

        (2^b - 1) sum over tables of t / 2 = (2^b - 1) |a| / 254

    On top of it, as in `float_bound`: entries of floats carry d roundings and the step one more; t times an integer and
    its sum are T + 1 roundings of numbers whose sizes sum to at most (2^b - 1) |a| (1 + gamma(d + 1, u)). With c = 1 +
    gamma(d + 1, u) and d = 0 for integers:

        e = (2^b - 1) |a| ( c (1/254 + 2^-46) + gamma(d, u) + c gamma(T + 1, u) )

    and the error follows from e as in `float_bound`.
    """
    top = (1 << weights.bits) - 1
    depth = 0 if activations.format.is_integer else _table_roundings(weights.group)
    grown = 1 + _gamma(np.array(depth + 1), accumulator)
    half_step = 0.5 / STEPS + 2.0**-46
    rounding = _gamma(np.array(depth), accumulator) + grown * _gamma(_tables(weights) + 1, accumulator)
    return _through_scales(weights, activations, top * (grown * half_step + rounding))


def half_table_bound(
    weights: PackedWeights, activations: Activations, accumulator: Accumulator = "float32"
) -> FloatArray:
    """Largest error with tables of floats kept in FP16 (L7).

    Rounding an entry errs by 2^-11 of it at most; nothing is lost to subnormals, since sums of FP16 and FP8 numbers are
    multiples of 2^-24, the smallest FP16 number. With the d roundings of the table and c = 1 + gamma(d, u), entries of
    a group differ by |a| (gamma(d, u) + c 2^-11) and have sizes up to |a| c (1 + 2^-11), which b T more roundings
    carry:

        e = (2^b - 1) |a| ( gamma(d, u) + c 2^-11 + c (1 + 2^-11) gamma(b T, u) )

    and the error follows from e as in `float_bound`.
    """
    depth = _gamma(np.array(_table_roundings(weights.group)), accumulator)
    grown = 1 + depth
    sums = _gamma(weights.bits * _tables(weights), accumulator)
    share = ((1 << weights.bits) - 1) * (depth + grown * HALF + grown * (1 + HALF) * sums)
    return _through_scales(weights, activations, share)


def _through_scales(weights: PackedWeights, activations: Activations, share: FloatArray) -> FloatArray:
    """The bound of y where e = `share` |a| in each scale group: the last formula of `float_bound`."""
    sizes = group_sums(replace(activations, values=np.abs(activations.values)), weights.starts[:-1] * weights.group)
    groups = weights.starts.size - 1
    last = _gamma(np.array(min(weights.group_size, weights.depth) + groups + 4), "float64")
    largest = (1 << weights.bits) - 1 + np.abs(weights.remapped_zeros)
    per_size = np.abs(weights.half_scales) * (share + last * (largest + share))
    bound: FloatArray = activations.scales[:, None] * (sizes @ per_size.T) * MARGIN
    return bound


def _table_roundings(group: int) -> int:
    return 0 if group == 1 else -(-group // 2)


def _tables(weights: PackedWeights) -> npt.NDArray[np.int64]:
    counts: npt.NDArray[np.int64] = np.diff(weights.starts)
    return counts


def _gamma(roundings: npt.NDArray[Any], accumulator: str) -> Any:
    """gamma(n, u); infinite where n u >= 1, where nothing can be said."""
    product = roundings * UNIT[accumulator]
    return np.where(product < 1, product / np.maximum(1 - product, 2.0**-60), np.inf)
