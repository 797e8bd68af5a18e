"""The load at which a network saturates, found by bisection."""

from __future__ import annotations

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


@dataclass(frozen=True)
class Saturation:
    """Loads in flits per node and cycle.

    Mean latency is below three times `low_load_latency` at `below`, and above it, or the run saturated, at `above`;
    `load` is between them. `full_load_accepted` is what arrives when sources send all they can, None where the low load
    was given. `probes` are the runs made, in the order of their loads.
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
    """The load at which mean latency reaches three times that of a low load.

    `low_load` is by default 5 % of what the network accepts at full load, `between` a range of loads to search first
    (it is widened where it does not hold the answer), `precision` the relative width at which the search ends. Low-load
    latency is the mean over `seeds` seeds; probes use the first one. Raises CairnError when no load saturates.
    """
    accepted = None
    if low_load is None:
        accepted = full_load(network, routes, router, pattern, packet_flits, sampling=sampling)
        low_load = LOW * accepted
    probes: list[LoadResult] = []

    def probe(load: float, seed: int = 1) -> LoadResult:
        result = run_load(
            network, routes, router, pattern, load, packet_flits=packet_flits, seed=seed, sampling=sampling
        )
        probes.append(result)
        return result

    base = float(np.mean([probe(low_load, seed + 1).latency.mean for seed in range(seeds)]))

    def saturates(load: float) -> bool:
        result = probe(load)
        return result.saturated or result.latency.mean > FACTOR * base

    most = 1.0
    low, high = between or (low_load, most)
    high = min(high, most)
    while not saturates(high):
        if high >= most:
            raise CairnError(
                f"{network.name} does not saturate: at a load of {most:g} mean latency stays below {FACTOR:g} times "
                f"that of {low_load:g}"
            )
        low, high = high, min(high * 1.25, most)
    while low > low_load and saturates(low):
        low, high = max(low / 1.25, low_load), low
    while high / low > 1 + precision:
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if saturates(middle) else (middle, high)
    ordered = tuple(sorted(probes, key=lambda result: result.offered))
    return Saturation(float(np.sqrt(low * high)), low, high, low_load, base, accepted, ordered)
