"""The part of a core's SRAM through which tiles stream: a circular buffer, the same on all cores of a grid.

A tile may arrive once everything that lay in its place has been used. Tiles of any size follow each other round the
buffer; a tile's users are told when they are written. So loads run ahead of use exactly as far as the capacity allows.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cairn.base.errors import Infeasibility, InfeasibleError

IntArray = npt.NDArray[np.int64]


@dataclass
class Entry:
    """A tile in the buffer: bytes [begin, end) of an endless tape, and the tasks after which it may be overwritten."""

    begin: int
    end: int
    users: list[IntArray] = field(default_factory=list)


@dataclass
class StreamBuffer:
    """`capacity_bytes` of every core, through which tiles go round."""

    capacity_bytes: int
    _head: int = 0
    _entries: deque[Entry] = field(default_factory=deque)

    def reserve(self, tile_bytes: int) -> tuple[Entry, list[IntArray]]:
        """A place for a tile, and the tasks (arrays over the grid's cores, -1 for none) that must end before it comes.

        InfeasibleError for a tile that is larger than the buffer.
        """
        if tile_bytes > self.capacity_bytes:
            remedy = "more SRAM a core (chip.sram.capacity_kib), a smaller mapping.tile_kib or a smaller "
            remedy += "array (chip.matrix_unit)"
            what = "SRAM of a core that tiles stream through, for its smallest tile"
            raise InfeasibleError([Infeasibility(what, float(tile_bytes), float(self.capacity_bytes), "bytes", remedy)])
        at = self._head % self.capacity_bytes
        if at + tile_bytes > self.capacity_bytes:  # tiles are contiguous: skip the rest of the tape's round
            self._head += self.capacity_bytes - at
        entry = Entry(self._head, self._head + tile_bytes)
        self._head = entry.end
        lowest, highest = entry.begin - self.capacity_bytes, entry.end - self.capacity_bytes
        waits: list[IntArray] = []
        while self._entries and self._entries[0].end <= lowest:
            self._entries.popleft()
        for old in self._entries:
            if old.begin >= highest:
                break
            if old.end > lowest:
                waits.extend(old.users)
        self._entries.append(entry)
        return entry, waits
