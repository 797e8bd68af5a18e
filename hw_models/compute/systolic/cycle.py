"""Exact cycles of a matrix product on a systolic array, in closed form over arrays of sizes.

The product of an m x k and a k x n matrix is done in folds, each as large as the R x C array. Cycle t is the t-th
clock period; a register written in cycle t can be read in cycle t + 1. Fold f starts at cycle S_f.

Output-stationary. Folds cut m (by R, outer) and n (by C, inner); m_f <= R and n_f <= C.

1. Row i of A enters at the left edge and column j of B at the top edge, skewed: element p in cycle S_f + i + p, or
   S_f + j + p. Both move one cell per cycle, so cell (i, j) does multiply-accumulate p in cycle S_f + p + i + j.
2. A cell's finished sum moves into the cell's drain register. When the lowest of the m_f rows of a column has finished,
   after cycle S_f + k + m_f - 2 + j, the column's drain registers begin to move down, one row per cycle, and leave
   below row R - 1. The last result (row 0, column n_f - 1) leaves k + m_f + n_f - 2 + R cycles after S_f.
3. Pipelined: the next fold enters as soon as the edges are free (k cycles) and its first sums find the drain registers
   emptied (m_f cycles): S_{f+1} = S_f + max(k, m_f). Otherwise it enters when the last result has left.

Weight-stationary. Folds cut n (by C, outer) and k (by R, inner); k_f <= R and n_f <= C.

1. Weights enter at the top edge, the row that goes deepest first, column j skewed by j cycles, and move one row
   per cycle: the k_f rows are in place k_f cycles after the load began.
2. Row r of A enters at the left edge, its element i in cycle S_f + r + i; cell (i, j) adds its product to the sum
   from above in cycle S_f + r + i + j. Sums leave below row R - 1 at the end of cycle S_f + r + R - 1 + j
   into accumulators, which add up the folds of k: the last m + R + n_f - 2 cycles after S_f.
3. Pipelined: cells have a second weight register, free from the cycle in which the fold's first operand arrives, so the
   next load begins at S_f, and S_{f+1} = S_f + max(m, k_{f+1}). Otherwise it begins when the last sum has left.

`oracle.py` clocks every register and is the judge. Not pipelined, a full fold takes 2 R + C + T - 2 cycles (T = k or
m), the formula of SCALE-Sim (Samajdar et al., ISPASS 2020, eq. 1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cairn.hw_models.compute.matrix_unit import IntArray, TileTraffic, tile_sizes

if TYPE_CHECKING:
    from cairn.hw_models.compute.systolic.spec import SystolicSpec


def tile_cycles(spec: SystolicSpec, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike) -> IntArray:
    """Cycles until the last result of each m x n x k product has left the array; 0 where a size is 0.

    Sizes are whole numbers >= 0 and broadcast against each other; the result has their shape. ValueError otherwise.
    """
    sizes = tile_sizes(m, n, k)
    if spec.dataflow == "output_stationary":
        cycles = _output_stationary(spec, *sizes)
    else:
        cycles = _weight_stationary(spec, *sizes)
    return np.where(np.minimum(np.minimum(*sizes[:2]), sizes[2]) > 0, cycles, 0)


def tile_traffic(spec: SystolicSpec, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike) -> TileTraffic:
    """Elements that enter and leave the array: what the SRAM beside it is read and written for each product.

    Output-stationary: every column fold streams A again and every row fold B; results leave once. Weight-stationary:
    every column fold streams A again, weights enter once, and every fold of k updates the accumulators.
    """
    m, n, k = tile_sizes(m, n, k)
    column_folds = _folds(n, spec.columns)
    inputs = column_folds * m * k
    if spec.dataflow == "output_stationary":
        updates = np.where(k > 0, 1, 0)
        weights = _folds(m, spec.rows) * k * n
    else:
        updates = _folds(k, spec.rows)
        weights = np.where(m > 0, k * n, 0)
    return TileTraffic(inputs, weights, updates * m * n, np.maximum(updates - 1, 0) * m * n)


def utilisation(spec: SystolicSpec, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Share of the array's peak rate that each product reaches, 0..1; 0 where there is no work."""
    sizes = tile_sizes(m, n, k)
    work = sizes[0] * sizes[1] * sizes[2]
    return work / np.maximum(tile_cycles(spec, *sizes) * spec.peak_macs_per_cycle, 1)


def _folds(size: IntArray, side: int) -> IntArray:
    folds: IntArray = -(-size // side)
    return folds


def _output_stationary(spec: SystolicSpec, m: IntArray, n: IntArray, k: IntArray) -> IntArray:
    if not spec.pipelined_folds:
        return _one_after_the_other(spec, m, n, k)
    row_folds, column_folds = _folds(m, spec.rows), _folds(n, spec.columns)
    last_m = m - (row_folds - 1) * spec.rows
    last_n = n - (column_folds - 1) * spec.columns
    full_interval, last_interval = np.maximum(k, spec.rows), np.maximum(k, last_m)
    last_start = (row_folds - 1) * column_folds * full_interval + (column_folds - 1) * last_interval
    width = _latest_width(spec, column_folds, last_n, last_interval)
    cycles: IntArray = last_start + k + last_m - 2 + spec.rows + width
    return cycles


def _weight_stationary(spec: SystolicSpec, m: IntArray, n: IntArray, k: IntArray) -> IntArray:
    if not spec.pipelined_folds:
        return _one_after_the_other(spec, k, n, m)
    depth_folds, column_folds = _folds(k, spec.rows), _folds(n, spec.columns)
    last_k = k - (depth_folds - 1) * spec.rows
    last_n = n - (column_folds - 1) * spec.columns
    full_interval, last_interval = np.maximum(m, spec.rows), np.maximum(m, last_k)
    per_column_fold = (depth_folds - 1) * full_interval + last_interval
    first_load = np.minimum(k, spec.rows)
    first_interval = np.where(depth_folds > 1, full_interval, last_interval)
    last_start = first_load + column_folds * per_column_fold - first_interval
    width = _latest_width(spec, column_folds, last_n, per_column_fold)
    cycles: IntArray = last_start + m - 2 + spec.rows + width
    return cycles


def _one_after_the_other(spec: SystolicSpec, held: IntArray, n: IntArray, streamed: IntArray) -> IntArray:
    """Sum over the folds of `held` (along the rows) and n of held_f + n_f + streamed - 2 + R cycles."""
    row_folds, column_folds = _folds(held, spec.rows), _folds(n, spec.columns)
    cycles: IntArray = row_folds * column_folds * (streamed - 2 + spec.rows) + column_folds * held + row_folds * n
    return cycles


def _latest_width(spec: SystolicSpec, column_folds: IntArray, last_n: IntArray, behind: IntArray) -> IntArray:
    """Columns whose skew delays the end, counted from the start of the last fold.

    A narrow last fold may finish before the full-width one that started `behind` cycles earlier.
    """
    return np.where(column_folds > 1, np.maximum(last_n, spec.columns - behind), last_n)
