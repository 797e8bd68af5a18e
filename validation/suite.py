"""A suite: reference rows, a function that predicts them, and the gates beside it; and what came of running one."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from cairn.base.errors import CairnError
from cairn.base.registry import nearest_hint
from cairn.validation.gates import GateResult, GateSheet, Verdict, judge, judge_row
from cairn.validation.metrics import percentile
from cairn.validation.reference import ReferenceDir, ReferenceFile, ReferenceMissingError
from cairn.validation.rows import Row

Predict = Callable[[ReferenceDir, bool], Iterable[Row]]
"""`predict(reference, run_all)`: the rows of a suite; with `run_all` the ones that take long as well.

A suite that simulates yields each row when it is ready, so that progress can be shown.
"""

SUITES = Path(__file__).resolve().parent / "suites"


@dataclass(frozen=True)
class Suite:
    """What is needed to run a suite: its name, the function that predicts its rows, and its gates and notes."""

    name: str
    predict: Predict
    sheet: GateSheet


@dataclass(frozen=True)
class ClassError:
    """Errors of the rows of one class (or decade of the reference value): absolute, but for the signed mean."""

    name: str
    rows: int
    median: float
    p90: float
    largest: float
    signed_mean: float


@dataclass(frozen=True)
class SuiteResult:
    """How a suite came out. `skipped` says what could not be checked, and where such data is to be had."""

    name: str
    sheet: GateSheet
    verdict: Verdict
    rows: tuple[Row, ...] = ()
    gates: tuple[GateResult, ...] = ()
    reads: tuple[ReferenceFile, ...] = ()
    skipped: tuple[str, ...] = ()
    why: str = ""
    notes: dict[str, str] = field(default_factory=dict)

    def row_verdict(self, row: Row) -> Verdict:
        return judge_row(self.sheet, row)

    def outliers(self) -> list[Row]:
        """Rows whose error asks for an explanation, the worst first; the note on each is in `notes`."""
        far = [row for row in self.rows if abs(row.error()) > self.sheet.outlier_above]
        return sorted(far, key=lambda row: -abs(row.error()))

    def unexplained(self) -> list[str]:
        """Ids of the outliers that no note explains."""
        return [row.id for row in self.outliers() if not self.notes.get(row.id)]

    def by_class(self) -> list[ClassError]:
        """Errors by class of row, in the order in which the classes first appear."""
        return _errors_by(self.rows, lambda row: row.kind)

    def by_decade(self) -> list[ClassError]:
        """Errors by decade of the reference value, for each unit apart; nothing where all share one decade."""
        named = sorted((row for row in self.rows if row.reference > 0), key=lambda row: (row.unit, row.reference))
        result = _errors_by(named, lambda row: _decade(row.reference, row.unit))
        return result if len(result) > 1 else []


def _decade(value: float, unit: str) -> str:
    low = math.floor(math.log10(value))
    return f"{10.0**low:g} to {10.0 ** (low + 1):g} {unit}".rstrip()


def _errors_by(rows: Iterable[Row], name_of: Callable[[Row], str]) -> list[ClassError]:
    groups: dict[str, list[float]] = {}
    for row in rows:
        groups.setdefault(name_of(row), []).append(row.error())
    result = []
    for name, errors in groups.items():
        sizes = [abs(error) for error in errors]
        mean = math.fsum(errors) / len(errors) if all(map(math.isfinite, errors)) else math.inf
        result.append(ClassError(name, len(errors), percentile(sizes, 50), percentile(sizes, 90), max(sizes), mean))
    return result


def suite_names() -> list[str]:
    """Names of the shipped suites."""
    return sorted(file.parent.name for file in SUITES.glob("*/gates.yaml"))


def load_suite(name: str) -> Suite:
    """The shipped suite called `name`; CairnError with the nearest name when there is none."""
    if name not in suite_names():
        raise CairnError(f"no suite is called {name!r}{nearest_hint(name, suite_names())}")
    module = importlib.import_module(f"cairn.validation.suites.{name}.suite")
    return Suite(name, module.predict, GateSheet.load(SUITES / name / "gates.yaml"))


def run_suite(
    suite: Suite,
    reference: ReferenceDir,
    *,
    run_all: bool = False,
    progress: Callable[[str], None] | None = None,
) -> SuiteResult:
    """Run `suite` on the files of `reference`; `progress` is told of every row.

    It passes when every gate with a limit was checked and holds. A gate that no row counts for fails, except on a
    given folder, which may hold rows of one sort alone: there one checked gate is enough; and where the file that it
    needs is none of the shipped ones and not here (`Gate.needs`). A suite whose reference is
    not here is skipped, except on a given folder: asked to check that, it checked nothing, and fails.
    """
    sheet = suite.sheet
    try:
        rows = tuple(_told(suite, suite.predict(reference, run_all), progress))
    except ReferenceMissingError as missing:
        verdict = Verdict.FAIL if reference.given else Verdict.SKIPPED
        return SuiteResult(suite.name, sheet, verdict, skipped=(*reference.missed, str(missing)), why=str(missing))
    _check_rows(sheet, rows)
    gates = tuple(judge(gate, rows) for gate in sheet.gates)
    notes = {row.id: note for row in rows if (note := sheet.note_on(row))}
    gates = tuple(_excused(result, reference) for result in gates)
    verdict, why = _verdict(gates, rows, given=reference.given is not None)
    used, missed = tuple(reference.used), tuple(reference.missed)
    result = SuiteResult(suite.name, sheet, verdict, rows, gates, used, missed, why, notes)
    if sheet.every_outlier_explained and not reference.given and (bare := result.unexplained()):
        reason = f"no note explains: {', '.join(bare[:10])}{', ...' if len(bare) > 10 else ''}"
        result = replace(result, verdict=Verdict.FAIL, why="; ".join(filter(None, (why, reason))))
    return result


def _told(suite: Suite, rows: Iterable[Row], progress: Callable[[str], None] | None) -> Iterator[Row]:
    for count, row in enumerate(rows, start=1):
        if progress is not None:
            progress(f"{suite.name}: {count} rows, last {row.id}")
        yield row


def _excused(result: GateResult, reference: ReferenceDir) -> GateResult:
    """A gate without rows is skipped where the file that it needs was looked for and is not here."""
    needs = result.gate.needs
    absent = bool(needs) and any(message.startswith(f"{needs} ") for message in reference.missed)
    if result.verdict is Verdict.NO_ROWS and absent and reference.given is None:
        return replace(result, verdict=Verdict.SKIPPED)
    return result


def _verdict(gates: tuple[GateResult, ...], rows: tuple[Row, ...], *, given: bool) -> tuple[Verdict, str]:
    if not rows:
        return Verdict.FAIL, "no row was evaluated"
    limited = [result for result in gates if result.gate.limit is not None]
    failed = [result.gate.name for result in limited if result.verdict is Verdict.FAIL]
    empty = [result.gate.name for result in limited if result.verdict is Verdict.NO_ROWS]
    if failed:
        return Verdict.FAIL, f"beyond its limit: {', '.join(failed)}"
    if empty and (not given or len(empty) == len(limited)):
        return Verdict.FAIL, f"no row counts for: {', '.join(empty)}"
    return Verdict.PASS, f"on this folder no row counts for: {', '.join(empty)}" if empty else ""


def _check_rows(sheet: GateSheet, rows: tuple[Row, ...]) -> None:
    """ValueError for what only a mistake in the suite can cause."""
    names = {gate.name for gate in sheet.gates}
    ids = [row.id for row in rows]
    if len(set(ids)) != len(ids):
        raise ValueError(f"row ids repeat: {sorted({one for one in ids if ids.count(one) > 1})[:5]}")
    for row in rows:
        if unknown := ({*row.counts, *row.excluded} - names):
            raise ValueError(f"row {row.id} speaks of gates that do not exist: {sorted(unknown)}")
        if sheet.is_fitted(row) and row.counts:
            raise ValueError(f"row {row.id} was fitted on and must not count for {', '.join(row.counts)}")
