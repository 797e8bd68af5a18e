"""The look that all plots share."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLOURS: Final = {
    "matrix": "#0072B2",
    "lut": "#4B3F91",
    "vector": "#CC79A7",
    "dram": "#E69F00",
    "noc": "#009E73",
    "latency": "#8C8C8C",
}
"""Colour of each limiting resource: the colour-blind-safe set of Okabe and Ito (2008), an indigo, and a grey."""

OTHER_COLOURS: Final = ("#56B4E9", "#D55E00", "#F0E442", "#000000")
"""The rest of that set, for unit classes that a third party added."""

INK: Final = "#222222"
FAINT: Final = "#777777"
GRID: Final = "#E4E4E4"

FONT_PT: Final = 9.0
DPI: Final = 150


def colour(name: str) -> str:
    """Colour of a unit class or limiting resource; always the same one for the same name."""
    if name in COLOURS:
        return COLOURS[name]
    return OTHER_COLOURS[sum(name.encode()) % len(OTHER_COLOURS)]


def new_figure(width_in: float, height_in: float) -> Figure:
    """A figure of its own, outside pyplot, so that nothing has to be closed."""
    figure = Figure(figsize=(width_in, height_in), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def tidy(axes: Axes, grid: Literal["x", "y", "both"]) -> None:
    """Remove the frame but for the axes that are read; light grid lines along `grid`."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
    axes.tick_params(labelsize=FONT_PT, colors=INK, length=3)
    axes.set_axisbelow(True)
    axes.grid(True, axis=grid, color=GRID, linewidth=0.8)


def heading(figure: Figure, title: str, note: str = "") -> None:
    """Title at the upper left, a grey line of explanation under it."""
    figure.suptitle(
        title + ("\n" if note else ""), x=0.012, ha="left", fontsize=FONT_PT + 2, fontweight="bold", color=INK
    )
    if note:
        height = figure.get_figheight()
        figure.text(0.012, 1 - 0.36 / height, note, fontsize=FONT_PT - 0.5, color=FAINT, va="top", ha="left")


def written(figure: Figure, path: str | Path | None) -> Figure:
    """Write the figure as PNG when a path is given; answer the figure."""
    if path is not None:
        figure.savefig(path, dpi=DPI, format="png", metadata={"Software": "cairn"})
    return figure
