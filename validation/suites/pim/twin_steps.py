"""The analytical twin of a chip with PIM units at work against the cycle simulator, on random designs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cairn.base.errors import CairnError
from cairn.base.streams import stream
from cairn.sim.config.run_config import load
from cairn.sim.run import simulate
from cairn.sim.twin.twin import Twin
from cairn.validation.rows import Row

RUN: Final = "llama-2-7b-decode-pim"
FEW: Final = 120
MANY: Final = 240
"""Designs, and those with --all."""
SEED: Final = 23
DRAWN: Final = {
    "chip": ("hbm3-cube-bank-pim", "hbm3-cube-logic-pim"),
    "model": ("llama-2-7b", "llama-3.2-3b"),
    "mapping.pim": ("all", "all", "products", "attention"),
    "workload.batch": (1, 2, 4, 8, 16),
    "workload.context": (256, 512, 1024, 2048),
    "chip.pim.spacing_cycles": (4, 6, 8),
    "chip.pim.accumulators": (2, 4, 8, 16, 32, 64),
    "chip.pim.buffer_kib": (4, 8, 16, 64),
    "chip.pim.turn_rows": (4, 16, 64),
    "chip.matrix_unit.columns": (16, 32, 64),
    "mapping.pim_stationary": ("outputs", "inputs"),
}
"""What is drawn, each value as likely as the others: `all` twice, since its steps are the units' alone."""
GATES: Final = ("twin_steps_median", "twin_steps_tau", "twin_steps_largest")


def rows(run_all: bool) -> Iterator[Row]:
    """A row for each design: the simulated time of a step of one layer and its head, and the twin's."""
    for index in range(MANY if run_all else FEW):
        yield _row(index)


def settings_of(index: int) -> list[str]:
    """A design as overrides of RUN."""
    draw = stream(SEED, "pim twin", index)
    drawn = [f"{key}={values[int(draw.integers(len(values)))]}" for key, values in DRAWN.items()]
    return [*drawn, "model.layers=1"]


def _row(index: int) -> Row:
    settings = settings_of(index)
    config = load(RUN, settings)
    name, kind = f"twin_steps/{index}", f"twin, {config.chip.name}, {config.mapping.pim.value}"
    remark = ", ".join(settings[1:-1])
    try:
        simulated = float(simulate(config).total_ps) / 1e6
    except CairnError as trouble:
        reasons = dict.fromkeys(GATES, f"the simulator refuses it: {trouble}")
        return Row(name, kind, 0.0, None, "us", "cycle simulator", (), reasons, remark=remark)
    table = Twin(config).evaluate({})
    predicted = float(table.latency_s[0]) * 1e6 if table.runs[0] else None
    return Row(name, kind, simulated, predicted, "us", "cycle simulator", GATES, remark=remark)
