"""Reduce along a tree, broadcast, and both: all-reduce.

Sums stream. A core sends its sum on the first data of the sum that it receives last: every word is added to as it comes
in and sent on, so that a chain costs its way and one message, not as many messages as it has cores. Sums that arrive
before are added to the core's own first. `streams=False` adds every sum only when it is whole (store and forward).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.compute.vector.cycle import passes_of, vector_cycles
from cairn.hw_models.noc.analytical import NocArrays, transfer_cycles
from cairn.hw_models.noc.routing import hops
from cairn.hw_models.noc.spec import NocTopology
from cairn.sim.collectives.trees import Tree, chain
from cairn.sim.plan import actions
from cairn.sim.plan.builder import IntLike, PlanBuilder, Region, Slice, Tile
from cairn.sim.plan.plan import SRAM

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Work:
    """What a collective works on: `part` of a tensor on `cores` (L, P), for operator `op`.

    Entries of `part` are numbers or one for each line (L,). `streams`: see the head of this file. An addition ends
    `add_cycles` after its last word has come, as words are added while they come in; with None it begins then, and
    takes the chip's vector unit as long as the part is. Broadcasts leave by the queue `port`, in their order.
    """

    plan: PlanBuilder
    cores: IntArray
    part: Slice
    op: int
    streams: bool = True
    add_cycles: int | None = 1
    port: str = "noc"

    def __post_init__(self) -> None:
        if self.cores.ndim != 2 or self.cores.shape[1] < 1:
            raise ConfigError(f"cores of a collective are (lines, cores of a line), got shape {self.cores.shape}")

    @property
    def lines(self) -> int:
        return int(self.cores.shape[0])

    @property
    def size(self) -> int:
        """Cores of a line."""
        return int(self.cores.shape[1])

    def at(self, position: int) -> Region:
        """The part in the SRAM of the cores at a position."""
        return Region(SRAM, self.cores[:, position], self.part)


def adding_cycles(chip: ChipSpec, add_cycles: int | None, elements: IntArray) -> IntArray:
    """Cycles that additions of `elements` take after their last word has come (see `Work`)."""
    if add_cycles is not None:
        return np.full(elements.shape, add_cycles, dtype=np.int64)
    return vector_cycles(chip.vector_unit, elements, passes_of(chip.vector_unit, "reduce_add"))


def add(work: Work, position: int, after: Sequence[IntArray]) -> IntArray:
    """Addition of a sum that has come to the one at `position`: (L,) tasks."""
    part = work.part
    elements = np.subtract(*part.columns[::-1]) * np.subtract(*part.rows[::-1])
    elements = np.broadcast_to(elements, work.lines)
    cycles = adding_cycles(work.plan.chip, work.add_cycles, elements)
    tile = Tile(work.op, actions.REDUCE, part.rows, part.columns)
    return work.plan.compute(work.cores[:, position], "vector", tile, cycles, after, elements)


def reduce(work: Work, tree: Tree, ready: IntArray | None = None) -> IntArray:
    """Sums the part over the cores of every line; (L,) tasks after which the cores at the tree's root hold the sum.

    `ready` (L, P): tasks after which each core holds what it adds, -1 or None where it does so already. What a core
    has sent is gone from it. Raises ConfigError when the tree is of another size than the lines.
    """
    if tree.size != work.size:
        raise ConfigError(f"a tree of {tree.size} cores cannot reduce lines of {work.size}")
    sent: dict[int, IntArray] = {}
    for position in tree.leaves_first[:-1]:
        children = tree.children[position]
        last = children[-1] if children and work.streams else None
        waits = _added(work, position, [child for child in children if child != last], sent, ready)
        to = work.at(tree.parent[position])
        sent[position] = work.plan.copy(work.at(position), to, work.op, waits, "reduce", reduce=True, port="reduce")
        if last is not None:
            work.plan.after(sent[position], sent[last], first_data=True)
    waits = _added(work, tree.root, tree.children[tree.root], sent, ready)
    tasks = np.concatenate([np.empty(0, dtype=np.int64), *waits])
    return work.plan.join(np.tile(np.arange(work.lines), len(waits)), tasks, work.lines, work.op)


def _added(
    work: Work, position: int, children: Sequence[int], sent: Mapping[int, IntArray], ready: IntArray | None
) -> list[IntArray]:
    """What a position must wait for so that its sum holds its own part and those of `children`."""
    own = [] if ready is None else [ready[:, position]]
    return own + [add(work, position, [*own, sent[child]]) for child in children]


def reduce_in_phases(
    work: Work, factors: Sequence[int], middle: bool = True, ready: IntArray | None = None
) -> tuple[int, IntArray]:
    """The K-tree of `factors`, each phase begun on a core when the phase before is over on it, as separate calls of a
    reduction do (`reduce` along `k_tree` streams from phase to phase). Answers the root's position and tasks (L,).

    Raises ConfigError unless the factors' product is the size of the lines.
    """
    if int(np.prod(factors)) != work.size or min(factors) < 1:
        raise ConfigError(f"factors {tuple(factors)} of a K-tree must multiply to the cores of a line ({work.size})")
    cores, position, stride = work.cores, 0, 1
    done = np.full(cores.shape, -1) if ready is None else ready
    for factor in factors:
        cores, root = cores.reshape(-1, factor), factor // 2 if middle else 0
        groups = replace(work, cores=cores, part=_repeated(work.part, work.lines, len(cores)))
        done = reduce(groups, chain(factor, root), done.reshape(-1, factor))
        cores = cores[:, root]
        position, stride = position + root * stride, stride * factor
    return position, done


def _repeated(part: Slice, lines: int, groups: int) -> Slice:
    """The part of each of `groups` groups, as many of each line, one line after the other."""

    def each(values: IntLike) -> IntArray:
        return np.repeat(np.broadcast_to(np.asarray(values, dtype=np.int64), lines), groups // lines)

    return Slice(
        part.tensor, (each(part.rows[0]), each(part.rows[1])), (each(part.columns[0]), each(part.columns[1])),
        each(part.bytes), each(part.group),
    )  # fmt: skip


def broadcast(
    work: Work, root: int, ready: IntArray | None = None, how: Literal["routers", "relay"] = "routers",
    room: IntArray | None = None,
) -> IntArray:  # fmt: skip
    """Brings the part from position `root` to all cores of its line: (L, P) tasks after which each of them has it.

    `routers`: one transfer to the farther end of the line, whose data the routers hand to their cores as it passes, and
    to the other arm at the root (its links are not charged). It asks that nothing else is sent along the line until it
    is over, and that the line is straight. `relay`: every core sends on to the next one what it receives, on its first
    data. `ready` (L,): tasks after which the root holds it; `room` (L, P), for a relay: tasks after which a core has
    room for it.
    """
    if not 0 <= root < work.size:
        raise ConfigError(f"the root of a broadcast lies on its line of {work.size} cores, got {root}")
    have = np.full((work.lines, work.size), -1, dtype=np.int64)
    have[:, root] = -1 if ready is None else ready
    if how == "relay":
        _relay(work, range(root, work.size), have, room)
        _relay(work, range(root, -1, -1), have, room)
    elif work.size > 1:
        _through_routers(work, root, have)
    return have


def _relay(work: Work, way: range, have: IntArray, room: IntArray | None) -> None:
    """Along the positions of `way`, its first the root, each sending to the next."""
    before: IntArray | None = None
    for source, destination in pairwise(way):
        waits = [have[:, source]] if before is None else []
        waits += [] if room is None else [room[:, destination]]
        to = work.at(destination)
        copy = work.plan.copy(work.at(source), to, work.op, waits, "share", port=work.port)
        if before is not None:
            work.plan.after(copy, before, first_data=True)
        have[:, destination] = before = copy


def _through_routers(work: Work, root: int, have: IntArray) -> None:
    chip = work.plan.chip
    far = 0 if root > work.size - 1 - root else work.size - 1
    if not is_straight(work):
        raise ConfigError("a broadcast through routers needs straight lines of cores on a mesh; use how='relay'")
    others = np.delete(np.arange(work.size), [root, far])
    part = _repeated(work.part, work.lines, work.lines * others.size)
    source, cores = np.repeat(work.cores[:, root], others.size), work.cores[:, others].ravel()
    way = hops(chip.noc, chip.cores.rows, chip.cores.columns, source, cores)
    cycles = transfer_cycles(NocArrays.of(chip.noc), way, part.bytes)
    after = np.repeat(have[:, root], others.size)
    taps = work.plan.tap(Region(SRAM, source, part), Region(SRAM, cores, part), work.op, cycles, after)
    have[:, others] = taps.reshape(work.lines, -1)
    have[:, far] = work.plan.copy(
        work.at(root), work.at(far), work.op, have[:, root], "share", port=work.port
    )


def is_straight(work: Work) -> bool:
    """Whether the cores of each line lie behind each other in one row or one column of a mesh."""
    chip = work.plan.chip
    row, column = np.divmod(work.cores, chip.cores.columns)
    steps = np.diff(row, axis=1), np.diff(column, axis=1)
    one_way = [np.all(step > 0, axis=1) | np.all(step < 0, axis=1) for step in steps]
    still = [np.all(step == 0, axis=1) for step in steps]
    straight = (one_way[0] & still[1]) | (one_way[1] & still[0]) | (still[0] & still[1])
    return chip.noc.topology is NocTopology.MESH and bool(straight.all())


def all_reduce(
    work: Work,
    tree: Tree | Sequence[int],
    ready: IntArray | None = None,
    how: Literal["routers", "relay"] = "routers",
) -> IntArray:
    """Sums the part over the cores of every line and brings the sum to all of them: (L, P) tasks.

    `tree` is a tree, or the factors of a K-tree in separate phases whose roots stand in the middle.
    """
    if isinstance(tree, Tree):
        return broadcast(work, tree.root, reduce(work, tree, ready), how)
    root, done = reduce_in_phases(work, tree, ready=ready)
    return broadcast(work, root, done, how)
