"""Where activations lie on the cores, as lowering leaves and wants them, and what it takes to bring one from one place
to another.

A layout is plain numbers, so that it can be told from others and looked up; its pieces are written by the functions
and formulas that lowering uses.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from cairn.base.kernel import kernel
from cairn.hw_models.noc.routing import hops as hops_between
from cairn.hw_models.noc.spec import NocTopology, network_of
from cairn.sim.mapping.embedding import dealt, runs
from cairn.sim.mapping.grid import Grid, Split, bounds, ranks_of
from cairn.sim.mapping.pieces import Pieces, overlapping, wanted
from cairn.sim.twin.halves import crossing_bytes
from cairn.sim.twin.traffic import Ports

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Layout(Protocol):
    """Where a tensor lies on a grid of cores. Equal ones are alike."""

    def __hash__(self) -> int: ...

    def pieces(self, grid: Grid) -> Pieces:
        """Its rectangles, on ranks of the grid."""


@dataclass(frozen=True)
class Result:
    """What a product leaves: blocks over m and n, each stretch of whose columns is dealt to the k group in parts.

    Passes over the rows are taken together, since all of them deal their columns alike. `halves` is 2 where gate and up
    alternated and an activation function made one column of two.
    """

    split: Split
    rows: int
    columns: int
    quantum: int
    tile_n: int
    edges: tuple[int, ...]
    """Column tiles at which stretches begin, and the end of the last one."""
    halves: int = 1

    def pieces(self, grid: Grid) -> Pieces:
        """As `matmul._reduce` leaves them."""
        gm, gn, gk = self.split.sizes
        ranks = ranks_of(self.split, grid.rows, grid.columns, grid.placement)
        m, n = bounds(self.rows, gm), bounds(self.columns, gn, self.quantum)
        low, high = n[ranks.n], n[ranks.n + 1]
        parts = []
        for begin, end in zip(self.edges[:-1], self.edges[1:], strict=True):
            n0, n1 = np.minimum(low + begin * self.tile_n, high), np.minimum(low + end * self.tile_n, high)
            units = -(-(n1 - n0) // self.quantum)
            c0, c1 = (np.minimum(n0 + units * rank // gk * self.quantum, n1) for rank in (ranks.k, ranks.k + 1))
            parts.append((np.arange(grid.size), m[ranks.m], m[ranks.m + 1], c0 // self.halves, c1 // self.halves))
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        return wanted(*columns).without_empty()


@dataclass(frozen=True)
class Operand:
    """The block of x that every core of a split works on in one of `passes`: whole, or in parts over the n group."""

    split: Split
    rows: int
    columns: int
    passes: int
    parts: bool
    group: int = 1
    """Columns that stay together."""

    def pieces(self, grid: Grid) -> Pieces:
        """As `matmul._gather` wants them for the last pass."""
        gm, gn, gk = self.split.sizes
        ranks = ranks_of(self.split, grid.rows, grid.columns, grid.placement)
        m, k = bounds(self.rows, gm), bounds(self.columns, gk, self.group)
        m0, m1, k0, k1 = m[ranks.m], m[ranks.m + 1], k[ranks.k], k[ranks.k + 1]
        m0 = m0 + (m1 - m0) * (self.passes - 1) // self.passes
        if self.parts:
            groups = -(-(k1 - k0) // self.group)
            begin, end = (k0 + groups * rank // gn * self.group for rank in (ranks.n, ranks.n + 1))
            k0, k1 = np.minimum(begin, k1), np.minimum(end, k1)
        return wanted(np.arange(grid.size), m0, m1, k0, k1).without_empty()


@dataclass(frozen=True)
class Rows:
    """Whole rows dealt over the cores: the `tokens`-th rows of a table, each read by one core."""

    tokens: tuple[int, ...]
    columns: int

    def pieces(self, grid: Grid) -> Pieces:
        """As `lower._embedding` reads them."""
        rows = np.array(self.tokens)
        unique, core, _ = dealt(rows, grid.size)
        of_token = core[np.searchsorted(unique, rows)]
        begin, end = runs(of_token)
        return wanted(of_token[begin], begin, end, 0, self.columns)


@dataclass(frozen=True)
class Several:
    """Several layouts of parts of a tensor at once."""

    layouts: tuple[Layout, ...]

    def pieces(self, grid: Grid) -> Pieces:
        """All of them."""
        each = [layout.pieces(grid) for layout in self.layouts]
        return Pieces(*(np.concatenate([getattr(p, name) for p in each]) for name in ("core", "rect", "ready")))


@dataclass(frozen=True)
class Picked:
    """The rows `rows` of another layout, in place."""

    layout: Layout
    rows: tuple[int, ...]

    def pieces(self, grid: Grid) -> Pieces:
        """As `experts.lower_dispatch` makes them."""
        whole = self.layout.pieces(grid)
        begin, end = (np.searchsorted(np.array(self.rows), whole.rect[:, side]) for side in (0, 1))
        return wanted(whole.core, begin, end, whole.rect[:, 2], whole.rect[:, 3]).without_empty()


@dataclass(frozen=True)
class Move:
    """What a change of layout sends over the network. Nothing, where everything lies where it is wanted."""

    crossing: float = 0.0
    """Bytes over the busiest link or port, in the order in which cores send (`crossing_bytes`)."""
    sent: float = 0.0
    """All bytes that change their core."""
    messages: int = 0
    """Most messages that one core sends."""
    hops: int = 0
    """Links of the longest way."""


MOVED: Final = tuple(each.name for each in fields(Move))


@dataclass(frozen=True)
class Moves:
    """Changes of layout on many designs: the numbers of `Move` as arrays (designs,)."""

    crossing: FloatArray
    sent: FloatArray
    messages: FloatArray
    hops: FloatArray


@dataclass(frozen=True)
class Spread:
    """How a tensor is spread over the cores."""

    held: float
    """Most elements on a core."""
    pieces: int
    """Most pieces on a core."""
    in_row: int
    """Most pieces that a row is cut into."""
    rows: int
    """Most rows of a piece."""


@lru_cache(maxsize=1 << 14)
def move_between(
    topology: NocTopology, grid: Grid, have: Layout, want: Layout, bits: float, ports: Ports
) -> Move:  # fmt: skip
    """What brings a tensor of elements of so many bits from where it lies to where it is wanted."""
    there, here = _pieces(grid, have), _pieces(grid, want)
    sender, receiver, size = _messages(*overlapping(there, here), there.core, there.rect, here.core, here.rect, bits)
    if not sender.size:
        return Move()
    crossing = crossing_bytes(topology, grid, sender, receiver, size, ports)
    ways = hops_between(network_of(topology), grid.rows, grid.columns, sender, receiver)
    return Move(crossing, float(size.sum()), int(np.bincount(sender).max()), int(ways.max()))


@kernel()
def _messages(
    source: IntArray, target: IntArray, have_core: IntArray, have: IntArray, want_core: IntArray, want: IntArray,
    bits: float,
) -> tuple[IntArray, IntArray, FloatArray]:  # fmt: skip
    """Sender, receiver and bytes of what pairs of pieces on different cores have in common."""
    sender, receiver = np.empty(source.size, np.int64), np.empty(source.size, np.int64)
    size, count = np.empty(source.size), 0
    for pair in range(source.size):
        a, b = source[pair], target[pair]
        if have_core[a] == want_core[b]:
            continue
        sender[count], receiver[count] = have_core[a], want_core[b]
        rows = min(have[a, 1], want[b, 1]) - max(have[a, 0], want[b, 0])
        columns = min(have[a, 3], want[b, 3]) - max(have[a, 2], want[b, 2])
        size[count] = rows * np.ceil(columns * bits / 8)
        count += 1
    return sender[:count].copy(), receiver[:count].copy(), size[:count].copy()


@lru_cache(maxsize=1 << 10)
def _pieces(grid: Grid, layout: Layout) -> Pieces:
    return layout.pieces(grid)


@lru_cache(maxsize=1 << 12)
def spread_of(grid: Grid, layout: Layout) -> Spread:
    """How a tensor is spread over the cores."""
    pieces = _pieces(grid, layout)
    held = np.bincount(pieces.core, weights=pieces.elements.astype(np.float64), minlength=grid.size)
    in_row = np.bincount(pieces.extents[0][1])  # pieces of the same rows
    return Spread(
        float(held.max()), int(np.bincount(pieces.core).max()), int(in_row.max()), int(pieces.rows.max())
    )
