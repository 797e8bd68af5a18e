"""The rules N1 to N9 of `cycle.py` in plain Python, cycle by cycle, for small cases.

Written from the rules: resources with visible queues of packets, and time that visits every cycle in which something
happens. Nothing is shared with the compiled model but the parameters and the wiring; routes are walked node by node.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor

from cairn.base.ticks import Clock
from cairn.hw_models.noc.network import EJECT, Routes
from cairn.hw_models.noc.network import Network as Wiring
from cairn.hw_models.noc.packets import PacketSpec
from cairn.hw_models.noc.spec import MULTICAST, OPPOSITE_SHIFT, REDUCE, NocSpec, NocTopology
from cairn.hw_models.server import DONE, FIRST, WANTS_FIRST

Place = tuple[str, int, int]
"""A resource: ("injection", node, node), ("link", from, direction or number) or ("ejection", node, node)."""


Ways = dict[Place, list[Place]]
"""The resources at which a packet arrives after each one."""


@dataclass
class Packet:
    """One packet, or a copy of it, on its way: where it arrives next, and when its tail may leave from there."""

    task: int
    number: int
    size: int
    place: Place
    tail: int = 0


@dataclass
class Resource:
    """Serves the packets of its queue one at a time; free again at cycle `free_at`."""

    free_at: int = 0
    queue: deque[Packet] = field(default_factory=deque)


@dataclass
class Transfer:
    """`waiting` has the packets that are still to be sent by each port, `ejections` how many are to come."""

    task: int
    flags: int
    ways: Ways
    waiting: dict[Place, deque[Packet]]
    firsts: int
    ejections: int
    first: int = 0
    last_tail: int = 0
    joined: dict[tuple[int, Place], list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))


class PacketNetwork:
    """Packets under `spec`; `clock` is the network's own. What is between the ports says a subclass."""

    def __init__(self, spec: PacketSpec, clock: Clock):
        self.spec = spec
        self.period = Fraction(clock.num, clock.den)
        self.resources: dict[Place, Resource] = defaultdict(Resource)
        self.heads: dict[int, list[Packet]] = defaultdict(list)
        self.transfers: dict[int, Transfer] = {}
        self.completions: list[tuple[int, int, int]] = []

    def links(self, source: int, destination: int) -> Iterator[Place]:
        """The links that the next transfer from `source` to `destination` takes."""
        raise NotImplementedError

    def link_latency(self, place: Place) -> int:
        """Cycles from a link to what follows it."""
        raise NotImplementedError

    def run(self, timed: Iterable[tuple[int, int, Sequence[int]]]) -> list[tuple[int, int, int]]:
        """Completions `(tick, task, event)`, sorted, of requests `(tick, task, row)` (columns REQUEST_COLUMNS)."""
        for tick, task, (flags, source, destination, size) in sorted(timed, key=lambda request: request[:2]):
            self._request(tick, task, flags, source, destination, size)
        while self.heads or any(resource.queue for resource in self.resources.values()):
            self._step(self._next_cycle())
        return sorted(self.completions)

    def _request(self, tick: int, task: int, flags: int, source: int, destination: int, size: int) -> None:
        limit = self.spec.max_packet_bytes
        sizes = [min(limit, size - begin) for begin in range(0, size, limit)] or [0]  # N1
        ways = self._ways(flags, source, destination)
        ports = [place for place in ways if place[0] == "injection"]
        waiting = {port: deque(Packet(task, number, part, port) for number, part in enumerate(sizes)) for port in ports}
        ends = len({place for places in ways.values() for place in places if place[0] == "ejection"})
        self.transfers[task] = Transfer(task, flags, ways, waiting, ends, ends * len(sizes))
        cycle = ceil(Fraction(tick) / self.period)  # N5
        for packets in waiting.values():
            self.heads[cycle + self.spec.start_cycles].append(packets.popleft())  # N1

    def _ways(self, flags: int, source: int, destination: int) -> Ways:
        """What follows what: one chain, or the chains of all cores of a rectangle laid over each other."""
        ways: Ways = defaultdict(list)
        if not flags & (MULTICAST | REDUCE):
            pairs = [(source, destination)]
        elif flags & MULTICAST:  # N8
            pairs = [(source, core) for core in self.rectangle(destination, flags >> OPPOSITE_SHIFT) if core != source]
        else:
            cores = self.rectangle(source, flags >> OPPOSITE_SHIFT)
            pairs = [(destination, core) for core in cores if core != destination]
        for near, far in pairs:
            links = list(self.links(near, far))
            if flags & REDUCE:  # N9: the same links, the other way: from their far ends, in the opposite direction
                ends = [*(router for _, router, _ in links[1:]), far]
                links = [("link", end, way ^ 1) for end, (_, _, way) in zip(ends, links, strict=True)][::-1]
                near, far = far, near
            chain: list[Place] = [("injection", near, near), *links, ("ejection", far, far)]
            for here, there in pairwise(chain):
                if there not in ways[here]:
                    ways[here].append(there)
        return ways

    def rectangle(self, one: int, other: int) -> list[int]:
        """The cores of a rectangle with these corners."""
        raise NotImplementedError

    def _next_cycle(self) -> int:
        frees = [resource.free_at for resource in self.resources.values() if resource.queue]
        return min([*self.heads, *frees])

    def _step(self, cycle: int) -> None:
        arriving = sorted(self.heads.pop(cycle, []), key=lambda packet: (packet.task, packet.number))
        for packet in arriving:  # N2
            self.resources[packet.place].queue.append(packet)
        for place, resource in self.resources.items():
            if resource.queue and resource.free_at <= cycle:
                self._serve(place, resource, resource.queue.popleft(), cycle)

    def _width(self, place: Place) -> Fraction:
        spec, (kind, node, _) = self.spec, place
        ports = {"injection": spec.injection_bytes_per_cycle, "ejection": spec.ejection_bytes_per_cycle}
        width = ports.get(kind) or spec.link_bytes_per_cycle
        return Fraction(str(width[node] if isinstance(width, tuple) else width))

    def _last_flit(self, flits: int) -> int:
        """Cycles until the last of `flits` has left a resource whose buffer beyond is limited (N6)."""
        left: list[int] = []
        buffer = self.spec.buffer_flits
        for flit in range(flits):
            earliest = left[-1] + 1 if left else 0
            if buffer is not None and flit >= buffer:
                earliest = max(earliest, left[flit - buffer] + self.spec.credit_cycles)
            left.append(earliest)
        return left[-1] + 1

    def _serve(self, place: Place, resource: Resource, packet: Packet, cycle: int) -> None:
        spec, kind = self.spec, place[0]
        hold = ceil((packet.size + spec.header_bytes) / self._width(place))  # N3
        packet.tail = max(packet.tail, cycle + hold)
        if kind != "ejection":  # N6
            packet.tail = max(packet.tail, cycle + self._last_flit(hold))
            if spec.channels is not None:
                hold = max(hold, ceil(Fraction(packet.tail - cycle, spec.channels)))
        resource.free_at = cycle + hold
        transfer = self.transfers[packet.task]
        if kind == "injection" and transfer.waiting[place]:
            self.heads[cycle + hold].append(transfer.waiting[place].popleft())  # N1
        if kind == "ejection":
            self._finish(transfer, packet, cycle)
            return
        latency = spec.injection_cycles if kind == "injection" else self.link_latency(place)  # N3
        for following in transfer.ways[place]:
            self._send(transfer, packet, following, cycle + latency, packet.tail + latency)

    def _send(self, transfer: Transfer, packet: Packet, following: Place, head: int, tail: int) -> None:
        """A packet reaches the router before `following`; where several of its number meet, the last goes on (N9)."""
        parts = sum(following in places for places in transfer.ways.values())
        met = transfer.joined[packet.number, following]
        met.append((head, tail))
        if len(met) == parts:
            last = max(head for head, _ in met)
            onwards = Packet(packet.task, packet.number, packet.size, following, max(tail for _, tail in met))
            self.heads[last].append(onwards)

    def _finish(self, transfer: Transfer, packet: Packet, cycle: int) -> None:
        arrived = self.spec.ejection_cycles
        transfer.ejections -= 1
        transfer.last_tail = max(transfer.last_tail, packet.tail)
        if packet.number == 0:
            transfer.firsts -= 1
            transfer.first = max(transfer.first, cycle + 1)
            if transfer.firsts == 0 and transfer.flags & WANTS_FIRST:
                self.completions.append((self._tick(transfer.first + arrived), packet.task, FIRST))  # N4
        if transfer.ejections == 0:
            self.completions.append((self._tick(transfer.last_tail + arrived), packet.task, DONE))  # N4

    def _tick(self, cycle: int) -> int:
        return floor(cycle * self.period)


