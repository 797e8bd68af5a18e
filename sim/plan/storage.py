"""Plans as files: one .npz without pickles, schema `cairn.plan/2`.

Integer arrays are stored in the narrowest type that holds them; what is not an array stands as JSON in `meta`.
"""

from __future__ import annotations

import json
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from cairn.base.errors import CairnError
from cairn.sim.plan.plan import COMPUTE_COLUMNS, COPY_COLUMNS, INDEX_COLUMNS, SCHEMA, Edges, Plan, Queue

T = TypeVar("T", np.int32, np.int64)

_TABLES: Final = ("duration", "compute", "copies")
_EDGES: Final = ("on_first", "on_done")
_NARROW: Final = (np.int8, np.int16, np.int32)
_UNREADABLE: Final = (
    OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError, SyntaxError, struct.error,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What NumPy, zipfile and json raise on damaged files (JSON and Unicode errors are ValueErrors; a file that says it is
encrypted or of a later version gives RuntimeError and its kind NotImplementedError)."""


def save(plan: Plan, path: str | os.PathLike[str]) -> None:
    """Write `plan` to `path` (.npz); the file appears complete or not at all.

    Notes must be JSON (tuples come back as lists, keys as strings); CairnError when they are not, or when the file
    cannot be written.
    """
    target = Path(path)
    arrays = {name: _narrow(getattr(plan, name)) for name in (*INDEX_COLUMNS, *_TABLES)}
    for name in _EDGES:
        edges: Edges = getattr(plan, name)
        arrays[f"{name}.start"], arrays[f"{name}.targets"] = _narrow(edges.start), _narrow(edges.targets)
    for index, table in enumerate(plan.requests):
        arrays[f"requests.{index}"] = _narrow(table)
    arrays["meta"] = np.frombuffer(_meta(plan).encode(), np.uint8)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        temporary.replace(target)
    except OSError as error:
        raise CairnError(f"{target}: the plan cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def load(path: str | os.PathLike[str]) -> Plan:
    """Read a plan that `save` wrote. CairnError when there is none, it is damaged, or its schema is another one.

    Whether the plan can run is not looked at; the engines check it against their servers.
    """
    try:
        with Path(path).open("rb") as file:
            if file.read(2) != b"PK":
                raise CairnError(f"{path}: not a plan file")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                return _read(path, archive)
    except FileNotFoundError as error:
        raise CairnError(f"{path}: no such file") from error
    except _UNREADABLE as error:
        raise CairnError(f"{path}: not a plan file, or a damaged one ({error})") from error


def _meta(plan: Plan) -> str:
    meta = {
        "schema": SCHEMA,
        "queues": [[queue.name, queue.unit, queue.core, queue.depth] for queue in plan.queues],
        "servers": plan.servers,
        "operators": plan.operators,
        "tensors": plan.tensors,
        "compute_columns": COMPUTE_COLUMNS,
        "copy_columns": COPY_COLUMNS,
        "notes": dict(plan.notes),
    }
    try:
        return json.dumps(meta, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise CairnError(f"plan: notes cannot be written as JSON: {error}") from error


def _plain(value: object) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} {value!r} is not JSON")


def _narrow(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    low, high = values.min(initial=0), values.max(initial=0)
    for kind in _NARROW:
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return values.astype(kind)
    return values


def _read(path: str | os.PathLike[str], archive: Any) -> Plan:
    meta = json.loads(archive["meta"].tobytes())
    _check_schema(path, meta)
    parts: dict[str, Any] = {name: _whole(path, name, archive[name], np.int32) for name in INDEX_COLUMNS}
    parts |= {name: _whole(path, name, archive[name], np.int64) for name in _TABLES}
    for name in _EDGES:
        start, targets = (_whole(path, each, archive[each], np.int32) for each in (f"{name}.start", f"{name}.targets"))
        parts[name] = Edges(start, targets)
    tables = [f"requests.{index}" for index in range(len(meta["servers"]))]
    return Plan(
        **parts,
        queues=tuple(Queue(str(name), str(unit), int(core), int(depth)) for name, unit, core, depth in meta["queues"]),
        servers=tuple(meta["servers"]),
        requests=tuple(_whole(path, name, archive[name], np.int64) for name in tables),
        operators=tuple(meta["operators"]),
        tensors=tuple(meta["tensors"]),
        notes=meta["notes"],
    )


def _check_schema(path: str | os.PathLike[str], meta: Any) -> None:
    schema = meta.get("schema") if isinstance(meta, dict) else None
    family, _, version = str(schema).partition("/")
    if family != SCHEMA.partition("/")[0] or not version.isdecimal():
        raise CairnError(f"{path}: not a plan file (schema {schema!r}, expected {SCHEMA!r})")
    if schema != SCHEMA:
        raise CairnError(f"{path}: schema {schema!r} is not the one that this version of Cairn reads, {SCHEMA!r}")
    for key, columns in (("compute_columns", COMPUTE_COLUMNS), ("copy_columns", COPY_COLUMNS)):
        if tuple(meta[key]) != columns:
            raise CairnError(f"{path}: {key} are {meta[key]}, this version of Cairn reads {list(columns)}")


def _whole(path: str | os.PathLike[str], name: str, values: npt.NDArray[Any], wanted: type[T]) -> npt.NDArray[T]:
    """Integers of a file in the type that a plan has them in."""
    if values.dtype.kind != "i" or not np.can_cast(values.dtype, wanted):
        raise CairnError(f"{path}: array {name!r} holds {values.dtype}, not integers that fit {wanted.__name__}")
    return values.astype(wanted)
