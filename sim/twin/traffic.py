"""Which links carry how much: rings of products, and tensors that change their layout."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from cairn.hw_models.noc.analytical import link_loads
from cairn.hw_models.noc.spec import NocSpec, NocTopology
from cairn.sim.mapping.grid import Grid, Split, ranks_of

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def loads_of(topology: NocTopology, grid: Grid, traffic: FloatArray) -> FloatArray:
    """Bytes on every link and port, one after the other, for traffic (cores, cores) between the cores of a grid."""
    whole = np.rint(traffic * _SCALE).astype(np.int64)
    links, injected, ejected = link_loads(NocSpec(topology=topology), grid.rows, grid.columns, whole)
    return np.concatenate([links, injected, ejected]) / _SCALE


_SCALE = 1024.0
"""Traffic is counted in this part of a byte, in whole numbers."""


@lru_cache(maxsize=4096)
def ring_loads(topology: NocTopology, grid: Grid, split: Split, sharers: int) -> FloatArray:
    """(3, links and ports): messages on each when every core sends one to its neighbour on the ring of its n group, of
    the cores that share its weights, and of its k group. Only those that may be the busiest, whatever is sent.
    """
    ranks = ranks_of(split, grid.rows, grid.columns, grid.placement)
    first = ranks.m - ranks.m % sharers
    successor = {
        "n": ranks.neighbour("n", 1),
        "m": ranks.index[first + (ranks.m + 1 - first) % sharers, ranks.n, ranks.k],
        "k": ranks.neighbour("k", 1),
    }
    core = np.arange(grid.size)
    rows = []
    for target in successor.values():
        traffic = np.zeros((grid.size, grid.size))
        traffic[core, target] = 1.0
        rows.append(loads_of(topology, grid, traffic))
    loads = np.unique(np.stack(rows), axis=1)
    beaten = np.asarray((loads[:, :, None] <= loads[:, None, :]).all(axis=0))
    np.fill_diagonal(beaten, False)
    return loads[:, ~beaten.any(axis=1)]


def busiest(loads: FloatArray) -> float:
    """The most loaded link or port."""
    return float(loads.max(initial=0.0))


def moved(source: IntArray, target: IntArray, size: FloatArray, cores: int) -> FloatArray:
    """Traffic (cores, cores) of pieces of `size` from the cores `source` to the cores `target`."""
    flat = np.bincount(source * cores + target, weights=size, minlength=cores * cores)
    return np.asarray(flat, dtype=np.float64).reshape(cores, cores)

