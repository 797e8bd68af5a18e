"""Request traces in Parquet: the columns of trace_file.py as typed columns, read in batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.trace_columns import BLOCK, READS, TYPES, WRITES, checked_columns
from cairn.hw_models.dram.trace_lines import LARGEST
from cairn.hw_models.server import IntArray


def open_table(raw: IO[bytes], file: str) -> Any:
    """The table in a Parquet file (pyarrow.parquet.ParquetFile)."""
    try:
        return pq.ParquetFile(raw)
    except pa.ArrowInvalid as trouble:
        raise _broken(trouble, file) from None


def parquet_columns(table: Any, file: str) -> Iterator[tuple[dict[str, IntArray], IntArray]]:
    """Columns of at most BLOCK records, and the numbers of these, counted from 1."""
    try:
        names = checked_columns(table.schema_arrow.names, file)
        first = 1
        for batch in table.iter_batches(batch_size=BLOCK):
            if batch.num_rows == 0:
                continue
            found = {}
            for name, column in zip(names, batch.columns, strict=True):
                found[name] = _numbers(name, column, file, first)
            yield found, np.arange(first, first + batch.num_rows, dtype=np.int64)
            first += batch.num_rows
    except pa.ArrowInvalid as trouble:
        raise _broken(trouble, file) from None


def _broken(trouble: Exception, file: str) -> ConfigError:
    return ConfigError(f"is no whole Parquet file: {str(trouble).splitlines()[0]}", file=file)


def _numbers(name: str, column: Any, file: str, first: int) -> IntArray:
    """A column as whole numbers: types as 0 and 1, nanoseconds as picoseconds, anything else as it is."""

    def check(wrong: Any, message: str) -> None:
        if found := np.flatnonzero(wrong)[:1].tolist():
            shown = message.format(column[found[0]].as_py())
            raise ConfigError(f"record {first + found[0]}: {name} {shown}", file=file)

    def check_missing() -> None:
        if column.null_count:
            check(np.asarray(column.is_null()), "is missing")

    kind = column.type
    if name == "type":
        check_missing()
        return _types(column, check, file)
    whole, real = pa.types.is_integer(kind), pa.types.is_floating(kind)
    if not whole and not (real and name == "arrive_ns"):
        must = "numbers" if name == "arrive_ns" else "whole numbers"
        raise ConfigError(f"column {name} holds {kind}, must hold {must}", file=file)
    check_missing()
    values = np.asarray(column)
    check(~np.isfinite(values) if real else np.zeros(0), "is {}, must be a number of nanoseconds such as 12.5")
    check(values < 0, "is {}, must be 0 or more")
    scale = 1000 if name == "arrive_ns" else 1
    check(values >= LARGEST // scale, "is {}, which is too large a number")
    numbers: IntArray = np.rint(values * float(scale)).astype(np.int64) if real else values.astype(np.int64) * scale
    return numbers


def _types(column: Any, check: Any, file: str) -> IntArray:
    must = f"is {{!r}}, must be one of {TYPES}"
    kind = column.type
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind):
        values: IntArray = np.asarray(column).astype(np.int64)
        check((values != 0) & (values != 1), must)
        return values
    encoded = column if pa.types.is_dictionary(kind) else column.dictionary_encode()
    if not (pa.types.is_string(encoded.type.value_type) or pa.types.is_large_string(encoded.type.value_type)):
        raise ConfigError(f"column type holds {kind}, must hold text, whole numbers or booleans", file=file)
    meant = [_meaning(word) for word in encoded.dictionary.to_pylist()]
    values = np.array([*meant, 0], dtype=np.int64)[np.asarray(encoded.indices)]
    check(values < 0, must)
    return values


def _meaning(word: str | None) -> int:
    upper = (word or "").strip().upper()
    return 0 if upper in READS else 1 if upper in WRITES else -1
