"""The product itself: low-bit weights times activations by table look-up, with what it took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.lut.functional.formats import Activations
from cairn.hw_models.compute.lut.functional.kernel import accumulate, accumulate_quantised
from cairn.hw_models.compute.lut.functional.planes import PackedWeights
from cairn.hw_models.compute.lut.functional.tables import in_half, precompute, quantise

TableKind = Literal["exact", "int8", "float16"]
Accumulator = Literal["float32", "float64"]
EXACT_BITS: Final = 53
"""Whole numbers below 2^53 are float64 numbers (IEEE 754), so that L8 does not round the accumulators of integers."""


@dataclass(frozen=True)
class MpgemmResult:
    """A product and what it took.

    values      M x N. int64 where integer activations meet weights whose w are whole numbers by s = 1 or s = 2 with z a
                half, and no row of activations has a scale; float64 otherwise
    additions   of table precompute; look_ups, each one with an addition; tables; depth and padded_depth, K without and
                with padding (L3)
    """

    values: npt.NDArray[Any]
    additions: int
    look_ups: int
    tables: int
    depth: int
    padded_depth: int

    @property
    def waste(self) -> float:
        """Share of the look-ups and table entries that padding takes."""
        return 1 - self.depth / self.padded_depth


def mpgemm(
    weights: PackedWeights,
    activations: Activations | npt.NDArray[Any],
    *,
    table: TableKind = "exact",
    accumulator: Accumulator = "float32",
) -> MpgemmResult:
    """values[m, n] = sum over k of activations[m, k] weights[n, k], by rules L1 to L8.

    `weights` from `pack`; `activations` M x K, or an array that `Activations.of` knows by its type. With `table="exact"`
    integer activations give what NumPy gives, to the last bit, and floats differ by `bounds.float_bound`; with the
    tables of L7 both differ by `bounds.table_bound` ("int8"), floats by `bounds.half_table_bound` ("float16").
    `accumulator` is the type of sums of floats and of quantised tables. ConfigError for K that differ, options that are
    not there, FP16 tables of integers or of sums beyond FP16, and sums that could pass 2^53.
    """
    given = activations if isinstance(activations, Activations) else Activations.of(activations)
    _check(weights, given, table, accumulator)
    whole = given.format.is_integer
    held = given.values if whole else given.values.astype(accumulator)
    tables = precompute(held, weights.group)
    values = np.empty((given.shape[0], weights.indices.shape[0]))
    common = (weights.starts, weights.half_scales, weights.remapped_zeros, group_sums(weights, given), values)
    if table == "int8":
        rounded, steps = quantise(tables.entries, accumulator)
        powers = plane_weights(weights.bits, accumulator)
        accumulate_quantised(rounded.astype(accumulator), steps, weights.indices, powers, *common)
    else:
        powers = plane_weights(weights.bits, "int64" if whole else accumulator)
        entries = in_half(tables.entries) if table == "float16" else tables.entries
        accumulate(entries, weights.indices, powers, *common)
    values *= given.scales[:, None]
    if whole and table == "exact" and _gives_integers(weights, given):
        values = values.astype(np.int64)
    rows = given.shape[0]
    look_ups = rows * weights.indices.size
    return MpgemmResult(
        values, tables.additions, look_ups, rows * weights.tables, weights.depth, weights.padded_depth
    )


def plane_weights(bits: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """2^i of each plane, lowest first."""
    return (1 << np.arange(bits)).astype(dtype)


def group_sums(weights: PackedWeights, activations: Activations) -> npt.NDArray[np.float64]:
    """M x scale groups: the sum A of each group's activations (L8), in float64."""
    firsts = weights.starts[:-1] * weights.group
    return np.add.reduceat(activations.values.astype(np.float64), firsts, axis=1)


def _check(weights: PackedWeights, given: Activations, table: str, accumulator: str) -> None:
    if given.shape[1] != weights.depth:
        raise ConfigError(f"activations have K = {given.shape[1]}, weights have K = {weights.depth}", key="activations")
    if table not in ("exact", "int8", "float16"):
        raise ConfigError(f"no table is called {table!r} (allowed: exact, int8, float16)", key="table")
    if table == "float16" and given.format.is_integer:
        raise ConfigError(f"{given.format} activations have no float16 tables (allowed: exact, int8)", key="table")
    if accumulator not in ("float32", "float64"):
        raise ConfigError(f"no accumulator is called {accumulator!r} (allowed: float32, float64)", key="accumulator")
    top = int(np.abs(weights.remapped_zeros).max()) + (1 << weights.bits)
    largest = given.shape[1] * top << (given.format.bits - 1)
    if given.format.is_integer and largest >> EXACT_BITS:
        raise ConfigError(f"sums of K = {weights.depth} terms could pass 2^{EXACT_BITS}: split K", key="activations")


def _gives_integers(weights: PackedWeights, given: Activations) -> bool:
    """s' (q' - z') is whole: s' is 1, or 1/2 with z' odd, as q' is; a sum of wholes below 2^53 is exact."""
    scales, zeros = weights.half_scales, weights.remapped_zeros
    return bool((given.scales == 1).all() and ((scales == 1) | ((scales == 0.5) & (zeros % 2 == 1))).all())
