"""A plan that is written once for runs that differ in the bandwidth of the DRAM alone, as designs of a search do.

A plan has no time of the DRAM in it: lowering asks for the bandwidth where it chooses the splits of products, and
nowhere else. So two runs whose configurations are the same but for the bandwidth, and whose products are split in the
same way, have the same plan.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any, TypeVar

from cairn.sim.config.run_config import RunConfig, run_content
from cairn.sim.mapping.choices import choose_block
from cairn.sim.mapping.sequence import Sequence, whole_grid
from cairn.sim.mapping.steady import Written
from cairn.sim.plan.plan import Plan
from cairn.workloads.graph import OperatorGraph

Key = tuple[object, ...]
Work = tuple[Sequence, Plan]
T = TypeVar("T")


class KeptPlan:
    """The last plan that was written, for a run that needs the very same one."""

    def __init__(self) -> None:
        self._key: Key | None = None
        self._work: Work | None = None
        self._known: dict[Hashable, Any] = {}

    def of(self, key: Key, write: Callable[[], Work]) -> Work:
        """The plan that is kept if it has this key, otherwise the one that `write` writes, which is kept then."""
        if self._work is None or self._key != key:
            self._work, self._known = None, {}  # before the next one is made
            self._work = write()
            self._key = key
        return self._work

    def known(self, plan: Plan, question: Hashable, find: Callable[[], T]) -> T:
        """What `find` finds out about a plan, and nothing but the plan: found once for each question while it is kept.
        """
        if self._work is None or self._work[1] is not plan:
            return find()
        if question not in self._known:
            self._known[question] = find()
        answer: T = self._known[question]
        return answer


def plan_key(config: RunConfig, graph: OperatorGraph, blocks: Written) -> Key:
    """Everything that the plan of `blocks` of a run depends on: its content without the bandwidth of the DRAM and what
    is no matter of its tasks, and the mapping of every product, without what it was estimated to cost."""
    content = run_content(config)
    for name in ("name", "engine"):
        content.pop(name)
    content["chip"] = {name: value for name, value in content["chip"].items() if name != "name"}
    content["chip"]["dram"] = {
        name: value for name, value in content["chip"]["dram"].items() if name != "bandwidth_gb_per_s"
    }
    grid = whole_grid(config.chip, config.mapping)
    choices = [
        [(name, replace(mapping, cycles=0.0, bound_by="")) for name, mapping in chosen.items()]
        for chosen in (choose_block(segment.block, config.chip, grid, config.mapping) for segment in graph.segments)
    ]
    return (repr(content), repr(choices), blocks)
