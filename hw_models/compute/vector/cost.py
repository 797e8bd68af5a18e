"""Area of a vector unit."""

from __future__ import annotations

from typing import Final

from cairn.hw_models.compute.vector.spec import VectorSpec

REFERENCE_LANES: Final = 32
"""Lanes of the unit whose area is given: reference/stacked3d/voxel.yaml (vx.area.core)."""


def vector_area_mm2(spec: VectorSpec, mm2_at_32_lanes: float) -> float:
    """Area of one vector unit: in proportion to its lanes, from the area of one with 32."""
    return mm2_at_32_lanes * spec.lanes / REFERENCE_LANES
