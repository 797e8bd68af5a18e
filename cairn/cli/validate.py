"""`cairn validate`: hands its options to the harness."""

from __future__ import annotations

from argparse import Namespace


def validate(arguments: Namespace) -> int:
    """Run the suites; 0 when every gate holds, 1 when one fails or a suite checked nothing."""
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
