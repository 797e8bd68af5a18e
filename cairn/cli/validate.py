"""`cairn validate`: hands its options to the harness."""

from __future__ import annotations

from argparse import Namespace


def validate(arguments: Namespace) -> int:
    """Run the suites, or list what they fitted; 0 when every gate holds, 1 when one fails or nothing was checked."""
    if arguments.constants:
        from cairn.validation.constants import print_constants

        print_constants(arguments.suites, json=arguments.json)
        return 0
    from cairn.validation.harness import validate as run_suites

    return run_suites(
        arguments.suites,
        reference=arguments.reference,
        report=arguments.report,
        json=arguments.json,
        csv=arguments.csv,
        run_all=arguments.run_all,
        verbose=arguments.verbose,
    )
