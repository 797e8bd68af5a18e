"""Measures of a flit network: closed batches, traces, and runs at a load, with saturation as a result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from cairn.base.spec import Spec, sourced
from cairn.hw_models.noc.flit.simulate import Finished, FlitNetwork
from cairn.hw_models.noc.flit.spec import RouterSpec
from cairn.hw_models.noc.network import IntArray, Network, Routes, hops
from cairn.hw_models.noc.traffic import Bernoulli, Packets, Pattern, batch

FloatArray = npt.NDArray[np.float64]
_THRESHOLDS: Final = "reference/noc/booksim2_cases.yaml (common)"
STRIDE: Final = 100
"""assumed: cycles between looks at what is still under way, at the end of a run; no measure depends on it."""


@dataclass(frozen=True)
class Latency:
    """Cycles of packets from their creation to the arrival of their tail: `mean` and `longest`, and the means of their
    two parts, `queueing` until the head leaves the source and `network` from then on. NaN (0) of no packets."""

    packets: int
    mean: float
    longest: int
    queueing: float
    network: float

    @classmethod
    def of(cls, packets: Finished) -> Latency:
        if packets.count == 0:
            return cls(0, np.nan, 0, np.nan, np.nan)
        total, queueing = packets.arrived - packets.created, packets.injected - packets.created
        mean, waited = float(total.mean()), float(queueing.mean())
        return cls(packets.count, mean, int(total.max()), waited, mean - waited)


@dataclass(frozen=True)
class BatchResult:
    """What became of packets that were all given.

    `cycles` counts from cycle 0 to the last arrival, that cycle included; `hops` is the mean of links passed.
    `link_flits` (links,): flits on each link. `injected_flits` and `ejected_flits` (nodes,).
    """

    cycles: int
    latency: Latency
    hops: float
    link_flits: IntArray
    injected_flits: IntArray
    ejected_flits: IntArray


def run_packets(network: Network, routes: Routes, router: RouterSpec, packets: Packets, seed: int = 1) -> BatchResult:
    """Send `packets` through an empty network until all have arrived. Raises DeadlockError and ConfigError."""
    run = FlitNetwork(network, routes, router, seed)
    run.offer(packets)
    run.run()
    finished = run.harvest()
    injected, ejected = run.node_flits
    return BatchResult(
        cycles=run.cycle,
        latency=Latency.of(finished),
        hops=_mean_hops(network, routes, finished),
        link_flits=run.channel_flits[: network.links],
        injected_flits=injected,
        ejected_flits=ejected,
    )


def run_batch(
    network: Network,
    routes: Routes,
    router: RouterSpec,
    pattern: Pattern,
    *,
    batch_size: int,
    packet_flits: int,
    seed: int = 1,
) -> BatchResult:
    """Every node sends `batch_size` packets of `packet_flits` flits back to back."""
    return run_packets(network, routes, router, batch(pattern, batch_size, packet_flits, seed), seed)


def _mean_hops(network: Network, routes: Routes, packets: Finished) -> float:
    if packets.count == 0:
        return float("nan")
    return float(hops(network, routes)[packets.table, packets.source, packets.destination].mean())


class SamplingSpec(Spec):
    """How a run at a load is measured. It is looked at every `period` cycles.

    The first `warmup_periods` are not counted. Then it is measured until mean latency and accepted rate have changed by
    no more than the tolerances in three periods running, or `max_periods`, the first ones included, are over. At last
    it goes on until what was created before has arrived. A run saturates when, after any period, the mean latency of
    packets that have arrived and the age of those that have not exceeds `latency_limit`, or when after `drain_periods`
    some have still not arrived.
    """

    period: int = sourced(1000, f"{_THRESHOLDS}: sample_period", ge=10, le=1 << 24)
    warmup_periods: int = sourced(3, f"{_THRESHOLDS}: warmup_periods", ge=1, le=1 << 16)
    max_periods: int = sourced(10, f"{_THRESHOLDS}: max_samples", ge=2, le=1 << 16)
    latency_tolerance: float = sourced(0.02, f"{_THRESHOLDS}: stopping_thres", gt=0, le=1)
    accepted_tolerance: float = sourced(0.02, f"{_THRESHOLDS}: acc_stopping_thres", gt=0, le=1)
    latency_limit: float = sourced(1500.0, f"{_THRESHOLDS}: latency_thres", gt=0)
    drain_periods: int = sourced(20, "assumed: as long again as the longest measurement, twice", ge=1, le=1 << 16)

    @model_validator(mode="after")
    def _measures(self) -> SamplingSpec:
        if self.max_periods <= self.warmup_periods:
            raise ValueError(
                f"max_periods ({self.max_periods}) must exceed warmup_periods ({self.warmup_periods}), or nothing is "
                "measured"
            )
        return self


@dataclass(frozen=True)
class LoadResult:
    """A run at a load.

    Rates are flits per node and cycle of the measured time; `offered` is what was asked for, `created` what the sources
    made of it, `accepted` what arrived: the mean over nodes, and the lowest and highest node. `latency` is of the
    packets that came first at their source in the measured time. `link_flits_per_cycle` (links,). `why` says how
    saturation showed, empty when it did not.
    """

    offered: float
    created: float
    accepted: float
    accepted_lowest: float
    accepted_highest: float
    latency: Latency
    hops: float
    link_flits_per_cycle: FloatArray
    measured_cycles: int
    cycles: int
    converged: bool
    saturated: bool
    why: str


def run_load(
    network: Network,
    routes: Routes,
    router: RouterSpec,
    pattern: Pattern,
    load: float,
    *,
    packet_flits: int,
    seed: int = 1,
    sampling: SamplingSpec | None = None,
) -> LoadResult:
    """Bernoulli injection of `load` flits per node and cycle. Ends in bounded time, saturated or not."""
    source = Bernoulli(pattern, load, packet_flits, seed)
    return _LoadRun(FlitNetwork(network, routes, router, seed), source, sampling or SamplingSpec()).result(load)


class _LoadRun:
    """A run at a load while it is measured."""

    def __init__(self, run: FlitNetwork, source: Bernoulli, sampling: SamplingSpec):
        self.run, self.source, self.sampling = run, source, sampling
        self.pieces: list[Finished] = []
        self.begin = self.end = 0
        self.created = 0
        self.before = (np.nan, np.nan)
        """Mean latency and flits per cycle of the last period of warming up."""

    def result(self, load: float) -> LoadResult:
        why = self._warm_up()
        self.begin = self.end = self.run.cycle
        before = (self.run.channel_flits, self.run.node_flits[1])
        converged = False
        if not why:
            converged, why = self._measure()
        cycles = max(self.end - self.begin, 1)
        links = self.run.channel_flits - before[0]
        accepted = (self.run.node_flits[1] - before[1]) / cycles
        if not why:
            why = self._drain()
        measured = self._measured()
        network, nodes = self.run.network, self.run.network.nodes
        return LoadResult(
            offered=load,
            created=self.created / (nodes * cycles),
            accepted=float(accepted.mean()),
            accepted_lowest=float(accepted.min()),
            accepted_highest=float(accepted.max()),
            latency=Latency.of(measured),
            hops=_mean_hops(network, self.run.routes, measured),
            link_flits_per_cycle=links[: network.links] / cycles,
            measured_cycles=self.end - self.begin,
            cycles=self.run.cycle,
            converged=converged and not why,
            saturated=bool(why),
            why=why,
        )

    def _advance(self, cycles: int) -> int:
        """Create and run the next `cycles` cycles; how many flits were created."""
        packets = self.source.period(cycles)
        self.run.offer(packets)
        self.run.run(self.run.cycle + cycles)
        return int(packets.flits.sum())

    def _limit(self, arrived: Finished) -> str:
        """Why the run is saturated, judged by packets that have arrived and the ages of those that have not."""
        ages = self.run.ages()
        count = arrived.count + ages.size
        total = float((arrived.arrived - arrived.created).sum() + ages.sum())
        limit = self.sampling.latency_limit
        return f"mean latency exceeds {limit:g} cycles" if count and total / count > limit else ""

    def _warm_up(self) -> str:
        for _ in range(self.sampling.warmup_periods):
            self._advance(self.sampling.period)
            last = self.run.harvest()
            if why := self._limit(last):
                return why
        self.before = (Latency.of(last).mean, float(last.flits.sum()) / self.sampling.period)
        return ""

    def _measure(self) -> tuple[bool, str]:
        """Whether the measures have settled, and why the run is saturated if it is."""
        calm = 0
        latency, rate = self.before
        ejected = self.run.node_flits[1].sum()
        for _ in range(self.sampling.max_periods - self.sampling.warmup_periods):
            self.created += self._advance(self.sampling.period)
            self.end = self.run.cycle
            self.pieces.append(self.run.harvest())
            arrived = self._measured()
            if why := self._limit(arrived):
                return False, why
            now = Latency.of(arrived).mean
            accepted = float(self.run.node_flits[1].sum() - ejected) / (self.end - self.begin)
            settled = (
                abs(now - latency) <= self.sampling.latency_tolerance * now
                and abs(accepted - rate) <= self.sampling.accepted_tolerance * accepted
            )
            calm = calm + 1 if settled else 0
            latency, rate = now, accepted
            if calm == 3:
                return True, ""
        return False, ""

    def _measured(self) -> Finished:
        """Packets that came first at their source in the measured time, or later but were created before its end."""
        if not self.pieces:
            return self.run.harvest()
        parts = [part.select((part.issued >= self.begin) & (part.created < self.end)) for part in self.pieces]
        self.pieces = [_joined(parts)]
        return self.pieces[0]

    def _drain(self) -> str:
        """Go on, still creating, until all packets created before have arrived. Why it is saturated if they do not."""
        for stride in range(1, self.sampling.drain_periods * max(self.sampling.period // STRIDE, 1) + 1):
            if self.run.oldest() >= self.end:
                return ""
            self._advance(STRIDE)
            self.pieces.append(self.run.harvest())
            if stride % max(self.sampling.period // STRIDE, 1) == 0 and (why := self._limit(self._measured())):
                return why
        return f"packets are still under way {self.run.cycle - self.end} cycles after the measurement"


def _joined(parts: Sequence[Finished]) -> Finished:
    names = Finished.__dataclass_fields__
    return Finished(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def latency_load_curve(
    network: Network,
    routes: Routes,
    router: RouterSpec,
    pattern: Pattern,
    loads: Sequence[float],
    *,
    packet_flits: int,
    seed: int = 1,
    sampling: SamplingSpec | None = None,
) -> list[LoadResult]:
    """A run at each of `loads`, in that order."""
    return [
        run_load(network, routes, router, pattern, load, packet_flits=packet_flits, seed=seed, sampling=sampling)
        for load in loads
    ]
