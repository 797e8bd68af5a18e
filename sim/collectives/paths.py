"""Routes that every core of a plan has to know, and the limit of a chip on them.

A path is a source and a destination: what is sent between the two takes one route through the routers. A router tells
paths apart by an address in the header of a word, so it knows a limited number of them (32 on a WSE-2:
reference/wafer/wse2_hardware.yaml, routing_paths_per_core). A broadcast through routers is one path, from its source.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cairn.base.errors import Infeasibility, InfeasibleError
from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.noc.routing import route
from cairn.hw_models.noc.topology import DIRECTIONS, wire
from cairn.sim.plan.plan import COPY, COPY_COLUMNS, NO_SERVER, SRAM, Plan

IntArray = npt.NDArray[np.int64]


def paths_per_core(plan: Plan, chip: ChipSpec) -> IntArray:
    """Paths that begin at, pass or end at each core: (cores,)."""
    wiring = wire(chip.noc.topology, chip.cores.rows, chip.cores.columns)
    served, handed = _pairs(plan, True), _pairs(plan, False)
    count = np.zeros(wiring.nodes, dtype=np.int64)
    reached: dict[int, set[int]] = {}
    for source, destination in served:
        links = route(chip.noc, wiring, source, destination)
        cores = [source, *(link // DIRECTIONS for link in links[1:]), destination]
        count[cores] += 1
        reached.setdefault(source, set()).update(cores)
    for source, destination in handed:
        if destination not in reached.setdefault(source, set()):
            count[destination] += 1
            reached[source].add(destination)
    return count


def _pairs(plan: Plan, served: bool) -> list[tuple[int, int]]:
    """Distinct sources and destinations of copies between cores that a server serves, or that routers hand out."""
    names = {name: index for index, name in enumerate(COPY_COLUMNS)}
    tasks = np.flatnonzero((plan.kind == COPY) & ((plan.server != NO_SERVER) == served))
    rows = plan.copies[plan.row[tasks]]
    between = (rows[:, names["source_kind"]] == SRAM) & (rows[:, names["destination_kind"]] == SRAM)
    pairs = np.unique(rows[between][:, [names["source"], names["destination"]]], axis=0)
    return [(int(source), int(destination)) for source, destination in pairs]


def check_paths(plan: Plan, chip: ChipSpec, limit: int) -> None:
    """InfeasibleError when a core has to know more than `limit` paths."""
    paths = paths_per_core(plan, chip)
    most = int(paths.max(initial=0))
    if most > limit:
        core = int(paths.argmax())
        remedy = f"core {core} is on {most} paths: let cores relay what they receive, or use fewer cores a line"
        raise InfeasibleError([Infeasibility("paths that a core knows", most, limit, "paths", remedy)])
