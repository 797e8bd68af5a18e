"""Plots of a DRAM channel: bandwidth over time, and where the time of the data bus goes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from cairn.sim.report.dram_causes import CAUSES
from cairn.sim.report.dram_record import ChannelRun
from cairn.sim.report.plot_style import FAINT, FONT_PT, INK, heading, new_figure, tidy, written
from cairn.sim.report.units import si_time

FloatArray = npt.NDArray[np.float64]

READ: Final = "#0072B2"
WRITE: Final = "#E69F00"
LOST: Final = "#D55E00"
"""Of the colour-blind-safe set of Okabe and Ito (2008), see plot_style."""

BINS: Final = 512
"""Bins of the plot at most: some two pixels each."""

VISIBLE: Final = 0.0005
"""Shares that would be printed as 0.0 % get no bar."""

_UNITS: Final = ((1e3, 1.0, "ns"), (1e6, 1e-3, "µs"), (1e9, 1e-6, "ms"))


def plot_bandwidth(run: ChannelRun, path: str | Path | None = None) -> Figure:
    """Bandwidth of reads and writes, stacked, over the time of the run, under the peak of the device."""
    result = run.result
    read, write, width_ns = _bins(run)
    both = read + write
    scale, unit = next(((factor, unit) for top, factor, unit in _UNITS if result.time_ns < top), (1e-9, "s"))
    edges = np.arange(read.size + 1) * width_ns * scale
    figure = new_figure(8.6, 3.4)
    axes = figure.subplots()
    handles: list[Patch | Line2D] = []
    if result.reads.count:
        axes.stairs(read, edges, fill=True, color=READ, linewidth=0)
        handles.append(Patch(color=READ, label="reads"))
    if result.writes.count:
        axes.stairs(both, edges, baseline=read, fill=True, color=WRITE, linewidth=0)
        handles.append(Patch(color=WRITE, label="writes"))
    peak, mean = result.device.peak_gb_per_s, result.bandwidth_gb_per_s
    axes.axhline(peak, color="black", linewidth=1.3)
    axes.axhline(mean, color="black", linewidth=1.1, linestyle=(0, (4, 3)))
    handles.append(Line2D([], [], color="black", linewidth=1.3, label=f"peak {peak:.4g} GB/s"))
    handles.append(Line2D([], [], color="black", linewidth=1.1, linestyle=(0, (4, 3)), label=f"mean {mean:.4g} GB/s"))
    axes.set_xlim(0, result.time_ns * scale)
    axes.set_ylim(0, max(peak, float(both.max())) * 1.05)
    axes.set_xlabel(f"time ({unit}), in bins of {si_time(width_ns * 1e-9)}", fontsize=FONT_PT, color=INK)
    axes.set_ylabel("GB/s", fontsize=FONT_PT, color=INK)
    tidy(axes, "y")
    figure.legend(handles=handles, fontsize=FONT_PT, frameon=False, loc="outside lower left", ncols=len(handles))
    heading(figure, f"{result.device.name}: bandwidth over time", _note(run))
    return written(figure, path)


def _bins(run: ChannelRun) -> tuple[FloatArray, FloatArray, float]:
    """Read and write GB/s in at most BINS bins, and the width of these in ns."""
    series = run.result.over_time()
    joined = -(-len(series) // BINS)
    width_ns = joined * run.result.bin_ticks * run.result.device.tick_ps / 1000
    read, write = (
        np.pad(series[name].to_numpy(), (0, -len(series) % joined)).reshape(-1, joined).mean(axis=1)
        for name in ("read_gb_per_s", "write_gb_per_s")
    )
    return read, write, width_ns


def plot_causes(run: ChannelRun, path: str | Path | None = None) -> Figure:
    """A bar for each cause that the time of the data bus is charged to, data first, then losses, greatest first."""
    shares = run.result.shares
    losses = shares.drop("data_bus").sort_values(ascending=False, kind="stable")
    shown = [("data_bus", float(shares["data_bus"]))]
    shown += [(str(cause), float(share)) for cause, share in losses.items() if share >= VISIBLE]
    figure = new_figure(8.6, 1.3 + 0.42 * len(shown))
    axes = figure.subplots()
    for y, (cause, share) in enumerate(shown):
        axes.barh(y, share * 100, height=0.62, color=READ if cause == "data_bus" else LOST)
        text = f"{share:.1%}   {CAUSES[cause].meaning}" if y else f"{share:.1%}"
        inside = share > 0.6
        axes.annotate(
            text, (share * 100, y), xytext=(-5 if inside else 5, 0), textcoords="offset points", va="center",
            ha="right" if inside else "left", fontsize=FONT_PT - 1, color="white" if inside else FAINT,
        )  # fmt: skip
    axes.set_yticks(range(len(shown)), [cause.replace("_", " ") for cause, _ in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the time of the data bus (%)", fontsize=FONT_PT, color=INK)
    tidy(axes, "x")
    axes.tick_params(axis="y", length=0)
    heading(figure, f"{run.result.device.name}: where the time goes", _note(run))
    return written(figure, path)


def _note(run: ChannelRun) -> str:
    result = run.result
    return (
        f"{run.source_name}, {result.requests:,} requests in {si_time(result.time_ns * 1e-9)}: "
        f"{result.bandwidth_gb_per_s:.4g} GB/s, {result.efficiency:.0%} of the peak; mapping {run.mapping}"
    )
