"""The plan: what each unit does, in what order, as a structure of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
IndexArray = npt.NDArray[np.int32]
"""Numbers of tasks, rows, queues and the like: plans are large, and have fewer than 2**31 of each."""

SCHEMA: Final = "cairn.plan/2"

SHORT_RINGS: Final = "short_rings"
"""Note of a plan whose rings have fewer steps than cores: it has the time, the bytes and the sums, not the numbers."""
MERGED: Final = "merged"
"""Note of a plan in which several passes over the weights of a product, or tiles of them, are done as one."""
LEAD_ONLY: Final = "lead_only"
"""Note of a plan that begins a row of equal blocks with the last part of one: it has no numbers either."""

NO_QUEUE: Final = -1
NO_SERVER: Final = -1

# Kinds of task: which side table `row` indexes.
SYNC: Final = 0
COMPUTE: Final = 1
COPY: Final = 2

# Kinds of place of a region.
SRAM: Final = 0
DRAM: Final = 1
PIM: Final = 2
"""The buffers of the PIM units of a channel: inputs, and the results in their accumulators."""

# Columns of the compute table: the tile of operator `op` (rows m, columns n, reduction k of its `group`-th matrix), and
# the operations it executes: two per multiply-accumulate, masked ones included, padding of the array not. `turns` says
# in how many equal parts of its rows, one after the other, the unit does it.
COMPUTE_COLUMNS: Final = ("op", "action", "group", "m0", "m1", "n0", "n1", "k0", "k1", "ops", "turns")
# Columns of the copy table: one rectangle of one matrix (`group`) of a tensor, from a place to a place.
COPY_COLUMNS: Final = (
    "tensor", "group", "r0", "r1", "c0", "c1", "source_kind", "source", "destination_kind", "destination",
    "bytes", "cause", "reduce",
)  # fmt: skip

# Why bytes move (column "cause"): the report accounts for every byte under one of these.
CAUSES: Final = (
    "unique", "reread", "duplicate", "spill", "padding", "share", "reduce", "layout", "append", "handoff",
    "pim_input", "pim_result",
)  # fmt: skip


@dataclass(frozen=True)
class Queue:
    """An in-order queue of a unit: at most `depth` tasks in flight; the head of the line blocks."""

    name: str
    unit: str
    core: int
    depth: int = 1


INDEX_COLUMNS: Final = ("queue", "server", "request", "waits", "op", "block", "kind", "row")
"""Columns of the tasks that are numbers of things."""


def _take_as_indices(holder: object, names: tuple[str, ...]) -> None:
    """Make int64 arrays whose numbers fit int32 arrays; others are left for `check_plan` to refuse."""
    for name in names:
        values = getattr(holder, name)
        if isinstance(values, np.ndarray) and values.dtype == np.int64 and values.size <= np.iinfo(np.int32).max:
            small = values.astype(np.int32)
            if np.array_equal(small, values):
                object.__setattr__(holder, name, small)


@dataclass(frozen=True)
class Edges:
    """Dependences in CSR form: the successors of `task` are `targets[start[task]:start[task + 1]]`."""

    start: IndexArray
    targets: IndexArray

    def __post_init__(self) -> None:
        _take_as_indices(self, ("start", "targets"))


@dataclass(frozen=True)
class Plan:
    """Tasks 0..n-1 in plan order, and what they index. Numbers of things are int32 (int64 ones that fit are taken as
    such), durations and tables int64.

    queue       (n,) queue of each task, NO_QUEUE for tasks that start as soon as they are ready
    duration    (n,) ticks of tasks that no server serves
    server      (n,) index into `servers`, or NO_SERVER
    request     (n,) row of that server's request table
    waits       (n,) number of predecessor events of each task
    on_first    successors that wait for a task's first data
    on_done     successors that wait for a task's end
    op          (n,) operator of the graph, -1 for none
    block       (n,) instance of the block (layer) the task belongs to, counted along the plan
    kind, row   (n,) SYNC, COMPUTE or COPY, and the row in that side table (-1: not described)
    """

    queue: IndexArray
    duration: IntArray
    server: IndexArray
    request: IndexArray
    waits: IndexArray
    on_first: Edges
    on_done: Edges
    op: IndexArray
    block: IndexArray
    kind: IndexArray
    row: IndexArray
    queues: tuple[Queue, ...]
    servers: tuple[str, ...]
    requests: tuple[IntArray, ...]
    compute: IntArray
    copies: IntArray
    operators: tuple[str, ...] = ()
    tensors: tuple[str, ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _take_as_indices(self, INDEX_COLUMNS)

    @property
    def n_tasks(self) -> int:
        return int(self.queue.size)


@dataclass(frozen=True)
class Trace:
    """When every task of a plan ran: ticks of issue, first data and end, and the servers' final states."""

    start: IntArray
    first: IntArray
    end: IntArray
    states: tuple[IntArray, ...]

    @property
    def makespan(self) -> int:
        return int(self.end.max(initial=0))
