"""A device that computes: the DRAM of one channel, the units beside its banks, and what differs from its preset."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from cairn.base.errors import ConfigError
from cairn.base.registry import nearest_hint
from cairn.hw_models.dram.device import Device, from_clocks
from cairn.hw_models.dram.standard import evaluate
from cairn.hw_models.pim.standard import Energy, PimCommand, PimStandard, PimUnit, pim_standard_of


@dataclass(frozen=True)
class PimDevice:
    """One channel's DRAM with its commands and rules (`dram`), and the units of all channels. See `pim_device`."""

    dram: Device
    unit: PimUnit
    energy: Energy | None
    switches: frozenset[str]

    @property
    def name(self) -> str:
        return self.dram.name

    @property
    def standard(self) -> PimStandard:
        standard = self.dram.standard
        if not isinstance(standard, PimStandard):
            raise TypeError(f"{self.dram.name} has no commands that compute")
        return standard

    @property
    def commands(self) -> Mapping[str, PimCommand]:
        """The commands beyond those of DRAM standards."""
        return self.standard.commands

    def latency(self, command: str) -> int:
        """Clocks from `command` to the end of its work."""
        of = self.commands.get(command)
        return evaluate(of.latency if of else self.standard.latencies.get(command, "1"), self.dram.clocks)

    def seconds(self, cycles: float) -> float:
        """Seconds of a number of clocks."""
        return cycles * float(self.dram.clock_ps) * 1e-12

    def changed(self, *, switches: Iterable[str] | None = None, **changes: Any) -> PimDevice:
        """This device with timings (`nRP=20`), sizes of the organisation (`row=64`) or of the units (`channels=8`,
        `accumulators=4`) changed, or with other `switches` on; ConfigError for a name that it has not."""
        of_unit = {name: value for name, value in changes.items() if name in PimUnit.model_fields}
        of_dram = {name: value for name, value in changes.items() if name not in of_unit}
        dram, on = self.dram, self.switches
        if switches is not None:
            on = frozenset(switches)
            dram = replace(dram, standard=_switched(pim_standard_of(self.name), on))
        try:
            unit = PimUnit(**{**self.unit.model_dump(), **of_unit})
            dram = dram.changed(**of_dram) if of_dram else dram
        except ValidationError as wrong:
            first = wrong.errors()[0]
            raise ConfigError(f"{first['msg']}, got {first['input']}", key=str(first["loc"][0])) from None
        return _fitting(PimDevice(dram, unit, self.energy, on))


def _fitting(device: PimDevice) -> PimDevice:
    """The device, or ConfigError where its units are not as many as its banks ask for."""
    banks = device.dram.banks
    needed = banks if device.unit.kind == "buffer" else banks // 2
    if device.unit.units != needed:
        what = "a unit for each bank" if device.unit.kind == "buffer" else "a unit for two banks"
        raise ConfigError(f"{banks} banks with {what} need {needed} units, not {device.unit.units}", key="units")
    if device.unit.access_bytes != device.dram.organisation.transaction_bytes:
        raise ConfigError(
            f"{device.unit.lanes} lanes of {device.unit.element_bits} bits are {device.unit.access_bytes} bytes; "
            f"a column has {device.dram.organisation.transaction_bytes}", key="lanes",
        )  # fmt: skip
    return device


def _switched(standard: PimStandard, on: frozenset[str]) -> PimStandard:
    for name in sorted(on):
        if name not in standard.switches:
            hint = nearest_hint(name, standard.switches)
            raise ConfigError(f"{standard.name} has no switch {name!r}{hint}", key="switches")
    return standard.switched(on)


def pim_device(preset: str, *, switches: Iterable[str] | None = None, **changes: Any) -> PimDevice:
    """The device of a preset such as "GDDR6_AiM", with the switches that are on by default or those named, and with
    timings, sizes and units changed as `PimDevice.changed` takes them. ConfigError for what it does not know."""
    standard = pim_standard_of(preset)
    entry = standard.presets[preset]
    default = (name for name, switch in standard.switches.items() if switch.default)
    on = frozenset(default if switches is None else switches)
    dram = from_clocks(
        preset, _switched(standard, on), standard.organisations[entry.organisation], entry.clock_ps, entry.clocks
    )
    return PimDevice(dram, entry.unit, entry.energy, on).changed(**changes)
