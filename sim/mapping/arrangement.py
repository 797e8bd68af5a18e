"""Bringing a product's input from where the product before left it: how much of it crosses the busiest link.

A product leaves its result as blocks over m and n, each dealt in parts to its k group; the next one begins with blocks
over m and k, each dealt in parts to its n group. Where the next split has its k on the mesh axes of the n before, and
its n on those of the k before, every part lies where it is wanted. Where it has them the other way round, the whole
tensor is transposed over the mesh.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from cairn.hw_models.noc.analytical import link_loads
from cairn.hw_models.noc.spec import NocTopology, network_of
from cairn.sim.mapping.grid import Grid, Split, ranks_of
from cairn.sim.mapping.options import Placement

IntArray = npt.NDArray[np.int64]


def arrangement_load(topology: NocTopology, grid: Grid, before: Split, split: Split) -> float:
    """Times that a core's part of a tensor passes the busiest link or port when the tensor is brought from where
    `before` left it to where `split` begins with it; 0 when it lies there already.

    The tensor is taken as cut evenly, whatever its numbers of rows and columns, and a grid of a part of the chip as a
    mesh.
    """
    if topology is NocTopology.TORUS and grid.columns < grid.chip_columns:
        topology = NocTopology.MESH
    return _load(topology, grid.rows, grid.columns, grid.placement, before, split)


@lru_cache(maxsize=1 << 16)
def _load(
    topology: NocTopology, rows: int, columns: int, placement: Placement, before: Split, split: Split
) -> float:
    cores = rows * columns
    down = math.lcm(before.sizes[0], split.sizes[0])  # cells into which both layouts divide without remainder
    across = math.lcm(cores // before.sizes[0], cores // split.sizes[0])
    row, column = np.divmod(np.arange(down * across), across)

    def place(layout: Split, dealt: int) -> tuple[IntArray, IntArray, IntArray]:
        """Of each cell: the block of rows, the block of columns, and which of its `dealt` parts."""
        gm = layout.sizes[0]
        return row * gm // down, *np.divmod(column * (cores // gm) // across, dealt)

    m, n, k = place(before, before.sizes[2])
    source = ranks_of(before, rows, columns, placement).index[m, n, k]
    m, k, n = place(split, split.sizes[1])
    target = ranks_of(split, rows, columns, placement).index[m, n, k]
    traffic = np.bincount(source * cores + target, minlength=cores * cores).reshape(cores, cores)
    loads = link_loads(network_of(topology), rows, columns, traffic)
    return max(int(load.max(initial=0)) for load in loads) * cores / (down * across)
