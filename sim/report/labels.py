"""Labels beside dots that overlap neither each other nor the dots."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import Bbox

from cairn.sim.report.plot_style import FAINT, FONT_PT, INK

FloatArray = npt.NDArray[np.float64]

_DIRECTIONS: Final = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
_DISTANCES_PT: Final = (3.0, 10.0, 20.0, 32.0, 46.0)
_STEP_PX: Final = 4.0
_LEADER_FROM_PT: Final = 12.0
"""A label farther than this from its dot gets a thin line to it."""


def place_labels(axes: Axes, x: FloatArray, y: FloatArray, radius_pt: FloatArray, names: list[str]) -> list[str]:
    """Write each name beside its dot, the first names first; names that find no free place are left out and returned.

    `x`, `y` are data coordinates, `radius_pt` the dots' radii in points. Labels keep clear of the dots, of each other,
    of texts, of the legend and of the lines drawn so far.
    """
    figure = axes.get_figure(root=True)
    if figure is None:
        raise ValueError("axes without a figure")
    figure.canvas.draw()
    px_per_pt = figure.dpi / 72
    centre = axes.transData.transform(np.column_stack((x, y)))
    radius = radius_pt * px_per_pt
    taken = [Bbox.from_extents(cx - r, cy - r, cx + r, cy + r) for (cx, cy), r in zip(centre, radius, strict=True)]
    taken += [text.get_window_extent() for text in axes.texts]
    taken += [box for line in axes.lines for box in _along(axes, line)]
    legend = axes.get_legend()
    if legend is not None:
        taken.append(legend.get_window_extent())
    inside = axes.get_window_extent()
    left_out = []
    for index, name in enumerate(names):
        text = axes.annotate(name, (0, 0), xycoords="figure pixels", fontsize=FONT_PT - 1, color=INK, zorder=4)
        box = text.get_window_extent()
        place = _free_place(centre[index], float(radius[index]), box.width, box.height, taken, inside, px_per_pt)
        if place is None:
            text.remove()
            left_out.append(name)
            continue
        low, distance_pt = place
        taken.append(Bbox.from_bounds(low[0], low[1], box.width, box.height))
        offset = (low - centre[index]) / px_per_pt
        text.remove()
        axes.annotate(
            name, (x[index], y[index]), xytext=(float(offset[0]), float(offset[1])), textcoords="offset points",
            fontsize=FONT_PT - 1, color=INK, ha="left", va="bottom", zorder=4,
            arrowprops={"arrowstyle": "-", "color": FAINT, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 0,
                        "relpos": (0.5, 0.5)} if distance_pt > _LEADER_FROM_PT else None,
        )  # fmt: skip
    return left_out


def _along(axes: Axes, line: Line2D) -> list[Bbox]:
    """Small boxes along a drawn line, close enough that no label slips between them."""
    corners = axes.transData.transform(np.asarray(line.get_xydata(), dtype=float))
    boxes = []
    for a, b in pairwise(corners):
        count = max(int(np.hypot(*(b - a)) / _STEP_PX), 1)
        corners_px = (a + (b - a) * part / count - 1 for part in range(count + 1))
        boxes += [Bbox.from_bounds(float(low[0]), float(low[1]), 2, 2) for low in corners_px]
    return boxes


def _free_place(
    centre: FloatArray, radius: float, width: float, height: float, taken: list[Bbox], inside: Bbox, px_per_pt: float
) -> tuple[FloatArray, float] | None:
    """Lower left corner of the nearest free box beside a dot, and its distance in points."""
    for distance_pt, (right, up) in product(_DISTANCES_PT, _DIRECTIONS):
        reach = radius + distance_pt * px_per_pt
        if right and up:
            reach *= np.sqrt(0.5)
        middle = centre + np.array([right * (reach + width / 2), up * (reach + height / 2)])
        low = middle - np.array([width / 2, height / 2])
        box = Bbox.from_bounds(low[0], low[1], width, height)
        fits = inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1
        if fits and not any(_overlap(box, other) for other in taken):
            return low, distance_pt
    return None


def _overlap(a: Bbox, b: Bbox) -> bool:
    return bool(a.x0 < b.x1 and b.x0 < a.x1 and a.y0 < b.y1 and b.y0 < a.y1)
