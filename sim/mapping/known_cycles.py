"""Cycles of the matrix unit that were worked out before: a plan has many tiles, of few different sizes."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.hw_models.chip import ChipSpec

IntArray = npt.NDArray[np.int64]
Sizes = tuple[IntArray, IntArray, IntArray]
Bits = tuple[float, float, float]

_SIDE: Final = 1 << 20
"""Sizes below this share one number; larger tiles are worked out each time."""


@dataclass(frozen=True)
class Parts:
    """Into how many equal parts the rows of a task's product are cut, and how many columns and how much of the
    reduction (None: all) a part has. The unit does one part after the other."""

    rows: int = 1
    columns: int | None = None
    depth: int | None = None


WHOLE = Parts()


@dataclass
class KnownCycles:
    """Cycles of tiles on a chip's matrix unit, by size, bits and parts."""

    chip: ChipSpec
    _tables: dict[tuple[Bits, Parts, bool], tuple[IntArray, IntArray]] = field(default_factory=dict)
    """Sizes as one number each, ascending, and their cycles."""

    def of(self, sizes: Sizes, bits: Bits, parts: Parts, weights: bool = False) -> IntArray:
        """Cycles of tiles of `sizes` m, n, k, arrays of one length; `weights` as in `ChipSpec.matrix_cycles`."""
        m, n, k = sizes
        if max(int(size.max(initial=0)) for size in sizes) >= _SIDE:
            return self._worked_out(sizes, bits, parts, weights)
        codes = (m * _SIDE + n) * _SIDE + k
        none = np.empty(0, np.int64)
        known, cycles = self._tables.get((bits, parts, weights), (none, none))
        if known.size:
            place = np.minimum(np.searchsorted(known, codes), known.size - 1)
            if np.array_equal(known[place], codes):
                return cycles[place]
        new = np.setdiff1d(codes, known)
        found = self._worked_out((new // (_SIDE * _SIDE), new // _SIDE % _SIDE, new % _SIDE), bits, parts, weights)
        codes_now, cycles_now = np.concatenate((known, new)), np.concatenate((cycles, found))
        order = np.argsort(codes_now)
        known, cycles = codes_now[order], cycles_now[order]
        self._tables[bits, parts, weights] = known, cycles
        return cycles[np.searchsorted(known, codes)]

    def _worked_out(self, sizes: Sizes, bits: Bits, parts: Parts, weights: bool) -> IntArray:
        """The sum of the cycles of a tile's parts, each but the first with the cycles of its issue."""
        m, n, k = sizes
        whole = parts.columns is None or int(n.max(initial=0)) <= parts.columns
        if parts.rows == 1 and whole and (parts.depth is None or int(k.max(initial=0)) <= parts.depth):
            return self.chip.matrix_cycles(m, n, k, *bits, weights=weights)
        low, more = np.divmod(m, parts.rows)
        row_cuts = ((low + 1, more), (low, parts.rows - more))
        cycles, count = np.zeros_like(m), np.zeros_like(m)
        for cut in itertools.product(row_cuts, _cuts(n, parts.columns), _cuts(k, parts.depth)):
            (rows, many), (columns, times), (depth, often) = cut
            done = np.where((rows > 0) & (columns > 0) & (depth > 0), many * times * often, 0)
            cycles += done * self.chip.matrix_cycles(rows, columns, depth, *bits, weights=weights)
            count += done
        all_cycles: IntArray = cycles + np.maximum(count - 1, 0) * self.chip.synchronisation.task_issue_cycles
        return all_cycles


def _cuts(size: IntArray, most: int | None) -> tuple[tuple[IntArray, IntArray], ...]:
    """(size of a part, how many of it) of sizes that are cut into parts of `most`, and of what is left."""
    width = size if most is None else np.full_like(size, most)
    full, rest = np.divmod(size, np.maximum(width, 1))
    return (width, full), (rest, np.ones_like(rest))
