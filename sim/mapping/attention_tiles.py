"""Scores of an unfused attention: which tiles there are, which of them lie in DRAM, and the copies there and back.

A tile of scores belongs to one visit: the query rows that look at any of the visit's keys, for all query heads of the
visit's key head. As a slice of the tensor of scores it has these token rows, the number of its (request, key head) as
group, and for each key as many columns as there are query heads, the columns of a key side by side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cairn.base.errors import Infeasibility, InfeasibleError
from cairn.sim.mapping.attention_job import Job, rows_of
from cairn.sim.mapping.buffer import Entry
from cairn.sim.mapping.context import row_bytes
from cairn.sim.mapping.pieces import Pieces
from cairn.sim.plan.builder import After, Region, Slice
from cairn.sim.plan.plan import SRAM

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

KEPT_SHARE = 4
"""Scores stay on a core when all of them fit this part of its SRAM (assumed: the quarter that activations have)."""

TILE_SHARE = 8
"""A tile of scores takes at most this part of the SRAM (assumed, as in fused attention)."""


@dataclass(frozen=True)
class Parts:
    """Rows [row0, row1) of the tiles of some visits."""

    visit: IntArray
    row0: IntArray
    row1: IntArray

    def where(self, pick: npt.NDArray[np.generic]) -> Parts:
        return Parts(self.visit[pick], self.row0[pick], self.row1[pick])


@dataclass(frozen=True)
class ScoreTiles:
    """The tiles of scores of an attention. `spilled` says of each unit whether its tiles lie in DRAM, `address` where:
    (visits, 5), of tiles that do."""

    job: Job
    name: str
    spilled: BoolArray
    whole: Parts
    """Every tile whole, in the order of the visits."""
    address: IntArray

    @property
    def unit(self) -> IntArray:
        """The unit of each tile."""
        return self.job.visits.unit

    def row_bytes(self, visit: IntArray) -> IntArray:
        """Bytes of one token row of a tile: a row of scores for each query head."""
        keys = self.job.visits.n1[visit] - self.job.visits.n0[visit]
        return self.job.queries_per_key * row_bytes(keys, self.job.scope.bits(self.name))

    def size(self, parts: Parts) -> IntArray:
        return (parts.row1 - parts.row0) * self.row_bytes(parts.visit)

    def elements(self, parts: Parts) -> IntArray:
        visits = self.job.visits
        keys = visits.n1[parts.visit] - visits.n0[parts.visit]
        return (parts.row1 - parts.row0) * self.job.queries_per_key * keys

    def write(self, parts: Parts, after: After) -> IntArray:
        """Copies of parts of tiles to the channel above their core."""
        here, there = self._ends(parts)
        return self.job.scope.plan.copy(here, there, self.job.op, after, "spill")

    def read(self, parts: Parts, after: After) -> IntArray:
        """Copies of parts of tiles back from the channel."""
        here, there = self._ends(parts)
        return self.job.scope.plan.copy(there, here, self.job.op, after, "spill")

    def reserve(self, size: int) -> tuple[Entry, list[IntArray]]:
        """A place in the stream buffer for (parts of) tiles, and what must end before they come."""
        return self.job.scope.stage.stream.reserve(max(1, size))

    def join(self, unit: IntArray, tasks: IntArray) -> IntArray:
        """For each unit, a task that ends when all of its `tasks` have."""
        return self.job.scope.plan.join(unit, tasks, self.job.units.count, self.job.op)

    def pieces(self, ready: IntArray) -> Pieces:
        """The scores of each unit, there once `ready` has ended: token rows and keys, whatever the head."""
        job, units = self.job, self.job.units
        row0 = job.token0[units.request] + units.q0
        rect = np.stack([row0, row0 + units.q1 - units.q0, units.s0, units.s1], axis=1)
        return Pieces(job.core(units.rank), rect, ready)

    def _ends(self, parts: Parts) -> tuple[Region, Region]:
        job, visit = self.job, parts.visit
        units, visits, unit = job.units, job.visits, self.unit[visit]
        group = job.group(units.request[unit], units.head[unit])
        each = job.queries_per_key
        span = (parts.row0, parts.row1), (visits.n0[visit] * each, visits.n1[visit] * each)
        data = Slice(job.scope.tensor(self.name), *span, self.size(parts), group)
        core = job.core(units.rank[unit])
        at = self.address[visit].T.copy()
        at[4] += (parts.row0 - self.whole.row0[visit]) * self.row_bytes(visit)
        bank, banks, row, stripe, offset = at
        return Region(SRAM, core, data), job.scope.stage.above(core, data, (bank, banks, row, stripe, offset))


def score_tiles(job: Job, name: str, spilling: BoolArray) -> ScoreTiles:
    """The tiles of a job whose ranks spill where `spilling`, with places in DRAM, the n-th tile of all cores alike."""
    visits, memory = job.visits, job.scope.stage.memory
    rows = rows_of(job, np.arange(visits.unit.size))
    whole = Parts(np.arange(visits.unit.size), rows.row0, rows.row1)
    address = np.zeros((visits.unit.size, 5), dtype=np.int64)
    tiles = ScoreTiles(job, name, spilling[job.units.rank], whole, address)
    size = np.where(tiles.spilled[tiles.unit], tiles.size(whole), 0)
    _check_room(job, int(size.max(initial=0)))
    most = np.zeros(int(visits.step.max(initial=-1)) + 1, dtype=np.int64)
    np.maximum.at(most, visits.step, size)
    for step in np.nonzero(most)[0]:
        address[visits.step == step] = memory.place(int(most[step])).at(0)
    return tiles


def spilling_ranks(job: Job, name: str) -> BoolArray:
    """Ranks of the grid whose scores do not fit the share of the SRAM that may keep them."""
    units = job.units
    keys = row_bytes(units.s1 - units.s0, job.scope.bits(name))
    held = np.zeros(job.scope.grid.size, dtype=np.int64)
    np.add.at(held, units.rank, (units.q1 - units.q0) * job.queries_per_key * keys)
    return held > job.scope.chip.sram.capacity_kib * 1024 // KEPT_SHARE


def rows_of_a_tile(job: Job, name: str) -> int:
    """Token rows whose scores over the longest tile of keys fit the share of the SRAM that a tile may take."""
    keys = int((job.blocks.s1 - job.blocks.s0).max())
    row = job.queries_per_key * int(row_bytes(keys, job.scope.bits(name)))
    return max(1, job.scope.chip.sram.capacity_kib * 1024 // TILE_SHARE // row)


def _check_room(job: Job, size: int) -> None:
    """A tile of scores and the next one must fit the part of the SRAM through which tiles stream."""
    bound = job.scope.stage.stream.capacity_bytes // 2
    if size > bound:
        constraint = "SRAM of a core for one row of a tile of scores"
        remedy = "more SRAM a core (chip.sram.capacity_kib), or fused attention (workload.attention: fused)"
        raise InfeasibleError([Infeasibility(constraint, float(size), float(bound), "bytes", remedy)])
