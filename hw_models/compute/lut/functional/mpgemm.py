"""The product itself: low-bit weights times activations by table look-up, with what it took."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.lut.functional.formats import Activations
from cairn.hw_models.compute.lut.functional.kernel import accumulate, accumulate_quantised
from cairn.hw_models.compute.lut.functional.planes import PackedWeights
from cairn.hw_models.compute.lut.functional.prepared import (
    Accumulator,
    PreparedTables,
    TableKind,
    group_sums,
    prepare,
)

EXACT_BITS: Final = 53
"""Whole numbers below 2^53 are float64 numbers (IEEE 754), so that L8 does not round the accumulators of integers."""


@dataclass(frozen=True)
class MpgemmResult:
    """A product and what it took.

    values      M x N. int64 where the products are whole by their sort: integer activations without scales, exact
                tables, and weights with s = 1 and whole z, or s = 2; float64 otherwise
    additions   of table precompute, 0 where the tables were there; look_ups, each with one more addition; tables; depth
                and padded_depth, K without and with padding (L3)
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

    `weights` from `pack`; `activations` M x K, or an array that `Activations.of` knows by its type. With exact tables
    integer activations give what NumPy gives, to the last bit, and floats differ by `bounds.float_bound`; with the
    tables of L7 both differ by `bounds.table_bound` ("int8"), floats by `bounds.half_table_bound` ("float16").
    `accumulator` is the type of sums of floats and of quantised tables. ConfigError as from `prepare` and `look_up`.
    """
    given = activations if isinstance(activations, Activations) else Activations.of(activations)
    _check(weights, given, weights.group)
    tables = prepare(given, weights.group, table=table, accumulator=accumulator)
    return replace(look_up(weights, tables), additions=tables.additions)


def look_up(weights: PackedWeights, tables: PreparedTables) -> MpgemmResult:
    """As `mpgemm`, with tables that are there, so that several weights share them; it takes no additions of precompute.

    ConfigError for K or groups that differ, and for integers whose sums could pass 2^53.
    """
    given = tables.activations
    _check(weights, given, tables.group)
    rows, columns = given.shape[0], weights.indices.shape[0]
    values = np.empty((rows, columns))
    sums = group_sums(given, weights.starts[:-1] * weights.group)
    common = (weights.starts, weights.half_scales, weights.remapped_zeros, sums, values)
    if tables.steps is not None:
        powers = plane_weights(weights.bits, tables.accumulator)
        accumulate_quantised(tables.entries, tables.steps, weights.indices, powers, *common)
    else:
        powers = plane_weights(weights.bits, "int64" if given.format.is_integer else tables.accumulator)
        accumulate(tables.entries, weights.indices, powers, *common)
    values *= given.scales[:, None]
    if tables.table == "exact" and _gives_integers(weights, given):
        values = values.astype(np.int64)
    look_ups = rows * weights.indices.size
    return MpgemmResult(values, 0, look_ups, rows * weights.tables, weights.depth, weights.padded_depth)


def plane_weights(bits: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """2^i of each plane, lowest first."""
    return (1 << np.arange(bits)).astype(dtype)


def _check(weights: PackedWeights, given: Activations, group: int) -> None:
    if given.shape[1] != weights.depth:
        raise ConfigError(f"activations have K = {given.shape[1]}, weights have K = {weights.depth}", key="activations")
    if group != weights.group:
        raise ConfigError(f"tables have groups of {group}, weights of {weights.group} activations", key="group")
    top = int(np.abs(weights.remapped_zeros).max()) + (1 << weights.bits)
    largest = given.shape[1] * top << (given.format.bits - 1)
    if given.format.is_integer and largest >> EXACT_BITS:
        raise ConfigError(f"sums of K = {weights.depth} terms could pass 2^{EXACT_BITS}: split K", key="activations")


def _gives_integers(weights: PackedWeights, given: Activations) -> bool:
    """s' (q' - z') is whole: s' is 1, or 1/2 with z' odd, as q' is; a sum of wholes below 2^53 is exact."""
    scales, zeros = weights.half_scales, weights.remapped_zeros
    whole = ((scales == 1) | ((scales == 0.5) & (zeros % 2 == 1))).all()
    return given.format.is_integer and bool((given.scales == 1).all() and whole)
