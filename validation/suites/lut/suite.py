"""Low-bit compute: one module for each part, each with `rows`."""

from __future__ import annotations

from collections.abc import Iterator

from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suites.lut import functional


def predict(reference: ReferenceDir, run_all: bool) -> Iterator[Row]:
    """Rows of all parts; `run_all` draws ten times as many random cases."""
    if reference.given is None:  # products on numbers are held against NumPy and fractions, not against reference files
        yield from functional.rows(run_all)
