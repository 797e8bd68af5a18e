"""The units beside a LUT tensor core on numbers: random products against those of the values of their codes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.base.streams import stream
from cairn.hw_models.compute.lut.functional import ant, bitmod, olive, other_units
from cairn.hw_models.compute.lut.functional.formats import ActivationFormat, Activations
from cairn.hw_models.compute.lut.functional.weights import Weights

SEED: Final = 7
Pair = tuple[npt.NDArray[Any], npt.NDArray[Any]]
"""Values of a unit, and NumPy's."""


def pairs(name: str, cases: int) -> Iterator[Pair]:
    """Random cases of the unit called `name`, one of `UNITS`."""
    for index in range(cases):
        rng = stream(SEED, "lut", "units", name, index)
        m, n, k = (1 + int(rng.integers(most)) for most in (5, 8, 100))
        yield UNITS[name](rng, m, n, k)


def _of_codes(unit: Callable[[Weights, Activations], other_units.UnitResult], most_bits: int) -> Callable[..., Pair]:
    def draw(rng: np.random.Generator, m: int, n: int, k: int) -> Pair:
        bits = 1 + int(rng.integers(most_bits))
        codes, zero = rng.integers(0, 1 << bits, (n, k)), int(rng.integers(1 << bits))
        a = rng.integers(-128, 128, (m, k))
        values = unit(Weights.of(codes, bits, zeros=zero), Activations.of(a, ActivationFormat.INT8)).values
        return values, a @ (codes - zero).T

    return draw


def _ternary(rng: np.random.Generator, m: int, n: int, k: int) -> Pair:
    trits, a = rng.integers(-1, 2, (n, k)), rng.integers(-128, 128, (m, k))
    result = other_units.ternary_look_up(trits, Activations.of(a, ActivationFormat.INT8), 2 + int(rng.integers(2)))
    return result.values, a @ trits.T


def _bitmod(rng: np.random.Generator, m: int, n: int, k: int) -> Pair:
    """Scales of rows are powers of two, so that NumPy's float64 product is exact."""
    bits, groups = 3 + int(rng.integers(2)), -(-k // 32)
    weights = bitmod.BitModWeights(
        rng.integers(0, 1 << bits, (n, k)).astype(np.uint8), bits, rng.integers(0, 4, (n, groups)),
        rng.integers(1, 128, (n, groups)), np.ldexp(1.0, rng.integers(-9, 3, n)), 32,
    )  # fmt: skip
    a = rng.integers(-128, 128, (m, k))
    return bitmod.product(weights, Activations.of(a, ActivationFormat.INT8))[0], a @ weights.dequantised().T


def _ant(rng: np.random.Generator, m: int, n: int, k: int) -> Pair:
    kind = tuple(ant.AntType)[int(rng.integers(len(ant.AntType)))]
    a, w = (rng.integers(0, 16, (rows, k)).astype(np.uint8) for rows in (m, n))
    table = ant.values(kind, 4)
    return ant.product(w, a, kind, 4), table[a] @ table[w].T


def _olive(rng: np.random.Generator, m: int, n: int, k: int) -> Pair:
    """Numbers of which a tenth are outliers; NumPy multiplies them rounded, victims zero, one number at a time."""
    normal = tuple(olive.Normal)[int(rng.integers(2))]
    plain, wide = olive.normal_values(normal), olive.outlier_values(normal)
    rows = []
    for count in (m, n):
        drawn = plain[rng.integers(0, 16, (count, k, 2))]
        outlier, side = rng.random((count, k)) < 0.1, rng.integers(0, 2, (count, k))
        drawn[outlier, side[outlier]] = wide[1 + rng.integers(0, 7, int(outlier.sum()))]
        drawn[outlier, 1 - side[outlier]] = 0
        rows.append(drawn.reshape(count, 2 * k))
    a, w = rows
    return olive.product(olive.encode(w, normal), olive.encode(a, normal), normal), a @ w.T


UNITS: Final[dict[str, Callable[..., Pair]]] = {
    "full_table": _of_codes(lambda weights, a: other_units.full_table(weights, a, 2), 4),
    "bit_serial": _of_codes(other_units.bit_serial, 8),
    "shift_add": _of_codes(other_units.shift_add, 8),
    "ternary_look_up": _ternary,
    "bitmod": _bitmod,
    "ant": _ant,
    "olive": _olive,
}
