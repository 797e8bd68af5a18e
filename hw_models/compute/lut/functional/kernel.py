"""The look-ups of a product, compiled: a mux, a sign, a shift and an addition for each (L5, L6, L8)."""

from __future__ import annotations

from typing import Any

from cairn.base.kernel import kernel


@kernel()
def accumulate(
    tables: Any, indices: Any, planes: Any, starts: Any, half_scales: Any, zeros: Any, sums: Any, out: Any
) -> None:
    """out[m, n] from tables (M x T x E), indices (N x T x bits), weights of planes (2^i in the accumulator's type).

    starts (scale groups + 1), half_scales and zeros (N x scale groups), sums (M x scale groups): see `PackedWeights`,
    L8.
    """
    entries = tables.shape[2]
    for m in range(tables.shape[0]):
        for n in range(indices.shape[0]):
            total = 0.0
            for group in range(starts.size - 1):
                acc = planes[0] - planes[0]
                for t in range(starts[group], starts[group + 1]):
                    for plane in range(indices.shape[2]):
                        index = indices[n, t, plane]
                        entry = tables[m, t, index & (entries - 1)]  # L5: the lower bits select
                        entry = -entry if index & entries else +entry  # L5: the highest bit is the sign
                        acc += planes[plane] * entry  # L6
                total += half_scales[n, group] * (acc - zeros[n, group] * sums[m, group])  # L8
            out[m, n] = total


@kernel()
def accumulate_quantised(
    tables: Any, steps: Any, indices: Any, planes: Any, starts: Any, half_scales: Any, zeros: Any, sums: Any, out: Any
) -> None:
    """As `accumulate`, from tables of integers (in the accumulator's type) with a step for each, M x T (L7)."""
    entries = tables.shape[2]
    for m in range(tables.shape[0]):
        for n in range(indices.shape[0]):
            total = 0.0
            for group in range(starts.size - 1):
                acc = planes[0] - planes[0]
                for t in range(starts[group], starts[group + 1]):
                    inner = planes[0] - planes[0]
                    for plane in range(indices.shape[2]):
                        index = indices[n, t, plane]
                        entry = tables[m, t, index & (entries - 1)]  # L5
                        entry = -entry if index & entries else +entry  # L5
                        inner += planes[plane] * entry  # integers below 2^24: exact in float32
                    acc += steps[m, t] * inner  # L7
                total += half_scales[n, group] * (acc - zeros[n, group] * sums[m, group])  # L8
            out[m, n] = total
