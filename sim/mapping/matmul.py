"""Lowering of a matrix product: gather x, pass weight blocks round while computing, reduce partial sums.

Core (im, in, ik) of the split computes y[m block im, n block in] over k block ik. Its x block is shared by the cores of
its n group, each of which first holds one part; its weight block by the sharers of its m group, each of which has one
part in the channel above; its y block is a partial sum that the k group adds up, each core ending with one part.
Compute-shift passes parts to the next core on a ring; SPMD sends each part from its first holder to everyone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.buffer import Entry
from cairn.sim.mapping.choose import MatmulMapping
from cairn.sim.mapping.context import NONE, Scope, row_bytes, tile_counts
from cairn.sim.mapping.grid import Ranks, bounds, ranks_of
from cairn.sim.mapping.known_cycles import Parts
from cairn.sim.mapping.matmul_cost import MatmulShape, elements_per_byte
from cairn.sim.mapping.pieces import Pieces, redistribute, wanted
from cairn.sim.mapping.schedule import Group, Stretch, every_step, merged_steps
from cairn.sim.mapping.tables import make_tables
from cairn.sim.plan import actions
from cairn.sim.plan.builder import Region, Slice, Tile
from cairn.sim.plan.plan import SHORT_RINGS, SRAM

MANY_PARTS = 8
"""Parts that a core holds of its block of x, beyond which they are first brought together (assumed)."""

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
Epilogue = Callable[[Pieces], Pieces]
"""Writes what follows in place on finished pieces of the result; answers what becomes of them."""


@dataclass(frozen=True)
class Product:
    """One matrix product to be lowered: its operator, its tensors' numbers, its shape, and which matrix of w it
    uses.
    """

    op: int
    x: int
    w: int
    y: int
    shape: MatmulShape
    x_bits: float
    group: int = 0
    row0: int = 0
    """First row of x and y that the product is about (experts: their rows)."""


@dataclass
class _Work:
    """Blocks of every core (arrays over the grid): rows, columns and reduction range, and who holds what."""

    scope: Scope
    product: Product
    mapping: MatmulMapping
    ranks: Ranks
    core: IntArray
    m0: IntArray
    m1: IntArray
    n0: IntArray
    n1: IntArray
    k0: IntArray
    k1: IntArray
    group: Group
    """The passes that are being written."""
    arrivals: list[tuple[IntArray, IntArray, IntArray]] = field(default_factory=list)
    """Parts of x as they come: (begin, end) along k and the task that brings them."""

    @property
    def size(self) -> int:
        return int(self.core.size)


def lower_matmul(
    scope: Scope, product: Product, x: Pieces, mapping: MatmulMapping, epilogue: Epilogue | None = None
) -> Pieces:
    """Write the tasks of a product whose input lies as `x`; answers where its output lies.

    `epilogue` is done to every stretch of columns as soon as its sums are complete, while the next one is computed.
    """
    outputs = []
    for group in _schedule(scope, product, mapping):
        work = _work(scope, product, mapping, group)
        rows = work.m0, work.m1
        begin, end = (
            rows[0] + (rows[1] - rows[0]) * turn // mapping.passes for turn in (group.first, group.first + group.passes)
        )
        work.m0, work.m1 = begin, end
        _gather(work, x, rows)
        outputs += _multiply(work, epilogue)
    if len(outputs) == 1:
        return outputs[0]
    return Pieces(*(np.concatenate([getattr(o, name) for o in outputs]) for name in ("core", "rect", "ready")))


def _schedule(scope: Scope, product: Product, mapping: MatmulMapping) -> tuple[Group, ...]:
    """The passes, tiles and stretches in which a product is written."""
    n = bounds(product.shape.n, mapping.split.sizes[1], _quantum(product))
    tiles = tile_counts(int(np.diff(n).max()), mapping.tile_n)
    steps = merged_steps if scope.stage.merged else every_step
    return steps(mapping.passes, tiles, min(mapping.reductions, tiles))


def _quantum(product: Product) -> int:
    """Columns that stay together, since they share a byte."""
    return int(np.lcm(product.shape.quantum, elements_per_byte(product.shape.w_bits)))


def _work(scope: Scope, product: Product, mapping: MatmulMapping, group: Group) -> _Work:
    """The blocks of every core, all passes together."""
    grid, shape = scope.grid, product.shape
    ranks = ranks_of(mapping.split, grid.rows, grid.columns, grid.placement)
    gm, gn, gk = mapping.split.sizes
    m, n, k = bounds(shape.m, gm), bounds(shape.n, gn, _quantum(product)), bounds(shape.k, gk, shape.k_quantum)
    m = product.row0 + m
    return _Work(
        scope, product, mapping, ranks, grid.cores, m[ranks.m], m[ranks.m + 1], n[ranks.n], n[ranks.n + 1],
        k[ranks.k], k[ranks.k + 1], group,
    )  # fmt: skip


def _gather(work: _Work, x: Pieces, block: tuple[IntArray, IntArray]) -> None:
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


def _bring_x(work: _Work, x: Pieces, block: tuple[IntArray, IntArray]) -> None:
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
        previous, own, steps = work.ranks.neighbour("n", -1), ready, work.group.turns(gn)
        parts = []
        for turns in steps:
            holders = [work.ranks.neighbour("n", -turn) for turn in turns]
            each = [row_bytes(end[holder] - begin[holder], product.x_bits) for holder in holders]
            size = (work.m1 - work.m0) * np.sum(each, axis=0)
            part = (begin[holders[0]], end[holders[0]]) if len(turns) == 1 else (work.k0, work.k1)
            data = Slice(product.x, (work.m0, work.m1), part, size)
            ready = _send(work, previous, data, ready[previous], size > 0)
            parts.append((*part, ready))
        if len(steps) < gn - 1:
            parts = [(work.k0, work.k1, _ring_ends(work, "n", own, ready, gn - 1 - len(steps)))]
        work.arrivals += parts


def _ring_ends(work: _Work, dimension: str, begins: IntArray, last: IntArray, starts: int) -> IntArray:
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
    work: _Work, x: Pieces, block: tuple[IntArray, IntArray]
) -> list[tuple[IntArray, IntArray, IntArray]]:
    """What each core holds of its block of x before the ring turns: (begin, end) along k, and when it is there.

    Pieces that lie where they are needed stay as they are, each a ring of its own, which turns while later ones are
    still being made. Otherwise every core is brought an equal part.
    """
    product, gn = work.product, work.mapping.split.sizes[1]
    lying = _lying_parts(work, x, block)
    if lying is not None:
        return lying
    begin, end = _share(work, work.ranks.n, gn)
    want = wanted(work.core, work.m0, work.m1, begin, end)
    ready = redistribute(work.scope.plan, product.x, x, want, product.op, product.x_bits / 8).ready
    return [(begin, end, ready)]


def _group_of(work: _Work) -> int:
    """Elements along k that stay together."""
    return work.product.shape.k_quantum


def _share(work: _Work, number: IntArray, parts: int) -> tuple[IntArray, IntArray]:
    """Begin and end along k of part `number` of so many equal ones of each core's block, whole groups each."""
    group = _group_of(work)
    groups = -(-(work.k1 - work.k0) // group)
    begin, end = (work.k0 + groups * index // parts * group for index in (number, number + 1))
    return np.minimum(begin, work.k1), np.minimum(end, work.k1)


def _lying_parts(
    work: _Work, x: Pieces, block: tuple[IntArray, IntArray]
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
    group = _group_of(work)
    whole = ((c0 - work.k0[:, None]) % group == 0) & (((c1 - c0) % group == 0) | (c1 == work.k1[:, None]))
    if not (inside & whole).all():
        return None
    ready = x.ready[order].reshape(work.size, each)
    return [(c0[:, i], c1[:, i], ready[:, i]) for i in range(each)]


def _send(
    work: _Work, source: IntArray, data: Slice, after: IntArray, there: BoolArray, waits: list[IntArray] | None = None,
    cause: str = "share", reduce: bool = False, port: str = "noc",
) -> IntArray:  # fmt: skip
    """Copies from grid index `source[i]` to grid index i where `there`; tasks by destination (-1 where none)."""
    tasks = np.full(work.size, NONE, dtype=np.int64)
    if not there.any():
        return tasks
    whole = bool(there.all())
    pick = slice(None) if whole else np.nonzero(there)[0]
    part = data if whole else _part(data, np.nonzero(there)[0])
    tasks[pick] = work.scope.plan.copy(
        Region(SRAM, work.core[source[pick]], part), Region(SRAM, work.core[pick], part), work.product.op,
        after=[after[pick], *(w[pick] for w in waits or ())], cause=cause, reduce=reduce, port=port,
    )  # fmt: skip
    return tasks


def _part(data: Slice, pick: IntArray) -> Slice:
    def cut(value: object) -> IntArray:
        array = np.asarray(value, dtype=np.int64)
        return array[pick] if array.ndim else np.full(pick.size, array)

    return Slice(data.tensor, (cut(data.rows[0]), cut(data.rows[1])), (cut(data.columns[0]), cut(data.columns[1])),
                 cut(data.bytes), data.group)  # fmt: skip


def _multiply(work: _Work, epilogue: Epilogue | None) -> list[Pieces]:
    """All weight tiles of all cores and the compute tasks on them; answers where the result of the epilogue lies.

    The columns are worked on in stretches, each of which is added up while the next is computed.
    """
    outputs = []
    for stretch in work.group.stretches:
        last = _multiply_columns(work, stretch)
        n0 = np.minimum(work.n0 + stretch.begin * work.mapping.tile_n, work.n1)
        n1 = np.minimum(work.n0 + stretch.end * work.mapping.tile_n, work.n1)
        y = _reduce(work, last, n0, n1, stretch.rings)
        outputs.append(y if epilogue is None else epilogue(y))
    return outputs


def _multiply_columns(work: _Work, stretch: Stretch) -> IntArray:
    """The weight tiles of some column tiles of all cores; answers each core's last compute task."""
    mapping, ranks = work.mapping, work.ranks
    sharers = mapping.sharers
    member = ranks.m % sharers
    groups = -(-(work.k1 - work.k0) // _group_of(work))
    tile_k = int(work.product.shape.k) if work.group.coarse else mapping.tile_k
    k_tiles = tile_counts(int(-(-groups.max() // sharers)) * _group_of(work), tile_k)
    last = np.full(work.size, NONE, dtype=np.int64)
    ring = _sharer_index(work, member)
    for j in range(stretch.begin, stretch.end, work.group.together):
        na = np.minimum(work.n0 + j * mapping.tile_n, work.n1)
        nb = np.minimum(work.n0 + min(j + work.group.together, stretch.end) * mapping.tile_n, work.n1)
        for part in range(k_tiles):
            passed: tuple[Entry, IntArray] | None = None
            for turn in range(sharers):
                block = (member - turn) % sharers
                begin, end = _share(work, block, sharers)
                ka = np.minimum(begin + part * tile_k, end)
                kb = np.minimum(ka + tile_k, end)
                place, held = _bring_weights(work, ring, turn, passed, (na, nb, ka, kb))
                done = _compute(work, (na, nb, ka, kb), held, first=j == 0)
                place.users.append(done)
                last = np.where(done >= 0, done, last)
                if passed is None or not work.scope.stage.spmd:
                    passed = place, held
    return last


def _sharer_index(work: _Work, member: IntArray) -> IntArray:
    """(sharers, cores): the grid index of the sharer `turn` places before each core on its ring."""
    sharers, ranks = work.mapping.sharers, work.ranks
    first = ranks.m - member
    turns = np.arange(sharers)[:, None]
    return ranks.index[first[None, :] + (member[None, :] - turns) % sharers, ranks.n[None, :], ranks.k[None, :]]


def _bring_weights(
    work: _Work, ring: IntArray, turn: int, passed: tuple[Entry, IntArray] | None,
    tile: tuple[IntArray, IntArray, IntArray, IntArray],
) -> tuple[Entry, IntArray]:  # fmt: skip
    """The weight tile of this turn on every core, and its place: loaded from the core's own channel, or sent on.

    `passed` is the tile that is sent on: in compute-shift the last turn's, in SPMD the first holder's.
    """
    na, nb, ka, kb = tile
    product, stage = work.product, work.scope.stage
    passes = work.group.passes
    size = passes * (kb - ka) * row_bytes(nb - na, product.shape.w_bits)
    columns, depth = np.minimum(nb - na, work.mapping.tile_n), np.minimum(kb - ka, work.mapping.tile_k)
    held_at_once = depth * row_bytes(columns, product.shape.w_bits)
    place, waits = stage.stream.reserve(max(1, int(held_at_once.max())))
    data = Slice(product.w, (ka, kb), (na, nb), size, product.group)
    if passed is None:
        return place, _load_weights(work, data, size, waits)
    entry, held = passed
    source = ring[turn if stage.spmd else 1]
    sent = _send(work, source, data, held[source], size > 0, waits, port="relay")
    at_source = np.full(work.size, NONE, dtype=np.int64)
    at_source[source] = sent
    entry.users.append(at_source)
    return place, sent


def _load_weights(work: _Work, data: Slice, size: IntArray, waits: list[IntArray]) -> IntArray:
    stage, product = work.scope.stage, work.product
    address = stage.memory.place(max(1, int(size.max())))
    tasks = np.full(work.size, NONE, dtype=np.int64)
    copies = work.ranks.m // work.mapping.sharers > 0
    first_time = "unique" if work.group.first == 0 else "reread"
    for mask, cause in (((size > 0) & ~copies, first_time), ((size > 0) & copies, "duplicate")):
        if not mask.any():
            continue
        pick = np.nonzero(mask)[0]
        part = _part(data, pick)
        core = work.core[pick]
        tasks[pick] = work.scope.plan.copy(
            stage.above(core, part, address.at(0)), Region(SRAM, core, part), product.op,
            after=[w[pick] for w in waits], cause=cause,
        )  # fmt: skip
    return tasks


def _compute(work: _Work, tile: tuple[IntArray, IntArray, IntArray, IntArray], held: IntArray, first: bool) -> IntArray:
    """Compute tasks on one weight tile of every core; the first ones of a column wait for their parts of x."""
    na, nb, ka, kb = tile
    plan, product = work.scope.plan, work.product
    tasks = np.full(work.size, NONE, dtype=np.int64)
    pick = np.nonzero((kb > ka) & (nb > na) & (work.m1 > work.m0))[0]
    if pick.size == 0:
        return tasks
    sizes = (work.m1 - work.m0)[pick], (nb - na)[pick], (kb - ka)[pick]
    bits = product.x_bits, product.shape.w_bits, product.shape.partial_bits
    m, n, k = ((a[pick], b[pick]) for a, b in ((work.m0, work.m1), (na, nb), (ka, kb)))
    by_tables = product.shape.tables is not None
    tile_of = Tile(product.op, actions.LOOKUP if by_tables else actions.MATMUL, m, n, k, product.group)
    parts = Parts(work.group.passes, work.mapping.tile_n, work.mapping.tile_k)
    tasks[pick] = work.scope.matrix(work.core[pick], tile_of, sizes, bits, held[pick], parts, weights=True)
    if first:
        for begin, end, ready in work.arrivals:
            needed = pick[((begin < kb) & (end > ka))[pick]]
            plan.after(tasks[needed], ready[needed])
    return tasks


def _reduce(work: _Work, last: IntArray, n0: IntArray, n1: IntArray, rings: int) -> Pieces:
    """Add up the partial sums of columns [n0, n1) over the k group; every core ends with a part of them, complete.

    One ring turns that stands for `rings` of the mapping, of which each but one still waits for the start of its
    transfers: after its last step, since all of its steps go one after the other. In a coarse group it has few steps.
    """
    gk = work.mapping.split.sizes[2]
    quantum = _quantum(work.product)
    if gk == 1:
        return wanted_done(work.core, (work.m0, work.m1, n0, n1), last)
    units = -(-(n1 - n0) // quantum)

    def part(number: IntArray) -> tuple[IntArray, IntArray]:
        return (
            np.minimum(n0 + units * number // gk * quantum, n1),
            np.minimum(n0 + units * (number + 1) // gk * quantum, n1),
        )

    final = last
    previous = work.ranks.neighbour("k", -1)
    each_turn = [range(turn, turn + 1) for turn in range(1, gk)]
    steps = each_turn if work.scope.stage.spmd else work.group.turns(gk)
    for turns in steps:
        if work.scope.stage.spmd:  # everyone sends its share of a part to the part's owner
            source, numbers, ready = work.ranks.neighbour("k", -turns[0]), [work.ranks.k], last
        else:  # the part travels round the ring towards its owner, growing by one share a step
            source, numbers, ready = previous, [(work.ranks.k - 1 - turn) % gk for turn in turns], final
        spans = [part(number) for number in numbers]
        begin, end = spans[0] if len(spans) == 1 else (n0, n0 + sum(high - low for low, high in spans))
        each = [row_bytes(high - low, work.product.shape.partial_bits) for low, high in spans]
        size = (work.m1 - work.m0) * np.sum(each, axis=0)
        data = Slice(work.product.y, (work.m0, work.m1), (begin, end), size)
        sent = _send(work, source, data, ready[source], size > 0, None, "reduce", reduce=True, port="reduce")
        final = _add(work, begin, end, sent, final, rings * len(turns))
    if len(steps) < gk - 1:
        final = _ring_ends(work, "k", last, final, (gk - 1) * rings - len(steps))
    elif rings > 1:
        noc = work.scope.chip.noc
        waits = (gk - 1) * (rings - 1) * (noc.start + noc.hop_cycles)
        final = work.scope.plan.sync([final], work.size, waits, work.product.op)
    begin, end = part(work.ranks.k)
    return wanted_done(work.core, (work.m0, work.m1, begin, end), final)


def _add(work: _Work, begin: IntArray, end: IntArray, sent: IntArray, before: IntArray, times: int) -> IntArray:
    """Add what was sent, in `times` additions."""
    tasks = before.copy()
    pick = np.nonzero(sent >= 0)[0]
    if pick.size:
        elements = ((work.m1 - work.m0) * (end - begin))[pick]
        rows, columns = (work.m0[pick], work.m1[pick]), (begin[pick], end[pick])
        tile = Tile(work.product.op, actions.REDUCE, rows, columns)
        after = [sent[pick], before[pick]]
        tasks[pick] = work.scope.vector(work.core[pick], tile, "reduce_add", elements, after, times)
    return tasks


def wanted_done(core: IntArray, rect: tuple[IntArray, IntArray, IntArray, IntArray], ready: IntArray) -> Pieces:
    """Pieces that lie on `core` as `rect`, once `ready` has ended; empty ones left out."""
    return Pieces(core, np.stack(rect, axis=1), ready).without_empty()
