"""Energy and area of memories that compute: energy of every command, power over the time, area of the units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cairn.base.errors import ConfigError
from cairn.hw_models.pim.device import PimDevice, pim_device
from cairn.hw_models.pim.simulate import ChannelRun
from cairn.hw_models.pim.standard import pim_presets, pim_standards

TERMS: Final = ("activate", "compute", "move", "standby", "controller")
"""Rows that are opened; commands that compute; buffers, registers, results and plain accesses; power while rows are
open or closed; what drives the channel."""
AIM: Final = "GDDR6_AiM"
PJ_PER_MW_NS: Final = 1.0
"""A milliwatt for a nanosecond is a picojoule."""


@dataclass(frozen=True)
class PimEnergy:
    """Energy in pJ by term, of all channels."""

    by_term: Mapping[str, float]

    @property
    def total_pj(self) -> float:
        return sum(self.by_term.values())

    @property
    def activate_share(self) -> float:
        """Activates over all that commands take; 0 where there are none."""
        dynamic = sum(self.by_term[term] for term in ("activate", "compute", "move"))
        return self.by_term["activate"] / dynamic if dynamic else 0.0


def term_of(device: PimDevice, command: str) -> str:
    """The term that a command's energy stands under."""
    known = device.commands.get(command)
    if command == "ACT" or (known is not None and known.row == "opens"):
        return "activate"
    computes = {device.standard.roles[role] for role in ("mac", "mac_odd") if role in device.standard.roles}
    return "compute" if command in computes or (known is not None and known.computes) else "move"


def energy_of(run: ChannelRun, channels: int | None = None) -> PimEnergy:
    """Energy of `channels` (all of the device where left out) that each did what `run` did.

    Source: the device's file (`energy`); ConfigError where it has none. Commands that it gives no energy take none.
    """
    device, energy = run.device, run.device.energy
    if energy is None:
        raise ConfigError(f"the file of {device.name} gives no energies", key="energy")
    by_term = dict.fromkeys(TERMS, 0.0)
    for command, count in run.counts.items():
        by_term[term_of(device, command)] += count * energy.command_pj.get(command, 0.0)
    ns = float(device.dram.clock_ps) * 1e-3
    closed = run.cycles - run.open_ticks
    by_term["standby"] = PJ_PER_MW_NS * ns * (run.open_ticks * energy.open_mw + closed * energy.closed_mw)
    by_term["controller"] = PJ_PER_MW_NS * ns * run.cycles * energy.controller_mw
    times = device.unit.channels if channels is None else channels
    return PimEnergy({term: times * pj for term, pj in by_term.items()})


def aim_device(preset: str, key: str) -> PimDevice:
    """The device of a preset with AiM's commands and their energies; ConfigError, naming `key`, for another one."""
    presets = pim_presets()
    fitting = [
        name for name, file in presets.items()
        if file == presets[AIM] and pim_standards()[file].presets[name].energy is not None
    ]  # fmt: skip
    if preset not in fitting:
        allowed = f"must be a preset with AiM's commands and energies ({', '.join(fitting)})"
        raise ConfigError(f"{allowed}, got {preset}", key=key)
    return pim_device(preset)


def units_area_mm2(device: PimDevice) -> float:
    """Area of all units of a device; ConfigError where its file gives none."""
    if device.unit.area_mm2 is None:
        raise ConfigError(f"the file of {device.name} gives no area of a unit", key="area_mm2")
    return device.unit.area_mm2 * device.unit.units * device.unit.channels
