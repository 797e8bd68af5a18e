"""What the units beside a LUT tensor core compute, on numbers: other ways to the same products.

All take `Weights` and `Activations` and give y = sum over scale groups of s (I - z A), with I the group's sum of a q, A
its sum of a, in float64 and in order of k, as `mpgemm` does; integers are exact. They differ in how I is formed and in
what that takes. Sums of floats are formed in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.lut.functional.formats import Activations
from cairn.hw_models.compute.lut.functional.weights import Weights

MAX_ENTRIES: Final = 1 << 16
"""assumed: no table of a unit has more entries; the full tables of the papers have 16 to 4,096."""

Partial = Callable[[npt.NDArray[Any], npt.NDArray[np.uint8]], npt.NDArray[Any]]


@dataclass(frozen=True)
class UnitResult:
    """Values, M x N in float64, and how often the unit did what, by the name of the operation."""

    values: npt.NDArray[np.float64]
    operations: Mapping[str, int]


def full_table(weights: Weights, activations: Activations, group: int) -> UnitResult:
    """Conventional look-up: one table of all (2^b)^g sums of g activations times codes, one look-up for g weights.

    No planes and no symmetry (the conventional LUT of LTC, ISCA 2025, figure 13). A scale group is filled to whole
    groups of g. The table grows by one activation after the other; an entry is the one whose code of that activation is
    smaller by one, plus the activation: `additions` counts one wherever that code is not zero.
    ConfigError where a table would have more than 65,536 entries.
    """
    if group < 1 or weights.bits * group > MAX_ENTRIES.bit_length() - 1:
        most = (MAX_ENTRIES.bit_length() - 1) // weights.bits
        allowed = f"(allowed: 1 to {most}, at most {MAX_ENTRIES:,} entries)"
        raise ConfigError(f"tables of {group} weights of {weights.bits} bits are not supported {allowed}", key="group")
    counts = {"additions": 0, "look_ups": 0, "tables": 0}

    def partial(a: npt.NDArray[Any], codes: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        total = np.zeros((a.shape[0], codes.shape[0]), a.dtype)
        for start in range(0, a.shape[1], group):
            part, code = _filled(a[:, start : start + group], group), _filled(codes[:, start : start + group], group)
            table = np.zeros((a.shape[0], 1), a.dtype)
            for j in range(group):
                steps = np.arange(1 << weights.bits).astype(a.dtype)
                table = (steps[:, None] * part[:, j, None, None] + table[:, None, :]).reshape(a.shape[0], -1)
                counts["additions"] += table[:, table.shape[1] >> weights.bits :].size
            index = code.astype(np.int64) @ (1 << weights.bits * np.arange(group))
            total += table[:, index]
            counts["look_ups"] += total.size
            counts["tables"] += a.shape[0]
        return total

    return UnitResult(_scaled(weights, activations, partial), counts)


def bit_serial(weights: Weights, activations: Activations) -> UnitResult:
    """Bit-serial multiply-accumulate: a plane of code bits at a time selects activations, the plane's sum is shifted.

    As UNPU (Lee et al., JSSC 2019) walks weights of 1 to 16 bits; M N K b one-bit operations.
    """
    counts = {"bit_operations": 0}

    def partial(a: npt.NDArray[Any], codes: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        total = np.zeros((a.shape[0], codes.shape[0]), a.dtype)
        for plane in range(weights.bits):
            total += (a @ (codes >> plane & 1).T.astype(a.dtype)) * (1 << plane)
            counts["bit_operations"] += a.shape[0] * codes.size
        return total

    return UnitResult(_scaled(weights, activations, partial), counts)


def shift_add(weights: Weights, activations: Activations) -> UnitResult:
    """Shift and add instead of multiplying: activation times 2^i is added where bit i of the code is set.

    MixPE (Zhang et al., arXiv 2411.16158): integers are shifted, FP16 has i added to its exponent; scale and zero point
    are applied to the sum of a group, once, after its products. `additions` counts the set bits, `dequantisations` the
    sums.
    """
    counts = {"additions": 0, "dequantisations": 0}

    def partial(a: npt.NDArray[Any], codes: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        total = np.zeros((a.shape[0], codes.shape[0]), a.dtype)
        for plane in range(weights.bits):
            shifted = a << plane if a.dtype.kind == "i" else np.ldexp(a, plane)
            ones = codes >> plane & 1
            total += shifted @ ones.T.astype(a.dtype)
            counts["additions"] += a.shape[0] * int(ones.sum())
        counts["dequantisations"] += total.size
        return total

    return UnitResult(_scaled(weights, activations, partial), counts)


def ternary_look_up(trits: npt.ArrayLike, activations: Activations, group: int = 3) -> UnitResult:
    """Ternary weights by tables over values instead of planes: one look-up for 2 or 3 weights.

    bitnet.cpp (Wang et al., arXiv 2410.16144): TL1 (`group` 2) has a table of all 9 sums, TL2 (`group` 3) of 14, zero
    and 13 sums of which the other 13 differ by their sign. `trits` is N x K of -1, 0, 1; values have no scale but the
    rows'. ConfigError for other groups, weights, or a K that differs.
    """
    raw = np.asarray(trits)
    if group not in (2, 3):
        raise ConfigError(f"tables of {group} ternary weights are not supported (allowed: 2, 3)", key="group")
    if raw.ndim != 2 or raw.dtype.kind not in "iu" or (np.abs(raw.astype(np.int64)) > 1).any():
        raise ConfigError("ternary weights must be N x K of -1, 0 or 1", key="trits")
    _same_depth(raw.shape[1], activations)
    a = _held(activations)
    total = np.zeros((a.shape[0], raw.shape[0]), a.dtype)
    powers = 3 ** np.arange(group)
    first = 0 if group == 3 else -(3**group // 2)
    signs = (np.arange(first, 3**group // 2 + 1)[:, None] + 3**group // 2) // powers % 3 - 1
    counts = {"additions": 0, "look_ups": 0, "tables": 0}
    for start in range(0, a.shape[1], group):
        part, weight = _filled(a[:, start : start + group], group), _filled(raw[:, start : start + group], group)
        table = part @ signs.T.astype(a.dtype)
        value = weight.astype(np.int64) @ powers
        if group == 3:
            total += table[:, np.abs(value)] * np.sign(value).astype(a.dtype)
        else:
            total += table[:, value - first]
        counts["additions"] += a.shape[0] * int((np.abs(signs).sum(axis=1) - 1).clip(0).sum())
        counts["look_ups"] += total.size
        counts["tables"] += a.shape[0]
    return UnitResult(total.astype(np.float64) * activations.scales[:, None], counts)


def _scaled(weights: Weights, activations: Activations, partial: Partial) -> npt.NDArray[np.float64]:
    _same_depth(weights.shape[1], activations)
    a = _held(activations)
    values = np.zeros((a.shape[0], weights.shape[0]))
    for group in range(weights.groups):
        part = slice(group * weights.group_size, (group + 1) * weights.group_size)
        sums = partial(a[:, part], weights.codes[:, part]).astype(np.float64)
        of_activations = a[:, part].sum(axis=1).astype(np.float64)
        values += weights.scales[:, group] * (sums - of_activations[:, None] * weights.zeros[:, group])
    return values * activations.scales[:, None]


def _held(activations: Activations) -> npt.NDArray[Any]:
    return activations.values.astype(np.int64) if activations.format.is_integer else activations.values


def _same_depth(depth: int, activations: Activations) -> None:
    if depth != activations.shape[1]:
        raise ConfigError(f"activations have K = {activations.shape[1]}, weights have K = {depth}", key="activations")


def _filled(part: npt.NDArray[Any], width: int) -> npt.NDArray[Any]:
    return np.pad(part, ((0, 0), (0, width - part.shape[1])))
