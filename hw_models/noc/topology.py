"""Wiring of the networks as data: nodes, directed links and what they connect.

Nodes are numbered row-major, `node = row * columns + column`. Each node of a mesh or torus owns four outgoing
links, `link = 4 * node + direction`; a link of the edge of a mesh, or along a dimension of one node, is missing
(its far end is -1). A torus of two columns has two parallel links between a pair. All-to-all has no numbered links:
every ordered pair has its own, on which nobody else can be met.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from cairn.hw_models.noc.spec import IntArray, NocTopology

RIGHT: Final = 0
"""Direction of growing column numbers."""
LEFT: Final = 1
DOWN: Final = 2
"""Direction of growing row numbers."""
UP: Final = 3
DIRECTIONS: Final = 4


@dataclass(frozen=True)
class Wiring:
    """A network of `rows` x `columns` nodes. `neighbour` (nodes, 4): node at the far end of each link, or -1."""

    topology: NocTopology
    rows: int
    columns: int
    neighbour: IntArray

    @property
    def nodes(self) -> int:
        return self.rows * self.columns

    @property
    def links(self) -> IntArray:
        """Numbers of the links that exist."""
        return np.flatnonzero(self.neighbour.ravel() >= 0).astype(np.int64)

    @property
    def link_source(self) -> IntArray:
        """Node at the near end of each existing link."""
        return self.links // DIRECTIONS

    @property
    def link_destination(self) -> IntArray:
        """Node at the far end of each existing link."""
        return self.neighbour.ravel()[self.links]


def wire(topology: NocTopology, rows: int, columns: int) -> Wiring:
    """The wiring of a network of `rows` x `columns` nodes (both >= 1, else ValueError)."""
    if rows < 1 or columns < 1:
        raise ValueError(f"a network needs at least one row and one column, got {rows} x {columns}")
    nodes = rows * columns
    if topology is NocTopology.ALL_TO_ALL:
        return Wiring(topology, rows, columns, np.empty((nodes, 0), dtype=np.int64))
    row, column = np.divmod(np.arange(nodes, dtype=np.int64), columns)
    neighbour = np.full((nodes, DIRECTIONS), -1, dtype=np.int64)
    wraps = topology is NocTopology.TORUS
    for direction, (down, right) in ((RIGHT, (0, 1)), (LEFT, (0, -1)), (DOWN, (1, 0)), (UP, (-1, 0))):
        to_row, to_column = row + down, column + right
        exists = (to_row >= 0) & (to_row < rows) & (to_column >= 0) & (to_column < columns)
        if wraps:
            exists |= (columns if right else rows) > 1
        there = (to_row % rows) * columns + to_column % columns
        neighbour[exists, direction] = there[exists]
    return Wiring(topology, rows, columns, neighbour)
