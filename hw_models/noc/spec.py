"""Parameters of a chip's network and the check of the requests that reach it."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from cairn.base.errors import ConfigError
from cairn.base.spec import Spec, sourced
from cairn.base.ticks import Clock
from cairn.hw_models.noc.packets import PacketSpec

IntArray = npt.NDArray[np.int64]

REQUEST_COLUMNS: Final = ("flags", "source", "destination", "bytes")
MAX_PACKETS: Final = 1 << 28
"""A transfer has fewer packets: their number shares one 64-bit key with the number of the task (`layout.py`)."""
MAX_TASK: Final = 1 << 34
"""First task number that the key of a packet cannot hold."""
MAX_BYTES: Final = 1 << 40
"""A transfer has fewer bytes, so that no time overflows."""


class NocTopology(StrEnum):
    """How the cores are wired: a 2-D mesh, a mesh with wrap-around links, or one dedicated link per ordered pair."""

    MESH = "mesh"
    TORUS = "torus"
    ALL_TO_ALL = "all_to_all"


START_CYCLES: Final = {NocTopology.MESH: 20, NocTopology.TORUS: 20, NocTopology.ALL_TO_ALL: 100}
"""Fixed cycles of a transfer by topology: reference/stacked3d/voxel.yaml (vx.noc_init)."""


class NocSpec(Spec):
    """The network of a chip. What is None follows from the other parameters; the properties resolve it."""

    topology: NocTopology = sourced(NocTopology.MESH, "reference/stacked3d/voxel.yaml (vx.noc_topo)")
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
        None, "reference/stacked3d/voxel.yaml (vx.noc_init): by topology, START_CYCLES", ge=1, le=1 << 32
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

    @model_validator(mode="after")
    def _dedicated_links_are_never_the_queue(self) -> NocSpec:
        if self.topology is NocTopology.ALL_TO_ALL and self.injection > self.link_bytes_per_cycle:
            raise ValueError(
                f"injection_bytes_per_cycle ({self.injection}) must not exceed link_bytes_per_cycle "
                f"({self.link_bytes_per_cycle}) in topology all_to_all, where packets queue at ports alone"
            )
        return self

    @property
    def start(self) -> int:
        """Cycles between a request and its first packet at the injection port (>= 1)."""
        return START_CYCLES[self.topology] if self.start_cycles is None else self.start_cycles

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
        dedicated = self.topology is NocTopology.ALL_TO_ALL
        return PacketSpec(
            link_bytes_per_cycle=self.link_bytes_per_cycle,
            injection_bytes_per_cycle=self.injection,
            ejection_bytes_per_cycle=self.ejection,
            start_cycles=self.start,
            injection_cycles=1 + (self.hop_cycles if dedicated else 0),
            router_cycles=self.hop_cycles - 1,
            max_packet_bytes=self.max_packet_bytes,
        )

    def clock(self, chip: Clock) -> Clock:
        """The clock of the network on a chip whose clock is `chip`."""
        return chip if self.clock_ghz is None else Clock.from_ghz(self.clock_ghz)


def check_requests(spec: NocSpec, rows: int, columns: int, requests: IntArray) -> None:
    """Refuse a table of requests (n, 4) that the network cannot carry; the message names the first such row.

    A request goes from one core to another, cores are `0 .. rows * columns - 1`, and it carries at least one byte
    and fewer than 2^40 bytes and 2^28 packets. Raises ConfigError.
    """
    if requests.ndim != 2 or requests.shape[1] != len(REQUEST_COLUMNS):
        raise ConfigError(f"network requests have columns {REQUEST_COLUMNS}, got an array of shape {requests.shape}")
    nodes = rows * columns
    source, destination, size = requests[:, 1], requests[:, 2], requests[:, 3]
    outside = (np.minimum(source, destination) < 0) | (np.maximum(source, destination) >= nodes)
    rules = (
        (outside, f"a core outside 0..{nodes - 1}"),
        (source == destination, "the same core as source and destination: what stays in a core needs no network"),
        (size < 1, "less than one byte"),
        (size >= MAX_BYTES, "2^40 bytes or more"),
        (size > spec.max_packet_bytes * (MAX_PACKETS - 1), "2^28 packets or more"),
    )
    for broken, what in rules:
        if broken.any():
            row = int(np.argmax(broken))
            named = dict(zip(REQUEST_COLUMNS, requests[row].tolist(), strict=True))
            raise ConfigError(f"network request {row} has {what}: {named}")
