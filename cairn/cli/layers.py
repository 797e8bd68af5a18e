"""`cairn layers`: a model's products one by one on an accelerator, or on several beside each other."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path


def layers(arguments: Namespace) -> int:
    """Work out and report; with `--out` the result folder appears whole or not at all."""
    from cairn.api import simulate_layers
    from cairn.cli.run import REPORT_COLUMNS, check_place
    from cairn.sim.layerwise.compare import SCHEMA

    if arguments.out is not None:
        check_place(Path(arguments.out), SCHEMA.partition("/")[0])
    result = simulate_layers(
        arguments.accelerators,
        arguments.model,
        arguments.settings,
        phase=arguments.phase,
        context=arguments.context,
        weight_bits=arguments.weight_bits,
    )
    if arguments.out is not None:
        result.save(Path(arguments.out))
    if arguments.json:
        print(result.to_json())
        return 0
    if arguments.csv:
        print(result.products().to_csv(index=False), end="")
        for note in result.notes:
            print(f"note: {note}", file=sys.stderr)
        return 0
    from rich.console import Console

    from cairn.sim.layerwise.console import print_layers_report

    width = None if sys.stdout.isatty() else REPORT_COLUMNS
    print_layers_report(result, Console(highlight=False, width=width))
    if arguments.out is not None:
        print(f"written to {arguments.out}")
    return 0
