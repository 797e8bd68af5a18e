"""SK hynix AiM: isolated commands and products against aim_simulator, to the cycle, and what refresh would add."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from cairn.hw_models.pim.device import pim_device
from cairn.hw_models.pim.program import Program
from cairn.hw_models.pim.simulate import simulate_program, verdict_of
from cairn.validation.reference import Record, ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suites.pim import aim_streams

FILE: Final = "pim/aim_cycles.csv"
OBTAIN: Final = "aim_simulator is public (arkhadem/aim_simulator); the conditions of a row say what was run"
PRESET: Final = "GDDR6_AiM"


def rows(reference: ReferenceDir) -> Iterator[Row]:
    """For each row its cycles, and how many commands differ; a row whose instructions are not known is left out."""
    for record in reference.csv(FILE, OBTAIN):
        program = _program(record)
        if program is None:
            reference.leave_out(f"{record.text('id')}: its instructions are not known here")
            continue
        name = record.text("id").removeprefix("aim.")
        product = name.startswith("gemv")
        kind = "AiM, product" if product else "AiM, commands"
        run = simulate_program(program, trace=True)
        refreshed = simulate_program(program, "all_bank", trace=product)
        broken = verdict_of(run).count + (verdict_of(refreshed, "all_bank").count if product else 0)
        yield Row(
            f"aim/{name}", kind, record.number("value"), run.cycles, "cycles", record.text("source"),
            ("aim_cycles", "aim_with_refresh"),
            baselines={"with refresh": refreshed.cycles},
        )  # fmt: skip
        yield Row(
            f"aim/{name}/protocol", "AiM, protocol violations", 0, broken, "commands", "rules of the device",
            ("protocol",),
        )  # fmt: skip
        if (counted := _commands(record)) is not None:
            differing = sum(abs(run.counts.get(one, 0) - counted.get(one, 0)) for one in {*run.counts, *counted})
            yield Row(
                f"aim/{name}/commands", "AiM, commands that differ", 0, differing, "commands", record.text("source"),
                ("aim_commands",),
            )  # fmt: skip


def _program(record: Record) -> Program | None:
    name, device = record.text("id"), pim_device(PRESET)
    product = aim_streams.gemv_of(name)
    if product is not None:
        return aim_streams.gemv_program(device, *product)
    return aim_streams.micro_program(device, name, record.text("conditions"))


def _commands(record: Record) -> dict[str, int] | None:
    """The commands of a channel that the conditions of a row count, None where they do not."""
    found = re.search(r"commands on (?:a channel|channel 0) (\{[^}]*\})", record.text("conditions"))
    return dict(ast.literal_eval(found[1])) if found else None
