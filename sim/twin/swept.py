"""A spec whose parameters are arrays: one chip description standing for many designs.

Closed forms are written for one spec and plain arithmetic. `Swept` answers the same attributes, with an array for
every parameter that is swept; properties and methods of the spec's class run on it unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.base.spec import Spec

Array = npt.NDArray[Any]
Path = tuple[str, ...]


class WithheldError(Exception):
    """Somebody reads a parameter whose values are withheld."""


@dataclass(frozen=True)
class Withheld:
    """Stands in the place of a column, or of all columns of a part, that a result must not depend on."""


class Swept:
    """`spec` with `columns` (arrays by path of attribute names) in place of its own values.

    What an attribute answers is kept in the instance, so that each is worked out once.
    """

    def __init__(self, spec: Spec, columns: Mapping[Path, Array | Withheld]):
        self._spec = spec
        self._columns = dict(columns)

    def __getattr__(self, name: str) -> Any:
        value = self._answer(name)
        self.__dict__[name] = value
        return value

    def _answer(self, name: str) -> Any:
        if (name,) in self._columns:
            column = self._columns[(name,)]
            if isinstance(column, Withheld):
                raise WithheldError(name)
            return column
        member = getattr(type(self._spec), name, None)
        if isinstance(member, property) and member.fget is not None:
            return member.fget(self)
        if isinstance(member, FunctionType):
            return MethodType(member, self)
        value = getattr(self._spec, name)
        inner = {path[1:]: column for path, column in self._columns.items() if path[0] == name}
        return Swept(value, inner) if inner and isinstance(value, Spec) else value

    def shaped(self, shape: tuple[int, ...]) -> Swept:
        """The same with every array in another shape."""
        return self._with(lambda column: np.reshape(column, shape))

    def at(self, rows: npt.NDArray[np.int64]) -> Swept:
        """The designs `rows`."""
        return self._with(lambda column: column[rows])

    def withholding(self, paths: Iterable[Path]) -> Swept:
        """The same without the columns `paths`: who reads one nonetheless meets a WithheldError."""
        return Swept(self._spec, {**self._columns, **dict.fromkeys(paths, Withheld())})

    @property
    def varied(self) -> dict[Path, Array]:
        """The columns that are not withheld."""
        return {path: column for path, column in self._columns.items() if not isinstance(column, Withheld)}

    def _with(self, change: Callable[[Array], Array]) -> Swept:
        changed = {path: change(column) for path, column in self.varied.items()}
        return Swept(self._spec, {**self._columns, **changed})
