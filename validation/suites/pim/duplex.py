"""Duplex: decode and prefill steps on GPUs with and without PIM, against its authors' simulator."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

from cairn.base.errors import CairnError, ConfigError
from cairn.hw_models.pim.duplex import DuplexSpec, Unit
from cairn.hw_models.pim.system_energy import DuplexEnergySpec
from cairn.sim.pim.duplex_energy import step_energy
from cairn.sim.pim.step import Machine, StepTime, step_time
from cairn.validation.reference import Record, ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.shipped import plain_name, shipped_models
from cairn.workloads.architecture import ModelSpec
from cairn.workloads.build import build_graph
from cairn.workloads.graph import OperatorGraph
from cairn.workloads.routing import RoutingLaw, RoutingSpec
from cairn.workloads.step import Phase, WorkloadSpec

RUNS: Final = "systems/duplex_llmsim_runs.csv"
SYSTEMS: Final[dict[str, Unit | None]] = {"GPU": None, "GPU+LogicPIM": Unit.LOGIC, "GPU+BankPIM": Unit.BANK}
SHORT: Final = {"mixtral": "mixtral8x7b", "glam": "glam143b"}
"""Models that the reference calls by less than their name."""
COMPONENTS: Final = {
    "qkv_ms": "qkv", "attention_ms": "attention", "o_proj_ms": "o", "dense_ffn_ms": "dense", "expert_ffn_ms": "experts",
    "comm_ms": "all_reduce",
}  # fmt: skip
SEED: Final = 777
"""The reference's seed; its generator is another, so its draws are not repeated."""
ALIKE: Final = ("memory_model", "stage", "model", "batch", "context_or_prompt", "nodes", "devices_per_node")


def rows(reference: ReferenceDir) -> Iterator[Row]:
    """Latencies of all runs and, of those with simulated memory, their parts; then one system against another."""
    if reference.optional(RUNS) is None:
        return
    records = [record for record in reference.csv(RUNS) if record.text("system") in SYSTEMS]
    found: list[tuple[Record, StepTime | None]] = []
    for record in records:
        step, remark = _step(record)
        found.append((record, step))
        yield _latency(record, step, remark)
        if step is not None and record.text("memory_model") == "ramulator":
            yield from _parts(record, step)
            yield from _energy(record, step)
    for record, step in found:
        for other, its_step in found:
            yield from _against(record, step, other, its_step)


@cache
def graph(name: str, phase: str, batch: int, tokens: int) -> OperatorGraph:
    """A step of a model as the reference has it: uniform experts, and no embedding.

    Its GLaM has two matrices in the dense layers (of the paper's three); its decode looks at the new token too.
    """
    model = shipped_models().get(SHORT.get(name, plain_name(name)))
    if model is None:
        raise ConfigError(f"no model called {name} is shipped", key="model")
    if name == "glam":
        model = _ungated(model)
    if phase == "decode":
        step = {"phase": Phase.DECODE, "context": tokens + 1}
    else:
        step = {"phase": Phase.PREFILL, "new_tokens": tokens}
    workload = WorkloadSpec.model_validate({**step, "batch": batch, "embedding": False})
    return build_graph(model, workload, RoutingSpec(law=RoutingLaw.UNIFORM), SEED)


def _ungated(model: ModelSpec) -> ModelSpec:
    if model.ffn is None:
        raise ConfigError(f"{model.name} has no dense layers", key="ffn")
    return model.model_copy(update={"ffn": model.ffn.model_copy(update={"gated": False})})


def machine(record: Record) -> Machine:
    """The devices of a run. Without experts there is nothing to divide."""
    nodes, experts = record.integer("nodes"), record.number("expert_ffn_ms") > 0
    return Machine(
        device=DuplexSpec(simulated_memory=record.text("memory_model") == "ramulator"),
        devices=nodes * record.integer("devices_per_node"), nodes=nodes,
        tensor_parallel=record.integer("nonexpert_tp"), expert_parallel=record.integer("expert_tp"),
        pim=SYSTEMS[record.text("system")], coprocessing=experts and record.integer("coprocessing") == 1,
    )  # fmt: skip


def _step(record: Record) -> tuple[StepTime | None, str]:
    """The step of a run, or None and why not."""
    at = record.text("model"), record.text("stage"), record.integer("batch"), record.integer("context_or_prompt")
    try:
        return step_time(machine(record), graph(*at)), ""
    except CairnError as refused:
        return None, f"refused: {refused}"


def _ms(step: StepTime | None) -> float | None:
    return None if step is None else step.seconds * 1e3


def _source(record: Record) -> str:
    return f"{RUNS} ({record.text('run')})"


def _latency(record: Record, step: StepTime | None, remark: str) -> Row:
    memory, stage = record.text("memory_model"), record.text("stage")
    gate = "duplex_prefill" if stage == "prefill" else f"duplex_{memory}"
    return Row(
        f"duplex.{record.text('run')}", f"Duplex {stage}, {memory}", record.number("latency_ms"), _ms(step), "ms",
        _source(record), (gate,), resolution=5e-7, remark=remark,
    )  # fmt: skip


def _parts(record: Record, step: StepTime) -> Iterator[Row]:
    for column, part in COMPONENTS.items():
        if (measured := record.number(column)) > 0:
            yield Row(
                f"duplex.{record.text('run')}.{part}", f"Duplex part, {part}", measured, getattr(step, part) * 1e3,
                "ms", _source(record), (f"duplex_{part}",) if record.text("stage") == "decode" else (), resolution=5e-7,
            )  # fmt: skip


def _energy(record: Record, step: StepTime) -> Iterator[Row]:
    """Joules of a decode step, all devices: memory and operations apart."""
    if record.text("stage") != "decode":
        return
    energy = step_energy(machine(record), step, DuplexEnergySpec())
    bank = SYSTEMS[record.text("system")] is Unit.BANK
    for column, what, joules in (
        ("dram_energy_J", "memory", energy.memory_j), ("mac_energy_J", "operations", energy.compute_j)
    ):  # fmt: skip
        again = what == "memory" and bank
        gate = f"duplex_energy_{what}" + ("_bank" if again else "")
        yield Row(
            f"duplex.{record.text('run')}.energy.{what}", f"Duplex energy, {what}" + (", bank PIM" if again else ""),
            record.number(column), joules, "J", _source(record), (gate,), resolution=5e-6,
        )  # fmt: skip


def _against(record: Record, step: StepTime | None, other: Record, its_step: StepTime | None) -> Iterator[Row]:
    """`other`'s time over that of `record`, for pairs of decode runs with simulated memory that differ in one thing:
    the system, or co-processing."""
    if record.text("memory_model") != "ramulator" or record.text("stage") != "decode":
        return
    if any(record.text(name) != other.text(name) for name in ALIKE):
        return
    mine, its = record.text("system"), other.text("system")
    both = record.integer("coprocessing"), other.integer("coprocessing")
    name = f"duplex.{its}/{mine}.{record.text('run')}"
    gates: tuple[str, ...] = ()
    if both == (0, 0) and list(SYSTEMS).index(its) < list(SYSTEMS).index(mine):
        gates = ("duplex_ratio", "duplex_sign")
    elif both == (1, 0) and mine == its:
        gates = ("duplex_divided",)
    if gates:
        ratio = None if step is None or its_step is None else its_step.seconds / step.seconds
        yield Row(
            name, f"Duplex, {its} over {mine}" + (", divided experts" if both[0] else ""),
            other.number("latency_ms") / record.number("latency_ms"), ratio, "x", _source(record), gates,
        )  # fmt: skip
