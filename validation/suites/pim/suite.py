"""Processing in memory: units beside banks against simulators of their sort."""

from __future__ import annotations

from collections.abc import Iterator

from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suites.pim import aim


def predict(reference: ReferenceDir, run_all: bool) -> Iterator[Row]:
    """Rows of the parts; `run_all` adds none."""
    yield from aim.rows(reference)
