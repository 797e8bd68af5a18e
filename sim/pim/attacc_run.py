"""Energy of a step on AttAcc's GPUs and stacks, and the step as an outcome: the GPUs alone, and with their stacks.

Energy counts bytes read from memory and written to it, on the path that they take, multiply-adds, and bytes between
devices. Activations of dense operators pass through memory. Not counted: caches and registers of the GPU (assumed: as
much for both systems), kernels of norms beyond their bytes, and power that flows without work (none was published).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from typing import Final, Literal

from pydantic import model_validator

from cairn.base.errors import ConfigError, Infeasibility, InfeasibleError
from cairn.base.spec import Spec, sourced
from cairn.hw_models.pim.attacc import AttaccSpec, Placement
from cairn.hw_models.pim.attention import Attended, command_counts
from cairn.hw_models.pim.system_energy import BITS, PJ, Area, AttaccEnergySpec, area, attacc_units
from cairn.sim.pim.attacc import FEED_FORWARD, H100, AttaccSystem, GpuSpec, left_of_feed_forward, system_time
from cairn.sim.pim.outcome import Spent, SystemTime
from cairn.workloads.graph import Block, Operator, OperatorGraph, OpKind, Role

GPUS: Final = {"A100a": GpuSpec(), "H100": H100}
GPU: Final = "GPU"
STACKS: Final = "stacks"
LINKS: Final = "links"
PARTS: Final = {
    "projections": GPU, "attention": STACKS, "transfers": LINKS, "feed_forward": GPU, "small": GPU, "all_reduce": LINKS,
}  # fmt: skip
"""Parts of a step (`LayerTime`) and who does them, where the stacks attend."""

_HOLDERS: Final = {
    Role.KV: ("memory of all stacks", "larger stacks, a smaller batch or a shorter context"),
    Role.WEIGHT: ("memory of all GPUs", "larger memories or a smaller model"),
}  # fmt: skip


class AttendOn(StrEnum):
    """Where the attention of decode is done: by the stacks, by the GPU, or by whichever ends the step first."""

    STACKS = "stacks"
    GPU = "gpu"
    FASTEST = "fastest"


class AttaccRunSpec(Spec):
    """GPUs whose stacks attend (sim/pim/attacc.py). `gpu` names one of the reference's two."""

    kind: Literal["attacc"] = sourced("attacc", "this project: names the system")
    gpu: Literal["A100a", "H100"] = sourced("A100a", "scale-snu/attacc_simulator @c600051, main.py: its runs")
    devices: int = sourced(8, "the same: --ngpu 8", ge=1, le=4096)
    stacks: int = sourced(5, "the same, src/config.py: num_hbm", ge=1, le=64)
    stack_gib: float = sourced(16.0, "the same, src/config.py: MEM_CAPACITY_PER_HBM", gt=0)
    gpu_gib: float = sourced(80.0, "the same, src/config.py: MEM_CAPACITY_PER_DEVICE, beside its stacks", gt=0)
    stack: AttaccSpec = sourced(AttaccSpec(), "hw_models/pim/attacc.py")
    placement: Placement = sourced(Placement.BANK, "the same: --pim bank")
    power_limit: bool = sourced(True, "the same: --powerlimit")
    pipelined: bool = sourced(True, "the same: --pipeopt")
    shared_ffn: bool = sourced(True, "the same: --ffopt")
    attention: AttendOn = sourced(AttendOn.STACKS, "AttAcc, ASPLOS 2024: the stacks attend")
    energy: AttaccEnergySpec = sourced(AttaccEnergySpec(), "hw_models/pim/system_energy.py")

    @model_validator(mode="after")
    def _overlaps(self) -> AttaccRunSpec:
        if self.attention is AttendOn.GPU and (self.pipelined or self.shared_ffn):
            message = "pipelined and shared_ffn overlap with stacks that attend; set both false, or attention: stacks"
            raise ValueError(message)
        return self

    def systems(self) -> dict[str, AttaccSystem]:
        """GPUs alone, and with stacks that attend."""
        stacked = AttaccSystem(
            GPUS[self.gpu], self.devices, self.stack, self.placement, self.stacks, self.power_limit, self.pipelined,
            self.shared_ffn,
        )  # fmt: skip
        alone = replace(stacked, stack=None, pipelined=False, shared_ffn=False)
        return {"GPUs alone": alone, "GPUs and stacks": stacked}

    def check_memory(self, graph: OperatorGraph) -> None:
        """InfeasibleError when the stacks cannot hold keys and values, or the GPUs weights. The GPUs alone are assumed
        to have as much memory as both, so that they can be compared."""
        held = {Role.KV: self.stacks * self.stack_gib, Role.WEIGHT: self.gpu_gib}
        reasons = []
        for role, gib in held.items():
            needed = sum(
                segment.repeat * tensor.bytes
                for segment in graph.segments for tensor in segment.block.tensors if tensor.role is role
            )  # fmt: skip
            room = self.devices * gib * 2**30
            if needed > room:
                what, less = _HOLDERS[role]
                reasons.append(Infeasibility(what, needed, room, "bytes", f"use more devices, {less}"))
        if reasons:
            raise InfeasibleError(reasons)


