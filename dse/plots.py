"""Pictures of a study beside its front: importance of parameters, parallel coordinates, slices, refusals."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cairn.dse.importance import importance
from cairn.dse.plot_front import BROKEN, CLOUD, DOMINATED, FRONT, said, scale_axis, subtitle, values_of
from cairn.dse.space import FloatArray, Parameter
from cairn.dse.views import (
    View,
    axis_labels,
    is_logarithmic,
    nothing_to_draw,
    positions,
    short_names,
    spread_rows,
    value_text,
)
from cairn.sim.report.plot_style import FAINT, FONT_PT, GRID, INK, heading, new_figure, tidy, written

if TYPE_CHECKING:
    from cairn.dse.study import Study

LINES: Final = 600
"""Designs that parallel coordinates show beside the front."""
TICKS: Final = 8
"""Values of a parameter that are written at an axis."""
SLICED: Final = 10
"""Parameters that slices show: the first ones."""
REASONS: Final = 16
"""Constraints with a bar of their own."""
COLOURS: Final = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")
"""Of objectives: Okabe and Ito's."""


def plot_importance(study: Study, path: str | Path | None = None) -> Figure:
    """For each objective, a bar for each parameter: see `cairn.dse.importance`."""
    title = f"{study.sweep.name}: which parameters matter"
    found = importance(study)
    if not len(found.shares):
        text = (
            f"{found.designs:,} designs have values; {found.needed:,} are needed to tell the "
            f"{len(study.sweep.space.names)} parameters apart."
        )
        return said(title, text, path)
    shares = found.shares.loc[found.shares.mean(axis=1).sort_values(ascending=False).index]
    names, labels = short_names(study.sweep.space.names), axis_labels(study)
    figure = new_figure(7.4, 1.7 + 0.14 * len(shares) + 0.17 * shares.size)
    axes = figure.subplots()
    height = 0.8 / len(shares.columns)
    for i, column in enumerate(shares.columns):
        y = np.arange(len(shares)) + (i - (len(shares.columns) - 1) / 2) * height
        legend = f"{labels[i]}: {found.explained[column]:.0%} explained by all together"
        axes.barh(y, 100 * shares[column], height=0.9 * height, color=COLOURS[i], label=legend)
        for place, share in zip(y, shares[column], strict=True):
            axes.annotate(
                f"{share:.1%}", (100 * share, place), xytext=(4, 0), textcoords="offset points", va="center",
                fontsize=FONT_PT - 1.5, color=FAINT,
            )  # fmt: skip
    axes.set_yticks(range(len(shares)), [names[name] for name in shares.index])
    axes.set_ylim(len(shares) - 0.5, -0.5)
    axes.set_xlim(0, 1.12 * max(1.0, 100 * float(shares.to_numpy().max())))
    axes.set_xlabel("variance of the ranks lost without the parameter (%)", fontsize=FONT_PT, color=INK)
    tidy(axes, "x")
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside lower left", ncols=1, frameon=False, fontsize=FONT_PT - 0.5)
    which = "analytical designs, corrected" if found.analytical else "simulated designs"
    note = f"Additive model of ranks, quadratic in numbers, less what chance explains; {found.designs:,} {which}"
    heading(figure, title, note)
    return written(figure, path)


def plot_parallel(study: Study, path: str | Path | None = None) -> Figure:
    """An axis for each parameter and objective, a line for each feasible design, the front in colour."""
    view, title = View.of(study), f"{study.sweep.name}: designs from parameters to objectives"
    if not len(view.front):
        return said(title, nothing_to_draw(study), path)
    parameters, columns = _parameters(study), list(study.objective_columns)
    count = len(parameters) + len(columns)
    figure = new_figure(max(7.4, 1.5 * count), 4.9)
    axes = figure.subplots()
    others = view.dominated.iloc[spread_rows(len(view.dominated), LINES)]
    ranges = {column: _range(view.feasible[column].to_numpy(dtype=np.float64)) for column in columns}
    for table, style in (
        (others, {"colors": CLOUD, "linewidths": 0.7, "alpha": 0.7}),
        (view.front, {"colors": FRONT, "linewidths": 1.2, "alpha": 0.85}),
    ):
        if len(table):
            heights = np.column_stack(
                [_heights(parameter, table[parameter.name]) for parameter in parameters]
                + [_objective_heights(table[column].to_numpy(dtype=np.float64), ranges[column]) for column in columns]
            )
            lines = [np.column_stack((np.arange(count), row)) for row in heights]
            axes.add_collection(LineCollection(lines, **style))  # type: ignore[arg-type]
    for i, parameter in enumerate(parameters):
        _axis(axes, i, [(float(y), text) for y, text in _parameter_ticks(parameter)])
    for i, column in enumerate(columns):
        _axis(axes, len(parameters) + i, _objective_ticks(ranges[column]))
    names = list(short_names(study.sweep.parameter_names).values())
    axes.set_xticks(range(count), [_wrapped(name) for name in (*names, *axis_labels(study))], fontsize=FONT_PT)
    axes.set_xlim(-0.15, count - 1 + 0.6)
    axes.set_ylim(-0.04, 1.04)
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    axes.tick_params(axis="x", length=0, pad=8, colors=INK)
    handles = [
        Line2D([], [], color=FRONT, linewidth=1.4, label=f"{len(view.front):,} on the front"),
        Line2D([], [], color=CLOUD, linewidth=1.4, label=f"{len(others):,} of {len(view.dominated):,} dominated"),
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=2, frameon=False, fontsize=FONT_PT)
    heading(figure, title, subtitle(study, view))
    return written(figure, path)


