"""Area of a core's SRAM."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from cairn.hw_models.sram.spec import SramSpec

AREA_KIB: Final = (256, 512, 640, 1024, 2048, 4096, 8192)
AREA_MM2: Final = (0.28, 0.427, 0.5, 1.008, 1.694, 3.066, 5.811)
"""Macro area by capacity, piecewise linear: reference/stacked3d/voxel.yaml (vx.area.sram), Voxel's fit to McPAT."""


def sram_area_mm2(spec: SramSpec) -> Any:
    """Area of one core's SRAM: between the points of the table linear; beyond them along its last segment. A number, or
    an array where the capacity is one.

    Below the smallest capacity it is in proportion to the capacity (assumed: the first segment would leave 0.13 mm2
    for no capacity at all).
    """
    kib = np.asarray(spec.capacity_kib, dtype=np.float64)
    slope = (AREA_MM2[-1] - AREA_MM2[-2]) / (AREA_KIB[-1] - AREA_KIB[-2])
    inside = np.interp(kib, AREA_KIB, AREA_MM2)
    beyond = AREA_MM2[-1] + slope * (kib - AREA_KIB[-1])
    area = np.where(kib < AREA_KIB[0], AREA_MM2[0] * kib / AREA_KIB[0], np.where(kib > AREA_KIB[-1], beyond, inside))
    return float(area) if area.ndim == 0 else area
