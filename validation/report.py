"""`validation/REPORT.md`: every suite with its gates, its errors by class and decade, and its outliers explained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from cairn.validation.console import number, percent
from cairn.validation.document import overall, provenance
from cairn.validation.export import write_whole
from cairn.validation.gates import Verdict
from cairn.validation.suite import ClassError, SuiteResult

ALL_ROWS_UP_TO = 100
"""Suites with more rows list only their outliers; `cairn validate --csv` writes them all."""


def write_report(results: Sequence[SuiteResult], path: Path) -> None:
    """Write the report to `path`, whole or not at all."""
    text = report_text(results)
    write_whole(path, lambda neighbour: neighbour.write_text(text, encoding="utf-8"))


def report_text(results: Sequence[SuiteResult]) -> str:
    """The report as Markdown."""
    lines = [
        "# Validation report",
        "",
        "Written by `cairn validate --report`; do not edit. Gates and notes stand in `validation/suites/*/gates.yaml`.",
        "Agreement with a simulator is agreement with that simulator, not with silicon.",
        "",
        f"Verdict: **{overall(results).value}**. " + ", ".join(f"{k} {v}" for k, v in provenance().items()) + ".",
        "",
        *_table(
            ("suite", "what", "rows checked", "gates held", "verdict"),
            [
                (
                    f"[{r.name}](#{r.name})",
                    r.sheet.title,
                    str(len(r.rows)),
                    f"{sum(g.verdict is Verdict.PASS for g in r.gates)} of "
                    f"{sum(g.limit is not None for g in r.sheet.gates)}",
                    r.verdict.value,
                )
                for r in results
            ],
        ),
    ]
    for result in results:
        lines += ["", *_suite(result)]
    return "\n".join(lines) + "\n"


def _suite(result: SuiteResult) -> list[str]:
    lines = [
        f"## {result.name}",
        "",
        f"{result.sheet.title}: **{result.verdict.value}**.",
        "",
        result.sheet.about.strip(),
    ]
    lines += ["", *(f"Not checked: {message}." for message in result.skipped)] if result.skipped else []
    if result.why and result.why not in result.skipped:
        lines += ["", result.why + "."]
    if not result.rows:
        return lines
    files = ", ".join(f"`reference/{file.name}` ({file.origin})" for file in result.reads)
    lines += ["", f"Reference: {files or 'none; Cairn is checked against itself'}. {_fitted(result)}", ""]
    lines += _gates(result)
    lines += ["", "Errors by class:", "", *_errors(result.by_class(), "class")]
    if decades := result.by_decade():
        lines += ["", "Errors by decade of the reference value:", "", *_errors(decades, "decade")]
    lines += _outliers(result)
    lines += _rows(result)
    return lines


def _fitted(result: SuiteResult) -> str:
    if not result.sheet.fitted:
        return "No constant is fitted."
    listed = (
        f"{f.constant} = {f.value} on rows {', '.join(f'`{row}`' for row in f.rows)}" for f in result.sheet.fitted
    )
    return f"Fitted, those rows not counting: {'; '.join(listed)}."


def _gates(result: SuiteResult) -> list[str]:
    rows = []
    for item in result.gates:
        gate = item.gate
        metric = gate.metric if gate.predictor == "cairn" else f"{gate.metric} of {gate.predictor}"
        shown = (gate.show(item.value), gate.show_limit(), str(item.rows), item.verdict.value)
        rows.append((gate.name, gate.what.strip(), metric, *shown))
    return _table(("gate", "what", "metric", "value", "limit", "rows", "verdict"), rows)


def _errors(items: Iterable[ClassError], name: str) -> list[str]:
    rows = [
        (
            item.name,
            str(item.rows),
            *(percent(value).lstrip("+") for value in (item.median, item.p90, item.largest)),
            percent(item.signed_mean),
        )
        for item in items
    ]
    return _table((name, "rows", "median", "90th percentile", "largest", "signed mean"), rows)


def _outliers(result: SuiteResult) -> list[str]:
    """Rows beyond the suite's limit for outliers, those that share an explanation under it."""
    groups: dict[str, list[str]] = {}
    for row in result.outliers():
        note = result.notes.get(row.id) or "Not explained."
        groups.setdefault(note, []).append(f"`{row.id}` {percent(row.error())}")
    if not groups:
        return []
    lines = ["", f"Rows more than {100 * result.sheet.outlier_above:g} % off, and why:", ""]
    return lines + [f"* {', '.join(ids)}: {note}" for note, ids in groups.items()]


def _rows(result: SuiteResult) -> list[str]:
    if len(result.rows) > ALL_ROWS_UP_TO:
        return ["", f"All {len(result.rows)} rows: `cairn validate {result.name} --csv DIR`."]
    baselines = list(dict.fromkeys(name for row in result.rows for name in row.baselines))
    remarked = any(row.remark for row in result.rows)
    rows = []
    for row in result.rows:
        others = [number(row.baselines[name]) if name in row.baselines else "" for name in baselines]
        why = "; ".join(f"not for {gate}: {reason}" for gate, reason in row.excluded.items())
        verdict = result.row_verdict(row).value + (f" ({why})" if why else "")
        shown = (row.id, number(row.reference), number(row.prediction), row.unit, percent(row.error()))
        rows.append((*shown, *others, verdict, *([row.remark] if remarked else [])))
    heads = ("row", "reference", "prediction", "unit", "error", *baselines, "verdict", *(["remark"] * remarked))
    sources = sorted({row.source for row in result.rows})
    return ["", "All rows:", "", *_table(heads, rows), "", "Sources: " + "; ".join(sources) + "."]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return [line(heads), line(["---"] * len(heads)), *(line(row) for row in rows)]
