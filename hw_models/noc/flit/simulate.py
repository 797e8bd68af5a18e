"""A flit network to run: packets in, cycles, and what became of the packets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from cairn.base.errors import CairnError
from cairn.base.streams import stream
from cairn.base.ticks import NEVER
from cairn.hw_models.noc.flit import layout as at
from cairn.hw_models.noc.flit.cycle import run
from cairn.hw_models.noc.flit.deadlock import waiting_cycle
from cairn.hw_models.noc.flit.spec import RouterSpec
from cairn.hw_models.noc.flit.state import build_state
from cairn.hw_models.noc.network import BoolArray, IntArray, Network, Routes
from cairn.hw_models.noc.traffic import Packets, check_packets
from cairn.hw_models.server import ERROR

FIRST_ROOM: Final = 4096
"""Packets that a network has room for at first; it grows."""


class DeadlockError(CairnError):
    """Packets wait for each other for ever. `cycle` names the channels, as (router, router) of each link."""

    def __init__(self, message: str, cycle: list[tuple[int, int]]):
        self.cycle = cycle
        super().__init__(message)


@dataclass(frozen=True)
class Finished:
    """Packets that have arrived. Arrays (n,), cycles: `created`, `issued` (first in the queue of its source),
    `injected` (head left the source), `head` and `arrived` (head and tail at the destination); `source`,
    `destination`, `flits`, `table` (of the routes)."""

    created: IntArray
    issued: IntArray
    injected: IntArray
    head: IntArray
    arrived: IntArray
    source: IntArray
    destination: IntArray
    flits: IntArray
    table: IntArray

    @property
    def count(self) -> int:
        return int(self.created.size)

    def select(self, chosen: IntArray | BoolArray) -> Finished:
        """The packets of a mask or of an index array."""
        return Finished(*(getattr(self, name)[chosen] for name in self.__dataclass_fields__))


_FIELDS: Final = (
    at.P_CREATED, at.P_ISSUED, at.P_INJECTED, at.P_HEAD, at.P_ARRIVED, at.P_SOURCE, at.P_DESTINATION, at.P_FLITS,
    at.P_TABLE,
)  # fmt: skip
_BLANK: Final = (at.P_ISSUED, at.P_INJECTED, at.P_HEAD, at.P_ARRIVED)


class FlitNetwork:
    """A network of routers, flit by flit, that starts empty at cycle 0.

    `seed` draws the table of the routes that each packet takes, where there are several (O1TURN, ties on a torus).
    """

    def __init__(self, network: Network, routes: Routes, router: RouterSpec, seed: int = 1):
        self.network, self.routes, self.router = network, routes, router
        self.state = build_state(network, routes, router, FIRST_ROOM)
        self._free = np.arange(FIRST_ROOM)[::-1].copy()
        self._tables = stream(seed, "noc", "flit", "table")
        self._last = 0
        self.offered_packets = 0

    @property
    def cycle(self) -> int:
        """Cycles that have been run."""
        return int(self.state[at.CYCLE])

    @property
    def unfinished(self) -> int:
        """Packets that were offered and have not arrived."""
        return int(self.state[at.UNFINISHED])

    @property
    def flits_inside(self) -> int:
        """Flits between their source and their destination."""
        return int(self.state[at.FLITS_INSIDE])

    @property
    def channel_flits(self) -> IntArray:
        """(links + 2 nodes,): flits sent so far on each link, injection and ejection channel."""
        count = self.network.links + 2 * self.network.nodes
        begin = int(self.state[at.CHANNELS])
        return self.state[begin : begin + count * at.CHANNEL].reshape(-1, at.CHANNEL)[:, at.C_FLITS].copy()

    @property
    def node_flits(self) -> tuple[IntArray, IntArray]:
        """(nodes,) twice: flits that each node has injected, and flits that have arrived at it."""
        begin = int(self.state[at.NODE_RECORDS])
        table = self.state[begin : begin + self.network.nodes * at.NODE].reshape(-1, at.NODE)
        return table[:, at.N_INJECTED].copy(), table[:, at.N_EJECTED].copy()

    def _table(self) -> IntArray:
        return self.state[int(self.state[at.PACKETS]) :].reshape(-1, at.PACKET)

    def _make_room(self, count: int) -> None:
        missing = count - self._free.size
        if missing <= 0:
            return
        have = len(self._table())
        more = max(missing, have)
        self.state = np.concatenate([self.state, np.zeros(more * at.PACKET, dtype=np.int64)])
        self._free = np.concatenate([np.arange(have, have + more)[::-1], self._free])

    def offer(self, packets: Packets) -> None:
        """Packets to be created, in order of their cycles, none before those offered already or before the present.

        Raises ConfigError for packets that the network cannot carry, ValueError for another order.
        """
        count = packets.count
        if count == 0:
            return
        check_packets(packets, self.network)
        if (np.diff(packets.cycle) < 0).any():
            raise ValueError("packets are offered in the order of their cycles")
        if int(packets.cycle[0]) < max(self.cycle, self._last):
            raise ValueError("packets are not offered for the past, nor before those offered already")
        self._last = int(packets.cycle[-1])
        self._make_room(count)
        rows = self._free[-count:][::-1].copy()
        self._free = self._free[:-count]
        table = self._table()
        table[rows] = 0
        table[rows, at.P_CREATED], table[rows, at.P_SOURCE] = packets.cycle, packets.source
        table[rows, at.P_DESTINATION], table[rows, at.P_FLITS] = packets.destination, packets.flits
        table[rows[:, None], list(_BLANK)] = -1
        if self.routes.tables > 1:
            table[rows, at.P_TABLE] = self._tables.integers(0, self.routes.tables, count)
        address = self.state[at.PACKETS] + rows * at.PACKET
        table[rows[:-1], at.P_NEXT] = address[1:]
        if self.state[at.COMING] == 0:
            self.state[at.COMING] = address[0]
        else:
            self.state[self.state[at.LAST_COMING] + at.P_NEXT] = address[0]
        self.state[at.LAST_COMING] = address[-1]
        self.state[at.UNFINISHED] += count
        self.offered_packets += count

    def run(self, until: int = NEVER) -> None:
        """Run the cycles before `until`, or until every packet has arrived. Raises DeadlockError."""
        run(self.state, until)
        if self.state[ERROR] == at.DEADLOCK:
            cycle = waiting_cycle(self.state, self.network)
            shown = ", ".join(f"{source}->{sink}" for source, sink in cycle)
            raise DeadlockError(
                f"deadlock on {self.network.name} with {self.flits_inside} flits in the network: packets wait for each "
                f"other on the links between routers {shown}; give routes without such a cycle",
                cycle,
            )

    def harvest(self) -> Finished:
        """The packets that have arrived since the last harvest, in no particular order; their room is used anew."""
        table = self._table()
        rows = np.flatnonzero((table[:, at.P_ARRIVED] >= 0) & (table[:, at.P_FLITS] > 0))
        finished = Finished(*(table[rows, field] for field in _FIELDS))
        table[rows, at.P_FLITS] = 0
        self._free = np.concatenate([self._free, rows[::-1]])
        return finished

    def ages(self) -> IntArray:
        """(n,): cycles since creation of the packets that are created and have not arrived."""
        table = self._table()
        waits = (table[:, at.P_FLITS] > 0) & (table[:, at.P_ARRIVED] < 0) & (table[:, at.P_CREATED] < self.cycle)
        return np.asarray(self.cycle - table[waits, at.P_CREATED])

    def oldest(self) -> int:
        """The cycle in which the oldest packet was created that has not arrived; the present when there is none."""
        table = self._table()
        created = table[(table[:, at.P_FLITS] > 0) & (table[:, at.P_ARRIVED] < 0), at.P_CREATED]
        return min(int(created.min(initial=self.cycle)), self.cycle)
