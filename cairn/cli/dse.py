"""`cairn dse`: searches a sweep, shows how far it is, and writes the answers."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cairn.base.errors import CairnError

if TYPE_CHECKING:
    from cairn.dse.search import State
    from cairn.dse.study import Study

INTERRUPTED = 130
ROWS = 30
"""Points of the front that are printed; front.csv has all."""


def dse(arguments: Namespace) -> int:
    """Search, report, write; 130 when it was interrupted, after the answers so far were written."""
    from cairn.cli.progress import tell_of_compilation
    from cairn.dse.answers import content, write_answers
    from cairn.dse.study import JOURNAL, Ended, run_sweep
    from cairn.dse.sweep import load_sweep

    sweep = load_sweep(arguments.sweep)
    storage = arguments.storage
    if arguments.out is not None:
        _check_folder(Path(arguments.out), JOURNAL)
        storage = storage or str(Path(arguments.out) / JOURNAL)
    elif arguments.resume and storage is None:
        raise CairnError("--resume needs the study that it continues; name it with --out DIR or --storage")
    tell_of_compilation()
    with live() as tell:
        study = run_sweep(
            sweep, jobs=arguments.jobs, scheduler=arguments.scheduler, storage=storage, resume=arguments.resume,
            points=arguments.points, minutes=arguments.minutes, progress=tell,
        )  # fmt: skip
    if arguments.out is not None:
        write_answers(study, arguments.out)
    if arguments.json:
        print(json.dumps(content(study), indent=2, allow_nan=False))
    else:
        _report(study, arguments.out)
    return INTERRUPTED if study.ended is Ended.INTERRUPTED else 0


def _check_folder(folder: Path, journal: str) -> None:
    """Refuse, before anything is simulated, a folder that holds something else than a study."""
    if folder.exists() and not folder.is_dir():
        raise CairnError(f"{folder}: is a file; name a folder for the answers")
    ours = any((folder / name).exists() for name in (journal, "study.json"))
    if folder.is_dir() and any(folder.iterdir()) and not ours:
        raise CairnError(f"{folder}: holds files that are no study; it is left alone, name another folder")


@contextmanager
def live() -> Iterator[Callable[[State], None] | None]:
    """A callback that draws points, rate, hypervolume, feasible share, time left; None when stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("looking at the space", total=None)

        def show(state: State) -> None:
            bar.update(task, total=state.planned, completed=state.points, description=describe(state))

        yield show


def describe(state: State) -> str:
    """One line about a search under way."""
    planned = f"/{state.planned}" if state.planned is not None else ""
    share = state.feasible / state.points if state.points else 0.0
    left = f", {_duration(state.seconds_left)} left" if state.seconds_left is not None else ""
    return (
        f"{state.points}{planned} points, {state.rate:.2g}/s, hypervolume {state.hypervolume:.4f}, "
        f"{share:.0%} feasible{left}"
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _report(study: Study, out: str | None) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    front = study.front
    counts = study.counts
    console.print(
        f"{study.sweep.name}: {len(study.entries)} of {study.sweep.space.size:,} designs simulated, "
        f"{counts['feasible']} feasible, {counts['infeasible']} infeasible, {counts['failed']} failed; "
        f"{len(front)} on the front"
    )
    if len(front):
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        names = study.sweep.parameter_names
        columns = ["point", *names, *study.objective_columns]
        for name in columns:
            table.add_column(name.rpartition(".")[2] if name in names else name, justify="right")
        for _, row in front.head(ROWS).iterrows():
            table.add_row(*(_shown(row[name]) for name in columns))
        console.print(table)
    if len(front) > ROWS:
        console.print(f"... and {len(front) - ROWS} more")
    for constraint, number in study.refusals["constraint"].value_counts().items():
        console.print(f"refused {number} times by {constraint}", markup=False)
    for entry in [e for e in study.entries if e.outcome.status == "failed"][:3]:
        console.print(f"point {entry.number} failed: {entry.outcome.error.strip().splitlines()[-1]}", markup=False)
    facts = study.provenance
    console.print(
        f"cairn {facts['version']}, sweep {facts['sweep']}, seed {facts['seed']}, method {facts['method']}, "
        f"{facts['seconds']:.1f} s; {facts['ended']}"
    )
    if out is not None:
        print(f"written to {out}")


def _shown(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
