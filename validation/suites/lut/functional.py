"""Products by look-up on numbers, random cases: integers against NumPy, others against exact fractions and bounds.

A row counts the results of its cases; its prediction is how many of them are equal to NumPy's, or within their bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.base.streams import stream
from cairn.hw_models.compute.lut.functional import ternary
from cairn.hw_models.compute.lut.functional.bounds import float_bound, half_table_bound, table_bound
from cairn.hw_models.compute.lut.functional.formats import ActivationFormat, Activations, fp8_values
from cairn.hw_models.compute.lut.functional.mpgemm import mpgemm
from cairn.hw_models.compute.lut.functional.oracle import Problem, definition
from cairn.hw_models.compute.lut.functional.planes import PackedWeights, pack
from cairn.hw_models.compute.lut.functional.prepared import TableKind
from cairn.hw_models.compute.lut.functional.weights import Weights
from cairn.validation.rows import Row
from cairn.validation.suites.lut import functional_units

SEED: Final = 6
INTEGER_CASES: Final = 110
"""Cases of each pair of weights (1 to 8 bits, ternary, binary) and integer format: 2,200 in all."""
BOUNDED_CASES: Final = 100
"""Cases of each pair of format and sort of table."""
PACKING_CASES: Final = 200
UNIT_CASES: Final = 100
"""Cases of each unit beside the look-up."""
MORE: Final = 10
"""Times as many with --all."""

INTEGER_FORMATS: Final = (ActivationFormat.INT8, ActivationFormat.INT16)
WEIGHTS: Final = (*(str(bits) for bits in range(1, 9)), "ternary", "binary")
Bound = Callable[[PackedWeights, Activations], npt.NDArray[np.float64]]
KINDS: Final[Mapping[TableKind, str]] = {
    "exact": "sums of floats", "int8": "INT8 tables", "float16": "FP16 tables"
}  # fmt: skip
BOUNDS: Final[dict[TableKind, Bound]] = {"exact": float_bound, "int8": table_bound, "float16": half_table_bound}
HALF_SUM: Final = 65504 / 8
"""Eight activations up to this size have sums that FP16 holds."""


@dataclass
class Tally:
    """Results looked at, those that are right, and the largest error as a share of its bound."""

    results: int = 0
    right: int = 0
    share: float = 0.0


def rows(run_all: bool) -> Iterator[Row]:
    """Products of integers, products with rounded sums, products of other units, and packings of ternary weights."""
    times = MORE if run_all else 1
    for fmt in INTEGER_FORMATS:
        for name in WEIGHTS:
            cases = INTEGER_CASES * times
            tally = integer_tally(name, fmt, cases)
            yield _row(f"functional/{_named(name)}A_{fmt}", "integer products", tally, cases, "NumPy, int64", "exact")
    for fmt in ActivationFormat:
        for table in BOUNDS:
            if table != "int8" and fmt.is_integer:
                continue
            cases = BOUNDED_CASES * times
            tally = bounded_tally(fmt, table, cases)
            yield _row(f"functional/{table}_tables/A_{fmt}", KINDS[table], tally, cases, "exact fractions", "bounds")
    yield from unit_rows(UNIT_CASES * times)
    cases = PACKING_CASES * times
    yield _row("functional/packings", "ternary packings", packing_tally(cases), cases, "the weights packed", "exact")


def unit_rows(cases: int) -> Iterator[Row]:
    """A row for each unit beside the look-up."""
    for name in functional_units.UNITS:
        tally = Tally()
        for values, expected in functional_units.pairs(name, cases):
            tally.results += expected.size
            tally.right += int((values == expected).sum())
        yield _row(f"functional/units/{name}", "other units", tally, cases, "NumPy, the codes' values", "exact")


def _row(name: str, kind: str, tally: Tally, cases: int, source: str, gate: str) -> Row:
    remark = f"{cases} random cases"
    if gate == "bounds":
        remark += f"; the largest error is {100 * tally.share:.0f} % of its bound"
    return Row(
        name, kind, float(tally.results), float(tally.right), "results", source, (f"functional_{gate}",), remark=remark
    )  # fmt: skip


def _named(weights: str) -> str:
    return f"W{weights}" if weights.isdigit() else f"W_{weights}_"


def integer_tally(name: str, fmt: ActivationFormat, cases: int) -> Tally:
    """Results that equal NumPy's product of the plain integers."""
    tally = Tally()
    for index in range(cases):
        rng = stream(SEED, "lut", "integer", name, str(fmt), index)
        m, n, k, group = _below(rng, 6), _below(rng, 10), _size(rng), _below(rng, 8)
        size = group * _below(rng, 6) if rng.integers(2) else None
        weights, plain = drawn_weights(rng, name, n, k, size)
        activations = drawn_activations(rng, fmt, m, k)
        values = mpgemm(pack(weights, group), activations).values
        expected = activations.values.astype(np.int64) @ plain.T
        tally.results += expected.size
        tally.right += int((values == expected).sum()) if values.dtype == np.int64 else 0
    return tally


