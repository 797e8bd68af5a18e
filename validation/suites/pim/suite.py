"""Processing in memory: units beside banks against simulators of their sort, and units beside the cores of a chip."""

from __future__ import annotations

from collections.abc import Iterator

from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suites.pim import aim, coprocessing, cousins, samsung, twin, units_form


def predict(reference: ReferenceDir, run_all: bool) -> Iterator[Row]:
    """Rows of the parts; `run_all` adds batches to the decode steps of a chip."""
    yield from aim.rows(reference)
    yield from samsung.rows(reference)
    yield from cousins.rows(reference)
    if reference.given is None:  # what is held against itself needs no rows of others
        yield from twin.rows()
        yield from units_form.rows()
        yield from coprocessing.rows(run_all)
