"""Runs of a network alone: curves, batches and traces, by flits or by packets, and the folder that holds a result."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from cairn.base.errors import CairnError, ConfigError
from cairn.hw_models.noc.flit.measure import BatchResult, LoadResult, run_load, run_packets
from cairn.hw_models.noc.flit.saturation import FACTOR, Saturation, find_saturation
from cairn.hw_models.noc.flit.simulate import DeadlockError
from cairn.hw_models.noc.network import Network, Routes
from cairn.hw_models.noc.traffic import Packets, Pattern, batch, trace
from cairn.sim.network.packets import PacketNetwork
from cairn.sim.network.spec import Batch, Curve, Fidelity, NetworkRun, Trace
from cairn.sim.report.store import RESULT_FILE, whole_folder
from cairn.sim.run import code_version

FloatArray = npt.NDArray[np.float64]
SCHEMA: Final = "cairn.network_result/1"
TRACE_COLUMNS: Final = ("cycle", "source", "destination", "flits")
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Point:
    """One load with all its seeds; `limit` is the mean latency, in cycles, beyond which it counts as saturated."""

    offered: float
    runs: tuple[LoadResult, ...]
    limit: float = float("inf")

    @property
    def saturated(self) -> bool:
        """Whether more than half of the seeds saturated, or the others' mean latency exceeds the limit."""
        most = 2 * sum(run.saturated for run in self.runs) > len(self.runs)
        return most or float(self.latencies.mean()) > self.limit

    @property
    def why(self) -> str:
        """How saturation showed; empty when it did not."""
        if not self.saturated:
            return ""
        told = next((run.why for run in self.runs if run.why), "")
        return told or f"mean latency exceeds {self.limit:.1f} cycles, {FACTOR:g} times that of a low load"

    @property
    def accepted(self) -> float:
        return float(np.mean([run.accepted for run in self.runs]))

    @property
    def latencies(self) -> FloatArray:
        """Mean latency of each seed that did not saturate, of all where all did."""
        steady = [run.latency.mean for run in self.runs if not run.saturated]
        return np.array(steady or [run.latency.mean for run in self.runs])

    def row(self) -> dict[str, Any]:
        """A row of `curve.csv`: rates in flits per node and cycle, latencies in cycles, means over the seeds."""
        latencies = self.latencies
        kept = [run for run in self.runs if not run.saturated] or list(self.runs)
        return {
            "offered": self.offered,
            "accepted": self.accepted,
            "accepted_lowest_node": min(run.accepted_lowest for run in self.runs),
            "accepted_highest_node": max(run.accepted_highest for run in self.runs),
            "latency_cycles": float(latencies.mean()),
            "latency_lowest_seed": float(latencies.min()),
            "latency_highest_seed": float(latencies.max()),
            "queueing_cycles": float(np.mean([run.latency.queueing for run in kept])),
            "longest_cycles": max(run.latency.longest for run in kept),
            "hops": float(np.mean([run.hops for run in kept])),
            "busiest_link_share": float(max(run.link_flits_per_cycle.max(initial=0.0) for run in kept)),
            "packets": sum(run.latency.packets for run in kept),
            "seeds": len(self.runs),
            "saturated": self.saturated,
            "why": self.why,
        }


