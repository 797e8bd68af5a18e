"""A decode step of a Llama-like model on CENT (ASPLOS 2025): channels with computing banks behind CXL, no GPU.

A block (decoder layer) lies on some channels of a device, or on all channels of several devices. Blocks form a
pipeline: as many requests are in flight as there are stages, each at another stage, so that all of them advance by one
token in the time of all blocks and the LM head. Channels, host, accelerators and links of a block follow each other.

The channels of a block are simulated command by command; accelerators and links are closed forms of CENT's own cost
model. The embedding is looked up at no cost (assumed: one row). Standby power flows in all channels all the time;
CENT's calculator divides its time by the number of channels twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from cairn.base.errors import ConfigError, Infeasibility, InfeasibleError
from cairn.base.spec import Spec, sourced
from cairn.hw_models.pim.cent import CentMapping, LlamaBlock, Part, PartTime, block_clocks, block_parts
from cairn.hw_models.pim.cent_host import CentHostSpec, accelerators_s, links_bytes, links_s
from cairn.hw_models.pim.cost import aim_device, energy_of
from cairn.hw_models.pim.device import PimDevice
from cairn.hw_models.pim.gemv import GemvMapping, lower_gemv
from cairn.hw_models.pim.simulate import ChannelRun, simulate_program
from cairn.hw_models.pim.system_energy import BITS, MW, PJ, Area, CentEnergySpec, area
from cairn.sim.pim.outcome import Spent, SystemTime
from cairn.workloads.architecture import ModelSpec

_CENT: Final = "Yufeng98/CENT @8c79786, cent_simulation"
CHANNELS: Final = "channels"
HOST: Final = "host"
ACCELERATORS: Final = "accelerators"
LINKS: Final = "links"
ELEMENT_BITS: Final = 16
DIVIDED: Final = ("fc-kqvo", "fc-ffn")
"""Parts that all devices of a block work on; the others are on one of them (CENT's power calculator)."""
ROW_COMMANDS: Final = ("ACT", "ACT16", "PRE", "PREA", "REF", "TMOD")
"""Commands that the controller's transaction engine is not charged for, the driver of the pins is."""


class CentRunSpec(Spec):
    """Devices of AiM channels, and how a model's blocks lie on them.

    A block has `channels` channels of a device, or all channels of `block_devices` devices, of `devices` in all.
    """

    kind: Literal["cent"] = sourced("cent", "this project: names the system")
    preset: str = sourced("GDDR6_AiM", "CENT, ASPLOS 2025: AiM channels, 32 of a device")
    devices: int = sourced(8, f"{_CENT}/run_sim.py: Llama2-7B", ge=1, le=4096)
    channels: int = sourced(8, f"{_CENT}/run_sim.py: channels_per_block of Llama2-7B, 32 stages", ge=1, le=1024)
    block_devices: int = sourced(1, f"{_CENT}/run_sim.py: pipeline parallel", ge=1, le=4096)
    accumulators: int = sourced(32, f"{_CENT}/run_sim.py: --reuse-size", ge=1, le=4096)
    host: CentHostSpec = sourced(CentHostSpec(), "hw_models/pim/cent_host.py")
    energy: CentEnergySpec = sourced(CentEnergySpec(), "hw_models/pim/system_energy.py")

    @property
    def mapping(self) -> CentMapping:
        return CentMapping(channels=self.channels, devices=self.block_devices, accumulators=self.accumulators)

    def stages(self, device: PimDevice, layers: int) -> int:
        """Stages of the pipeline. ConfigError when channels or devices cannot be cut into blocks."""
        whole = device.unit.channels
        if self.channels > whole:
            message = f"a block has at most the {whole} channels of a device, got {self.channels}"
            raise ConfigError(message, key="machine.channels")
        if self.block_devices > 1 and self.channels != whole:
            message = f"a block over {self.block_devices} devices has all {whole} channels of each, not {self.channels}"
            raise ConfigError(message, key="machine.channels")
        if self.devices % self.block_devices:
            message = f"must divide the {self.devices} devices, got {self.block_devices}"
            raise ConfigError(message, key="machine.block_devices")
        return min(layers, self.devices // self.block_devices * (whole // self.channels))


def cent_time(spec: CentRunSpec, model: ModelSpec, batch: int, context: int) -> SystemTime:
    """A token of each of `batch` requests over `context` keys. ConfigError for a model that is no Llama, and for more
    requests than stages; InfeasibleError when weights and caches do not fit."""
    device = aim_device(spec.preset, "machine.preset")
    block, stages = llama_block(model, context), spec.stages(device, model.layers)
    if batch > stages:
        message = f"{stages} stages have as many requests in flight at most, got {batch}; use fewer, or more devices"
        raise ConfigError(message, key="batch")
    _check_memory(spec, device, model, batch, context)
    parts = block_parts(device, block, spec.mapping)
    times = block_clocks(device, parts, spec.mapping)
    head = _head(spec, device, model)
    of_block = [*_on_channels(spec, device, parts, times), *_beside(spec, device, block, model.layers, stages)]
    each_token = [*(_times(spent, model.layers) for spent in of_block), head[0]]
    seconds = sum(spent.seconds for spent in each_token)
    open_s = head[1] + model.layers * sum(
        device.seconds(time.run.open_ticks) * spec.channels * _devices(spec, name)
        for name, time in times.items() if time.run is not None
    )  # fmt: skip
    spent = [
        Spent(one.operator, one.side, one.seconds, None if one.joules is None else batch * one.joules)
        for one in each_token
    ]
    spent.append(Spent("standby", CHANNELS, 0.0, _standby_j(spec, device, seconds, batch * open_s)))
    channels_s = sum(one.seconds for one in of_block if one.side in (CHANNELS, HOST))
    figures = {
        "block_channels_ms": channels_s * 1e3,
        "block_ms": sum(one.seconds for one in of_block) * 1e3,
        "channels_percent": 100 * channels_s * model.layers / seconds,
    }
    return SystemTime("channels and accelerators", tuple(spent), batch, _areas(spec, device), figures)


def llama_block(model: ModelSpec, context: int) -> LlamaBlock:
    """The decoder layer of a model; ConfigError for one without gated dense networks and heads that share a hidden
    size."""
    if model.ffn is None or model.attention is None or not model.ffn.gated:
        raise ConfigError(f"CENT has gated dense decoder layers; {model.name} has others", key="model")
    if model.attention.heads * model.head_dim != model.hidden:
        raise ConfigError(f"heads of {model.name} do not make up its hidden size, which CENT needs", key="model")
    narrow = {"weight_bits": model.precision.weight_bits, "kv_bits": model.precision.kv_bits}
    for name, bits in narrow.items():
        if bits != ELEMENT_BITS:
            raise ConfigError(f"channels of CENT multiply {ELEMENT_BITS} bits, got {bits:g}", key=f"precision.{name}")
    return LlamaBlock(model.hidden, model.attention.heads, model.kv_heads, model.ffn.width, context)


def _check_memory(spec: CentRunSpec, device: PimDevice, model: ModelSpec, batch: int, context: int) -> None:
    """InfeasibleError when 16-bit weights of all blocks, and keys and values of all requests, exceed all channels."""
    block = llama_block(model, context)
    kv = block.head_dim * block.kv_heads
    weights = 2 * block.hidden * block.hidden + 2 * block.hidden * kv + 3 * block.hidden * block.ffn
    needed = 2.0 * (model.layers * (weights + 2 * kv * context * batch) + 2 * model.vocab * model.hidden)
    o = device.dram.organisation
    room = float(spec.devices * device.unit.channels * device.dram.banks * o.row * o.col * device.unit.access_bytes)
    if needed > room:
        remedy = "use more devices, fewer requests or a shorter context"
        raise InfeasibleError([Infeasibility("memory of all channels", needed, room, "bytes", remedy)])


def _on_channels(
    spec: CentRunSpec, device: PimDevice, parts: Mapping[str, Part], times: Mapping[str, PartTime]
) -> list[Spent]:
    """Parts of one block on its channels, and the host's requests for each."""
    blocks = device.unit.channels // spec.channels
    found = []
    for name, time in times.items():
        if time.run is not None:
            joules = _devices(spec, name) * spec.channels * commands_j(spec.energy, time.run)
            found.append(Spent(name, CHANNELS, device.seconds(time.channel_clocks), joules))
        if time.host_clocks:
            requests = {"WR": parts[name].host_writes, "RD": parts[name].host_reads}  # to all blocks of the device
            joules = sum(count * _command_j(spec.energy, device, one) for one, count in requests.items()) / blocks
            found.append(Spent(name, HOST, device.seconds(time.host_clocks), joules))
    return found


def _head(spec: CentRunSpec, device: PimDevice, model: ModelSpec) -> tuple[Spent, float]:
    """The LM head as a product on the channels of one block, and the seconds for which rows of all these are open."""
    some = device.changed(channels=spec.channels)
    mapping = GemvMapping(accumulators=spec.accumulators)
    run = simulate_program(lower_gemv(some, model.vocab, model.hidden, mapping).program)
    spent = Spent("lm_head", CHANNELS, run.seconds, spec.channels * commands_j(spec.energy, run))
    return spent, spec.channels * device.seconds(run.open_ticks)


def _beside(spec: CentRunSpec, device: PimDevice, block: LlamaBlock, layers: int, stages: int) -> list[Spent]:
    """Accelerators and links of one block."""
    divided = stages != layers
    blocks = device.unit.channels // spec.channels
    sent = links_bytes(block, spec.block_devices, divided=divided)
    return [
        Spent("norm, softmax, rotary", ACCELERATORS, accelerators_s(spec.host, block, blocks)),  # cores: in standby
        Spent(
            "vectors", LINKS, links_s(spec.host, block, spec.block_devices, spec.devices, divided=divided),
            sent * BITS * spec.energy.link_pj_per_bit * PJ,
        ),
    ]  # fmt: skip


def _times(spent: Spent, count: int) -> Spent:
    joules = None if spent.joules is None else count * spent.joules
    return Spent(spent.operator, spent.side, count * spent.seconds, joules)


def _devices(spec: CentRunSpec, part: str) -> int:
    """Devices that work on a part of a block."""
    return spec.block_devices if part in DIVIDED else 1


def commands_j(energy: CentEnergySpec, run: ChannelRun) -> float:
    """Joules of the commands of one channel and of its part of the controller; power over the time is not in it."""
    dynamic = energy_of(run, 1)
    pj = sum(dynamic.by_term[term] for term in ("activate", "compute", "move"))
    columns = sum(count for name, count in run.counts.items() if name not in ROW_COMMANDS)
    return (pj + columns * energy.engine_pj + sum(run.counts.values()) * energy.phy_pj) * PJ


def _command_j(energy: CentEnergySpec, device: PimDevice, command: str) -> float:
    """Joules of a request of the host for one column."""
    known = device.energy.command_pj if device.energy is not None else {}
    return (known.get(command, 0.0) + energy.engine_pj + energy.phy_pj) * PJ


def _standby_j(spec: CentRunSpec, device: PimDevice, seconds: float, open_s: float) -> float:
    """Joules that flow in all devices for `seconds` without a command, with rows open for `open_s` of all channels."""
    energy, own = device.energy, spec.energy
    channel_mw = own.buffer_mw + (energy.closed_mw if energy is not None else 0.0)
    device_mw = device.unit.channels * channel_mw + own.shared_buffer_mw + spec.host.cores * own.core_mw
    more = 0.0 if energy is None else energy.open_mw - energy.closed_mw
    return (spec.devices * device_mw * seconds + more * open_s) * MW


def _areas(spec: CentRunSpec, device: PimDevice) -> tuple[Area, ...]:
    count = device.unit.units * device.unit.channels * spec.devices
    return (area(spec.energy, "unit_mm2", "units beside banks (the controller's was never published)", count),)
