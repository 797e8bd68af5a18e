"""In how many steps a product is written into a plan: every pass, tile and stretch of columns, or many of them as one.

A product that needs many passes over its weights, because its rows do not fit the SRAM, has millions of tasks that look
alike. Merged (`fidelity.products: merged`), consecutive passes are one, whose tasks move and compute what theirs do
together, and so are consecutive tiles, and stretches of columns where there are very many; the network moves them in
larger packets. Rings keep several steps, since each of them waits for other traffic and for the addition before it.
Where operators meet, the order of things decides how long units wait: so the first pass keeps its tiles, the first and
the last one the steps of their rings, groups of passes grow and shrink again, and stretches become smaller towards the
end. A plan whose rings have fewer steps cannot be run on numbers: a core passes on what it has only later.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

GROUPS: Final = 16
"""A group has at most this part of the passes (assumed, as the numbers below: their error is measured, see
docs/assumptions.md)."""
TILES: Final = 8
"""Tasks in which a group after the first does the tiles of its columns, about."""
RING_STEPS: Final = 6
"""Transfers of a core in which a ring goes round, at most, in groups between the first and the last."""
STRETCHES: Final = 24
"""Stretches of columns whose partial sums are added up by themselves, of all groups together, about."""
PACKETS: Final = 4
"""How many times as large packets of the network are in a plan with merged passes or tiles (assumed)."""


@dataclass(frozen=True)
class Stretch:
    """Columns of tiles [begin, end) whose partial sums are added up together, in `rings` rings of the mapping."""

    begin: int
    end: int
    rings: int


@dataclass(frozen=True)
class Group:
    """Passes [first, first + passes) over the weights, done as one; `together` column tiles are one task.

    `coarse`: tiles along the reduction are one task too, and a ring goes round in few steps.
    """

    first: int
    passes: int
    together: int
    stretches: tuple[Stretch, ...]
    coarse: bool = False

    def turns(self, ring: int) -> list[range]:
        """The turns 1 .. ring - 1 of a ring of so many cores, those together that are written as one transfer."""
        turns = ring - 1
        steps = min(turns, RING_STEPS) if self.coarse else turns
        edges = [1 + turns * step // max(steps, 1) for step in range(steps + 1)]
        return [range(begin, end) for begin, end in itertools.pairwise(edges)]


def every_step(passes: int, tiles: int, stretches: int) -> tuple[Group, ...]:
    """Each pass by itself, each tile a task, and the mapping's stretches."""
    edges = [tiles * i // stretches for i in range(stretches + 1)]
    each = tuple(Stretch(begin, end, 1) for begin, end in itertools.pairwise(edges))
    return tuple(Group(turn, 1, 1, each) for turn in range(passes))


@lru_cache(maxsize=256)
def merged_steps(passes: int, tiles: int, stretches: int) -> tuple[Group, ...]:
    """The same work in fewer steps."""
    groups, first = [], 0
    sizes = group_sizes(passes)
    for index, size in enumerate(sizes):
        together = 1 if index == 0 else max(1, tiles // TILES)
        cuts = min(stretches, max(1, round(STRETCHES * size / passes)))
        edges = [tiles * i // cuts for i in range(cuts + 1)]
        if index == len(sizes) - 1:
            edges = _tapered(edges, -(-tiles // stretches))
        each = stretches / tiles if cuts < stretches else 0  # stretches of the mapping in a tile, where they are merged
        parts = (Stretch(a, b, max(size, round(size * each * (b - a)))) for a, b in itertools.pairwise(edges))
        groups.append(Group(first, size, together, tuple(parts), 0 < index < len(sizes) - 1))
        first += size
    return tuple(groups)


def group_sizes(passes: int) -> tuple[int, ...]:
    """Passes of each group: one at first and at last, in between up to a GROUPS-th of all."""
    most = max(1, -(-passes // GROUPS))
    front: list[int] = []
    back: list[int] = []
    size, following, left = 1, 1, passes
    while left:
        for side in (front, back):
            if left:
                side.append(min(size, most, left))
                left -= side[-1]
        size, following = following, size + following
    return (*front, *reversed(back))


def _tapered(edges: list[int], least: int) -> list[int]:
    """The last stretch cut into halves, of which the last is cut again, down to `least` tiles."""
    edges = list(edges)
    while edges[-1] - edges[-2] >= 2 * least:
        edges.insert(-1, (edges[-2] + edges[-1]) // 2)
    return edges

