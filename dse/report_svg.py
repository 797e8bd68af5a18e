"""The interactive picture of a front: SVG whose points carry their place in the list of drawn points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from matplotlib.ticker import LogLocator, MaxNLocator

from cairn.dse.plot_front import values_of
from cairn.dse.views import View, axis_labels, is_logarithmic, spread_rows, value_text

if TYPE_CHECKING:
    from cairn.dse.study import Study

CLOUD: Final = 1500
"""assumed: analytical designs in the report, the nearest to the front and then at equal distances: some 150 KB."""
SIMULATED: Final = 2000
"""assumed: simulated designs beside the front in the report."""
BARS: Final = 60
"""Analytical designs with an error bar, the nearest to the front."""
FOCUSED: Final = 200
"""Simulated designs up to which the keyboard reaches each; beyond, those of the front alone."""
KINDS: Final = ("simulated, on the front", "simulated, dominated", "simulated, breaks a constraint", "analytical")
CLASSES: Final = ("front-point", "dominated", "broken", "analytical")
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 12, 46


@dataclass(frozen=True)
class Drawn:
    """Designs of the report: kind (position in KINDS) and table of each group, and how many each group has in all."""

    groups: tuple[tuple[int, pd.DataFrame], ...]
    cloud: int

    @classmethod
    def of(cls, view: View) -> Drawn:
        near = np.arange(min(len(view.cloud), CLOUD // 2))
        far = len(near) + spread_rows(len(view.cloud) - len(near), CLOUD - len(near))
        cloud = view.cloud.iloc[np.concatenate((near, far))] if len(view.cloud) else view.cloud
        dominated = view.dominated.iloc[spread_rows(len(view.dominated), SIMULATED)]
        broken = view.broken.iloc[spread_rows(len(view.broken), SIMULATED)]
        return cls(((0, view.front), (1, dominated), (2, broken), (3, cloud)), len(view.cloud))

    def records(self, study: Study) -> list[list[Any]]:
        """[number, kind, values of parameters as text, objectives as text] of every design, in the order of groups."""
        names, columns = study.sweep.parameter_names, study.objective_columns
        result = []
        for kind, table in self.groups:
            for _, row in table.iterrows():
                values = [_measured(row, column, kind) for column in columns]
                result.append([int(row["point"]), kind, [value_text(row.get(name)) for name in names], values])
        return result


def _measured(row: pd.Series[Any], column: str, kind: int) -> str:
    text = value_text(row[column])
    if CLASSES[kind] != "analytical":
        return text
    return f"{text} ({value_text(row[f'{column}_low'])} to {value_text(row[f'{column}_high'])})"


@dataclass(frozen=True)
class _Axis:
    """Maps values to pixels."""

    low: float
    high: float
    logarithmic: bool
    start: float
    end: float

    @classmethod
    def over(cls, values: Any, start: float, end: float) -> _Axis:
        logarithmic = is_logarithmic(values)
        scaled = np.log(values) if logarithmic else values
        low, high = float(scaled.min()), float(scaled.max())
        margin = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
        return cls(low - margin, high + margin, logarithmic, start, end)

    def at(self, values: Any) -> Any:
        with np.errstate(all="ignore"):
            scaled = np.log(values) if self.logarithmic else np.asarray(values, dtype=np.float64)
        share = np.clip(np.nan_to_num((scaled - self.low) / (self.high - self.low)), 0.0, 1.0)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        ends = (float(np.exp(self.low)), float(np.exp(self.high))) if self.logarithmic else (self.low, self.high)
        subs = (1.0, 2.0, 5.0) if self.high - self.low < np.log(200) else (1.0,)
        found = LogLocator(10, subs).tick_values(*ends) if self.logarithmic else MaxNLocator(6).tick_values(*ends)
        return [float(value) for value in found if ends[0] <= value <= ends[1]]


def front_svgs(study: Study, view: View, drawn: Drawn) -> list[str]:
    """One picture for every two objectives; for a single one, its values in the order of evaluation."""
    labels, columns = axis_labels(study), study.objective_columns
    if len(columns) == 1:
        order = {entry.number: float(i + 1) for i, entry in enumerate(study.entries)}
        return [_svg(view, drawn, ("", columns[0]), ("evaluation", labels[0]), (700, 440), order, step=None)]
    size = (700, 440) if len(columns) == 2 else (520, 350)
    sign = study.sweep.objectives[0].sign if len(columns) == 2 else None
    return [
        _svg(view, drawn, (columns[i], columns[j]), (labels[i], labels[j]), size, None, sign)
        for i, j in combinations(range(len(columns)), 2)
    ]


def _svg(
    view: View, drawn: Drawn, columns: Sequence[str], labels: Sequence[str], size: tuple[int, int],
    order: dict[int, float] | None, step: float | None,
) -> str:  # fmt: skip
    width, height = size
    first = values_of(view, columns[0]) if order is None else np.array([1.0, max(2.0, *order.values())])
    x = _Axis.over(first, LEFT, width - RIGHT)
    y = _Axis.over(values_of(view, columns[1]), height - BOTTOM, TOP)
    places, index = [], 0
    for kind, table in drawn.groups:
        if order is not None and CLASSES[kind] == "analytical":
            continue
        if len(table):
            across = table["point"].map(order) if order is not None else table[columns[0]]
            places.append((kind, index, table, x.at(across), y.at(table[columns[1]])))
        index += len(table)
    parts = [_frame(x, y, labels, size)]
    marks = []
    for kind, start, table, across, down in places:
        if CLASSES[kind] == "analytical":
            parts.append(_bars(table.iloc[:BARS], columns, x, y))
        marks.append(_marks(kind, start, table, across, down, len(view.feasible) + len(view.broken) <= FOCUSED))
    if step is not None:
        parts.append(_step(places[0][3], places[0][4], step))
    parts += reversed(marks)
    name = f"{labels[1]} against {labels[0]}"
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="group" '
        f'aria-label="{escape(name)}">{"".join(parts)}</svg>'
    )


def _frame(x: _Axis, y: _Axis, labels: Sequence[str], size: tuple[int, int]) -> str:
    width, height = size
    parts = []
    for value in x.ticks():
        at = x.at(value)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{height - BOTTOM}"/>')
        parts.append(f'<text x="{at:.1f}" y="{height - BOTTOM + 16}" text-anchor="middle">{value:,.6g}</text>')
    for value in y.ticks():
        at = y.at(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{width - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{value:,.6g}</text>')
    parts.append(f'<path class="frame" fill="none" d="M{LEFT} {TOP}V{height - BOTTOM}H{width - RIGHT}"/>')
    middle = (TOP + height - BOTTOM) / 2
    parts.append(f'<text x="{(LEFT + width) / 2}" y="{height - 8}" text-anchor="middle">{escape(labels[0])}</text>')
    parts.append(
        f'<text transform="translate(13 {middle}) rotate(-90)" text-anchor="middle">{escape(labels[1])}</text>'
    )
    return "".join(parts)


def _bars(near: pd.DataFrame, columns: Sequence[str], x: _Axis, y: _Axis) -> str:
    across, down = x.at(near[columns[0]]), y.at(near[columns[1]])
    left, right = x.at(near[f"{columns[0]}_low"]), x.at(near[f"{columns[0]}_high"])
    low, high = y.at(near[f"{columns[1]}_low"]), y.at(near[f"{columns[1]}_high"])
    lines = [
        f"M{left[i]:.1f} {down[i]:.1f}H{right[i]:.1f}M{across[i]:.1f} {low[i]:.1f}V{high[i]:.1f}"
        for i in range(len(near))
    ]
    return f'<path class="bar" fill="none" d="{"".join(lines)}"/>'


def _step(across: Any, down: Any, sign: float) -> str:
    """The line through the front. Between two points the best is the one before where less is better along x
    (`sign` 1), else the one after."""
    order = np.lexsort((down, across))
    x, y = across[order], down[order]
    path = [f"M{x[0]:.1f} {y[0]:.1f}"]
    for i in range(1, len(x)):
        path.append(f"H{x[i]:.1f}V{y[i]:.1f}" if sign > 0 else f"V{y[i]:.1f}H{x[i]:.1f}")
    return f'<path class="step" d="{"".join(path)}"/>'


def _marks(kind: int, start: int, table: pd.DataFrame, across: Any, down: Any, all_focused: bool) -> str:
    radius = (5, 3.6, 3.6, 2.2)[kind]
    focus = ' tabindex="0" role="img"' if kind == 0 or (all_focused and kind < 3) else ""
    parts = []
    for i, number in enumerate(table["point"]):
        name = f' aria-label="point {number}, {KINDS[kind]}"' if focus else ""
        parts.append(
            f'<circle class="point {CLASSES[kind]}" data-i="{start + i}" cx="{across[i]:.1f}" cy="{down[i]:.1f}" '
            f'r="{radius}"{focus}{name}/>'
        )
    return "".join(parts)
