"""The discrete space of a sweep: points as integer vectors, and as columns of values; nothing is held point by point.

A point has three forms: its number (mixed radix over the parameters, last one fastest), its vector (one position in
the values of each parameter), and its settings (key path -> value). A parameter whose condition does not hold has
position 0 and sets nothing, so that every design has one number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.base.streams import stream

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MAX_SIZE: Final = 1 << 62
"""Numbers of points are int64."""
BLOCK: Final = 1 << 17
"""Points that are looked at together: a few MiB of columns."""


@dataclass(frozen=True)
class Parameter:
    """One thing that varies: its values, and for each value what it sets.

    `settings` maps a key path to as many values as the parameter has. `when` maps names of other parameters to the
    positions that they must have.
    """

    name: str
    values: tuple[Any, ...]
    settings: Mapping[str, tuple[Any, ...]]
    when: Mapping[str, frozenset[int]] = field(default_factory=dict)

    @cached_property
    def numeric(self) -> bool:
        """Whether the values are numbers, so that their order means something."""
        return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in self.values)

    @cached_property
    def labels(self) -> tuple[Any, ...]:
        """The values as tables and storages hold them: scalars stay, compound ones become text."""
        plain = all(isinstance(value, (int, float, str, bool)) for value in self.values)
        return self.values if plain else tuple(_label(value) for value in self.values)


def _label(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key.rpartition('.')[2]}={inner}" for key, inner in value.items())
    return str(value)


@dataclass(frozen=True)
class Space:
    """The points of a sweep. `defaults` has the value of each key path where no parameter sets it."""

    parameters: tuple[Parameter, ...]
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def radices(self) -> tuple[int, ...]:
        return tuple(len(parameter.values) for parameter in self.parameters)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(parameter.name for parameter in self.parameters)

    @cached_property
    def product(self) -> int:
        """Combinations of values, those that are the same design counted as often as they are written."""
        result = 1
        for radix in self.radices:
            result *= radix
        return result

    @cached_property
    def conditional(self) -> bool:
        return any(parameter.when for parameter in self.parameters)

    @cached_property
    def size(self) -> int:
        """Different designs: those of each choice of the parameters that decide about others, summed up."""
        if not self.conditional:
            return self.product
        decide = {other for parameter in self.parameters for other in parameter.when}
        columns = [column for column in self._order if self.names[column] in decide]
        table = self._vectors_over(columns)
        ways = np.where(self.active(table), np.array(self.radices, dtype=np.int64), 1)
        ways[:, columns] = 1
        return int(ways.prod(axis=1).sum())

    @cached_property
    def few(self) -> bool:
        """Whether the designs are put together from the conditions; the combinations may be far more."""
        return self.conditional and self.size <= BLOCK

    def listable(self, limit: int) -> bool:
        """Whether all designs can be walked through by looking at no more than `limit` points."""
        return self.product <= limit or (self.few and self.size <= limit)

    def blocks(self, block: int = BLOCK) -> Iterator[IntArray]:
        """All point numbers in order, at most `block` at a time."""
        if self.few:
            numbers = np.sort(self.numbers(self._vectors_over(self._order)))
            yield from (numbers[start : start + block] for start in range(0, len(numbers), block))
            return
        for start in range(0, self.product, block):
            numbers = np.arange(start, min(start + block, self.product), dtype=np.int64)
            yield numbers[self.canonical(self.vectors(numbers)) == numbers] if self.conditional else numbers

    def _vectors_over(self, columns: Sequence[int]) -> IntArray:
        """Vectors (n, parameters) of the designs that differ in `columns`, which come in the order of `_order`; the
        other parameters are at position 0."""
        table = np.zeros((1, len(self.radices)), dtype=np.int64)
        for column in columns:
            times = np.where(self.active(table)[:, column], self.radices[column], 1)
            first = np.repeat(np.cumsum(times) - times, times)
            table = np.repeat(table, times, axis=0)
            table[:, column] = np.arange(len(table)) - first
        return table

    def vectors(self, numbers: npt.ArrayLike) -> IntArray:
        """Vectors (n, parameters) of point numbers (n,)."""
        rest = np.asarray(numbers, dtype=np.int64).copy()
        result = np.empty((len(rest), len(self.radices)), dtype=np.int64)
        for column in range(len(self.radices) - 1, -1, -1):
            rest, result[:, column] = np.divmod(rest, self.radices[column])
        return result

    def numbers(self, vectors: npt.ArrayLike) -> IntArray:
        """Point numbers (n,) of vectors (n, parameters), as they are written."""
        table = np.asarray(vectors, dtype=np.int64)
        result = np.zeros(len(table), dtype=np.int64)
        for column, radix in enumerate(self.radices):
            result = result * radix + table[:, column]
        return result

    def canonical(self, vectors: npt.ArrayLike) -> IntArray:
        """Numbers of the designs that vectors mean: inactive parameters at position 0."""
        table = np.asarray(vectors, dtype=np.int64)
        return self.numbers(np.where(self.active(table), table, 0))

    def active(self, vectors: npt.ArrayLike) -> BoolArray:
        """Which parameters (columns) count in which vectors: those whose `when` holds.

        A condition on a parameter that does not count itself does not hold.
        """
        table = np.asarray(vectors, dtype=np.int64)
        result = np.ones(table.shape, dtype=np.bool_)
        for column in self._order:
            for other, allowed in self.parameters[column].when.items():
                source = self.names.index(other)
                result[:, column] &= result[:, source] & np.isin(table[:, source], sorted(allowed))
        return result

    @cached_property
    def _order(self) -> tuple[int, ...]:
        """Parameters with those that decide about them first; ValueError when conditions go round in a circle."""
        done: list[int] = []
        left = list(range(len(self.parameters)))
        while left:
            ready = [i for i in left if all(self.names.index(o) in done for o in self.parameters[i].when)]
            if not ready:
                names = ", ".join(self.names[i] for i in left)
                raise ValueError(f"the conditions of {names} go round in a circle")
            done += ready
            left = [i for i in left if i not in ready]
        return tuple(done)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Key paths that vary, outer ones before those inside them."""
        found = dict.fromkeys(key for parameter in self.parameters for key in parameter.settings)
        return tuple(sorted(found, key=lambda key: key.count(".")))

    def columns(self, numbers: npt.ArrayLike) -> dict[str, npt.NDArray[Any]]:
        """For each key path in `keys` the values (n,) that the points have there; `defaults` where none is set."""
        table = self.vectors(numbers)
        active = self.active(table)
        result: dict[str, npt.NDArray[Any]] = {}
        for key in self.keys:
            setters = [i for i, parameter in enumerate(self.parameters) if key in parameter.settings]
            always = any(not self.parameters[i].when for i in setters)
            column = None if always else _filled(self.defaults.get(key), len(table))
            for i in setters:
                values = _array(self.parameters[i].settings[key])[table[:, i]]
                column = values if column is None else _chosen(active[:, i], values, column)
            result[key] = column if column is not None else _filled(None, len(table))
        return result

    def settings(self, number: int) -> dict[str, Any]:
        """Key path -> value of one point, outer keys before those inside them."""
        vector = self.vectors([number])
        active = self.active(vector)[0]
        chosen = {
            key: values[vector[0, i]]
            for i, parameter in enumerate(self.parameters)
            if active[i]
            for key, values in parameter.settings.items()
        }
        return {key: chosen[key] for key in self.keys if key in chosen}

    def labels(self, number: int) -> dict[str, Any]:
        """Parameter -> value of one point as tables hold it, without those that do not count."""
        vector = self.vectors([number])
        active = self.active(vector)[0]
        return {p.name: p.labels[vector[0, i]] for i, p in enumerate(self.parameters) if active[i]}

    def features(self, numbers: npt.ArrayLike) -> FloatArray:
        """Points as coordinates (n, f): position of a number over its last, 0 to 1; one column for each other value."""
        table = self.vectors(numbers)
        parts: list[FloatArray] = []
        for i, parameter in enumerate(self.parameters):
            count = len(parameter.values)
            if parameter.numeric:
                parts.append((table[:, i] / max(1, count - 1))[:, None])
            else:
                parts.append((table[:, i : i + 1] == np.arange(count)) / np.sqrt(2))
        return np.hstack(parts)

    def draw(self, count: int, seed: int, purpose: str, exclude: Sequence[int] = ()) -> list[int]:
        """At most `count` different points, none of `exclude`, spread by a scrambled Sobol sequence of `seed`.

        Where the sequence keeps meeting points that are taken, the rest is drawn evenly; fewer are answered only when
        no more could be found in 64 rounds.
        """
        from scipy.stats import qmc  # nearly a second, which workers that only simulate do not need

        taken = set(exclude)
        found: list[int] = []
        generator = stream(seed, "dse", purpose)
        sobol = qmc.Sobol(len(self.radices), scramble=True, rng=np.random.default_rng(generator.integers(1 << 62)))
        for round_ in range(64):
            size = max(8, 1 << (2 * (count - len(found)) - 1).bit_length())
            shares = sobol.random(size) if round_ < 8 else generator.random((size, len(self.radices)))
            vectors = np.minimum((shares * self.radices).astype(np.int64), np.array(self.radices) - 1)
            for number in self.canonical(vectors).tolist():
                if number not in taken and len(found) < count:
                    taken.add(number)
                    found.append(number)
            if len(found) >= count:
                break
        return found


def _array(values: Sequence[Any]) -> npt.NDArray[Any]:
    """Values as a column: numbers as such, anything else as objects."""
    if all(type(value) is bool for value in values) or all(type(value) in (int, float) for value in values):
        return np.array(values)
    result = np.empty(len(values), dtype=object)
    result[:] = list(values)
    return result


def _filled(value: Any, count: int) -> npt.NDArray[Any]:
    return np.repeat(_array([value]), count)


def _chosen(mask: BoolArray, values: npt.NDArray[Any], others: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if object in (values.dtype, others.dtype):
        values, others = values.astype(object), others.astype(object)
    return np.where(mask, values, others)
