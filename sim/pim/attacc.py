"""A decode step on GPUs whose attention is done by stacks with multipliers, as AttAcc has it (ASPLOS 2024).

Layers follow each other; a layer's operators too, but for two overlaps. `pipelined`: projections of one head run while
another head's attention does, so that of both the longer counts, and one head's part of the shorter. `shared_ffn`: the
stacks take a part of the feed-forward weights, once for each token, as their banks keep none.

The GPU is assumed to be a roofline with constant shares of its peaks and constant times of small kernels, which are
those of the reference's cost model; products keep all cores busy, attention runs a head on a core.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.base.spec import Spec, sourced
from cairn.hw_models.pim.attacc import AttaccSpec, Placement
from cairn.hw_models.pim.attention import Attended, attention_cycles
from cairn.workloads.graph import Block, Operator, OperatorGraph, OpKind

FloatArray = npt.NDArray[np.float64]

_REPO: Final = "scale-snu/attacc_simulator @c600051"
_CONFIG: Final = f"{_REPO} src/config.py"
_DEVICES: Final = f"{_REPO} src/devices.py, measured on an A100"
FEED_FORWARD: Final = ("up", "gate_up", "down")


class GpuSpec(Spec):
    """A GPU as AttAcc's cost model has it; an A100 with HBM3. Constants of small kernels are at 1555 and 600 GB/s."""

    peak_tflops: float = sourced(312.0, _CONFIG + ", A100a", gt=0)
    bandwidth_gb_per_s: float = sourced(3352.0, _CONFIG + ", A100a", gt=0)
    cores: int = sourced(108, _CONFIG + ", A100a", ge=1)
    link_gb_per_s: float = sourced(600.0, _CONFIG + ", A100a: both ways", gt=0)
    compute_share: float = sourced(0.8, _CONFIG, gt=0, le=1)
    memory_share: float = sourced(0.85, _CONFIG, gt=0, le=1)
    activation_us: float = sourced(8.29, _DEVICES, ge=0)
    activation_us_per_byte: float = sourced(4.47e-7, _DEVICES, ge=0)
    norm_us: float = sourced(6.87, _DEVICES, ge=0)
    norm_us_per_byte: float = sourced(1.6e-6, _DEVICES, ge=0)
    hop_us: float = sourced(6.06, _DEVICES + ": a hop of an all-reduce", ge=0)
    hop_us_per_byte: float = sourced(9e-6, _DEVICES, ge=0)


H100: Final = GpuSpec(peak_tflops=989.4, cores=132, link_gb_per_s=900.0)
"""The reference's H100 (src/config.py)."""


@dataclass(frozen=True)
class AttaccSystem:
    """`devices` GPUs, each with `stacks` stacks that do its attention, or (`stack` None) alone."""

    gpu: GpuSpec
    devices: int = 8
    stack: AttaccSpec | None = None
    placement: Placement = Placement.BANK
    stacks: int = 5
    power_limit: bool = True
    pipelined: bool = False
    shared_ffn: bool = False

    def __post_init__(self) -> None:
        """ConfigError for no devices, and for overlaps with stacks that are not there."""
        for name in ("devices", "stacks"):
            if getattr(self, name) < 1:
                raise ConfigError(f"at least 1 belongs here, not {getattr(self, name)}", key=name)
        if self.stack is None and (self.pipelined or self.shared_ffn):
            raise ConfigError("overlaps need stacks that compute; give the system a stack", key="stack")


@dataclass(frozen=True)
class LayerTime:
    """Seconds of the parts of a step; `seconds` of the whole of it."""

    projections: float
    attention: float
    transfers: float
    feed_forward: float
    small: float
    all_reduce: float

    @property
    def seconds(self) -> float:
        gpu = self.projections + self.feed_forward + self.small + self.all_reduce
        return gpu + self.attention + self.transfers


