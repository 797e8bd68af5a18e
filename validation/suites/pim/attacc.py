"""AttAcc: attention of one layer on one stack, against the clocks that its authors' simulator recorded."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from cairn.base.errors import ConfigError
from cairn.hw_models.pim.attacc import AttaccSpec, Placement
from cairn.hw_models.pim.attention import Attended, attention_cycles
from cairn.hw_models.pim.attention_stream import attention_program
from cairn.hw_models.pim.device import PimDevice, pim_device
from cairn.hw_models.pim.simulate import simulate_program, verdict_of
from cairn.validation.reference import Record, ReferenceDir
from cairn.validation.rows import Row

RECORDED: Final = "pim/attacc_cycles.csv"
OBTAIN: Final = "it is extracted from ramulator.out of scale-snu/attacc_simulator (MIT), whose repository has it"
PLACEMENTS: Final = {"BA": Placement.BANK, "BG": Placement.BANK_GROUP, "BUFFER": Placement.BUFFER}
LIMITED: Final = {"pc": True, "npc": False}
ID: Final = re.compile(r"attacc\.cyc\.(BA|BG|BUFFER)\.(pc|npc)\.d(\d+)\.b(\d+)\.h(\d+)\.L(\d+)")
SOFTMAX: Final = re.compile(r"softmax=(\d+)")


WAVES: Final = (2, 3, 8, 12)
CONTEXTS: Final = (256, 1024, 2048, 4096)
LONG: Final = 1024
"""Keys from which on the closed form is held against the stream; on fewer, rows that the stream opens late count."""


def stream_rows() -> Iterator[Row]:
    """The closed form against the commands of a channel, with and without the power limit; and their protocol."""
    for limited, spacing in ((True, 6), (False, 4)):
        device = pim_device("HBM3_AttAcc", nCCDAB=spacing)
        for waves in WAVES:
            for context in CONTEXTS:
                yield from _stream(device, limited, waves, context)


def _stream(device: PimDevice, limited: bool, waves: int, context: int) -> Iterator[Row]:
    spec = AttaccSpec()
    run = simulate_program(attention_program(device, waves, context, 128), "all_bank", trace=True)
    work = Attended(spec.channels * waves, context, 128)
    name = f"attacc.stream.{'pc' if limited else 'npc'}.w{waves}.L{context}"
    yield Row(
        name, "AttAcc, closed form", float(run.cycles),
        float(attention_cycles(spec, Placement.BANK, work, power_limit=limited)), "clocks",
        "the commands of a channel, simulated", ("attacc_form",) if context >= LONG else (),
    )  # fmt: skip
    yield Row(
        f"{name}.protocol", "AttAcc, protocol violations", 0, verdict_of(run, "all_bank").count, "commands",
        "rules of the device", ("protocol",),
    )  # fmt: skip


def rows(reference: ReferenceDir) -> Iterator[Row]:
    """A row for each recorded run; beside the model, the same with probabilities sent as often as was recorded."""
    if reference.optional(RECORDED, OBTAIN) is None:
        return
    spec = AttaccSpec()
    for record in reference.csv(RECORDED):
        yield _row(spec, record)


def _row(spec: AttaccSpec, record: Record) -> Row:
    name = record.text("id")
    found = ID.fullmatch(name)
    if found is None:
        raise ConfigError(f"an id reads {ID.pattern}, not {name}", file=record.file, line=record.line, key="id")
    where, limit = found[1], LIMITED[found[2]]
    dim, size, heads, context = (int(found[number]) for number in range(3, 7))
    work = Attended(heads, context, dim, size)
    predicted, recorded = (
        float(attention_cycles(spec, PLACEMENTS[where], work, power_limit=limit, last_moves=moves))
        for moves in (1, _last_moves(spec, record, heads))
    )
    gate = PLACEMENTS[where].value
    return Row(
        id=name, kind=f"AttAcc attention, {gate}", reference=float(record.integer("value")), prediction=predicted,
        unit="clocks", source=f"reference/{RECORDED} (attacc_simulator c600051, recorded by its authors)",
        counts=(f"attacc_{gate}", f"attacc_{gate}_recorded"), baselines={"moves as recorded": recorded},
    )  # fmt: skip


def _last_moves(spec: AttaccSpec, record: Record, heads: int) -> int:
    """How often the last of an odd number of waves sent its probabilities: each time is one soft-max a head more."""
    counted = SOFTMAX.search(record.text("conditions"))
    if counted is None:
        raise ConfigError("the commands say softmax=<count>", file=record.file, line=record.line, key="conditions")
    return 1 + (int(counted[1]) - heads) // ((heads - 1) % spec.channels + 1)
