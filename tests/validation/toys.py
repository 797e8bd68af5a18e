"""Small suites for the tests of the harness."""

from __future__ import annotations

from collections.abc import Sequence

from cairn.validation.gates import GateSheet
from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suite import Suite

SHEET = {
    "schema": "cairn.gates/1",
    "title": "toys against toys",
    "about": "Invented rows.",
    "reads": ["toys/toys.csv"],
    "gates": [
        {"name": "close", "metric": "max_error", "limit": 0.05, "what": "every toy within 5 %"},
        {"name": "mean", "metric": "mean_error", "what": "mean of all toys"},
    ],
    "notes": [{"rows": ["far/*"], "text": "Far toys roll."}],
}


def toy(name: str, reference: float, prediction: float | None, *, kind: str = "toy", counts: str = "close mean") -> Row:
    return Row(name, kind, reference, prediction, "us", "toy shop, shelf 3", tuple(counts.split()))


def suite_of(rows: Sequence[Row], **changes: object) -> Suite:
    """A suite that predicts `rows`, with `changes` to the keys of its sheet."""
    return Suite("toys", lambda reference, run_all: list(rows), GateSheet.model_validate(SHEET | changes))


def predict_file(reference: ReferenceDir, run_all: bool) -> list[Row]:
    """Every row of toys/toys.csv, predicted to the tick."""
    records = reference.csv("toys/toys.csv", "toys are sold in toy shops")
    return [toy(record.text("name"), record.number("time_us"), record.number("time_us")) for record in records]


FILE_SUITE = Suite("toys", predict_file, GateSheet.model_validate(SHEET))