def bounded_tally(fmt: ActivationFormat, table: TableKind, cases: int) -> Tally:
    """Results of scaled products in float32 that are within their bound of the exact fraction."""
    tally = Tally()
    for index in range(cases):
        rng = stream(SEED, "lut", table, str(fmt), index)
        m, n, k, group, bits = _below(rng, 2), _below(rng, 4), _below(rng, 60), _below(rng, 8), _below(rng, 8)
        size = group * _below(rng, 6) if rng.integers(2) else k
        shape = (n, -(-k // size))
        scales, zeros = rng.random(shape) - 0.5, rng.integers(0, 2 << bits, shape) / 2
        codes = rng.integers(0, 1 << bits, (n, k))
        weights = Weights.of(codes, bits, scales=scales, zeros=zeros, group_size=size)
        activations = drawn_activations(rng, fmt, m, k, scaled=True, half_sums=table == "float16")
        packed = pack(weights, group)
        values = mpgemm(packed, activations, table=table).values
        bound = BOUNDS[table](packed, activations)
        _compare(tally, values, bound, definition(_problem(weights, activations)))
    return tally


def packing_tally(cases: int) -> Tally:
    """Ternary weights that come back as they were, from each of the three packings."""
    pairs = (
        (ternary.pack_two_bits, ternary.unpack_two_bits),
        (ternary.pack_five_in_byte, ternary.unpack_five_in_byte),
        (ternary.pack_three_in_five_bits, ternary.unpack_three_in_five_bits),
    )
    tally = Tally()
    for index in range(cases):
        rng = stream(SEED, "lut", "packing", index)
        trits = rng.integers(-1, 2, _size(rng))
        for pack_trits, unpack_trits in pairs:
            tally.results += trits.size
            tally.right += int((unpack_trits(pack_trits(trits), trits.size) == trits).sum())
    return tally


def drawn_weights(
    rng: np.random.Generator, name: str, n: int, k: int, group_size: int | None
) -> tuple[Weights, npt.NDArray[np.int64]]:
    """Weights that are whole numbers, and these numbers; zero points differ from group to group."""
    if name == "ternary":
        plain = rng.integers(-1, 2, (n, k))
        return Weights.ternary(plain, group_size=group_size), plain
    if name == "binary":
        plain = 2 * rng.integers(0, 2, (n, k)) - 1
        return Weights.binary(plain, group_size=group_size), plain
    bits = int(name)
    size = group_size or k
    codes, zeros = rng.integers(0, 1 << bits, (n, k)), rng.integers(0, 1 << bits, (n, -(-k // size)))
    plain = codes - zeros[:, np.arange(k) // size]
    return Weights.of(codes, bits, zeros=zeros, group_size=size), plain


def drawn_activations(
    rng: np.random.Generator, fmt: ActivationFormat, m: int, k: int, scaled: bool = False, half_sums: bool = False
) -> Activations:
    """All codes of the format alike, extremes included; what is not finite becomes zero.

    `half_sums`: so do activations whose sums in a table could be beyond FP16.
    """
    raw: npt.NDArray[Any]
    if fmt.is_integer:
        raw = rng.integers(-(1 << (fmt.bits - 1)), 1 << (fmt.bits - 1), (m, k))
    elif fmt is ActivationFormat.FP16:
        raw = rng.integers(0, 1 << 16, (m, k)).astype(np.uint16).view(np.float16)
        raw = np.where(np.isfinite(raw) & ((np.abs(raw) <= HALF_SUM) | (not half_sums)), raw, np.float16(0))
    else:
        codes = rng.integers(0, 256, (m, k))
        sizes = np.abs(fp8_values(fmt)[codes])
        raw = np.where(np.isfinite(sizes) & ((sizes <= HALF_SUM) | (not half_sums)), codes, 0).astype(np.uint8)
    return Activations.of(raw, fmt, scales=0.01 + rng.random(m) if scaled else 1.0)


def _problem(weights: Weights, activations: Activations) -> Problem:
    return Problem(
        weights.codes.tolist(), weights.bits, weights.scales.tolist(), weights.zeros.tolist(), weights.group_size,
        activations.values.tolist(), activations.scales.tolist(),
    )  # fmt: skip


def _compare(
    tally: Tally, values: npt.NDArray[Any], bound: npt.NDArray[np.float64], exact: list[list[Fraction]]
) -> None:
    for m, n in np.ndindex(values.shape):
        error, allowed = abs(Fraction(float(values[m, n])) - exact[m][n]), Fraction(float(bound[m, n]))
        tally.results += 1
        tally.right += error <= allowed
        tally.share = max(tally.share, float(error / allowed) if allowed else 0.0)


def _below(rng: np.random.Generator, most: int) -> int:
    """1 to `most`."""
    return 1 + int(rng.integers(most))


def _size(rng: np.random.Generator) -> int:
    """1 to 512, small ones as often as large ones."""
    return 1 + int(2 ** (9 * rng.random()) - 1)