def _parameters(study: Study) -> tuple[Parameter, ...]:
    """Those that are searched, then the inner ones."""
    return (*study.sweep.space.parameters, *study.sweep.inner.parameters)


def _heights(parameter: Parameter, column: Any) -> FloatArray:
    """Places of values between 0 and 1; NaN (a gap in the line) where the parameter does not count."""
    return np.asarray(positions(parameter, column) / max(1, len(parameter.values) - 1))


def _range(values: FloatArray) -> tuple[float, float, bool]:
    """Least and greatest value, and whether the axis between them is logarithmic."""
    return float(values.min()), float(values.max()), is_logarithmic(values)


def _objective_heights(values: FloatArray, span: tuple[float, float, bool]) -> FloatArray:
    low, high, logarithmic = span
    if low == high:
        return np.full(len(values), 0.5)
    if logarithmic:
        return np.asarray(np.log(values / low) / np.log(high / low))
    return np.asarray((values - low) / (high - low))


def _objective_ticks(span: tuple[float, float, bool]) -> list[tuple[float, str]]:
    low, high, logarithmic = span
    if low == high:
        return [(0.5, value_text(low))]
    heights = np.linspace(0, 1, 5)
    values = low * (high / low) ** heights if logarithmic else low + (high - low) * heights
    return [(float(y), value_text(float(f"{value:.3g}"))) for y, value in zip(heights, values, strict=True)]


def _parameter_ticks(parameter: Parameter) -> list[tuple[float, str]]:
    count = len(parameter.values)
    return [(i / max(1, count - 1), _short(parameter.labels[i])) for i in spread_rows(count, TICKS)]


def _short(label: Any, most: int = 18) -> str:
    text = value_text(label)
    return text if len(text) <= most else text[: most - 1] + "…"


def _axis(axes: Axes, x: int, ticks: list[tuple[float, str]]) -> None:
    axes.axvline(x, color=FAINT, linewidth=0.9, zorder=3)
    for y, text in ticks:
        axes.plot([x - 0.02, x + 0.02], [y, y], color=FAINT, linewidth=0.9, zorder=3)
        axes.annotate(
            text, (x, y), xytext=(5, 0), textcoords="offset points", va="center", fontsize=FONT_PT - 1.5, color=INK,
            zorder=4, bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
        )  # fmt: skip


def _wrapped(name: str, width: int = 15) -> str:
    """A long name over several lines, broken at underscores and spaces."""
    if len(name) <= width:
        return name
    lines = [""]
    for part in name.replace("_", "_\0").replace(" ", " \0").split("\0"):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line.strip() for line in lines)


