"""Shipped decode steps on Duplex-like devices: the choice against either side alone, and where the units meet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cairn.hw_models.pim.duplex import DuplexSpec, Unit
from cairn.sim.config.resolve import DUPLEX, shipped
from cairn.sim.pim.crossover import Work, crossings
from cairn.sim.pim.duplex_run import DuplexRunSpec, load_duplex
from cairn.sim.pim.step import Choice, StepTime, step_time
from cairn.validation.rows import Row

FRACTIONS: Final = (1, 4, 16)
"""Parts of the shipped batch that are tried."""
BY_PEAKS: Final = {(Unit.BANK, Unit.LOGIC): 4.0, (Unit.BANK, Unit.CORES): 16.0, (Unit.LOGIC, Unit.CORES): 32.0}
"""Operations per byte at which peaks meet: Duplex, arXiv 2409.01141, section VI (bank PIM 16 times the bus at 1 op/B,
Logic-PIM 4 times at 8)."""


def rows() -> Iterator[Row]:
    """For each run, part of its batch and unit: the choice, divided or not, and the gain; then the crossings."""
    for name in shipped(DUPLEX):
        batch = load_duplex(name).batch
        for fraction in FRACTIONS:
            spec = load_duplex(name, (f"batch={max(batch // fraction, 1)}",))
            for unit in spec.units:
                yield from _choice(spec, Unit(unit))
    yield from _crossings()


def _choice(spec: DuplexRunSpec, unit: Unit) -> Iterator[Row]:
    graph = spec.graph()
    apart = spec.model_copy(update={"coprocessing": False})
    ways = {
        "cores": apart.machine(None), "pim": apart.model_copy(update={"choice": Choice.PIM}).machine(unit),
        "choice": apart.machine(unit), "divided": spec.machine(unit),
    }  # fmt: skip
    ms = {way: _ms(step_time(machine, graph)) for way, machine in ways.items()}
    best, name = min(ms["cores"], ms["pim"]), f"{spec.name}/batch {spec.batch}/{unit.value}"
    for way in ("choice", "divided") if spec.coprocessing else ("choice",):
        yield Row(
            f"duplex/{name}/{way}", "step, no slower than either side", best, max(ms[way], best), "ms",
            "the faster of cores and PIM alone", ("duplex_choice",), remark=f"takes {ms[way]:.3f} ms",
        )  # fmt: skip
    yield Row(
        f"duplex/{name}/gain", "step, PIM against cores", ms["cores"], ms["divided"], "ms", "cores alone",
        remark=f"speed-up {ms['cores'] / ms['divided']:.2f}",
    )  # fmt: skip


def _ms(step: StepTime) -> float:
    return step.seconds * 1e3


def _crossings() -> Iterator[Row]:
    """Where units meet with row cycles and refreshes, beside where their peaks do; for no gate."""
    for work in Work:
        for each in crossings(DuplexSpec(), work):
            yield Row(
                f"crossing/{work.value}/{each.below.value}-{each.above.value}", "crossing",
                BY_PEAKS[each.below, each.above], each.ops_per_byte, "op/B", "peaks of arXiv 2409.01141, section VI",
                remark="Units lose row cycles (between rows no column is read) and refreshes, each another share.",
            )  # fmt: skip
