"""The picture of a front: simulated points, what they dominate, and the analytical cloud with its error bars."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from cairn.dse.views import View, axis_labels, is_logarithmic, nothing_to_draw, spread_rows
from cairn.sim.report.plot_style import FONT_PT, INK, heading, new_figure, tidy, written

if TYPE_CHECKING:
    from cairn.dse.objectives import Objective
    from cairn.dse.study import Study

FRONT, DOMINATED, BROKEN, CLOUD, BAR = "#D55E00", "#0072B2", "#8C8C8C", "#BFC7CC", "#9FB6C4"
"""Colours of the groups: two of Okabe and Ito's, greys."""
BARS: Final = 60
"""Analytical designs with an error bar: the nearest to the front; more would hide each other."""
CLOUD_SHOWN: Final = 20_000
"""Dots of the cloud that are drawn; beyond, they are taken at equal distances from the nearest to the farthest."""
LABEL_GAP: Final = 0.045
"""Distance between numbered points, as a share of the axes; nearer ones stay without number."""


def plot_front(study: Study, path: str | Path | None = None) -> Figure:
    """Every two objectives against each other; one objective alone in the order of evaluation."""
    view = View.of(study)
    if not len(view.front):
        return said(f"{study.sweep.name}: front", nothing_to_draw(study), path)
    count, labels = len(study.sweep.objectives), axis_labels(study)
    pairs = list(combinations(range(count), 2))
    columns = min(3, max(1, len(pairs)))
    rows = -(-len(pairs) // columns) if pairs else 1
    figure = new_figure(7.4 if columns == 1 else 4.7 * columns, 0.9 + (4.9 if rows == columns == 1 else 3.9 * rows))
    panels = np.atleast_1d(figure.subplots(rows, columns, squeeze=False)).ravel()
    for axes, (i, j) in zip(panels, pairs, strict=False):
        first, second = study.sweep.objectives[i], study.sweep.objectives[j]
        _panel(axes, view, first, second, step=count == 2)
        axes.set_xlabel(labels[i], fontsize=FONT_PT, color=INK)
        axes.set_ylabel(labels[j], fontsize=FONT_PT, color=INK)
    for axes in panels[max(1, len(pairs)) :]:
        axes.set_visible(False)
    if not pairs:
        _history(panels[0], study, view)
        panels[0].set_ylabel(labels[0], fontsize=FONT_PT, color=INK)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower left", ncols=2, frameon=False, fontsize=FONT_PT - 0.5)
    heading(figure, f"{study.sweep.name}: front", subtitle(study, view))
    return written(figure, path)


def _panel(axes: Axes, view: View, first: Objective, second: Objective, step: bool) -> None:
    x, y = first.column, second.column
    for axis, column in ((axes.xaxis, x), (axes.yaxis, y)):
        scale_axis(axes, axis, values_of(view, column))
    _cloud(axes, view.cloud, x, y)
    if len(view.broken):
        axes.scatter(
            view.broken[x], view.broken[y], marker="x", s=16, linewidths=0.8, color=BROKEN, zorder=3,
            label=f"{len(view.broken):,} simulated, break a constraint",
        )  # fmt: skip
    if len(view.dominated):
        axes.scatter(
            view.dominated[x], view.dominated[y], s=15, color=DOMINATED, alpha=0.75, linewidths=0, zorder=4,
            label=f"{len(view.dominated):,} simulated, dominated",
        )  # fmt: skip
    front = view.front.sort_values([x, y])
    if step and len(front) > 1:
        # Between two points the best is the one before where less is better along x, else the one after.
        style = "steps-post" if first.sign == 1 else "steps-pre"
        axes.plot(front[x], front[y], color=FRONT, linewidth=1.2, drawstyle=style, zorder=5)
    axes.scatter(
        front[x], front[y], s=30, color=FRONT, edgecolors="white", linewidths=0.6, zorder=6,
        label=f"{len(front):,} simulated, on the front (with number)",
    )  # fmt: skip
    tidy(axes, "both")
    _numbers(axes, front, x, y)


def _cloud(axes: Axes, cloud: pd.DataFrame, x: str, y: str) -> None:
    """Dots of all designs of the cloud, bars of the nearest."""
    if not len(cloud):
        return
    dots = cloud.iloc[spread_rows(len(cloud), CLOUD_SHOWN)]
    size = 9 if len(dots) < 500 else 4
    axes.scatter(
        dots[x], dots[y], s=size, color=CLOUD, linewidths=0, alpha=0.7 if len(dots) < 3000 else 0.45, zorder=1,
        label=f"{len(dots):,} analytical, corrected",
    )  # fmt: skip
    near = cloud.iloc[:BARS]
    spans = [
        np.abs(np.vstack((near[name] - near[f"{name}_low"], near[f"{name}_high"] - near[name]))) for name in (x, y)
    ]
    axes.errorbar(
        near[x], near[y], xerr=spans[0], yerr=spans[1], fmt="o", markersize=2.2, color=BAR, elinewidth=0.7, zorder=2,
        label=f"error bars (1 s.d.) of the {len(near):,} nearest the front",
    )  # fmt: skip


def _numbers(axes: Axes, front: pd.DataFrame, x: str, y: str) -> None:
    """Numbers beside the points of a front where they do not cover each other."""
    taken: list[Any] = []
    axes.autoscale_view()
    to_share = axes.transData + axes.transAxes.inverted()
    for number, place in zip(front["point"], front[[x, y]].to_numpy(dtype=np.float64), strict=True):
        at = to_share.transform(place)
        if all(np.hypot(*(at - other)) > LABEL_GAP for other in taken):
            taken.append(at)
            axes.annotate(
                f"{number}", (place[0], place[1]), xytext=(4, 4), textcoords="offset points",
                fontsize=FONT_PT - 2, color=INK, zorder=7,
            )  # fmt: skip


def _history(axes: Axes, study: Study, view: View) -> None:
    """One objective: values in the order of evaluation, and the best so far."""
    objective = study.sweep.objectives[0]
    order = {entry.number: i + 1 for i, entry in enumerate(study.entries)}
    column = objective.column
    scale_axis(axes, axes.yaxis, values_of(view, column))
    for part, marker, colour, name in (
        (view.broken, "x", BROKEN, "break a constraint"), (view.dominated, "o", DOMINATED, "worse"),
        (view.front, "o", FRONT, "best"),
    ):  # fmt: skip
        if len(part):
            at = part["point"].map(order)
            axes.scatter(at, part[column], s=18, marker=marker, color=colour, label=f"{len(part):,} simulated, {name}")
    feasible = view.feasible.assign(order=view.feasible["point"].map(order)).sort_values("order")
    best = np.minimum.accumulate(feasible[column] * objective.sign) * objective.sign
    axes.plot(feasible["order"], best, drawstyle="steps-post", color=FRONT, linewidth=1.2)
    axes.set_xlabel("evaluation", fontsize=FONT_PT, color=INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    tidy(axes, "both")


def values_of(view: View, column: str) -> Any:
    """All values (n,) of an objective that a picture shows."""
    parts = [part[column].to_numpy(dtype=np.float64) for part in (view.feasible, view.broken, view.cloud) if len(part)]
    return np.concatenate(parts) if parts else np.empty(0)


def scale_axis(axes: Axes, axis: Any, values: Any) -> None:
    """Logarithmic where values span ratios, with plain numbers at the ticks."""
    if is_logarithmic(values):
        (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log")
        wide = values.max() / values.min() > 200
        axis.set_major_locator(LogLocator(10, (1.0,) if wide else (1.0, 2.0, 5.0)))
        axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))


def subtitle(study: Study, view: View) -> str:
    """How many designs, by which method, and what is not in the picture."""
    text = f"{len(study.entries):,} of {study.sweep.space.size:,} designs simulated ({study.method.value})"
    if view.unseen:
        text += f"; {view.unseen:,} without values (refused or failed) are not drawn"
    return text


def said(title: str, text: str, path: str | Path | None) -> Figure:
    """A figure that says why it draws nothing."""
    figure = new_figure(7.4, 2.2)
    axes = figure.subplots()
    axes.set_axis_off()
    axes.text(0.0, 0.55, text, fontsize=FONT_PT + 1, color=INK, va="center", ha="left", wrap=True)
    heading(figure, title)
    return written(figure, path)
