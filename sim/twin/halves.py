"""How long messages take that every core sends one after the other.

A core serves receivers of higher numbers than its own first, then those of lower numbers (`pieces.redistribute`). So
links of one direction and ports of high numbers are busy while the others are idle: what the first half of each core's
messages asks of the busiest link or port, and what the second half does, add up.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.base.kernel import kernel, u
from cairn.hw_models.noc.routing import add_along
from cairn.hw_models.noc.spec import NocTopology
from cairn.hw_models.noc.topology import DIRECTIONS
from cairn.sim.mapping.grid import Grid
from cairn.sim.twin.traffic import Ports

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

KINDS: Final = DIRECTIONS + 2
"""Links out of a core by direction, its injection and its ejection port."""
INJECTION: Final = DIRECTIONS
EJECTION: Final = DIRECTIONS + 1


def crossing_bytes(
    topology: NocTopology, grid: Grid, source: IntArray, target: IntArray, size: FloatArray, ports: Ports
) -> float:  # fmt: skip
    """Bytes over the busiest link or port of each half of n messages, (n,) each, both halves together.

    At least the bytes over the busiest link or port of all of them, at most twice that. Those of ports count as many
    times as these are narrower than links.
    """
    half = _half_of(source, target, grid.size)
    wraps, links = int(topology is NocTopology.TORUS), topology is not NocTopology.ALL_TO_ALL
    carried = _carried(source, target, size, half, wraps, links, grid.rows, grid.columns)
    carried[:, INJECTION::KINDS] *= ports[0]
    carried[:, EJECTION::KINDS] *= ports[1]
    return float(carried.max(axis=1).sum())


@kernel()
def _half_of(source: IntArray, target: IntArray, cores: int) -> IntArray:
    """Whether each message is in the first (0) or the second half (1) of its core's, which go to the receivers of
    higher numbers first, then to those of lower ones, each in ascending order."""
    count, begin = np.zeros(cores, np.int64), np.zeros(cores + 1, np.int64)
    for index in range(source.size):
        count[source[index]] += 1
        begin[(target[index] - source[index]) % cores + 1] += 1
    for distance in range(cores):
        begin[distance + 1] += begin[distance]
    by_distance = np.empty(source.size, np.int64)
    for index in range(source.size):
        distance = (target[index] - source[index]) % cores
        by_distance[begin[distance]] = index
        begin[distance] += 1
    half, sent = np.empty(source.size, np.int64), np.zeros(cores, np.int64)
    for place in range(source.size):
        index = by_distance[place]
        sender = source[u(index)]
        half[u(index)] = 2 * sent[u(sender)] // count[u(sender)]
        sent[u(sender)] += 1
    return half


@kernel()
def _carried(
    source: IntArray, target: IntArray, size: FloatArray, half: IntArray, wraps: int, links: bool, rows: int,
    columns: int,
) -> FloatArray:  # fmt: skip
    """(2, links and ports): bytes on each in either half, of messages that go along their rows, then their columns."""
    carried = np.zeros(2 * rows * columns * KINDS)
    for i in range(source.size):
        load, amount = half[i] * rows * columns * KINDS, size[i]
        carried[u(load + source[i] * KINDS + INJECTION)] += amount
        carried[u(load + target[i] * KINDS + EJECTION)] += amount
        if links:
            add_along(carried, load, KINDS, wraps, rows, columns, source[i], target[i], amount)
    return carried.reshape(2, -1)
