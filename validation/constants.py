"""`cairn validate --constants`: what was fitted in any suite, its value, and the rows it was fitted on."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from cairn.validation.console import WIDTH
from cairn.validation.suite import load_suite, suite_names


def fitted_constants(suites: Sequence[str] | None = None) -> list[dict[str, object]]:
    """Suite, constant, value and patterns of rows of every fitted constant, in the order of the suites' names.

    `suites` names some of the shipped suites, all of them without; CairnError for an unknown one.
    """
    names = list(dict.fromkeys(suites)) if suites else suite_names()
    return [
        {"suite": name, **fitted.model_dump(mode="json")} for name in names for fitted in load_suite(name).sheet.fitted
    ]


def print_constants(suites: Sequence[str] | None = None, *, json: bool = False, console: Console | None = None) -> None:
    """Print them as a table, or as JSON. Rows named here count for no gate."""
    found = fitted_constants(suites)
    if json:
        jsonlib.dump(found, sys.stdout, indent=1)
        sys.stdout.write("\n")
        return
    console = console or Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    if not found:
        console.print("no constant is fitted")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("suite", "constant", "value", "fitted on"):
        table.add_column(column, overflow="fold")
    for one in found:
        rows = one["rows"]
        listed = "\n".join(str(row) for row in rows) if isinstance(rows, list) else str(rows)
        table.add_row(str(one["suite"]), str(one["constant"]), str(one["value"]), listed)
    console.print(table)
