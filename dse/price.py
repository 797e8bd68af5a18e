"""What a chip costs to make: good dies from a wafer, and the DRAM stacked on them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

WAFER_USD: Final = 9346.0
"""A 300 mm wafer at 7 nm: Khan and Mann, "AI Chips: What They Are and Why They Matter", CSET 2020, foundry sale price
per wafer in 2020 by node."""
WAFER_MM: Final = 300.0
DEFECTS_PER_CM2: Final = 0.09
"""assumed: about what TSMC reported for a mature 7 nm process at its 2020 Technology Symposium."""
CLUSTERING: Final = 3.0
"""assumed: the usual exponent of the negative binomial yield formula (Stapper, IBM J. Res. Dev. 1983)."""
DRAM_USD_PER_GB: Final = 10.0
"""assumed: between commodity DRAM (3 to 4) and HBM (10 to 20); stacked DRAM has no public price."""


def cost_usd(area_mm2: Any, dram_capacity_gb: Any) -> Any:
    """US dollars for one chip, element by element: a logic die of `area_mm2` and `dram_capacity_gb` of stacked DRAM.

    Dies on a wafer are counted by area less those cut by the edge; an area with no whole die costs infinity.
    Bonding, test and packaging are left out.
    """
    area = np.asarray(area_mm2, dtype=np.float64)
    with np.errstate(all="ignore"):
        dies = np.pi * WAFER_MM**2 / (4 * area) - np.pi * WAFER_MM / np.sqrt(2 * area)
        good = np.maximum(dies, 0.0) * (1 + area * DEFECTS_PER_CM2 / 100 / CLUSTERING) ** -CLUSTERING
        cost = np.where(dies >= 1, WAFER_USD / np.maximum(good, 1e-300), np.inf)
    return cost + DRAM_USD_PER_GB * np.asarray(dram_capacity_gb, dtype=np.float64)
