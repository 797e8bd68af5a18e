"""Random weights and activations for the tests of look-up products, and the same as plain lists for the oracle."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from cairn.hw_models.compute.lut.functional.formats import ActivationFormat, Activations, fp8_values
from cairn.hw_models.compute.lut.functional.oracle import Problem
from cairn.hw_models.compute.lut.functional.prepared import TableKind
from cairn.hw_models.compute.lut.functional.weights import Weights

INTEGERS = (ActivationFormat.INT8, ActivationFormat.INT16)
FLOATS = (ActivationFormat.FP8_E4M3, ActivationFormat.FP8_E5M2, ActivationFormat.FP16)
SCALES = (1.0, 0.37, 2.0**-7, 3e-3)


def problem_of(weights: Weights, activations: Activations) -> Problem:
    """The same numbers as lists."""
    return Problem(
        weights.codes.tolist(), weights.bits, weights.scales.tolist(), weights.zeros.tolist(), weights.group_size,
        activations.values.tolist(), activations.scales.tolist(),
    )  # fmt: skip


def activations_of(rng: np.random.Generator, fmt: ActivationFormat, m: int, k: int, scaled: bool) -> Activations:
    """Any codes of the format, so that the extremes come up; NaN and infinities are replaced by zero."""
    raw: npt.NDArray[Any]
    if fmt.is_integer:
        low, high = -(1 << (fmt.bits - 1)), 1 << (fmt.bits - 1)
        raw = rng.integers(low, high, (m, k))
        raw[rng.random((m, k)) < 0.1] = low
    elif fmt is ActivationFormat.FP16:
        raw = rng.integers(0, 1 << 16, (m, k)).astype(np.uint16).view(np.float16)
        raw = np.where(np.isfinite(raw), raw, np.float16(0))
    else:
        raw = rng.integers(0, 256, (m, k)).astype(np.uint8)
        raw = np.where(np.isfinite(fp8_values(fmt)[raw]), raw, 0).astype(np.uint8)
    return Activations.of(raw, fmt, scales=rng.choice(SCALES, m) if scaled else 1.0)


def weights_of(rng: np.random.Generator, bits: int, n: int, k: int, group_size: int | None, scaled: bool) -> Weights:
    """Codes of `bits` bits with whole or half zero points; without `scaled` whole ones and a scale of 1."""
    groups = 1 if group_size is None else -(-k // group_size)
    codes = rng.integers(0, 1 << bits, (n, k))
    zeros = rng.integers(0, 1 << bits, (n, groups)).astype(np.float64)
    if not scaled:
        return Weights.of(codes, bits, zeros=zeros, group_size=group_size)
    zeros += rng.integers(0, 2, (n, groups)) / 2
    scales = rng.choice(SCALES, (n, groups)) * rng.choice((-1, 1), (n, groups))
    return Weights.of(codes, bits, scales=scales, zeros=zeros, group_size=group_size)


def with_sums_in_half(activations: Activations, group: int) -> Activations:
    """The same without those whose sums of `group` could be beyond FP16, 65,504."""
    return replace(activations, values=np.where(np.abs(activations.values) <= 65504 / group, activations.values, 0.0))


@st.composite
def cases_of_table(draw: st.DrawFn, table: TableKind) -> tuple[Weights, Activations, int]:
    """Scaled cases of all formats that have such a table; sums in FP16 tables are ones that FP16 holds."""
    if table != "float16":
        return draw(cases((*INTEGERS, *FLOATS), scaled=True))
    weights, activations, group = draw(cases(FLOATS, scaled=True))
    return weights, with_sums_in_half(activations, group), group


@st.composite
def cases(draw: st.DrawFn, formats: tuple[ActivationFormat, ...], scaled: bool) -> tuple[Weights, Activations, int]:
    """Weights, activations and the size of a table, with scale groups that it divides."""
    group = draw(st.integers(1, 8))
    bits = draw(st.integers(1, 8))
    m, n, k = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 40))
    several = draw(st.booleans())
    size = group * draw(st.integers(1, 4)) if several else None
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = weights_of(rng, bits, n, k, size, scaled)
    return weights, activations_of(rng, draw(st.sampled_from(formats)), m, k, scaled), group
