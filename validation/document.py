"""Results of suites as plain data: what `cairn validate --json` prints, and what stands in the CSV files."""

from __future__ import annotations

import math
import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from cairn.validation.gates import GateResult, Verdict
from cairn.validation.rows import Row
from cairn.validation.suite import ClassError, SuiteResult

SCHEMA = "cairn.validation/1"


def provenance() -> dict[str, str]:
    """Versions that a prediction can depend on; nothing about the machine it ran on."""
    packages = ("cairn", "numpy", "numba", "pydantic")
    return {"python": platform.python_version(), **{package: version(package) for package in packages}}


def overall(results: Sequence[SuiteResult]) -> Verdict:
    """FAIL when a suite failed, SKIPPED when none was checked, else PASS."""
    verdicts = {result.verdict for result in results}
    if Verdict.FAIL in verdicts:
        return Verdict.FAIL
    return Verdict.PASS if Verdict.PASS in verdicts else Verdict.SKIPPED


def as_dict(results: Sequence[SuiteResult]) -> dict[str, Any]:
    """Everything in `results`; numbers that JSON cannot write (no prediction, infinite error) are null."""
    return {
        "schema": SCHEMA,
        "provenance": provenance(),
        "verdict": overall(results).value,
        "suites": [suite_dict(result) for result in results],
    }


def suite_dict(result: SuiteResult) -> dict[str, Any]:
    return {
        "suite": result.name,
        "title": result.sheet.title,
        "verdict": result.verdict.value,
        "why": result.why,
        "reads": [{"file": file.name, "from": file.origin} for file in result.reads],
        "skipped": list(result.skipped),
        "fitted": [fitted.model_dump(mode="json") for fitted in result.sheet.fitted],
        "rows_evaluated": len(result.rows),
        "gates": [gate_dict(gate) for gate in result.gates],
        "classes": [class_dict(item) for item in result.by_class()],
        "decades": [class_dict(item) for item in result.by_decade()],
        "unexplained_outliers": result.unexplained(),
        "rows": [row_dict(result, row) for row in result.rows],
    }


def gate_dict(result: GateResult) -> dict[str, Any]:
    gate = result.gate
    return {
        "gate": gate.name,
        "what": gate.what,
        "metric": gate.metric,
        "predictor": gate.predictor,
        "value": _finite(result.value),
        "limit": gate.limit,
        "direction": gate.direction,
        "rows": result.rows,
        "verdict": result.verdict.value,
    }


def class_dict(item: ClassError) -> dict[str, Any]:
    return {
        "class": item.name,
        "rows": item.rows,
        "median_error": _finite(item.median),
        "p90_error": _finite(item.p90),
        "max_error": _finite(item.largest),
        "signed_mean_error": _finite(item.signed_mean),
    }


def row_dict(result: SuiteResult, row: Row) -> dict[str, Any]:
    return {
        "id": row.id,
        "class": row.kind,
        "reference": row.reference,
        "prediction": _finite(row.prediction),
        "error": _finite(row.error()),
        "unit": row.unit,
        "verdict": result.row_verdict(row).value,
        "counts_for": list(row.counts),
        "excluded_from": dict(row.excluded),
        "baselines": {name: _finite(value) for name, value in row.baselines.items()},
        "note": result.notes.get(row.id, ""),
        "source": row.source,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
