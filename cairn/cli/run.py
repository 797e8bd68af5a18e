"""`cairn run`: configuration -> simulation -> report, and a result folder where one is asked for."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from cairn.base.errors import CairnError

if TYPE_CHECKING:
    from cairn.sim.config.run_config import RunConfig
    from cairn.sim.report.result import Result

REPORT_COLUMNS = 110
"""Width of the report where no terminal states one: no cell of the shipped runs is cut."""


def run(arguments: Namespace) -> int:
    """Simulate and report; with `--out` the result folder appears whole or not at all."""
    from cairn.sim.config.run_config import load
    from cairn.sim.report.store import save

    if arguments.trace and arguments.out is None:
        raise CairnError("--trace writes a timeline into the result folder; name one with --out DIR")
    config = load(arguments.config, settings(arguments))
    if arguments.out is not None:
        check_place(Path(arguments.out))
    result = _simulate(config)
    if arguments.out is not None:
        save(result, Path(arguments.out), trace=arguments.trace, plots=arguments.plots)
    _report(result, arguments)
    return 0


def settings(arguments: Namespace) -> list[str]:
    """The overrides of a command line, the options that stand for one included; they count after `--set`."""
    chosen = list(arguments.settings)
    if arguments.engine is not None:
        chosen.append(f"engine.engine={arguments.engine}")
    if arguments.exact:
        chosen.append("engine.exact=true")
    return chosen


def check_place(folder: Path, schema: str = "cairn.result/") -> None:
    """Refuse, before anything is simulated, a place where no result folder can be written.

    An earlier result may be replaced: a folder whose schema id begins with `schema`.
    """
    from cairn.sim.report.store import check_target

    try:
        check_target(folder, schema)
        above = next(parent for parent in folder.absolute().parents if parent.exists())
    except OSError as trouble:
        raise CairnError(f"{folder}: cannot be written: {trouble.strerror}") from None
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise CairnError(f"{folder}: cannot be written: {above} is not a folder that you may write to")


def _simulate(config: RunConfig) -> Result:
    from cairn.api import simulate
    from cairn.cli.memory import bounded_memory
    from cairn.cli.progress import progress_bar, tell_of_compilation

    tell_of_compilation()
    with bounded_memory(), progress_bar() as progress:
        return simulate(config, progress=progress)


def _report(result: Result, arguments: Namespace) -> None:
    if arguments.json:
        print(result.to_json())
        return
    from rich.console import Console

    from cairn.sim.report.console import print_report

    width = None if sys.stdout.isatty() else REPORT_COLUMNS
    print_report(result, Console(highlight=False, width=width))
    if arguments.out is not None:
        print(f"written to {arguments.out}")
