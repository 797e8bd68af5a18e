"""Cycles of products on N x N meshes in closed form, in lockstep: alignment, then N steps, each as long as the longer
of computing on a tile and bringing the next ones, or, without `overlap`, as long as both.

All tiles are as large as the largest. Both operands leave a core through one port, so that the second one follows the
first one's hold. Measured against whole meshes in `tests/sim/collectives/test_gemm_form.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.noc.analytical import NocArrays, head_cycles, transfer_cycles
from cairn.sim.collectives.closed_form import hold_cycles

IntArray = npt.NDArray[np.int64]

Algorithm = Literal["mesh_gemm", "cannon", "summa_routers", "summa", "all_gather"]
ALGORITHMS: tuple[Algorithm, ...] = ("mesh_gemm", "cannon", "summa_routers", "summa", "all_gather")
"""`summa_routers` broadcasts through routers, whatever paths that takes; `summa` has cores relay."""


@dataclass(frozen=True)
class Product:
    """C[m, n] = A[m, k] B[k, n] of `sizes` (m, n, k) on `side` x `side` cores of `chip`. Relays of SUMMA and all-gather
    are begun by software: `stage_cycles` more each (beta of WaferLLM, section 3.1)."""

    chip: ChipSpec
    side: int
    sizes: tuple[int, int, int]
    stage_cycles: int = 0
    element_bytes: int = 2
    overlap: bool = True

    @property
    def tile(self) -> tuple[int, int, int]:
        """Rows, columns and depth of the largest tile."""
        m, n, k = (-(-size // self.side) for size in self.sizes)
        return m, n, k

    @property
    def compute_cycles(self) -> int:
        """A step's work on a core."""
        bits = 8 * self.element_bytes
        return int(self.chip.matrix_cycles(*self.tile, bits, bits, bits))

    @property
    def ideal_cycles(self) -> float:
        """All multiply-accumulates at peak rate on all cores."""
        m, n, k = self.sizes
        return m * n * k / (self.side**2 * self.chip.mac.peak_macs_per_cycle)

    @property
    def tile_bytes(self) -> tuple[int, int]:
        """Bytes of a tile of A and of B."""
        m, n, k = self.tile
        return m * k * self.element_bytes, k * n * self.element_bytes

    def steps_cycles(self, moving: npt.ArrayLike) -> int:
        """Computing on a tile beside (or after) each of the movements of these cycles, and on the last one alone."""
        each, compute = np.asarray(moving, dtype=np.int64), self.compute_cycles
        steps = np.maximum(compute, each) if self.overlap else compute + each
        return int(steps.sum()) + compute

    def noc(self, by_software: bool) -> NocArrays:
        extra = self.stage_cycles if by_software else 0
        return NocArrays.of(self.chip.noc.model_copy(update={"start_cycles": self.chip.noc.start + extra}))


def gemm_cycles(product: Product, algorithm: Algorithm) -> int:
    """Cycles of a product by one of ALGORITHMS; ConfigError for MeshGEMM on less than three cores a side."""
    if algorithm == "mesh_gemm" and product.side < 3:
        raise ConfigError(f"an interleaved ring needs at least three cores, got {product.side}")
    match algorithm:
        case "mesh_gemm":
            return _cyclic(product, 2)
        case "cannon":
            return _cyclic(product, product.side - 1)
        case "summa":
            return _summa(product, relay=True)
        case "summa_routers":
            return _summa(product, relay=False)
        case "all_gather":
            return _all_gather(product)


def _cyclic(product: Product, hops: int) -> int:
    noc, (a, b) = product.noc(False), product.tile_bytes
    shift = int(hold_cycles(noc, a) + transfer_cycles(noc, hops, b))
    return _align(product, hops) + product.steps_cycles(np.full(product.side - 1, shift))


def _align(product: Product, hops: int) -> int:
    """Tiles go from neighbour to neighbour, half a ring at most; of the steps of a tile one is the long one at most.
    A step is a transfer, or the holds of both operands on the port where these are longer."""
    noc, (a, b) = product.noc(False), product.tile_bytes
    short = 1 if hops == product.side - 1 else hops
    step = np.maximum(transfer_cycles(noc, short, max(a, b)), hold_cycles(noc, a) + hold_cycles(noc, b))
    back = (hops - short) * product.chip.noc.hop_cycles
    return int((product.side // 2) * step + back + hold_cycles(noc, a))


def _summa(product: Product, relay: bool) -> int:
    """Step s: broadcasts from position s to both ends. Relays leave to the right first, and where rows meet columns,
    one waits for the other at the port it comes in by, and at the one it goes out by. By routers, one hold each."""
    noc, (a, b) = product.noc(True), product.tile_bytes
    step = np.arange(product.side)
    hold = np.maximum(hold_cycles(noc, a), hold_cycles(noc, b))
    right, left = product.side - 1 - step, step
    if relay:
        head = head_cycles(noc, 1)
        ways = [np.where(way > 0, (way - 1) * head + transfer_cycles(noc, 1, max(a, b)), 0) for way in (right, left)]
        second = np.where((right > 0) & (left > 0), hold, 0)
        each = np.maximum(ways[0], ways[1] + second) + 2 * hold
    else:
        each = transfer_cycles(noc, np.maximum(right, left), max(a, b)) + hold
    return int(each[0]) + product.steps_cycles(each[1:])


def _all_gather(product: Product) -> int:
    """Two rings of one tile a step, which share the port of each core. A core whose row and column lie half a ring
    apart has its first pair of tiles when half of them have come, and two more with every step."""
    noc, (a, b) = product.noc(True), product.tile_bytes
    head = head_cycles(noc, 1)
    hold = hold_cycles(noc, a) + hold_cycles(noc, b)
    closing = head_cycles(noc, product.side - 1)
    moving = max((product.side - 2) * head + closing, closing + (product.side - 2) * hold) + hold - 1
    compute = product.compute_cycles
    if not product.overlap:
        return int(moving + product.side * compute)
    return int(max(moving + 2 * compute, moving // 2 + product.side * compute))
