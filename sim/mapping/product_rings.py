"""Rings of a product: parts of x pass round the cores that share them, partial sums round those that add them up.

Compute-shift passes parts to the next core on a ring; SPMD sends each part from its first holder to everyone. In coarse
groups of merged products a ring goes round in few steps (`schedule.py`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.context import NONE, row_bytes
from cairn.sim.mapping.pieces import Pieces, redistribute, wanted
from cairn.sim.mapping.product_work import Work, group_of, quantum_of, send_all, share_of, wanted_done
from cairn.sim.mapping.tables import make_tables
from cairn.sim.plan import actions
from cairn.sim.plan.builder import Slice, Tile
from cairn.sim.plan.plan import SHORT_RINGS

MANY_PARTS = 8
"""Parts that a core holds of its block of x, beyond which they are first brought together (assumed)."""

IntArray = npt.NDArray[np.int64]


def gather(work: Work, x: Pieces, block: tuple[IntArray, IntArray]) -> None:
    """Bring x[m block, k block] to every core, part by part; `block` has the rows of all passes. For a LUT unit tables
    are made of it there, unless an operator before has left them on the same cores."""
    tables, scope = work.product.shape.tables, work.scope
    if tables is None:
        _bring_x(work, x, block)
        return
    key = work.product.x, b"".join(side.tobytes() for side in (work.m0, work.m1, work.k0, work.k1))
    if key not in scope.tables:
        _bring_x(work, x, block)
        op, rows, turns = work.product.op, (work.m0, work.m1), work.group.passes
        scope.tables[key] = [
            (begin, end, make_tables(scope, op, tables, work.core, rows, (begin, end), ready, turns))
            for begin, end, ready in work.arrivals
        ]
    work.arrivals = scope.tables[key]


def _bring_x(work: Work, x: Pieces, block: tuple[IntArray, IntArray]) -> None:
    """Parts of x on their way, as they come."""
    scope, product = work.scope, work.product
    plan, gn = scope.plan, work.mapping.split.sizes[1]
    if scope.stage.spmd or gn == 1:
        want = wanted(work.core, work.m0, work.m1, work.k0, work.k1)
        ready = redistribute(plan, product.x, x, want, product.op, product.x_bits / 8, "share").ready
        work.arrivals.append((work.k0, work.k1, ready))
        return
    for begin, end, ready in _own_parts(work, x, block):
        work.arrivals.append((begin, end, ready))
        own, steps = ready, work.group.turns(gn)
        parts = _pass_round(work, begin, end, ready, steps)
        ready = parts[-1][2]
        if len(steps) < gn - 1:
            parts = [(work.k0, work.k1, _ring_ends(work, "n", own, ready, gn - 1 - len(steps)))]
        work.arrivals += parts


def _pass_round(
    work: Work, begin: IntArray, end: IntArray, own: IntArray, steps: list[range]
) -> list[tuple[IntArray, IntArray, IntArray]]:
    """Send a part [begin, end) of x of every core, there after `own`, round the ring of its n group; answers the parts
    of each step, and the tasks that bring them."""
    product, ranks = work.product, work.ranks
    turns = np.arange(1, steps[-1].stop)
    starts = [turn.start - 1 for turn in steps]
    holder = np.stack([ranks.neighbour("n", -turn) for turn in turns.tolist()])
    each = np.add.reduceat(row_bytes(end[holder] - begin[holder], product.x_bits), starts, axis=0)
    size = (work.m1 - work.m0) * each
    alone = np.array([len(turn) == 1 for turn in steps])[:, None]
    low, high = np.where(alone, begin[holder[starts]], work.k0), np.where(alone, end[holder[starts]], work.k1)
    there = size > 0
    tasks = np.full(size.shape, NONE, dtype=np.int64)
    tasks[there] = work.scope.plan.reserve(int(there.sum()))
    ready = np.concatenate([own[None], tasks[:-1]])[:, ranks.neighbour("n", -1)]
    send_all(work, ranks.neighbour("n", -1), Slice(product.x, (work.m0, work.m1), (low, high), size), ready, tasks)
    return list(zip(low, high, tasks, strict=True))


def _ring_ends(work: Work, dimension: str, begins: IntArray, last: IntArray, starts: int) -> IntArray:
    """The end of a ring of `dimension` that is written in fewer steps: after `last` on each core, after what every core
    of the ring begins with, and after what the `starts` of transfers that are not written wait."""
    noc, plan, op = work.scope.chip.noc, work.scope.plan, work.product.op
    plan.notes[SHORT_RINGS] = True
    one, other = (rank for name, rank in (("m", work.ranks.m), ("n", work.ranks.n), ("k", work.ranks.k))
                  if name != dimension)  # fmt: skip
    ring = one * (int(other.max()) + 1) + other
    together = plan.join(ring, begins, int(ring.max()) + 1, op)
    return plan.sync([last, together[ring]], work.size, starts * (noc.start + noc.hop_cycles), op)


def _own_parts(
    work: Work, x: Pieces, block: tuple[IntArray, IntArray]
) -> list[tuple[IntArray, IntArray, IntArray]]:
    """What each core holds of its block of x before the ring turns: (begin, end) along k, and when it is there.

    Pieces that lie where they are needed stay as they are, each a ring of its own, which turns while later ones are
    still being made. Otherwise every core is brought an equal part.
    """
    product, gn = work.product, work.mapping.split.sizes[1]
    lying = _lying_parts(work, x, block)
    if lying is not None:
        return lying
    begin, end = share_of(work, work.ranks.n, gn)
    want = wanted(work.core, work.m0, work.m1, begin, end)
    ready = redistribute(work.scope.plan, product.x, x, want, product.op, product.x_bits / 8).ready
    return [(begin, end, ready)]


def _lying_parts(
    work: Work, x: Pieces, block: tuple[IntArray, IntArray]
) -> list[tuple[IntArray, IntArray, IntArray]] | None:
    """The pieces on each core, if there are equally many of them, few, and all of them parts of the core's block."""
    each = x.count // work.size
    if each == 0 or each > MANY_PARTS or each * work.size != x.count:
        return None
    rank = np.full(int(max(x.core.max(), work.core.max())) + 1, NONE, dtype=np.int64)
    rank[work.core] = np.arange(work.size)
    owner = rank[x.core]
    order = np.argsort(owner, kind="stable")
    if not np.array_equal(owner[order], np.repeat(np.arange(work.size), each)):
        return None
    r0, r1, c0, c1 = (x.rect[order, side].reshape(work.size, each) for side in range(4))
    inside = (r0 == block[0][:, None]) & (r1 == block[1][:, None]) & (c0 >= work.k0[:, None]) & (c1 <= work.k1[:, None])
    group = group_of(work)
    whole = ((c0 - work.k0[:, None]) % group == 0) & (((c1 - c0) % group == 0) | (c1 == work.k1[:, None]))
    if not (inside & whole).all():
        return None
    ready = x.ready[order].reshape(work.size, each)
    return [(c0[:, i], c1[:, i], ready[:, i]) for i in range(each)]


