"""Lowering of products with several weight matrices: heads (each with columns of its own), experts (rows of their own).

The columns of all matrices that are used are laid end to end and cut into stretches of equal length, one a core. A core
brings the whole reduction length of its x and streams its weights from its own channel: nothing is reduced, no weight
is shared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.by_tables import ByTables, by_tables
from cairn.sim.mapping.context import NONE, Scope, row_bytes
from cairn.sim.mapping.matmul_cost import elements_per_byte
from cairn.sim.mapping.pieces import Pieces, wanted
from cairn.sim.mapping.tables import make_tables
from cairn.sim.plan import actions
from cairn.sim.plan.builder import Region, Slice, Tile
from cairn.sim.plan.plan import SRAM
from cairn.workloads.graph import Operator

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Stretches:
    """Stretch i: columns [n0, n1) of matrix `group[i]` on rank `rank[i]`."""

    rank: IntArray
    group: IntArray
    n0: IntArray
    n1: IntArray


@dataclass(frozen=True)
class Grouped:
    """A grouped product: for each matrix its rows of x (m0, m1) and columns of x (k0) and of y (y0)."""

    operator: Operator
    x: str
    w: str
    y: str
    groups: IntArray
    m0: IntArray
    m1: IntArray
    k0: IntArray
    y0: IntArray
    passed: int = 0
    """Columns of a head that x has beyond the reduction length; they follow y's own columns of that head."""


def cut_stretches(groups: IntArray, columns: int, cores: int, quantum: int) -> Stretches:
    """Cut the columns of all `groups` laid end to end into equal parts, in units of `quantum`."""
    units = -(-columns // quantum)
    edges = np.arange(cores + 1) * (groups.size * units) // cores
    marks = np.unique(np.concatenate([edges, np.arange(groups.size + 1) * units]))
    begin, end = marks[:-1], marks[1:]
    rank = np.searchsorted(edges, begin, side="right") - 1
    number = begin // units
    n0 = (begin - number * units) * quantum
    n1 = np.minimum((end - number * units) * quantum, columns)
    return Stretches(rank, groups[number], n0, n1)


def lower_grouped(scope: Scope, job: Grouped) -> None:
    """Write the tasks of a grouped product whose x fits the SRAM beside the stream."""
    operator, op = job.operator, scope.op(job.operator)
    w = scope.block.tensor(job.w)
    quantum = _whole(scope, job)
    if w.columns * job.groups.size < quantum * scope.grid.size:
        quantum = elements_per_byte(w.bits)
    parts = cut_stretches(job.groups, w.columns, scope.grid.size, quantum)
    at = np.searchsorted(job.groups, parts.group)
    core = scope.grid.cores[parts.rank]
    ends = np.where(parts.n1 == w.columns, job.k0[at] + w.rows + job.passed, job.k0[at] + w.rows)
    want = wanted(core, job.m0[at], job.m1[at], job.k0[at], ends)
    x = scope.bring(job.x, want, op, "share")
    tables = _tables(scope, job)
    if tables is not None:
        rows, columns = (job.m0[at], job.m1[at]), (job.k0[at], job.k0[at] + w.rows)
        x = Pieces(x.core, x.rect, make_tables(scope, op, tables, core, rows, columns, x.ready))
    done = _stream(scope, job, parts, at, x)
    y1 = job.y0[at] + parts.n1 + np.where(parts.n1 == w.columns, job.passed, 0)
    rect = np.stack([job.m0[at], job.m1[at], job.y0[at] + parts.n0, y1], axis=1)
    scope.pieces[operator.outputs[0]] = Pieces(core, rect, done).without_empty()


def _tables(scope: Scope, job: Grouped) -> ByTables | None:
    return by_tables(scope.chip, scope.stage.options, scope.bits(job.x), scope.bits(job.w))


def _whole(scope: Scope, job: Grouped) -> int:
    """Columns that the unit of the product does at a time, in whole bytes of weights."""
    tables = _tables(scope, job)
    columns = scope.chip.mac.columns if tables is None else tables.columns
    return int(np.lcm(columns, elements_per_byte(scope.bits(job.w))))


def _stream(scope: Scope, job: Grouped, parts: Stretches, at: IntArray, x: Pieces) -> IntArray:
    """Weight tiles of all stretches, core by core in step, and the compute tasks on them."""
    w = scope.block.tensor(job.w)
    tile_n, tile_k = _tile(scope, job, w.rows, w.bits)
    per_stretch = -(-(parts.n1 - parts.n0) // tile_n) * -(-w.rows // tile_k)
    stretch = np.repeat(np.arange(parts.rank.size), per_stretch)
    index = np.arange(stretch.size) - np.repeat(np.cumsum(per_stretch) - per_stretch, per_stretch)
    k_tiles = -(-w.rows // tile_k)
    na = parts.n0[stretch] + index // k_tiles * tile_n
    nb = np.minimum(na + tile_n, parts.n1[stretch])
    ka = index % k_tiles * tile_k
    kb = np.minimum(ka + tile_k, w.rows)
    rank = parts.rank[stretch]
    first = np.searchsorted(rank, np.arange(scope.grid.size), side="left")
    step = np.arange(stretch.size) - first[rank]
    done = np.full(parts.rank.size, NONE, dtype=np.int64)
    for turn in range(int(step.max(initial=-1)) + 1):
        now = np.nonzero(step == turn)[0]
        tasks = _tile_tasks(scope, job, parts, at, x, stretch[now], (na[now], nb[now], ka[now], kb[now]))
        done[stretch[now]] = tasks
    return done


def _tile(scope: Scope, job: Grouped, rows: int, bits: float) -> tuple[int, int]:
    whole, size, tables = _whole(scope, job), scope.stage.tile_bytes, _tables(scope, job)
    group = 1 if tables is None else tables.group
    tile_k = rows if rows * whole * bits / 8 <= size else max(1, int(size * 8 / (whole * bits)) // group) * group
    return max(whole, int(size * 8 / (tile_k * bits)) // whole * whole), tile_k


def _tile_tasks(
    scope: Scope, job: Grouped, parts: Stretches, at: IntArray, x: Pieces, stretch: IntArray,
    tile: tuple[IntArray, IntArray, IntArray, IntArray],
) -> IntArray:  # fmt: skip
    na, nb, ka, kb = tile
    op, w = scope.op(job.operator), scope.block.tensor(job.w)
    rank, group = parts.rank[stretch], parts.group[stretch]
    core = scope.grid.cores[rank]
    size = (kb - ka) * row_bytes(nb - na, w.bits)
    place, waits = scope.stage.stream.reserve(max(1, int(size.max())))
    address = scope.stage.memory.place(int(size.max()))
    data = Slice(scope.tensor(job.w), (ka, kb), (na, nb), size, group)
    source = scope.stage.above(core, data, address.at(0))
    loaded = scope.plan.copy(source, Region(SRAM, core, data), op, [v[rank] for v in waits])
    m0, m1 = job.m0[at[stretch]], job.m1[at[stretch]]
    action = actions.MATMUL if _tables(scope, job) is None else actions.LOOKUP
    compute = Tile(op, action, (m0, m1), (na, nb), (ka, kb), group)
    bits = scope.bits(job.x), w.bits, scope.bits(job.y)
    done = scope.matrix(core, compute, (m1 - m0, nb - na, kb - ka), bits, [loaded, x.ready[stretch]], weights=True)
    users = np.full(scope.grid.size, NONE, dtype=np.int64)
    users[rank] = done
    place.users.append(users)
    return done
