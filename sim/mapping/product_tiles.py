"""Weight tiles of a product and the compute tasks on them: loaded from the core's own channel or passed on by a sharer.

The tiles that the cores work on one after the other are steps: a column tile, a part along k, a turn of the ring of
sharers. Each step brings every core a tile and computes on it; many steps are written at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.buffer import Entry
from cairn.sim.mapping.context import NONE, row_bytes, tile_counts
from cairn.sim.mapping.known_cycles import Parts
from cairn.sim.mapping.product_work import Work, group_of, send_all, share_of
from cairn.sim.mapping.schedule import Stretch
from cairn.sim.plan import actions
from cairn.sim.plan.builder import Region, Slice, Tile
from cairn.sim.plan.plan import SRAM

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

AT_ONCE = 1 << 14
"""Tiles that are written at once, about."""


@dataclass
class _Steps:
    """Steps that follow each other. Arrays are (steps,) or (steps, cores); tasks are -1 where there is none."""

    column: IntArray
    """Number of the column tile."""
    turn: IntArray
    na: IntArray
    nb: IntArray
    ka: IntArray
    kb: IntArray
    bytes: IntArray
    held: IntArray
    """(steps,) bytes of the buffer that a tile takes on any core."""
    brought: IntArray
    computed: IntArray


@dataclass
class _Passed:
    """The tile that is sent on: its place in the buffer and the tasks that brought it."""

    place: Entry
    brought: IntArray


def multiply_columns(work: Work, stretch: Stretch) -> IntArray:
    """The weight tiles of some column tiles of all cores and the products with them; answers each core's last one."""
    sharers = work.mapping.sharers
    groups = -(-(work.k1 - work.k0) // group_of(work))
    tile_k = int(work.product.shape.k) if work.group.coarse else work.mapping.tile_k
    k_tiles = tile_counts(int(-(-groups.max() // sharers)) * group_of(work), tile_k)
    columns = np.arange(stretch.begin, stretch.end, work.group.together)
    steps = np.indices((columns.size, k_tiles, sharers)).reshape(3, -1)
    steps[0] = columns[steps[0]]
    most = max(1, AT_ONCE // work.size)
    last, passed = np.full(work.size, NONE, dtype=np.int64), None
    for begin in range(0, steps.shape[1], most):
        column, part, turn = steps[:, begin : begin + most]
        some = _numbered(work, column, part, turn, stretch.end, tile_k)
        passed = _bring_weights(work, some, passed)
        _compute(work, some)
        last = np.maximum(last, some.computed.max(axis=0))
    return last


def _numbered(work: Work, column: IntArray, part: IntArray, turn: IntArray, end: int, tile_k: int) -> _Steps:
    """What each step is about, and the numbers of its tasks: what brings the tiles, first weights that no other core
    loads, then the products."""
    mapping, w_bits = work.mapping, work.product.shape.w_bits
    na, nb = (
        np.minimum(work.n0 + np.minimum(number, end)[:, None] * mapping.tile_n, work.n1)
        for number in (column, column + work.group.together)
    )
    block = (work.ranks.m - turn[:, None]) % mapping.sharers
    begin, stop = share_of(work, block, mapping.sharers)
    ka = np.minimum(begin + part[:, None] * tile_k, stop)
    kb = np.minimum(ka + tile_k, stop)
    size = work.group.passes * (kb - ka) * row_bytes(nb - na, w_bits)
    columns, depth = np.minimum(nb - na, mapping.tile_n), np.minimum(kb - ka, mapping.tile_k)
    held = np.maximum((depth * row_bytes(columns, w_bits)).max(axis=1), 1)
    brings, computes = size > 0, (kb > ka) & (nb > na) & (work.m1 > work.m0)
    order = np.where((turn == 0)[:, None], work.lanes, np.arange(work.size))
    in_order = np.take_along_axis(brings, order, axis=1)
    tasks = np.concatenate([in_order, computes], axis=1)
    numbers = np.full(tasks.shape, NONE, dtype=np.int64)
    numbers[tasks] = work.scope.plan.reserve(int(tasks.sum()))
    brought = np.empty_like(size)
    np.put_along_axis(brought, order, numbers[:, : work.size], axis=1)
    return _Steps(column, turn, na, nb, ka, kb, size, held, brought, numbers[:, work.size :])


def _bring_weights(work: Work, steps: _Steps, passed: _Passed | None) -> _Passed | None:
    """Loads, and transfers of what is passed on: in compute-shift the last turn's tile, in SPMD the first holder's.
    Answers what the next step may pass on.

    A tile waits until what lay in its place of the buffer has been used.
    """
    stage = work.scope.stage
    ring = work.sharer
    ready = np.full_like(steps.bytes, NONE)
    source = np.zeros_like(steps.bytes)
    addresses = np.zeros((steps.turn.size, 5), dtype=np.int64)
    waiting: list[IntArray] = []
    waited: list[IntArray] = []
    most = np.maximum(steps.bytes.max(axis=1), 1)
    for step, turn in enumerate(steps.turn.tolist()):
        brought = steps.brought[step]
        place, waits = stage.stream.reserve(int(steps.held[step]))
        waiting += [brought] * len(waits)
        waited += waits
        if turn == 0 or passed is None:
            addresses[step] = stage.memory.place(int(most[step])).at(0)
        else:
            source[step] = ring[turn if stage.spmd else 1]
            ready[step] = passed.brought[source[step]]
            at_source = np.full(work.size, NONE, dtype=np.int64)
            at_source[source[step]] = brought
            passed.place.users.append(at_source)
        place.users.append(steps.computed[step])
        if turn == 0 or not stage.spmd:
            passed = _Passed(place, brought)
    if work.scope.plan.skips:
        work.scope.plan.pass_over(int((steps.brought >= 0).sum()), steps.brought)
        return passed
    _write_loads(work, steps, addresses)
    data = Slice(work.product.w, (steps.ka, steps.kb), (steps.na, steps.nb), steps.bytes, work.product.group)
    send_all(work, source, data, ready, np.where((steps.turn > 0)[:, None], steps.brought, NONE), port="relay")
    if waiting:
        tasks, before = np.concatenate(waiting), np.concatenate(waited)
        there = tasks >= 0
        work.scope.plan.after(tasks[there], before[there])
    return passed


def _write_loads(work: Work, steps: _Steps, addresses: IntArray) -> None:
    loads = (steps.turn == 0)[:, None] & (steps.brought >= 0)
    copies = work.copies
    first_time = "unique" if work.group.first == 0 else "reread"
    for mask, cause in ((loads & ~copies, first_time), (loads & copies, "duplicate")):
        step, core = np.nonzero(mask)
        if step.size:
            rows, columns = (steps.ka[mask], steps.kb[mask]), (steps.na[mask], steps.nb[mask])
            part = Slice(work.product.w, rows, columns, steps.bytes[mask], work.product.group)
            above = work.scope.stage.above(work.core[core], part, tuple(addresses[step].T))
            work.scope.plan.copy(
                above, Region(SRAM, work.core[core], part), work.product.op, cause=cause, tasks=steps.brought[mask]
            )


def _compute(work: Work, steps: _Steps) -> None:
    """Compute tasks on the weight tiles of every core; the first ones of a column wait for their parts of x."""
    plan, product = work.scope.plan, work.product
    mask = steps.computed >= 0
    if plan.skips:
        plan.pass_over(int(mask.sum()), steps.computed)
        return
    if not mask.any():
        return
    core = np.nonzero(mask)[1]
    m = work.m0[core], work.m1[core]
    n, k = ((low[mask], high[mask]) for low, high in ((steps.na, steps.nb), (steps.ka, steps.kb)))
    sizes = m[1] - m[0], n[1] - n[0], k[1] - k[0]
    bits = product.x_bits, product.shape.w_bits, product.shape.partial_bits
    by_tables = product.shape.tables is not None
    tile_of = Tile(product.op, actions.LOOKUP if by_tables else actions.MATMUL, m, n, k, product.group)
    parts = Parts(work.group.passes, work.mapping.tile_n, work.mapping.tile_k)
    work.scope.matrix(
        work.core[core], tile_of, sizes, bits, steps.brought[mask], parts, weights=True, tasks=steps.computed[mask]
    )
    for step in np.nonzero(steps.column == 0)[0]:
        for begin, end, ready in work.arrivals:
            needed = mask[step] & (begin < steps.kb[step]) & (end > steps.ka[step])
            plan.after(steps.computed[step, needed], ready[needed])
