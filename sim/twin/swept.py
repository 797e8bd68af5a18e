"""A spec whose parameters are arrays: one chip description standing for many designs.

Closed forms are written for one spec and plain arithmetic. `Swept` answers the same attributes, with an array for
every parameter that is swept; properties and methods of the spec's class run on it unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType, MethodType
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.base.spec import Spec

Array = npt.NDArray[Any]
Path = tuple[str, ...]


class Swept:
    """`spec` with `columns` (arrays by path of attribute names) in place of its own values."""

    def __init__(self, spec: Spec, columns: Mapping[Path, Array]):
        self._spec = spec
        self._columns = dict(columns)

    def __getattr__(self, name: str) -> Any:
        if (name,) in self._columns:
            return self._columns[(name,)]
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
        return Swept(self._spec, {path: np.reshape(column, shape) for path, column in self._columns.items()})
