"""Layouts of an attention: queries and results on their units, new keys and values at their homes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.attention_work import share_units
from cairn.sim.mapping.grid import Grid
from cairn.sim.mapping.pieces import Pieces, wanted
from cairn.sim.twin.shared import shared
from cairn.workloads.graph import Attention

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class OnUnits:
    """Queries where they are worked on (`width` the dimension of a head), or results (`joined`: one of each pair)."""

    attention: Attention
    quantum: int
    width: int
    joined: bool

    def __hash__(self) -> int:  # without the many requests
        return hash((self.attention.heads, self.quantum, self.width, self.joined))

    def pieces(self, grid: Grid) -> Pieces:
        """As `attention.bring_queries` wants them and `attention.result_pieces` leaves them."""
        attention = self.attention
        units = share_units(attention, grid.size, self.quantum)
        columns = attention.heads // attention.kv_heads * self.width
        row = _first_rows(attention)[units.request] + units.q0
        rect = (row, row + units.q1 - units.q0, units.head * columns, (units.head + 1) * columns)
        pick = units.part == 0 if self.joined else np.ones(units.count, dtype=np.bool_)
        return wanted(units.rank[pick], *(side[pick] for side in rect))


@dataclass(frozen=True)
class AtHomes:
    """New rows of a cache at the homes of their blocks: `width` columns a head, of a tensor whose first is `first`."""

    attention: Attention
    quantum: int
    tile: int
    first: int
    width: int

    def __hash__(self) -> int:  # without the many requests
        return hash((self.attention.heads, self.quantum, self.tile, self.first, self.width))

    def pieces(self, grid: Grid) -> Pieces:
        """As `attention_cache.append_rows` wants them."""
        attention = self.attention
        blocks = shared(attention, grid.size, self.quantum, self.tile).blocks
        cached = np.array([request.cached for request in attention.requests])[blocks.request]
        row = np.maximum(blocks.s0, cached)
        pick = np.nonzero(blocks.s1 > row)[0]
        token = (_first_rows(attention)[blocks.request] + row - cached)[pick]
        column = self.first + blocks.head[pick] * self.width
        rows = (blocks.s1 - row)[pick]
        return wanted(blocks.home[pick], token, token + rows, column, column + self.width)


def _first_rows(attention: Attention) -> IntArray:
    """First token row of each request."""
    new = np.array([request.new for request in attention.requests])
    return np.asarray(np.cumsum(new) - new)
