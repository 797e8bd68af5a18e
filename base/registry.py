"""Registries: things found by name, third-party ones through the entry-point group `cairn.components`."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Generic, TypeVar

from cairn.base.errors import CairnError

T = TypeVar("T")


class Registry(Generic[T]):
    """Named things of one `kind`. An entry point called `kind:name` is loaded when its name is first asked for."""

    def __init__(self, kind: str):
        self.kind = kind
        self._things: dict[str, T] = {}

    def add(self, name: str, thing: T) -> T:
        """Register `thing`; a name is taken once (ValueError)."""
        if name in self._things:
            raise ValueError(f"{self.kind} {name!r} is registered already")
        self._things[name] = thing
        return thing

    def get(self, name: str) -> T:
        """The thing called `name`; CairnError with the nearest name when there is none."""
        if name not in self._things:
            for entry in entry_points(group="cairn.components", name=f"{self.kind}:{name}"):
                self._things[name] = entry.load()
        if name not in self._things:
            raise CairnError(f"no {self.kind} is called {name!r}{nearest_hint(name, self._things)}")
        return self._things[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._things))


def nearest_hint(word: str, allowed: object) -> str:
    """`; did you mean 'x'? (allowed: a, b, x)` for an unknown `word`, short when there are many allowed ones."""
    names = sorted(str(name) for name in allowed)  # type: ignore[attr-defined]
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return f"{hint} (allowed: {listed})" if names else hint