def attacc_times(spec: AttaccRunSpec, graph: OperatorGraph) -> tuple[SystemTime, ...]:
    """The decode step `graph` on the GPUs alone, and with stacks where `attention` sends it there. ConfigError for what
    is no decode step of a dense model."""
    alone, stacked = (_outcome(spec, name, system, graph) for name, system in spec.systems().items())
    if spec.attention is AttendOn.GPU:
        return (alone,)
    chosen = stacked
    if spec.attention is AttendOn.FASTEST and alone.seconds < stacked.seconds:
        chosen = replace(alone, system="GPUs and stacks")
    gain = {"speedup": alone.seconds / chosen.seconds}
    if alone.joules is not None and chosen.joules is not None:
        gain["energy_saved_percent"] = 100 * (1 - chosen.joules / alone.joules)
    return replace(alone, figures={"speedup": 1.0, "energy_saved_percent": 0.0}), replace(chosen, figures=gain)


def _outcome(spec: AttaccRunSpec, name: str, system: AttaccSystem, graph: OperatorGraph) -> SystemTime:
    times, joules = system_time(system, graph), dict.fromkeys(PARTS, 0.0)
    for segment in graph.segments:
        for op in segment.block.operators:
            for part, value in _operator_joules(spec.energy, system, segment.block, op):
                joules[part] += segment.repeat * value
    sides = PARTS if system.stack is not None else {**PARTS, "attention": GPU}
    spent = tuple(
        Spent(part.replace("_", " "), side, float(getattr(times, part)), joules[part])
        for part, side in sides.items() if getattr(times, part) or joules[part]
    )  # fmt: skip
    return SystemTime(name, spent, graph.tokens, _areas(spec, system))


def _areas(spec: AttaccRunSpec, system: AttaccSystem) -> tuple[Area, ...]:
    if system.stack is None:
        return ()
    count = attacc_units(system.stack, system.placement) * system.stacks * system.devices
    return (area(spec.energy, "unit_mm2", "units (soft-max and buffers were never published)", count),)


def _operator_joules(
    energy: AttaccEnergySpec, system: AttaccSystem, block: Block, op: Operator
) -> Iterator[tuple[str, float]]:
    """Joules of an operator on all devices, by part."""
    to_gpu = energy.read_pj_per_bit(None) * BITS * PJ
    moved = sum(block.tensor(name).bytes for name in (*op.inputs[:1], *op.outputs))
    if op.kind is OpKind.MATMUL:
        x, w = (block.tensor(name) for name in op.inputs)
        macs = x.rows * w.elements * energy.mac_pj * PJ
        part = "feed_forward" if op.name in FEED_FORWARD else "projections"
        left = left_of_feed_forward(system, x.rows) if part == "feed_forward" else 1.0
        near = energy.read_pj_per_bit(system.placement) * BITS * PJ * w.bytes * x.rows  # once for each token
        yield part, left * w.bytes * to_gpu + (1 - left) * near + moved * to_gpu + macs
        if op.name in ("o", "down") and system.devices > 1:
            ring = (system.devices - 1) * x.rows * w.columns * w.bits / BITS
            yield "all_reduce", ring * energy.link_pj_per_bit * BITS * PJ
    elif op.kind is OpKind.ATTENTION:
        yield from _attention_joules(energy, system, block, op)
    elif op.kind in (OpKind.ACTIVATION, OpKind.NORM):
        yield "small", moved * to_gpu


def _attention_joules(
    energy: AttaccEnergySpec, system: AttaccSystem, block: Block, op: Operator
) -> Iterator[tuple[str, float]]:
    """The GPU reads keys and values over the interposer; stacks read whole columns beside their units, padding
    included, and move queries, scores, probabilities and contexts to and from the buffer die."""
    if op.attention is None:
        raise ConfigError(f"attention ({op.name}) does not say of what", key="model")
    macs = op.matrix_ops / 2 * energy.mac_pj * PJ
    if system.stack is None:
        size = sum(block.tensor(name).bytes for name in op.inputs[1:])
        yield "attention", size * energy.read_pj_per_bit(None) * BITS * PJ + macs
        return
    attention, stack = op.attention, system.stack
    size_of = int(block.tensor(op.inputs[1]).bits // BITS)
    heads = attention.heads * len(attention.requests)
    on_stack = math.ceil(math.ceil(heads / system.devices) / system.stacks)
    work = Attended(on_stack, attention.requests[0].cached + 1, attention.head_dim, size_of)
    counts = {name: float(count) for name, count in command_counts(stack, system.placement, work).items()}
    units = attacc_units(stack, system.placement) // stack.channels
    read = counts["mac"] * units * stack.column_bytes * energy.read_pj_per_bit(system.placement)
    moves = (counts["wrgb"] + counts["mvsb"] + counts["mvgb"]) * stack.column_bytes
    stacks = system.devices * system.stacks
    yield "attention", stacks * (read + moves * energy.move_pj_per_bit(system.placement)) * BITS * PJ + macs
    sent = heads * attention.head_dim * size_of * 4  # three there, one back
    yield "transfers", sent * energy.link_pj_per_bit * BITS * PJ
