"""Low-bit compute: published units, their simulators and processors, part by part."""

from __future__ import annotations

from collections.abc import Iterator

from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suites.lut import bitmod, bitnet, cpu, published


def predict(reference: ReferenceDir, run_all: bool) -> Iterator[Row]:
    """Rows of all parts; `run_all` adds none."""
    yield from bitmod.rows(reference.entries(bitmod.FILE))
    yield from published.rows(reference.entries(published.MIXPE_FILE), reference.entries(published.OTHERS_FILE))
    on_silicon = reference.entries(bitnet.FILE)
    yield from bitnet.rows(on_silicon)
    yield from cpu.rows(reference.entries(cpu.FILE), on_silicon)
