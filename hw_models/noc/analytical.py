"""Closed forms of the network, vectorised over designs and transfers; times in cycles of the network's clock.

All of them follow from the rules N1 to N5 of `cycle.py`. Where packets of different transfers never meet they are
exact; `most_loaded_cycles` bounds what no schedule can beat. A request made within a cycle waits for the boundary
first (N5), which is not included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.base.kernel import kernel
from cairn.hw_models.noc.chip_network import chip_network
from cairn.hw_models.noc.network import walk
from cairn.hw_models.noc.routing import add_along, steps
from cairn.hw_models.noc.spec import PORTS_ALONE, IntArray, NocSpec, NocTopology
from cairn.hw_models.noc.topology import DIRECTIONS, wire


@dataclass(frozen=True)
class NocArrays:
    """Parameters of several networks, each field an integer array (or number) that broadcasts with the others.

    `wraps` is 1 for a torus, `dedicated` is 1 for all-to-all and crossbars; `injection`, `link` and `ejection` are
    bytes per cycle, `packet` is the largest packet in bytes.
    """

    wraps: Any
    dedicated: Any
    start_cycles: Any
    hop_cycles: Any
    injection: Any
    link: Any
    ejection: Any
    packet: Any

    @classmethod
    def of(cls, specs: NocSpec | Sequence[NocSpec]) -> NocArrays:
        """The parameters of one spec as numbers, or of several as arrays (d,)."""
        if isinstance(specs, NocSpec):
            return cls(*_numbers(specs))
        return cls(*np.array([_numbers(spec) for spec in specs], dtype=np.int64).T)


def _numbers(spec: NocSpec) -> tuple[int, ...]:
    return (
        int(spec.topology is NocTopology.TORUS),
        int(spec.topology in PORTS_ALONE),
        spec.start,
        spec.hop_cycles,
        spec.injection,
        spec.link_bytes_per_cycle,
        spec.ejection,
        spec.max_packet_bytes,
    )


def _integers(numbers: npt.ArrayLike) -> IntArray:
    return np.asarray(numbers, dtype=np.int64)


def head_cycles(noc: NocArrays, hops: npt.ArrayLike) -> IntArray:
    """Cycles from a request to FIRST of an uncontended transfer over `hops` links: start, port, links, first flit."""
    return _integers(noc.start_cycles + 1 + _integers(hops) * noc.hop_cycles + 1)


def transfer_cycles(noc: NocArrays, hops: npt.ArrayLike, size_bytes: npt.ArrayLike) -> IntArray:
    """Cycles from a request to DONE of an uncontended transfer of `size_bytes` (>= 1) over `hops` links; 0 of them
    between two cores of one router, where the ports alone set the pace.

    The packets follow each other at the pace of the slowest resource up to where they are, and the last one ends
    where that pace and its own hold take longest: exact for any widths.
    """
    size = _integers(size_bytes)
    others = -(-size // noc.packet) - 1
    last_bytes = size - others * noc.packet
    pace, longest = _integers(0), _integers(0)
    for width in (noc.injection, np.where(_integers(hops) > 0, noc.link, noc.ejection), noc.ejection):
        pace = np.maximum(pace, -(-noc.packet // width))
        longest = np.maximum(longest, others * pace - (-last_bytes // width))
    return head_cycles(noc, hops) - 1 + longest


def tree_hops(spec: NocSpec, rows: int, columns: int, root: int, one: int, other: int) -> tuple[int, int]:
    """Links of the tree between a root and the rectangle of cores with corners `one` and `other` (rule N8), and of the
    longest way in it. On a mesh or torus with routes by xy. Alone, such a transfer takes the `transfer_cycles` of its
    longest way, in either direction."""
    (row, column), (to_row, to_column) = divmod(one, columns), divmod(other, columns)
    line = np.arange(min(column, to_column), max(column, to_column) + 1)
    along = steps(spec, rows, columns, root, root // columns * columns + line)[0]
    places = np.arange(min(row, to_row), max(row, to_row) + 1)
    across = steps(spec, rows, columns, root, places * columns + root % columns)[1]
    trunk, branch = ((max(int(way.max()), 0), max(int(-way.min()), 0)) for way in (along, across))
    return sum(trunk) + line.size * sum(branch), max(trunk) + max(branch)


def ring_hops(noc: NocArrays, size: npt.ArrayLike, members: npt.ArrayLike, stride: npt.ArrayLike = 1) -> IntArray:
    """Links of the longest step of a ring of `members` (>= 2) cores, every `stride`-th of a row of `size` cores.

    The longest step is the one from the last member back to the first on a mesh; a torus closes the ring the
    shorter way round, and all-to-all takes one hop.
    """
    back = (_integers(members) - 1) * _integers(stride)
    closing = np.where(noc.wraps, np.minimum(back, _integers(size) - back), back)
    return _integers(np.where(noc.dedicated, 1, np.maximum(closing, _integers(stride))))


def ring_step_cycles(
    noc: NocArrays,
    size: npt.ArrayLike,
    members: npt.ArrayLike,
    size_bytes: npt.ArrayLike,
    stride: npt.ArrayLike = 1,
    sharing: npt.ArrayLike = 1,
) -> IntArray:
    """Cycles in which every member of a ring sends `size_bytes` to the next one, all starting at once.

    On a mesh the forward steps and the way back use links of opposite directions, so a ring never meets itself:
    exact with `sharing` 1. `sharing` interleaved rings in one row (at most `stride`) cross the same links, which
    then carry as many times the bytes: a lower bound that the model reaches within the spread of arrival times.
    """
    longest = transfer_cycles(noc, ring_hops(noc, size, members, stride), size_bytes)
    shared = np.where(noc.dedicated, 1, _integers(sharing))
    return _integers(longest + (shared - 1) * -(-_integers(size_bytes) // noc.link))


def ring_collective_cycles(
    noc: NocArrays,
    size: npt.ArrayLike,
    members: npt.ArrayLike,
    shard_bytes: npt.ArrayLike,
    stride: npt.ArrayLike = 1,
    sharing: npt.ArrayLike = 1,
) -> IntArray:
    """Cycles of a ring all-gather, or of the transfers of a ring reduce-scatter (its additions are not included).

    `members - 1` steps of one shard per member, each member sending one shard at a time: the member that closes
    the ring has the longest way in every step. 0 for a single member.
    """
    count = _integers(members)
    step = ring_step_cycles(noc, size, np.maximum(count, 2), shard_bytes, stride, sharing)
    return (count - 1) * step


def link_loads(spec: NocSpec, rows: int, columns: int, traffic: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Bytes on each link, injection port and ejection port (n).

    Links are numbered by node and direction (4 n) where packets go by directions, else as in `chip_network`; there are
    none in all-to-all. `traffic` (n, n): bytes from row to column; what stays in a core loads nothing. Where routes
    have several tables each carries an equal part, the first ones a byte more.
    """
    nodes = rows * columns
    if traffic.shape != (nodes, nodes):
        raise ValueError(f"traffic of a {rows} x {columns} network is a {nodes} x {nodes} matrix, got {traffic.shape}")
    moved = np.where(np.eye(nodes, dtype=bool), 0, traffic)
    loads = _by_direction(spec, rows, columns, moved) if spec.by_direction else _by_table(spec, rows, columns, moved)
    return loads, moved.sum(axis=1), moved.sum(axis=0)


