"""Vector times matrix on an N x N mesh: a local product, and an all-reduce along the axis that the vector lies along.

Core (i, j) holds tile (i, j) of W. With `axis` "y" part i of x lies on all cores of row i, sums go along columns, and
part j of the result ends on all cores of column j, where a product with axis "x" can take it up (WaferLLM, arXiv
2502.04563, section 6; reference/wafer/waferllm_algorithms.yaml, dist_gemv).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.sim.collectives.reduce import Work, all_reduce, reduce, reduce_in_phases
from cairn.sim.collectives.trees import Tree, group_count
from cairn.sim.plan import actions
from cairn.sim.plan.builder import PlanBuilder, Slice, Tile

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Gemv:
    """y[n] = x[k] W[k, n] for operator `op`: plan tensors (x, W, y), on the cores `grid` (N, N)."""

    plan: PlanBuilder
    grid: IntArray
    op: int
    tensors: tuple[int, int, int]
    k: int
    n: int
    axis: Literal["x", "y"] = "y"
    element_bytes: int = 2

    def __post_init__(self) -> None:
        side = len(self.grid)
        if self.grid.shape != (side, side) or min(self.k, self.n) < side:
            shape = self.grid.shape
            raise ConfigError(f"k ({self.k}) and n ({self.n}) must be at least the side of a square mesh, {shape}")


def k_tree_factors(side: int) -> tuple[int, int]:
    """Cores of a group and groups of the K = 2 tree that WaferLLM's kernels take."""
    groups = group_count(side)
    return side // groups, groups


def mesh_gemv(
    gemv: Gemv, tree: Tree | Sequence[int] | None = None, everywhere: bool = True, ready: IntArray | None = None
) -> IntArray:
    """The product with an all-reduce along `tree`, or a K-tree of these factors (default: K = 2): (N, N) tasks.

    Without `everywhere` the sums stay at the roots: (N,) tasks. `chain(N)` is the pipeline all-reduce that the paper
    compares with.
    """
    side = len(gemv.grid)
    lines = gemv.grid.T if gemv.axis == "y" else gemv.grid
    part, along = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")  # of y, of x: lines, positions
    k = tuple((along + bound).ravel() * gemv.k // side for bound in (0, 1))
    n = tuple((part + bound).ravel() * gemv.n // side for bound in (0, 1))
    bits = 8 * gemv.element_bytes
    cycles = gemv.plan.chip.matrix_cycles(1, n[1] - n[0], k[1] - k[0], bits, bits, bits)
    tile = Tile(gemv.op, actions.MATMUL, (0, 1), (n[0], n[1]), (k[0], k[1]))
    after = None if ready is None else (ready.T if gemv.axis == "y" else ready).ravel()
    ops = 2 * (n[1] - n[0]) * (k[1] - k[0])
    local = gemv.plan.compute(lines.ravel(), "matrix", tile, cycles, after, ops).reshape(lines.shape)
    first, last = n[0].reshape(side, side)[:, 0], n[1].reshape(side, side)[:, 0]
    work = Work(
        gemv.plan, lines, Slice(gemv.tensors[2], (0, 1), (first, last), (last - first) * gemv.element_bytes), gemv.op
    )
    way = k_tree_factors(side) if tree is None else tree
    if not everywhere:
        return reduce(work, way, local) if isinstance(way, Tree) else reduce_in_phases(work, way, ready=local)[1]
    done = all_reduce(work, way, local)
    return done.T if gemv.axis == "y" else done


