"""Low-bit compute: one module for each part, each with `rows`."""

from __future__ import annotations

from collections.abc import Iterator

from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suites.lut import arrays, bit_width, latency, precompute, shapes, twin
from cairn.validation.suites.lut.gpus import FILE

OTHERS = "lut/lut_hw_others.yaml"


def predict(reference: ReferenceDir, run_all: bool) -> Iterator[Row]:
    """Rows of all parts; `run_all` adds designs to those of the twin."""
    entries = reference.entries(FILE)
    others = {} if reference.optional(OTHERS) is None else reference.entries(OTHERS)
    yield from arrays.rows(entries, others)
    yield from bit_width.rows(entries)
    yield from shapes.rows(entries)
    yield from latency.rows(entries)
    yield from precompute.rows(entries)
    if reference.given is None:  # what is held against the simulator needs no reference
        yield from twin.rows(reference, run_all)
