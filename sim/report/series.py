"""Utilisation of the unit classes over the simulated time, in bins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from cairn.base.ticks import PS_PER_S, PS_PER_US
from cairn.sim.report.busy import pieces
from cairn.sim.report.tasks import DRAM_SERVER

if TYPE_CHECKING:
    from cairn.sim.report.result import Result

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Series:
    """`share[name]` (bins,) between 0 and 1; `edges_us` (bins + 1,); starts and names of the block instances."""

    edges_us: FloatArray
    share: dict[str, FloatArray]
    blocks_us: FloatArray
    block_names: list[str]


def utilisation_series(result: Result, bins: int, begin_ps: int = 0, end_ps: int | None = None) -> Series:
    """Mean share of busy units of each class; of DRAM, the bytes moved over what its peak bandwidth moves.

    In `bins` equal bins from `begin_ps` to `end_ps` (the end of the trace). When the bytes of a DRAM task move is not
    recorded: they are spread evenly from its start to its end, and what exceeds the peak of a bin moves on to the next.
    """
    trace, view = result.record.trace, result.view
    end_ps = trace.makespan if end_ps is None else end_ps
    edges = np.linspace(begin_ps, max(end_ps, begin_ps + 1), bins + 1)
    width = edges[1] - edges[0]
    share: dict[str, FloatArray] = {}
    for name in result.unit_counts:
        if name == DRAM_SERVER:
            tasks = view.of_class(name)
            moved = spread(trace.start[tasks], trace.end[tasks], view.bytes[tasks].astype(float), edges)
            share[name] = _within_one(moved / (width / PS_PER_S * result.peaks.dram_bytes_per_s))
        else:
            cut = pieces(view, trace, name)
            busy = spread(cut.begin, cut.end, (cut.end - cut.begin).astype(float), edges)
            share[name] = busy / (width * result.unit_counts[name])
    starts, names = _blocks(result)
    return Series(edges / PS_PER_US, share, starts / PS_PER_US, names)


def spread(begin: IntArray, end: IntArray, amount: FloatArray, edges: FloatArray) -> FloatArray:
    """`amount` of each interval, spread evenly over it, summed within each bin.

    An empty interval counts as one tick long.
    """
    length = np.maximum(end - begin, 1)
    stop = begin + length
    rate = amount / length

    def until(edge: FloatArray) -> FloatArray:
        """Amount that had been moved at each edge."""
        return _ramp(begin, rate, edge) - _ramp(stop, rate, edge)

    result: FloatArray = np.maximum(np.diff(until(edges)), 0.0)
    return result


def _within_one(share: FloatArray) -> FloatArray:
    """Shares of at most 1: what exceeds it is carried to the bins that follow."""
    result = np.empty_like(share)
    carried = 0.0
    for index, value in enumerate(share.tolist()):
        result[index] = min(value + carried, 1.0)
        carried += value - result[index]
    return result


def _ramp(at: IntArray, rate: FloatArray, edge: FloatArray) -> FloatArray:
    """Sum over intervals of rate * max(edge - at, 0), for every edge."""
    order = np.argsort(at, kind="stable")
    at, rate = at[order], rate[order]
    count = np.searchsorted(at, edge, side="left")
    rates = np.concatenate(([0.0], np.cumsum(rate)))[count]
    moments = np.concatenate(([0.0], np.cumsum(rate * at)))[count]
    ramp: FloatArray = rates * edge - moments
    return ramp


def _blocks(result: Result) -> tuple[FloatArray, list[str]]:
    """Start (in ps) of the time charged to each block instance that has any, and its name."""
    steps, record = result.steps, result.record
    instances = np.unique(steps.block[(steps.finish > steps.begin) & (steps.block >= 0)])
    starts = [float(steps.begin[steps.block == block].min()) for block in instances.tolist()]
    return np.array(starts), [record.block_name[block] for block in instances.tolist()]
