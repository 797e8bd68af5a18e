"""The chip's roofline with every operator on it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation

from cairn.sim.report.labels import place_labels
from cairn.sim.report.plot_style import FAINT, FONT_PT, INK, colour, heading, new_figure, tidy, written
from cairn.sim.report.result import Result
from cairn.sim.report.summed import summed_operators
from cairn.sim.report.units import label, si

PREFIX_OF_EXPONENT: Final = {0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P", 18: "E"}
DOT_AREA: Final = (26.0, 900.0)
"""Area in points squared of the dots of operators with no and with all of the time."""


def roofline_points(result: Result) -> pd.DataFrame:
    """Operators with work, one row per name: `ops`, `dram_bytes`, `ops_per_byte` (inf without traffic), `ops_per_s`."""
    table = summed_operators(result.operators)
    points = table[["operator", "kind", "limiting", "time_us", "time_share"]].copy()
    points["ops"] = table["matrix_ops_required"] + table["vector_ops_required"]
    points["dram_bytes"] = table["dram_read_bytes"] + table["dram_write_bytes"]
    points = points[(points["ops"] > 0) & (points["time_us"] > 0)]
    traffic = points["dram_bytes"].astype(float).where(points["dram_bytes"] > 0)
    points["ops_per_byte"] = (points["ops"] / traffic).fillna(np.inf)
    points["ops_per_s"] = points["ops"] / (points["time_us"] * 1e-6)
    return points.sort_values("time_us", ascending=False).reset_index(drop=True)


def plot_roofline(result: Result, path: str | Path | None = None) -> Figure:
    """Operations per second over operations per DRAM byte (both logarithmic); dots grow with the time charged.

    An operator that moves nothing to or from DRAM stands on the strip at the right. One above the roof got its
    operands while earlier operators ran: the time charged to it is less than they took.
    """
    points = roofline_points(result)
    peaks = result.peaks
    figure = new_figure(8.6, 5.6)
    axes = figure.subplots()
    finite = points[np.isfinite(points["ops_per_byte"])]
    low, high, edge = _range(finite["ops_per_byte"], peaks.matrix_ops_per_s / peaks.dram_bytes_per_s)
    has_strip = len(finite) < len(points)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(low, edge if has_strip else high)
    bottom, top = _rates(points, peaks.matrix_ops_per_s, low * peaks.dram_bytes_per_s)
    axes.set_ylim(bottom, top)
    bandwidth_text = _roofs(axes, result, low, high)
    x = points["ops_per_byte"].where(np.isfinite(points["ops_per_byte"]), np.sqrt(high * edge)).to_numpy()
    y = points["ops_per_s"].to_numpy()
    area = DOT_AREA[0] + (DOT_AREA[1] - DOT_AREA[0]) * points["time_share"].to_numpy()
    axes.scatter(
        x, y, s=area, c=[colour(str(name)) for name in points["limiting"]], alpha=0.85, edgecolors="white",
        linewidths=0.8, zorder=3,
    )  # fmt: skip
    if has_strip:
        axes.axvspan(high, edge, color="#F3F3F3", zorder=0)
        axes.annotate(
            "no DRAM traffic", (np.sqrt(high * edge), top), xytext=(0, -6), textcoords="offset points", ha="center",
            va="top", rotation=90, fontsize=FONT_PT - 1, color=FAINT,
        )  # fmt: skip
    axes.set_xlabel("operations per byte moved to or from DRAM", fontsize=FONT_PT, color=INK)
    axes.set_ylabel("operations per second", fontsize=FONT_PT, color=INK)
    axes.yaxis.set_major_formatter(_rate_tick)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    tidy(axes, "both")
    _legend(axes, points)
    above = bool((finite["ops_per_s"] > 1.02 * _roof(result, finite["ops_per_byte"])).any())
    note = "dots grow with the time charged to the operator"
    if above:
        note += "; above the roof: loaded while earlier operators ran"
    heading(figure, f"{result.name}: roofline", note)
    _turn_to_slope(axes, bandwidth_text, peaks.dram_bytes_per_s)
    place_labels(axes, x, y, np.sqrt(area) / 2, [str(name) for name in points["operator"]])
    return written(figure, path)


def _roof(result: Result, intensity: pd.Series) -> pd.Series:
    peaks = result.peaks
    return (intensity * peaks.dram_bytes_per_s).clip(upper=peaks.matrix_ops_per_s)


def _range(intensity: pd.Series, ridge: float) -> tuple[float, float, float]:
    """Lowest and highest intensity shown, and the right edge of the strip for operators without traffic."""
    low = min(float(intensity.min()) if len(intensity) else ridge, ridge) / 4
    high = max(float(intensity.max()) if len(intensity) else ridge, ridge) * 20
    return low, high, high * (high / low) ** 0.08


def _rates(points: pd.DataFrame, peak: float, floor: float) -> tuple[float, float]:
    lowest = min(float(points["ops_per_s"].min()) if len(points) else floor, floor)
    highest = max(float(points["ops_per_s"].max()) if len(points) else peak, peak)
    return lowest / 3, highest * 4


def _rate_tick(value: float, _: object) -> str:
    exponent = 3 * int(np.floor(np.log10(value) / 3))
    return f"{value / 10**exponent:g} {PREFIX_OF_EXPONENT.get(exponent, f'e{exponent} ')}op/s"


def _roofs(axes: Axes, result: Result, low: float, high: float) -> Annotation:
    """Draw the roofs of matrix units, vector units and DRAM; answer the text that goes along the last."""
    peaks = result.peaks
    ridge = peaks.matrix_ops_per_s / peaks.dram_bytes_per_s
    x = np.array([low, ridge, high])
    axes.plot(x, np.minimum(x * peaks.dram_bytes_per_s, peaks.matrix_ops_per_s), color=INK, linewidth=1.5, zorder=2)
    vector_ridge = peaks.vector_ops_per_s / peaks.dram_bytes_per_s
    axes.plot(
        [max(vector_ridge, low), high], [peaks.vector_ops_per_s] * 2, color=INK, linewidth=1.0, linestyle=(0, (5, 3)),
        zorder=2,
    )  # fmt: skip
    for rate, text in ((peaks.matrix_ops_per_s, "matrix units"), (peaks.vector_ops_per_s, "vector units")):
        axes.annotate(
            f"{text} {si(rate, 'op/s')}", (high, rate), xytext=(-4, 3), textcoords="offset points", ha="right",
            va="bottom", fontsize=FONT_PT - 1, color=INK,
        )  # fmt: skip
    axes.annotate(
        f"ridge {ridge:.3g} op/B", (ridge, peaks.matrix_ops_per_s), xytext=(0, 4), textcoords="offset points",
        ha="right", va="bottom", fontsize=FONT_PT - 1, color=INK,
    )  # fmt: skip
    at = low * (ridge / low) ** 0.06
    return axes.annotate(
        f"DRAM {si(peaks.dram_bytes_per_s, 'B/s')}", (at, at * peaks.dram_bytes_per_s), xytext=(-3, 4),
        textcoords="offset points", rotation_mode="anchor", ha="left", va="bottom", fontsize=FONT_PT - 1, color=INK,
    )  # fmt: skip


def _turn_to_slope(axes: Axes, text: Annotation, bandwidth: float) -> None:
    """Turn the bandwidth's text to the slope that its roof has on the page, known once the page is laid out."""
    figure = axes.get_figure(root=True)
    if figure is not None:
        figure.canvas.draw()
    (x0, y0), (x1, y1) = axes.transData.transform([(1.0, bandwidth), (10.0, 10 * bandwidth)])
    text.set_rotation(float(np.degrees(np.arctan2(y1 - y0, x1 - x0))))


def _legend(axes: Axes, points: pd.DataFrame) -> None:
    names = list(dict.fromkeys(str(name) for name in points["limiting"] if name))
    handles = [
        Line2D([], [], marker="o", linestyle="", markersize=7, color=colour(name), label=label(name)) for name in names
    ]
    axes.legend(
        handles=handles, title="limited by", fontsize=FONT_PT, title_fontsize=FONT_PT, frameon=False, loc="upper left",
        alignment="left",
    )  # fmt: skip
