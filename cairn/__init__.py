"""Cairn: a cycle-level simulator and design-space explorer for the chips that run large language models.

    import cairn

    result = cairn.simulate("demo")
    print(result.summary())

Everything is loaded on first use, so that `import cairn` is quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cairn.api import (
        __version__,
        simulate,
        simulate_duplex,
        simulate_layers,
        simulate_network,
        simulate_pim_system,
        simulate_wafer,
    )
    from cairn.base.errors import CairnError, InfeasibleError
    from cairn.dse.study import Study
    from cairn.dse.study import run_sweep as explore
    from cairn.hw_models.chip import ChipSpec
    from cairn.hw_models.dram.device import device as dram_device
    from cairn.hw_models.dram.simulate import simulate_channel
    from cairn.sim.config.run_config import RunConfig, load
    from cairn.sim.plan.plan import Plan
    from cairn.sim.report.result import Result
    from cairn.workloads.architecture import ModelSpec

__all__ = [
    "CairnError",
    "ChipSpec",
    "InfeasibleError",
    "ModelSpec",
    "Plan",
    "Result",
    "RunConfig",
    "Study",
    "__version__",
    "dram_device",
    "explore",
    "load",
    "simulate",
    "simulate_channel",
    "simulate_duplex",
    "simulate_layers",
    "simulate_network",
    "simulate_pim_system",
    "simulate_wafer",
]

_HOMES = {
    "CairnError": "cairn.base.errors",
    "ChipSpec": "cairn.hw_models.chip",
    "InfeasibleError": "cairn.base.errors",
    "ModelSpec": "cairn.workloads.architecture",
    "Plan": "cairn.sim.plan.plan",
    "Result": "cairn.sim.report.result",
    "RunConfig": "cairn.sim.config.run_config",
    "Study": "cairn.dse.study",
    "__version__": "cairn.api",
    "dram_device": "cairn.hw_models.dram.device",
    "explore": "cairn.dse.study",
    "load": "cairn.sim.config.run_config",
    "simulate": "cairn.api",
    "simulate_channel": "cairn.hw_models.dram.simulate",
    "simulate_duplex": "cairn.api",
    "simulate_layers": "cairn.api",
    "simulate_network": "cairn.api",
    "simulate_pim_system": "cairn.api",
    "simulate_wafer": "cairn.api",
}

_NAMES = {"dram_device": "device", "explore": "run_sweep"}
"""What a name is called in its home, where that differs."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cairn' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), _NAMES.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
