"""A configuration as data plus where every key of it was written, and how documents are laid over one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from cairn.base.errors import ConfigError

KeyPath = tuple[str | int, ...]
"""Keys from the outermost map inwards; a number is a position in a list."""


@dataclass(frozen=True)
class Place:
    """A file (or `--set ...`) and a line in it, where there is one."""

    file: str
    line: int | None = None


@dataclass
class Document:
    """Plain data (maps, lists, strings, numbers, booleans, null) and the place of every key path in it.

    `prefix` is where it stands in the file when it is part of a larger document; messages name it.
    """

    file: str
    data: dict[str, Any] = field(default_factory=dict)
    places: dict[KeyPath, Place] = field(default_factory=dict)
    prefix: KeyPath = ()

    def place(self, path: Sequence[str | int]) -> Place:
        """Where `path`, or its nearest enclosing key that was written at all, stands."""
        for length in range(len(path), 0, -1):
            if tuple(path[:length]) in self.places:
                return self.places[tuple(path[:length])]
        return self.places.get((), Place(self.file))

    def error(self, path: Sequence[str | int], message: str) -> ConfigError:
        """The error that says `message` of the key at `path`."""
        place = self.place(path)
        return ConfigError(message, file=place.file, line=place.line, key=dotted((*self.prefix, *path)) or None)

    def put(self, path: KeyPath, other: Document) -> None:
        """Replace what is at `path` (one or more keys) by all of `other`."""
        self.drop(path)
        target = self.data
        for key in path[:-1]:
            target = target[key]  # type: ignore[index]
        target[path[-1]] = other.data  # type: ignore[index]
        self.places.setdefault(path, other.place(()))
        for inner, place in other.places.items():
            self.places[path + inner] = place

    def drop(self, path: KeyPath) -> None:
        """Remove what is at `path`, if anything, with all places inside it."""
        target: Any = self.data
        for key in path[:-1]:
            target = target[key]
        target.pop(path[-1], None)
        size = len(path)
        self.places = {key: place for key, place in self.places.items() if key[:size] != path}

    def part(self, path: KeyPath) -> Document:
        """The map at `path` as a document of its own."""
        data: Any = self.data
        for key in path:
            data = data[key]
        size = len(path)
        places = {key[size:]: place for key, place in self.places.items() if key[:size] == path}
        return Document(self.place(path).file, data, places, (*self.prefix, *path))


def merge(below: Document, above: Document) -> Document:
    """`above` laid over `below`: maps merge key by key, everything else (lists too) replaces."""
    places = dict(below.places)
    if () in above.places:
        places[()] = above.places[()]
    data = _merge_maps(below.data, above.data, (), places, above)
    return Document(above.file, data, places)


def _merge_maps(
    below: dict[str, Any], above: dict[str, Any], at: KeyPath, places: dict[KeyPath, Place], document: Document
) -> dict[str, Any]:
    result = dict(below)
    for key, value in above.items():
        path = (*at, key)
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            result[key] = _merge_maps(below[key], value, path, places, document)
        else:
            result[key] = value
            size = len(path)
            for old in [old for old in places if old[:size] == path]:
                del places[old]
            places.update({inner: place for inner, place in document.places.items() if inner[:size] == path})
            places.setdefault(path, document.place(path))
    return result


def dotted(path: Sequence[str | int]) -> str:
    """`chip.layers[2].rows` for a key path."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{shown(key)}" if text else shown(key)
    return text


def shown(key: str, limit: int = 60) -> str:
    """A key as it is printed: quoted when it could be misread, cut when it is long."""
    plain = key.replace("_", "").replace("-", "").isalnum() and key.isascii() and len(key) <= limit
    return key if plain else quoted(key, limit)


def quoted(value: Any, limit: int = 60) -> str:
    """A value as it is printed in a message, cut when it is long."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "a map"
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."
