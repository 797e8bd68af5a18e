"""Parameters of a systolic array."""

from __future__ import annotations

from typing import Literal

import numpy.typing as npt

from cairn.base.spec import Spec, sourced
from cairn.hw_models.compute.matrix_unit import IntArray, TileTraffic
from cairn.hw_models.compute.systolic import cycle


class SystolicSpec(Spec):
    """A `rows` x `columns` array, one multiply-accumulate per cell and cycle; a kind of `MatrixUnit`.

    Output-stationary: rows hold rows of the result, columns its columns. Weight-stationary: rows hold the reduction
    dimension, columns the columns of the result. The step-by-step timing stands in `cycle.py`.
    """

    kind: Literal["systolic"] = sourced("systolic", "names this kind of matrix unit; not a quantity")
    rows: int = sourced(32, "reference/stacked3d/voxel.yaml (vx.sa)", ge=1, le=65536)
    columns: int = sourced(32, "reference/stacked3d/voxel.yaml (vx.sa)", ge=1, le=65536)
    dataflow: Literal["output_stationary", "weight_stationary"] = sourced(
        "output_stationary",
        "assumed: Voxel's tile time, padded m n k / side^2 plus a fill, is that of result tiles kept in place",
    )
    pipelined_folds: bool = sourced(
        True,
        "assumed: accumulators (or weights) are double-buffered, so that the next fold enters while the last one "
        "drains; Voxel's formula likewise pays one fill per tile, not one per fold",
    )

    @property
    def peak_macs_per_cycle(self) -> int:
        return self.rows * self.columns

    @property
    def operands_per_cycle(self) -> int:
        return self.rows + self.columns

    def tile_cycles(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike) -> IntArray:
        return cycle.tile_cycles(self, m, n, k)

    def tile_traffic(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike) -> TileTraffic:
        return cycle.tile_traffic(self, m, n, k)
