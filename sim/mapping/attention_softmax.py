"""Lowering of the soft-max of an unfused attention, on scores that lie in the SRAM of their core or in DRAM.

A whole row is needed for its maximum and sum. Where a core has all keys of its rows it does them in one pass, those
from DRAM some rows at a time. Where rows are shared with other cores, or not even one fits, the first pass takes the
statistics of what is there, cores exchange them, and a second pass makes probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.attention_job import Job, tell_used
from cairn.sim.mapping.attention_tiles import Parts, ScoreTiles
from cairn.sim.mapping.attention_unfused import tiles_for
from cairn.sim.mapping.attention_work import count_up
from cairn.sim.mapping.context import NONE, Scope
from cairn.sim.plan import actions
from cairn.sim.plan.builder import Region, Slice, Tile
from cairn.sim.plan.plan import SRAM
from cairn.workloads.graph import Operator

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

STATISTICS_BYTES = 8
"""Maximum and sum of a row of scores, 32 bits each."""


@dataclass(frozen=True)
class _Work:
    """What the vector unit does to each score: an action of the plan, a kind of work, whether the result is kept."""

    action: int
    kind: str
    writes: bool


_ALL = _Work(actions.SOFTMAX, "softmax", writes=True)
_STATISTICS = _Work(actions.ROW_STATS, "softmax_online", writes=False)
_SCALE = _Work(actions.PROBABILITIES, "scale", writes=True)  # exponentials that lie in SRAM, times one number a row
_AGAIN = _Work(actions.PROBABILITIES, "softmax", writes=True)  # scores read once more, exponentials taken again


@dataclass(frozen=True)
class _Stretches:
    """Scores that come to the SRAM together: stretch i belongs to `unit[i]` and is the `parts` whose `owner` is i."""

    unit: IntArray
    owner: IntArray
    parts: Parts


def lower_softmax(scope: Scope, operator: Operator) -> None:
    """Probabilities in place of scores."""
    name = operator.outputs[0]
    tiles = tiles_for(scope, operator, name)
    job, units, ready = tiles.job, tiles.job.units, scope.pieces[name].ready
    row = np.zeros(units.count, dtype=np.int64)
    np.add.at(row, tiles.unit, tiles.row_bytes(tiles.whole.visit))
    fits = row <= scope.stage.stream.capacity_bytes // 2
    alone = (units.parts == 1) & (fits | ~tiles.spilled)
    done = np.full(units.count, NONE, dtype=np.int64)
    _in_sram(tiles, alone & ~tiles.spilled, _ALL, ready, done)
    _through_sram(tiles, _by_rows(tiles, alone & tiles.spilled, row), _ALL, ready, done)
    if not alone.all():
        kept, away = ~alone & ~tiles.spilled, ~alone & tiles.spilled
        total = ready.copy()
        _in_sram(tiles, kept, _STATISTICS, ready, total)
        _through_sram(tiles, _by_tiles(tiles, away), _STATISTICS, ready, total)
        total = _exchange(job, name, total)
        _in_sram(tiles, kept, _SCALE, total, done)
        _through_sram(tiles, _by_tiles(tiles, away), _AGAIN, total, done)
    scope.pieces[name] = tiles.pieces(done)


def _in_sram(tiles: ScoreTiles, mask: BoolArray, work: _Work, after: IntArray, done: IntArray) -> None:
    """One task for all scores of each of the marked units, `after` and `done` by unit."""
    pick = np.nonzero(mask)[0]
    if pick.size == 0:
        return
    job, units = tiles.job, tiles.job.units
    elements = np.zeros(units.count, dtype=np.int64)
    np.add.at(elements, tiles.unit, tiles.elements(tiles.whole))
    row0 = job.token0[units.request] + units.q0
    done[pick] = _tasks(
        job, pick, work, (row0[pick], (row0 + units.q1 - units.q0)[pick]), (units.s0[pick], units.s1[pick]),
        elements[pick], after[pick],
    )  # fmt: skip


def _tasks(
    job: Job, unit: IntArray, work: _Work, rows: tuple[IntArray, IntArray], keys: tuple[IntArray, IntArray],
    elements: IntArray, after: IntArray,
) -> IntArray:  # fmt: skip
    units = job.units
    group = job.group(units.request[unit], units.head[unit])
    tile = Tile(job.op, work.action, rows, keys, (0, 0), group)
    return job.scope.vector(job.core(units.rank[unit]), tile, work.kind, elements, after)


def _through_sram(tiles: ScoreTiles, stretches: _Stretches, work: _Work, after: IntArray, done: IntArray) -> None:
    """Stretch after stretch: loaded, worked on, stored again where the work writes; `after` and `done` by unit."""
    if stretches.unit.size == 0:
        return
    job, visits = tiles.job, tiles.job.visits
    rank = job.units.rank[stretches.unit]
    step = count_up(rank)
    part_step = step[stretches.owner]
    ends = np.full(stretches.unit.size, NONE, dtype=np.int64)
    for number in range(int(step.max()) + 1):
        now, mine = np.nonzero(step == number)[0], np.nonzero(part_step == number)[0]
        parts, owner = stretches.parts.where(mine), np.searchsorted(now, stretches.owner[mine])
        unit = stretches.unit[now]
        size = np.bincount(owner, tiles.size(parts), now.size)
        place, waits = tiles.reserve(int(size.max()))
        loaded = tiles.read(parts, [*(wait[rank[now]][owner] for wait in waits), after[unit][owner]])
        elements = np.zeros(now.size, dtype=np.int64)
        np.add.at(elements, owner, tiles.elements(parts))
        corner = np.stack([parts.row0, -parts.row1, visits.n0[parts.visit], -visits.n1[parts.visit]])
        box = np.full((4, now.size), np.iinfo(np.int64).max)
        for index in range(4):
            np.minimum.at(box[index], owner, corner[index])
        there = job.scope.plan.join(owner, loaded, now.size, job.op)
        end = _tasks(job, unit, work, (box[0], -box[1]), (box[2], -box[3]), elements, there)
        if work.writes:
            end = job.scope.plan.join(owner, tiles.write(parts, end[owner]), now.size, job.op)
        tell_used(job, place, unit, end)
        ends[now] = end
    units = np.unique(stretches.unit)
    done[units] = tiles.join(stretches.unit, ends)[units]


def _by_tiles(tiles: ScoreTiles, mask: BoolArray) -> _Stretches:
    """Each tile of the marked units by itself."""
    pick = np.nonzero(mask[tiles.unit])[0]
    return _Stretches(tiles.unit[pick], np.arange(pick.size), tiles.whole.where(pick))


def _by_rows(tiles: ScoreTiles, mask: BoolArray, row: IntArray) -> _Stretches:
    """Whole rows of the marked units, as many at a time as make a tile; `row` is the bytes of a token's row."""
    job, units = tiles.job, tiles.job.units
    unit = np.nonzero(mask)[0]
    most = np.maximum(1, job.scope.stage.tile_bytes // np.maximum(1, row[unit]))
    rows = (units.q1 - units.q0)[unit]
    count = -(-rows // most)
    index = np.repeat(np.arange(unit.size), count)
    number = count_up(index)
    first = (job.token0[units.request] + units.q0)[unit][index]
    row0, row1 = first + rows[index] * number // count[index], first + rows[index] * (number + 1) // count[index]
    order = np.argsort(tiles.unit, kind="stable")
    start = np.searchsorted(tiles.unit[order], unit[index])
    size = np.bincount(tiles.unit, minlength=units.count)[unit[index]]
    owner = np.repeat(np.arange(index.size), size)
    visit = order[start[owner] + count_up(owner)]
    whole = tiles.whole.where(visit)
    parts = Parts(visit, np.maximum(row0[owner], whole.row0), np.minimum(row1[owner], whole.row1))
    some = parts.row1 > parts.row0
    return _Stretches(unit[index], owner[some], parts.where(some))


def _exchange(job: Job, name: str, statistics: IntArray) -> IntArray:
    """Maximum and sum of the rows of each pair, joined over its parts in a binomial tree and told to all of them."""
    units, scope = job.units, job.scope
    most = int(units.parts.max(initial=1))
    number = np.full((int(units.pair.max()) + 1, most), NONE, dtype=np.int64)
    split = np.nonzero(units.parts > 1)[0]
    number[units.pair[split], units.part[split]] = split
    latest = statistics.copy()
    steps = [1 << i for i in range(most.bit_length()) if 1 << i < most]
    for step in steps:
        sender = split[units.part[split] % (2 * step) == step]
        receiver = number[units.pair[sender], units.part[sender] - step]
        sent = _send(job, name, sender, receiver, latest[sender], "reduce")
        rows, span = _rows(job, receiver)
        tile = Tile(job.op, actions.MERGE, span, (units.s0[sender], units.s1[sender]), (0, 0), _group(job, receiver))
        core = job.core(units.rank[receiver])
        latest[receiver] = scope.vector(core, tile, "softmax_online", 2 * rows, [sent, latest[receiver]])
    for step in reversed(steps):
        receiver = split[units.part[split] % (2 * step) == step]
        sender = number[units.pair[receiver], units.part[receiver] - step]
        latest[receiver] = _send(job, name, sender, receiver, latest[sender], "share")
    return latest


def _send(job: Job, name: str, sender: IntArray, receiver: IntArray, after: IntArray, cause: str) -> IntArray:
    core = job.core(job.units.rank)
    rows, span = _rows(job, sender)
    columns = 0, 2 * job.queries_per_key  # maxima of the query heads, then their sums
    data = Slice(job.scope.tensor(f"{name}.statistics"), span, columns, rows * STATISTICS_BYTES, _group(job, sender))
    here, there = Region(SRAM, core[sender], data), Region(SRAM, core[receiver], data)
    return job.scope.plan.copy(here, there, job.op, after, cause, reduce=cause == "reduce")


def _rows(job: Job, unit: IntArray) -> tuple[IntArray, tuple[IntArray, IntArray]]:
    """Rows of scores of units, and their token rows."""
    units = job.units
    row0 = (job.token0[units.request] + units.q0)[unit]
    count = (units.q1 - units.q0)[unit]
    return count * job.queries_per_key, (row0, row0 + count)


def _group(job: Job, unit: IntArray) -> IntArray:
    return job.group(job.units.request[unit], job.units.head[unit])
