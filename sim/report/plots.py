"""Plots of one run: where the time goes by operator, and how busy the units were over time."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from cairn.sim.report.operators import LATENCY
from cairn.sim.report.plot_style import FAINT, FONT_PT, INK, colour, heading, new_figure, tidy, written
from cairn.sim.report.result import Result
from cairn.sim.report.series import utilisation_series
from cairn.sim.report.summed import summed_operators, time_by_limit
from cairn.sim.report.units import label, si_time

BARS: Final = 18
"""Operators with a bar of their own; what is left shares one."""

VISIBLE: Final = 0.005
"""Share of the longest bar below which a bar cannot be seen: no mark for its bound, no entry in the legend."""


def plot_operators(result: Result, path: str | Path | None = None) -> Figure:
    """A bar of time per operator, coloured by what limits it, with its speed of light as a black line."""
    table = summed_operators(result.operators)
    shown = set(table.nlargest(BARS, "time_us").index)
    rows = [row for index, row in table.iterrows() if index in shown]
    names = [str(row["operator"]) for row in rows]
    parts = time_by_limit(result.operators, [(str(row["operator"]), str(row["kind"])) for row in rows])
    rest = table.drop(index=list(shown))
    figure = new_figure(8.6, 1.9 + 0.27 * (len(rows) + (1 if len(rest) else 0)))
    axes = figure.subplots()
    longest_us = float(table["time_us"].max()) if len(table) else 1.0
    scale, unit = _time_axis(longest_us)
    limits: dict[str, None] = {}
    for y, (row, times) in enumerate(zip(rows, parts, strict=True)):
        left = 0.0
        for limit, time_us in times.items():
            if time_us > VISIBLE * longest_us:
                limits[limit] = None
            axes.barh(y, time_us * scale, left=left, height=0.68, color=colour(limit))
            left += time_us * scale
        bound = float(row["bound_us"]) * scale
        if bound > VISIBLE * longest_us * scale:
            axes.plot([bound, bound], [y - 0.40, y + 0.40], color="black", linewidth=1.6, solid_capstyle="butt")
        _bar_text(axes, y, max(left, bound), float(row["time_us"]), float(row["time_share"]))
    if len(rest):
        time_us, y = float(rest["time_us"].sum()), len(rows)
        axes.barh(y, time_us * scale, height=0.68, color="#D0D0D0")
        _bar_text(axes, y, time_us * scale, time_us, float(rest["time_share"].sum()))
        names.append(f"{len(rest)} others")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlabel(f"time charged to the operator, all repeats ({unit})", fontsize=FONT_PT, color=INK)
    axes.set_xlim(0, axes.get_xlim()[1] * 1.12)
    tidy(axes, "x")
    axes.tick_params(axis="y", length=0)
    handles: list[Patch | Line2D] = [Patch(color=colour(name), label=label(name)) for name in _ordered(limits)]
    handles.append(Line2D([], [], color="black", linewidth=1.6, label="speed of light"))
    figure.legend(
        handles=handles, title="limited by", fontsize=FONT_PT, title_fontsize=FONT_PT, frameon=False, alignment="left",
        loc="outside lower left", ncols=len(handles), columnspacing=1.6, handlelength=1.4,
    )  # fmt: skip
    heading(figure, f"{result.name}: where the time goes", _subtitle(result))
    return written(figure, path)


def _bar_text(axes: Axes, y: int, x: float, time_us: float, share: float) -> None:
    text = f"{si_time(time_us * 1e-6)}  {share:.1%}"
    axes.annotate(
        text, (x, y), xytext=(5, 0), textcoords="offset points", va="center", fontsize=FONT_PT - 1, color=FAINT
    )


def _time_axis(largest_us: float) -> tuple[float, str]:
    """Factor from microseconds to the unit of the axis, and that unit."""
    for limit, factor, unit in ((1.0, 1e3, "ns"), (1e3, 1.0, "µs"), (1e6, 1e-3, "ms")):
        if largest_us < limit:
            return factor, unit
    return 1e-6, "s"


def _ordered(names: dict[str, None]) -> list[str]:
    first = ["dram", "matrix", "lut", "vector", "noc"]
    return [name for name in first if name in names] + [
        name for name in names if name not in (*first, LATENCY)
    ] + [name for name in names if name == LATENCY]  # fmt: skip


def _subtitle(result: Result) -> str:
    graph = result.record.graph
    return (
        f"{graph.model}, {graph.phase}, {result.tokens:,} tokens: {si_time(result.latency_s)}, "
        f"{result.tokens_per_s:,.0f} tokens/s, {result.efficiency:.0%} of the speed of light"
    )


def plot_utilisation(result: Result, path: str | Path | None = None, bins: int = 240) -> Figure:
    """Share of each unit class at work over the simulated time; DRAM as bandwidth over its peak."""
    series = utilisation_series(result, bins)
    figure = new_figure(8.6, 0.9 + 1.05 * max(len(series.share), 1))
    panels = figure.subplots(max(len(series.share), 1), 1, sharex=True, squeeze=False)[:, 0]
    scale, unit = _time_axis(series.edges_us[-1])
    edges = series.edges_us * scale
    for axes, (name, share) in zip(panels, series.share.items(), strict=False):
        axes.stairs(share * 100, edges, fill=True, color=colour(name), alpha=0.35, linewidth=0)
        axes.stairs(share * 100, edges, color=colour(name), linewidth=1.1, baseline=None)
        mean = float(np.average(share, weights=np.diff(edges)))
        axes.text(
            1.012, 0.5, f"{label(name)}\nmean {_percent(mean)}", transform=axes.transAxes, fontsize=FONT_PT, color=INK,
            va="center",
        )  # fmt: skip
        axes.set_ylim(0, 105)
        axes.set_yticks([0, 50, 100], ["0", "50", "100 %"])
        axes.set_xlim(edges[0], edges[-1])
        tidy(axes, "y")
        for border in series.blocks_us[1:]:
            axes.axvline(border * scale, color=FAINT, linewidth=0.7, linestyle=(0, (2, 3)))
    _block_names(panels[0], series.blocks_us * scale, series.block_names, float(edges[-1]))
    panels[-1].set_xlabel(f"simulated time ({unit})", fontsize=FONT_PT, color=INK)
    heading(figure, f"{result.name}: how busy the units are", _left_out(result))
    return written(figure, path)


def _percent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.01 or share == 0 else "below 1%"


def _block_names(axes: Axes, starts: npt.NDArray[np.float64], names: list[str], end: float) -> None:
    """Name the blocks above the first panel where there is room for the name."""
    bounds = np.append(starts, end)
    for name, left, right in zip(names, bounds[:-1], bounds[1:], strict=True):
        if (right - left) / max(end, 1e-30) > 0.0095 * (len(name) + 1):
            axes.annotate(
                name, ((left + right) / 2, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3),
                textcoords="offset points", ha="center", fontsize=FONT_PT - 1, color=FAINT,
            )  # fmt: skip


def _left_out(result: Result) -> str:
    missing = [
        f"{each.simulated} of {each.repeat} x {each.block}"
        for each in result.record.repetitions
        if each.simulated < each.repeat
    ]
    simulated = si_time(result.record.trace.makespan * 1e-12)
    if not missing:
        return f"the whole step, {simulated}"
    listed = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
    return f"{simulated} simulated ({listed}) of {si_time(result.latency_s)}"
