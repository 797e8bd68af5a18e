"""The command trace of a DRAM channel as CSV, written while the channel runs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

from cairn.base.errors import CairnError
from cairn.hw_models.dram.simulate import LOGGED

if TYPE_CHECKING:
    from cairn.hw_models.dram.device import Device

COLUMNS = ("tick", "command", "pc", "rk", "bg", "ba", "row")


@contextmanager
def command_file(path: Path, device: Device) -> Iterator[Callable[[Any], None]]:
    """Receives logged commands and writes them; the file takes its place when all went well, else nothing stays.

    A command for many banks (PREA, REF) names the first of them, and row -1. An earlier command trace is replaced,
    any other file refused (CairnError).
    """
    _check(path)
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    except OSError as trouble:
        raise CairnError(f"{path}: cannot be written: {trouble.strerror}") from None
    scratch = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write((",".join(COLUMNS) + "\n").encode())
            yield lambda logged: csv.write_csv(_table(logged, device), file, _OPTIONS)
        mode = os.umask(0)
        os.umask(mode)
        scratch.chmod(0o666 & ~mode)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


_OPTIONS = csv.WriteOptions(include_header=False, quoting_style="none")


def _check(path: Path) -> None:
    if path.is_dir():
        raise CairnError(f"{path}: is a folder; name a file for the commands")
    if not path.exists():
        return
    try:
        with path.open("rb") as file:
            begins = file.readline(100)
    except OSError as trouble:
        raise CairnError(f"{path}: cannot be written: {trouble.strerror}") from None
    if begins.strip() not in (b"", ",".join(COLUMNS).encode()):
        raise CairnError(f"{path}: is no earlier command trace; it is left alone, name another file")


def _table(logged: Any, device: Device) -> Any:
    """Commands as columns; `logged` has rows of tick, command, flat bank, row."""
    tick, command, rest, row = (np.ascontiguousarray(column) for column in logged.T)
    fields = {}
    for level in ("ba", "bg", "rk", "pc"):
        size = int(getattr(device.organisation, level))
        fields[level] = rest % size
        rest = rest // size
    names = pa.DictionaryArray.from_arrays(command, list(LOGGED)).cast(pa.string())
    columns = [tick, names, *(fields[level] for level in ("pc", "rk", "bg", "ba")), row]
    return pa.table(dict(zip(COLUMNS, columns, strict=True)))
