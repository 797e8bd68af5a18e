"""The flit network as a server of a chip: transfers in bytes, completions in ticks (rules F11 to F13)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cairn.base.kernel import kernel
from cairn.base.ticks import NEVER, Clock
from cairn.hw_models.noc.flit import layout as at
from cairn.hw_models.noc.flit.cycle import following, one_cycle
from cairn.hw_models.noc.flit.spec import RouterSpec
from cairn.hw_models.noc.flit.state import build_state
from cairn.hw_models.noc.flit.transfers import enqueue
from cairn.hw_models.noc.network import IntArray, Network, Routes
from cairn.hw_models.noc.spec import REQUEST_COLUMNS
from cairn.hw_models.server import (
    ADVANCE_SIGNATURE,
    COUNT,
    ERROR,
    NEXT_EVENT_SIGNATURE,
    NOW,
    Server,
    ServerKind,
    server_kinds,
)


def build_flit_server(
    network: Network,
    routes: Routes,
    router: RouterSpec,
    clock: Clock,
    *,
    link_bytes_per_cycle: int,
    max_packet_bytes: int,
    start_cycles: int = 1,
    max_transfers: int = 65536,
) -> Server:
    """The network with its own `clock`; sources and destinations of requests are its nodes.

    A flit is `link_bytes_per_cycle` bytes, a packet at most `max_packet_bytes`. A transfer waits `start_cycles` (>= 1)
    at its source. At most `max_transfers` may be under way at once; beyond that the state's ERROR slot is set (reasons
    in `layout.py`) and nothing completes any more. Raises ValueError for numbers below one and for a clock beyond 1000
    GHz, ConfigError for virtual channels that the routes cannot divide.
    """
    sizes = (link_bytes_per_cycle, max_packet_bytes, start_cycles, max_transfers)
    if min(sizes) < 1:
        raise ValueError(f"bytes, start_cycles and max_transfers are at least 1, got {sizes}")
    if clock.num < clock.den:
        raise ValueError("the clock of a network may not exceed 1000 GHz: one cycle has to last a tick at least")
    # A packet of each transfer stands in a line, and no more are in the network than it has slots for flits.
    slots = (network.links + 2 * network.nodes) * router.virtual_channels * router.buffer_flits
    state = build_state(network, routes, router, max_transfers + slots + network.nodes, max_transfers)
    state[at.NUM], state[at.DEN], state[at.LAST_TICK] = clock.num, clock.den, NEVER // clock.den - 1
    state[at.WIDTH], state[at.PACKET_BYTES] = link_bytes_per_cycle, max_packet_bytes
    state[at.START_CYCLES] = start_cycles
    state[at.NEXT_TRANSFER], state[at.NEXT_PACKET] = state[at.TRANSFERS], state[at.PACKETS]
    state[at.END_OF_TRANSFERS] = state[at.PACKETS]
    labels = {"network": network.name, "source": network.link_source, "destination": network.link_destination}
    return Server(flit_kind, state, labels)


@kernel(ADVANCE_SIGNATURE, **at.NO_ALLOCATION)
def advance(state: IntArray, until: int) -> int:
    """Run to the first tick with completions, or to `until` (see `cairn.hw_models.server`)."""
    num, den = state[at.NUM], state[at.DEN]
    last = ((until + 1) * den - 1) // num if until < state[at.LAST_TICK] else NEVER  # F13
    state[COUNT] = 0
    cycle = following(state, state[at.CYCLE])
    while cycle <= last and cycle < NEVER:
        one_cycle(state, cycle)
        state[at.CYCLE] = cycle + 1
        if state[COUNT] > 0:
            state[NOW] = cycle * num // den
            return state[COUNT]  # type: ignore[no-any-return]
        cycle = following(state, cycle + 1)
    if last < NEVER:
        state[at.CYCLE] = max(state[at.CYCLE], last + 1)
    state[NOW] = until
    return 0


@kernel(NEXT_EVENT_SIGNATURE, **at.NO_ALLOCATION)
def next_event(state: IntArray) -> int:
    """The tick of the next cycle in which anything happens, NEVER when nothing does."""
    if state[at.UNFINISHED] == 0 or state[ERROR] != 0:
        return NEVER
    cycle = following(state, state[at.CYCLE])
    return NEVER if cycle >= NEVER // state[at.NUM] else cycle * state[at.NUM] // state[at.DEN]


def counters(state: IntArray) -> Mapping[str, Any]:
    """What the network counted.

    Numbers: `transfers` requested, `packets` and `bytes` delivered, `hop_bytes` (bytes x links passed), `cycle_ps`.
    Arrays over links (L,): `link_bytes` and `link_busy_cycles` (flits); over nodes (n,) the same with `injection_` and
    `ejection_`.
    """
    links, nodes = int(state[at.LINKS]), int(state[at.NODES])
    begin, end = int(state[at.CHANNELS]), int(state[at.LANES])
    table = state[begin:end].reshape(-1, at.CHANNEL)
    parts = {"link": table[:links], "injection": table[links : links + nodes], "ejection": table[links + nodes :]}
    counted: dict[str, Any] = {
        "transfers": int(state[at.SUM_TRANSFERS]),
        "packets": int(state[at.SUM_PACKETS]),
        "bytes": int(parts["ejection"][:, at.C_BYTES].sum()),
        "hop_bytes": int(parts["link"][:, at.C_BYTES].sum()),
        "cycle_ps": float(np.float64(state[at.NUM]) / np.float64(state[at.DEN])),
    }
    for name, part in parts.items():
        counted[f"{name}_bytes"] = part[:, at.C_BYTES].copy()
        counted[f"{name}_busy_cycles"] = part[:, at.C_FLITS].copy()
    return counted


flit_kind = server_kinds.add("flit", ServerKind("flit", enqueue, advance, next_event, REQUEST_COLUMNS, counters))
