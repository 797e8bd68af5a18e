"""From the `parameters` of a sweep file to a space: values, what each sets, conditions, and checks against the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from cairn.base.errors import ConfigError
from cairn.base.registry import nearest_hint
from cairn.dse.expressions import parse
from cairn.dse.space import MAX_SIZE, Parameter, Space
from cairn.dse.sweep_spec import ParameterSpec, SweepSpec
from cairn.sim.config.document import Document, quoted
from cairn.sim.config.resolve import RUN, override_value
from cairn.sim.config.run_config import RunConfig, complete, resolved

MAX_CHECKED: Final = 40
"""assumed: values of a parameter that are tried on the run when a sweep is read; the others are met when drawn."""


MAX_INNER: Final = 256
"""assumed: combinations of inner parameters; every design is simulated with each of them."""


def build_spaces(document: Document, spec: SweepSpec, configs: Sequence[RunConfig]) -> tuple[Space, Space]:
    """The space of `spec` that is searched, and that of the inner parameters, of one point where there are none.

    ConfigError where a parameter says something impossible.
    """
    parameters = []
    for name, entry in spec.parameters.items():
        values = _values(document, name, entry)
        settings = _settings(document, name, entry, values)
        parameters.append(Parameter(name, values, settings, _conditions(document, name, entry, spec)))
    _refuse_shared_keys(document, parameters)
    base = resolved(configs[0])
    spaces = []
    for inner in (False, True):
        mine = tuple(parameter for parameter in parameters if spec.parameters[parameter.name].inner is inner)
        keys = {key for parameter in mine for key in parameter.settings}
        space = Space(mine, {key: _at(base, key) for key in keys})
        if space.product > MAX_SIZE:
            raise document.error(("parameters",), "has more than 2^62 combinations; take fewer or coarser parameters")
        try:
            space.active(np.zeros((1, len(mine)), dtype=np.int64))
        except ValueError as trouble:
            raise document.error(("parameters",), str(trouble)) from None
        spaces.append(space)
    outer, within = spaces
    if not outer.parameters:
        raise document.error(("parameters",), "are all inner; one at least must be searched")
    if within.product > MAX_INNER:
        raise document.error(
            ("parameters",), f"inner ones have {within.product:,} combinations for every design, more than {MAX_INNER}"
        )
    return outer, within


def _values(document: Document, name: str, entry: ParameterSpec) -> tuple[Any, ...]:
    values = entry.values()
    for i, value in enumerate(values):
        if any(value == other and type(value) is type(other) for other in values[:i]) and entry.choices is not None:
            raise document.error(("parameters", name, "choices"), f"has {quoted(value)} twice")
    return values


def _settings(
    document: Document, name: str, entry: ParameterSpec, values: Sequence[Any]
) -> Mapping[str, tuple[Any, ...]]:
    at = ("parameters", name)
    maps = [value for value in values if isinstance(value, dict)]
    if maps and entry.keys is None and entry.set is None:
        keys = list(maps[0])
        if len(maps) < len(values) or any(set(value) != set(keys) for value in maps) or not keys:
            raise document.error((*at, "choices"), "must all be maps that set the same keys, or none of them a map")
        return {key: tuple(value[key] for value in values) for key in keys}
    if entry.set is None:
        return {key: tuple(values) for key in entry.keys or [name]}
    found = {}
    for key, text in entry.set.items():
        try:
            expression = parse(str(text), frozenset({"value"}), sets_keys=True)
            found[key] = tuple(_plain(expression({"value": value})) for value in values)
        except (ValueError, TypeError) as trouble:
            raise document.error((*at, "set", key), str(trouble)) from None
    return found


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, (np.generic, np.ndarray)) else value


def _conditions(document: Document, name: str, entry: ParameterSpec, spec: SweepSpec) -> Mapping[str, frozenset[int]]:
    found = {}
    for other, allowed in entry.when.items():
        at = ("parameters", name, "when", other)
        if other not in spec.parameters or other == name:
            names = [each for each in spec.parameters if each != name]
            raise document.error(at, f"is no other parameter of this sweep{nearest_hint(other, names)}")
        if spec.parameters[other].inner is not entry.inner:
            raise document.error(at, "joins an inner parameter to one that is searched; both must be one or the other")
        values = spec.parameters[other].values()
        for value in allowed:
            if value not in values:
                raise document.error(at, f"{quoted(value)} is no value of it{nearest_hint(str(value), values)}")
        found[other] = frozenset(values.index(value) for value in allowed)
    return found


def _refuse_shared_keys(document: Document, parameters: Sequence[Parameter]) -> None:
    """Two parameters may set one key only when conditions keep them apart; that is for their author to see to."""
    setter: dict[str, Parameter] = {}
    for parameter in parameters:
        for key in parameter.settings:
            other = setter.setdefault(key, parameter)
            if other is not parameter and not (other.when and parameter.when):
                raise document.error(("parameters", parameter.name), f"sets {key}, which {other.name} sets too")


def _at(data: Any, key: str) -> Any:
    """The scalar at a key path of a resolved run; None for a map, or where there is nothing."""
    for part in key.split("."):
        data = data.get(part) if isinstance(data, dict) else None
    return None if isinstance(data, (dict, list)) else data


def check_values(document: Document, space: Space, base: Document, folder: Path) -> None:
    """Lay values of each parameter over the run, each alone; ConfigError where one is wrong whatever the others are.

    A value that only clashes with the rest of the run may fit other points, so it is no mistake here.
    """
    for parameter in space.parameters:
        place = document.place(("parameters", parameter.name))
        count = len(parameter.values)
        for i in np.unique(np.linspace(0, count - 1, min(count, MAX_CHECKED)).astype(int)).tolist():
            changed = base
            try:
                for key, values in parameter.settings.items():
                    path = tuple(key.split("."))
                    if not all(path) or path == ("base",):
                        raise ConfigError("is no key path of a run", file=place.file, line=place.line, key=key)
                    changed = override_value(changed, path, values[i], place, RUN, folder)
                complete(changed)
            except ConfigError as trouble:
                mine = trouble.key is None or any(
                    trouble.key == key or trouble.key.startswith((f"{key}.", f"{key}[")) for key in parameter.settings
                )
                if mine or (not space.conditional and "is not a known key" in trouble.message):
                    raise trouble from None
