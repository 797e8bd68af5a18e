"""Results of suites as tables on a terminal: the rows that matter, then the gates with the rows behind each."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cairn.validation.document import overall, provenance
from cairn.validation.gates import Verdict
from cairn.validation.rows import Row
from cairn.validation.suite import SuiteResult

FEW_ROWS = 24
"""Suites with more rows show their worst ones."""
WORST = 10
WIDTH = 120
"""Columns of output that goes into a file or a pipe."""

_STYLE = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.SKIPPED: "yellow", Verdict.NO_ROWS: "yellow"}


def number(value: float | None) -> str:
    """A reference value or prediction in four or five digits, counts in full."""
    if value is None:
        return "refused"
    return (
        f"{value:,.0f}"
        if value == int(value) and abs(value) < 1e15
        else f"{value:,.5g}"
        if math.isfinite(value)
        else "-"
    )


def percent(error: float) -> str:
    """A signed relative error."""
    return f"{100 * error:+.1f} %" if math.isfinite(error) else "none"


def print_results(results: Sequence[SuiteResult], *, verbose: bool = False, console: Console | None = None) -> None:
    """Print every suite, then one line for all."""
    console = console or Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    for result in results:
        _print_suite(result, console, verbose)
    checked = sum(len(result.rows) for result in results)
    counts = ", ".join(f"{_count(results, verdict)} {word}" for verdict, word in _WORDS if _count(results, verdict))
    verdict = overall(results)
    console.print(Text.assemble(_marked(verdict), f": {counts or 'no suite'}; {checked} rows checked"))
    console.print(Text(" ".join(f"{name} {version}" for name, version in provenance().items()), style="dim"))


_WORDS = ((Verdict.PASS, "passed"), (Verdict.FAIL, "failed"), (Verdict.SKIPPED, "skipped"))


def _count(results: Sequence[SuiteResult], verdict: Verdict) -> int:
    return sum(result.verdict is verdict for result in results)


def _marked(verdict: Verdict) -> Text:
    return Text(verdict.value, style=_STYLE.get(verdict, ""))


def _print_suite(result: SuiteResult, console: Console, verbose: bool) -> None:
    console.print(Text.assemble((result.name, "bold"), f"  {result.sheet.title}  ", _marked(result.verdict)))
    for message in result.skipped:
        console.print(Text(f"  not checked: {message}", style="yellow"), soft_wrap=True)
    if result.rows:
        few = verbose or len(result.rows) <= FEW_ROWS
        rows = list(result.rows) if few else worst(result)
        title = None if few else f"the {len(rows)} rows furthest off, of {len(result.rows)} (--verbose shows all)"
        console.print(_row_table(result, rows, title))
        if len(result.by_class()) > 1:
            console.print(_class_table(result))
        console.print(_gate_table(result))
    if result.why and result.why not in result.skipped:
        console.print(Text(f"  {result.why}", style=_STYLE.get(result.verdict, "")), soft_wrap=True)
    console.print()


def worst(result: SuiteResult) -> list[Row]:
    """The rows that fail alone, then those with the largest errors, `WORST` in all or every failing one."""
    ranked = sorted(result.rows, key=lambda row: (result.row_verdict(row) is not Verdict.FAIL, -abs(row.error())))
    failing = sum(result.row_verdict(row) is Verdict.FAIL for row in ranked)
    return ranked[: max(WORST, failing)]


def _row_table(result: SuiteResult, rows: Sequence[Row], title: str | None) -> Table:
    table = Table(title=title, title_justify="left", title_style="dim", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("row", overflow="fold")
    for name in ("reference", "prediction"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("error", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for row in rows:
        verdict = _marked(result.row_verdict(row))
        table.add_row(row.id, number(row.reference), number(row.prediction), row.unit, percent(row.error()), verdict)
    return table


def _class_table(result: SuiteResult) -> Table:
    table = Table(title="errors by class", title_justify="left", title_style="dim", box=None, padding=(0, 2, 0, 0))
    table.add_column("class")
    for name in ("rows", "median", "90th percentile", "largest", "signed mean"):
        table.add_column(name, justify="right", no_wrap=True)
    for item in result.by_class():
        sizes = [percent(value).lstrip("+") for value in (item.median, item.p90, item.largest)]
        table.add_row(item.name, str(item.rows), *sizes, percent(item.signed_mean))
    return table


def _gate_table(result: SuiteResult) -> Table:
    table = Table(title="gates", title_justify="left", title_style="dim", box=None, padding=(0, 2, 0, 0))
    table.add_column("gate", overflow="fold")
    for name in ("value", "limit", "rows"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for item in result.gates:
        shown = item.gate.show(item.value)
        table.add_row(item.gate.name, shown, item.gate.show_limit(), str(item.rows), _marked(item.verdict))
    return table
