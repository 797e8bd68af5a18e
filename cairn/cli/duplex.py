"""`cairn duplex`: a decode step on GPUs whose memory computes, with and without PIM."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path


def duplex(arguments: Namespace) -> int:
    """Work out and print parts and the place of each operator; with `--out` the folder appears whole or not at all."""
    from cairn.api import simulate_duplex
    from cairn.cli.run import check_place
    from cairn.sim.pim.duplex_result import RESULT_SCHEMA

    if arguments.out is not None:
        check_place(Path(arguments.out), RESULT_SCHEMA.partition("/")[0])
    result = simulate_duplex(arguments.config, arguments.settings)
    if arguments.out is not None:
        result.save(Path(arguments.out))
    print(result.to_json() if arguments.json else result.summary())
    if arguments.out is not None and not arguments.json:
        print(f"written to {arguments.out}")
    return 0
