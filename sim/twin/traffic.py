"""Which links carry how much: rings of products, and tensors that change their layout."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from cairn.hw_models.noc.analytical import link_loads
from cairn.hw_models.noc.routing import hops
from cairn.hw_models.noc.spec import NocTopology, network_of
from cairn.sim.mapping.grid import Grid, Split, ranks_of

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


Ports = tuple[float, float]
"""How many times narrower than a link the injection and the ejection port of a core are."""
AS_LINKS: Ports = (1.0, 1.0)


def loads_of(topology: NocTopology, grid: Grid, traffic: FloatArray, ports: Ports = AS_LINKS) -> FloatArray:
    """Bytes on every link and port, one after the other, for traffic (cores, cores) between the cores of a grid: those
    of ports times how much narrower than links they are.
    """
    whole = np.rint(traffic * _SCALE).astype(np.int64)
    links, injected, ejected = link_loads(network_of(topology), grid.rows, grid.columns, whole)
    return np.concatenate([links, injected * ports[0], ejected * ports[1]]) / _SCALE


_SCALE = 1024.0
"""Traffic is counted in this part of a byte, in whole numbers."""


@lru_cache(maxsize=4096)
def ring_loads(
    topology: NocTopology, grid: Grid, split: Split, sharers: int, spread: bool, ports: Ports
) -> FloatArray:  # fmt: skip
    """(3, links and ports): messages on each when every core sends one to its neighbour on the ring of its n group, of
    the cores that share its weights, and of its k group; where they are `spread`, it sends every other member an equal
    part of it. Only those that may be the busiest, whatever is sent.
    """
    ranks = ranks_of(split, grid.rows, grid.columns, grid.placement)
    first = ranks.m - ranks.m % sharers
    core = np.arange(grid.size)
    rows: list[FloatArray] = []
    for members in (split.sizes[1], sharers, split.sizes[2]):
        turns = range(1, members) if spread else (1,)
        traffic = np.zeros((grid.size, grid.size))
        for turn in turns:
            target = {
                0: ranks.neighbour("n", turn),
                1: ranks.index[first + (ranks.m + turn - first) % sharers, ranks.n, ranks.k],
                2: ranks.neighbour("k", turn),
            }[len(rows)]
            traffic[core, target] += 1.0 / len(turns)
        rows.append(loads_of(topology, grid, traffic, ports))
    loads = np.unique(np.stack(rows), axis=1)
    beaten = np.asarray((loads[:, :, None] <= loads[:, None, :]).all(axis=0))
    np.fill_diagonal(beaten, False)
    return loads[:, ~beaten.any(axis=1)]


@lru_cache(maxsize=4096)
def ring_ways(topology: NocTopology, grid: Grid, split: Split, ports: Ports) -> tuple[tuple[float, float], ...]:
    """Of the rings of the n, m and k groups: messages on the busiest link or port when every core sends one to its
    neighbour, and the links of the longest ring, there and back.
    """
    ranks = ranks_of(split, grid.rows, grid.columns, grid.placement)
    core, found = np.arange(grid.size), []
    for axis, dimension in ((1, "n"), (0, "m"), (2, "k")):
        target = ranks.neighbour(dimension, 1)
        if split.sizes[axis] == 1:
            found.append((0.0, 0.0))
            continue
        loads = loads_of(topology, grid, moved(core, target, np.ones(grid.size), grid.size), ports)
        ways = hops(network_of(topology), grid.rows, grid.columns, core, target)
        found.append((busiest(loads), float(ways[ranks.index].sum(axis=axis).max())))
    return tuple(found)


@lru_cache(maxsize=4096)
def group_reach(topology: NocTopology, grid: Grid, split: Split) -> int:
    """Links of the longest way between two members of a k group."""
    ranks = ranks_of(split, grid.rows, grid.columns, grid.placement)
    first, last = ranks.index[:, :, :, None], ranks.index[:, :, None, :]
    return int(hops(network_of(topology), grid.rows, grid.columns, first, last).max())


def busiest(loads: FloatArray) -> float:
    """The most loaded link or port."""
    return float(loads.max(initial=0.0))


def moved(source: IntArray, target: IntArray, size: FloatArray, cores: int) -> FloatArray:
    """Traffic (cores, cores) of pieces of `size` from the cores `source` to the cores `target`."""
    flat = np.bincount(source * cores + target, weights=size, minlength=cores * cores)
    return np.asarray(flat, dtype=np.float64).reshape(cores, cores)

