"""What a person who waits is told, on stderr: a bar on a terminal, and a line when kernels must be compiled first."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

COMPILE_SECONDS = 60
"""Measured: a first run of the shipped demo, or of a DRAM channel, takes about so much more CPU time than a second."""


@contextmanager
def progress_bar() -> Iterator[Callable[[str, float], None] | None]:
    """A callback `(what, done)` that draws a bar on stderr, or None when stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1.0)

        def show(what: str, done: float) -> None:
            bar.update(task, completed=done, description=what)

        yield show


def tell_of_compilation(part: str = "sim/engine") -> None:
    """Say on stderr that this run compiles, when no compiled kernels of `part` lie in the kernel cache."""
    from cairn.base.kernel import kernels_are_cached

    if not kernels_are_cached(part):
        print(f"compiling the simulation kernels once, about {COMPILE_SECONDS} s ...", file=sys.stderr, flush=True)
