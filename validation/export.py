"""Results of suites as files: a CSV of rows and of gates for each suite, and prediction against reference drawn."""

from __future__ import annotations

import csv
import io
import math
import os
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from cairn.base.errors import CairnError
from cairn.validation.document import gate_dict, row_dict
from cairn.validation.rows import OURS
from cairn.validation.suite import SuiteResult


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file through a neighbour that takes its place when complete: nobody meets half of it.

    CairnError when it cannot be written there.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
        os.close(handle)
        neighbour = Path(name)
        try:
            write(neighbour)
            neighbour.chmod(0o644)
            neighbour.replace(path)
        finally:
            neighbour.unlink(missing_ok=True)
    except OSError as trouble:
        raise CairnError(f"cannot write {path}: {trouble.strerror or trouble}") from None


def write_tables_and_plots(results: Sequence[SuiteResult], folder: Path) -> list[Path]:
    """Write <suite>.csv, <suite>_gates.csv and, for rows with two positive values, <suite>.png into `folder`."""
    if folder.exists() and not folder.is_dir():
        raise CairnError(f"--csv: {folder} is a file, and a folder belongs here")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as trouble:
        raise CairnError(f"--csv: cannot make {folder}: {trouble.strerror}") from None
    written = []
    for result in results:
        if not result.rows:
            continue
        rows = [_flat(row_dict(result, row)) for row in result.rows]
        gates = [gate_dict(gate) for gate in result.gates]
        for file, table in ((f"{result.name}.csv", rows), (f"{result.name}_gates.csv", gates)):
            text = _csv_text(table)
            write_whole(folder / file, partial(_write_text, text))
            written.append(folder / file)
        if (figure := scatter(result)) is not None:
            write_whole(folder / f"{result.name}.png", partial(_write_figure, figure))
            written.append(folder / f"{result.name}.png")
    return written


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8", newline="")


def _write_figure(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=120)


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """The row of a CSV file: lists joined, each baseline in a column of its own."""
    flat = {key: value for key, value in row.items() if key not in ("counts_for", "excluded_from", "baselines")}
    flat["counts_for"] = " ".join(row["counts_for"])
    flat["excluded_from"] = "; ".join(f"{gate}: {why}" for gate, why in row["excluded_from"].items())
    return flat | {f"baseline_{name}": value for name, value in row["baselines"].items()}


def _csv_text(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    columns = list(dict.fromkeys(column for row in rows for column in row))
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def scatter(result: SuiteResult) -> Figure | None:
    """Prediction against reference on logarithmic axes, a panel for each unit, or None without positive pairs."""
    points: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in result.rows:
        value = row.predicted(OURS)
        if value is not None and math.isfinite(value) and value > 0 and row.reference > 0:
            points.setdefault(row.unit, {}).setdefault(row.kind, []).append((row.reference, value))
    if not points:
        return None
    figure = Figure(figsize=(5.6 * len(points), 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    for index, (unit, classes) in enumerate(points.items()):
        axes = figure.add_subplot(1, len(points), index + 1)
        values = [value for pairs in classes.values() for pair in pairs for value in pair]
        low, high = min(values) / 1.3, max(values) * 1.3
        axes.plot([low, high], [low, high], color="0.5", linewidth=0.8, label="equal")
        axes.plot([low, high], [1.1 * low, 1.1 * high], color="0.8", linewidth=0.8, linestyle="--", label="10 % off")
        axes.plot([low, high], [low / 1.1, high / 1.1], color="0.8", linewidth=0.8, linestyle="--")
        for kind, pairs in classes.items():
            axes.scatter([x for x, _ in pairs], [y for _, y in pairs], s=18, label=kind, alpha=0.8)
        axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
        axes.set(xlabel=f"reference [{unit}]", ylabel=f"prediction [{unit}]")
        axes.set_aspect("equal")
        axes.legend(fontsize=7, ncols=2 if len(classes) > 8 else 1)
    figure.suptitle(f"{result.name}: {result.sheet.title}", fontsize=10)
    return figure