def plot_slices(study: Study, path: str | Path | None = None) -> Figure:
    """Every objective against every parameter, whatever the other parameters are."""
    view, title = View.of(study), f"{study.sweep.name}: objectives against parameters"
    if not len(view.front):
        return said(title, nothing_to_draw(study), path)
    parameters, objectives = _parameters(study)[:SLICED], study.sweep.objectives
    names, labels = short_names(study.sweep.parameter_names), axis_labels(study)
    figure = new_figure(max(7.4, 1.2 + 2.3 * len(parameters)), 1.3 + 2.2 * len(objectives))
    grid = figure.subplots(len(objectives), len(parameters), squeeze=False, sharey="row", sharex="col")
    for row, objective in enumerate(objectives):
        scale_axis(grid[row, 0], grid[row, 0].yaxis, values_of(view, objective.column))
        grid[row, 0].set_ylabel(labels[row], fontsize=FONT_PT, color=INK)
        for column, parameter in enumerate(parameters):
            _slice(grid[row, column], view, parameter, objective.column)
    for column, parameter in enumerate(parameters):
        places = spread_rows(len(parameter.values), 6)
        texts = [_short(parameter.labels[i], 12) for i in places]
        slanted = sum(map(len, texts)) > 22
        grid[-1, column].set_xticks(
            places, texts, rotation=40 if slanted else 0, ha="right" if slanted else "center",
            rotation_mode="anchor" if slanted else None,
        )  # fmt: skip
        grid[-1, column].set_xlim(-0.6, len(parameter.values) - 0.4)
        grid[-1, column].set_xlabel(_wrapped(names[parameter.name], 24), fontsize=FONT_PT, color=INK)
    handles, texts = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside lower left", ncols=4, frameon=False, fontsize=FONT_PT - 0.5)
    left_out = len(_parameters(study)) - len(parameters)
    note = subtitle(study, view) + (f"; {left_out} more parameters not shown" if left_out else "")
    heading(figure, title, note)
    return written(figure, path)


def _slice(axes: Axes, view: View, parameter: Parameter, column: str) -> None:
    """Each group a little beside the other, so that they do not cover each other."""
    cloud = view.cloud.iloc[spread_rows(len(view.cloud), 4000)]
    for table, shift, colour, size, marker, name in (
        (cloud, -0.24, CLOUD, 5, "o", f"{len(cloud):,} of {len(view.cloud):,} analytical"),
        (view.broken, 0.24, BROKEN, 13, "x", f"{len(view.broken):,} break a constraint"),
        (view.dominated, -0.08, DOMINATED, 11, "o", f"{len(view.dominated):,} dominated"),
        (view.front, 0.08, FRONT, 20, "o", f"{len(view.front):,} on the front"),
    ):
        if len(table) and parameter.name in table:  # the cheap tier does not say which inner choice was best
            x = positions(parameter, table[parameter.name]) + shift
            thin = {"linewidths": 0.8} if marker == "x" else {"linewidths": 0}
            axes.scatter(x, table[column], s=size, color=colour, marker=marker, alpha=0.8, label=name, **thin)
    tidy(axes, "y")


def plot_refusals(study: Study, path: str | Path | None = None) -> Figure:
    """How many designs each constraint refused, and by how much they missed it."""
    title, table = f"{study.sweep.name}: what refused designs", study.refusals
    if not len(table):
        failed = study.counts["failed"]
        text = f"No constraint refused any of the {len(study.entries):,} designs evaluated."
        return said(title, text + (f"\n{failed:,} failed with an error." if failed else ""), path)
    counts = table.groupby("constraint")["point"].nunique().sort_values(ascending=False)
    shown = counts.iloc[:REASONS]
    figure = new_figure(7.4, 1.5 + 0.46 * len(shown))
    axes = figure.subplots()
    axes.barh(range(len(shown)), shown, height=0.62, color="#CC79A7")
    for y, (constraint, number) in enumerate(shown.items()):
        text = f"{number:,}{_gaps(table[table['constraint'] == constraint])}"
        axes.annotate(
            text, (number, y), xytext=(5, 0), textcoords="offset points", va="center", fontsize=FONT_PT - 1, color=INK
        )
    names = [textwrap.fill(textwrap.shorten(str(name), 100, placeholder="…"), 34) for name in shown.index]
    axes.set_yticks(range(len(shown)), names)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, 2.5 * float(shown.max()))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("designs refused", fontsize=FONT_PT, color=INK)
    tidy(axes, "x")
    axes.grid(True, axis="x", color=GRID)
    axes.tick_params(axis="y", length=0)
    refused = table["point"].nunique()
    more = len(counts) - len(shown)
    note = f"{refused:,} of {len(study.entries):,} designs refused; one may break several constraints"
    heading(figure, title, note + (f"; {more} rarer constraints not shown" if more else ""))
    return written(figure, path)


def _gaps(rows: pd.DataFrame) -> str:
    """By which share of the bound the designs missed a constraint: median and greatest."""
    bound = rows["bound"].to_numpy(dtype=np.float64)
    shares = np.abs(rows["gap"].to_numpy(dtype=np.float64)) / np.where(bound == 0, np.nan, np.abs(bound))
    known = shares[np.isfinite(shares)]
    return f"  (median miss {np.median(known):.0%} of the bound, worst {known.max():,.0%})" if len(known) else ""