def system_time(system: AttaccSystem, graph: OperatorGraph) -> LayerTime:
    """Time of the decode step `graph`. ConfigError for what is no decode step of a dense model."""
    total = np.zeros(6)
    for segment in graph.segments:
        parts = np.zeros(6)
        heads = 1
        for op in segment.block.operators:
            parts += _operator(system, segment.block, op)
            heads = max(heads, op.attention.heads // system.devices) if op.attention else heads
        total += segment.repeat * _overlapped(system, parts, heads)
    return LayerTime(*(float(part) for part in total))


def _operator(system: AttaccSystem, block: Block, op: Operator) -> FloatArray:
    """Seconds of an operator by the parts of LayerTime, in their order."""
    found = np.zeros(6)
    gpu, devices = system.gpu, system.devices
    if op.kind is OpKind.MATMUL:
        x, w = (block.tensor(name) for name in op.inputs)
        seconds = max(
            2 * x.rows * w.elements / devices / (gpu.peak_tflops * 1e12 * gpu.compute_share),
            w.bytes / devices / (gpu.bandwidth_gb_per_s * 1e9 * gpu.memory_share),
        )
        feeds = op.name in FEED_FORWARD
        found[3 if feeds else 0] = seconds * (left_of_feed_forward(system, x.rows) if feeds else 1.0)
        if op.name in ("o", "down"):
            found[5] = _all_reduce(system, x.rows * w.columns * w.bits / 8)
    elif op.kind is OpKind.ATTENTION:
        found[1], found[2] = _attention(system, block, op)
    elif op.kind in (OpKind.ACTIVATION, OpKind.NORM):
        found[4] = _small(system, block, op)
    elif op.kind in (OpKind.GROUPED_MATMUL, OpKind.SSM_SCAN, OpKind.RETENTION):
        raise ConfigError(f"AttAcc systems have dense decoder layers, not {op.kind.value} ({op.name})", key="model")
    return found


def _attention(system: AttaccSystem, block: Block, op: Operator) -> tuple[float, float]:
    """Seconds of attention, and of queries, keys and values on their way to the stacks and contexts back."""
    attention, gpu = op.attention, system.gpu
    if attention is None or any(request.new != 1 for request in attention.requests):
        raise ConfigError("AttAcc attends to one new token of each request", key="phase")
    size = int(block.tensor(op.inputs[1]).bits // 8)
    heads = attention.heads * len(attention.requests) / system.devices
    context = attention.requests[0].cached + 1
    if system.stack is None:
        read = sum(block.tensor(name).bytes for name in op.inputs[1:]) / system.devices
        blocks = math.ceil(heads)
        busy = blocks / (math.ceil(blocks / gpu.cores) * gpu.cores)
        return read / (gpu.bandwidth_gb_per_s * 1e9 * gpu.memory_share * busy), 0.0
    work = Attended(math.ceil(heads / system.stacks), context, attention.head_dim, size)
    clocks = attention_cycles(system.stack, system.placement, work, power_limit=system.power_limit)
    moved = heads * attention.head_dim * size * 4  # three there, one back
    return float(clocks) * system.stack.clock_ps * 1e-12, moved / (gpu.link_gb_per_s / 2 * 1e9)


def _small(system: AttaccSystem, block: Block, op: Operator) -> float:
    """Seconds of an element-wise kernel; activations are divided over the devices, norms are not."""
    gpu, names = system.gpu, (*op.inputs[:1], *op.outputs)
    size = float(sum(block.tensor(name).bytes for name in names))
    scale = 1555 / gpu.bandwidth_gb_per_s
    if op.kind is OpKind.ACTIVATION:
        return (gpu.activation_us + gpu.activation_us_per_byte * scale * size / system.devices) * 1e-6
    return (gpu.norm_us + gpu.norm_us_per_byte * scale * size) * 1e-6


def _all_reduce(system: AttaccSystem, size: float) -> float:
    """Seconds of a ring: so many hops as there are other devices, a part of `size` bytes each."""
    if system.devices == 1:
        return 0.0
    gpu, part = system.gpu, size / system.devices
    hop = (gpu.hop_us + gpu.hop_us_per_byte * part * 600 / gpu.link_gb_per_s) * 1e-6
    return (system.devices - 1) * max(hop, part / (gpu.link_gb_per_s / 2 * 1e9))


def left_of_feed_forward(system: AttaccSystem, tokens: int) -> float:
    """Share of the feed-forward time that is left when the stacks take weights too, each once for every token."""
    if system.stack is None or not system.shared_ffn:
        return 1.0
    gpu = system.gpu.bandwidth_gb_per_s * 1e9
    return gpu / (gpu + stack_bytes_per_s(system.stack, system.placement, system.power_limit) * system.stacks / tokens)


def stack_bytes_per_s(stack: AttaccSpec, placement: Placement, power_limit: bool = True) -> float:
    """Bytes per second that the multipliers of a stack take at best: columns at the pace of multiplies, with rows."""
    units = {Placement.BANK: stack.bank_groups * stack.banks, Placement.BANK_GROUP: stack.bank_groups}
    together = stack.pseudo_channels * stack.ranks * units[placement] if placement in units else stack.pseudo_channels
    spacing = stack.mac_spacing if power_limit else stack.mac_spacing_unlimited
    if placement is Placement.BUFFER:
        spacing = stack.column_spacing
    row = stack.columns_per_row * spacing + (stack.row_cycle - spacing if placement is Placement.BANK else 0)
    column = row / stack.columns_per_row * stack.clock_ps * 1e-12
    return stack.channels * together * stack.column_bytes / column


def _overlapped(system: AttaccSystem, parts: FloatArray, heads: int) -> FloatArray:
    """Parts of a layer with transfers, and if pipelined projections, hidden behind the attention of other heads."""
    if system.stack is None or not parts[1]:
        return parts
    found = parts.copy()
    hidden = min(found[1], found[2]) * (1 - 1 / heads)
    found[2] -= hidden
    if system.pipelined:
        found[0] -= min(found[0], found[1]) * (1 - 1 / heads)
    return found
