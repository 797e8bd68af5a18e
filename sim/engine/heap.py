"""Binary min-heaps in flat arrays, for the compiled loop: of tasks by tick, and of task ids."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cairn.base.kernel import kernel

IntArray = npt.NDArray[np.int64]
SmallIntArray = npt.NDArray[np.int32]


@kernel(_nrt=False, forceinline=True)
def push_due(ticks: IntArray, tasks: SmallIntArray, size: int, tick: int, task: int) -> None:
    """Add (tick, task) to the heap of `size` entries; the caller counts one more."""
    place = size
    while place > 0:
        parent = (place - 1) >> 1
        if ticks[parent] <= tick:
            break
        ticks[place] = ticks[parent]
        tasks[place] = tasks[parent]
        place = parent
    ticks[place] = tick
    tasks[place] = task


@kernel(_nrt=False, forceinline=True)
def pop_due(ticks: IntArray, tasks: SmallIntArray, size: int) -> int:
    """Take the task with the smallest tick from the heap of `size` > 0 entries; the caller counts one less."""
    top = int(tasks[0])
    last = size - 1
    tick, task = ticks[last], tasks[last]
    place = 0
    child = 1
    while child < last:
        if child + 1 < last and ticks[child + 1] < ticks[child]:
            child += 1
        if tick <= ticks[child]:
            break
        ticks[place] = ticks[child]
        tasks[place] = tasks[child]
        place = child
        child = 2 * place + 1
    ticks[place] = tick
    tasks[place] = task
    return top


@kernel(_nrt=False, forceinline=True)
def push_id(tasks: SmallIntArray, size: int, task: int) -> None:
    """Add a task id to the heap of `size` entries; the caller counts one more."""
    place = size
    while place > 0:
        parent = (place - 1) >> 1
        if tasks[parent] <= task:
            break
        tasks[place] = tasks[parent]
        place = parent
    tasks[place] = task


@kernel(_nrt=False, forceinline=True)
def pop_id(tasks: SmallIntArray, size: int) -> int:
    """Take the smallest id from the heap of `size` > 0 entries; the caller counts one less."""
    top = int(tasks[0])
    last = size - 1
    task = tasks[last]
    place = 0
    child = 1
    while child < last:
        if child + 1 < last and tasks[child + 1] < tasks[child]:
            child += 1
        if task <= tasks[child]:
            break
        tasks[place] = tasks[child]
        place = child
        child = 2 * place + 1
    tasks[place] = task
    return top
