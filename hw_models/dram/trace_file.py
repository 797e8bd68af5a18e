"""A request trace of a channel, read from a file in blocks of bounded size.

Text (`.csv`, `.txt`, also gzip) and Parquet. A header line names the columns, in any order:

    type      R, W, read, write, RD, WR, LD, ST, load, store, 0 (read) or 1 (write)
    address   bytes inside the channel, decimal or 0x hexadecimal; the mapping says which bank and row that is
    bank      or instead of an address: the bank, counted over the channel (pseudo-channel, rank, group, bank), or any
    pc rk bg ba   of these, 0 where left out; with `row`, and `col` if there is one (which changes nothing)
    arrive    the earliest tick at which the request may be offered, in ticks of the device (HBM3 and HBM4: half clocks)
    arrive_ns the same in nanoseconds, rounded up to a tick; digits beyond picoseconds do not count

Without `arrive` every request may be offered at once. Without a header the columns are `address type` or
`type address`, as the traces of public DRAM simulators have them (DRAMsim3: "0x1f00 READ 12", Ramulator: "LD 0x1f00"),
and `arrive` may follow. `#` begins a comment.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from io import BufferedReader
from pathlib import Path
from typing import IO, Final, cast

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.mapping import AddressMap
from cairn.hw_models.dram.request_list import RequestBlock
from cairn.hw_models.dram.trace_columns import LEVELS
from cairn.hw_models.dram.trace_parquet import open_table, parquet_columns
from cairn.hw_models.dram.trace_text import text_columns
from cairn.hw_models.server import IntArray

BoolArray = npt.NDArray[np.bool_]
Check = Callable[[BoolArray, Callable[[int], str]], None]

LATEST: Final = 10**12
"""Ticks at which a request may arrive at most, some minutes: refresh goes on meanwhile, and all of it is simulated."""


def read_trace(
    path: str | Path, mapping: AddressMap, *, wrap: bool = False, progress: Callable[[float], None] | None = None
) -> Iterator[RequestBlock]:
    """The requests of a trace file in blocks of at most 65,536; memory does not grow with the length of the file.

    `mapping` turns addresses into banks and rows. With `wrap` they count modulo the capacity, otherwise one beyond it
    is an error. `progress` is told the share of the file that was read. ConfigError names file, line (of Parquet: the
    number of the record) and what is wrong.
    """
    file = Path(path)
    blocks = _Blocks(str(path), mapping, wrap)
    try:
        with file.open("rb") as raw:
            size = file.stat().st_size
            for columns, numbers in _columns(raw, blocks):
                yield blocks.block(columns, numbers)
                if progress is not None and blocks.records:
                    progress(blocks.count / blocks.records)
                elif progress is not None and size:
                    progress(min(1.0, raw.tell() / size))
    except (gzip.BadGzipFile, EOFError, zlib.error) as trouble:
        raise ConfigError(f"is no whole gzip file: {trouble}", file=str(path)) from None
    except OSError as trouble:
        raise ConfigError(f"cannot be read: {trouble.strerror or trouble}", file=str(path)) from None
    if not blocks.count:
        raise ConfigError("holds no requests", file=str(path))


def _columns(raw: BufferedReader, blocks: _Blocks) -> Iterator[tuple[dict[str, IntArray], IntArray]]:
    """Columns and the numbers of their lines, or of their records, by what the file begins with."""
    magic = raw.peek(4)[:4]
    if magic == b"PAR1" or blocks.file.endswith(".parquet"):
        table = open_table(raw, blocks.file)
        blocks.in_text, blocks.records = False, table.metadata.num_rows
        return parquet_columns(table, blocks.file)
    text: IO[bytes] = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if magic[:2] == b"\x1f\x8b" else raw
    return text_columns(text, blocks.file)


@dataclass
class _Blocks:
    """Makes blocks of columns, and checks what they say against the device."""

    file: str
    mapping: AddressMap
    wrap: bool
    in_text: bool = True
    records: int = 0
    """Of the whole file, where that is known."""
    count: int = 0
    last: int = 0
    """Latest arrival so far, in the unit of its column."""

    def block(self, columns: Mapping[str, IntArray], numbers: IntArray) -> RequestBlock:
        """The requests of columns of one length; `numbers` are their lines or records."""

        def check(wrong: BoolArray, message: Callable[[int], str]) -> None:
            if (found := np.flatnonzero(wrong)[:1]).size:
                at, number = int(found[0]), int(numbers[found[0]])
                if self.in_text:
                    raise ConfigError(message(at), file=self.file, line=number)
                raise ConfigError(f"record {number}: {message(at)}", file=self.file)

        fields = self._fields(columns, check)
        arrive = self._arrive(columns, check, numbers.size)
        self.count += numbers.size
        if "bank" in columns:
            return RequestBlock(arrive, columns["type"], columns["bank"], columns["row"])
        return RequestBlock.of_fields(self.mapping.device, arrive, columns["type"], fields)

    def _fields(self, columns: Mapping[str, IntArray], check: Check) -> Mapping[str, IntArray]:
        device = self.mapping.device
        if "address" in columns:
            address = columns["address"]
            if not self.wrap:
                check(address >= device.capacity_bytes, lambda at: (
                    f"address {address[at]:#x} lies beyond the capacity of the channel, {device.capacity_bytes:,} "
                    f"bytes ({device.capacity_bytes:#x}); wrap (--wrap) counts addresses modulo the capacity"
                ))  # fmt: skip
            return self.mapping.fields(address // device.organisation.transaction_bytes)
        for name in ("row", "bank", *LEVELS, "col"):
            if name in columns:
                self._check_size(name, columns[name], check)
        return {name: columns.get(name, np.zeros_like(columns["row"])) for name in (*LEVELS, "row")}

    def _check_size(self, name: str, values: IntArray, check: Check) -> None:
        device = self.mapping.device
        size = device.banks if name == "bank" else self.mapping.size(name)
        check(values >= size, lambda at: f"{name} {values[at]:,} does not exist: {device.name} has {size:,}, from 0 on")

    def _arrive(self, columns: Mapping[str, IntArray], check: Check, count: int) -> IntArray:
        name = "arrive_ns" if "arrive_ns" in columns else "arrive"
        if name not in columns:
            return np.zeros(count, dtype=np.int64)
        values, device = columns[name], self.mapping.device
        scale = 1000 if name == "arrive_ns" else 1
        before = np.concatenate(([self.last], values[:-1]))
        check(values < before, lambda at: (
            f"{name} {values[at] / scale:.16g} comes before {before[at] / scale:.16g}, that of the request before; "
            "requests stand in the order of their arrival"
        ))  # fmt: skip
        tick = Fraction(device.clock_ps) / device.ticks_per_clock
        latest = LATEST if scale == 1 else int(LATEST * tick)
        check(values > latest, lambda at: (
            f"{name} {values[at] / scale:.16g} is more than {latest // scale:,} ({LATEST:,} ticks): arrivals count "
            "from the beginning of the trace"
        ))  # fmt: skip
        self.last = int(values[-1])
        ticks: IntArray = values if scale == 1 else -(-values * tick.denominator // tick.numerator)
        return ticks


