"""Writing plans: `compute`, `copy` and `sync`, for one tile or for arrays of tiles at once.

All methods take scalars or arrays of equal length (one entry a task) and answer the task numbers. Dependences may only
name tasks with smaller numbers, so a plan written here has no cycle: every edge and every queue runs upwards in number.

Numbers are given in the order of the calls. Tasks of several kinds that take turns can be written kind by kind all the
same: `reserve` their numbers, and name them (`tasks`) in one call for each kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cairn.base.errors import CairnError
from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.dram.request import IS_BUFFER, IS_PIM, TURNS
from cairn.hw_models.server import FLAGS, IS_WRITE, WANTS_FIRST
from cairn.sim.plan.edges import edges_of, waits_of
from cairn.sim.plan.growing import Growing
from cairn.sim.plan.plan import (
    CAUSES,
    COMPUTE,
    COMPUTE_COLUMNS,
    COPY,
    COPY_COLUMNS,
    DRAM,
    NO_QUEUE,
    NO_SERVER,
    PIM,
    SRAM,
    SYNC,
    Plan,
    Queue,
)
from cairn.sim.plan.skipped import Skipped, close_gap

IntArray = npt.NDArray[np.int64]
IntLike = int | Sequence[int] | npt.NDArray[np.integer]

QUEUES = ("matrix", "vector", "load", "store", "noc", "relay", "reduce")
"""Queues of a core, in this order: queue number = core * len(QUEUES) + index (one more a core where it has a LUT unit).
Of three queues it sends through, so that weights that are passed on (relay), partial sums (reduce) and all else (noc)
need not wait for each other's data."""

LUT_QUEUE = "lut"
"""A further queue of cores that have a LUT unit, behind the others."""

PIM_QUEUES = ("pim", "buffer")
"""Further queues of a core on a chip with PIM units, behind those of all cores: requests for the units of the channel
above it, and transfers between its SRAM and their buffers."""

SENDING = ("noc", "relay", "reduce")
UNIT_OF = dict.fromkeys(SENDING, "noc")
"""Unit class of the queues that are not called like it."""

DRAM_SERVER, NOC_SERVER = 0, 1
DRAM_REQUEST_COLUMNS = 8
NOC_REQUEST_COLUMNS = 4

_TASK_TYPES = (np.int32, np.int64, *(np.int32,) * 6)
"""Of queue, duration, server, request, op, block, kind and row."""


@dataclass(frozen=True)
class Tile:
    """What a compute task works on: see `cairn.sim.plan.actions`. Fields are scalars or arrays."""

    op: IntLike
    action: IntLike
    m: tuple[IntLike, IntLike] = (0, 0)
    n: tuple[IntLike, IntLike] = (0, 0)
    k: tuple[IntLike, IntLike] = (0, 0)
    group: IntLike = 0


@dataclass(frozen=True)
class Slice:
    """A rectangle of one matrix (`group`) of a tensor, and how many bytes it is. Fields are scalars or arrays."""

    tensor: IntLike
    rows: tuple[IntLike, IntLike]
    columns: tuple[IntLike, IntLike]
    bytes: IntLike
    group: IntLike = 0


@dataclass(frozen=True)
class Region:
    """A place and a slice of a tensor: SRAM of a core, rows of banks of a DRAM channel, or buffers of its PIM units.

    `address` (DRAM only) is (bank_base, bank_count, row_base, stripe_bytes, offset_bytes) as the DRAM server reads it.
    """

    kind: int
    place: IntLike
    slice: Slice
    address: tuple[IntLike, IntLike, IntLike, IntLike, IntLike] | None = None


After = Sequence[npt.NDArray[np.integer] | int] | npt.NDArray[np.integer] | int | None


def _column(value: IntLike, n: int) -> IntArray:
    if isinstance(value, int):
        return np.full(n, value, dtype=np.int64)
    column = np.asarray(value, dtype=np.int64)
    return column if column.shape == (n,) else np.broadcast_to(column, (n,))