class Network(PacketNetwork):
    """`rows` x `columns` cores under `spec`, with the clock of the chip; every topology is walked by its own rule."""

    def __init__(self, spec: NocSpec, rows: int, columns: int, clock: Clock):
        super().__init__(spec.packets, spec.clock(clock))
        self.noc, self.rows, self.columns = spec, rows, columns
        self.sent = [0] * (rows * columns)

    def links(self, source: int, destination: int) -> Iterator[Place]:
        turn = self.sent[source]
        self.sent[source] += 1
        if self.noc.topology in (NocTopology.ALL_TO_ALL, NocTopology.CROSSBAR):
            return iter(())
        if self.noc.topology is NocTopology.CUSTOM:
            return self._over_listed_links(source, destination)
        shape = self._shape()
        closes = self.noc.topology in (NocTopology.TORUS, NocTopology.RING)
        orders = [list(range(len(shape))), list(range(len(shape)))[::-1]]
        orders = {"yx": orders[1:], "o1turn": orders}.get(self.noc.routing, orders[:1])
        ties = 2 if closes and any(size % 2 == 0 for size in shape) and not self.noc.by_direction else 1
        turn %= len(orders) * ties  # N7
        here, there = self._place(source), self._place(destination)
        return _over_grid(shape, closes, orders[turn // ties], turn % ties == 1, here, there)

    def link_latency(self, place: Place) -> int:
        return self.noc.hop_cycles

    def rectangle(self, one: int, other: int) -> list[int]:
        (row, column), (to_row, to_column) = divmod(one, self.columns), divmod(other, self.columns)
        rows, columns = sorted((row, to_row)), sorted((column, to_column))
        return [
            each * self.columns + place
            for each in range(rows[0], rows[1] + 1)
            for place in range(columns[0], columns[1] + 1)
        ]

    def _shape(self) -> list[int]:
        across, down = self.noc.concentration
        if self.noc.topology is NocTopology.RING:
            return [self.rows * self.columns]
        if self.noc.topology is NocTopology.MESH_3D:
            return [self.columns, self.rows // self.noc.layers, self.noc.layers]
        return [self.columns // across, self.rows // down]

    def _place(self, core: int) -> list[int]:
        """Coordinates of the router of a core."""
        row, column = divmod(core, self.columns)
        across, down = self.noc.concentration
        if self.noc.topology is NocTopology.RING:
            along_rows = [
                (each, place if each % 2 == 0 else self.columns - 1 - place)
                for each in range(self.rows)
                for place in range(self.columns)
            ]
            return [along_rows.index((row, column))]
        if self.noc.topology is NocTopology.MESH_3D:
            layer, row = divmod(row, self.rows // self.noc.layers)
            return [column, row, layer]
        return [column // across, row // down]

    def _over_listed_links(self, source: int, destination: int) -> Iterator[Place]:
        """The fewest links; at each core the first of the list that leads nearer."""
        pairs = list(self.noc.links)
        if not self.noc.directed:
            pairs += [(there, here) for here, there in pairs]
        away = {destination: 0}
        frontier = [destination]
        while frontier:
            reached = [here for here, there in pairs if there in frontier and here not in away]
            away |= dict.fromkeys(reached, away[frontier[0]] + 1)
            frontier = reached
        here = source
        while here != destination:
            number = next(
                place for place, (near, far) in enumerate(pairs) if near == here and away.get(far) == away[here] - 1
            )
            yield ("link", here, number)
            here = pairs[number][1]


def _over_grid(
    shape: list[int], closes: bool, order: list[int], tie_down: bool, here: list[int], there: list[int]
) -> Iterator[Place]:
    """From router to router, one dimension after the other; a ring the shorter way round."""
    here = list(here)
    for dimension in order:
        size = shape[dimension]
        while here[dimension] != there[dimension]:
            up, down = (there[dimension] - here[dimension]) % size, (here[dimension] - there[dimension]) % size
            rises = (up < down or (up == down and not tie_down)) if closes else there[dimension] > here[dimension]
            router = 0
            for coordinate, extent in zip(reversed(here), reversed(shape), strict=True):
                router = router * extent + coordinate
            yield ("link", router, 2 * dimension + (0 if rises else 1))
            here[dimension] = (here[dimension] + (1 if rises else -1)) % size


class TableNetwork(PacketNetwork):
    """A network given as data, whose routes are looked up at every router."""

    def __init__(self, spec: PacketSpec, wiring: Wiring, routes: Routes, clock: Clock):
        super().__init__(spec, clock)
        self.wiring, self.routes = wiring, routes
        self.sent = [0] * wiring.nodes

    def links(self, source: int, destination: int) -> Iterator[Place]:
        table = self.sent[source] % self.routes.tables  # N7
        self.sent[source] += 1
        router = int(self.wiring.node_router[source])
        while (link := int(self.routes.next_link[table, router, destination])) != EJECT:
            yield ("link", router, link)
            router = int(self.wiring.link_destination[link])

    def link_latency(self, place: Place) -> int:
        return self.spec.router_cycles + int(self.wiring.link_cycles[place[2]])
