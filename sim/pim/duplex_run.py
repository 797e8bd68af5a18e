"""A decode step on Duplex-like devices as data (schema `cairn.duplex/1`, configs/duplex)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

from pydantic import model_validator

from cairn.base.errors import Infeasibility, InfeasibleError
from cairn.base.spec import Spec, required, sourced
from cairn.hw_models.pim.duplex import DuplexSpec, Unit
from cairn.hw_models.pim.system_energy import DuplexEnergySpec
from cairn.sim.config.problems import validate
from cairn.sim.config.resolve import DUPLEX, load_document, override
from cairn.sim.pim.step import Choice, Machine
from cairn.workloads.architecture import ModelSpec
from cairn.workloads.build import build_graph
from cairn.workloads.graph import Block, OperatorGraph, OpKind, Role
from cairn.workloads.routing import RoutingLaw, RoutingSpec
from cairn.workloads.step import MAX_CONTEXT, MAX_TOKENS, Phase, WorkloadSpec

SCHEMA: Final = "cairn.duplex/1"
MOST_DEVICES: Final = 4096
"""assumed: more than any published system of such devices; beyond it a number is taken for a mistake."""
_DIVIDED: Final = "assumed: not divided"


class DuplexRunSpec(Spec):
    """A decode step of `batch` requests over `context` keys each, on `devices` devices, by cores alone and with PIM.

    `units` are those that are tried beside the cores, one after the other. `choice` says who decides where experts and
    attention go, and with `coprocessing` experts are divided between both sides, which work at the same time
    (sim/pim/step.py). Dense weights are divided over `tensor_parallel` devices, an expert over `expert_parallel`.
    """

    schema_id: Literal["cairn.duplex/1"] = sourced(SCHEMA, "this project: names the format", alias="schema")
    name: str = required(min_length=1, max_length=200)
    model: ModelSpec = required()
    batch: int = required(ge=1, le=MAX_TOKENS)
    context: int = required(ge=1, le=MAX_CONTEXT)
    devices: int = required(ge=1, le=MOST_DEVICES)
    nodes: int = sourced(1, "assumed: one node", ge=1, le=MOST_DEVICES)
    tensor_parallel: int = sourced(1, _DIVIDED, ge=1, le=MOST_DEVICES)
    expert_parallel: int = sourced(1, _DIVIDED, ge=1, le=MOST_DEVICES)
    device: DuplexSpec = sourced(DuplexSpec(), "Duplex, arXiv 2409.01141, see hw_models/pim/duplex.py")
    units: tuple[Literal["logic", "bank"], ...] = sourced(("logic", "bank"), "assumed: both that there are")
    coprocessing: bool = sourced(False, "assumed: one side after the other")
    choice: Choice = sourced(Choice.FASTEST, "assumed: what is done first")
    routing: RoutingSpec = sourced(
        RoutingSpec(law=RoutingLaw.UNIFORM), "reference/systems/README.md: the Duplex simulator draws uniformly"
    )
    seed: int = sourced(0, "assumed: any", ge=0, lt=1 << 63)
    energy: DuplexEnergySpec = sourced(DuplexEnergySpec(), "hw_models/pim/system_energy.py")

    @model_validator(mode="after")
    def _can_be(self) -> DuplexRunSpec:
        for name in ("nodes", "tensor_parallel", "expert_parallel"):
            if self.devices % getattr(self, name):
                raise ValueError(f"{name} ({getattr(self, name)}) must divide devices ({self.devices})")
        if len(set(self.units)) < max(len(self.units), 1):
            raise ValueError("units must name logic, bank or both, each once")
        if self.coprocessing and self.choice is not Choice.FASTEST:
            raise ValueError("coprocessing divides experts by their times; leave choice at fastest")
        return self

    def machine(self, pim: Unit | None) -> Machine:
        """The devices with one PIM unit, or none."""
        choice = Choice.FASTEST if pim is None else self.choice
        return Machine(
            self.device, self.devices, self.nodes, self.tensor_parallel, self.expert_parallel, pim,
            self.coprocessing and pim is not None, choice,
        )  # fmt: skip

    def graph(self) -> OperatorGraph:
        """The operators of the step."""
        step = {"phase": Phase.DECODE, "batch": self.batch, "context": self.context}
        workload = WorkloadSpec.model_validate(step)
        return build_graph(self.model, workload, self.routing, self.seed)


def load_duplex(path_or_name: str | Path, overrides: Iterable[str] = ()) -> DuplexRunSpec:
    """The run that a file or a shipped name describes; ConfigError with every mistake in it."""
    document = load_document(path_or_name, DUPLEX)
    for setting in overrides:
        document = override(document, setting, DUPLEX)
    return validate(document, DuplexRunSpec, DUPLEX.references)


def device_bytes(spec: DuplexRunSpec, graph: OperatorGraph) -> float:
    """Bytes of weights, keys and values on one device: embedding, head, experts and caches over all devices, other
    weights once in each group of `tensor_parallel` devices. A tied embedding is the head's."""
    return sum(segment.repeat * _block_bytes(spec, segment.block) for segment in graph.segments)


def _block_bytes(spec: DuplexRunSpec, block: Block) -> float:
    kind = {name: op.kind for op in block.operators for name in op.inputs if op.name != "lm_head"}
    size = 0.0
    for tensor in block.tensors:
        used_by = kind.get(tensor.name)
        if tensor.role is Role.ACTIVATION or (used_by is OpKind.EMBEDDING and spec.model.tied_embeddings):
            continue
        once = tensor.role is Role.WEIGHT and used_by not in (None, OpKind.EMBEDDING, OpKind.GROUPED_MATMUL)
        size += tensor.bytes / (spec.tensor_parallel if once else spec.devices)
    return size


def check_memory(spec: DuplexRunSpec, graph: OperatorGraph) -> float:
    """Bytes on a device; InfeasibleError when its stacks hold fewer."""
    size, room = device_bytes(spec, graph), spec.device.stacks * spec.device.stack_gib * 2**30
    if size > room:
        remedy = "more devices, tensor_parallel up to their number, a smaller batch or context, or larger stacks"
        raise InfeasibleError([Infeasibility("memory of a device", size, room, "bytes", remedy)])
    return size
