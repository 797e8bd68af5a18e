"""The stack as a decode sees it: streams reach the bus, placement costs little, depth has a best."""

from __future__ import annotations

from collections.abc import Iterator

from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suites.stack import depth, placement, streams


def predict(reference: ReferenceDir, run_all: bool) -> Iterator[Row]:
    """Rows of the three parts; `run_all` adds none."""
    yield from streams.rows()
    yield from placement.rows(reference)
    yield from depth.rows(reference)
