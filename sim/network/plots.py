"""Plots of a network: latency and accepted load over the offered load, and the load of its links on a map."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from cairn.hw_models.noc.network import Network
from cairn.sim.report.plot_style import FAINT, FONT_PT, GRID, INK, heading, new_figure, tidy, written

FloatArray = npt.NDArray[np.float64]

BLUE: Final = "#0072B2"
ORANGE: Final = "#D55E00"
"""Of the colour-blind-safe set of Okabe and Ito (2008), see plot_style."""
HEAT: Final = LinearSegmentedColormap.from_list("heat", ["#DCE9F2", "#56B4E9", "#E69F00", "#D55E00", "#7A1F00"])
TALLEST: Final = 4.0
"""Latencies above so many times that of an empty network are beyond the plot."""
APART: Final = 0.09
"""Distance of the two directions between a pair of routers, in routers."""
STUB: Final = np.array([0.34, 0.34])
"""What is drawn of a link that leads to another layer, upwards; one that leads downwards has the opposite direction."""
NUMBERED: Final = 144
"""Routers of at most so many are numbered."""


@dataclass(frozen=True)
class CurvePoint:
    """One load, over all seeds: flits per node and cycle offered and accepted; latency in cycles, mean and extremes."""

    offered: float
    accepted: float
    latency: float
    lowest: float
    highest: float
    saturated: bool


def plot_curve(
    points: Sequence[CurvePoint], title: str, note: str, saturation: float | None = None, path: str | Path | None = None
) -> Figure:
    """Latency over the offered load (bars: range over the seeds), and the accepted beside the offered load."""
    figure = new_figure(8.6, 3.6)
    latency, accepted = figure.subplots(1, 2)
    offered = np.array([point.offered for point in points])
    steady = np.array([not point.saturated for point in points])
    mean = np.array([point.latency for point in points])
    low = mean - np.array([point.lowest for point in points])
    high = np.array([point.highest for point in points]) - mean
    if steady.any():
        spread = np.stack([low, high])[:, steady]
        latency.errorbar(offered[steady], mean[steady], spread, color=BLUE, marker="o", ms=3.5, lw=1.4, elinewidth=1)
    floor = float(mean[steady].min()) if steady.any() else float(mean.min())
    latency.set_ylim(0, TALLEST * floor)
    for x in offered[~steady]:
        latency.plot(x, TALLEST * floor * 0.97, marker="^", color=ORANGE, ms=6, clip_on=False)
    latency.set_ylabel("mean packet latency (cycles)", fontsize=FONT_PT, color=INK)
    got = np.array([point.accepted for point in points])
    top = max(offered.max(), got.max()) * 1.05
    accepted.plot([0, top], [0, top], color=FAINT, lw=0.9, linestyle=(0, (4, 3)))
    accepted.plot(offered, got, color=BLUE, lw=1.4)
    accepted.plot(offered[steady], got[steady], color=BLUE, marker="o", ms=3.5, lw=0)
    accepted.plot(offered[~steady], got[~steady], color=ORANGE, marker="^", ms=6, lw=0)
    accepted.set_ylim(0, top)
    accepted.set_ylabel("accepted (flits/node/cycle)", fontsize=FONT_PT, color=INK)
    for axes in (latency, accepted):
        axes.set_xlim(0, offered.max() * 1.03)
        axes.set_xlabel("offered load (flits/node/cycle)", fontsize=FONT_PT, color=INK)
        if saturation is not None:
            axes.axvline(saturation, color=ORANGE, lw=1.1)
        tidy(axes, "both")
    heading(figure, title, note)
    return written(figure, path)


def plot_links(network: Network, load: FloatArray, title: str, note: str, path: str | Path | None = None) -> Figure:
    """Routers where they lie, and each directed link in the colour of `load` (links,), its busy share of the time.

    The link that leads to the right, or down, is the upper, or right, one of a pair. Links that close a ring are drawn
    as stubs at both ends, those that lead to another layer as a slanting stub.
    """
    place = network.place * [1, -1]
    size = np.ptp(place, axis=0) + 1
    scale = min(0.62, 9.0 / size[0], 8.0 / size[1])
    figure = new_figure(max(4.4, size[0] * scale + 1.4), max(3.0, size[1] * scale + 1.1))
    axes = figure.subplots()
    segments, colours = _segments(network, place, load)
    width = max(1.2, min(5.0, 72 * scale * 0.09))
    lines = LineCollection(segments, cmap=HEAT, norm=Normalize(0, max(float(load.max(initial=0)), 1e-9)), lw=width)
    lines.set_array(colours)
    axes.add_collection(lines)
    marker = max(8.0, min(220.0, (72 * scale * 0.36) ** 2))
    axes.scatter(place[:, 0], place[:, 1], s=marker, color="white", edgecolor=FAINT, lw=0.8, zorder=3)
    if network.routers <= NUMBERED:
        for number, (x, y) in enumerate(place.tolist()):
            axes.text(x, y, str(number), ha="center", va="center", fontsize=FONT_PT - 3, color=INK, zorder=4)
    axes.set_xlim(place[:, 0].min() - 0.7, place[:, 0].max() + 0.7)
    axes.set_ylim(place[:, 1].min() - 0.7, place[:, 1].max() + 0.7)
    axes.set_aspect("equal")
    axes.axis("off")
    bar = figure.colorbar(lines, ax=axes, shrink=0.75, pad=0.02)
    bar.set_label("busy share of the time", fontsize=FONT_PT, color=INK)
    bar.ax.tick_params(labelsize=FONT_PT - 1, colors=INK)
    bar.outline.set_edgecolor(GRID)
    heading(figure, title, note)
    return written(figure, path)


def _segments(network: Network, place: FloatArray, load: FloatArray) -> tuple[list[FloatArray], FloatArray]:
    """Line segments and their values: one for each link, two stubs for one that is longer than its neighbours."""
    begin, end = place[network.link_source], place[network.link_destination]
    along = end - begin
    length = np.linalg.norm(along, axis=1)
    unit = along / np.maximum(length, 1e-9)[:, None]
    aside = np.stack([-unit[:, 1], unit[:, 0]], axis=1) * APART
    is_grid = bool((network.link_direction > 0).any())
    segments: list[FloatArray] = []
    values: list[float] = []
    for link in range(network.links):
        a, b = begin[link] + aside[link], end[link] + aside[link]
        if network.link_dimension[link] > 1:
            pieces = [np.stack([begin[link], begin[link] + STUB * (1 - 2 * (network.link_direction[link] % 2))])]
        elif is_grid and length[link] > 1.5:  # it closes a ring: not drawn across the others
            away = -unit[link] * 0.5
            pieces = [np.stack([a, a + away]), np.stack([b - away, b])]
        else:
            pieces = [np.stack([a, b])]
        segments += pieces
        values += [float(load[link])] * len(pieces)
    return segments, np.array(values)
