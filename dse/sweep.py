"""A sweep: what varies, what matters, what is demanded, and how long to look. `load_sweep` reads and checks one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from cairn.base.errors import ConfigError
from cairn.base.registry import nearest_hint
from cairn.dse.objectives import (
    NAMED,
    Combine,
    Constraint,
    Direction,
    Objective,
    Quantity,
    contradiction,
    impossible,
    phase_needed,
    quantity,
)
from cairn.dse.objectives import constraint as parse_constraint
from cairn.dse.parameters import build_spaces, check_values
from cairn.dse.space import Space
from cairn.dse.sweep_spec import BudgetSpec, ObjectiveSpec, SearchSpec, SweepSpec, TiersSpec
from cairn.sim.config.document import Document, KeyPath, Place
from cairn.sim.config.problems import validate
from cairn.sim.config.resolve import RUN, SWEEP, load_document, override_value
from cairn.sim.config.run_config import RunConfig, complete, resolved

MAX_OVERRIDES: Final = 1000
"""assumed: keys that one workload may set."""


@dataclass(frozen=True)
class Workload:
    """A run that designs are judged by: its document, to lay points over, and the configuration that it is."""

    name: str
    document: Document
    config: RunConfig
    weight: float = 1.0

    @property
    def phase(self) -> str:
        return str(self.config.workload.phase)


@dataclass(frozen=True)
class Sweep:
    """A checked sweep. Built by `load_sweep`. Files that points name are relative to `folder`.

    `space` is searched; of `inner`, every choice is tried for each point (`cairn.dse.inner`).
    """

    name: str
    workloads: tuple[Workload, ...]
    combine: Combine
    space: Space
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    budget: BudgetSpec = field(default_factory=BudgetSpec)
    search: SearchSpec = field(default_factory=SearchSpec)
    tiers: TiersSpec = field(default_factory=TiersSpec)
    seed: int = 0
    folder: Path = field(default_factory=Path)
    inner: Space = field(default_factory=lambda: Space(()))

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of all parameters, inner ones last."""
        return (*self.space.names, *self.inner.names)

    @cached_property
    def hash(self) -> str:
        """The 12 hexadecimal digits that name a sweep: everything that decides which points are proposed and what
        they are worth. The budget is not in it, so a finished sweep can be resumed with a larger one."""
        content = {
            "workloads": [[w.name, w.weight, resolved(w.config)] for w in self.workloads],
            "combine": self.combine.value,
            "parameters": [
                [p.name, p.values, dict(p.settings), {other: sorted(allowed) for other, allowed in p.when.items()}]
                for p in self.space.parameters
            ],
            "objectives": [
                [o.name, o.quantity.expression.canonical, o.quantity.unit, o.direction.value, o.workloads]
                for o in self.objectives
            ],
            "constraints": [[c.text, c.workloads] for c in self.constraints],
            "search": self.search.model_dump(mode="json"),
            "tiers": self.tiers.model_dump(mode="json"),
            "seed": self.seed,
        }
        if self.inner.parameters:
            content["inner"] = [[p.name, p.values, dict(p.settings)] for p in self.inner.parameters]
        return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()[:12]

    def with_budget(self, points: int | None = None, minutes: float | None = None) -> Sweep:
        """The same sweep with other limits; None leaves the one there is. ConfigError for limits that allow nothing."""
        if points is not None and points < 1:
            raise ConfigError(f"--points must be at least 1, got {points}")
        if minutes is not None and not minutes > 0:
            raise ConfigError(f"--minutes must be above 0, got {minutes:g}")
        limits = {"points": points, "minutes": minutes}
        changed = {name: value for name, value in limits.items() if value is not None}
        return replace(self, budget=self.budget.model_copy(update=changed))


def load_sweep(path_or_name: str | Path) -> Sweep:
    """The sweep of a file or a shipped name.

    Raises ConfigError with file, line, key path, what is wrong and what is allowed.
    """
    document = load_document(path_or_name, SWEEP)
    _spell_out(document)
    spec = validate(document, SweepSpec)
    workloads = _workloads(document, spec)
    space, inner = build_spaces(document, spec, [workload.config for workload in workloads])
    for workload in workloads:
        for part in (space, inner):
            check_values(document, part, workload.document, folder_of(document.place(("parameters",))))
    varies = "workload.phase" in (*space.keys, *inner.keys)
    objectives = tuple(
        _objective(document, i, entry, workloads, varies) for i, entry in enumerate(spec.objectives)
    )
    for i, objective in enumerate(objectives):
        if objective.column in [other.column for other in objectives[:i]]:
            raise document.error(("objectives", i), f"{objective.name!r} is an objective already")
    constraints = _constraints(document, spec, workloads, varies)
    return Sweep(
        spec.name, workloads, spec.combine, space, objectives, constraints,
        spec.budget, spec.search, spec.tiers, spec.seed, folder_of(document.place(("parameters",))).absolute(),
        inner,
    )  # fmt: skip


