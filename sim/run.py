"""A run from configuration to record: operator graph, plan, engine, and the rule for repeated blocks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import numpy as np

from cairn.base.errors import Infeasibility, InfeasibleError
from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.cost import dram_die_shortage
from cairn.sim.config.run_config import Engine, RunConfig, resolved, run_hash
from cairn.sim.engine.trouble import own_plan
from cairn.sim.mapping.choices import busy_share
from cairn.sim.mapping.kept import KeptPlan, plan_key
from cairn.sim.mapping.options import Paradigm
from cairn.sim.mapping.pim_asked import check_asked
from cairn.sim.mapping.schedule import PACKETS
from cairn.sim.mapping.sequence import Sequence, pipelined, straight, whole_grid
from cairn.sim.mapping.steady import COLD, FEW, LEADS, LOOSE, PAIR, PAIR_LARGE, Lead, Written, simulated_of
from cairn.sim.plan.builder import PlanBuilder
from cairn.sim.plan.plan import MERGED, Plan, Trace
from cairn.sim.record import Repetition, RunRecord
from cairn.workloads.build import build_graph
from cairn.workloads.graph import OperatorGraph, Role

Progress = Callable[[str, float], None]
"""Told what is being done and how much of it is done (0 to 1)."""

FIRST_TRY: Final = 13
"""Repeated blocks that are simulated at first, at most, in a row of equal layers or in a slot of the dataflow pipeline:
one that fills the buffers, two rounds of 4 whose periods can be seen to come round, one after them whose end is
disturbed by what follows, and up to three so that whole rounds are left out. Where periods differ too much, from there
on twice as many."""

@dataclass(frozen=True)
class _Attempt:
    plan: Plan
    trace: Trace
    sequence: Sequence
    repetitions: tuple[Repetition, ...]


def simulate(config: RunConfig, *, progress: Progress | None = None, kept: KeptPlan | None = None) -> RunRecord:
    """Run a configuration. InfeasibleError when the chip cannot hold the model; CairnError for other mistakes.

    `kept` keeps the plan for the next run, which takes it if it needs the same one.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    tell = progress or (lambda what, share: None)
    graph = build_graph(config.model, config.workload, config.routing, config.seed)
    check_capacity(config.chip, graph)
    check_dram_dies(config.chip)
    check_asked(config.chip, config.mapping, graph)
    attempt = _simulate_blocks(config, graph, tell, kept or KeptPlan())
    sequence, plan, trace = attempt.sequence, attempt.plan, attempt.trace
    extra = sum(each.left_out_ps for each in attempt.repetitions)
    provenance: dict[str, Any] = {
        "version": code_version(),
        "run_hash": run_hash(config),
        "seed": config.seed,
        "engine": config.engine.engine.value,
        "fidelity": {name: str(level) for name, level in config.fidelity.model_dump(mode="json").items()},
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
    }
    return RunRecord(
        name=config.name, config=resolved(config), chip=config.chip, graph=sequence.graph, plan=plan, trace=trace,
        operators=sequence.infos, block_weight=np.array(sequence.weights(plan), dtype=np.int64),
        block_name=tuple(sequence.labels), repetitions=attempt.repetitions, total_ps=trace.makespan + extra,
        provenance=provenance,
    )  # fmt: skip


def _simulate_blocks(config: RunConfig, graph: OperatorGraph, tell: Progress, kept: KeptPlan) -> _Attempt:
    """Simulate repeated blocks until the change of their period is below the tolerance, or all of them."""
    most = config.engine.max_simulated_blocks
    blocks = _first_try(config, graph)
    while True:
        tell("mapping", 0.0)
        sequence, plan = _written(config, graph, blocks, kept)
        tell("simulating", 0.0)
        with own_plan(f"run {config.name!r}"):
            trace = run_plan(
                plan, config.chip, config.engine.engine, lambda n, all_: tell("simulating", n / all_),
                flits=config.fidelity.flits,
            )  # fmt: skip
        repetitions = sequence.repetitions(plan, trace, config.engine.tolerance)
        steady = all(r.simulated == r.repeat or r.change <= r.tolerance for r in repetitions)
        was_few = any(r.simulated < simulated_of(r.repeat, blocks.most) for r in repetitions)
        if steady or (blocks.most >= most and not was_few):
            return _Attempt(plan, trace, sequence, repetitions)
        led = any(run.lead is not None for run in sequence.runs)
        del sequence, plan, trace  # before the next, larger ones are made
        blocks = blocks._replace(lead=None) if led else _next_try(blocks, most, was_few)


