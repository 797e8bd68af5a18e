"""A YAML reader for configurations: plain data, the line of every key, and one clear error for everything else.

It reads the parser's events and builds plain data itself, so that tags are refused, repeated keys are found, and
nesting and size are bounded before anything is built. Plain scalars are read by YAML 1.2's core schema
(https://yaml.org/spec/1.2.2/#103-core-schema): `1e-3` is a number, and `no`, `12:30` and `2026-01-01` are strings.
"""

from __future__ import annotations

import math
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

from cairn.base.errors import ConfigError
from cairn.sim.config.document import Document, KeyPath, Place, dotted, quoted, shown

MAX_BYTES: Final = 1 << 20
"""assumed: the largest configuration we ship has a few KiB; one MiB leaves room for generated ones."""
MAX_DEPTH: Final = 50
"""assumed: our schemas nest less than ten deep; far below Python's recursion limit."""
MAX_NODES: Final = 100_000
"""assumed: values after expanding aliases; a file of MAX_BYTES without aliases rarely holds more."""
MAX_INTEGER: Final = (1 << 63) - 1
"""The largest integer of the arrays that a run is made of (int64)."""

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NULL = re.compile(r"null|Null|NULL|~|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_DECIMAL = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def read_text(path: Path, shown_as: str | None = None) -> str:
    """The text of the file `path`; ConfigError when it is missing, a folder, too large, unreadable or not UTF-8."""
    name = shown_as or str(path)
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ConfigError("is a folder; a YAML file is needed", file=name)
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            raise ConfigError("is not a regular file", file=name)
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError("no such file", file=name) from None
    except (OSError, ValueError) as trouble:  # ValueError: a NUL or a lone surrogate in the name
        reason = trouble.strerror if isinstance(trouble, OSError) and trouble.strerror else "not a possible file name"
        raise ConfigError(f"cannot be read: {reason}", file=name) from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"is larger than {MAX_BYTES // 1024} KiB, the limit for a configuration", file=name)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as trouble:
        line = raw.count(b"\n", 0, trouble.start) + 1
        raise ConfigError(f"is not UTF-8 text (byte {trouble.start})", file=name, line=line) from None


def read_yaml(path: Path, shown_as: str | None = None) -> Document:
    """The one map that the YAML file `path` holds; ConfigError for everything that is not one."""
    name = shown_as or str(path)
    data, places = parse_yaml(read_text(path, name), name)
    if data is None:
        raise ConfigError("is empty; a map of keys is needed", file=name)
    if not isinstance(data, dict):
        raise ConfigError(f"must be a map of keys, not {kind_of(data)}", file=name, line=places[()].line)
    return Document(name, data, places)


def parse_yaml(text: str, name: str) -> tuple[Any, dict[KeyPath, Place]]:
    """Any plain value written as YAML (None for an empty text), and the place of every key path in it."""
    builder = _Builder(name)
    try:
        return builder.build(yaml.parse(text, Loader=_Loader)), builder.places
    except yaml.MarkedYAMLError as trouble:
        mark = trouble.problem_mark or trouble.context_mark
        what = " ".join(part for part in (trouble.context, trouble.problem) if part)
        line = mark.line + 1 if mark else None
        raise ConfigError(f"is not valid YAML: {what}", file=name, line=line) from None
    except yaml.YAMLError as trouble:  # characters that YAML does not allow
        what = str(trouble).splitlines()[0]
        raise ConfigError(f"is not valid YAML: {what}", file=name) from None


def kind_of(value: Any) -> str:
    """What a value is, in a person's words."""
    names = {dict: "a map", list: "a list", str: "a string", bool: "a boolean", int: "an integer", float: "a number"}
    return names.get(type(value), "null" if value is None else type(value).__name__)


