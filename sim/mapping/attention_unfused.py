"""Lowering of unfused attention: scores, soft-max and context as three operators, one after the other.

Work is shared as in fused attention. The scores of a core stay in its SRAM where all of them fit a share of it;
otherwise every tile is stored in the channel above the core, and soft-max and context read it back ("spill").
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.attention import bring_queries, context_tasks, join_parts, result_pieces, score_tasks
from cairn.sim.mapping.attention_cache import append_rows, bring_tile, place_blocks
from cairn.sim.mapping.attention_job import job_of, steps_of, tell_used
from cairn.sim.mapping.attention_tiles import ScoreTiles, rows_of_a_tile, score_tiles, spilling_ranks
from cairn.sim.mapping.attention_work import limit_rows, plan_visits
from cairn.sim.mapping.context import NONE, Scope
from cairn.workloads.graph import Operator, OpKind

IntArray = npt.NDArray[np.int64]


def lower_scores(scope: Scope, operator: Operator) -> None:
    """Queries times keys; new keys are appended."""
    tiles = _share(scope, operator)
    job, spilled = tiles.job, tiles.spilled
    place_blocks(job)
    queries = bring_queries(job)
    append_rows(job, job.keys)
    ready = np.full(job.units.count, NONE, dtype=np.int64)
    owner, stored = [], []
    for now, fresh in steps_of(job.visits):
        keys = bring_tile(job, job.keys, now, fresh)
        unit = job.visits.unit[now]
        away = np.nonzero(spilled[unit])[0]
        if away.size == 0:
            ready[unit] = score_tasks(job, now, keys, [queries[unit]])
            continue
        leaving = tiles.whole.where(now[away])
        place, waits = tiles.reserve(int(tiles.size(leaving).max()))
        rank = job.units.rank[unit]
        room = [np.where(spilled[unit], wait[rank], NONE) for wait in waits]
        ready[unit] = scored = score_tasks(job, now, keys, [queries[unit], *room])
        copies = tiles.write(leaving, scored[away])
        tell_used(job, place, unit[away], copies)
        owner.append(unit[away])
        stored.append(copies)
    if owner:
        ready[spilled] = tiles.join(np.concatenate(owner), np.concatenate(stored))[spilled]
    name = operator.outputs[0]
    scope.handed[name] = tiles
    scope.pieces[name] = tiles.pieces(ready)


def lower_context(scope: Scope, operator: Operator) -> None:
    """Probabilities times values; new values are appended. Parts of a row over several cores are added in a tree."""
    name = operator.inputs[0]
    tiles = tiles_for(scope, operator, name)
    job, ready = tiles.job, scope.pieces[name].ready
    if job.values is not None:
        append_rows(job, job.values)
    done = np.full(job.units.count, NONE, dtype=np.int64)
    for now, fresh in steps_of(job.visits):
        values = bring_tile(job, job.values or job.keys, now, fresh, job.attention.value_dim)
        unit = job.visits.unit[now]
        there = ready[unit]
        away = np.nonzero(tiles.spilled[unit])[0]
        if away.size:
            coming = tiles.whole.where(now[away])
            place, waits = tiles.reserve(int(tiles.size(coming).max()))
            rank = job.units.rank[unit[away]]
            there[away] = tiles.read(coming, [*(wait[rank] for wait in waits), there[away]])
        done[unit] = worked = context_tasks(job, now, there, values)
        if away.size:
            tell_used(job, place, unit[away], worked[away])
    scope.pieces[operator.outputs[0]] = result_pieces(job, join_parts(job, done, normalised=True))


def _share(scope: Scope, operator: Operator) -> ScoreTiles:
    """Who does what, as in fused attention; a core that spills takes no more rows at a time than a tile may have."""
    name = operator.outputs[0]
    context = next(
        other for other in scope.block.operators if other.kind is OpKind.ATTENTION_CONTEXT and other.inputs[0] == name
    )
    job = job_of(scope, operator)
    values = context.inputs[-1]
    if values != job.keys:
        job.values = values
    spilling = spilling_ranks(job, name)
    if spilling.any():
        job.units = limit_rows(job.attention, job.units, rows_of_a_tile(job, name), spilling)
        job.visits = plan_visits(job.units, job.blocks, job.local)
    return score_tiles(job, name, spilling)


def tiles_for(scope: Scope, operator: Operator, name: str) -> ScoreTiles:
    """The tiles of scores `name` for a later operator of the same attention."""
    tiles: ScoreTiles = scope.handed[name]
    return replace(tiles, job=replace(tiles.job, operator=operator))
