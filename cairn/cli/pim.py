"""`cairn pim`: one product on a memory that computes, command by command."""

from __future__ import annotations

import json
import re
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from cairn.base.errors import ConfigError

if TYPE_CHECKING:
    from cairn.hw_models.pim.device import PimDevice
    from cairn.hw_models.pim.gemv import GemvPlan
    from cairn.hw_models.pim.registers import RegisterPlan

MOST: Final = 1_000_000
"""Clocks or sizes beyond which a setting is taken for a mistake."""

SHOWN: Final = 20
"""Mappings that a sweep prints."""


def pim(arguments: Namespace) -> int:
    """Simulate one channel, all of which do the same, and print time, commands, use and energy."""
    if arguments.list:
        _list()
        return 0
    if arguments.preset is None or arguments.gemv is None:
        raise ConfigError("name a preset and a product, such as: cairn pim GDDR6_AiM --gemv 4096x4096")
    from cairn.cli.progress import tell_of_compilation
    from cairn.hw_models.pim.device import pim_device

    changes = _numbers(arguments.settings, "--set")
    for key, value in changes.items():
        if not isinstance(value, int) or not 0 <= value <= MOST:
            raise ConfigError(f"must be a whole number from 0 to {MOST:,}, got {value!r}", key=f"--set {key}")
    device = pim_device(arguments.preset, switches=arguments.switches, **changes)
    tell_of_compilation("hw_models/pim")
    if arguments.sweep:
        return _sweep(device, arguments)
    plan = _lowered(device, arguments)
    result = _result(plan, arguments.refresh)
    print(json.dumps(result, indent=1) if arguments.json else _table(result))
    return 0


def _numbers(settings: Sequence[str], option: str) -> dict[str, Any]:
    """Values of KEY=VALUE: whole numbers, and words where they are none."""
    found: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key or not value:
            raise ConfigError(f"{option} {setting}: this reads like KEY=VALUE")
        found[key] = int(value) if re.fullmatch(r"-?\d+", value) else value
    return found


def _lowered(device: PimDevice, arguments: Namespace) -> GemvPlan | RegisterPlan:
    from pydantic import ValidationError

    from cairn.hw_models.pim import gemv, registers

    outputs, inputs = _shape(arguments)
    choices = _numbers(arguments.mapping, "--map")
    if device.unit.kind == "registers":
        if choices:
            raise ConfigError(f"--map: units of {device.name} have registers; their order is fixed")
        return registers.lower_gemv(device, outputs, inputs, vectors=arguments.vectors)
    try:
        mapping = gemv.GemvMapping(**choices)
    except ValidationError as wrong:
        first = wrong.errors()[0]
        raise ConfigError(f"{first['msg']}", key=f"--map {first['loc'][0]}") from None
    return gemv.lower_gemv(device, outputs, inputs, mapping, vectors=arguments.vectors)


def _sweep(device: PimDevice, arguments: Namespace) -> int:
    """Print every mapping with its time."""
    from cairn.hw_models.pim.sweep import sweep_gemv

    if device.unit.kind == "registers" or arguments.mapping:
        raise ConfigError("--sweep tries the mappings of banks that listen to a buffer, and takes no --map")
    outputs, inputs = _shape(arguments)
    tried = sweep_gemv(device, outputs, inputs, vectors=arguments.vectors, refresh=arguments.refresh)
    rows = [{**one.mapping.model_dump(), "cycles": one.cycles, "us": device.seconds(one.cycles) * 1e6,
             "rows": one.rows, "host_adds": one.host_adds} for one in tried]  # fmt: skip
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return 0
    print("  ".join(rows[0]))
    for row in rows[:SHOWN]:
        print("  ".join(f"{value:>{len(name)}.3f}" if isinstance(value, float) else f"{value!s:>{len(name)}}"
                        for name, value in row.items()))  # fmt: skip
    if len(rows) > SHOWN:
        print(f"and {len(rows) - SHOWN} more (--json prints all), the slowest {rows[-1]['cycles']:,} cycles")
    return 0