class _Builder:
    """Builds one document from parser events, and keeps the place of every key path."""

    def __init__(self, name: str):
        self.name = name
        self.places: dict[KeyPath, Place] = {}
        self.nodes = 0
        self.anchors: dict[str, tuple[Any, int] | None] = {}

    def build(self, events: Iterator[Any]) -> Any:
        self.events = events
        value: Any = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise self.error(event, (), "holds several documents ('---'); one is allowed")
                value = self.node(next(events), ())
        return value

    def error(self, event: Any, path: KeyPath, message: str) -> ConfigError:
        return ConfigError(message, file=self.name, line=event.start_mark.line + 1, key=dotted(path) or None)

    def node(self, event: Any, path: KeyPath) -> Any:
        self.places.setdefault(path, Place(self.name, event.start_mark.line + 1))
        if len(path) > MAX_DEPTH:
            raise self.error(event, path[:3], f"is nested more than {MAX_DEPTH} levels deep")
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, path)
        if event.tag is not None:
            raise self.error(event, path, f"has the YAML tag {quoted(event.tag)}; tags are not allowed")
        before = self.nodes
        self.count(event, path, 1)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        value = self.value(event, path)
        if event.anchor is not None:
            self.anchors[event.anchor] = (value, self.nodes - before)
        return value

    def count(self, event: Any, path: KeyPath, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > MAX_NODES:
            raise self.error(event, path[:1], f"holds more than {MAX_NODES} values (aliases counted as often as used)")

    def alias(self, event: Any, path: KeyPath) -> Any:
        if event.anchor not in self.anchors:
            raise self.error(event, path, f"refers to the anchor {quoted(event.anchor)}, which is not defined above")
        known = self.anchors[event.anchor]
        if known is None:
            raise self.error(event, path, f"holds itself through the anchor {quoted(event.anchor)}")
        value, nodes = known
        self.count(event, path, nodes)
        if len(path) + _height(value) > MAX_DEPTH:
            raise self.error(event, path[:3], f"is nested more than {MAX_DEPTH} levels deep")
        return _copy(value)

    def value(self, event: Any, path: KeyPath) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event, path)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(inner := next(self.events), yaml.SequenceEndEvent):
                items.append(self.node(inner, (*path, len(items))))
            return items
        return self.mapping(path)

    def mapping(self, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self.key(event, path)
            at = (*path, key)
            if key in result:
                first = self.places[at].line
                raise self.error(event, at, f"is written twice (first on line {first})")
            self.places[at] = Place(self.name, event.start_mark.line + 1)
            result[key] = self.node(next(self.events), at)
        return result

    def key(self, event: Any, path: KeyPath) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            what = "an alias" if isinstance(event, yaml.AliasEvent) else "a list or a map"
            raise self.error(event, path, f"has {what} as a key; keys are strings")
        if event.tag is not None:
            raise self.error(event, path, f"has a key with the YAML tag {quoted(event.tag)}; tags are not allowed")
        if event.anchor is not None:
            raise self.error(event, path, f"has a key with the anchor {quoted(event.anchor)}; anchor values instead")
        key = self.scalar(event, path)
        if not isinstance(key, str):
            raise self.error(event, path, f"has {kind_of(key)}, {event.value or 'nothing'}, as a key; keys are strings")
        if key == "<<" and event.implicit[0]:
            raise self.error(event, path, "uses the merge key '<<', which is not supported; use 'base:'")
        return key

    def scalar(self, event: Any, path: KeyPath) -> Any:
        text: str = event.value
        if not event.implicit[0]:  # quoted, or a block scalar
            value: Any = text
        else:
            if _NOT_FINITE.fullmatch(text):
                raise self.error(event, path, f"is {text}; numbers must be finite")
            value = _plain(text)
        if isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
            raise self.error(event, path, "holds half of a surrogate pair, which is not a character")
        if isinstance(value, float) and not math.isfinite(value):
            raise self.error(event, path, f"is {shown(text, 24)}, too large for a number")
        if isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise self.error(event, path, f"is {shown(text, 24)}, beyond the largest integer, {MAX_INTEGER}")
        return value


def _plain(text: str) -> Any:
    """The value of an unquoted scalar under the core schema."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    for pattern, base in ((_DECIMAL, 10), (_OCTAL, 8), (_HEXADECIMAL, 16)):
        if pattern.fullmatch(text):
            return int(text, base) if len(text) <= 100 else MAX_INTEGER + 1
    return float(text) if _FLOAT.fullmatch(text) else text


def _copy(value: Any) -> Any:
    """A copy that shares nothing with `value`, so that laying one file over another never edits both places."""
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value


def _height(value: Any) -> int:
    """Levels of maps and lists below the outermost one."""
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return max((1 + _height(inner) for inner in inside), default=0)
