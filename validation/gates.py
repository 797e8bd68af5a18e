"""Gates: limits on metrics, written in YAML beside the suite, with notes on the rows that stand out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import field_validator, model_validator

from cairn.base.spec import Spec, required, sourced
from cairn.validation.metrics import METRICS, PERCENT, ROW_WISE, evaluate
from cairn.validation.rows import OURS, Row

SCHEMA = "cairn.gates/1"


class Verdict(StrEnum):
    """How a gate, a row or a suite came out."""

    PASS = "pass"
    FAIL = "fail"
    REPORTED = "report only"
    COUNTED = "counted"
    NO_ROWS = "no rows"
    SKIPPED = "skipped"


class Gate(Spec):
    """`metric` over the rows that count for it must be `direction` `limit`; without a limit it is reported only.

    `needs` names a file that is not shipped and that all its rows come from: where it is not here, the gate is skipped.
    """

    name: str = required(min_length=1)
    metric: str = required()
    limit: float | None = sourced(None, "assumed: a figure without a limit is reported only")
    direction: Literal["at_most", "at_least"] = sourced("at_most", "assumed: most gates bound an error")
    predictor: str = sourced(OURS, "assumed: gates judge Cairn unless they name a baseline")
    what: str = required(min_length=1)
    needs: str = sourced("", "assumed: gates can be checked with what is shipped")

    @field_validator("metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        if metric not in METRICS:
            raise ValueError(f"no metric is called {metric!r} (there are: {', '.join(METRICS)})")
        return metric

    def holds(self, value: float) -> bool:
        """Whether `value` keeps the limit; nan keeps none."""
        if self.limit is None:
            return True
        return value <= self.limit if self.direction == "at_most" else value >= self.limit

    def show(self, value: float | None) -> str:
        """A value of this gate's metric as a person reads it."""
        if value is None:
            return "-"
        if math.isnan(value):
            return "none"
        return f"{100 * value:.2f} %" if self.metric in PERCENT else f"{value:.4g}"

    def show_limit(self) -> str:
        sign = "<=" if self.direction == "at_most" else ">="
        return "-" if self.limit is None else f"{sign} {self.show(self.limit)}"


class Note(Spec):
    """Why the rows whose ids match one of the patterns `rows` come out as they do."""

    rows: tuple[str, ...] = required(min_length=1)
    text: str = required(min_length=1)

    def covers(self, row: Row) -> bool:
        return any(fnmatchcase(row.id, pattern) for pattern in self.rows)


class Fitted(Spec):
    """A constant that was fitted, its value, and patterns of the rows it was fitted on, which count for no gate."""

    constant: str = required(min_length=1)
    value: str = required(min_length=1)
    rows: tuple[str, ...] = required(min_length=1)


class GateSheet(Spec):
    """`gates.yaml` of a suite."""

    schema_id: Literal["cairn.gates/1"] = required(alias="schema")
    title: str = required(min_length=1)
    about: str = required(min_length=1)
    reads: tuple[str, ...] = sourced((), "assumed: a suite without reference files checks Cairn against itself")
    outlier_above: float = sourced(0.10, "assumed: beyond 10 % a row asks for an explanation", gt=0)
    every_outlier_explained: bool = sourced(False, "assumed: outliers may stand unexplained unless an issue says not")
    fitted: tuple[Fitted, ...] = sourced((), "assumed: nothing is fitted unless it is listed")
    gates: tuple[Gate, ...] = required(min_length=1)
    notes: tuple[Note, ...] = sourced((), "assumed: no row stands out unless a note says so")

    @model_validator(mode="after")
    def _sound(self) -> GateSheet:
        names = [gate.name for gate in self.gates]
        if len(set(names)) != len(names):
            raise ValueError(f"gate names repeat: {names}")
        if all(gate.limit is None for gate in self.gates):
            raise ValueError("a suite needs a gate with a limit: acceptance checks must be able to fail")
        return self

    @classmethod
    def load(cls, file: Path) -> GateSheet:
        """The sheet in `file`; pydantic's ValidationError when it is malformed."""
        content: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
        return cls.model_validate(content)

    def note_on(self, row: Row) -> str:
        """All notes that cover `row`, then its own remark."""
        texts = [note.text.strip() for note in self.notes if note.covers(row)]
        return " ".join([*texts, row.remark]).strip()

    def is_fitted(self, row: Row) -> bool:
        return any(fnmatchcase(row.id, pattern) for fitted in self.fitted for pattern in fitted.rows)


@dataclass(frozen=True)
class GateResult:
    """A gate, its value over `rows` rows, and how it came out."""

    gate: Gate
    value: float | None
    rows: int
    verdict: Verdict


def judge(gate: Gate, rows: Sequence[Row]) -> GateResult:
    """Judge `gate` over those of `rows` that count for it."""
    counting = [row for row in rows if gate.name in row.counts]
    if not counting:
        return GateResult(gate, None, 0, Verdict.NO_ROWS)
    value = evaluate(gate.metric, counting, gate.predictor)
    verdict = Verdict.REPORTED if gate.limit is None else Verdict.PASS if gate.holds(value) else Verdict.FAIL
    return GateResult(gate, value, len(counting), verdict)


def judge_row(sheet: GateSheet, row: Row) -> Verdict:
    """FAIL when this row alone breaks a gate it counts for; COUNTED when its gates judge many rows together."""
    mine = [gate for gate in sheet.gates if gate.name in row.counts and gate.limit is not None]
    if not mine:
        return Verdict.REPORTED
    alone = [gate for gate in mine if gate.metric in ROW_WISE]
    if any(not gate.holds(evaluate(gate.metric, [row], gate.predictor)) for gate in alone):
        return Verdict.FAIL
    return Verdict.PASS if alone else Verdict.COUNTED
