"""The rules F11 to F13 of the package in plain Python: transfers of a chip on the oracle of the flit network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor

from cairn.base.ticks import Clock
from cairn.hw_models.noc.flit.oracle import OracleNetwork
from cairn.hw_models.noc.flit.oracle_parts import OraclePacket
from cairn.hw_models.noc.flit.spec import RouterSpec
from cairn.hw_models.noc.network import Network, Routes
from cairn.hw_models.server import DONE, FIRST, WANTS_FIRST


@dataclass
class OracleTransfer:
    """A transfer: the packets made so far, and the bytes of those that are still to come."""

    task: int
    flags: int
    source: int
    destination: int
    sizes: list[int]
    packets: list[OraclePacket] = field(default_factory=list)


class OracleFlitServer(OracleNetwork):
    """A network whose flits carry `width` bytes, in packets of at most `packet_bytes`."""

    def __init__(self, network: Network, routes: Routes, spec: RouterSpec, clock: Clock, *, width: int,
                 packet_bytes: int, start: int):  # fmt: skip
        super().__init__(network, routes, spec)
        self.period = Fraction(clock.num, clock.den)
        self.width, self.packet_bytes, self.start = width, packet_bytes, start
        self.tables = [0] * network.nodes
        self.transfers: list[OracleTransfer] = []

    def completions(self, timed: Iterable[tuple[int, int, Sequence[int]]]) -> list[tuple[int, int, int]]:
        """Completions `(tick, task, event)`, sorted, of requests `(tick, task, row)` (columns REQUEST_COLUMNS)."""
        self.todo = sorted(((ceil(tick / self.period) + self.start, tick, task, row) for tick, task, row in timed),
                           key=lambda entry: entry[:3])  # fmt: skip
        self.run([])
        done = []
        for transfer in self.transfers:
            first, last = transfer.packets[0].head, max(packet.arrived for packet in transfer.packets)
            done.append((floor(last * self.period), transfer.task, DONE))
            if transfer.flags & WANTS_FIRST:
                done.append((floor(first * self.period), transfer.task, FIRST))
        return sorted(done)

    def _create(self, cycle: int) -> None:
        while self.todo and self.todo[0][0] == cycle:  # F11
            _, _, task, (flags, source, destination, size) = self.todo.pop(0)
            sizes = [min(self.packet_bytes, size - begin) for begin in range(0, size, self.packet_bytes)]
            self.transfers.append(OracleTransfer(task, flags, source, destination, sizes))
            self._next_packet(self.transfers[-1], cycle)

    def _next_packet(self, transfer: OracleTransfer, cycle: int) -> None:
        source = transfer.source
        flits = ceil(Fraction(transfer.sizes.pop(0), self.width))
        packet = OraclePacket(cycle, source, transfer.destination, flits, self.tables[source])
        self.tables[source] = (self.tables[source] + 1) % self.routes.tables
        transfer.packets.append(packet)
        self.packets.append(packet)
        self.waiting[source].append(packet)

    def _left(self, packet: OraclePacket, cycle: int) -> None:
        (transfer,) = [entry for entry in self.transfers if any(made is packet for made in entry.packets)]
        if transfer.sizes:
            self._next_packet(transfer, cycle + 1)

    def _over(self) -> bool:
        return not self.todo and super()._over()
