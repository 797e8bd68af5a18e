"""What a search leaves in a folder: tables, pictures, one HTML report, and a run file for every point of the front."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pandas as pd

from cairn.base.errors import CairnError
from cairn.dse.study import Study
from cairn.sim.config.yaml_writer import write_yaml
from cairn.sim.report.store import write_table

SCHEMA: Final = "cairn.front/1"


def write_answers(study: Study, folder: str | Path) -> Path:
    """Write `points.parquet`, `front.csv`, `study.json`, `runs/`, `plots/`, `report.html` and, with a cheap tier,
    `analytical.parquet`.

    Every file appears whole or not at all, earlier ones of the same study are replaced. CairnError where that fails.
    """
    target = Path(folder)
    try:
        target.mkdir(parents=True, exist_ok=True)
        _put(target / "points.parquet", lambda path: write_table(_storable(study.points), path, "cairn.points/1"))
        _put(target / "front.csv", lambda path: study.front.to_csv(path, index=False))
        if study.analytical is not None:
            table = study.analytical
            _put(target / "analytical.parquet", lambda path: write_table(_storable(table), path, "cairn.analytical/1"))
        _write_runs(study, target / "runs")
        _write_plots(study, target / "plots")
        _put(target / "report.html", lambda path: study.report(path))
        text = json.dumps(content(study), indent=2, allow_nan=False) + "\n"
        _put(target / "study.json", lambda path: path.write_text(text, encoding="utf-8"))
    except OSError as trouble:
        raise CairnError(f"{target}: cannot be written: {trouble.strerror}") from None
    return target


def content(study: Study) -> dict[str, Any]:
    """The content of `study.json`: the front, counts, refusals by constraint, provenance."""
    columns = ["point", *study.sweep.parameter_names, *study.objective_columns]
    front = study.front[columns] if len(study.front) else study.front
    return {
        "schema": SCHEMA,
        "name": study.sweep.name,
        "objectives": [{"column": o.column, "direction": o.direction.value} for o in study.sweep.objectives],
        "front": json.loads(front.to_json(orient="records", double_precision=15)),
        "points": len(study.entries),
        "space": study.sweep.space.size,
        **study.counts,
        "refused_by": {str(name): int(n) for name, n in study.refusals["constraint"].value_counts().items()},
        "provenance": study.provenance,
    }


def _write_runs(study: Study, folder: Path) -> None:
    """`point-<number>.yaml`, or one file for each workload; those of an earlier front go."""
    folder.mkdir(exist_ok=True)
    written = set()
    for number in study.front["point"] if len(study.front) else []:
        runs = study.runs(int(number))
        for name, data in runs.items():
            path = folder / (f"point-{number}-{name}.yaml" if len(runs) > 1 else f"point-{number}.yaml")
            head = f"# Point {number} of the front of sweep {study.sweep.name} ({study.sweep.hash})."
            text = f"{head}\n{write_yaml(data)}"
            _put(path, lambda place, text=text: place.write_text(text, encoding="utf-8"))  # type: ignore[misc]
            written.add(path)
    for old in set(folder.glob("point-*.yaml")) - written:
        old.unlink()


def _write_plots(study: Study, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    plots = {
        "front": study.plot_front, "importance": study.plot_importance, "parallel": study.plot_parallel,
        "slices": study.plot_slices, "refusals": study.plot_refusals,
    }  # fmt: skip
    for name, plot in plots.items():
        _put(folder / f"{name}.png", plot)


def _storable(table: pd.DataFrame) -> pd.DataFrame:
    """Columns of mixed types as text, which Parquet can hold."""
    result = table.copy()
    for name in result.columns:
        kinds = {type(value) for value in result[name].dropna()}
        if len(kinds) > 1 and not kinds <= {int, float}:
            result[name] = result[name].map(lambda value: None if value is None else str(value))
    return result


def _put(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the place, then move there."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(handle)
    scratch = Path(name)
    try:
        write(scratch)
        mask = os.umask(0)
        os.umask(mask)
        scratch.chmod(0o666 & ~mask)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
