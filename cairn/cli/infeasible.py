"""How an infeasible design is told: which constraint, demand, bound, gap, and what would make it fit."""

from __future__ import annotations

import json

from cairn.base.errors import InfeasibleError

SCHEMA = "cairn.infeasible/1"


def report_infeasible(trouble: InfeasibleError, *, as_json: bool) -> None:
    """A table on stderr, or with `as_json` an object on stdout."""
    if as_json:
        print(json.dumps({"schema": SCHEMA, "reasons": [reason.as_dict() for reason in trouble.reasons]}, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(stderr=True, highlight=False)
    console.print("cairn: infeasible: the chip cannot run this workload")
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("constraint")
    for heading in ("demand", "bound", "gap"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("remedy")
    for reason in trouble.reasons:
        numbers = (f"{value:,.6g}" for value in (reason.demand, reason.bound, reason.gap))
        table.add_row(reason.constraint, *numbers, reason.unit, reason.remedy)
    console.print(table)