@dataclass(frozen=True)
class NetworkResult:
    """What a network run measured: `points` and perhaps `saturation` of a curve, or `batch` of a batch or trace.

    `notes` say where an answer is beyond what the model is trusted for.
    """

    spec: NetworkRun
    network: Network
    points: tuple[Point, ...]
    saturation: Saturation | None
    batch: BatchResult | None
    notes: tuple[str, ...]
    provenance: Mapping[str, Any]

    @property
    def link_share(self) -> FloatArray:
        """(links,): busy share of each link; of a curve at the highest load that did not saturate (or the lowest)."""
        if self.batch is not None:
            return np.asarray(self.batch.link_flits / max(self.batch.cycles, 1), dtype=np.float64)
        point = self.shown
        return np.asarray(np.mean([run.link_flits_per_cycle for run in point.runs], axis=0))

    @property
    def shown(self) -> Point:
        """The load that the map of links is of."""
        steady = [point for point in self.points if not point.saturated]
        return steady[-1] if steady else self.points[0]

    def curve(self) -> pd.DataFrame:
        """A row for each load; empty for batches and traces."""
        return pd.DataFrame([point.row() for point in self.points])

    def links(self) -> pd.DataFrame:
        """A row for each directed link: routers at its ends and its busy share."""
        return pd.DataFrame({
            "link": np.arange(self.network.links),
            "from_router": self.network.link_source,
            "to_router": self.network.link_destination,
            "busy_share": self.link_share,
        })  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """The content of `result.json`; what is not known is null."""
        content: dict[str, Any] = {
            "schema": SCHEMA,
            "config": self.spec.model_dump(mode="json", by_alias=True),
            "network": {"name": self.network.name, "nodes": self.network.nodes, "routers": self.network.routers,
                        "links": self.network.links},
            "curve": [point.row() for point in self.points],
            "saturation": None if self.saturation is None else _saturation_dict(self.saturation),
            "batch": None if self.batch is None else _batch_dict(self.batch),
            "busiest_link_share": float(self.link_share.max(initial=0.0)),
            "notes": list(self.notes),
            "provenance": dict(self.provenance),
        }  # fmt: skip
        known: dict[str, Any] = _without_nan(content)
        return known

    def to_json(self, indent: int | None = 2) -> str:
        """The content of `result.json` as text."""
        return json.dumps(self.as_dict(), indent=indent, allow_nan=False)

    def save(self, folder: Path, *, plots: bool = True) -> None:
        """Write `result.json`, `curve.csv`, `links.csv` and (with `plots`) PNGs; the folder appears whole or not."""
        with whole_folder(folder, SCHEMA.partition("/")[0]) as scratch:
            (scratch / RESULT_FILE).write_text(self.to_json() + "\n", encoding="utf-8")
            self.links().to_csv(scratch / "links.csv", index=False)
            if self.points:
                self.curve().to_csv(scratch / "curve.csv", index=False)
            if plots:
                from cairn.sim.network.pictures import draw

                draw(self, scratch)


def _saturation_dict(found: Saturation) -> dict[str, Any]:
    names = ("load", "below", "above", "low_load", "low_load_latency")
    return {name: getattr(found, name) for name in names}


def _batch_dict(batch_result: BatchResult) -> dict[str, Any]:
    return {"cycles": batch_result.cycles, "hops": batch_result.hops, "latency": asdict(batch_result.latency)}


def _without_nan(value: Any) -> Any:
    """The same plain data, NaN being null."""
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(inner) for inner in value]
    if isinstance(value, float) and np.isnan(value):
        return None
    return value


class _Model:
    """The network of a run under one of the two models."""

    def __init__(self, spec: NetworkRun):
        self.spec = spec
        self.network, self.routes, self.pattern = spec.built()
        self.parts: tuple[Network, Routes, Any, Pattern] = (self.network, self.routes, spec.router, self.pattern)
        self.by_packets: PacketNetwork | None = None
        if spec.model is Fidelity.PACKET:
            self.by_packets = PacketNetwork(self.network, self.routes, spec.router)

    def load(self, load: float, seed: int) -> LoadResult:
        spec = self.spec
        if self.by_packets is not None:
            return self.by_packets.load(self.pattern, load, spec.packet_flits, seed, spec.sampling)
        return run_load(*self.parts, load, packet_flits=spec.packet_flits, seed=seed, sampling=spec.sampling)

    def all_of(self, packets: Packets) -> BatchResult:
        if self.by_packets is not None:
            return self.by_packets.batch(packets)
        return run_packets(self.network, self.routes, self.spec.router, packets, self.spec.seed)

    def saturation(self, measure: Curve) -> Saturation:
        spec = self.spec
        return find_saturation(
            *self.parts, packet_flits=spec.packet_flits, low_load=measure.low, seeds=measure.seeds,
            sampling=spec.sampling,
        )  # fmt: skip