def _by_direction(spec: NocSpec, rows: int, columns: int, moved: IntArray) -> IntArray:
    links = np.zeros(rows * columns * DIRECTIONS, dtype=np.int64)
    if spec.topology is NocTopology.ALL_TO_ALL:
        return links[:0]
    _add_to_links(links, int(spec.topology is NocTopology.TORUS), rows, columns, np.ascontiguousarray(moved))
    return links


@kernel()
def _add_to_links(links: IntArray, wraps: int, rows: int, columns: int, moved: IntArray) -> None:
    """Add what moves between nodes (n, n) to each link on its way: along the row, then along the column."""
    for source in range(moved.shape[0]):
        for destination in range(moved.shape[1]):
            amount = moved[source, destination]
            if amount != 0:
                add_along(links, 0, DIRECTIONS, wraps, rows, columns, source, destination, amount)


def _by_table(spec: NocSpec, rows: int, columns: int, moved: IntArray) -> IntArray:
    network, routes = chip_network(spec, rows, columns)
    links = np.zeros(network.links, dtype=np.int64)
    share, more = moved // routes.tables, moved % routes.tables
    parts = np.stack([share + (table < more) for table in range(routes.tables)])
    for step in walk(network, routes):
        passes = step.link >= 0
        np.add.at(links, step.link[passes], parts[passes])
    return links


def most_loaded_cycles(spec: NocSpec, rows: int, columns: int, traffic: IntArray) -> int:
    """Least cycles in which the traffic can pass its most loaded link or port; start and hops are not included."""
    links, injected, ejected = link_loads(spec, rows, columns, traffic)
    loads = ((links, spec.link_bytes_per_cycle), (injected, spec.injection), (ejected, spec.ejection))
    return max(-(-int(load.max(initial=0)) // width) for load, width in loads)


def bisection_bytes_per_cycle(spec: NocSpec, rows: int, columns: int) -> int:
    """Bytes per cycle, in one direction, across the cut that halves the longer side; ports for all-to-all and crossbar.

    A router stands on the side of its first core.
    """
    if spec.topology in PORTS_ALONE:
        return rows * columns // 2 * min(spec.injection, spec.ejection)
    nodes = np.arange(rows * columns)
    near = (nodes % columns if columns >= rows else nodes // columns) < max(rows, columns) // 2
    if spec.by_direction:
        wiring = wire(spec.topology, rows, columns)
        across = near[wiring.link_source] & ~near[wiring.link_destination]
    else:
        network, _ = chip_network(spec, rows, columns)
        side = near[np.unique(network.node_router, return_index=True)[1]]
        across = side[network.link_source] & ~side[network.link_destination]
    return int(np.count_nonzero(across)) * spec.link_bytes_per_cycle
