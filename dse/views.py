"""The points of a study as pictures show them: sorted into groups, with short names, labels with units, and scales."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from cairn.dse.outcome import Status
from cairn.dse.space import FloatArray, IntArray, Parameter
from cairn.dse.tiered import LIKELY
from cairn.dse.units import slug

if TYPE_CHECKING:
    from cairn.dse.study import Study

LOGARITHMIC_FROM: Final = 8.0
"""assumed: ratio of the greatest to the least value from which an axis is logarithmic."""
UNIT_SIGNS: Final = {"mm2": "mm²", "cm2": "cm²", "W/mm2": "W/mm²", "us": "µs", "uJ": "µJ"}


@dataclass(frozen=True)
class View:
    """Rows of `Study.points`: the `front`, feasible ones that it dominates, those with values that break a constraint.

    `unseen` counts points without values: they could not run, their chip alone broke a constraint, or they failed.
    `cloud` has the rows of `Study.analytical` that were not simulated and are likely feasible; empty without them.
    """

    front: pd.DataFrame
    dominated: pd.DataFrame
    broken: pd.DataFrame
    cloud: pd.DataFrame
    unseen: int

    @classmethod
    def of(cls, study: Study) -> View:
        points, columns = study.points, list(study.objective_columns)
        if not len(points):
            return cls(points, points, points, _cloud(study), 0)
        valued = np.isfinite(points[columns].to_numpy(dtype=np.float64)).all(axis=1)
        feasible = (points["status"] == Status.FEASIBLE.value).to_numpy() & valued
        front = feasible & points["front"].to_numpy(dtype=bool)
        broken = (points["status"] == Status.INFEASIBLE.value).to_numpy() & valued
        return cls(
            study.front, points[feasible & ~front], points[broken], _cloud(study), int((~feasible & ~broken).sum())
        )

    @property
    def feasible(self) -> pd.DataFrame:
        """The front and what it dominates."""
        parts = [part for part in (self.dominated, self.front) if len(part)]
        return pd.concat(parts, ignore_index=True) if parts else self.front


def _cloud(study: Study) -> pd.DataFrame:
    table = study.analytical
    if table is None or not len(table):
        return pd.DataFrame()
    likely = table["feasible_chance"] >= LIKELY
    return table[likely & ~table["simulated"]].sort_values("within_percent", kind="stable").reset_index(drop=True)


def nothing_to_draw(study: Study) -> str:
    """Why there is no picture of a study without feasible points: one sentence with counts and the commonest reason."""
    counts = study.counts
    if not study.entries:
        return "No design was evaluated, so there is nothing to draw."
    text = (
        f"None of the {len(study.entries):,} designs evaluated is feasible "
        f"({counts['infeasible']:,} infeasible, {counts['failed']:,} failed), so there is nothing to draw."
    )
    reasons = study.refusals["constraint"].value_counts()
    if len(reasons):
        text += f"\nMost were refused by: {reasons.index[0]} ({int(reasons.iloc[0]):,})."
    return text


def axis_labels(study: Study) -> list[str]:
    """Objectives with their units, as axes have them."""
    labels = []
    for objective in study.sweep.objectives:
        name, unit = objective.name.replace("_", " "), objective.quantity.unit
        shown = UNIT_SIGNS.get(unit, unit)
        labels.append(name if unit == "1" else shown if slug(unit) == objective.name else f"{name} ({shown})")
    return labels


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Parameter -> the last part of its key path, or as many parts as tell it from the others."""
    result = {}
    for name in names:
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            short = ".".join(parts[-count:])
            if sum(other == short or other.endswith(f".{short}") for other in names) == 1:
                break
        result[name] = short
    return result


def positions(parameter: Parameter, column: Iterable[Any]) -> FloatArray:
    """Place of each value (n,) among the parameter's values, 0, 1, ...; NaN where the parameter does not count."""
    place = {label: i for i, label in enumerate(parameter.labels)}
    return np.array([np.nan if pd.isna(value) else place[value] for value in column], dtype=np.float64)


def value_text(value: Any) -> str:
    """A value of a parameter or an objective in few characters; nothing where there is none."""
    if isinstance(value, (bool, np.bool_, str)):
        return str(value)
    if value is None or pd.isna(value):
        return ""
    number = float(value)
    if number == int(number) and abs(number) < 1e9:
        return f"{int(number):,}"
    return f"{number:,.4g}" if abs(number) < 1e5 else f"{number:.4g}"


def is_logarithmic(values: FloatArray) -> bool:
    """Whether an axis over `values` (n,) is better read by ratios."""
    known = values[np.isfinite(values)]
    return bool(len(known) and known.min() > 0 and known.max() >= LOGARITHMIC_FROM * known.min())


def spread_rows(count: int, wanted: int) -> IntArray:
    """At most `wanted` of the rows 0 .. count - 1, at equal distances."""
    return np.unique(np.linspace(0, max(0, count - 1), min(count, wanted)).astype(np.int64))
