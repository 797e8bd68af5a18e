"""Parameters of the packet model on a network given as data (`network.py`): widths, latencies, headers, buffers."""

from __future__ import annotations

from fractions import Fraction
from math import ceil
from typing import Annotated

from pydantic import Field, model_validator

from cairn.base.spec import Spec, required, sourced

Width = Annotated[float, Field(gt=0, le=1 << 20)]


class PacketSpec(Spec):
    """How packets move over a network. Widths are bytes per cycle and may be decimal fractions (28.1), which count
    exactly; a port width is one number, or one for each node. Times are cycles of the network's clock."""

    link_bytes_per_cycle: Width = required()
    injection_bytes_per_cycle: Width | tuple[Width, ...] | None = sourced(None, "assumed: a port is as wide as a link")
    ejection_bytes_per_cycle: Width | tuple[Width, ...] | None = sourced(None, "assumed: a port is as wide as a link")
    start_cycles: int = sourced(1, "the least that rule N1 of cycle.py allows", ge=1, le=1 << 32)
    injection_cycles: int = sourced(1, "assumed: from a node to its router, one cycle", ge=1, le=1 << 16)
    router_cycles: int = sourced(1, "assumed: look-ahead routing, empty queue; the wire comes on top", ge=0, le=1 << 16)
    ejection_cycles: int = sourced(0, "assumed: the ejection port stands in the router", ge=0, le=1 << 16)
    header_bytes: int = sourced(0, "assumed: addresses travel on wires of their own", ge=0, le=1 << 16)
    max_packet_bytes: int = sourced(4096, "as NocSpec.max_packet_bytes", gt=0, le=1 << 32)
    buffer_flits: int | None = sourced(None, "assumed: unbounded buffers, which never hold a packet back", gt=0)
    credit_cycles: int = sourced(
        6, "reference digest of BookSim2's pipeline std4: a body flit's credit is back after 6 cycles", gt=0, le=1 << 16
    )
    channels: int | None = sourced(
        None, "assumed: as many virtual channels as packets that want one: a link is never idle for want of one", gt=0
    )
    loopback: bool = sourced(False, "assumed: what stays in a node needs no network")

    @model_validator(mode="after")
    def _ports_come_together(self) -> PacketSpec:
        given = [
            len(width)
            for width in (self.injection_bytes_per_cycle, self.ejection_bytes_per_cycle)
            if isinstance(width, tuple)
        ]
        if len(set(given)) > 1:
            raise ValueError(f"injection_bytes_per_cycle names {given[0]} nodes, ejection_bytes_per_cycle {given[1]}")
        return self

    @property
    def link_width(self) -> Fraction:
        """Bytes per cycle of a link."""
        return exact(self.link_bytes_per_cycle)

    def port_widths(self, port: float | tuple[float, ...] | None, nodes: int) -> list[Fraction]:
        """Bytes per cycle of the ports of `nodes` nodes; ValueError for a tuple of another length."""
        if isinstance(port, tuple):
            if len(port) != nodes:
                raise ValueError(f"port widths of {nodes} nodes are wanted, got {len(port)}")
            return [exact(width) for width in port]
        return [self.link_width if port is None else exact(port)] * nodes

    def full_cycles(self, width: Fraction) -> int:
        """Cycles of a packet of `max_packet_bytes` and its header at `width` bytes per cycle."""
        return ceil((self.max_packet_bytes + self.header_bytes) / width)


def exact(number: float) -> Fraction:
    """The decimal fraction that was written: 28.1 is 281/10."""
    return Fraction(str(number))
