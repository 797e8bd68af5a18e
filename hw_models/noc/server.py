"""Building the network server of a chip, and reading what it counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cairn.base.ticks import NEVER, Clock
from cairn.hw_models.noc import layout as at
from cairn.hw_models.noc.cycle import advance, next_event
from cairn.hw_models.noc.heap import ENTRY
from cairn.hw_models.noc.request import enqueue
from cairn.hw_models.noc.spec import REQUEST_COLUMNS, IntArray, NocSpec, NocTopology
from cairn.hw_models.noc.topology import DIRECTIONS, wire
from cairn.hw_models.server import DONE_AT, Server, ServerKind, server_kinds


def build_noc_server(
    spec: NocSpec, rows: int, columns: int, clock: Clock, max_transfers: int = 65536, max_packets: int | None = None
) -> Server:
    """The network of `rows` x `columns` cores on a chip whose clock is `clock`.

    At most `max_transfers` transfers and `max_packets` packets (not below `max_transfers`; default: two a transfer
    and 4096 more) may be under way at once; beyond that the state's ERROR slot is set (reasons in `layout.py`) and
    nothing completes any more. Requests have the columns REQUEST_COLUMNS and are checked by `check_requests`.
    Raises ValueError for a size below one and for a clock beyond 1000 GHz, whose cycles are shorter than a tick.
    """
    packets = 2 * max_transfers + 4096 if max_packets is None else max_packets
    if max_transfers < 1 or packets < max_transfers:
        raise ValueError(f"1 <= max_transfers <= max_packets is required, got {max_transfers} and {packets}")
    network_clock = spec.clock(clock)
    if network_clock.num < network_clock.den:
        raise ValueError("the clock of a network may not exceed 1000 GHz: one cycle has to last a tick at least")
    wiring = wire(spec.topology, rows, columns)
    nodes, links = wiring.nodes, wiring.neighbour.size
    regions = {
        at.NEIGHBOURS: links,
        at.RESOURCES: links * at.RESOURCE,
        at.INJECTIONS: nodes * at.RESOURCE,
        at.EJECTIONS: nodes * at.RESOURCE,
        at.TRANSFERS: max_transfers * at.TRANSFER,
        at.PACKETS: packets * at.PACKET,
        at.PROMISES: max_transfers * ENTRY,
        at.FAR: packets * ENTRY,
        at.BUCKETS: at.SPAN,
        at.WORDS: at.SPAN // 64,
        at.BATCH_END: packets,
        DONE_AT: 2 * max_transfers,
    }
    state = np.zeros(at.BODY + sum(regions.values()), dtype=np.int64)
    offset = at.BODY
    for slot, words in regions.items():
        state[slot] = offset
        offset += words
    state[at.BATCH_END] += packets
    state[state[at.NEIGHBOURS] : state[at.NEIGHBOURS] + links] = wiring.neighbour.ravel()
    state[at.NEXT_TRANSFER], state[at.NEXT_PACKET] = state[at.TRANSFERS], state[at.PACKETS]
    _write_parameters(state, spec, rows, columns, network_clock)
    state[at.NUMBERED_LINKS] = links
    return Server(noc_kind, state, {"topology": spec.topology.value, "rows": rows, "columns": columns})


def _write_parameters(state: IntArray, spec: NocSpec, rows: int, columns: int, clock: Clock) -> None:
    state[at.NUM], state[at.DEN], state[at.LAST_TICK] = clock.num, clock.den, NEVER // clock.den - 1
    state[at.ROWS], state[at.COLUMNS] = rows, columns
    state[at.WRAPS] = spec.topology is NocTopology.TORUS
    state[at.START_CYCLES], state[at.HOP_CYCLES] = spec.start, spec.hop_cycles
    state[at.PACKET_BYTES] = spec.max_packet_bytes
    for kind, width in enumerate((spec.injection, spec.link_bytes_per_cycle, spec.ejection)):
        state[at.WIDTH + kind] = width
        state[at.FULL + kind] = -(-spec.max_packet_bytes // width)


def counters(state: IntArray) -> Mapping[str, Any]:
    """What the network counted.

    Numbers: `transfers` and `hop_bytes` (bytes x links) requested, `packets` and `bytes` delivered, `wait_cycles`
    and `max_wait_cycles` that heads queued, `cycle_ps`. Arrays over links (L,): `link_source`,
    `link_destination` (nodes), `link_bytes`, `link_busy_cycles`, `link_wait_cycles`; empty in all-to-all, whose
    links are not numbered. Arrays over nodes (n,): the last three with `injection_` and `ejection_`.
    """
    neighbour = state[state[at.NEIGHBOURS] : state[at.NEIGHBOURS] + state[at.NUMBERED_LINKS]]
    exists = np.flatnonzero(neighbour >= 0)
    links, injection, ejection = (
        state[state[begin] : state[end]].reshape(-1, at.RESOURCE)
        for begin, end in ((at.RESOURCES, at.INJECTIONS), (at.INJECTIONS, at.EJECTIONS), (at.EJECTIONS, at.TRANSFERS))
    )
    counted: dict[str, Any] = {
        "transfers": int(state[at.SUM_TRANSFERS]),
        "packets": int(state[at.SUM_PACKETS]),
        "bytes": int(ejection[:, at.BYTES].sum()),
        "hop_bytes": int(state[at.SUM_HOP_BYTES]),
        "wait_cycles": int(state[at.SUM_WAIT]),
        "max_wait_cycles": int(state[at.MAX_WAIT]),
        "cycle_ps": float(state[at.NUM]) / float(state[at.DEN]),
        "link_source": exists // DIRECTIONS,
        "link_destination": neighbour[exists],
    }
    for name, table in (("link", links[exists]), ("injection", injection), ("ejection", ejection)):
        counted[f"{name}_bytes"] = table[:, at.BYTES].copy()
        counted[f"{name}_busy_cycles"] = table[:, at.BUSY].copy()
        counted[f"{name}_wait_cycles"] = table[:, at.WAIT].copy()
    return counted


noc_kind = server_kinds.add("noc", ServerKind("noc", enqueue, advance, next_event, REQUEST_COLUMNS, counters))
