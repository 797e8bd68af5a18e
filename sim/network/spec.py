"""What a network file says: the network, the traffic on it, and what is measured (schema `cairn.network/1`)."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from cairn.base.errors import ConfigError
from cairn.base.spec import Spec, required, sourced
from cairn.hw_models.noc.flit.measure import SamplingSpec
from cairn.hw_models.noc.flit.spec import RouterSpec
from cairn.hw_models.noc.network import Network, Routes
from cairn.hw_models.noc.route_tables import Routing, build_routes
from cairn.hw_models.noc.topologies import TopologySpec, build_network
from cairn.hw_models.noc.traffic import MAX_FLITS, Pattern, PatternSpec, build_pattern
from cairn.sim.config.problems import validate
from cairn.sim.config.resolve import NETWORK, load_document, override

SCHEMA: Final = "cairn.network/1"
MAX_RUNS: Final = 4096
"""assumed: loads x seeds of one command."""


class Fidelity(StrEnum):
    """FLIT: routers with virtual channels and credits, cycle by cycle. PACKET: packets reserve links, hop by hop."""

    FLIT = "flit"
    PACKET = "packet"


class Curve(Spec):
    """Bernoulli injection at each of `loads` (flits per node and cycle), and the load at which the network saturates.

    Saturation is where the mean latency is three times that of the load `low`, by default 5 % of what the network
    accepts while every source offers all it can.
    """

    kind: Literal["curve"] = sourced("curve", "given by the configuration")
    loads: tuple[float, ...] = required(min_length=1, max_length=1000)
    seeds: int = sourced(3, "reference/noc/booksim2_summary.csv has three seeds", ge=1, le=1000)
    saturation: bool = sourced(True, "assumed: what a curve is drawn for")
    low: float | None = sourced(None, "reference/noc/README.md: the 5 % run, of full load as in its first rows", gt=0)

    @model_validator(mode="after")
    def _fits(self) -> Curve:
        if min(self.loads) <= 0:
            raise ValueError(f"loads ({min(self.loads):g}) must be above 0")
        if len(self.loads) * self.seeds > MAX_RUNS:
            raise ValueError(f"{len(self.loads)} loads x {self.seeds} seeds are more than {MAX_RUNS} runs")
        return self


class Batch(Spec):
    """Every node sends `packets` packets back to back from cycle 0, and all arrive."""

    kind: Literal["batch"] = required()
    packets: int = sourced(64, "reference/noc/booksim2_batch_cases.yaml (batch_size)", ge=1, le=1 << 24)


class Trace(Spec):
    """The packets of a CSV or Parquet file with columns cycle, source, destination, flits."""

    kind: Literal["trace"] = required()
    file: str = required(min_length=1)


Measure = Annotated[Curve | Batch | Trace, Field(discriminator="kind")]


class NetworkRun(Spec):
    """A network alone: its wiring, routers and traffic, and what is measured. Built by `load_network`."""

    schema_id: Literal["cairn.network/1"] = sourced(SCHEMA, "this project: names the format", alias="schema")
    name: str = required(min_length=1, max_length=200)
    topology: TopologySpec = required()
    routing: Routing = sourced("auto", "assumed: dimension order on grids, the fewest links elsewhere")
    router: RouterSpec = sourced(RouterSpec(), "its own defaults")
    traffic: PatternSpec = sourced(PatternSpec(), "its own defaults")
    packet_flits: int = sourced(4, "reference/noc/booksim2_cases.yaml (the base case)", ge=1, le=MAX_FLITS)
    model: Fidelity = sourced(Fidelity.FLIT, "the most detailed model there is")
    measure: Measure = required()
    sampling: SamplingSpec = sourced(SamplingSpec(), "its own defaults")
    seed: int = sourced(1, "assumed: any number serves; further seeds follow it", ge=0, lt=1 << 62)

    @model_validator(mode="after")
    def _loads_can_be_offered(self) -> NetworkRun:
        if isinstance(self.measure, Curve) and max(self.measure.loads) > self.packet_flits:
            raise ValueError(
                f"measure.loads ({max(self.measure.loads):g}) must not exceed packet_flits ({self.packet_flits}): a "
                "node creates a packet in a cycle at most"
            )
        return self

    def built(self) -> tuple[Network, Routes, Pattern]:
        """The network, its routes and the pattern on it. Raises ConfigError where they do not fit together."""
        network = build_network(self.topology)
        routes = build_routes(self.topology, network, self.routing)
        if self.router.virtual_channels % routes.sets:
            raise ConfigError(
                f"router.virtual_channels ({self.router.virtual_channels}) must be a multiple of {routes.sets}: "
                f"routing {self.routing} on a {self.topology.kind} needs as many sets of virtual channels"
            )
        shape = self.topology.shape if self.topology.kind in ("mesh", "torus", "ring") else None
        return network, routes, build_pattern(self.traffic, network.nodes, shape)


def load_network(path_or_name: str | Path, overrides: tuple[str, ...] = ()) -> NetworkRun:
    """The network run that a file or a shipped name describes, `key.path=value` texts laid over it. ConfigError as in
    `run_config.load`."""
    document = load_document(path_or_name, NETWORK)
    for setting in overrides:
        document = override(document, setting, NETWORK)
    return validate(document, NetworkRun)
