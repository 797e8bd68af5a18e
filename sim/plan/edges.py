"""Dependences of a plan by the task they come from."""

from __future__ import annotations

import numpy as np

from cairn.base.kernel import kernel
from cairn.sim.plan.plan import Edges, IndexArray, IntArray


@kernel()
def _sorted(codes: IntArray, targets: IndexArray, event: int, start: IndexArray) -> IndexArray:
    """Successors of the edges of one kind of event, by task and as written; fills `start` (tasks + 1 entries)."""
    for index in range(codes.size):
        if codes[index] & 1 == event:
            start[(codes[index] >> 1) + 1] += 1
    for task in range(start.size - 1):
        start[task + 1] += start[task]
    place = start.copy()
    ends = np.empty(start[-1], np.int32)
    for index in range(codes.size):
        if codes[index] & 1 == event:
            task = codes[index] >> 1
            ends[place[task]] = targets[index]
            place[task] += 1
    return ends


@kernel()
def waits_of(targets: IndexArray, n: int) -> IndexArray:
    """How many edges end at each of `n` tasks."""
    waits = np.zeros(n, np.int32)
    for index in range(targets.size):
        waits[targets[index]] += 1
    return waits


def edges_of(codes: IntArray, targets: IndexArray, event: int, n: int) -> Edges:
    """Edges (codes 2 * task + event, and successors) of one kind of event of `n` tasks."""
    start = np.zeros(n + 1, dtype=np.int32)
    return Edges(start, _sorted(codes, targets, event, start))
