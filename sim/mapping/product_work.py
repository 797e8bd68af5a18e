"""What the lowering of a product works with: the blocks of every core, and transfers between cores by grid index."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.choose import MatmulMapping
from cairn.sim.mapping.context import Scope
from cairn.sim.mapping.grid import Ranks, bounds, ranks_of
from cairn.sim.mapping.matmul_cost import MatmulShape, elements_per_byte
from cairn.sim.mapping.pieces import Pieces
from cairn.sim.mapping.schedule import Group
from cairn.sim.plan.builder import Region, Slice
from cairn.sim.plan.plan import SRAM

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


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
class Work:
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

    @cached_property
    def copies(self) -> BoolArray:
        """Whether other cores load the weights that a core loads."""
        return np.asarray(self.ranks.m // self.mapping.sharers > 0)

    @cached_property
    def lanes(self) -> IntArray:
        """Cores in the order of their loads: first those whose weights no other core loads."""
        return np.argsort(self.copies, kind="stable")

    @cached_property
    def sharer(self) -> IntArray:
        """(sharers, cores): the grid index of the sharer `turn` places before each core on its ring."""
        sharers, ranks = self.mapping.sharers, self.ranks
        member = ranks.m % sharers
        turns = np.arange(sharers)[:, None]
        return ranks.index[(ranks.m - member) + (member - turns) % sharers, ranks.n[None, :], ranks.k[None, :]]


def work_of(scope: Scope, product: Product, mapping: MatmulMapping, group: Group) -> Work:
    """The blocks of every core, all passes together."""
    grid, shape = scope.grid, product.shape
    ranks = ranks_of(mapping.split, grid.rows, grid.columns, grid.placement)
    gm, gn, gk = mapping.split.sizes
    m, n, k = bounds(shape.m, gm), bounds(shape.n, gn, quantum_of(product)), bounds(shape.k, gk, shape.k_quantum)
    m = product.row0 + m
    return Work(
        scope, product, mapping, ranks, grid.cores, m[ranks.m], m[ranks.m + 1], n[ranks.n], n[ranks.n + 1],
        k[ranks.k], k[ranks.k + 1], group,
    )  # fmt: skip


def quantum_of(product: Product) -> int:
    """Columns that stay together, since they share a byte."""
    return int(np.lcm(product.shape.quantum, elements_per_byte(product.shape.w_bits)))


def group_of(work: Work) -> int:
    """Elements along k that stay together."""
    return work.product.shape.k_quantum


def share_of(work: Work, number: IntArray, parts: int) -> tuple[IntArray, IntArray]:
    """Begin and end along k of part `number` of so many equal ones of each core's block, whole groups each."""
    group = group_of(work)
    groups = -(-(work.k1 - work.k0) // group)
    begin, end = (work.k0 + groups * index // parts * group for index in (number, number + 1))
    return np.minimum(begin, work.k1), np.minimum(end, work.k1)


def send_all(
    work: Work, source: IntArray, data: Slice, after: IntArray, tasks: IntArray, cause: str = "share",
    reduce: bool = False, port: str = "noc",
) -> None:  # fmt: skip
    """Copies from grid index `source[step, i]` to grid index i, as the reserved `tasks` (steps, cores), -1 where there
    is none. `source` and what `data` has are (steps, cores) or the same for all steps."""
    mask = tasks >= 0
    if work.scope.plan.skips:
        work.scope.plan.pass_over(int(mask.sum()), tasks)
        return
    if not mask.any():
        return
    chosen: BoolArray | slice = slice(None) if mask.all() else mask.ravel()

    def pick(value: object) -> IntArray:
        each = np.asarray(value, dtype=np.int64)
        spread = each if each.shape == tasks.shape else np.broadcast_to(each, tasks.shape)
        return spread.ravel()[chosen]

    rows, columns = ((pick(low), pick(high)) for low, high in (data.rows, data.columns))
    part = Slice(data.tensor, rows, columns, pick(data.bytes), data.group)
    there, here = Region(SRAM, work.core[pick(source)], part), Region(SRAM, pick(work.core), part)
    work.scope.plan.copy(
        there, here, work.product.op, after=pick(after), cause=cause, reduce=reduce, port=port,
        tasks=pick(tasks),
    )  # fmt: skip


def wanted_done(core: IntArray, rect: tuple[IntArray, IntArray, IntArray, IntArray], ready: IntArray) -> Pieces:
    """Pieces that lie on `core` as `rect`, once `ready` has ended; empty ones left out."""
    return Pieces(core, np.stack(rect, axis=1), ready).without_empty()
