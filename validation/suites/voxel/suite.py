"""Voxel's simulator as reference: times of single operators, and whole steps on varied chips."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from cairn.validation.reference import ReferenceDir, ReferenceMissingError
from cairn.validation.rows import Row
from cairn.validation.suites.voxel.operator_rows import operator_rows
from cairn.validation.suites.voxel.run_rows import run_rows
from cairn.validation.suites.voxel.simulated import Simulated


def predict(reference: ReferenceDir, run_all: bool) -> Iterator[Row]:
    """Rows of the operator tables, then of whole runs; a folder that holds one of the two files is enough."""
    simulated = Simulated()
    parts: tuple[Callable[[], Iterator[Row]], ...] = (
        lambda: operator_rows(reference, simulated),
        lambda: run_rows(reference, simulated, run_all),
    )
    missing: list[ReferenceMissingError] = []
    for part in parts:
        try:
            yield from part()
        except ReferenceMissingError as absent:
            missing.append(absent)
    if len(missing) == len(parts):
        raise missing[0]
    reference.missed.extend(str(absent) for absent in missing)
