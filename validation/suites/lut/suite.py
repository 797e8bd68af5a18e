"""Low-bit compute: published units, their simulators and processors, part by part."""

from __future__ import annotations

from collections.abc import Iterator

from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suites.lut import bitmod


def predict(reference: ReferenceDir, run_all: bool) -> Iterator[Row]:
    """Rows of all parts; `run_all` adds none."""
    yield from bitmod.rows(reference.entries(bitmod.FILE))
