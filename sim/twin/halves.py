"""How long messages take that every core sends one after the other.

A core serves receivers of higher numbers than its own first, then those of lower numbers (`pieces.redistribute`). So
links of one direction are busy while the others are idle: what the first half of each core's messages asks of the
busiest link or port, and what the second half does, add up.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.hw_models.noc.routing import steps
from cairn.hw_models.noc.spec import NocSpec, NocTopology
from cairn.sim.mapping.grid import Grid

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

KINDS: Final = 6
"""Links out of a core in four directions, its injection and its ejection port."""
INJECTION: Final = 4
EJECTION: Final = 5


def crossing_bytes(
    topology: NocTopology, grid: Grid, source: IntArray, target: IntArray, size: FloatArray
) -> float:  # fmt: skip
    """Bytes over the busiest link or port of each half of n messages, (n,) each, both halves together.

    At least the bytes over the busiest link or port of all of them, at most twice that.
    """
    order = np.lexsort((target, target < source, source))
    source, target, size = source[order], target[order], size[order]
    place = np.arange(source.size) - np.searchsorted(source, source)
    half = 2 * place // np.bincount(source, minlength=grid.size)[source]
    carried = np.zeros((2, grid.size * KINDS))
    for which, load in enumerate(carried):
        pick = half == which
        _add(load, topology, grid, source[pick], target[pick], size[pick])
    return float(carried.max(axis=1).sum())


def _add(
    load: FloatArray, topology: NocTopology, grid: Grid, source: IntArray, target: IntArray, size: FloatArray
) -> None:  # fmt: skip
    """Add messages to the bytes on each link and port, along their rows first."""
    count = load.size
    load += np.bincount(source * KINDS + INJECTION, size, count) + np.bincount(target * KINDS + EJECTION, size, count)
    if topology is NocTopology.ALL_TO_ALL:
        return
    row, column = np.divmod(source, grid.columns)
    across, down = steps(NocSpec(topology=topology), grid.rows, grid.columns, source, target)
    for left, by_row, by_column, kind in ((across, 0, 1, 0), (down, 1, 0, 2)):
        while (moving := left != 0).any():
            way = np.sign(left)
            link = (row * grid.columns + column) * KINDS + kind + (way < 0)
            load += np.bincount(link[moving], size[moving], count)
            row, column = (row + way * by_row) % grid.rows, (column + way * by_column) % grid.columns
            left = left - way
