"""The analytical twin of a chip with PIM units at work against the cycle simulator, on random designs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cairn.base.errors import CairnError
from cairn.base.streams import stream
from cairn.sim.config.run_config import load
from cairn.sim.run import simulate
from cairn.sim.twin.twin import Twin
from cairn.validation.rows import Row

SEED: Final = 23
OF_UNITS: Final = {
    "chip": ("hbm3-cube-bank-pim", "hbm3-cube-logic-pim"),
    "workload.context": (256, 512, 1024, 2048),
    "chip.pim.spacing_cycles": (4, 6, 8),
    "chip.pim.accumulators": (2, 4, 8, 16, 32, 64),
    "chip.pim.buffer_kib": (4, 8, 16, 64),
    "chip.pim.turn_rows": (4, 16, 64),
    "chip.matrix_unit.columns": (16, 32, 64),
    "mapping.pim_stationary": ("outputs", "inputs"),
}


@dataclass(frozen=True)
class Drawn:
    """Random designs of a run, `few` of them and with --all `many`: what is drawn, each value as likely as the others,
    and the gates that their rows count for."""

    name: str
    run: str
    values: Mapping[str, Sequence[Any]]
    few: int
    many: int

    @property
    def gates(self) -> tuple[str, ...]:
        return tuple(f"{self.name}_{what}" for what in ("median", "tau", "largest"))

    def settings_of(self, index: int) -> list[str]:
        """A design as overrides of the run, of which one layer is simulated."""
        draw = stream(SEED, "pim twin" if self is BY_RULE else self.name, index)
        drawn = [f"{key}={values[int(draw.integers(len(values)))]}" for key, values in self.values.items()]
        return [*drawn, "model.layers=1"]


BY_RULE: Final = Drawn(
    "twin_steps", "llama-2-7b-decode-pim",
    {
        "chip": OF_UNITS["chip"], "model": ("llama-2-7b", "llama-3.2-3b"),
        "mapping.pim": ("all", "all", "products", "attention"), "workload.batch": (1, 2, 4, 8, 16),
        **{name: values for name, values in OF_UNITS.items() if name != "chip"},
    }, 120, 240,
)  # fmt: skip
"""What units do is said by hand: `all` twice, since its steps are the units' alone."""
BY_TIME: Final = Drawn(
    "twin_auto", "llama-2-7b-decode-pim",
    {
        **OF_UNITS, "model": ("llama-2-7b", "llama-3.2-3b"), "mapping.pim": ("auto",),
        "workload.batch": (1, 4, 8, 16, 32, 64), "chip.pim.rows_at_once": (1, 4, 8),
    }, 16, 60,
)  # fmt: skip
"""Each operator goes to the side that takes less time."""
OF_EXPERTS: Final = Drawn(
    "twin_experts", "mixtral-8x7b-decode-pim",
    {
        **OF_UNITS, "model": ("mixtral-8x7b", "phi-3.5-moe"),
        "mapping.pim": ("auto", "auto", "all", "products", "attention", "none"),
        "workload.batch": (2, 4, 8, 16, 32, 64), "chip.pim.rows_at_once": (1, 4, 8),
    }, 20, 60,
)  # fmt: skip
"""Models of 8 and 16 experts; `auto` twice, since units and cores then may have experts each."""


def rows(run_all: bool) -> Iterator[Row]:
    """A row for each design: the simulated time of a step of one layer and its head, and the twin's."""
    for drawn in (BY_RULE, BY_TIME, OF_EXPERTS):
        for index in range(drawn.many if run_all else drawn.few):
            yield _row(drawn, index)


def _row(drawn: Drawn, index: int) -> Row:
    settings = drawn.settings_of(index)
    config = load(drawn.run, settings)
    name, kind = f"{drawn.name}/{index}", f"twin, {config.chip.name}, {config.mapping.pim.value}"
    remark = ", ".join(settings[1:-1])
    try:
        simulated = float(simulate(config).total_ps) / 1e6
    except CairnError as trouble:
        reasons = dict.fromkeys(drawn.gates, f"the simulator refuses it: {trouble}")
        return Row(name, kind, 0.0, None, "us", "cycle simulator", (), reasons, remark=remark)
    table = Twin(config).evaluate({})
    predicted = float(table.latency_s[0]) * 1e6 if table.runs[0] else None
    return Row(name, kind, simulated, predicted, "us", "cycle simulator", drawn.gates, remark=remark)
