"""Products on N x N meshes: C[m, n] = A[m, k] B[k, n], every matrix cut into N x N tiles, one of each on every core.

Core (i, j) makes tile (i, j) of C. `cyclic` shifts tiles of A along rows and of B along columns, on rings of any order:
Cannon's on the line itself, whose way back is N - 1 hops, MeshGEMM's on interleaved rings, at most two hops a step.
`summa` broadcasts a column of A and a row of B in every step; `gather_all` brings all that a core needs to it first;
`compute_shift` is T10's ring on a line of cores. Cost models: reference/wafer/waferllm_algorithms.yaml, dist_gemm.

A core has two places for each operand: a step computes on one while the next tile comes into the other. `lockstep` lets
a step begin on all cores together, when the step before has ended on all of them, as the paper's model has it (the sum
over steps of the longer of computing and shifting); otherwise cores wait for data and for room alone. Without `overlap`
a core moves no tile while it computes: steps take the sum of both, the other end of what real cores do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError, Infeasibility, InfeasibleError
from cairn.sim.collectives.reduce import Work, broadcast
from cairn.sim.collectives.rings import Ring, all_gather, interleaved
from cairn.sim.plan import actions
from cairn.sim.plan.builder import PlanBuilder, Region, Slice, Tile
from cairn.sim.plan.plan import SRAM

IntArray = npt.NDArray[np.int64]
Cut = tuple[IntArray, IntArray]
BoolArray = npt.NDArray[np.bool_]
Operand = Literal["a", "b"]


@dataclass(frozen=True)
class Gemm:
    """A product for operator `op`: plan tensors `a`, `b`, `c`, sizes (m, n, k), on the cores `grid` (N, N).

    Raises ConfigError unless the grid is square and every matrix has a row and a column for each core of a line.
    """

    plan: PlanBuilder
    grid: IntArray
    op: int
    tensors: tuple[int, int, int]
    sizes: tuple[int, int, int]
    element_bytes: int = 2
    lockstep: bool = True
    overlap: bool = True

    def __post_init__(self) -> None:
        if self.grid.ndim != 2 or self.grid.shape[0] != self.grid.shape[1] or self.grid.shape[0] < 2:
            raise ConfigError(f"a product needs a square mesh of 2 x 2 cores at least, got {self.grid.shape}")
        if min(self.sizes) < self.side:
            raise ConfigError(f"m, n and k {self.sizes} must be at least the side of the mesh ({self.side})")

    @property
    def side(self) -> int:
        return int(self.grid.shape[0])

    def cut(self, dimension: Literal["m", "n", "k"], index: IntArray) -> Cut:
        """Where the `index`-th parts of a dimension begin and end."""
        size = self.sizes["mnk".index(dimension)]
        return index * size // self.side, (index + 1) * size // self.side

    def tile(self, operand: Operand, row: IntArray, column: IntArray) -> Slice:
        """Tiles (row, column) of A or B."""
        names: tuple[Literal["m", "k"], Literal["k", "n"]] = ("m", "k") if operand == "a" else ("k", "n")
        rows, columns = self.cut(names[0], row), self.cut(names[1], column)
        size = (rows[1] - rows[0]) * (columns[1] - columns[0]) * self.element_bytes
        return Slice(self.tensors["ab".index(operand)], rows, columns, size)

    def multiply(self, i: IntArray, j: IntArray, k: IntArray, after: Sequence[IntArray], grid: IntArray) -> IntArray:
        """C(i, j) += A(i, k) B(k, j) on every core of `grid`; all (N, N)."""
        parts = self.cut("m", i.ravel()), self.cut("n", j.ravel()), self.cut("k", k.ravel())
        return self.work(grid.ravel(), *parts, [tasks.ravel() for tasks in after]).reshape(grid.shape)

    def work(self, cores: IntArray, m: Cut, n: Cut, k: Cut, after: Sequence[IntArray]) -> IntArray:
        """C[m, n] += A[m, k] B[k, n] on each of `cores`."""
        rows, columns, depth = m[1] - m[0], n[1] - n[0], k[1] - k[0]
        bits = 8 * self.element_bytes
        cycles = self.plan.chip.matrix_cycles(rows, columns, depth, bits, bits, bits)
        tile = Tile(self.op, actions.MATMUL, m, n, k)
        return self.plan.compute(cores, "matrix", tile, cycles, after, 2 * rows * columns * depth)

    def meet(self, tasks: Sequence[IntArray]) -> IntArray:
        """All cores wait for all of `tasks`: (N, N) copies of one joint."""
        together = np.unique(np.concatenate([each.ravel() for each in tasks]))
        return np.broadcast_to(self.plan.sync(together[together >= 0], 1, 0, self.op), self.grid.shape)

    def idle(self, used: IntArray) -> IntArray:
        """After which task each core is done with `used`, its own work of a step: with lockstep, that of all cores."""
        return self.meet([used]) if self.lockstep else used

    def check_sram(self, tiles: int) -> None:
        """InfeasibleError when `tiles` tiles (of A or B alike) beside one of C do not fit the SRAM of a core."""
        m, n, k = (-(-size // self.side) for size in self.sizes)
        demand = self.element_bytes * (tiles * max(m * k, k * n) + m * n)
        bound = self.plan.chip.sram.capacity_bytes
        if demand > bound:
            remedy = "a larger mesh, or an algorithm that keeps fewer tiles on a core (cyclic: four)"
            raise InfeasibleError([Infeasibility("SRAM capacity of a core", demand, bound, "bytes", remedy)])


def cyclic(gemm: Gemm, order: IntArray | None = None) -> IntArray:
    """Cannon's product on rings that visit the positions of a line in `order` (default: one after the other); (N, N)
    tasks by position after which C is there. With `interleaved(N)` it is MeshGEMM.

    At first the core at (row i, column l) of the ring order holds tiles (i, l) of A and B, which are then aligned: row
    i of A is turned by i, column j of B by j.
    """
    gemm.check_sram(4)
    side = gemm.side
    ring = np.arange(side) if order is None else order
    if sorted(ring.tolist()) != list(range(side)):
        raise ConfigError(f"a ring order names each of the {side} positions once, got {ring.tolist()}")
    grid = gemm.grid[np.ix_(ring, ring)]
    i, j = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    came = [_align(gemm, grid, "a"), _align(gemm, grid, "b")]
    start = gemm.meet(came) if gemm.lockstep else None
    used: list[IntArray] = []
    for step in range(side):
        k = (i + j + step) % side
        waits = came if start is None else [start]
        used.append(gemm.multiply(i, j, k, waits, grid))
        if step == side - 1:
            break
        room = None if start is not None or step == 0 else used[-2]
        held = (waits, waits) if start is not None else ([came[0]], [came[1]])
        if not gemm.overlap:
            done = gemm.idle(used[-1])
            held = ([*held[0], done], [*held[1], done])
        came = [_shift(gemm, grid, "a", k, held[0], room), _shift(gemm, grid, "b", k, held[1], room)]
        start = gemm.meet([used[-1], *came]) if gemm.lockstep else None
    last = np.empty_like(gemm.grid)
    last[np.ix_(ring, ring)] = used[-1]
    return last


def _align(gemm: Gemm, grid: IntArray, operand: Operand) -> IntArray:
    """Row i of A turned by i (column j of B by j): tasks by the core that receives, -1 where the tile lies already.

    Tiles go from neighbour to neighbour on the ring, the shorter way round, so that no core learns a path for it.
    """
    side = gemm.side
    i, j = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    axis, turn = (1, i) if operand == "a" else (0, j)
    came = np.full(grid.shape, -1, dtype=np.int64)
    for step in range(side // 2):
        for way, turns in ((-1, np.where(2 * turn <= side, turn, 0)), (1, np.where(2 * turn > side, side - turn, 0))):
            moves = turns > step
            if not moves.any():
                continue
            k = ((j if operand == "a" else i) - way * step) % side  # what came in `step` steps of this way
            sent = _pass_on(gemm, grid, operand, k, way, [came], moves)
            came = np.where(moves, np.roll(sent, way, axis=axis), came)
    return came


def _pass_on(
    gemm: Gemm, grid: IntArray, operand: Operand, k: IntArray, way: int, waits: Sequence[IntArray], moves: BoolArray,
) -> IntArray:  # fmt: skip
    """The cores where `moves` hand tile (row, k) of A, or (k, column) of B, to the next core of the ring that way:
    tasks by the core that sends, -1 where none does."""
    side = gemm.side
    i, j = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    to = np.roll(grid, -way, axis=1 if operand == "a" else 0)[moves]
    part = gemm.tile("a", i[moves], k[moves]) if operand == "a" else gemm.tile("b", k[moves], j[moves])
    regions = Region(SRAM, grid[moves], part), Region(SRAM, to, part)
    sent = np.full(grid.shape, -1, dtype=np.int64)
    port = "noc" if operand == "a" else "relay"
    sent[moves] = gemm.plan.copy(*regions, gemm.op, [tasks[moves] for tasks in waits], "share", port=port)
    return sent


def _shift(
    gemm: Gemm, grid: IntArray, operand: Operand, k: IntArray, waits: Sequence[IntArray], room: IntArray | None
) -> IntArray:  # fmt: skip
    """Every core hands the tile it works on to the core before it on the ring: tasks by the core that receives."""
    axis = 1 if operand == "a" else 0
    after = [*waits] if room is None else [*waits, np.roll(room, 1, axis=axis)]
    sent = _pass_on(gemm, grid, operand, k, -1, after, np.ones(grid.shape, dtype=bool))
    return np.roll(sent, -1, axis=axis)


def mesh_gemm(gemm: Gemm) -> IntArray:
    """MeshGEMM of WaferLLM (arXiv 2502.04563, section 5): `cyclic` on interleaved rings. ConfigError below N = 3."""
    return cyclic(gemm, interleaved(gemm.side))


def summa(gemm: Gemm, how: Literal["routers", "relay"] = "relay") -> IntArray:
    """SUMMA: in step s column s of A is broadcast along the rows, row s of B along the columns. (N, N) tasks.

    `routers` takes a path from every core to all of its line, so that every core knows 2 N of them, and needs the
    lockstep, since nothing else may be on a line then (ConfigError); `relay` has cores hand on what they receive.
    """
    if how == "routers" and not gemm.lockstep:
        raise ConfigError("broadcasts through routers must not meet others on their line: use how='relay' or lockstep")
    gemm.check_sram(6)
    side = gemm.side
    i, j = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    nothing = np.full(gemm.grid.shape, -1, dtype=np.int64)
    start, used = nothing, [nothing]
    came = _broadcasts(gemm, 0, nothing, nothing, how)
    for step in range(side):
        waits = [start, *came] if gemm.lockstep else came
        if gemm.lockstep and step == 0:
            waits = [start := gemm.meet(came)]
        used.append(gemm.multiply(i, j, np.full_like(i, step), waits, gemm.grid))
        if step == side - 1:
            break
        ready, room = (start, used[-2]) if gemm.overlap else (gemm.idle(used[-1]), used[-1])
        came = _broadcasts(gemm, step + 1, ready, nothing if gemm.lockstep else room, how)
        if gemm.lockstep:
            start = gemm.meet([used[-1], *came])
    return used[-1]


def _broadcasts(
    gemm: Gemm, step: int, ready: IntArray, room: IntArray, how: Literal["routers", "relay"]
) -> list[IntArray]:
    """Column `step` of A along the rows and row `step` of B along the columns."""
    line, here = np.arange(gemm.side), np.full(gemm.side, step)
    along_rows = Work(gemm.plan, gemm.grid, gemm.tile("a", line, here), gemm.op)
    along_columns = Work(gemm.plan, gemm.grid.T, gemm.tile("b", here, line), gemm.op, port="relay")
    space = None if how == "routers" else room
    return [
        broadcast(along_rows, step, ready[:, step], how, space),
        broadcast(along_columns, step, ready[step, :], how, None if space is None else space.T).T,
    ]


def gather_all(gemm: Gemm) -> IntArray:
    """All-gather: rings along rows bring a row of A to each of its cores, rings along columns a column of B; tiles are
    multiplied as they come. InfeasibleError when a row and a column of tiles do not fit the SRAM. (N, N) tasks."""
    side = gemm.side
    gemm.check_sram(2 * side)
    i, j = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    rows = all_gather(Ring(gemm.plan, gemm.grid, gemm.tile("a", i, j), gemm.op))
    columns = all_gather(Ring(gemm.plan, gemm.grid.T, gemm.tile("b", j, i), gemm.op, port="relay"))
    nothing = np.full((1, side, side), -1, dtype=np.int64)
    by_step = np.concatenate([nothing, rows]), np.concatenate([nothing, columns.transpose(0, 2, 1)])
    used: IntArray = nothing[0]
    shards = np.arange(side)[:, None, None]
    by_arrival = np.argsort(np.maximum((j - shards) % side, (i - shards) % side), axis=0, kind="stable")
    last = [] if gemm.overlap else [gemm.meet([*by_step])]
    for step in range(side):
        k = by_arrival[step]
        came = [by_step[0][(j - k) % side, i, j], by_step[1][(i - k) % side, i, j]]
        used = gemm.multiply(i, j, k, [*came, *last], gemm.grid)
    return used


def compute_shift(gemm: Gemm, cores: IntArray, order: IntArray | None = None) -> IntArray:
    """T10's rings (arXiv 2408.04808) on a line: core p keeps part p of B's columns, makes C's; A's columns go round.

    `cores` (P,) is the line, of as many cores as the side of the grid; answers (P,) tasks. See also the paradigm
    `compute_shift` of `sim/mapping`, which puts such rings along m, n and k of any product.
    """
    line = cores if order is None else cores[order]
    member, all_of = np.arange(line.size), np.zeros(line.size, dtype=np.int64)
    first, last = gemm.cut("k", member)
    m, n = gemm.sizes[0], gemm.cut("n", member)
    shards = Slice(gemm.tensors[0], (all_of, all_of + m), (first, last), m * (last - first) * gemm.element_bytes)
    came = all_gather(Ring(gemm.plan, line[None], shards, gemm.op))
    used: IntArray = all_of
    for step in range(line.size):
        part = (member - step) % line.size
        after = [] if step == 0 else [came[step - 1, 0]]
        used = gemm.work(line, (all_of, all_of + m), n, gemm.cut("k", part), after)
    return used
