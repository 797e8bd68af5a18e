"""Area of a systolic array."""

from __future__ import annotations

from typing import Final

from cairn.hw_models.compute.systolic.spec import SystolicSpec

REFERENCE_CELLS: Final = 32 * 32
"""Cells of the array whose area is given: reference/stacked3d/voxel.yaml (vx.area.core)."""


def systolic_area_mm2(spec: SystolicSpec, mm2_at_32x32: float) -> float:
    """Area of one array: in proportion to its cells, from the area of a 32 x 32 one."""
    return mm2_at_32x32 * spec.rows * spec.columns / REFERENCE_CELLS
