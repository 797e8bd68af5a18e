"""Plans on numbers: what a plan computes, task by task, each core with what lies in its own memory and no more.

Tasks run in the order of a trace. A task reads at its start and its result is there at its end, so a dependence that is
missing shows as data that is not there, or as a wrong number. Rules:

1. A copy takes its rectangle from the source at its start. One that follows another copy's first data (a streamed leg)
   takes what that one carries, and is complete when both have ended.
2. A reduce copy takes the partial sum away from its source, and one that spills scores to DRAM takes the scores away.
   A task of action REDUCE or MERGE on the destination that waits for a reduce copy adds it to what lies there; without
   such a task the copy adds it itself, at its end. A reduce copy that follows another one's first data sends on what
   that one carries, word by word with its source's own partial sum added, and nothing of it stays there.
3. Tensors in DRAM lie where they are loaded from; what a task has stored lies in the channel, and at the address, that
   it was stored to.
4. PIM units of a channel have what copies have brought to their buffers and what lies in the channel's banks. A result
   that a copy has taken from them is gone: accumulators begin anew.
5. Numbers are 64-bit floats whatever bits a tensor has: formats are not the executor's business.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cairn.base.errors import CairnError
from cairn.base.registry import nearest_hint
from cairn.hw_models.dram.request import REQUEST_COLUMNS
from cairn.sim.plan import actions, numbers_actions, numbers_attention, numbers_lut, numbers_unfused
from cairn.sim.plan.instance import BlockInstance
from cairn.sim.plan.numbers_machine import Effect, Job, Machine
from cairn.sim.plan.numbers_memory import Numbers, Rect, of_units
from cairn.sim.plan.plan import (
    CAUSES,
    COMPUTE,
    COMPUTE_COLUMNS,
    COPY,
    COPY_COLUMNS,
    DRAM,
    LEAD_ONLY,
    NO_SERVER,
    PIM,
    SHORT_RINGS,
    SYNC,
    Plan,
    Trace,
)
from cairn.workloads.graph import OpKind

_ACTIONS = {
    **numbers_actions.ACTIONS,
    **numbers_attention.ACTIONS,
    actions.PRECOMPUTE: numbers_lut.precompute,
    actions.LOOKUP: numbers_lut.lookup,
}
_ADDING = (actions.REDUCE, actions.MERGE)
_MERGES = {
    OpKind.ATTENTION: numbers_attention.merge,
    OpKind.SOFTMAX: numbers_unfused.merge_statistics,
    OpKind.ATTENTION_CONTEXT: numbers_unfused.merge_results,
}


@dataclass(frozen=True)
class Held:
    """A rectangle (r0, r1, c0, c1) of matrix `group` of a tensor that a core holds before the step."""

    core: int
    tensor: str
    rect: Rect
    values: Numbers
    group: int = 0


@dataclass(frozen=True)
class Outcome:
    """What lies where after a step."""

    machine: Machine

    def dram(self, name: str) -> Numbers:
        """A tensor in DRAM: (groups, rows, columns), NaN where nothing lies."""
        return self.machine.dram.content(self._number(name))

    def sram(self, name: str, core: int, group: int = 0) -> Numbers:
        """What a core holds of one matrix of a tensor, NaN where it holds nothing."""
        return self.machine.sram.sheet(core, self._number(name), group).values.copy()

    def gathered(self, name: str) -> Numbers:
        """An activation put together from all cores, NaN where no core has it; NaN too where two cores disagree."""
        number = self._number(name)
        rows, columns = self.machine.shapes[number]
        cores = sorted({queue.core for queue in self.machine.plan.queues})
        held = np.stack([self.machine.look(core, number, 0, (0, rows, 0, columns)) for core in cores])
        there = ~np.isnan(held)
        first = np.take_along_axis(held, there.argmax(axis=0)[None], axis=0)[0]
        agree = np.isclose(held, first, rtol=1e-9, atol=1e-12) | ~there
        return np.where(agree.all(axis=0), first, np.nan)

    def _number(self, name: str) -> int:
        if name not in self.machine.numbers:
            raise CairnError(f"the plan has no tensor {name!r}")
        return self.machine.numbers[name]


def execute(
    plan: Plan, trace: Trace | None, instances: Sequence[BlockInstance], inputs: Mapping[str, Numbers],
    held: Sequence[Held] = (),
) -> Outcome:  # fmt: skip
    """Run a plan on numbers in the order of its trace (None: in plan order, one task after the other).

    `instances` say which operators the plan's compute tasks belong to; `inputs` has what lies in DRAM before the step,
    by tensor name: a matrix or (groups, rows, columns), NaN where nothing lies yet (rows that will be appended). A
    hidden state that no block makes (a step without embedding) is an input too; it lies on the cores that the instance
    names. `held` lies in the cores' SRAM from the start.
    CairnError, with the rectangle, the core and the task, when a task needs what is not where it works, and for a plan
    whose rings are written in fewer steps than they have.
    """
    if plan.notes.get(SHORT_RINGS):
        raise CairnError("a plan whose rings are shortened has no numbers: lower it with fidelity.products: full")
    if plan.notes.get(LEAD_ONLY):
        raise CairnError("a plan that begins in the middle of a block has no numbers: lower it with engine.exact: true")
    machine = Machine(plan, instances, inputs)
    for piece in held:
        if piece.tensor not in machine.numbers:
            raise CairnError(f"the plan has no tensor {piece.tensor!r}{nearest_hint(piece.tensor, machine.numbers)}")
        machine.put(piece.core, machine.numbers[piece.tensor], piece.group, piece.rect, piece.values)
    run = _Run(plan, machine, instances)
    for task, begins in _events(plan, trace):
        if begins:
            run.begin(task)
        else:
            run.end(task)
    return Outcome(run.machine)


def _events(plan: Plan, trace: Trace | None) -> list[tuple[int, bool]]:
    """Begin (True) and end of every task in order: at a tick first what ends, then what begins, by task number."""
    tasks = np.arange(plan.n_tasks)
    if trace is None:
        return [(task, begins) for task in tasks.tolist() for begins in (True, False)]
    at_once = trace.start == trace.end
    time = np.concatenate([trace.start, trace.end])
    later = np.concatenate([np.ones(plan.n_tasks, dtype=bool), at_once])
    step = np.repeat([0, 1], plan.n_tasks)
    order = np.lexsort((step, np.tile(tasks, 2), later, time))
    return [(index % plan.n_tasks, index < plan.n_tasks) for index in order.tolist()]


class _Run:
    """The tasks under way: what they carry and what they do at their end."""

    def __init__(self, plan: Plan, machine: Machine, instances: Sequence[BlockInstance]):
        self.plan, self.machine = plan, machine
        self._core = self._places()
        self._copies, self._compute = plan.copies.tolist(), plan.compute.tolist()
        self._operators = {
            (instance.number, f"{instance.block.name}/{operator.name}"): (instance, operator)
            for instance in instances
            for operator in instance.block.operators
        }
        self._follows = self._streamed_after()
        self._followers = {first: second for second, first in self._follows.items()}
        self._adder = self._adding_tasks()
        self._carried: dict[int, Numbers] = {}
        self._inbox: dict[int, list[Numbers]] = {}
        self._effects: dict[int, Effect] = {}
        self._ended: set[int] = set()
        self._late: dict[int, list[int]] = {}
        self._stored: dict[tuple[int, int, int, int, int], tuple[int, ...]] = {}
        """Address of each row that a task has stored, by channel, tensor, group, row and first column."""

    def _places(self) -> list[int]:
        """The core of each task's queue; PIM units for what they compute (the channel that its request names)."""
        plan = self.plan
        core: list[int] = np.array([queue.core for queue in plan.queues] or [0])[plan.queue].tolist()
        for task in np.flatnonzero((plan.kind == COMPUTE) & (plan.server != NO_SERVER)).tolist():
            request = plan.requests[plan.server[task]][plan.request[task]]
            core[task] = of_units(int(request[REQUEST_COLUMNS.index("channel")]))
        return core

    def begin(self, task: int) -> None:
        if self.plan.kind[task] == COPY:
            self._carried[task] = self._taken(task)
        elif self.plan.kind[task] == COMPUTE:
            self._effects[task] = self._computed(task)

    def end(self, task: int) -> None:
        kind = self.plan.kind[task]
        if kind == SYNC:
            return
        self._ended.add(task)
        if kind == COMPUTE:
            self._effects.pop(task)()
            return
        first = self._follows.get(task)
        if first is not None and first not in self._ended:
            self._late.setdefault(first, []).append(task)
            return
        self._deliver(task)
        for second in self._late.pop(task, ()):
            self._deliver(second)

    # -- copies --------------------------------------------------------------------------------------------------------

    def _copy(self, task: int) -> tuple[dict[str, int], Rect]:
        row = dict(zip(COPY_COLUMNS, self._copies[self.plan.row[task]], strict=True))
        return row, (row["r0"], row["r1"], row["c0"], row["c1"])

    def _taken(self, task: int) -> Numbers:
        """The numbers that a copy carries."""
        row, rect = self._copy(task)
        carried = self._carried[self._follows[task]] if task in self._follows else None
        if carried is not None and not row["reduce"]:
            return carried
        tensor, group, place = row["tensor"], row["group"], row["source"]
        if row["source_kind"] == PIM:
            place = of_units(place)
        if row["source_kind"] == DRAM:
            return self._loaded(task, place, tensor, group, rect)
        held = self.machine.held(tensor, int(self.plan.block[task]))
        values = self.machine.need(place, held, group, rect, task, "copies")
        spilled = row["destination_kind"] == DRAM and row["cause"] == CAUSES.index("spill")
        if row["reduce"] or spilled or row["cause"] == CAUSES.index("pim_result"):
            self.machine.forget(place, held, group, rect)
        return values if carried is None else values + carried

    def _loaded(self, task: int, channel: int, tensor: int, group: int, rect: Rect) -> Numbers:
        values = np.empty((rect[1] - rect[0], rect[3] - rect[2]))
        for matrix, part, rows in self.machine.parts(tensor, group, rect):
            values[rows] = self.machine.dram.read(channel, tensor, matrix, part)
        for row, address in self._addresses(task, channel, tensor, group, rect):
            if self._stored.get(row, address) != address:
                region = self.machine.region(tensor, group, rect)
                raise CairnError(f"task {task} looks for {region} at another address than it was stored to")
        if np.isnan(values).any():
            region = self.machine.region(tensor, group, rect)
            raise CairnError(f"channel {channel} has no {region} when task {task} copies it")
        return values

    def _deliver(self, task: int) -> None:
        row, rect = self._copy(task)
        values = self._carried[task]
        if task not in self._followers:
            del self._carried[task]
        tensor, group, place = row["tensor"], row["group"], row["destination"]
        if row["destination_kind"] == PIM:
            place = of_units(place)
        if task in self._follows:
            self._carried.pop(self._follows[task], None)
        if row["reduce"] and self._sent_on(task):
            return
        if row["destination_kind"] == DRAM:
            for matrix, part, rows in self.machine.parts(tensor, group, rect):
                self.machine.dram.write(place, tensor, matrix, part, values[rows])
            self._stored.update(self._addresses(task, place, tensor, group, rect))
        elif task in self._adder:
            self._inbox.setdefault(self._adder[task], []).append(values)
        else:
            held = self.machine.held(tensor, int(self.plan.block[task]))
            if row["reduce"]:
                self.machine.add(place, held, group, rect, values, task)
            else:
                self.machine.put(place, held, group, rect, values)

    def _sent_on(self, task: int) -> bool:
        """Whether a reduce copy goes on in another one that follows its first data (rule 2)."""
        follower = self._followers.get(task)
        return follower is not None and bool(self._copy(follower)[0]["reduce"])

    def _addresses(
        self, task: int, channel: int, tensor: int, group: int, rect: Rect
    ) -> Iterator[tuple[tuple[int, int, int, int, int], tuple[int, ...]]]:
        """Every row of a rectangle in DRAM, and where its bytes begin."""
        requests = self.plan.requests[self.plan.server[task]]
        request = dict(zip(REQUEST_COLUMNS, requests[self.plan.request[task]], strict=True))
        each = int(request["bytes"]) // max(1, rect[1] - rect[0])
        where = *(int(request[name]) for name in ("bank_base", "bank_count", "row_base", "stripe_bytes")),
        for matrix, part, rows in self.machine.parts(tensor, group, rect):
            for row in range(part[0], part[1]):
                offset = int(request["offset_bytes"]) + each * (rows.start + row - part[0])
                yield (channel, tensor, matrix, row, rect[2]), (*where, offset)

    def _streamed_after(self) -> dict[int, int]:
        """Copies that wait for the first data of a copy of the same rectangle: that copy."""
        plan = self.plan
        first = np.repeat(np.arange(plan.n_tasks), np.diff(plan.on_first.start))
        pairs = zip(first.tolist(), plan.on_first.targets.tolist(), strict=True)
        return {b: a for a, b in pairs if plan.kind[a] == COPY == plan.kind[b] and self._copy(a)[1] == self._copy(b)[1]}

    def _adding_tasks(self) -> dict[int, int]:
        """The compute task that adds what a reduce copy brings, where there is one."""
        plan, found = self.plan, {}
        action = COMPUTE_COLUMNS.index("action")
        for copy in np.nonzero(plan.kind == COPY)[0].tolist():
            if not self._copy(copy)[0]["reduce"]:
                continue
            for task in plan.on_done.targets[plan.on_done.start[copy] : plan.on_done.start[copy + 1]].tolist():
                if plan.kind[task] == COMPUTE and self._compute[plan.row[task]][action] in _ADDING:
                    found[copy] = task
        return found

    # -- compute tasks -------------------------------------------------------------------------------------------------

    def _computed(self, task: int) -> Effect:
        row = dict(zip(COMPUTE_COLUMNS, self._compute[self.plan.row[task]], strict=True))
        job, action = self._job(task, row), row["action"]
        if action in _ADDING:
            return self._added(job, action)
        effect = numbers_unfused.ACTIONS.get((job.operator.kind, action)) or _ACTIONS.get(action)
        if effect is None:
            raise CairnError(f"task {task} has action {action}, which has no meaning on numbers")
        return effect(self.machine, job)

    def _job(self, task: int, row: Mapping[str, int]) -> Job:
        key = (int(self.plan.block[task]), self.plan.operators[row["op"]] if row["op"] >= 0 else "")
        if key not in self._operators:
            what = f"operator {key[1]!r} of block instance {key[0]}"
            raise CairnError(f"task {task} computes for {what}, which is not given")
        m, n, k = ((row[f"{d}0"], row[f"{d}1"]) for d in "mnk")
        return Job(task, self._core[task], *self._operators[key], row["group"], m, n, k)

    def _added(self, job: Job, action: int) -> Effect:
        """REDUCE and MERGE of everything that the copies they waited for have brought."""
        received = self._inbox.pop(job.task, [])
        if not received:
            raise CairnError(f"task {job.task} on core {job.core} adds a partial sum that no reduce copy has brought")
        if action == actions.MERGE:
            effects = [_MERGES[job.operator.kind](self.machine, job, values) for values in received]
        else:
            y = self.machine.key(job.instance, job.operator.outputs[0])
            effects = [
                lambda part=values: self.machine.add(job.core, y, 0, job.rect, part, job.task)  # type: ignore[misc]
                for values in received
            ]

        def end() -> None:
            for effect in effects:
                effect()

        return end