def reduce_sums(work: Work, last: IntArray, n0: IntArray, n1: IntArray, rings: int) -> Pieces:
    """Add up the partial sums of columns [n0, n1) over the k group; every core ends with a part of them, complete.

    One ring turns that stands for `rings` of the mapping, of which each but one still waits for the start of its
    transfers: after its last step, since all of its steps go one after the other. In a coarse group it has few steps.
    """
    gk = work.mapping.split.sizes[2]
    quantum = quantum_of(work.product)
    if gk == 1:
        return wanted_done(work.core, (work.m0, work.m1, n0, n1), last)
    units = -(-(n1 - n0) // quantum)

    def part(number: IntArray) -> tuple[IntArray, IntArray]:
        return (
            np.minimum(n0 + units * number // gk * quantum, n1),
            np.minimum(n0 + units * (number + 1) // gk * quantum, n1),
        )

    each_turn = [range(turn, turn + 1) for turn in range(1, gk)]
    steps = each_turn if work.scope.stage.spmd else work.group.turns(gk)
    final = _add_round(work, last, steps, n0, part, rings)
    if len(steps) < gk - 1:
        final = _ring_ends(work, "k", last, final, (gk - 1) * rings - len(steps))
    elif rings > 1:
        noc = work.scope.chip.noc
        waits = (gk - 1) * (rings - 1) * (noc.start + noc.hop_cycles)
        final = work.scope.plan.sync([final], work.size, waits, work.product.op)
    begin, end = part(work.ranks.k)
    return wanted_done(work.core, (work.m0, work.m1, begin, end), final)


def _add_round(
    work: Work, last: IntArray, steps: list[range], n0: IntArray, part: Callable[[IntArray], tuple[IntArray, IntArray]],
    rings: int,
) -> IntArray:  # fmt: skip
    """Transfers of partial sums and the additions after them, step by step; answers each core's last addition."""
    product, ranks, spmd = work.product, work.ranks, work.scope.stage.spmd
    gk = work.mapping.split.sizes[2]
    turns, starts = np.arange(1, gk), [turn.start - 1 for turn in steps]
    if spmd:  # everyone sends its share of a part to the part's owner
        source = np.stack([ranks.neighbour("k", -turn) for turn in turns.tolist()])
        number = np.broadcast_to(ranks.k, source.shape)
    else:  # the part travels round the ring towards its owner, growing by one share a step
        source = np.broadcast_to(ranks.neighbour("k", -1), (len(steps), work.size))
        number = (ranks.k - 1 - turns[:, None]) % gk
    low, high = part(number)
    size = (work.m1 - work.m0) * np.add.reduceat(row_bytes(high - low, product.shape.partial_bits), starts, axis=0)
    count = np.array([len(turn) for turn in steps])[:, None]
    begin = np.where(count == 1, low[starts], n0)
    end = np.where(count == 1, high[starts], n0 + np.add.reduceat(high - low, starts, axis=0))
    there = size > 0
    both = np.concatenate([there, there], axis=1)
    in_turn = np.full(both.shape, NONE, dtype=np.int64)
    in_turn[both] = work.scope.plan.reserve(int(both.sum()))
    sent, added = in_turn[:, : work.size], in_turn[:, work.size :]
    before = np.empty_like(size)
    final = last
    for step in range(len(steps)):
        before[step] = final
        final = np.where(there[step], added[step], final)
    if work.scope.plan.skips:
        work.scope.plan.pass_over(int(both.sum()), in_turn)
        return final
    if not there.any():
        return final
    ready = last[source] if spmd else np.take_along_axis(before, source, axis=1)
    data = Slice(product.y, (work.m0, work.m1), (begin, end), size)
    send_all(work, source, data, ready, sent, "reduce", reduce=True, port="reduce")
    core = np.nonzero(there)[1]
    tile = Tile(product.op, actions.REDUCE, (work.m0[core], work.m1[core]), (begin[there], end[there]))
    elements = (work.m1 - work.m0)[core] * (end - begin)[there]
    times = np.broadcast_to(rings * count, size.shape)[there]
    after = [sent[there], before[there]]
    work.scope.vector(work.core[core], tile, "reduce_add", elements, after, times, added[there])
    return final
