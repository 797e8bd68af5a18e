"""What CENT does beside its channels: accelerators and cores of the CXL controller, and the links between devices.

Closed forms of the published cost model (Yufeng98/CENT @8c79786, cent_simulation/run_sim.py, cent_power_calculator.py,
cxl_latency.py), said anew, with its constants.
"""

from __future__ import annotations

import math
from typing import Final

from cairn.base.spec import Spec, sourced
from cairn.hw_models.pim.cent import LlamaBlock

_POWER: Final = "Yufeng98/CENT @8c79786, cent_simulation/cent_power_calculator.py"
_CXL: Final = "Yufeng98/CENT @8c79786, cent_simulation/cxl_latency.py"


class CentHostSpec(Spec):
    """Controller and links of a device. Clocks are those of the controller; flits are of PBR, three messages each."""

    clock_ghz: float = sourced(2.0, _POWER, gt=0)
    lanes: int = sourced(16, f"{_POWER}: SIMD lanes of an accelerator", ge=1)
    channels: int = sourced(32, f"{_POWER}: an accelerator for each channel", ge=1)
    cores: int = sourced(8, f"{_POWER}: RISC-V cores", ge=1)
    exponential_clocks: int = sourced(44, f"{_POWER}: 32 reads, 11 in the lanes, a write", ge=1)
    vector_clocks: int = sourced(66, f"{_POWER}: 64 reads, one add, a write", ge=1)
    norm_clocks: int = sourced(26, f"{_POWER}: RMS norm on a core", ge=0)
    softmax_clocks: int = sourced(16, f"{_POWER}: soft-max of a head on a core, without its division", ge=0)
    lane_gb_per_s: float = sourced(4 * 1.073741824, f"{_CXL}: 8 GiB/s a PCIe lane, halved by multicast", gt=0)
    total_lanes: int = sourced(144, "Yufeng98/CENT @8c79786, cent_simulation/run_sim.py: --PCIE_lanes", ge=1)
    round_trip_ns: float = sourced(180.0, f"{_CXL}: four ports of 25, two links of 30 and a switch of 20 ns", ge=0)
    flit_bytes: int = sourced(256, _CXL, ge=1)
    message_bytes: int = sourced(64, _CXL, ge=1)


def accelerators_s(spec: CentHostSpec, block: LlamaBlock, blocks: int = 1) -> float:
    """Seconds of norms, soft-max and rotary embedding beside the channels, for `blocks` of a device in turn."""
    wide = spec.lanes * spec.channels
    norm = block.hidden / spec.lanes / wide * spec.vector_clocks + 3 + spec.norm_clocks
    softmax = block.context * block.heads / wide * (spec.exponential_clocks + spec.vector_clocks)
    softmax += block.heads * (1 + spec.softmax_clocks + 2 / spec.cores + 1)
    rotary = block.hidden * 3 / spec.cores * (1 + 1 / block.shared)
    return (2 * norm + softmax + rotary) / (spec.clock_ghz * 1e9) * blocks


def links_s(spec: CentHostSpec, block: LlamaBlock, devices: int, total_devices: int, *, divided: bool) -> float:
    """Seconds between devices: vectors of a block divided over `devices` are sent to all and gathered from all; one
    that is not divided (pipeline parallel) is handed on once."""
    rate = spec.total_lanes // total_devices * spec.lane_gb_per_s

    def seconds(elements: float, others: int = 1) -> float:
        flits = math.ceil(elements * 2 / spec.message_bytes / 3) * others
        return (spec.round_trip_ns + flits * spec.flit_bytes / rate) * 1e-9

    if not divided:
        return seconds(block.hidden)
    gathered = 5 * seconds(block.hidden / devices, devices - 1) + seconds(block.ffn / devices, devices - 1)
    return 5 * seconds(block.hidden) + gathered + seconds(block.ffn)


def links_bytes(block: LlamaBlock, devices: int, *, divided: bool) -> float:
    """Bytes that `links_s` sends, 2 of an element, between devices of a block divided over `devices`: what all others
    get counts once for each."""
    if not divided:
        return 2.0 * block.hidden
    others = devices - 1
    sent = 5 * block.hidden * others + block.ffn * others
    gathered = (5 * block.hidden + block.ffn) / devices * others
    return 2.0 * (sent + gathered + (block.hidden if others == 0 else 0))
