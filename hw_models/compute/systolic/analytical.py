"""The systolic array at its peak rate: lower bounds on `cycle.tile_cycles`, vectorised."""

from __future__ import annotations

import numpy.typing as npt

from cairn.hw_models.compute.matrix_unit import IntArray, tile_sizes
from cairn.hw_models.compute.systolic.spec import SystolicSpec


def peak_cycles(spec: SystolicSpec, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike) -> IntArray:
    """Cycles of each m x n x k product with every cell busy in every cycle (the speed of light)."""
    m, n, k = tile_sizes(m, n, k)
    return -(-m * n * k // spec.peak_macs_per_cycle)


def folded_cycles(spec: SystolicSpec, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike) -> IntArray:
    """Cycles of each product padded to whole folds, without skew, loading or draining.

    The padded sizes over the number of cells, as in Voxel's released code less its fill of one side per tile.
    """
    m, n, k = tile_sizes(m, n, k)
    column_folds = -(-n // spec.columns)
    if spec.dataflow == "output_stationary":
        return -(-m // spec.rows) * column_folds * k
    return -(-k // spec.rows) * column_folds * m
