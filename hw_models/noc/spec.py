"""Parameters of a chip's network and the check of the requests that reach it."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from cairn.base.errors import ConfigError
from cairn.base.spec import Spec, sourced
from cairn.base.ticks import Clock
from cairn.hw_models.noc.flit.spec import RouterSpec
from cairn.hw_models.noc.packets import PacketSpec

IntArray = npt.NDArray[np.int64]

REQUEST_COLUMNS: Final = ("flags", "source", "destination", "bytes")
MULTICAST: Final = 4
"""Flag of a request to all cores of the rectangle whose corners are its destination and the core in its flags."""
REDUCE: Final = 8
"""Flag of a request that adds up what the rectangle between its source and the core in its flags sends."""
OPPOSITE_SHIFT: Final = 8
"""Place, in the flags, of the number of the core in the opposite corner of the rectangle."""
MAX_PACKETS: Final = 1 << 28
"""A transfer has fewer packets: their number shares one 64-bit key with the number of the task (`layout.py`)."""
MAX_TASK: Final = 1 << 34
"""First task number that the key of a packet cannot hold."""
MAX_BYTES: Final = 1 << 40
"""A transfer has fewer bytes, so that no time overflows."""


class NocTopology(StrEnum):
    """How the cores of a grid are wired: as a mesh, a mesh with wrap-around links, or with a dedicated link for each
    ordered pair; as a ring along the rows, there and back; as a mesh of layers, each some rows of the grid; as a mesh
    of routers that several cores share; with one switch for all; or with the links of a list."""

    MESH = "mesh"
    TORUS = "torus"
    ALL_TO_ALL = "all_to_all"
    RING = "ring"
    MESH_3D = "mesh_3d"
    CONCENTRATED_MESH = "concentrated_mesh"
    CROSSBAR = "crossbar"
    CUSTOM = "custom"


PORTS_ALONE: Final = (NocTopology.ALL_TO_ALL, NocTopology.CROSSBAR)
"""Topologies in which packets queue at ports and nowhere else."""
NocRouting = Literal["auto", "xy", "yx", "o1turn", "shortest", "up_down", "table"]
LAID_START_CYCLES: Final = 20
"""Fixed cycles of a transfer on a mesh or torus: reference/stacked3d/voxel.yaml (vx.noc_init). The other topologies
are assumed to be alike, but for all-to-all."""
DEDICATED_START_CYCLES: Final = 100
"""Fixed cycles of a transfer in all-to-all: reference/stacked3d/voxel.yaml (vx.noc_init)."""


class NocSpec(Spec):
    """The network of a chip. What is None follows from the other parameters; the properties resolve it.

    `layers` divide the rows of a mesh_3d; `concentration` is the columns and rows of cores at a router of a
    concentrated_mesh. `links` of a custom network are pairs of cores, one direction each with `directed`, both without.
    Routing `table` has a row for each core in `next_core`: the core to go to next on the way to core 0, 1, ..., itself
    for itself.
    """

    topology: NocTopology = sourced(NocTopology.MESH, "reference/stacked3d/voxel.yaml (vx.noc_topo)")
    routing: NocRouting = sourced(
        "auto", "assumed: along the row first where there are rows (dimension order), else the fewest links"
    )
    layers: int = sourced(1, "given by the configuration: mesh_3d only", ge=1, le=1 << 12)
    concentration: tuple[int, int] = sourced((1, 1), "given by the configuration: concentrated_mesh only")
    links: tuple[tuple[int, int], ...] = sourced((), "given by the configuration: custom networks only")
    directed: bool = sourced(False, "assumed: wires are laid in pairs")
    next_core: tuple[tuple[int, ...], ...] = sourced((), "given by the configuration: routing table only")
    link_bytes_per_cycle: int = sourced(32, "reference/stacked3d/voxel.yaml (vx.noc_link.paper)", gt=0, le=1 << 20)
    clock_ghz: float | None = sourced(None, "assumed: the network runs at the clock of the chip", gt=0, le=100)
    hop_cycles: int = sourced(
        2,
        "assumed: one cycle of router (look-ahead routing, empty queue) and one of wire; "
        "silicon spans 1 to the 9 of Wormhole, reference/noc/noc_published.yaml (router_to_router_cycles)",
        ge=1,
        le=1 << 16,
    )
    start_cycles: int | None = sourced(
        None, "reference/stacked3d/voxel.yaml (vx.noc_init): 20, in all-to-all 100", ge=1, le=1 << 32
    )
    injection_bytes_per_cycle: int | None = sourced(
        None, "assumed: a port is as wide as a link; 28.1 of 32 in reference/noc/noc_published.yaml", gt=0, le=1 << 20
    )
    ejection_bytes_per_cycle: int | None = sourced(
        None, "assumed: a port is as wide as a link; 28.1 of 32 in reference/noc/noc_published.yaml", gt=0, le=1 << 20
    )
    max_packet_bytes: int = sourced(
        4096, "assumed: 128 cycles of a 32-byte link bound how long one transfer holds it", gt=0, le=1 << 32
    )
    router: RouterSpec = sourced(
        RouterSpec(routing_delay=0, speculative=True, buffer_flits=8),
        "assumed, for fidelity.noc flit alone: the shortest pipeline of reference/noc/booksim2_cases.yaml (spec2), and "
        "buffers that outlast the round trip of a credit",
    )

    @model_validator(mode="after")
    def _dedicated_links_are_never_the_queue(self) -> NocSpec:
        if self.topology in PORTS_ALONE and self.injection > self.link_bytes_per_cycle:
            raise ValueError(
                f"injection_bytes_per_cycle ({self.injection}) must not exceed link_bytes_per_cycle "
                f"({self.link_bytes_per_cycle}) in topology {self.topology}, where packets queue at ports alone"
            )
        return self

    @model_validator(mode="after")
    def _keys_belong_to_the_topology(self) -> NocSpec:
        given = (
            ("layers", self.layers != 1, NocTopology.MESH_3D),
            ("concentration", self.concentration != (1, 1), NocTopology.CONCENTRATED_MESH),
            ("links", bool(self.links), NocTopology.CUSTOM),
        )
        for key, is_given, topology in given:
            if is_given and self.topology is not topology:
                raise ValueError(f"{key} is for topology {topology} alone, not {self.topology}")
            if not is_given and self.topology is topology:
                raise ValueError(f"topology {topology} needs {key}")
        if min(self.concentration) < 1:
            raise ValueError(f"concentration ({list(self.concentration)}) is the columns and rows of cores at a router")
        if bool(self.next_core) != (self.routing == "table"):
            raise ValueError("next_core is for routing table" if self.next_core else "routing table needs next_core")
        if self.topology in PORTS_ALONE and self.routing != "auto":
            raise ValueError(f"routing {self.routing} has nothing to choose in topology {self.topology}")
        return self

    def misfit(self, rows: int, columns: int) -> str | None:
        """Why the topology does not fit a grid of `rows` x `columns` cores; None where it does."""
        across, down = self.concentration
        if rows % self.layers:
            return f"noc.layers ({self.layers}) must divide the rows of the grid of cores ({rows})"
        if columns % across or rows % down:
            return (
                f"noc.concentration ({across} x {down} cores at a router) must divide the columns and rows of the grid "
                f"of cores ({columns} x {rows})"
            )
        cores = rows * columns
        outside = [link for link in self.links if not all(0 <= end < cores for end in link)]
        if outside:
            return f"noc.links names the pair {list(outside[0])}, but cores are 0..{cores - 1}"
        if self.next_core and {len(self.next_core), *(len(row) for row in self.next_core)} != {cores}:
            return f"noc.next_core needs a row for each of the {cores} cores, with an entry for each core"
        return None

    @property
    def by_direction(self) -> bool:
        """Whether packets find their way by directions on a grid; in other networks they look it up in tables."""
        return self.topology is NocTopology.ALL_TO_ALL or (
            self.topology in (NocTopology.MESH, NocTopology.TORUS) and self.routing in ("auto", "xy")
        )

    @property
    def ranked_as(self) -> NocTopology:
        """The topology by which mappings are ranked: a torus, an all-to-all (also for one switch), else a mesh."""
        if self.topology in PORTS_ALONE:
            return NocTopology.ALL_TO_ALL
        return NocTopology.TORUS if self.topology is NocTopology.TORUS else NocTopology.MESH

    @property
    def start(self) -> int:
        """Cycles between a request and its first packet at the injection port (>= 1)."""
        if self.start_cycles is not None:
            return self.start_cycles
        return DEDICATED_START_CYCLES if self.topology is NocTopology.ALL_TO_ALL else LAID_START_CYCLES

    @property
    def injection(self) -> int:
        """Bytes per cycle that a core injects."""
        return self.injection_bytes_per_cycle or self.link_bytes_per_cycle

    @property
    def ejection(self) -> int:
        """Bytes per cycle that a core receives."""
        return self.ejection_bytes_per_cycle or self.link_bytes_per_cycle

    @property
    def packets(self) -> PacketSpec:
        """The same parameters as those of a network given as data: a hop is a router and the wire behind it."""
        return PacketSpec(
            link_bytes_per_cycle=self.link_bytes_per_cycle,
            injection_bytes_per_cycle=self.injection,
            ejection_bytes_per_cycle=self.ejection,
            start_cycles=self.start,
            injection_cycles=1 + (self.hop_cycles if self.topology in PORTS_ALONE else 0),
            router_cycles=self.hop_cycles - 1,
            max_packet_bytes=self.max_packet_bytes,
        )

    def flit_misfit(self) -> str | None:
        """Why the network cannot be simulated flit by flit; None where it can."""
        for name, width in (("injection", self.injection), ("ejection", self.ejection)):
            if width != self.link_bytes_per_cycle:
                return (
                    f"fidelity.noc flit needs ports as wide as links: chip.noc.{name}_bytes_per_cycle is {width}, "
                    f"link_bytes_per_cycle {self.link_bytes_per_cycle}"
                )
        return None

    def clock(self, chip: Clock) -> Clock:
        """The clock of the network on a chip whose clock is `chip`."""
        return chip if self.clock_ghz is None else Clock.from_ghz(self.clock_ghz)


def multicast_flags(opposite: IntArray | int) -> IntArray:
    """Flags of requests to all cores of a rectangle with a corner at their destination and one at `opposite`."""
    return np.asarray(opposite, dtype=np.int64) << OPPOSITE_SHIFT | MULTICAST


def reduce_flags(opposite: IntArray | int) -> IntArray:
    """Flags of requests that add up what a rectangle sends, a corner at their source and one at `opposite`."""
    return np.asarray(opposite, dtype=np.int64) << OPPOSITE_SHIFT | REDUCE


def check_requests(spec: NocSpec, rows: int, columns: int, requests: IntArray) -> None:
    """Refuse a table of requests (n, 4) that the network cannot carry; the message names the first such row.

    A request goes from one core to another, or with the flags of a rectangle to or from all of its cores, on a mesh or
    torus with routes by xy. Cores are `0 .. rows * columns - 1`, and it carries at least one byte and fewer than 2^40
    bytes and 2^28 packets. Raises ConfigError.
    """
    if requests.ndim != 2 or requests.shape[1] != len(REQUEST_COLUMNS):
        raise ConfigError(f"network requests have columns {REQUEST_COLUMNS}, got an array of shape {requests.shape}")
    nodes = rows * columns
    source, destination, size = requests[:, 1], requests[:, 2], requests[:, 3]
    tree = requests[:, 0] & (MULTICAST | REDUCE)
    opposite = np.where(tree, requests[:, 0] >> OPPOSITE_SHIFT, source)
    lowest, highest = (take(take(source, destination), opposite) for take in (np.minimum, np.maximum))
    on_grid = spec.by_direction and spec.topology is not NocTopology.ALL_TO_ALL
    rules = (
        ((lowest < 0) | (highest >= nodes), f"a core outside 0..{nodes - 1}"),
        (tree == MULTICAST | REDUCE, "two flags of a rectangle: it is sent to or gathered from"),
        ((tree > 0) & (not on_grid), "a rectangle of cores, which needs a mesh or torus with routes by xy"),
        (
            (source == destination) & (opposite == source),
            "the same core as source and destination: what stays in a core needs no network",
        ),
        (size < 1, "less than one byte"),
        (size >= MAX_BYTES, "2^40 bytes or more"),
        (size > spec.max_packet_bytes * (MAX_PACKETS - 1), "2^28 packets or more"),
    )
    for broken, what in rules:
        if broken.any():
            row = int(np.argmax(broken))
            named = dict(zip(REQUEST_COLUMNS, requests[row].tolist(), strict=True))
            raise ConfigError(f"network request {row} has {what}: {named}")


@cache
def network_of(topology: NocTopology) -> NocSpec:
    """A network of this topology that is otherwise as it comes."""
    return NocSpec(topology=topology)