class PlanBuilder:
    """Collects tasks for a chip; `build` makes the plan. Tasks are written in the order in which queues shall issue
    them.
    """

    def __init__(self, chip: ChipSpec):
        self.chip = chip
        self._clock = chip.clock
        dma = chip.dma
        depth = {"load": dma.load_depth, "store": dma.store_depth, **dict.fromkeys(SENDING, dma.noc_depth)}
        self._of_core = QUEUES if chip.lut_unit is None else (*QUEUES, LUT_QUEUE)
        self.queues = tuple(
            Queue(f"core{core}.{name}", UNIT_OF.get(name, name), core, depth.get(name, 1))
            for core in range(chip.core_count)
            for name in self._of_core
        )
        if chip.pim is not None:
            self.queues += tuple(
                Queue(f"core{core}.{name}", name, core, dma.pim_depth)
                for core in range(chip.core_count)
                for name in PIM_QUEUES
            )
        self.operators: list[str] = []
        self.tensors: list[str] = []
        self.notes: dict[str, object] = {}
        self.n_tasks = 0
        self._leader = np.arange(chip.core_count)
        self._block = 0
        self._tasks = Growing("tasks", 8, by_rows=False, types=_TASK_TYPES)
        self._requests = (
            Growing("dram", DRAM_REQUEST_COLUMNS, by_rows=True), Growing("noc", NOC_REQUEST_COLUMNS, by_rows=True)
        )  # fmt: skip
        self._compute = Growing("compute", len(COMPUTE_COLUMNS), by_rows=True)
        self._copies = Growing("copies", len(COPY_COLUMNS), by_rows=True)
        self._edges = Growing("edges", 2, by_rows=False, types=(np.int64, np.int32))  # 2 * task + event, successor
        self._reserved = 0
        self._skipped: list[Skipped] = []
        self._gone = 0
        self.skips = False
        """Whether a stretch is being skipped: tasks are numbered, and none is written."""

    # -- names -------------------------------------------------------------------------------------------------

    def operator(self, name: str) -> int:
        """Number of a new operator."""
        self.operators.append(name)
        return len(self.operators) - 1

    def tensor(self, name: str) -> int:
        """Number of a new tensor."""
        self.tensors.append(name)
        return len(self.tensors) - 1

    def next_block(self) -> int:
        """Begin the next block instance; tasks written from here on belong to it."""
        self._block += 1 if self.n_tasks else 0
        return self._block

    @property
    def block(self) -> int:
        return self._block

    def keep_in_step(self, cores: IntArray, leaders: IntArray) -> None:
        """Let each of `cores` load through the queue of the core `leaders` says from now on, in the order written."""
        self._leader[cores] = leaders

    def reserve(self, n: int) -> IntArray:
        """The next `n` task numbers, for tasks that are written by later calls: each one by one call."""
        self._reserved += n
        if not self.skips:
            self._tasks.extend(n)
        return self._next_numbers(n)

    def skip(self, ready: IntArray) -> None:
        """From here to `resume`, number tasks and write none. A joint after the tasks `ready` (-1: none) stands for all
        of them: whoever waits for any, now or later, waits for it."""
        if self.skips or self._reserved:
            raise CairnError("a stretch of a plan is skipped by itself, and reserved tasks are written before it")
        joint = self.sync(None)
        self.after(np.repeat(joint, ready.size), ready)
        self._skipped.append(Skipped(int(joint[0]), 0))
        self.skips = True

    def resume(self) -> int:
        """Write tasks again; answers how many were skipped."""
        if not self.skips:
            raise CairnError("no stretch of this plan is being skipped")
        if self._reserved:
            raise CairnError(f"{self._reserved} tasks that were reserved in a skipped stretch belong to it")
        self.skips = False
        self._skipped[-1] = stretch = Skipped(self._skipped[-1].begin, self.n_tasks)
        self._gone += stretch.gone
        return stretch.gone

    def pass_over(self, n: int, tasks: IntArray | None = None) -> IntArray:
        """The numbers of `n` tasks of a skipped stretch, the next ones or reserved `tasks`, instead of writing them."""
        if tasks is None:
            return self._next_numbers(n)
        self._reserved -= n
        return tasks

    # -- the three calls ----------------------------------------------------------------------------------------

    def compute(
        self, core: IntLike, unit: str, tile: Tile, cycles: IntLike, after: After = None, ops: IntLike = 0,
        turns: IntLike = 1, tasks: IntArray | None = None,
    ) -> IntArray:  # fmt: skip
        """Tasks on the `unit` ("matrix", "vector" or "lut") of `core` that last `cycles` and execute `ops` operations,
        on the rows of the tile in `turns` equal parts."""
        cores: IntArray = np.atleast_1d(np.asarray(core, dtype=np.int64))
        n = cores.size
        if self.skips:
            return self.pass_over(n, tasks)
        columns = [tile.op, tile.action, tile.group, *tile.m, *tile.n, *tile.k, ops, turns]
        row = self._compute.count + np.arange(n)
        self._compute.append(n, columns)
        clock = self._clock
        issue = self.chip.synchronisation.task_issue_cycles
        duration = -(-(_column(cycles, n) + issue) * clock.num // clock.den)
        queue = self._queue(cores, unit)
        return self._add(n, queue, duration, NO_SERVER, -1, tile.op, COMPUTE, row, after, tasks)

    def copy(
        self, source: Region, destination: Region | Sequence[Region], op: IntLike, after: After = None,
        cause: str = "unique", reduce: bool = False, port: str = "noc", tasks: IntArray | None = None,
    ) -> IntArray:  # fmt: skip
        """Copies between a channel and the SRAM of a core on it, or between two SRAMs (then `source` sends). Where one
        end is the PIM units of a channel (`place`), the data goes to or comes from their buffers.

        A copy from a channel to another core's SRAM is two of these, the second waiting on the first: see `fetch`.
        Several destinations are sent to one after the other; the answer then has a row of tasks for each of them.
        `reduce` says that the data is added to what the destination holds, `relay` that the second network port sends.
        """
        if not isinstance(destination, Region):
            each = [None] * len(destination) if tasks is None else tasks
            rows = [
                self.copy(source, region, op, after, cause, reduce, port, mine)
                for region, mine in zip(destination, each, strict=True)
            ]
            return np.stack(rows) if rows else np.empty((0, 0), dtype=np.int64)
        n = max(np.size(v) for v in (source.place, destination.place, source.slice.bytes, source.slice.rows[0], op))
        if self.skips:
            return self.pass_over(n, tasks)
        part, row = source.slice, self._copy_rows(n, source, destination, cause, reduce)
        if source.kind == SRAM and destination.kind == SRAM:
            if np.any(np.asarray(source.place) == np.asarray(destination.place)):
                raise CairnError("a copy from a core's SRAM to itself is no transfer")
            transfer = [0, source.place, destination.place, part.bytes]
            return self._served(n, _column(source.place, n), port, NOC_SERVER, transfer, op, row, after, tasks)
        if source.kind == destination.kind:
            raise CairnError("a copy from DRAM to DRAM goes through a core: write it as a load and a store")
        if PIM in (source.kind, destination.kind):
            return self._buffered(n, source, destination, op, row, after, tasks)
        writes = destination.kind == DRAM
        memory, core = (destination, source) if writes else (source, destination)
        if memory.address is None:
            raise CairnError("a region in DRAM needs its address (banks, row, stripe, offset)")
        request = [IS_WRITE if writes else 0, memory.place, *memory.address, part.bytes]
        unit = "store" if writes else "load"
        return self._served(n, _column(core.place, n), unit, DRAM_SERVER, request, op, row, after, tasks)

    def pim(
        self, core: IntLike, tile: Tile, operand: Region, after: After = None, ops: IntLike = 0, turns: IntLike = 1
    ) -> IntArray:
        """Tiles on the PIM units of the channel of each `core`: `operand`, rows of banks that are opened together,
        times what lies in the units' buffers, `ops` operations of it. Each column takes `turns` parts of their spacing
        (chip.pim.turn_parts), all of them at least.

        The address of the operand is in whole columns of all its banks (chip.pim.column_bytes in each), and its request
        is rounded up to them. Bytes that are worked on in the banks are no traffic of the channel.
        """
        units = self.chip.pim
        if units is None:
            raise CairnError("this chip has no PIM units (chip.pim)")
        if operand.kind != DRAM or operand.address is None:
            raise CairnError("PIM units work on a region in DRAM with its address (banks, row, stripe, offset)")
        n = max(np.size(core), np.size(operand.slice.bytes))
        if self.skips:
            return self.pass_over(n)
        row = self._compute.count + np.arange(n)
        self._compute.append(n, [tile.op, tile.action, tile.group, *tile.m, *tile.n, *tile.k, ops, 1])
        together = _column(operand.address[1], n) * units.column_bytes
        size = -(-_column(operand.slice.bytes, n) // together) * together
        if np.any(_column(operand.address[4], n) % together) or np.any(
            _column(operand.address[3], n) % units.column_bytes
        ):
            raise CairnError(
                f"a PIM tile begins with a column of all its banks, {units.column_bytes} bytes in each, and its "
                "stripes are whole columns"
            )
        request = [IS_PIM + TURNS * _column(turns, n), operand.place, *operand.address, size]
        queue = self._pim_queue(_column(core, n), "pim")
        return self._asked(n, queue, DRAM_SERVER, request, tile.op, COMPUTE, row, after)

    def _pim_queue(self, core: IntArray, name: str) -> IntArray:
        return len(self._of_core) * self.chip.core_count + core * len(PIM_QUEUES) + PIM_QUEUES.index(name)

    def _buffered(
        self, n: int, source: Region, destination: Region, op: IntLike, row: IntArray, after: After,
        tasks: IntArray | None,
    ) -> IntArray:  # fmt: skip
        """Transfers between the SRAM of cores and the buffers of PIM units above them."""
        fills = destination.kind == PIM
        units, core = (destination, source) if fills else (source, destination)
        if self.chip.pim is None:
            raise CairnError("this chip has no PIM units (chip.pim)")
        if core.kind != SRAM or np.any(self.chip.channel_of(_column(core.place, n)) != _column(units.place, n)):
            raise CairnError("buffers of PIM units exchange data with the SRAM of the cores below their channel alone")
        flags = IS_BUFFER | (IS_WRITE if fills else 0)
        request = [flags, units.place, 0, 1, 0, self.chip.dram.row_bytes, 0, source.slice.bytes]
        queue = self._pim_queue(_column(core.place, n), "buffer")
        return self._asked(n, queue, DRAM_SERVER, request, op, COPY, row, after, tasks)

    def fetch(
        self, source: Region, destination: Region, home: IntLike, op: IntLike, after: After = None,
        cause: str = "unique", tasks: tuple[IntArray, IntArray] | None = None,
    ) -> tuple[IntArray, IntArray]:  # fmt: skip
        """Copies from DRAM over the core `home` below the channel to other cores' SRAM: two legs, streamed.

        The network leg starts on the first data of the DRAM leg; whoever needs the data waits for both results.
        """
        local = Region(SRAM, home, source.slice)
        loads, sends = (None, None) if tasks is None else tasks
        first = self.copy(source, local, op, after, cause, tasks=loads)
        second = self.copy(local, destination, op, None, "share", tasks=sends)
        self.after(second, first, first_data=True)
        return first, second

    def tap(
        self, source: Region, destination: Region, op: IntLike, cycles: IntLike, after: After = None,
        cause: str = "share",
    ) -> IntArray:  # fmt: skip
        """Copies of what routers hand to their own cores of a transfer that passes by: `cycles` of the network's clock
        after `after`, as nothing holds that transfer up. They ask no server for anything; the transfer itself does.
        """
        if source.kind != SRAM or destination.kind != SRAM:
            raise CairnError("routers hand data from the SRAM of a core to that of others, not to or from DRAM")
        n = np.size(destination.place)
        if self.skips:
            return self.pass_over(n)
        row = self._copy_rows(n, source, destination, cause, False)
        clock = self.chip.noc.clock(self._clock)
        duration = -(-_column(cycles, n) * clock.num // clock.den)
        return self._add(n, _column(NO_QUEUE, n), duration, NO_SERVER, -1, op, COPY, row, after)

    def sync(
        self, tasks: After, count: int = 1, cycles: IntLike = 0, op: IntLike = -1, joints: IntArray | None = None
    ) -> IntArray:
        """`count` joints that end `cycles` after their tasks: each after its entry of every array in `tasks`, or, when
        `tasks` is one array and `count` is 1, a barrier after all of them. `joints` are reserved numbers for them."""
        clock = self._clock
        duration = -(-_column(cycles, count) * clock.num // clock.den)
        if isinstance(tasks, np.ndarray) and count == 1:
            joint = self._add(1, _column(NO_QUEUE, 1), duration, NO_SERVER, -1, op, SYNC, -1, None, joints)
            self.after(np.repeat(joint, tasks.size), tasks.ravel())
            return joint
        return self._add(count, _column(NO_QUEUE, count), duration, NO_SERVER, -1, op, SYNC, -1, tasks, joints)

    def after(self, tasks: IntArray, predecessors: npt.NDArray[np.integer] | int, first_data: bool = False) -> None:
        """Let each of `tasks` wait for the end (or first data) of its predecessor; -1 means none."""
        if self.skips:
            return
        codes = _column(predecessors, tasks.size)
        there = codes >= 0
        if not there.all():
            codes, tasks = codes[there], tasks[there]
        if codes.size == 0:
            return
        if int((codes - tasks).max()) >= 0:
            raise CairnError("a task may only wait for tasks written before it")
        self._edges.append(codes.size, (2 * codes + (0 if first_data else 1), tasks))

    def join(self, owner: IntArray, tasks: IntArray, count: int, op: IntLike = -1) -> IntArray:
        """`count` joints; joint i waits for all `tasks` whose `owner` is i (owners without tasks are ready at once)."""
        joints = self.sync(None, count, 0, op)
        there = tasks >= 0
        if there.any():
            self.after(joints[owner[there]], tasks[there])
        return joints

    # -- inside --------------------------------------------------------------------------------------------------

    def _copy_rows(self, n: int, source: Region, destination: Region, cause: str, reduce: bool) -> IntArray:
        """`n` new rows of the copy table."""
        part, row = source.slice, self._copies.count + np.arange(n)
        self._copies.append(
            n,
            [
                part.tensor, part.group, *part.rows, *part.columns, source.kind, source.place, destination.kind,
                destination.place, part.bytes, CAUSES.index(cause), int(reduce),
            ],
        )  # fmt: skip
        return row

    def _served(
        self, n: int, core: IntArray, unit: str, server: int, request: Sequence[IntLike], op: IntLike, row: IntArray,
        after: After, tasks: IntArray | None,
    ) -> IntArray:  # fmt: skip
        if unit == "load":
            core = self._leader[core]
        return self._asked(n, self._queue(core, unit), server, request, op, COPY, row, after, tasks)

    def _asked(
        self, n: int, queue: IntArray, server: int, request: Sequence[IntLike], op: IntLike, kind: int, row: IntArray,
        after: After, tasks: IntArray | None = None,
    ) -> IntArray:  # fmt: skip
        """Tasks that a server serves, with a request each."""
        number = self._requests[server].count + np.arange(n)
        self._requests[server].append(n, request)
        return self._add(n, queue, 0, server, number, op, kind, row, after, tasks)

    def _queue(self, core: IntArray, name: str) -> IntArray:
        return core * len(self._of_core) + self._of_core.index(name)

    def _add(
        self, n: int, queue: IntArray, duration: IntLike, server: int, request: IntLike, op: IntLike, kind: int,
        row: IntLike, after: After, tasks: IntArray | None = None,
    ) -> IntArray:  # fmt: skip
        if self.skips:
            return self.pass_over(n, tasks)
        columns = (queue, duration, server, request, op, self._block, kind, row)
        if tasks is None:
            self._tasks.append(n, columns)
            tasks = self._next_numbers(n)
        else:
            self._tasks.put(tasks - self._gone, columns)
            self._reserved -= n
        if after is not None:
            for predecessor in after if isinstance(after, (list, tuple)) else (after,):
                self.after(tasks, predecessor)
        return tasks

    def _next_numbers(self, n: int) -> IntArray:
        self.n_tasks += n
        return self.n_tasks - n + np.arange(n)

    def build(self) -> Plan:
        """The plan of everything written so far. It takes over what the builder holds: a builder builds once."""
        if self._reserved:
            raise CairnError(f"{self._reserved} of the reserved tasks were not written")
        if self.skips:
            raise CairnError("a stretch of this plan is still being skipped")
        queue, duration, server, request, op, block, kind, row = self._tasks.take()
        codes, targets = self._edges.take()
        n = self.n_tasks - self._gone
        for stretch in reversed(self._skipped):  # those before it keep their numbers
            close_gap(codes, targets, stretch.begin, stretch.gone)
        waits = waits_of(targets, n)
        on_first, on_done = (edges_of(codes, targets, event, n) for event in (0, 1))
        requests = tuple(table.take()[0] for table in self._requests)
        waited_first = np.flatnonzero(np.diff(on_first.start))
        for number in (DRAM_SERVER, NOC_SERVER):
            mine = waited_first[server[waited_first] == number]
            requests[number][request[mine], FLAGS] |= WANTS_FIRST
        return Plan(
            queue=queue, duration=duration, server=server, request=request, waits=waits, on_first=on_first,
            on_done=on_done, op=op, block=block, kind=kind, row=row, queues=self.queues, servers=("dram", "noc"),
            requests=requests, compute=self._compute.take()[0], copies=self._copies.take()[0],
            operators=tuple(self.operators), tensors=tuple(self.tensors), notes=dict(self.notes),
        )  # fmt: skip
