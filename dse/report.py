"""One self-contained HTML page about a study: the front to hover over, its table, refusals, pictures, provenance."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from cairn.dse.plots import plot_importance, plot_parallel, plot_refusals, plot_slices
from cairn.dse.report_page import POLICY, SCRIPT, STYLE
from cairn.dse.report_svg import BARS, CLASSES, KINDS, Drawn, front_svgs
from cairn.dse.views import View, axis_labels, nothing_to_draw, value_text

if TYPE_CHECKING:
    from cairn.dse.study import Study

PICTURE_DPI: Final = 100
"""Of the embedded pictures; `plots/` has them finer."""
REFUSED_ROWS: Final = 40
"""Refused designs that are listed one by one: those that missed by least."""
FAILED_ROWS: Final = 20


def report(study: Study, path: str | Path | None = None) -> str:
    """The page as text; written to `path` when one is given. It loads nothing, so it can be sent as one file."""
    view = View.of(study)
    drawn = Drawn.of(view)
    counts = study.counts
    summary = (
        f"{len(study.entries):,} of {study.sweep.space.size:,} designs simulated: {counts['feasible']:,} feasible, "
        f"{counts['infeasible']:,} infeasible, {counts['failed']:,} failed; {len(view.front):,} on the front."
    )
    title = f"Sweep {study.sweep.name}"
    body = [
        f"<h1>{escape(title)}</h1><p class='note'>{escape(summary)}</p>",
        _front(study, view, drawn), _table(study, view), _refusals(study), _failures(study), _pictures(study),
        _provenance(study),
    ]  # fmt: skip
    data = json.dumps(_data(study, drawn), separators=(",", ":"), allow_nan=False)
    data = data.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>\n" + "\n".join(body) + "\n"
        f'<script type="application/json" id="points">{data}</script>\n<script>{SCRIPT}</script>\n</body></html>\n'
    )
    if path is not None:
        Path(path).write_text(page, encoding="utf-8")
    return page


def _data(study: Study, drawn: Drawn) -> dict[str, Any]:
    return {
        "parameters": study.sweep.parameter_names, "objectives": axis_labels(study), "kinds": KINDS,
        "points": drawn.records(study),
    }  # fmt: skip


def _front(study: Study, view: View, drawn: Drawn) -> str:
    head = "<h2>Front</h2>"
    if not len(view.front):
        return f"{head}<p>{escape(nothing_to_draw(study))}</p><aside id='details' hidden></aside>"
    figures = "".join(f"<figure>{svg}</figure>" for svg in front_svgs(study, view, drawn))
    shown = {CLASSES[kind]: len(table) for kind, table in drawn.groups}
    words = [f"orange: {shown['front-point']:,} on the front", f"blue: {shown['dominated']:,} dominated"]
    if len(view.dominated) > shown["dominated"]:
        words[-1] += f" of {len(view.dominated):,}"
    if shown["broken"]:
        words.append(f"hollow: {shown['broken']:,} of {len(view.broken):,} that break a constraint")
    if shown["analytical"] and len(study.objective_columns) > 1:
        words.append(
            f"grey: {shown['analytical']:,} of {drawn.cloud:,} analytical designs, corrected, the {BARS} nearest "
            "with bars of one standard deviation of the error between the tiers"
        )
    note = "Hover over a point or move to it with the Tab key for its configuration; a click keeps it. "
    side = "<aside id='details' aria-live='polite'>Point at a design to see what it is.</aside>"
    return (
        f"{head}<p class='note'>{escape(note + '; '.join(words))}.</p><div class='front'>{figures}{side}</div>"
    )


def _table(study: Study, view: View) -> str:
    """The points of the front, sortable by every column."""
    if not len(view.front):
        return ""
    names = study.sweep.parameter_names
    columns = ["point", *names, *study.objective_columns]
    heads = ["point", *names, *axis_labels(study)]
    several = len(study.sweep.workloads) > 1
    rows = []
    for i, (_, row) in enumerate(view.front.iterrows()):
        cells = []
        for column in columns:
            value = row[column]
            text = str(value) if column == "point" else value_text(value)
            cells.append(f"<td data-key='{escape(_key(value))}'>{escape(text)}</td>")
        rows.append(f"<tr data-i='{i}'>{''.join(cells)}</tr>")
    buttons = "".join(f"<th scope='col'><button type='button'>{escape(head)}</button></th>" for head in heads)
    files = "runs/point-<number>-<workload>.yaml" if several else "runs/point-<number>.yaml"
    note = f"A click on a column sorts. The complete run of each is in {files}, for cairn run."
    return (
        f"<h2>Designs of the front</h2><p class='note'>{escape(note)}</p><div class='scroll'><table>"
        f"<thead><tr>{buttons}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _key(value: Any) -> str:
    """What a cell is sorted by."""
    return "" if value is None or (not isinstance(value, str) and pd.isna(value)) else str(value)


def _refusals(study: Study) -> str:
    """How many designs each constraint refused, and the designs that missed by least, with what would make them fit."""
    table = study.refusals
    if not len(table):
        return f"<h2>Refusals</h2><p>No constraint refused any of the {len(study.entries):,} designs evaluated.</p>"
    sizes = table["bound"].astype(float).abs().where(table["bound"].astype(float) != 0, 1.0)
    table = table.assign(missed=table["gap"].astype(float).abs() / sizes)
    groups = []
    for constraint, rows in sorted(table.groupby("constraint"), key=lambda group: -group[1]["point"].nunique()):
        nearest = rows.sort_values("missed", kind="stable").iloc[0]
        groups.append([
            str(constraint), f"{rows['point'].nunique():,}", f"{rows['missed'].min():.1%}",
            f"{rows['missed'].median():.1%}", f"{rows['missed'].max():.1%}", str(nearest["remedy"]),
        ])  # fmt: skip
    heads = ["constraint", "designs", "least miss", "median", "greatest", "remedy"]
    near = table.sort_values("missed", kind="stable").head(REFUSED_ROWS)
    lines = []
    for _, row in near.iterrows():
        labels = study.sweep.space.labels(int(row["point"]))
        design = ", ".join(f"{name} {value_text(value)}" for name, value in labels.items())
        values = [f"{value_text(row[name])} {row['unit']}" for name in ("demand", "bound", "gap")]
        lines.append([str(row["point"]), design, str(row["constraint"]), *values, str(row["remedy"])])
    columns = ["point", "design", "constraint", "demand", "bound", "gap", "remedy"]
    note = f"Misses are shares of the bound. Below, the {len(near):,} of {len(table):,} refusals that missed by least."
    return (
        f"<h2>Refusals</h2><p class='note'>{escape(note)}</p>{_plain_table(heads, groups, (0, 5))}"
        f"<h3>Nearest to fitting</h3>{_plain_table(columns, lines, (1, 2, 6))}"
    )


def _failures(study: Study) -> str:
    failed = [entry for entry in study.entries if entry.outcome.status == "failed"]
    if not failed:
        return ""
    rows = [[str(e.number), (e.outcome.error.strip().splitlines() or ["no message"])[-1]] for e in failed[:FAILED_ROWS]]
    note = f"{len(rows):,} of {len(failed):,} designs whose evaluation ended with an error."
    return f"<h2>Failures</h2><p class='note'>{escape(note)}</p>{_plain_table(['point', 'error'], rows, (1,))}"


def _plain_table(heads: Sequence[str], rows: Iterable[Sequence[str]], text: Sequence[int]) -> str:
    style = [" class='text'" if i in text else "" for i in range(len(heads))]
    head = "".join(f"<th scope='col'{style[i]}>{escape(name)}</th>" for i, name in enumerate(heads))
    body = "".join(
        "<tr>" + "".join(f"<td{style[i]}>{escape(cell)}</td>" for i, cell in enumerate(row)) + "</tr>" for row in rows
    )
    return f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _pictures(study: Study) -> str:
    """The other plots, each as data in the page."""
    parts = []
    for name, plot in (
        ("Importance of the parameters", plot_importance), ("Parallel coordinates", plot_parallel),
        ("Slices", plot_slices), ("Refusals by constraint", plot_refusals),
    ):  # fmt: skip
        buffer = io.BytesIO()
        plot(study).savefig(buffer, dpi=PICTURE_DPI, format="png", metadata={"Software": "cairn"})
        text = base64.b64encode(buffer.getvalue()).decode("ascii")
        parts.append(f"<h2>{name}</h2><img alt='{name}' src='data:image/png;base64,{text}'>")
    return "".join(parts)


def _provenance(study: Study) -> str:
    facts = study.provenance
    sweep = study.sweep
    lines = {
        "Cairn": f"{facts['version']}, sources {facts['code']}",
        "sweep": f"{sweep.name}, hash {facts['sweep']}",
        "seed": str(facts["seed"]),
        "method": str(facts["method"]),
        "fidelity": "front and simulated designs: cycle simulator"
        + ("; analytical designs: closed forms, corrected by the measured error" if study.tiered is not None else ""),
        "workloads": ", ".join(f"{w.name} ({w.phase})" for w in sweep.workloads),
        "objectives": ", ".join(f"{o.direction.value} {o.name}" for o in sweep.objectives),
        "constraints": ", ".join(c.text for c in sweep.constraints) or "none",
        "ended": f"{facts['ended']}, after {facts['seconds']:,.1f} s",
    }
    items = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in lines.items())
    return f"<h2>Provenance</h2><dl class='facts'>{items}</dl>"
