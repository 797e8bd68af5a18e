"""The rules F0 to F10 of the package in plain Python, for small cases.

Written from the rules: buffers are queues of flits, credits are counted, every cycle and every buffer is looked at, and
what is on its way stands in a calendar. Nothing is shared with the compiled model but parameters, network and routes.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence

from cairn.hw_models.noc.flit.oracle_parts import (
    Buffer,
    Channel,
    Flit,
    OraclePacket,
    OracleRouter,
    Virtual,
    round_robin,
)
from cairn.hw_models.noc.flit.spec import RouterSpec
from cairn.hw_models.noc.network import Network, Routes


class OracleNetwork:
    """A flit network under `routes`, with the same router everywhere."""

    def __init__(self, network: Network, routes: Routes, spec: RouterSpec):
        self.network, self.routes, self.spec = network, routes, spec
        self.routers = [OracleRouter(number, network, spec) for number in range(network.routers)]
        self.credits: dict[Virtual, int] = defaultdict(lambda: spec.buffer_flits)
        self.holder: dict[Virtual, Buffer] = {}
        self.calendar: dict[int, list[Callable[[int], None]]] = defaultdict(list)
        self.waiting: list[deque[OraclePacket]] = [deque() for _ in range(network.nodes)]
        self.sent = [0] * network.nodes
        self.turn = [-1] * network.nodes

    def run(self, packets: Sequence[OraclePacket], limit: int = 1_000_000) -> None:
        """Run until all have arrived, filling in their cycles. RuntimeError after `limit` cycles."""
        self.coming = deque(sorted(packets, key=lambda packet: packet.created))
        self.packets = list(packets)
        for cycle in range(limit):
            if self._over():
                return
            for event in self.calendar.pop(cycle, []):
                event(cycle)
            self._create(cycle)
            for node in range(self.network.nodes):
                self._inject(node, cycle)
            for router in self.routers:
                for step in range(cycle * self.spec.internal_speedup, (cycle + 1) * self.spec.internal_speedup):
                    self._round(router, step)
                self._leave(router, cycle)
        raise RuntimeError(f"packets are still under way after {limit} cycles")

    def _over(self) -> bool:
        return all(packet.arrived >= 0 for packet in self.packets)

    # Channels and sources.

    def _create(self, cycle: int) -> None:
        while self.coming and self.coming[0].created == cycle:  # F1
            self.waiting[self.coming[0].source].append(self.coming.popleft())

    def _cycles(self, channel: Channel) -> int:
        return int(self.network.link_cycles[channel[1]]) if channel[0] == "link" else 1

    def _router_at(self, channel: Channel, *, sink: bool) -> OracleRouter:
        kind, number = channel
        if kind != "link":
            return self.routers[int(self.network.node_router[number])]
        ends = self.network.link_destination if sink else self.network.link_source
        return self.routers[int(ends[number])]

    def _inject(self, node: int, cycle: int) -> None:
        if not self.waiting[node]:
            return
        packet, channel = self.waiting[node][0], ("in", node)
        if packet.issued < 0:
            packet.issued = cycle
        vcs = self.spec.virtual_channels
        if self.sent[node] == 0:  # F2
            turns = [(self.turn[node] + 1 + offset) % vcs for offset in range(vcs)]
            usable = [vc for vc in turns if self.credits[channel, vc] > 0]
            if not usable:
                return
            self.turn[node] = usable[0]
            packet.injected = cycle
        virtual = (channel, self.turn[node])
        if self.credits[virtual] == 0:
            return
        self.credits[virtual] -= 1
        self._depart(Flit(packet, self.sent[node]), virtual, cycle)
        self.sent[node] += 1
        if self.sent[node] == packet.flits:
            self.sent[node] = 0
            self.waiting[node].popleft()
            self._left(packet, cycle)

    def _left(self, packet: OraclePacket, cycle: int) -> None:
        """The tail of a packet has left its source (a server has more to send)."""

    def _depart(self, flit: Flit, virtual: Virtual, cycle: int) -> None:
        arrival = cycle + 1 + self._cycles(virtual[0])
        self.calendar[arrival].append(lambda now: self._arrive(flit, virtual, now))

    def _arrive(self, flit: Flit, virtual: Virtual, cycle: int) -> None:
        channel, vc = virtual
        if channel[0] == "out":  # F9
            if flit.is_head:
                flit.packet.head = cycle
            if flit.is_tail:
                flit.packet.arrived = cycle
            self._give_credit(virtual, cycle)
            return
        router = self._router_at(channel, sink=True)
        buffer = router.buffers[router.port(router.inputs, channel, vc)]
        buffer.queue.append(flit)
        if buffer.state == "idle":
            self._begin(router, buffer)

    def _give_credit(self, virtual: Virtual, cycle: int) -> None:
        """A credit leaves the end of a channel in `cycle` (F8)."""
        delay = 0 if virtual[0][0] == "in" else self.spec.credit_delay
        usable = cycle + 1 + self._cycles(virtual[0]) + delay

        def back(now: int) -> None:
            self.credits[virtual] += 1

        self.calendar[usable].append(back)

    # The pipeline.

    def _begin(self, router: OracleRouter, buffer: Buffer) -> None:
        if self.spec.routing_delay == 0:  # F4
            self._route(router, buffer)
        else:
            buffer.state = "routing"
            router.to_route.append(buffer)

    def _route(self, router: OracleRouter, buffer: Buffer) -> None:
        packet = buffer.queue[0].packet
        link = int(self.routes.next_link[packet.table, router.number, packet.destination])
        vcs = self.spec.virtual_channels
        buffer.state = "waiting"
        if link < 0:
            buffer.out, buffer.allowed = ("out", packet.destination), range(vcs)
            return
        came = buffer.channel[1] if buffer.channel[0] == "link" else None
        dimension = self.network.link_direction // 2
        if came is None or dimension[came] != dimension[link]:
            packet.channel_class = int(self.routes.turn_class[packet.table, router.number, packet.destination])
        number = int(self.routes.group[packet.table]) * self.routes.classes + packet.channel_class
        width = vcs // self.routes.sets
        buffer.out, buffer.allowed = ("link", link), range(number * width, (number + 1) * width)

    def _round(self, router: OracleRouter, step: int) -> None:
        speedup = self.spec.internal_speedup
        if router.to_route and router.routing.free(step):
            router.routing.busy, router.to_route = router.to_route, []
            router.routing.start(step, speedup)
        finding, switching = router.finding, router.switching
        if any(buffer.state == "waiting" for buffer in router.buffers) and finding.free(step):
            router.found = self._find(router)
            finding.start(step, speedup)
        if any(self._may_switch(buffer) for buffer in router.buffers) and switching.free(step):
            switching.busy = self._switch(router)
            switching.start(step, speedup)
        if router.to_cross and router.crossing.free(step):
            router.crossing_flits, router.to_cross = router.to_cross, []
            router.crossing.start(step, speedup)

        if router.routing.due == step:
            for buffer in router.routing.busy:
                self._route(router, buffer)
        if finding.due == step:
            for number, virtual in router.found.items():  # F5
                buffer = router.buffers[number]
                buffer.state, buffer.to = "active", virtual
                self.holder[virtual] = buffer
        freed: dict[Channel, list[int]] = defaultdict(list)
        if switching.due == step:
            self._send(router, switching.busy, freed)
            switching.busy = []
        if router.crossing.due == step:
            for flit, virtual in router.crossing_flits:
                router.queues[virtual[0]].append((flit, virtual[1]))
            router.crossing_flits = []
        for channel, vcs in freed.items():
            router.credit_queues[channel].append(vcs)

    def _may_switch(self, buffer: Buffer) -> bool:
        """Whether a buffer takes part in rounds of switch allocation, with or without a credit."""
        speculates = buffer.state == "waiting" and self.spec.speculative
        return bool(buffer.queue) and (buffer.state == "active" or speculates)

    def _find(self, router: OracleRouter) -> dict[int, Virtual]:
        """VC allocation (F5): the virtual channel found for buffers, by their number."""
        asking: dict[int, list[int]] = defaultdict(list)
        for number, buffer in enumerate(router.buffers):
            if buffer.state == "waiting":
                for vc in buffer.allowed:
                    if (buffer.out, vc) not in self.holder:
                        asking[router.port(router.outputs, buffer.out, vc)].append(number)
        taken: dict[int, list[int]] = defaultdict(list)
        for sender, numbers in asking.items():
            taken[round_robin(numbers, router.pointers["sender", sender])].append(sender)
        result = {}
        for number, senders in taken.items():
            sender = round_robin(senders, router.pointers["buffer", number])
            router.pointers["sender", sender] = number + 1
            router.pointers["buffer", number] = sender + 1
            port, vc = divmod(sender, self.spec.virtual_channels)
            result[number] = (router.outputs[port], vc)
        return result

    def _asks(self, buffer: Buffer) -> bool:
        if buffer.state == "active" and buffer.queue and buffer.to is not None:
            return self.credits[buffer.to] > 0
        if buffer.state == "waiting" and self.spec.speculative:  # F7
            free = [(buffer.out, vc) for vc in buffer.allowed if (buffer.out, vc) not in self.holder]
            return any(self.credits[virtual] > 0 for virtual in free)
        return False

    def _switch(self, router: OracleRouter) -> list[Buffer]:
        """Switch allocation (F6): the buffers that win."""
        asking = [buffer for buffer in router.buffers if self._asks(buffer)]
        lanes: dict[int, set[int]] = defaultdict(set)
        for buffer in asking:
            lanes[router.outputs.index(buffer.out)].add(router.lane_number(router.lane(buffer)))
        chosen: dict[int, list[int]] = defaultdict(list)
        for output, numbers in lanes.items():
            chosen[round_robin(numbers, router.pointers["output", output])].append(output)
        winners = []
        for number, outputs in chosen.items():
            output = round_robin(outputs, router.pointers["lane", number])
            router.pointers["output", output] = number + 1
            router.pointers["lane", number] = output + 1
            winners.append(self._turn_of(router, number, output, asking))
        return winners

    def _turn_of(self, router: OracleRouter, number: int, output: int, asking: list[Buffer]) -> Buffer:
        """The buffer of a lane whose turn it is (F6, F7)."""
        lane = [buffer for buffer in asking if router.lane_number(router.lane(buffer)) == number]
        mine = [buffer for buffer in lane if buffer.out == router.outputs[output]]
        vcs, turn = self.spec.virtual_channels, router.turns[router.lane(mine[0])]
        first = min(mine, key=lambda buffer: (buffer.state == "waiting", (buffer.vc - turn) % vcs))
        router.turns[router.lane(first)] = (first.vc + self.spec.input_speedup) % vcs
        return first

    def _send(self, router: OracleRouter, winners: list[Buffer], freed: dict[Channel, list[int]]) -> None:
        """Winners send their first flit; a packet behind a tail begins (F4, F5, F7, F8)."""
        for buffer in winners:
            if buffer.to is None or self.credits[buffer.to] == 0:
                continue
            flit, virtual = buffer.queue.popleft(), buffer.to
            self.credits[virtual] -= 1
            freed[buffer.channel].append(buffer.vc)
            router.to_cross.append((flit, virtual))
            if flit.is_tail:
                del self.holder[virtual]
                buffer.state, buffer.to = "idle", None
                if buffer.queue:
                    self._begin(router, buffer)

    def _leave(self, router: OracleRouter, cycle: int) -> None:
        """One flit leaves by every output, and one credit message by every input (F8)."""
        for channel, flits in router.queues.items():
            if flits:
                flit, vc = flits.popleft()
                self._depart(flit, (channel, vc), cycle)
        for channel, messages in router.credit_queues.items():
            if messages:
                for vc in messages.popleft():
                    self._give_credit((channel, vc), cycle)

