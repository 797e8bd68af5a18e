"""What a sweep optimises and what it demands: objectives and constraints over the fields of its workloads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np

from cairn.base.errors import Infeasibility
from cairn.dse.expressions import Expression, parse
from cairn.dse.fields import FIELDS, OF_PHASE, UNITS
from cairn.dse.units import PLAIN, Unit, known_units, parse_unit, slug


class Direction(StrEnum):
    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"


class Combine(StrEnum):
    """How the values of several workloads become one: mean by weight, or the worst of them."""

    WEIGHTED = "weighted"
    WORST = "worst"


@dataclass(frozen=True)
class NamedObjective:
    """An objective that has a name of its own."""

    expression: str
    unit: str
    direction: Direction
    meaning: str


_MIN, _MAX = Direction.MINIMIZE, Direction.MAXIMIZE
NAMED: Final[Mapping[str, NamedObjective]] = {
    "time_per_token": NamedObjective("time_per_token_s", "ms", _MIN, "latency of the step over its new tokens"),
    "tokens_per_s": NamedObjective("tokens_per_s", "tokens/s", _MAX, "new tokens a second, all requests together"),
    "ttft": NamedObjective("ttft_s", "ms", _MIN, "time to the first token: latency of a prefill"),
    "tpot": NamedObjective("tpot_s", "ms", _MIN, "what a decoding request waits for its next token"),
    "latency": NamedObjective("latency_s", "ms", _MIN, "time of the whole step"),
    "energy": NamedObjective("energy_j", "J", _MIN, "energy of the whole step"),
    "energy_per_token": NamedObjective("energy_per_token_j", "mJ", _MIN, "energy of the step over its new tokens"),
    "area": NamedObjective("area_mm2", "mm2", _MIN, "logic die"),
    "power": NamedObjective("power_w", "W", _MIN, "mean power over the step"),
    "power_density": NamedObjective("power_density_w_per_mm2", "W/mm2", _MIN, "mean power over the area"),
    "cost": NamedObjective("cost_usd", "USD", _MIN, "good die and DRAM (cairn.dse.price)"),
    "edp": NamedObjective("energy_per_token_j * time_per_token_s", "J s", _MIN, "energy x delay of one token"),
}

NAMES: Final = frozenset((*FIELDS, *NAMED))
"""Everything that an expression of a sweep may name."""


@dataclass(frozen=True)
class Quantity:
    """An expression over fields, in `unit`; `scale` is what its value in field units is divided by."""

    expression: Expression
    unit: str
    scale: float

    def of(self, fields: Mapping[str, Any]) -> Any:
        """Its value, element by element; KeyError names a field that is not there."""
        return self.expression(fields) / self.scale

    @property
    def fields(self) -> frozenset[str]:
        return self.expression.names


@dataclass(frozen=True)
class Objective:
    """One objective over `workloads` (positions); `column` is its name with its unit, as tables have it."""

    name: str
    quantity: Quantity
    direction: Direction
    workloads: tuple[int, ...] = (0,)

    @property
    def sign(self) -> float:
        """What its value is multiplied with so that less is better."""
        return 1.0 if self.direction is Direction.MINIMIZE else -1.0

    @property
    def column(self) -> str:
        return column_name(self.name, self.quantity.unit)


@dataclass(frozen=True)
class Constraint:
    """`quantity <= bound`, or `>=`, for each of `workloads` (positions); bound in the quantity's unit."""

    text: str
    quantity: Quantity
    upper: bool
    bound: float
    workloads: tuple[int, ...] = (0,)

    def excess(self, value: Any) -> Any:
        """By how much a value breaks it, as a share of the bound (of one where it is 0); at most 0 when it holds."""
        gap = value - self.bound if self.upper else self.bound - value
        return gap / (abs(self.bound) or 1.0)

    def refusal(self, value: float, where: str = "") -> Infeasibility:
        """The violation by `value` as data."""
        name = f"{self.text} ({where})" if where else self.text
        side = "at most" if self.upper else "at least"
        remedy = f"{self.quantity.expression.text} must be {side} {self.bound:,.6g} {self.quantity.unit}".rstrip()
        return Infeasibility(name, float(value), self.bound, self.quantity.unit, remedy)


def column_name(name: str, unit: str) -> str:
    """`latency` in `ms` as `latency_ms`; a name that ends with its unit stays."""
    suffix = slug(unit)
    return name if suffix == "1" or name == suffix or name.endswith(f"_{suffix}") else f"{name}_{suffix}"


def expand(text: str) -> str:
    """An expression with named objectives replaced by what they stand for; ValueError when it is no expression."""
    expression = parse(text, NAMES)
    for name in sorted(expression.names & NAMED.keys() - FIELDS.keys()):
        text = re.sub(rf"\b{name}\b", f"({NAMED[name].expression})", text)
    return text


