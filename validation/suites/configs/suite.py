"""Every shipped configuration loads and runs, or is refused as infeasible together with what would make it fit."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from cairn.base.errors import CairnError, InfeasibleError
from cairn.sim.config.problems import validate
from cairn.sim.config.resolve import (
    ACCELERATOR,
    CHIP,
    DUPLEX,
    MODEL,
    NETWORK,
    PIM_SYSTEM,
    WAFER,
    load_document,
    shipped,
)
from cairn.sim.config.run_config import RunConfig, load
from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.shipped import shipped_runs
from cairn.workloads.architecture import ModelSpec
from cairn.workloads.parameters import count_parameters

QUICK_PARAMETERS = 3e8
"""Models up to this size are run without `run_all`."""
QUICK_RUNS = ("demo",)
STEP = "{phase: decode, batch: 1, context: 64}"
"""The step in which each model is run: one request with few keys, so that all its weights are read and little else."""
BASE_RUN = "llama-2-13b-decode"
ACCELERATED = "llama-2-7b"
"""The model in which each accelerator of configs/accelerators is tried: one that all of them know."""


@dataclass(frozen=True)
class Outcome:
    """How a configuration came out: `works` when it ran, or was refused with a remedy."""

    works: bool
    remark: str


def predict(reference: ReferenceDir, run_all: bool) -> Iterator[Row]:
    """A row for every file: 1 when it works. What is not run without `run_all` is loaded."""
    for name in shipped(CHIP):
        yield _row(f"chips/{name}", "chips", _chip(name))
    for name in shipped_runs():
        yield _row(f"runs/{name}", "runs", _run(name, run_all or name in QUICK_RUNS))
    for name in shipped(WAFER):
        yield _row(f"wafer/{name}", "wafer", _wafer(name))
    for name in shipped(ACCELERATOR):
        yield _row(f"accelerators/{name}", "accelerators", _accelerator(name))
    for name in shipped(DUPLEX):
        yield _row(f"duplex/{name}", "duplex", _duplex(name))
    for name in shipped(PIM_SYSTEM):
        yield _row(f"pim/{name}", "pim", _pim_system(name))
    for name in shipped(MODEL):
        model = validate(load_document(name, MODEL), ModelSpec, MODEL.references)
        small = count_parameters(model).matrices <= QUICK_PARAMETERS
        yield _row(f"models/{name}", "models", _model(name, run_all or small))
    for name in shipped(NETWORK):
        yield _row(f"networks/{name}", "networks", network_outcome(name, run_all))


def _row(name: str, kind: str, outcome: Outcome) -> Row:
    return Row(
        name, kind, 1.0, float(outcome.works), "works", f"configs/{name}.yaml", ("works",), remark=outcome.remark
    )


def _chip(name: str) -> Outcome:
    """The demo's model, which is the smallest that is shipped to run, on the chip."""
    return outcome_of("demo", [f"chip={name}"], run=True)


def _run(name: str, run: bool) -> Outcome:
    return outcome_of(name, [], run=run)


def _model(name: str, run: bool) -> Outcome:
    return outcome_of(BASE_RUN, [f"model={name}", f"workload={STEP}", f"name={name}"], run=run)


def _wafer(name: str) -> Outcome:
    from cairn.sim.wafer.decode import load_wafer, wafer_decode

    try:
        found = wafer_decode(load_wafer(name))
    except CairnError as broken:
        return Outcome(False, f"Refused: {broken}")
    return Outcome(found.tokens_per_s > 0, f"{found.tokens_per_s:,.1f} tokens/s.")


def _accelerator(name: str) -> Outcome:
    from cairn.sim.layerwise.run import run_layers
    from cairn.sim.layerwise.spec import Phase, load_accelerator

    try:
        model = validate(load_document(ACCELERATED, MODEL), ModelSpec, MODEL.references)
        cycles = [run_layers(load_accelerator(name), model, phase).cycles for phase in Phase]
    except CairnError as broken:
        return Outcome(False, f"Refused: {broken}")
    told = f"{ACCELERATED}: {cycles[0]:,} cycles of prefill, {cycles[1]:,} of a decoded token."
    return Outcome(min(cycles) > 0, told)


def _duplex(name: str) -> Outcome:
    from cairn.sim.pim.duplex_result import compare
    from cairn.sim.pim.duplex_run import load_duplex

    try:
        totals = compare(load_duplex(name)).totals()
    except CairnError as broken:
        return Outcome(False, f"Refused: {broken}")
    told = ", ".join(f"{row['system']} {row['speedup']:.2f}x" for row in totals.to_dict("records")[1:])
    return Outcome(bool((totals["ms"] > 0).all()), f"{told} of the cores alone.")


def _pim_system(name: str) -> Outcome:
    from cairn.sim.pim.system_result import run_pim_system
    from cairn.sim.pim.system_run import load_pim_system

    try:
        totals = run_pim_system(load_pim_system(name)).totals()
    except CairnError as broken:
        return Outcome(False, f"Refused: {broken}")
    told = ", ".join(f"{row['system']} {row['tokens_per_s']:,.0f} tokens/s" for row in totals.to_dict("records"))
    return Outcome(bool((totals["tokens_per_s"] > 0).all()), f"{told}.")


def outcome_of(run_name: str, overrides: list[str], run: bool) -> Outcome:
    """Load a run with overrides, and simulate it if told to. Whatever is refused otherwise does not work."""
    try:
        config = load(run_name, overrides)
        return _simulated(config) if run else Outcome(True, "Loaded; run with --all.")
    except InfeasibleError as refused:
        remedies = [one.remedy for one in refused.reasons if one.remedy]
        return Outcome(bool(remedies), f"Infeasible: {refused}")
    except CairnError as broken:
        return Outcome(False, f"Refused: {broken}")


def network_outcome(name: str, run: bool) -> Outcome:
    """The network alone, by packets; by flits too with `run`."""
    from cairn.sim.network.runs import run_network
    from cairn.sim.network.spec import load_network

    try:
        spec = load_network(name)
        begin = time.process_time()
        for model in ("packet", "flit") if run else ("packet",):
            run_network(load_network(name, (f"model={model}",)))
    except CairnError as broken:
        return Outcome(False, f"Refused: {broken}")
    return Outcome(True, f"{spec.measure.kind} ran in {time.process_time() - begin:.1f} s of CPU time.")


def _simulated(config: RunConfig) -> Outcome:
    from cairn.sim.run import simulate

    begin = time.process_time()
    record = simulate(config)
    spent = time.process_time() - begin
    took = f"{record.total_ps / 1e9:.4g} ms, {record.plan.n_tasks} tasks"
    return Outcome(record.total_ps > 0, f"Ran in {spent:.1f} s of CPU time: {took}.")
