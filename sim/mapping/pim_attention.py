"""Lowering of decode attention to PIM units: scores, soft-max on the vector unit, context, as AttAcc does it.

Every core has the units of its own channel look at the keys that lie there: its queries fill the buffer, scores of a
tile of keys come back, the vector unit makes them weights when all scores of a unit are there, the weights of a tile
fill the buffer, and the sums of weighted values come back at the end. Each key, and each value, lies in one bank; what
the banks have added up is joined on its way out. New keys and values are stored before the units look at them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cairn.hw_models.dram.pim_spec import RESULT_BITS
from cairn.sim.mapping.attention_cache import append_rows, key_region
from cairn.sim.mapping.attention_job import Job, rows_of, steps_of
from cairn.sim.mapping.attention_work import place_keys, plan_visits, share_units
from cairn.sim.mapping.context import NONE, Scope, row_bytes
from cairn.sim.mapping.heads import apply_pending
from cairn.sim.mapping.past import Caches
from cairn.sim.mapping.pieces import wanted
from cairn.sim.mapping.pim_asked import why_attention_stays
from cairn.sim.mapping.pim_choice import SCORE_BYTES, attention_keys
from cairn.sim.plan import actions
from cairn.sim.plan.builder import Region, Slice, Tile
from cairn.sim.plan.plan import PIM, SRAM
from cairn.workloads.graph import Operator, Role

IntArray = npt.NDArray[np.int64]


def job_on_units(scope: Scope, operator: Operator) -> Job | None:
    """The attention as PIM units do it, None where the cores do it."""
    attention = operator.attention
    if attention is None or scope.past is not None or why_attention_stays(scope.block, operator) is not None:
        return None
    caches = [name for name in operator.inputs if scope.block.tensor(name).role is Role.KV]
    keys = attention_keys(attention, scope.bits(caches[0]), scope.chip, scope.stage.options)
    if keys is None:
        return None
    units = share_units(attention, scope.grid.size, _banks(scope))
    new, cached = (np.array([getattr(r, what) for r in attention.requests]) for what in ("new", "cached"))
    found = Caches(place_keys(attention, units, keys), True, cached)
    visits = plan_visits(units, found.blocks, True)
    return Job(scope, operator, attention, units, visits, found, caches[0], caches[1], np.cumsum(new) - new, cached)


def _banks(scope: Scope) -> int:
    pim = scope.chip.pim
    if pim is None:
        raise ValueError("an attention on PIM units needs a chip with them")
    return pim.together(scope.chip.dram.banks_per_channel)


def attend_on_units(job: Job) -> IntArray:
    """Write the tasks up to the sums of weighted values; answers the task after which each unit of work has its own."""
    _place_blocks(job)
    work = _OnUnits(job)
    work.stored = {cache: append_rows(job, cache) for cache in work.caches}
    queries = work.fill_queries()
    steps = [now for now, _ in steps_of(job.visits)]
    scored = [work.scores(now, queries) for now in steps]
    weights = work.join(steps, scored)
    done = np.full(job.units.count, NONE, dtype=np.int64)
    for now in steps:
        done[job.visits.unit[now]] = work.context(now, weights)
    return work.results(done)


def _place_blocks(job: Job) -> None:
    """Rows of banks for the blocks of keys and of values, each key in one bank."""
    banks, memory = _banks(job.scope), job.scope.stage.memory
    size = np.zeros(int(job.blocks.order.max()) + 1, dtype=np.int64)
    np.maximum.at(size, job.blocks.order, job.blocks.s1 - job.blocks.s0)
    for cache in (job.keys, job.values or job.keys):
        width = int(row_bytes(job.width(cache), job.scope.bits(cache)))
        places = [memory.place_together(-(-int(rows) // banks) * banks * width, banks, width).at(0) for rows in size]
        job.caches.addresses[cache, 0] = np.array(places, dtype=np.int64)


class _OnUnits:
    """The tasks of one attention on the units, step by step for all cores at once."""

    def __init__(self, job: Job):
        self.job, self.scope, self.plan = job, job.scope, job.scope.plan
        self.caches = (job.keys, job.values or job.keys)
        self.stored: dict[str, IntArray] = {}
        self.banks = _banks(job.scope)
        pim = job.scope.chip.pim
        self.turns = pim.turns_of(job.queries_per_key) if pim else 1
        self.read: list[IntArray] = []
        """By step, the task that took the scores of each rank from the accumulators."""
        self.used: list[IntArray] = []

    def fill_queries(self) -> IntArray:
        """Queries of each unit of work into the buffer; the task after which they are there."""
        job, units = self.job, self.job.units
        columns = job.queries_per_key * job.attention.head_dim
        row0 = job.token0[units.request] + units.q0
        row1, c0 = row0 + units.q1 - units.q0, units.head * columns
        core, name = job.core(units.rank), job.operator.inputs[0]
        x = self.scope.bring(name, wanted(core, row0, row1, c0, c0 + columns), job.op)
        tensor, x = apply_pending(self.scope, name, x)
        size = (row1 - row0) * row_bytes(np.full_like(c0, columns), self.scope.bits(name))
        return self._fill(core, Slice(tensor, (row0, row1), (c0, c0 + columns), size), [x.ready])

    def scores(self, now: IntArray, queries: IntArray) -> IntArray:
        """Scores of a step's tiles of keys, back in the cores, and their soft-max so far."""
        job, unit = self.job, self.job.visits.unit[now]
        free = [task for task in (self._by_unit(self.read[-2:-1], unit),) if task is not None]
        done = self._work(now, actions.SCORES, job.keys, job.attention.head_dim, [queries[unit], *free])
        core = job.core(job.units.rank[unit])
        read = self.plan.copy(
            Region(PIM, self._channel(core), self._tile_of(now, "scores")),
            Region(SRAM, core, self._tile_of(now, "scores")), job.op, done, "pim_result",
        )  # fmt: skip
        self.read.append(self._by_rank(unit, read))
        rows, n0, n1 = rows_of(job, now), job.visits.n0[now], job.visits.n1[now]
        group = job.group(job.units.request[unit], job.units.head[unit])
        tile = Tile(job.op, actions.SOFTMAX, (rows.row0, rows.row1), (n0, n1), (0, 0), group)
        elements = (rows.row1 - rows.row0) * job.queries_per_key * (n1 - n0)
        return self.scope.vector(core, tile, "softmax_online", elements, read)

    def join(self, steps: list[IntArray], scored: list[IntArray]) -> IntArray:
        """The task after which all scores of each unit of work are weights."""
        unit = np.concatenate([self.job.visits.unit[now] for now in steps])
        return self.plan.join(unit, np.concatenate(scored), self.job.units.count, self.job.op)

    def context(self, now: IntArray, weights: IntArray) -> IntArray:
        """Weights of a step's tiles to the units, and the values that they weigh."""
        job, unit = self.job, self.job.visits.unit[now]
        core = job.core(job.units.rank[unit])
        free = [task for task in (self._by_unit(self.used[-2:-1], unit),) if task is not None]
        filled = self._fill(core, self._tile_of(now, "weights"), [weights[unit], *free])
        done = self._work(now, actions.CONTEXT, self.caches[1], job.attention.value_dim, [filled])
        self.used.append(self._by_rank(unit, done))
        return done

    def results(self, done: IntArray) -> IntArray:
        """The sums of weighted values of each unit of work, back in the cores."""
        job, units = self.job, self.job.units
        core = job.core(units.rank)
        row0 = job.token0[units.request] + units.q0
        row1 = row0 + units.q1 - units.q0
        columns = job.queries_per_key * (job.attention.value_dim + 2)  # maximum and sum come from the scores
        size = (row1 - row0) * job.queries_per_key * job.attention.value_dim * RESULT_BITS // 8
        tensor = self.scope.tensor(f"{job.operator.outputs[0]}.partial")
        data = Slice(tensor, (row0, row1), (0, columns), size, job.group(units.request, units.head))
        return self.plan.copy(
            Region(PIM, self._channel(core), data), Region(SRAM, core, data), job.op, done, "pim_result"
        )

    def _work(self, now: IntArray, action: int, cache: str, width: int, after: list[IntArray]) -> IntArray:
        """A step's tiles of a cache on the units; those with new rows wait until these are stored."""
        job, block, unit = self.job, self.job.visits.block[now], self.job.visits.unit[now]
        n0, n1, rows = job.visits.n0[now], job.visits.n1[now], rows_of(job, now)
        operand = key_region(job, cache, (0, job.width(cache)), block, (n0, n1))
        each = int(row_bytes(job.width(cache), self.scope.bits(cache)))
        whole = -(-(n1 - n0) // self.banks) * self.banks * each
        part = operand.slice
        data = Slice(part.tensor, part.rows, part.columns, whole, part.group)
        group = job.group(job.units.request[unit], job.units.head[unit])
        tile = Tile(job.op, action, (rows.row0, rows.row1), (n0, n1), (0, width), group)
        ops = 2 * (rows.row1 - rows.row0) * job.queries_per_key * (n1 - n0) * width
        waits = [*after, self.stored[cache][block]]
        core, place = job.core(job.units.rank[unit]), Region(operand.kind, operand.place, data, operand.address)
        return self.plan.pim(core, tile, place, waits, ops, self.turns)

    def _tile_of(self, now: IntArray, what: str) -> Slice:
        """Scores or weights of a step's tiles: a tensor for each first key (see `numbers_attention`)."""
        job, visits = self.job, self.job.visits
        unit, n0, n1, rows = visits.unit[now], visits.n0[now], visits.n1[now], rows_of(job, now)
        tensor = np.array([self.scope.tensor(f"{job.operator.name}.{what}.{first}") for first in n0.tolist()])
        columns = job.queries_per_key * (n1 - n0)
        size = (rows.row1 - rows.row0) * columns * SCORE_BYTES
        group = job.group(job.units.request[unit], job.units.head[unit])
        return Slice(tensor, (rows.row0, rows.row1), (0, columns), size, group)

    def _fill(self, core: IntArray, data: Slice, after: list[IntArray]) -> IntArray:
        return self.plan.copy(
            Region(SRAM, core, data), Region(PIM, self._channel(core), data), self.job.op, after, "pim_input"
        )

    def _channel(self, core: IntArray) -> IntArray:
        return self.scope.chip.channel_of(core)

    def _by_rank(self, unit: IntArray, tasks: IntArray) -> IntArray:
        found = np.full(self.scope.grid.size, NONE, dtype=np.int64)
        found[self.job.units.rank[unit]] = tasks
        return found

    def _by_unit(self, by_rank: list[IntArray], unit: IntArray) -> IntArray | None:
        return by_rank[0][self.job.units.rank[unit]] if by_rank else None
