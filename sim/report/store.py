"""The result folder: written beside its place under a temporary name, then renamed, so that no half folder stays."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from cairn.base.errors import CairnError
from cairn.sim.report.timeline import timeline

if TYPE_CHECKING:
    from cairn.sim.report.result import Result

RESULT_FILE: Final = "result.json"
RUN_SCHEMA: Final = "cairn.result/"
TABLES: Final = ("operators", "tasks", "units")
TABLE_SCHEMA: Final = "cairn.{table}/1"
"""Schema id of a Parquet table, under the key `cairn.schema` of its metadata."""

TIMELINE_FILE: Final = "timeline.json.gz"


def save(result: Result, folder: Path, *, trace: bool = False, plots: bool = True) -> Path:
    """Write `result.json`, Parquet tables, PNG plots and (with `trace`) the timeline; answer the folder.

    An earlier result in `folder` is replaced, anything else is refused (CairnError). Missing parent folders are made.
    """
    with whole_folder(folder) as scratch:
        _write(result, scratch, trace=trace, plots=plots)
    return folder.absolute()


@contextmanager
def whole_folder(folder: Path, schema: str = RUN_SCHEMA) -> Iterator[Path]:
    """A new folder to write into; it takes the place of `folder`, or of an earlier result there, when all went well.

    Otherwise it is removed. `schema` is what the schema id of an earlier result begins with.
    """
    folder = folder.absolute()
    check_target(folder, schema)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise CairnError(f"{folder}: cannot write there: {error.strerror}") from error
    try:
        yield scratch
        _put(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def check_target(folder: Path, schema: str = RUN_SCHEMA) -> None:
    """Refuse (CairnError) a place that holds anything but an earlier result; call it before a long run."""
    if not folder.exists() and not folder.is_symlink():
        return
    if not folder.is_dir():
        raise CairnError(f"{folder}: is a file; name a folder for the results")
    if any(folder.iterdir()) and not is_result(folder, schema):
        raise CairnError(f"{folder}: holds files that are no earlier result; it is left alone, name another folder")


def is_result(folder: Path, schema: str = RUN_SCHEMA) -> bool:
    """Whether `folder` holds a result that Cairn wrote, one whose schema id begins with `schema`."""
    try:
        content = json.loads((folder / RESULT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and str(content.get("schema", "")).startswith(schema)


def _put(scratch: Path, folder: Path) -> None:
    """Move the finished folder to its place, the earlier result aside first so that one of the two is always there."""
    mode = os.umask(0)
    os.umask(mode)
    scratch.chmod(0o777 & ~mode)
    if not folder.exists():
        scratch.rename(folder)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        folder.rename(aside / "old")
        try:
            scratch.rename(folder)
        except BaseException:
            (aside / "old").rename(folder)
            raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _write(result: Result, folder: Path, *, trace: bool, plots: bool) -> None:
    (folder / RESULT_FILE).write_text(result.to_json() + "\n", encoding="utf-8")
    for name, table in zip(TABLES, (result.operators, result.tasks, result.units), strict=True):
        write_table(table, folder / f"{name}.parquet", TABLE_SCHEMA.format(table=name))
    if trace:
        write_timeline(timeline(result), folder / TIMELINE_FILE)
    if plots:
        result.plot_operators(folder / "operators.png")
        result.plot_roofline(folder / "roofline.png")
        result.plot_utilisation(folder / "utilisation.png")


def write_table(table: pd.DataFrame, path: Path, schema: str) -> None:
    """Write a DataFrame as Parquet (zstd), the schema id in the file's metadata."""
    arrow = pa.Table.from_pandas(table)
    metadata = {**(arrow.schema.metadata or {}), b"cairn.schema": schema.encode()}
    pq.write_table(arrow.replace_schema_metadata(metadata), path, compression="zstd")


def write_timeline(content: dict[str, Any], path: Path) -> None:
    """Write trace-event JSON, compressed when the name ends in .gz (ui.perfetto.dev opens both)."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False).encode()
    path.write_bytes(gzip.compress(text, compresslevel=6, mtime=0) if path.suffix == ".gz" else text)
