"""`cairn wafer`: a decode step on a wafer-scale mesh."""

from __future__ import annotations

from argparse import Namespace


def wafer(arguments: Namespace) -> int:
    """Simulate and print: tokens a second, cycles of a layer, and what each operator takes."""
    from cairn.cli.progress import tell_of_compilation
    from cairn.sim.wafer.decode import load_wafer, wafer_decode

    spec = load_wafer(arguments.config, arguments.settings)
    tell_of_compilation()
    result = wafer_decode(spec)
    print(result.to_json() if arguments.json else result.summary())
    return 0
