"""Columns of request traces: their names, and what a read or a write may be called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cairn.base.errors import ConfigError
from cairn.base.registry import nearest_hint

BLOCK: Final = 1 << 16
"""Requests of a block at most."""

READS: Final = ("R", "READ", "RD", "LD", "LOAD", "0", "P_MEM_RD", "P_FETCH", "IFETCH")
WRITES: Final = ("W", "WRITE", "WR", "ST", "STORE", "1", "P_MEM_WR")
TYPES: Final = "R, W, read, write, RD, WR, LD, ST, load, store, 0 or 1"
"""The usual ones, for messages."""
LEVELS: Final = ("pc", "rk", "bg", "ba")
COLUMNS: Final = ("address", "type", "arrive", "arrive_ns", "row", "bank", *LEVELS, "col")


def checked_columns(names: Sequence[str], file: str, line: int | None = None) -> tuple[str, ...]:
    """The columns of a header, in lower case; ConfigError where they do not describe requests."""
    columns = tuple(name.lower() for name in names)

    def refuse(message: str) -> ConfigError:
        return ConfigError(message, file=file, line=line)

    for name in columns:
        if name not in COLUMNS:
            raise refuse(f"there is no column {name!r}{nearest_hint(name, COLUMNS)}")
        if columns.count(name) > 1:
            raise refuse(f"column {name} stands there twice")
    levels = [name for name in LEVELS if name in columns]
    if "type" not in columns:
        raise refuse("column type is missing")
    if "arrive" in columns and "arrive_ns" in columns:
        raise refuse("arrive and arrive_ns say the same; leave one out")
    if "address" in columns:
        if other := [name for name in ("row", "bank", *LEVELS, "col") if name in columns]:
            raise refuse(f"address already says the {other[0]}; leave one out")
    elif "row" not in columns or not ("bank" in columns or levels):
        raise refuse(f"either address is needed, or row and a bank (bank, or any of {', '.join(LEVELS)})")
    if "bank" in columns and levels:
        raise refuse(f"bank already says the {levels[0]}; leave one out")
    return columns