def _shape(arguments: Namespace) -> tuple[int, int]:
    """Outputs and inputs that `--gemv` names."""
    match = re.fullmatch(r"(\d+)x(\d+)", arguments.gemv)
    if match is None:
        raise ConfigError(f"--gemv {arguments.gemv}: this reads like 4096x4096, outputs x inputs")
    return int(match[1]), int(match[2])


def _result(plan: GemvPlan | RegisterPlan, refresh: str) -> dict[str, Any]:
    from cairn.hw_models.pim.cost import energy_of
    from cairn.hw_models.pim.simulate import simulate_program
    from cairn.sim.run import code_version

    begin = time.perf_counter()
    device, layout = plan.layout.device, plan.layout
    run = simulate_program(plan.program, refresh)
    unit = device.unit
    weight_bytes = layout.outputs * layout.inputs * unit.element_bits / 8
    energy = energy_of(run).by_term if device.energy is not None else None
    peak = unit.lanes * unit.units * unit.channels / device.dram.clocks["nCCDL"]
    return {
        "preset": device.name, "switches": sorted(device.switches), "refresh": refresh,
        "outputs": layout.outputs, "inputs": layout.inputs, "vectors": plan.vectors,
        "cycles": run.cycles, "us": run.seconds * 1e6,
        "weights_gb_per_s": weight_bytes * plan.vectors / run.seconds / 1e9,
        "share_of_peak": plan.macs / (peak * run.cycles),
        "useful_macs": plan.macs, "padded_macs": layout.padded_macs * plan.vectors,
        "commands_of_a_channel": dict(run.counts), "energy_pj": energy,
        "version": code_version(), "wall_s": time.perf_counter() - begin,
    }  # fmt: skip


def _table(result: dict[str, Any]) -> str:
    shape = f"{result['outputs']} x {result['inputs']}"
    batch = f", {result['vectors']} vectors" if result["vectors"] > 1 else ""
    rows = [
        ("product", f"{shape}{batch} on {result['preset']}"),
        ("rules switched on", ", ".join(result["switches"]) or "none"),
        ("refresh", result["refresh"]),
        ("time", f"{result['us']:,.3f} us, {result['cycles']:,} cycles"),
        ("weights", f"{result['weights_gb_per_s']:,.1f} GB/s, {100 * result['share_of_peak']:.1f} % of peak MACs"),
        ("padding", f"{100 * (1 - result['useful_macs'] / result['padded_macs']):.1f} % of multiplications"),
        ("commands", ", ".join(f"{count:,} {name}" for name, count in result["commands_of_a_channel"].items())),
    ]
    if result["energy_pj"] is None:
        rows.append(("energy", "the device's file gives none"))
    else:
        terms = ", ".join(f"{name} {pj / 1e6:,.3f}" for name, pj in result["energy_pj"].items())
        rows.append(("energy, uJ", f"{sum(result['energy_pj'].values()) / 1e6:,.3f}: {terms}"))
    rows.append(("", f"cairn {result['version']}, {result['wall_s']:.2f} s"))
    return "\n".join(f"{name:<18} {text}".rstrip() for name, text in rows)


def _list() -> None:
    """Print presets by file, with their units, and switches."""
    from cairn.hw_models.pim.standard import pim_standards

    for standard in pim_standards().values():
        sys.stdout.write(f"{standard.name}\n")
        for name, preset in standard.presets.items():
            unit = preset.unit
            sys.stdout.write(
                f"  {name:20} {unit.channels} channels x {unit.units} units x {unit.lanes} lanes of "
                f"{unit.element_bits} bits, {unit.kind}\n"
            )
        for name, switch in standard.switches.items():
            sys.stdout.write(f"  switch {name} ({'on' if switch.default else 'off'}): {switch.about.strip()}\n")
