"""All-gather, reduce-scatter and all-reduce on rings: every core passes to the next one what came from the one before.

Cores of a ring stand in the order in which they pass data on. A shard is sent on at its first data (`streams`), or when
it is whole. On a mesh a ring along a line has one long way back; `interleaved` has none beyond two hops.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.sim.collectives.reduce import adding_cycles
from cairn.sim.plan import actions
from cairn.sim.plan.builder import PlanBuilder, Region, Slice, Tile
from cairn.sim.plan.plan import SRAM

IntArray = npt.NDArray[np.int64]


def interleaved(size: int) -> IntArray:
    """Positions on a line in the order of a ring whose neighbours are at most two hops apart: even ones outwards, odd
    ones back (MeshGEMM: reference/wafer/waferllm_algorithms.yaml, interleave). ConfigError below three cores."""
    if size < 3:
        raise ConfigError(f"an interleaved ring needs at least three cores, got {size}")
    positions = np.arange(size)
    return np.concatenate([positions[::2], positions[1::2][::-1]]).astype(np.int64)


@dataclass(frozen=True)
class Ring:
    """L rings of P cores each, `cores` (L, P), that pass on `shards`: fields (L, P) or broadcastable, member p's at p.

    For the rest see `Work` (`reduce.py`).
    """

    plan: PlanBuilder
    cores: IntArray
    shards: Slice
    op: int
    streams: bool = True
    add_cycles: int | None = 1
    port: str = "noc"

    def __post_init__(self) -> None:
        if self.cores.ndim != 2 or self.cores.shape[1] < 2:
            raise ConfigError(f"rings are (rings, at least two cores), got shape {self.cores.shape}")

    @property
    def size(self) -> int:
        return int(self.cores.shape[1])

    def shard_of(self, member: IntArray) -> Slice:
        """The shards with the number `member` (P,) of each ring, in a row: fields (L * P,)."""

        def pick(values: object) -> IntArray:
            whole = np.broadcast_to(np.asarray(values, dtype=np.int64), self.cores.shape)
            return np.asarray(whole[:, member % self.size].ravel(), dtype=np.int64)

        part = self.shards
        rows, columns = (pick(part.rows[0]), pick(part.rows[1])), (pick(part.columns[0]), pick(part.columns[1]))
        return Slice(part.tensor, rows, columns, pick(part.bytes), pick(part.group))

    def pass_on(self, shard: IntArray, waits: IntArray | None, reduce: bool) -> IntArray:
        """Every member p sends shard `shard[p]` to the next one: (L, P) tasks by the member that receives."""
        part = self.shard_of(shard)
        to = np.roll(self.cores, -1, axis=1)
        cause, port = ("reduce", "reduce") if reduce else ("share", self.port)
        source, destination = Region(SRAM, self.cores.ravel(), part), Region(SRAM, to.ravel(), part)
        tasks = self.plan.copy(source, destination, self.op, waits, cause, reduce, port)
        return np.roll(tasks.reshape(self.cores.shape), 1, axis=1)


def all_gather(ring: Ring, ready: IntArray | None = None) -> IntArray:
    """Brings every member's shard to all members: (P - 1, L, P) tasks, [s, :, p] the one that brings shard p - s - 1.

    `ready` (L, P): tasks after which each member holds its own shard.
    """
    member = np.arange(ring.size)
    came: list[IntArray] = []
    for step in range(ring.size - 1):
        whole = (ready if step == 0 else came[-1]) if step == 0 or not ring.streams else None
        tasks = ring.pass_on(member - step, None if whole is None else whole.ravel(), False)
        if step and ring.streams:
            ring.plan.after(np.roll(tasks, -1, axis=1).ravel(), came[-1].ravel(), first_data=True)
        came.append(tasks)
    return np.stack(came)


def reduce_scatter(ring: Ring, ready: IntArray | None = None) -> IntArray:
    """Sums each shard over all members, member p left with the sum of shard p: (L, P) tasks.

    `ready` (L, P): tasks after which each member holds its part of all shards. What a member has sent is gone from it.
    """
    member = np.arange(ring.size)
    own = None if ready is None else ready.ravel()
    came: IntArray | None = None
    for step in range(ring.size - 1):
        waits, streamed = own, None
        if came is not None and ring.streams:
            streamed = came
        elif came is not None:
            waits = _add(ring, member - step - 1, came, ready).ravel()
        tasks = ring.pass_on(member - step - 1, waits, True)
        if streamed is not None:
            ring.plan.after(np.roll(tasks, -1, axis=1).ravel(), streamed.ravel(), first_data=True)
        came = tasks
    return _add(ring, member, came, ready)


def _add(ring: Ring, shard: IntArray, came: IntArray | None, ready: IntArray | None) -> IntArray:
    """Every member adds what has come of its shard `shard[p]`."""
    part = ring.shard_of(shard)
    elements = np.subtract(*part.rows[::-1]) * np.subtract(*part.columns[::-1])
    cycles = adding_cycles(ring.plan.chip, ring.add_cycles, np.asarray(elements))
    waits = [tasks.ravel() for tasks in (came, ready) if tasks is not None]
    tile = Tile(ring.op, actions.REDUCE, part.rows, part.columns)
    return ring.plan.compute(ring.cores.ravel(), "vector", tile, cycles, waits, elements).reshape(ring.cores.shape)


def ring_all_reduce(ring: Ring, ready: IntArray | None = None) -> IntArray:
    """Sums every shard over all members and brings the sums to all of them: (L, P) joints, all shards there."""
    own = reduce_scatter(ring, ready)
    came = all_gather(ring, own)
    return ring.plan.sync([own.ravel(), *came.reshape(len(came), -1)], own.size, 0, ring.op).reshape(own.shape)
