"""Where reference data lies, and how it is read.

A file is looked for in the folder named by `--reference`, and then nowhere else; otherwise among the copies shipped
with Cairn (`validation/reference`), then in the folder that CAIRN_REFERENCE_DIR names, which is by default
`../shared/reference` beside the repository, where it exists. All are laid out alike: the same file and column names.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cairn.base.errors import CairnError, ConfigError

SHIPPED = Path(__file__).resolve().parent / "reference"
ENVIRONMENT = "CAIRN_REFERENCE_DIR"


class ReferenceMissingError(Exception):
    """A suite cannot run because a reference file is not here; the message says where such data is to be had."""


@dataclass(frozen=True)
class ReferenceFile:
    """A file that was read: its name inside the folder, and whose folder it was."""

    name: str
    origin: str


@dataclass(frozen=True)
class Record:
    """One row of a table with the place it stands at, so that a mistake in it can be named."""

    values: Mapping[str, Any]
    file: str
    line: int | None = None

    def text(self, column: str) -> str:
        """The text in `column`, stripped; ConfigError when there is no such column."""
        if column not in self.values or self.values[column] is None:
            raise ConfigError("this column is missing", file=self.file, line=self.line, key=column)
        return str(self.values[column]).strip()

    def number(self, column: str) -> float:
        """The finite number in `column`; ConfigError when it is something else."""
        text = self.text(column)
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise ConfigError(f"a finite number belongs here, not {text!r}", file=self.file, line=self.line, key=column)
        return value

    def integer(self, column: str) -> int:
        """The whole number in `column`; ConfigError when it is something else."""
        value = self.number(column)
        if value != int(value):
            raise ConfigError(f"a whole number belongs here, not {value}", file=self.file, line=self.line, key=column)
        return int(value)


@dataclass(frozen=True)
class Entry:
    """One entry of a reference file that has a list `entries:` of id, what, value, unit, conditions, source."""

    id: str
    what: str
    value: Any
    unit: str
    conditions: str
    source: str
    file: str

    def table(self) -> list[Record]:
        """The rows of a value that is a table (`columns` and `rows`)."""
        if not isinstance(self.value, dict) or {"columns", "rows"} - set(self.value):
            raise ConfigError("a table with `columns` and `rows` belongs here", file=self.file, key=f"{self.id}.value")
        columns = self.value["columns"]
        for row in self.value["rows"]:
            if not isinstance(row, list) or len(row) != len(columns):
                message = f"a row of {len(columns)} values belongs here, not {row!r}"
                raise ConfigError(message, file=self.file, key=f"{self.id}.value.rows")
        return [Record(dict(zip(columns, row, strict=True)), f"{self.file} {self.id}") for row in self.value["rows"]]


@dataclass
class ReferenceDir:
    """Finds and reads reference files, and remembers which were read and which were missed."""

    given: Path | None = None
    used: list[ReferenceFile] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.given is not None and not self.given.is_dir():
            raise CairnError(f"--reference: {self.given} is not a folder")

    def find(self, name: str) -> tuple[Path, str] | None:
        """The file called `name` (such as "stacked3d/voxel_runs.csv") and whose it is, or None."""
        for folder, origin in self._folders():
            if (folder / name).is_file():
                return folder / name, origin
        return None

    def path(self, name: str, obtain: str = "") -> Path:
        """The file called `name`; ReferenceMissingError, saying how to `obtain` such data, when it is not here."""
        found = self.find(name)
        if found is None:
            looked = f"in {self.given}" if self.given else f"among the shipped files, nor where {ENVIRONMENT} points"
            raise ReferenceMissingError(f"{name} is not there, {looked}" + (f"; {obtain}" if obtain else ""))
        file, origin = found
        if ReferenceFile(name, origin) not in self.used:
            self.used.append(ReferenceFile(name, origin))
        return file

    def optional(self, name: str, obtain: str = "") -> Path | None:
        """As `path`, but a missing file is noted (the suite reports what it could not check) and None returned."""
        try:
            return self.path(name, obtain)
        except ReferenceMissingError as missing:
            self.missed.append(str(missing))
            return None

    def leave_out(self, what: str) -> None:
        """Note rows that the suite leaves out, and why: they are listed as not checked."""
        self.missed.append(what)

    def yaml(self, name: str, obtain: str = "") -> dict[str, Any]:
        """The mapping in a YAML file."""
        file = self.path(name, obtain)
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise ConfigError(f"this is not UTF-8 text ({error.reason})", file=str(file)) from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else None
            raise ConfigError(getattr(error, "problem", None) or str(error), file=str(file), line=line) from None
        if not isinstance(content, dict):
            raise ConfigError("a mapping belongs at the top of this file", file=str(file))
        return content

    def csv(self, name: str, obtain: str = "") -> list[Record]:
        """The rows of a CSV file with a header line; lines that begin with # are comments."""
        file = self.path(name, obtain)
        try:
            lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
        except UnicodeDecodeError as error:
            raise ConfigError(f"this is not UTF-8 text ({error.reason})", file=str(file)) from None
        kept = [(number, line) for number, line in enumerate(lines, start=1) if not line.startswith("#")]
        reader = csv.DictReader(line for _, line in kept)
        return [Record(row, str(file), kept[reader.line_num - 1][0]) for row in reader]

    def entries(self, name: str, obtain: str = "") -> dict[str, Entry]:
        """The entries of a YAML file by id."""
        listed = self.yaml(name, obtain).get("entries")
        file = str(self.path(name))
        if not isinstance(listed, list):
            raise ConfigError("a list belongs here", file=file, key="entries")
        result: dict[str, Entry] = {}
        for index, item in enumerate(listed):
            missing = {"id", "value", "unit", "source"} - set(item) if isinstance(item, dict) else {"id"}
            if missing:
                raise ConfigError(f"an entry needs {', '.join(sorted(missing))}", file=file, key=f"entries[{index}]")
            what, unit, conditions, source = (
                str(item.get(key) or "") for key in ("what", "unit", "conditions", "source")
            )
            result[str(item["id"])] = Entry(str(item["id"]), what, item["value"], unit, conditions, source, file)
        return result

    def _folders(self) -> Iterator[tuple[Path, str]]:
        if self.given is not None:
            yield self.given, "given folder"
            return
        yield SHIPPED, "shipped"
        named = os.environ.get(ENVIRONMENT)
        if named and not Path(named).is_dir():
            raise CairnError(f"{ENVIRONMENT} names {named}, which is not a folder")
        yield Path(named) if named else SHIPPED.parents[1].parent / "shared" / "reference", "outside"
