"""`cairn validate`: run suites, print what came out, write it down, and answer with an exit status."""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from cairn.base.errors import CairnError
from cairn.validation.document import as_dict
from cairn.validation.gates import Verdict
from cairn.validation.reference import ReferenceDir
from cairn.validation.suite import Suite, SuiteResult, load_suite, run_suite, suite_names

PASSED, FAILED = 0, 1


def validate(
    suites: Sequence[str] | None = None,
    *,
    reference: Path | str | None = None,
    report: Path | str | None = None,
    json: bool = False,
    csv: Path | str | None = None,
    run_all: bool = False,
    verbose: bool = False,
) -> int:
    """Run the shipped suites of these names (all of them without names) and print reference against prediction.

    reference  folder to take the reference files from, laid out and named like the shipped ones, and no other
    report     Markdown file to write; csv: folder for a CSV file and a plot of each suite
    json       print every row and gate as JSON instead of tables; verbose: print every row
    run_all    also the rows that take long

    Returns 0 when every gate of every suite holds, 1 when one fails or nothing was checked. CairnError for an
    unknown suite or a folder that is not there.
    """
    chosen = [load_suite(name) for name in dict.fromkeys(suites)] if suites else None
    return validate_suites(
        chosen if chosen is not None else [load_suite(name) for name in suite_names()],
        named=chosen is not None,
        reference=reference,
        report=report,
        json=json,
        csv=csv,
        run_all=run_all,
        verbose=verbose,
    )


def validate_suites(
    suites: Sequence[Suite],
    *,
    named: bool = True,
    reference: Path | str | None = None,
    report: Path | str | None = None,
    json: bool = False,
    csv: Path | str | None = None,
    run_all: bool = False,
    verbose: bool = False,
) -> int:
    """As `validate`, for suites given as objects. `named`: the person asked for these suites by name."""
    given = None if reference is None else Path(reference)
    ReferenceDir(given)  # a folder that is not there is refused before hours of work
    if report is not None and not Path(report).absolute().parent.is_dir():
        raise CairnError(f"--report: the folder of {report} does not exist")
    results = run_suites(suites, given, named=named, run_all=run_all)
    if json:
        jsonlib.dump(as_dict(results), sys.stdout, indent=1, allow_nan=False)
        sys.stdout.write("\n")
    else:
        from cairn.validation.console import print_results

        print_results(results, verbose=verbose)
    if report is not None:
        from cairn.validation.report import write_report

        write_report(results, Path(report))
    if csv is not None:
        from cairn.validation.export import write_tables_and_plots

        write_tables_and_plots(results, Path(csv))
    return exit_status(results)


def run_suites(
    suites: Sequence[Suite], given: Path | None, *, named: bool = True, run_all: bool = False
) -> list[SuiteResult]:
    """The results of `suites` in order, each with a `ReferenceDir` of its own.

    Of suites that nobody asked for by name, those that the given folder has no file for are left out as skipped.
    """
    results = []
    with _progress() as progress:
        for suite in suites:
            progress(suite.name)
            result = run_suite(suite, ReferenceDir(given), run_all=run_all, progress=progress)
            if not named and result.skipped and not result.rows:
                result = replace(result, verdict=Verdict.SKIPPED)
            results.append(result)
    return results


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """A line on the terminal that says what is being checked; nothing where no person looks on."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: None
        return
    with console.status("validating") as status:
        yield lambda text: status.update(f"validating {escape(text)}")


def exit_status(results: Sequence[SuiteResult]) -> int:
    """0 when no suite failed and at least one was checked, else 1."""
    verdicts = [result.verdict for result in results]
    return PASSED if Verdict.PASS in verdicts and Verdict.FAIL not in verdicts else FAILED