def _spell_out(document: Document) -> None:
    """Short forms become long ones: a list of choices, an objective that is a name, a constraint that is a rule."""
    parameters = document.data.get("parameters")
    if isinstance(parameters, dict):
        for name, value in parameters.items():
            if isinstance(value, list):
                parameters[name] = {"choices": value}
    for key, inner in (("objectives", "name"), ("constraints", "rule")):
        entries = document.data.get(key)
        if isinstance(entries, list):
            document.data[key] = [{inner: entry} if isinstance(entry, str) else entry for entry in entries]


def _workloads(document: Document, spec: SweepSpec) -> tuple[Workload, ...]:
    if spec.workloads is None:
        base = _laid(document, ("run",), str(spec.run), spec.set, ("set",))
        return (Workload(base.data.get("name", "run"), base, complete(base)),)
    names = [entry.name for entry in spec.workloads]
    found = []
    for i, entry in enumerate(spec.workloads):
        at = ("workloads", i)
        if entry.name in names[:i]:
            raise document.error((*at, "name"), f"{entry.name!r} is a workload already")
        base = _laid(document, (*at, "run"), entry.run, spec.set, ("set",))
        base = _overridden(document, base, entry.set, (*at, "set"))
        found.append(Workload(entry.name, base, complete(base), entry.weight))
    return tuple(found)


def _laid(
    document: Document, at: KeyPath, reference: str, settings: Mapping[str, Any], key: KeyPath
) -> Document:
    try:
        base = load_document(reference, RUN, folder_of(document.place(at)))
    except ConfigError as trouble:
        raise trouble if trouble.file else document.error(at, trouble.message) from None
    return _overridden(document, base, settings, key)


def _overridden(
    document: Document, base: Document, settings: Mapping[str, Any], key: KeyPath
) -> Document:
    for path, value in settings.items():
        place = document.place((*key, path))
        base = override_value(base, tuple(path.split(".")), value, place, RUN, folder_of(place))
    return base


def folder_of(place: Place) -> Path:
    """The folder of the file that a place is in."""
    return Path(place.file).parent


def _objective(
    document: Document, i: int, spec: ObjectiveSpec, workloads: Sequence[Workload], phase_varies: bool
) -> Objective:
    at = ("objectives", i)
    named = NAMED.get(spec.name)
    text = spec.expression or spec.name
    try:
        measured = quantity(text, spec.unit)
    except ValueError as trouble:
        where = (*at, "expression") if spec.expression else at
        raise document.error(where, f"{trouble}") from None
    direction = spec.direction or (named.direction if named and spec.expression is None else None)
    if direction is None:
        raise document.error(at, f"needs a direction: {Direction.MINIMIZE} or {Direction.MAXIMIZE}")
    judged = _judged(document, at, spec.workload, measured, workloads, phase_varies)
    return Objective(spec.name, measured, direction, judged)


def _judged(
    document: Document, at: KeyPath, wanted: str | None, measured: Quantity,
    workloads: Sequence[Workload], phase_varies: bool,
) -> tuple[int, ...]:  # fmt: skip
    """Positions of the workloads that a quantity is taken from."""
    names = [workload.name for workload in workloads]
    if wanted is not None and wanted not in names:
        raise document.error((*at, "workload"), f"{wanted!r} is no workload{nearest_hint(wanted, names)}")
    phase = phase_needed(measured)
    found = tuple(
        i
        for i, workload in enumerate(workloads)
        if wanted in (None, workload.name) and (phase in (None, workload.phase) or (phase_varies and phase))
    )
    if not found:
        have = ", ".join(f"{w.name} ({w.phase})" for w in workloads if wanted in (None, w.name))
        raise document.error(at, f"{measured.expression.text} needs a {phase} run, and no run produces it: {have}")
    return found


def _constraints(
    document: Document, spec: SweepSpec, workloads: Sequence[Workload], phase_varies: bool
) -> tuple[Constraint, ...]:
    found: list[Constraint] = []
    for i, entry in enumerate(spec.constraints):
        at = ("constraints", i)
        try:
            rule = parse_constraint(entry.rule)
        except ValueError as trouble:
            raise document.error(at, str(trouble)) from None
        judged = _judged(document, at, entry.workload, rule.quantity, workloads, phase_varies)
        found.append(replace(rule, workloads=judged))
        if reason := impossible(rule):
            raise document.error(at, f"{rule.text} {reason}")
    clash = contradiction(found)
    if clash is not None:
        first, second = (found[i].text for i in clash)
        raise document.error(("constraints", clash[1]), f"{second} contradicts {first}; no design can meet both")
    return tuple(found)