def run_network(spec: NetworkRun, *, progress: Progress | None = None) -> NetworkResult:
    """Run a network alone. Raises ConfigError for parts that do not fit, DeadlockError where packets block others."""
    wall, cpu = time.perf_counter(), time.process_time()
    model, measure = _Model(spec), spec.measure
    tell = progress or (lambda what, share: None)
    points: tuple[Point, ...] = ()
    saturation, whole, notes = None, None, []
    if isinstance(measure, Curve):
        points = _points(model, measure, tell)
        if measure.saturation and spec.model is Fidelity.FLIT:
            tell("searching for saturation", 0.95)
            saturation, missing = _saturation(model, measure)
            notes += missing
        points = _judged(points, saturation)
        if model.by_packets is not None:
            share = f"{model.by_packets.trusted_share:.0%}"
            notes.append(
                f"packets wait in queues without bounds: trust latencies below {share} of the load at which the flit "
                "model saturates, and no saturation (docs/assumptions.md); model: flit finds it"
            )
    else:
        tell("simulating", 0.0)
        packets = read_trace(measure, model.network) if isinstance(measure, Trace) else _batch(spec, measure, model)
        whole = model.all_of(packets)
    text = json.dumps(spec.model_dump(mode="json", by_alias=True), sort_keys=True)
    provenance = {
        "version": code_version(), "run_hash": sha256(text.encode()).hexdigest()[:12], "seed": spec.seed,
        "fidelity": spec.model.value, "wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu,
    }  # fmt: skip
    return NetworkResult(spec, model.network, points, saturation, whole, tuple(notes), provenance)


def _points(model: _Model, measure: Curve, tell: Progress) -> tuple[Point, ...]:
    loads = sorted(set(measure.loads))
    points = []
    for number, load in enumerate(loads):
        tell(f"load {load:g}", 0.95 * number / len(loads))
        runs = tuple(model.load(load, model.spec.seed + offset) for offset in range(measure.seeds))
        points.append(Point(load, runs))
    return tuple(points)


def _judged(points: tuple[Point, ...], saturation: Saturation | None) -> tuple[Point, ...]:
    """The points, limited to FACTOR times the latency of a low load: that of the search, else of the lowest point."""
    low = points[0].latencies.mean() if saturation is None else saturation.low_load_latency
    return tuple(replace(point, limit=FACTOR * float(low)) for point in points)


def _saturation(model: _Model, measure: Curve) -> tuple[Saturation | None, list[str]]:
    """The load at which latency has grown by FACTOR, or a note why there is none."""
    try:
        return model.saturation(measure), []
    except (ConfigError, DeadlockError):
        raise
    except CairnError as trouble:
        return None, [str(trouble)]


def _batch(spec: NetworkRun, measure: Batch, model: _Model) -> Packets:
    return batch(model.pattern, measure.packets, spec.packet_flits, spec.seed)


def read_trace(measure: Trace, network: Network) -> Packets:
    """The packets of a file with columns cycle, source, destination, flits (CSV or Parquet). Raises ConfigError."""
    file = Path(measure.file)
    try:
        table = pd.read_parquet(file) if file.suffix == ".parquet" else pd.read_csv(file)
    except OSError as trouble:
        raise ConfigError(f"cannot read {file}: {trouble.strerror or trouble}", key="measure.file") from None
    except ValueError as trouble:
        raise ConfigError(f"{file} is no table: {trouble}", key="measure.file") from None
    missing = [name for name in TRACE_COLUMNS if name not in table.columns]
    if missing:
        raise ConfigError(f"{file} lacks the columns {', '.join(missing)}", key="measure.file")
    columns = []
    for name in TRACE_COLUMNS:
        numbers = pd.to_numeric(table[name], errors="coerce")
        wrong = np.flatnonzero(numbers.isna() | (numbers != np.floor(numbers)))
        if wrong.size:
            value = table[name].iloc[wrong[0]]
            raise ConfigError(f"{file}: row {wrong[0]}, {name} is {value!r}, not a whole number", key="measure.file")
        columns.append(numbers.to_numpy(dtype=np.int64))
    if not len(table):
        raise ConfigError(f"{file} holds no packets", key="measure.file")
    return trace(columns[0], columns[1], columns[2], columns[3], network)

