"""The simulated run as trace events that ui.perfetto.dev (and chrome://tracing) opens.

One process per core, one thread per queue, more threads where a queue has several tasks in flight (events of a thread
may nest but not cross); one process for the chip with counters and with synchronisation. Times are microseconds
with three decimals; tasks shorter than that have duration 0.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from cairn.base.ticks import PS_PER_US
from cairn.sim.plan import actions
from cairn.sim.plan.plan import CAUSES, COMPUTE, COMPUTE_COLUMNS, COPY, COPY_COLUMNS, NO_QUEUE
from cairn.sim.report.series import utilisation_series
from cairn.sim.report.tasks import DRAM_SERVER
from cairn.sim.report.units import label

if TYPE_CHECKING:
    from cairn.sim.record import RunRecord
    from cairn.sim.report.result import Result

IntArray = npt.NDArray[np.int64]
Event = dict[str, Any]

SCHEMA: Final = "cairn.timeline/1"
CORES: Final = 8
EVENTS: Final = 200_000
"""assumed: more events than this make the viewer slow; then only some block instances are shown."""
COUNTER_BINS: Final = 1000

CHIP_PID: Final = 1
FIRST_CORE_PID: Final = 2
THREADS_PER_QUEUE: Final = 1000


def timeline(result: Result, cores: int = CORES, blocks: Sequence[int] | None = None) -> dict[str, Any]:
    """The trace-event object of a run: `cores` cores spread over the chip, and some block instances.

    Without `blocks`, all instances when that is at most 200,000 events, else the one that stands for most real ones
    and its predecessor. `otherData` says what is shown and what was left out.
    """
    record = result.record
    shown_cores = spread_cores([queue.core for queue in record.plan.queues], cores)
    on_cores = _tasks_on(record, shown_cores)
    if blocks is None and on_cores.size > EVENTS:
        blocks = _typical_blocks(record)
    tasks = on_cores if blocks is None else on_cores[np.isin(record.plan.block[on_cores], list(blocks))]
    begin, end = _window(record, tasks)
    events = [*_process_names(shown_cores), *_task_events(record, tasks), *_counters(result, begin, end)]
    return {
        "traceEvents": events,
        "displayTimeUnit": "ns",
        "otherData": {
            "schema": SCHEMA,
            "run": record.name,
            "cores_shown": [int(core) for core in shown_cores],
            "cores_of_chip": record.chip.core_count,
            "block_instances_shown": "all" if blocks is None else [int(block) for block in blocks],
            "block_instances_simulated": len(record.block_name),
            "tasks_shown": int(tasks.size),
            "tasks_simulated": record.plan.n_tasks,
            "left_out": "tasks of other cores and other block instances, and synchronisation of no duration",
            "simulated_of_total_us": [record.trace.makespan / PS_PER_US, record.total_ps / PS_PER_US],
        },
    }


def spread_cores(cores: Sequence[int], count: int) -> list[int]:
    """Up to `count` (>= 1) of the different `cores`, spread evenly, first and last included."""
    if count < 1:
        raise ValueError(f"a timeline shows at least one core, asked for {count}")
    known = sorted(set(cores))
    picks = np.unique(np.linspace(0, len(known) - 1, min(count, len(known))).round().astype(int))
    return [known[pick] for pick in picks.tolist()] if known else []


def _tasks_on(record: RunRecord, cores: Sequence[int]) -> IntArray:
    """Tasks in queues of `cores`, and those without a queue that take time."""
    plan, trace = record.plan, record.trace
    chosen = np.array([*(queue.core in set(cores) for queue in plan.queues), False], dtype=np.bool_)
    queued = chosen[plan.queue]
    waiting = (plan.queue == NO_QUEUE) & (trace.end > trace.start)
    return np.flatnonzero(queued | waiting).astype(np.int64)


def _typical_blocks(record: RunRecord) -> list[int]:
    """The block instance that stands for most real ones, the last of them on a tie, and the one before it."""
    weight = record.block_weight
    chosen = int(weight.size - 1 - np.argmax(weight[::-1])) if weight.size else 0
    return [chosen - 1, chosen] if chosen else [0]


def _window(record: RunRecord, tasks: IntArray) -> tuple[int, int]:
    if tasks.size == 0:
        return 0, 0
    return int(record.trace.start[tasks].min()), int(record.trace.end[tasks].max())


def _process_names(cores: Sequence[int]) -> Iterator[Event]:
    named = [(CHIP_PID, "chip"), *((FIRST_CORE_PID + core, f"core {core}") for core in cores)]
    for order, (pid, name) in enumerate(named):
        yield {"ph": "M", "name": "process_name", "pid": pid, "tid": 0, "args": {"name": name}}
        yield {"ph": "M", "name": "process_sort_index", "pid": pid, "tid": 0, "args": {"sort_index": order}}


def _task_events(record: RunRecord, tasks: IntArray) -> Iterator[Event]:
    """Thread names and complete events, queue by queue."""
    plan, trace = record.plan, record.trace
    queues = plan.queue[tasks]
    order = np.lexsort((trace.end[tasks], trace.start[tasks], queues))
    tasks, queues = tasks[order], queues[order]
    cuts = np.flatnonzero(np.diff(queues)) + 1
    for group in np.split(tasks, cuts) if tasks.size else []:
        queue = int(plan.queue[group[0]])
        pid = CHIP_PID if queue == NO_QUEUE else FIRST_CORE_PID + plan.queues[queue].core
        name = "synchronisation" if queue == NO_QUEUE else plan.queues[queue].unit
        lane = lanes(trace.start[group].tolist(), trace.end[group].tolist())
        first_tid = (queue + 1) * THREADS_PER_QUEUE + 1
        for number in range(max(lane) + 1):
            thread = name if number == 0 else f"{name} {number + 1}"
            tid = first_tid + number
            yield {"ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": {"name": thread}}
            yield {"ph": "M", "name": "thread_sort_index", "pid": pid, "tid": tid, "args": {"sort_index": tid}}
        for task, number in zip(group.tolist(), lane, strict=True):
            yield _complete(record, task, pid, first_tid + number)


def lanes(start: list[int], end: list[int]) -> list[int]:
    """Lane of each interval (sorted by start) so that those of one lane do not cross; as few lanes as there can be."""
    free: list[int] = []
    taken: list[tuple[int, int]] = []
    result = []
    count = 0
    for begin, finish in zip(start, end, strict=True):
        while taken and taken[0][0] <= begin:
            heapq.heappush(free, heapq.heappop(taken)[1])
        if free:
            lane = heapq.heappop(free)
        else:
            lane, count = count, count + 1
        heapq.heappush(taken, (finish, lane))
        result.append(lane)
    return result


def _microseconds(ps: int) -> float:
    return round(ps / PS_PER_US, 3)


def _complete(record: RunRecord, task: int, pid: int, tid: int) -> Event:
    plan, trace = record.plan, record.trace
    op = int(plan.op[task])
    begin = _microseconds(int(trace.start[task]))
    category, args = _describe(record, task)
    args["task"] = task
    block = int(plan.block[task])
    if 0 <= block < len(record.block_name):
        args["block"] = record.block_name[block]
    return {
        "ph": "X",
        "name": record.operators[op].name if op >= 0 else category,
        "cat": category,
        "pid": pid,
        "tid": tid,
        "ts": begin,
        "dur": round(_microseconds(int(trace.end[task])) - begin, 3),
        "args": args,
    }


def _describe(record: RunRecord, task: int) -> tuple[str, dict[str, Any]]:
    """Category of a task and what it works on: its tile, or what it copies from where to where."""
    plan = record.plan
    kind, row = int(plan.kind[task]), int(plan.row[task])
    if kind == COMPUTE and row >= 0:
        tile = dict(zip(COMPUTE_COLUMNS, plan.compute[row].tolist(), strict=True))
        extent = {
            axis: f"{tile[axis + '0']}..{tile[axis + '1']}" for axis in "mnk" if tile[axis + "1"] > tile[axis + "0"]
        }
        return actions.NAMES[tile["action"]], {"group": tile["group"], **extent}
    if kind == COPY and row >= 0:
        copy = dict(zip(COPY_COLUMNS, plan.copies[row].tolist(), strict=True))
        tensor = copy["tensor"]
        return CAUSES[copy["cause"]], {
            "tensor": plan.tensors[tensor] if 0 <= tensor < len(plan.tensors) else tensor,
            "bytes": copy["bytes"],
            "from": _place(copy["source_kind"], copy["source"]),
            "to": _place(copy["destination_kind"], copy["destination"]),
        }
    return "sync", {}


def _place(kind: int, number: int) -> str:
    return f"{('SRAM of core', 'DRAM channel', 'PIM units of channel')[kind]} {number}"


def _counters(result: Result, begin: int, end: int) -> Iterator[Event]:
    """DRAM bandwidth in GB/s and utilisation in percent, of the whole chip, within the shown window."""
    if end <= begin:
        return
    series = utilisation_series(result, COUNTER_BINS, begin, end)
    times = [round(float(edge), 3) for edge in series.edges_us]
    for name, share in series.share.items():
        if name == DRAM_SERVER:
            track, key, values = "DRAM bandwidth", "GB/s", share * result.peaks.dram_bytes_per_s / 1e9
        else:
            track, key, values = f"{label(name)} busy", "percent", share * 100
        for time, value in zip(times, [*values.tolist(), 0.0], strict=True):
            yield {"ph": "C", "name": track, "pid": CHIP_PID, "tid": 0, "ts": time, "args": {key: round(value, 3)}}
