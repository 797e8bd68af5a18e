"""The analytical twin's network terms against the cycle simulator, on random designs that vary network and mapping."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from cairn.base.errors import CairnError
from cairn.base.streams import stream
from cairn.sim.config.run_config import load
from cairn.sim.run import simulate
from cairn.sim.twin.evaluate import TOPOLOGIES
from cairn.sim.twin.twin import Twin
from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row

SEED: Final = 5
"""Seed of the designs; none of them was looked at while the twin's terms were written."""
FEW: Final = 35
MANY: Final = 100
"""Designs of each topology, and with --all."""

MODELS: Final = ("opt-1.3b", "llama-3.2-1b")
"""Two small models, so that a hundred steps are simulated within minutes: without and with shared key heads."""
AXES: Final[dict[str, tuple[Any, ...]]] = {
    "chip.noc.link_bytes_per_cycle": (4, 8, 16, 32, 64),
    "chip.noc.hop_cycles": (1, 2, 4),
    "chip.cores": ((4, 4), (4, 8), (8, 8), (8, 12), (8, 16)),
    "chip.sram.capacity_kib": (512, 1024, 2048, 4096),
    "chip.dram.bandwidth_gb_per_s": (1000, 2000, 4000, 8000),
    "mapping.placement": ("dimension_ordered", "dimension_ordered", "sequential"),
    "mapping.paradigm": ("compute_shift", "compute_shift", "spmd"),
    "mapping.weight_sharers": (None, None, None, None, 1, 2, 4),
    "mapping.partial_sum_bits": (16, 32),
}
"""What designs draw from, each value as often as it stands here (assumed: from a network that binds every step to one
that binds none)."""
PORTS: Final = {"injection": (None, None, 0.5, 2.0), "ejection": (None, None, 0.5, 2.0)}
"""Widths of ports over that of a link, None where the chip's own default stands: as wide as a link. All-to-all, which
refuses an injection port wider than a link, takes the default instead."""
PHASES: Final = ("decode", "decode", "prefill")
STEPS: Final[dict[str, dict[str, tuple[int, ...]]]] = {
    "decode": {"workload.batch": (8, 32, 64), "workload.context": (512, 2048)},
    "prefill": {"workload.new_tokens": (256, 512)},
}
LONG_PREFILLS: Final = ("engine.tolerance=0.01", "engine.max_simulated_blocks=7")
"""Of the layers of a prefill at most seven are simulated, as in the suite `twin`."""


def predict(reference: ReferenceDir, run_all: bool) -> Iterator[Row]:
    """A row for each design: the simulated time of the step, and the twin's."""
    if not run_all:
        reference.leave_out(f"{(MANY - FEW) * len(TOPOLOGIES)} designs: --all runs them")
    for topology in TOPOLOGIES:
        for number in range(MANY if run_all else FEW):
            phase, settings = drawn(SEED, str(topology), number)
            yield _row(f"{topology}/{number}", str(topology), phase, settings)


def drawn(seed: int, topology: str, number: int) -> tuple[str, list[str]]:
    """The phase and the settings of a design, each design with random numbers of its own."""
    rng = stream(seed, "network_twin", topology, number)
    phase = PHASES[_draw(rng, len(PHASES))]
    chosen: dict[str, Any] = {"chip.noc.topology": topology}
    for key, values in (("model", MODELS), *AXES.items(), *STEPS[phase].items()):
        chosen[key] = values[_draw(rng, len(values))]
    rows, columns = chosen.pop("chip.cores")
    chosen |= {"chip.cores.rows": rows, "chip.cores.columns": columns}
    for port, widths in PORTS.items():
        times = widths[_draw(rng, len(widths))]
        if times is not None and not (topology == "all_to_all" and port == "injection" and times > 1):
            width = int(times * chosen["chip.noc.link_bytes_per_cycle"])
            chosen[f"chip.noc.{port}_bytes_per_cycle"] = width
    settings = [f"{key}={value}" for key, value in chosen.items() if value is not None]
    return phase, settings + list(LONG_PREFILLS if phase == "prefill" else ())


def _draw(rng: np.random.Generator, count: int) -> int:
    return int(rng.integers(count))


def _row(name: str, topology: str, phase: str, settings: list[str]) -> Row:
    config = load(f"llama-2-13b-{phase}", settings)
    paradigm = str(config.mapping.paradigm)
    gates = tuple(f"{who}_{what}" for who in ("all", topology, f"{phase}_{paradigm}") for what in ("median", "p95"))
    remark = ", ".join(setting.rsplit(".", 1)[-1] for setting in settings if not setting.startswith("engine."))
    try:
        simulated = simulate(config).total_ps / 1e9
    except CairnError as trouble:
        return Row(
            name, topology, 0.0, None, "ms", "cycle simulator", (),
            dict.fromkeys(gates, f"the simulator refuses it: {trouble}"), remark=remark,
        )  # fmt: skip
    table = Twin(config).evaluate({})
    predicted = float(table.latency_s[0] * 1e3) if table.runs[0] else None
    return Row(name, topology, simulated, predicted, "ms", "cycle simulator", gates, remark=remark)