def quantity(text: str, unit: str | None = None) -> Quantity:
    """The quantity an expression means, in `unit` or in the unit that its fields give; ValueError on a mismatch."""
    plain = text.strip()
    named = NAMED.get(plain) if plain not in FIELDS or plain in NAMED else None
    expression = parse(expand(plain), frozenset(FIELDS))
    natural = expression.unit(UNITS) or PLAIN
    wanted = unit or (named.unit if named else FIELDS.get(plain))
    if wanted is None:
        wanted = _spelled(natural)
        return Quantity(expression, wanted, 1.0)
    target = unit_named(wanted)
    if not target.same_kind(natural):
        raise ValueError(f"{plain} is {natural.kind}, which {wanted!r} does not measure")
    return Quantity(expression, wanted, float(f"{target.factor / natural.factor:.12g}"))


def unit_named(text: str) -> Unit:
    """The unit; ValueError that lists what there is."""
    try:
        return parse_unit(text)
    except ValueError as trouble:
        raise ValueError(f"{trouble} (allowed: {', '.join(known_units())}, joined by '*' and '/')") from None


def _spelled(natural: Unit) -> str:
    """A unit that was never written: base units where the factor is theirs, else `1`, the expression's own numbers."""
    return natural.kind if natural.factor == 1.0 and natural.powers != PLAIN.powers and "^" not in natural.kind else "1"


_CONSTRAINT = re.compile(r"^(?P<left>[^<>=]+)(?P<op><=|>=)\s*(?P<number>[-+]?[0-9.]+(?:[eE][-+]?[0-9]+)?)(?P<unit>.*)$")


def constraint(text: str, workloads: tuple[int, ...] = (0,)) -> Constraint:
    """`expression <= number unit` (or `>=`); ValueError says what is wrong."""
    match = _CONSTRAINT.match(text.strip())
    if match is None:
        raise ValueError("must read 'expression <= number unit' or '>=', such as 'area <= 850 mm2'")
    left, unit = match["left"].strip(), match["unit"].strip()
    try:
        bound = float(match["number"])
    except ValueError:
        raise ValueError(f"{match['number']!r} is no number") from None
    if not unit:
        natural = parse(expand(left), frozenset(FIELDS)).unit(UNITS) or PLAIN
        if not natural.same_kind(PLAIN):
            raise ValueError(f"needs a unit: {left} is {natural.kind}, such as '{text.strip()} {_example(left)}'")
    return Constraint(text.strip(), quantity(left, unit or "1"), match["op"] == "<=", bound, workloads)


def _example(left: str) -> str:
    return NAMED[left].unit if left in NAMED else FIELDS.get(left, "ms")


AT_MOST_ONE: Final = frozenset({"efficiency", "dram_utilisation", "matrix_utilisation"})
"""Fields that are shares of a bound; no field is below 0."""


def impossible(rule: Constraint) -> str | None:
    """Why no design whatever can meet a constraint on one field, or None when that is not proved."""
    name = rule.quantity.expression.canonical
    if name not in FIELDS:
        return None
    if rule.upper and rule.bound < 0:
        return f"cannot be met: {name} is never negative"
    if not rule.upper and name in AT_MOST_ONE and rule.bound * rule.quantity.scale > 1:
        return f"cannot be met: {name} is never above 1"
    return None


def contradiction(constraints: Sequence[Constraint]) -> tuple[int, int] | None:
    """Positions of two constraints that no design can meet together, or None when none is proved.

    Compared are bounds on one and the same expression, converted to one unit.
    """
    for i, low in enumerate(constraints):
        for j, high in enumerate(constraints):
            if low.upper or not high.upper or low.quantity.expression.canonical != high.quantity.expression.canonical:
                continue
            shared = set(low.workloads) & set(high.workloads)
            if shared and low.bound * low.quantity.scale > high.bound * high.quantity.scale:
                return min(i, j), max(i, j)
    return None


def phase_needed(measured: Quantity) -> str | None:
    """The phase a workload must have to produce the quantity (two phases: no workload can); None when any does."""
    phases = {OF_PHASE[name] for name in measured.fields if name in OF_PHASE}
    return " and ".join(sorted(phases)) or None


def combined(values: Sequence[Any], weights: Sequence[float], how: Combine, direction: Direction) -> Any:
    """One value from those of the workloads, element by element: mean by weight, or the worst."""
    if len(values) == 1:
        return values[0]
    stacked = np.stack([np.asarray(value, dtype=np.float64) for value in values])
    if how is Combine.WORST:
        return stacked.max(axis=0) if direction is Direction.MINIMIZE else stacked.min(axis=0)
    return np.tensordot(np.asarray(weights) / np.sum(weights), stacked, axes=1)