def _first_try(config: RunConfig, graph: OperatorGraph) -> Written:
    """How many of equal blocks are written at first."""
    if config.engine.exact:
        return Written(1 << 60, 1 << 60)
    most = config.engine.max_simulated_blocks
    if config.engine.tolerance >= LOOSE:  # then those of FEW, two of which count at least, and of large ones a PAIR
        return Written(min(FEW, most), PAIR, PAIR_LARGE, _lead(config, graph))
    return Written(min(FIRST_TRY, most), min(FEW, most))


def _lead(config: RunConfig, graph: OperatorGraph) -> Lead | None:
    """The lead that the first of a PAIR of equal blocks has; None where what it leaves unknown alone is beyond the
    tolerance. Asked before a plan is written or taken as kept: how busy units are depends on the bandwidth of the DRAM,
    which the key of a kept plan leaves out."""
    lead, repeated = LEADS.get(config.workload.phase), [each for each in graph.segments if each.repeat > PAIR]
    if lead is None:
        return None
    grid = whole_grid(config.chip, config.mapping)
    blocks = (each.block for each in repeated) if lead.busy > 0 else ()
    shares = [busy_share(block, config.chip, grid, config.mapping) for block in blocks]
    lead = lead._replace(uneven=0.0) if min(shares, default=lead.busy) >= lead.busy else lead
    least = [COLD / each.repeat + lead.uneven * (1 - 1 / each.repeat) for each in repeated]
    return lead if max(least, default=0.0) <= config.engine.tolerance else None


def _next_try(blocks: Written, most: int, was_few: bool) -> Written:
    """How many are written where those were not enough; `was_few` says that of large ones fewer were."""
    if was_few and blocks.of_large == PAIR:
        return Written(blocks.most, blocks.most)
    count = min(FIRST_TRY if was_few or blocks.most < FIRST_TRY else 2 * blocks.most, most)
    return Written(count, count)


def _written(config: RunConfig, graph: OperatorGraph, blocks: Written, kept: KeptPlan) -> tuple[Sequence, Plan]:
    """The plan of a run, as it is kept or written anew."""
    if config.mapping.paradigm is Paradigm.DATAFLOW:
        return _built(*pipelined(config, graph, blocks.most))
    return kept.of(plan_key(config, graph, blocks), lambda: _built(*straight(config, graph, blocks)))


def _built(sequence: Sequence, builder: PlanBuilder) -> tuple[Sequence, Plan]:
    return sequence, builder.build()


def run_plan(
    plan: Plan,
    chip: ChipSpec,
    engine: Engine = Engine.COMPILED,
    progress: Callable[[int, int], None] | None = None,
    *,
    flits: bool = False,
) -> Trace:
    """Run a plan on a chip with either engine, its network by packets (larger ones where products are merged) or by
    flits."""
    servers = chip.servers(flits=flits, packets=PACKETS if plan.notes.get(MERGED) else 1)
    if engine is Engine.REFERENCE:
        from cairn.sim.engine.reference import simulate_plan as reference

        return reference(plan, servers)
    from cairn.sim.engine.compiled import simulate_plan

    return simulate_plan(plan, servers, progress=progress)


def check_capacity(chip: ChipSpec, graph: OperatorGraph) -> None:
    """Weights, caches and states must fit the DRAM; InfeasibleError with the demand of each when they do not."""
    held: dict[Role, int] = {}
    for segment in graph.segments:
        for tensor in segment.block.tensors:
            if tensor.role is not Role.ACTIVATION:
                held[tensor.role] = held.get(tensor.role, 0) + segment.repeat * tensor.bytes
    demand, bound = sum(held.values()) / 1e9, chip.dram.capacity_gb
    if demand > bound:
        parts = ", ".join(f"{role.value} {size / 1e9:,.1f} GB" for role, size in held.items())
        remedy = (
            f"the model needs {parts}: more DRAM layers (chip.dram.capacity_gb >= {demand:,.1f}), fewer bits per "
            "weight or cache entry, a smaller batch or context, or several chips"
        )
        raise InfeasibleError([Infeasibility("DRAM capacity", demand, bound, "GB", remedy)])


def check_dram_dies(chip: ChipSpec) -> None:
    """DRAM dies must not be larger than a die may be, where the chip asks for it; InfeasibleError when they are."""
    shortage = dram_die_shortage(chip)
    if shortage is not None:
        raise InfeasibleError([shortage])


def code_version() -> str:
    """The installed version of Cairn."""
    try:
        return version("cairn")
    except PackageNotFoundError:
        return "unknown"
