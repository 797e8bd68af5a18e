"""Lowering of a matrix product: gather x, pass weight blocks round while computing, reduce partial sums.

Core (im, in, ik) of the split computes y[m block im, n block in] over k block ik. Its x block is shared by the cores of
its n group, each of which first holds one part; its weight block by the sharers of its m group, each of which has one
part in the channel above; its y block is a partial sum that the k group adds up, each core ending with one part.
Compute-shift passes parts to the next core on a ring; SPMD sends each part from its first holder to everyone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.buffer import Entry
from cairn.sim.mapping.choose import MatmulMapping
from cairn.sim.mapping.context import NONE, Scope, row_bytes, tile_counts
from cairn.sim.mapping.grid import bounds
from cairn.sim.mapping.known_cycles import Parts
from cairn.sim.mapping.pieces import Pieces
from cairn.sim.mapping.product_rings import gather, reduce_sums
from cairn.sim.mapping.product_work import Product, Work, group_of, part_of, quantum_of, send, share_of, work_of
from cairn.sim.mapping.schedule import Group, Stretch, every_step, merged_steps
from cairn.sim.plan import actions
from cairn.sim.plan.builder import Region, Slice, Tile
from cairn.sim.plan.plan import SRAM

IntArray = npt.NDArray[np.int64]
Epilogue = Callable[[Pieces], Pieces]
"""Writes what follows in place on finished pieces of the result; answers what becomes of them."""


def lower_matmul(
    scope: Scope, product: Product, x: Pieces, mapping: MatmulMapping, epilogue: Epilogue | None = None
) -> Pieces:
    """Write the tasks of a product whose input lies as `x`; answers where its output lies.

    `epilogue` is done to every stretch of columns as soon as its sums are complete, while the next one is computed.
    """
    outputs = []
    for group in schedule(scope, product, mapping):
        work = work_of(scope, product, mapping, group)
        rows = work.m0, work.m1
        begin, end = (
            rows[0] + (rows[1] - rows[0]) * turn // mapping.passes for turn in (group.first, group.first + group.passes)
        )
        work.m0, work.m1 = begin, end
        gather(work, x, rows)
        outputs += _multiply(work, epilogue)
    if len(outputs) == 1:
        return outputs[0]
    return Pieces(*(np.concatenate([getattr(o, name) for o in outputs]) for name in ("core", "rect", "ready")))


def schedule(scope: Scope, product: Product, mapping: MatmulMapping) -> tuple[Group, ...]:
    """The passes, tiles and stretches in which a product is written."""
    n = bounds(product.shape.n, mapping.split.sizes[1], quantum_of(product))
    tiles = tile_counts(int(np.diff(n).max()), mapping.tile_n)
    steps = merged_steps if scope.stage.merged else every_step
    return steps(mapping.passes, tiles, min(mapping.reductions, tiles))


def _multiply(work: Work, epilogue: Epilogue | None) -> list[Pieces]:
    """All weight tiles of all cores and the compute tasks on them; answers where the result of the epilogue lies.

    The columns are worked on in stretches, each of which is added up while the next is computed.
    """
    outputs = []
    for stretch in work.group.stretches:
        last = _multiply_columns(work, stretch)
        n0 = np.minimum(work.n0 + stretch.begin * work.mapping.tile_n, work.n1)
        n1 = np.minimum(work.n0 + stretch.end * work.mapping.tile_n, work.n1)
        y = reduce_sums(work, last, n0, n1, stretch.rings)
        outputs.append(y if epilogue is None else epilogue(y))
    return outputs


def _multiply_columns(work: Work, stretch: Stretch) -> IntArray:
    """The weight tiles of some column tiles of all cores; answers each core's last compute task."""
    mapping, ranks = work.mapping, work.ranks
    sharers = mapping.sharers
    member = ranks.m % sharers
    groups = -(-(work.k1 - work.k0) // group_of(work))
    tile_k = int(work.product.shape.k) if work.group.coarse else mapping.tile_k
    k_tiles = tile_counts(int(-(-groups.max() // sharers)) * group_of(work), tile_k)
    last = np.full(work.size, NONE, dtype=np.int64)
    ring = _sharer_index(work, member)
    for j in range(stretch.begin, stretch.end, work.group.together):
        na = np.minimum(work.n0 + j * mapping.tile_n, work.n1)
        nb = np.minimum(work.n0 + min(j + work.group.together, stretch.end) * mapping.tile_n, work.n1)
        for part in range(k_tiles):
            passed: tuple[Entry, IntArray] | None = None
            for turn in range(sharers):
                block = (member - turn) % sharers
                begin, end = share_of(work, block, sharers)
                ka = np.minimum(begin + part * tile_k, end)
                kb = np.minimum(ka + tile_k, end)
                place, held = _bring_weights(work, ring, turn, passed, (na, nb, ka, kb))
                done = _compute(work, (na, nb, ka, kb), held, first=j == 0)
                place.users.append(done)
                last = np.where(done >= 0, done, last)
                if passed is None or not work.scope.stage.spmd:
                    passed = place, held
    return last


def _sharer_index(work: Work, member: IntArray) -> IntArray:
    """(sharers, cores): the grid index of the sharer `turn` places before each core on its ring."""
    sharers, ranks = work.mapping.sharers, work.ranks
    first = ranks.m - member
    turns = np.arange(sharers)[:, None]
    return ranks.index[first[None, :] + (member[None, :] - turns) % sharers, ranks.n[None, :], ranks.k[None, :]]


def _bring_weights(
    work: Work, ring: IntArray, turn: int, passed: tuple[Entry, IntArray] | None,
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
    sent = send(work, source, data, held[source], size > 0, waits, port="relay")
    at_source = np.full(work.size, NONE, dtype=np.int64)
    at_source[source] = sent
    entry.users.append(at_source)
    return place, sent


def _load_weights(work: Work, data: Slice, size: IntArray, waits: list[IntArray]) -> IntArray:
    stage, product = work.scope.stage, work.product
    address = stage.memory.place(max(1, int(size.max())))
    tasks = np.full(work.size, NONE, dtype=np.int64)
    copies = work.ranks.m // work.mapping.sharers > 0
    first_time = "unique" if work.group.first == 0 else "reread"
    for mask, cause in (((size > 0) & ~copies, first_time), ((size > 0) & copies, "duplicate")):
        if not mask.any():
            continue
        pick = np.nonzero(mask)[0]
        part = part_of(data, pick)
        core = work.core[pick]
        tasks[pick] = work.scope.plan.copy(
            stage.above(core, part, address.at(0)), Region(SRAM, core, part), product.op,
            after=[w[pick] for w in waits], cause=cause,
        )  # fmt: skip
    return tasks


def _compute(work: Work, tile: tuple[IntArray, IntArray, IntArray, IntArray], held: IntArray, first: bool) -> IntArray:
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
