"""`cairn noc`: a network alone, its latency under load, batches and traces."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path


def noc(arguments: Namespace) -> int:
    """Simulate and report; with `--out` the result folder appears whole or not at all."""
    from cairn.cli.progress import progress_bar, tell_of_compilation
    from cairn.cli.run import REPORT_COLUMNS, check_place
    from cairn.sim.network.runs import SCHEMA, run_network
    from cairn.sim.network.spec import load_network

    chosen = list(arguments.settings)
    if arguments.model is not None:
        chosen.append(f"model={arguments.model}")
    spec = load_network(arguments.config, tuple(chosen))
    spec.built()  # what does not fit is said before anything is compiled
    if arguments.out is not None:
        check_place(Path(arguments.out), SCHEMA.partition("/")[0])
    tell_of_compilation("hw_models/noc")
    with progress_bar() as tell:
        result = run_network(spec, progress=tell)
    if arguments.out is not None:
        result.save(Path(arguments.out), plots=arguments.plots)
    if arguments.json:
        print(result.to_json())
        return 0
    from rich.console import Console

    from cairn.sim.network.console import print_network_report

    width = None if sys.stdout.isatty() else REPORT_COLUMNS
    print_network_report(result, Console(highlight=False, width=width))
    if arguments.out is not None:
        print(f"written to {arguments.out}")
    return 0
