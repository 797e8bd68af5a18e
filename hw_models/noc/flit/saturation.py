"""The load at which a network saturates, found by bisection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cairn.base.errors import CairnError
from cairn.hw_models.noc.flit.measure import LoadResult, SamplingSpec, run_load
from cairn.hw_models.noc.flit.spec import RouterSpec
from cairn.hw_models.noc.network import Network, Routes
from cairn.hw_models.noc.traffic import Pattern

FACTOR = 3.0
"""A network is saturated where mean latency is so many times that at the low load: reference/noc/README.md."""
LOW = 0.05
"""The low load is this share of the accepted rate at full load: reference/noc/booksim2_curves.csv (first rows)."""
MOST = 1.0
"""A port takes a flit in a cycle."""
WIDEN = 1.25
"""assumed: a range of loads that does not hold the answer is left for the next one, wider by a quarter."""

Probe = tuple[float, float]
"""A load and its mean latency, infinite where a seed saturated."""
Latency = Callable[[float], float]


@dataclass(frozen=True)
class Saturation:
    """Loads in flits per node and cycle.

    Mean latency is up to three times `low_load_latency` at `below`, and more, or a run saturated, at `above`; `load` is
    where it reaches that in between. `full_load_accepted` is what arrives when sources send all they can, None where
    the low load was given. `probes` are the runs made, in the order of their loads.
    """

    load: float
    below: float
    above: float
    low_load: float
    low_load_latency: float
    full_load_accepted: float | None
    probes: tuple[LoadResult, ...]


def full_load(network: Network, routes: Routes, router: RouterSpec, pattern: Pattern, packet_flits: int, seed: int = 1,
              sampling: SamplingSpec | None = None) -> float:  # fmt: skip
    """Flits per node and cycle that arrive while every source offers one in each cycle."""
    sampling = sampling or SamplingSpec()
    endless = sampling.model_copy(update={"latency_limit": float("inf"), "drain_periods": 1})
    return run_load(
        network, routes, router, pattern, 1.0, packet_flits=packet_flits, seed=seed, sampling=endless
    ).accepted


def find_saturation(
    network: Network,
    routes: Routes,
    router: RouterSpec,
    pattern: Pattern,
    *,
    packet_flits: int,
    low_load: float | None = None,
    between: tuple[float, float] | None = None,
    precision: float = 0.01,
    seeds: int = 1,
    sampling: SamplingSpec | None = None,
) -> Saturation:
    """The load at which mean latency, over `seeds` seeds, reaches three times that of a low load.

    `low_load` is by default 5 % of what the network accepts at full load, `between` a range of loads to search first
    (it is widened where it does not hold the answer), `precision` the relative width at which the search ends. A load
    at which a seed saturates is above. Raises CairnError when no load saturates.
    """
    accepted = None
    if low_load is None:
        accepted = full_load(network, routes, router, pattern, packet_flits, sampling=sampling)
        low_load = LOW * accepted
    probes: list[LoadResult] = []

    def latency(load: float) -> float:
        runs = [
            run_load(network, routes, router, pattern, load, packet_flits=packet_flits, seed=seed, sampling=sampling)
            for seed in range(1, seeds + 1)
        ]
        probes.extend(runs)
        return float(np.mean([np.inf if run.saturated else run.latency.mean for run in runs]))

    base = latency(low_load)
    if not np.isfinite(base):
        why = "saturates already" if np.isinf(base) else "measures no packet; take longer periods or a higher one"
        raise CairnError(f"{network.name}: the low load of {low_load:g} {why}")
    low, high = between or (low_load, MOST)
    bracket = _bracket(latency, max(low, low_load), min(high, MOST), low_load, FACTOR * base)
    if bracket is None:
        raise CairnError(
            f"{network.name} does not saturate: at a load of {MOST:g} mean latency stays below {FACTOR:g} times that "
            f"of {low_load:g}"
        )
    below, above = _narrowed(latency, bracket, precision, FACTOR * base)
    load = _between(below, above, FACTOR * base)
    ordered = tuple(sorted(probes, key=lambda run: run.offered))
    return Saturation(load, below[0], above[0], low_load, base, accepted, ordered)


def _bracket(
    latency: Latency, low: float, high: float, low_load: float, limit: float
) -> tuple[Probe, Probe] | None:
    """Two probes, at most `limit` and above it; None where not even the highest load is above."""
    above = (high, latency(high))
    below: Probe | None = None
    while above[1] <= limit:
        if above[0] >= MOST:
            return None
        below, high = above, min(above[0] * WIDEN, MOST)
        above = (high, latency(high))
    while below is None:
        found = (low, latency(low))
        if found[1] <= limit or low <= low_load:
            below = found
        else:
            above, low = found, max(low / WIDEN, low_load)
    return below, above


def _narrowed(
    latency: Latency, bracket: tuple[Probe, Probe], precision: float, limit: float
) -> tuple[Probe, Probe]:
    """The bracket, halved until its width is no more than `precision`."""
    below, above = bracket
    while above[0] / below[0] > 1 + precision:
        middle = float(np.sqrt(below[0] * above[0]))
        found = (middle, latency(middle))
        below, above = (below, found) if found[1] > limit else (found, above)
    return below, above


def _between(below: Probe, above: Probe, limit: float) -> float:
    """The load at which latency reaches `limit`, its reciprocal taken as linear; the middle beside a saturated end."""
    (low, at_low), (high, at_high) = below, above
    if not np.isfinite(at_high):
        return float(np.sqrt(low * high))
    share = (1 / at_low - 1 / limit) / (1 / at_low - 1 / at_high)
    return low + share * (high - low)
