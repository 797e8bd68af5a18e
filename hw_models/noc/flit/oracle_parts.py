"""What the oracle of the flit network is made of: packets, buffers, stages, a router with its ports and pointers."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cairn.hw_models.noc.flit.spec import RouterSpec
from cairn.hw_models.noc.network import Network

Channel = tuple[str, int]
"""("link", number), ("in", node) or ("out", node)."""
Virtual = tuple[Channel, int]


@dataclass
class OraclePacket:
    """A packet: what is given, and the cycles of what becomes of it (-1 before)."""

    created: int
    source: int
    destination: int
    flits: int
    table: int = 0
    issued: int = -1
    injected: int = -1
    head: int = -1
    arrived: int = -1
    channel_class: int = 0


@dataclass
class Flit:
    packet: OraclePacket
    number: int

    @property
    def is_head(self) -> bool:
        return self.number == 0

    @property
    def is_tail(self) -> bool:
        return self.number == self.packet.flits - 1


@dataclass
class Buffer:
    """One virtual channel of an input: idle, routing, waiting or active."""

    channel: Channel
    vc: int
    state: str = "idle"
    queue: deque[Flit] = field(default_factory=deque)
    out: Channel = ("", 0)
    allowed: Sequence[int] = ()
    to: Virtual | None = None


@dataclass
class Stage:
    """A stage of the pipeline (F3): the buffers it has decided on, and the round in which that is applied."""

    delay: int
    busy: list[Buffer] = field(default_factory=list)
    due: int = -1

    def free(self, step: int) -> bool:
        return step > self.due

    def start(self, step: int, speedup: int) -> None:
        self.due = step if self.delay == 1 else (step // speedup + self.delay - 1) * speedup


def round_robin(numbers: Iterable[int], pointer: int) -> int:
    """The first of `numbers` at or behind `pointer`, going round."""
    return min(numbers, key=lambda number: (number < pointer, number))


class OracleRouter:
    """One router with its ports, buffers and pointers."""

    def __init__(self, number: int, network: Network, spec: RouterSpec):
        self.number, self.spec = number, spec
        nodes = [node for node in range(network.nodes) if network.node_router[node] == number]
        leaving = [link for link in range(network.links) if network.link_source[link] == number]
        coming = [link for link in range(network.links) if network.link_destination[link] == number]
        coming.sort(key=lambda link: (int(network.link_direction[link]) ^ 1, link))  # F0
        self.outputs: list[Channel] = [("link", link) for link in leaving] + [("out", node) for node in nodes]
        self.inputs: list[Channel] = [("link", link) for link in coming] + [("in", node) for node in nodes]
        self.buffers = [Buffer(channel, vc) for channel in self.inputs for vc in range(spec.virtual_channels)]
        self.routing, self.finding = Stage(spec.routing_delay), Stage(spec.vc_alloc_delay)
        self.switching, self.crossing = Stage(spec.sw_alloc_delay), Stage(spec.st_final_delay)
        self.to_route: list[Buffer] = []
        self.found: dict[int, Virtual] = {}
        self.to_cross: list[tuple[Flit, Virtual]] = []
        self.crossing_flits: list[tuple[Flit, Virtual]] = []
        self.queues: dict[Channel, deque[tuple[Flit, int]]] = defaultdict(deque)
        self.credit_queues: dict[Channel, deque[list[int]]] = defaultdict(deque)
        self.pointers: dict[tuple[object, ...], int] = defaultdict(int)
        # A lane's first turn is its own first virtual channel.
        self.turns = {(channel, lane): lane for channel in self.inputs for lane in range(spec.input_speedup)}

    def port(self, ports: list[Channel], channel: Channel, vc: int) -> int:
        """A number that orders the virtual channels of the ports."""
        return ports.index(channel) * self.spec.virtual_channels + vc

    def lane(self, buffer: Buffer) -> tuple[Channel, int]:
        return buffer.channel, buffer.vc % self.spec.input_speedup

    def lane_number(self, lane: tuple[Channel, int]) -> int:
        return self.inputs.index(lane[0]) * self.spec.input_speedup + lane[1]
