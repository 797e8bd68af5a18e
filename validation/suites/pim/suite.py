"""Processing in memory: channels, units and systems against the simulators and papers that describe them."""

from __future__ import annotations

from collections.abc import Iterator

from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suites.pim import (
    aim,
    attacc,
    attacc_system,
    cent,
    choice,
    coprocessing,
    cousins,
    duplex,
    headlines,
    samsung,
    systems,
    twin,
    twin_steps,
    units_form,
)


def predict(reference: ReferenceDir, run_all: bool) -> Iterator[Row]:
    """Rows of the parts; `run_all` adds batches to the decode steps of a chip."""
    yield from aim.rows(reference)
    yield from samsung.rows(reference)
    yield from cousins.rows(reference)
    yield from attacc.rows(reference)
    yield from attacc_system.rows(reference)
    yield from duplex.rows(reference)
    yield from cent.rows(reference)
    yield from headlines.rows(reference)
    yield from systems.rows(reference)
    if reference.given is None:  # what is held against itself needs no rows of others
        yield from twin.rows()
        yield from attacc.stream_rows()
        yield from units_form.rows()
        yield from choice.rows()
        yield from systems.choice_rows()
        yield from coprocessing.rows(run_all)
        yield from twin_steps.rows(run_all)
