"""Stretches of a plan that are gone through and not written: their task numbers, of which one joint is left."""

from __future__ import annotations

from typing import NamedTuple

from cairn.base.kernel import kernel
from cairn.sim.plan.plan import IndexArray, IntArray


class Skipped(NamedTuple):
    """Task numbers [begin, end) of which the first is a joint and the others were never written."""

    begin: int
    end: int

    @property
    def gone(self) -> int:
        return self.end - self.begin - 1


@kernel()
def close_gap(codes: IntArray, targets: IndexArray, begin: int, gone: int) -> None:
    """Make the task numbers of edges (codes 2 * task + event, and successors) places among the tasks that are there,
    where of `gone` + 1 tasks from `begin` on only the first one, the joint, was written: it stands for all of them."""
    for index in range(codes.size):
        task = codes[index] >> 1
        codes[index] -= 2 * min(max(task - begin, 0), gone)
        targets[index] -= min(max(targets[index] - begin, 0), gone)
