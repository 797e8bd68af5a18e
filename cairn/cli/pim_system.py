"""`cairn pim-system`: a decode step on a system whose memory computes, with time, energy and area by side."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path


def pim_system(arguments: Namespace) -> int:
    """Print operators, totals and published figures; with `--out` the folder appears whole or not at all."""
    from cairn.cli.progress import tell_of_compilation
    from cairn.cli.run import check_place
    from cairn.sim.pim.system_result import RESULT_SCHEMA, run_pim_system
    from cairn.sim.pim.system_run import load_pim_system

    if arguments.out is not None:
        check_place(Path(arguments.out), RESULT_SCHEMA.partition("/")[0])
    spec = load_pim_system(arguments.config, arguments.settings)
    if spec.machine.kind != "attacc":  # whose closed forms compile nothing
        tell_of_compilation("hw_models/pim")
    result = run_pim_system(spec)
    if arguments.out is not None:
        result.save(Path(arguments.out))
    print(result.to_json() if arguments.json else result.summary())
    if arguments.out is not None and not arguments.json:
        print(f"written to {arguments.out}")
    return 0
