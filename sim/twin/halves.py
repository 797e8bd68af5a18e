"""How long messages take that every core sends one after the other.

A core serves receivers of higher numbers than its own first, then those of lower numbers (`pieces.redistribute`). So
links of one direction and ports of high numbers are busy while the others are idle: what the first half of each core's
messages asks of the busiest link or port, and what the second half does, add up.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.base.kernel import kernel
from cairn.hw_models.noc.routing import steps
from cairn.hw_models.noc.spec import NocSpec, NocTopology
from cairn.sim.mapping.grid import Grid
from cairn.sim.twin.traffic import Ports

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

KINDS: Final = 6
"""Links out of a core in four directions, its injection and its ejection port."""
INJECTION: Final = 4
EJECTION: Final = 5


def crossing_bytes(
    topology: NocTopology, grid: Grid, source: IntArray, target: IntArray, size: FloatArray, ports: Ports
) -> float:  # fmt: skip
    """Bytes over the busiest link or port of each half of n messages, (n,) each, both halves together.

    At least the bytes over the busiest link or port of all of them, at most twice that. Those of ports count as many
    times as these are narrower than links.
    """
    order = np.lexsort((target, target < source, source))
    source, target, size = source[order], target[order], size[order]
    place = np.arange(source.size) - np.searchsorted(source, source)
    half = 2 * place // np.bincount(source, minlength=grid.size)[source]
    if topology is NocTopology.ALL_TO_ALL:
        across = down = np.zeros(source.size, dtype=np.int64)
    else:
        across, down = steps(NocSpec(topology=topology), grid.rows, grid.columns, source, target)
    carried = _carried(source, target, size, half, across, down, grid.rows, grid.columns)
    carried[:, INJECTION::KINDS] *= ports[0]
    carried[:, EJECTION::KINDS] *= ports[1]
    return float(carried.max(axis=1).sum())


@kernel()
def _carried(
    source: IntArray, target: IntArray, size: FloatArray, half: IntArray, across: IntArray, down: IntArray, rows: int,
    columns: int,
) -> FloatArray:  # fmt: skip
    """(2, links and ports): bytes on each in either half, of messages that go along their rows, then their columns."""
    carried = np.zeros((2, rows * columns * KINDS))
    for i in range(source.size):
        load, row, column = carried[half[i]], source[i] // columns, source[i] % columns
        load[source[i] * KINDS + INJECTION] += size[i]
        load[target[i] * KINDS + EJECTION] += size[i]
        for _ in range(abs(across[i])):
            load[(row * columns + column) * KINDS + (across[i] < 0)] += size[i]
            column = (column + (1 if across[i] > 0 else -1)) % columns
        for _ in range(abs(down[i])):
            load[(row * columns + column) * KINDS + 2 + (down[i] < 0)] += size[i]
            row = (row + (1 if down[i] > 0 else -1)) % rows
    return carried
