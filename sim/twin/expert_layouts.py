"""Where tokens lie on their way to experts and back, as lowering leaves and wants them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cairn.sim.mapping.context import even_pieces
from cairn.sim.mapping.experts import sorted_stretches
from cairn.sim.mapping.grid import Grid
from cairn.sim.mapping.pieces import Pieces, wanted
from cairn.sim.twin.layout import Layout, Result


@dataclass(frozen=True)
class WholeRows:
    """Rows dealt evenly over as many cores as there are rows, or on `every` core all of them."""

    rows: int
    columns: int
    every: bool = False

    def pieces(self, grid: Grid) -> Pieces:
        """As `vector.lower_top_k` wants logits and leaves decisions, or as `experts.lower_dispatch` wants these."""
        if self.every:
            return wanted(np.arange(grid.size), 0, self.rows, 0, self.columns)
        parts = min(self.rows, grid.size)
        edges = np.arange(parts + 1) * self.rows // parts
        return wanted(np.arange(parts), edges[:-1], edges[1:], 0, self.columns)


@dataclass(frozen=True)
class Even:
    """A tensor shared evenly by all cores."""

    rows: int
    columns: int

    def pieces(self, grid: Grid) -> Pieces:
        """As `Scope.even_layout` has them."""
        return even_pieces(grid, self.rows, self.columns)


@dataclass(frozen=True)
class Sorted:
    """Rows of experts where the tokens lie that they belong to (`layout`): `rows` are tokens, `sizes` rows of each."""

    layout: Layout
    rows: tuple[int, ...]
    sizes: tuple[int, ...]

    def pieces(self, grid: Grid) -> Pieces:
        """As `experts.lower_dispatch` leaves them and `experts.lower_combine` wants them."""
        whole = self.layout.pieces(grid)
        piece, begin, end = sorted_stretches(self.rows, self.sizes, whole)
        return wanted(whole.core[piece], begin, end, whole.rect[piece, 2], whole.rect[piece, 3])


@dataclass(frozen=True)
class OfExperts:
    """Results of experts, each with the first of its rows."""

    parts: tuple[tuple[int, Result], ...]

    def pieces(self, grid: Grid) -> Pieces:
        """One below the other."""
        each = [(first, result.pieces(grid)) for first, result in self.parts]
        rects = [pieces.rect + np.array([first, first, 0, 0]) for first, pieces in each]
        core, ready = (np.concatenate([getattr(pieces, name) for _, pieces in each]) for name in ("core", "ready"))
        return Pieces(core, np.concatenate(rects), ready)

    def halved(self) -> OfExperts:
        """The same with one column of two (gate and up)."""
        return OfExperts(tuple((first, replace(result, halves=2)) for first, result in self.parts))


@dataclass(frozen=True)
class Only:
    """The `count` rows from `first` on of another layout, counted from 0."""

    layout: Layout
    first: int
    count: int

    def pieces(self, grid: Grid) -> Pieces:
        """Those that have any of the rows."""
        whole = self.layout.pieces(grid)
        row0, row1 = (np.clip(whole.rect[:, side] - self.first, 0, self.count) for side in (0, 1))
        return wanted(whole.core, row0, row1, whole.rect[:, 2], whole.rect[:, 3]).without_empty()


def only(layout: Layout, first: int, count: int) -> Layout:
    """The rows of one expert."""
    if isinstance(layout, OfExperts):
        return next(result for begin, result in layout.parts if begin == first)
    return Only(layout, first, count)
