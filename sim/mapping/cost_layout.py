"""Where things stand in the tables that rank splits: rows of splits, of chips, and of what one costs on the other."""

from __future__ import annotations

from typing import Final

PARTIAL_SHARE: Final = 8
"""Partial sums of a stretch of columns take at most this part of the SRAM, twice (assumed)."""

FINER_STRETCHES: Final = (1, 2, 4)
"""Times as many stretches as the SRAM asks for that are costed (assumed to be enough): what is left of the reduction
when the products end is one stretch, but every stretch pays the start of its transfers."""
CUTS: Final = len(FINER_STRETCHES)

WORTH: Final = 0.05
"""Part of a product's cycles that cutting its columns finer must save (assumed: it costs simulation time as well).
Splits are compared as if the finest cut were made."""

# A split: sizes of a core's block and of its groups, hops between ring neighbours, times that a ring loads each link.
M: Final = 0
N: Final = 1
K: Final = 2
GM: Final = 3
GN: Final = 4
GK: Final = 5
SHARED: Final = 6
STRIDE_N: Final = 7
STRIDE_M: Final = 8
STRIDE_K: Final = 9
BUSY_N: Final = 10
BUSY_M: Final = 11
BUSY_K: Final = 12

# A chip: bytes of SRAM, and those that the blocks of a product may take; bytes a cycle of a link, cycles of a hop and
# of the start of a transfer; lanes of the vector unit, columns of the matrix unit; cycles of a packet on a link.
SRAM: Final = 0
BUDGET: Final = 1
LINK: Final = 2
HOP: Final = 3
START: Final = 4
LANES: Final = 5
ARRAY: Final = 6
PACKET: Final = 7
CHIP_COLUMNS: Final = 8

# What a split costs on a chip, beside bringing x, whose bytes X_BYTES say; BYTES come from DRAM. For each cut of the
# columns: cycles of compute and network where they overlap (INSIDE), and of the last reduction (AFTER).
COMPUTE: Final = 0
BYTES: Final = 1
NETWORK: Final = 2
ACT: Final = 3
PASSES: Final = 4
STRETCHES: Final = 5
FITS: Final = 6
GATHER: Final = 7
X_BYTES: Final = 8
COST_GN: Final = 9
COST_LINK: Final = 10
INSIDE: Final = 11
AFTER: Final = INSIDE + CUTS
COST_COLUMNS: Final = AFTER + CUTS
