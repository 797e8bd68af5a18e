"""The crossover plot: what cores, Logic-PIM and bank PIM reach over operations per byte, and where operators stand."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cairn.base.errors import ConfigError
from cairn.hw_models.pim.duplex import DuplexSpec, Unit
from cairn.sim.pim.crossover import LEAST, MOST, Work, crossings, rates
from cairn.sim.report.plot_style import FAINT, FONT_PT, GRID, INK, heading, new_figure, tidy, written

UNITS: Final = {
    Unit.CORES: ("cores", "#0072B2"), Unit.LOGIC: ("Logic-PIM", "#009E73"), Unit.BANK: ("bank PIM", "#D55E00"),
}  # fmt: skip
"""Name and colour; colours are of the colour-blind-safe set of Okabe and Ito (2008), see plot_style."""
TITLES: Final = {Work.WEIGHTS: "products of weights: dense, experts", Work.KEYS: "decode attention"}
MARKERS: Final = ("o", "s", "^", "v", "P", "X", "*")
"""One for each batch, from the smallest."""
LINE_IN: Final = 0.46
"""Inches that a model takes."""
TERA: Final = 1e12


def plot_crossover(spec: DuplexSpec, operators: pd.DataFrame, path: str | Path | None = None) -> Figure:
    """Rates of the units over operations per byte, rings where one passes another, and below them the operators.

    `operators` is the table of `operators_by_intensity`; experts are drawn from the least to the most loaded, a marker
    at their mean over steps. ConfigError for more batches than there are markers, and for no operators.
    """
    batches = sorted(operators["batch"].unique())
    models = list(dict.fromkeys(operators["model"]))
    if not batches or len(batches) > len(MARKERS):
        message = f"give operators of 1 to {len(MARKERS)} batches, not of {len(batches)}"
        raise ConfigError(message, key="operators")
    markers = dict(zip(batches, MARKERS, strict=False))
    figure = new_figure(11.0, 4.4 + LINE_IN * len(models))
    ratios = {"height_ratios": [3.4, 0.4 + LINE_IN * len(models)]}
    sheet = figure.subplots(2, 2, sharex=True, sharey="row", gridspec_kw=ratios)
    for column, work in enumerate(Work):
        upper, lower = sheet[0][column], sheet[1][column]
        _curves(upper, spec, work)
        upper.text(0.03, 0.95, TITLES[work], transform=upper.transAxes, va="top", fontsize=FONT_PT + 1, color=INK)
        _strip(lower, operators[operators["work"] == work.value], models, markers)
        for crossing in crossings(spec, work):
            lower.axvline(crossing.ops_per_byte, color=FAINT, linewidth=0.8, linestyle=":", zorder=1)
        lower.set_xlabel("operations per byte", fontsize=FONT_PT, color=INK)
    sheet[0][0].set_ylabel("Tera-operations per second", fontsize=FONT_PT, color=INK)
    _legends(sheet[0][0], sheet[0][1], markers)
    heading(figure, "Which unit for which operator?", "rings: where one unit passes another, in operations per byte")
    return written(figure, path)


def _curves(axes: Axes, spec: DuplexSpec, work: Work) -> None:
    """Rates of the three units, and a ring with its operations per byte at each crossing."""
    x = np.geomspace(LEAST, MOST, 400)
    reached = rates(spec, work, x)
    for unit, (_, colour) in UNITS.items():
        axes.plot(x, reached[unit] / TERA, color=colour, linewidth=1.8, zorder=3)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for crossing in crossings(spec, work):
        place = (crossing.ops_per_byte, crossing.ops_per_s / TERA)
        axes.axvline(place[0], color=FAINT, linewidth=0.8, linestyle=":", zorder=1)
        axes.plot(*place, "o", markersize=10, fillstyle="none", color=UNITS[crossing.above][1], zorder=4)
        axes.annotate(
            f"{place[0]:.3g}", place, xytext=(-6, 5), textcoords="offset points", ha="right", va="bottom",
            fontsize=FONT_PT, color=INK,
        )  # fmt: skip
    tidy(axes, "both")


def _strip(axes: Axes, operators: pd.DataFrame, models: list[str], markers: dict[int, str]) -> None:
    """A line for each model: its attention, dense products and, lower for larger batches, experts."""
    groups = operators.groupby(["model", "batch", "kind"], sort=False)
    for model, batch, kind in operators[["model", "batch", "kind"]].drop_duplicates().itertuples(index=False):
        own, number = groups.get_group((model, batch, kind)), list(markers).index(batch)
        y = models.index(model) + {"experts": 0.6 * number / len(markers), "dense": -0.25}.get(kind, 0.0)
        loads = own["ops_per_byte"]
        if kind == "attention":
            axes.plot(loads, [y] * len(loads), "d", markersize=7, color=INK, zorder=3)
            continue
        axes.plot([loads.min(), loads.max()], [y, y], color=FAINT, linewidth=1.2, zorder=2)
        face, mean = INK if kind == "experts" else "white", float(np.average(loads, weights=own["count"]))
        axes.plot(mean, y, markers[batch], markersize=5.5, color=INK, markerfacecolor=face, zorder=3)
    axes.set_yticks(range(len(models)), models)
    for border in range(1, len(models)):
        axes.axhline(border - 0.45, color=GRID, linewidth=0.8, zorder=1)
    axes.set_ylim(len(models) - 0.45, -0.5)
    tidy(axes, "x")


def _legends(left: Axes, right: Axes, markers: dict[int, str]) -> None:
    units = [Line2D([], [], color=colour, linewidth=1.8, label=name) for name, colour in UNITS.values()]
    left.legend(handles=units, loc="lower right", fontsize=FONT_PT, frameon=False)
    marks = [
        Line2D([], [], linestyle="", marker=marker, color=INK, label=f"batch {batch}")
        for batch, marker in markers.items()
    ]
    kinds = [
        Line2D([], [], linestyle="", marker=marker, color=INK, markerfacecolor=face, label=label)
        for marker, face, label in (
            ("o", "white", "dense"), ("o", INK, "experts: mean; line: least to most"),
            ("d", INK, "attention, any batch"),
        )
    ]  # fmt: skip
    right.legend(handles=[*marks, *kinds], loc="lower right", fontsize=FONT_PT, frameon=False)
