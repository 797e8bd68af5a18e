"""Transfers to and from rectangles of cores: the rules N8 and N9 against the oracle, and the contract of servers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import ConfigError
from cairn.hw_models.noc import layout
from cairn.hw_models.noc.analytical import NocArrays, transfer_cycles, tree_hops
from cairn.hw_models.noc.oracle import Network
from cairn.hw_models.noc.server import build_noc_server
from cairn.hw_models.noc.spec import (
    MULTICAST,
    OPPOSITE_SHIFT,
    REDUCE,
    NocSpec,
    NocTopology,
    check_requests,
    multicast_flags,
    reduce_flags,
)
from cairn.hw_models.server import DONE, ERROR, WANTS_FIRST
from tests.hw_models.noc_cases import GHZ, events
from tests.hw_models.server_contract import Timed, check_contract, drive

KINDS = st.sampled_from([0, MULTICAST, REDUCE])


@st.composite
def grids(draw: st.DrawFn) -> tuple[NocSpec, int, int]:
    spec = NocSpec(
        topology=draw(st.sampled_from([NocTopology.MESH, NocTopology.TORUS])),
        link_bytes_per_cycle=draw(st.integers(1, 5)),
        injection_bytes_per_cycle=draw(st.integers(1, 5)),
        ejection_bytes_per_cycle=draw(st.integers(1, 5)),
        hop_cycles=draw(st.integers(1, 3)),
        start_cycles=draw(st.integers(1, 3)),
        max_packet_bytes=draw(st.integers(1, 12)),
    )
    return spec, draw(st.integers(1, 5)), draw(st.integers(2, 5))


@st.composite
def rows(draw: st.DrawFn, nodes: int) -> tuple[int, int, int, int]:
    """A request of any kind between different cores."""
    kind, first = draw(KINDS), draw(st.sampled_from([0, WANTS_FIRST]))
    source = draw(st.integers(0, nodes - 1))
    destination = (source + draw(st.integers(1, nodes - 1))) % nodes
    opposite = draw(st.integers(0, nodes - 1)) if kind else 0
    return first | kind | opposite << OPPOSITE_SHIFT, source, destination, draw(st.integers(1, 40))


@settings(max_examples=250, deadline=None)
@given(st.data(), grids(), st.sampled_from([0, 30, 3_000, 60_000]))
def test_rectangles_keep_the_contract_and_agree_with_the_oracle(
    data: st.DataObject, grid: tuple[NocSpec, int, int], spread: int
) -> None:
    spec, down, across = grid
    tasks = data.draw(st.lists(st.integers(0, 99), min_size=1, max_size=12, unique=True))
    timed = [Timed(data.draw(st.integers(0, spread)), task, data.draw(rows(down * across))) for task in tasks]
    narrowest = min(spec.injection, spec.ejection, spec.link_bytes_per_cycle)
    check_contract(
        build_noc_server(spec, down, across, GHZ, max_transfers=12, max_packets=4096),
        timed,
        expected=Network(spec, down, across, GHZ).run(timed),
        least_ticks=lambda row: GHZ.ticks(-(-row[3] // narrowest)),
        bytes_of=lambda row: row[3] * delivered(row, across),
        counted_bytes=lambda counted: int(counted["bytes"]),
        cuts=data.draw(st.lists(st.integers(0, 100_000), max_size=5)),
    )


def members(one: int, other: int, columns: int) -> set[int]:
    (row, column), (to_row, to_column) = divmod(one, columns), divmod(other, columns)
    return {
        r * columns + c
        for r in range(min(row, to_row), max(row, to_row) + 1)
        for c in range(min(column, to_column), max(column, to_column) + 1)
    }


def delivered(row: Sequence[int], columns: int) -> int:
    """Times that the bytes of a request come out of the network."""
    if row[0] & MULTICAST:
        return len(members(row[2], row[0] >> OPPOSITE_SHIFT, columns) - {row[1]})
    return 1


def run(spec: NocSpec, side: tuple[int, int], request: tuple[int, ...]) -> tuple[int, Any]:
    """Cycles to DONE of one request, and the counters."""
    timed = [Timed(0, 0, tuple(int(number) for number in request))]
    server = build_noc_server(spec, *side, GHZ)
    return events(server, timed)[0, DONE] // 1000, drive(server, timed)[1]


def test_a_multicast_to_the_whole_grid_passes_a_link_for_each_other_core_once() -> None:
    done, counted = run(NocSpec(), (4, 4), (multicast_flags(15), 5, 0, 4096))
    assert counted["hop_bytes"] == counted["link_bytes"].sum() == 15 * 4096
    assert counted["link_bytes"].max() == 4096
    assert counted["injection_bytes"].tolist() == [4096 if core == 5 else 0 for core in range(16)]
    assert counted["ejection_bytes"].tolist() == [0 if core == 5 else 4096 for core in range(16)]
    assert done == 20 + 1 + 2 * (2 + 2) + 128  # to core 15 at the far corner


def test_a_reduction_of_the_whole_grid_passes_a_link_for_each_other_core_once() -> None:
    done, counted = run(NocSpec(), (4, 4), (reduce_flags(15), 0, 5, 4096))
    assert counted["hop_bytes"] == counted["link_bytes"].sum() == 15 * 4096
    assert counted["link_bytes"].max() == 4096
    assert counted["injection_bytes"].tolist() == [0 if core == 5 else 4096 for core in range(16)]
    assert counted["ejection_bytes"].tolist() == [4096 if core == 5 else 0 for core in range(16)]
    assert done == 20 + 1 + 2 * (2 + 2) + 128


def test_a_reduction_waits_at_a_router_for_the_part_that_comes_last() -> None:
    """On a line 0 .. 3, core 3 is held up by a transfer of its own; the others' parts wait for it."""
    spec = NocSpec()
    timed = [Timed(0, 0, (0, 3, 2, 4096)), Timed(0, 1, (int(reduce_flags(3)), 1, 0, 32))]
    at = events(build_noc_server(spec, 1, 4, GHZ), timed)
    assert at[1, DONE] // 1000 == 20 + 128 + 1 + 3 * 2 + 1


def test_a_multicast_is_done_when_its_last_destination_is() -> None:
    """Core 3's ejection port is busy; core 1 has everything long before."""
    timed = [Timed(0, 0, (0, 2, 3, 4096)), Timed(0, 1, (int(multicast_flags(1)) | WANTS_FIRST, 0, 3, 32))]
    at = events(build_noc_server(NocSpec(), 1, 4, GHZ), timed)
    assert at[1, DONE] // 1000 == 20 + 1 + 2 + 128 + 1


@settings(max_examples=60, deadline=None)
@given(grids(), st.data())
def test_a_lone_tree_takes_the_closed_form_and_its_links_are_counted(
    grid: tuple[NocSpec, int, int], data: st.DataObject
) -> None:
    spec, down, across = grid
    root, one, other = (data.draw(st.integers(0, down * across - 1)) for _ in range(3))
    if one == root == other:
        return
    size = data.draw(st.integers(1, 200))
    links, longest = tree_hops(spec, down, across, root, one, other)
    for request in ((multicast_flags(other), root, one, size), (reduce_flags(other), one, root, size)):
        done, counted = run(spec, (down, across), request)
        assert done == transfer_cycles(NocArrays.of(spec), longest, size)
        assert counted["hop_bytes"] == links * size == counted["link_bytes"].sum()


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ((MULTICAST | 9 << OPPOSITE_SHIFT, 0, 1, 8), "a core outside 0..3"),
        ((MULTICAST | REDUCE | 3 << OPPOSITE_SHIFT, 0, 1, 8), "two flags of a rectangle"),
        ((MULTICAST | 2 << OPPOSITE_SHIFT, 2, 2, 8), "the same core as source and destination"),
    ],
)
def test_a_rectangle_that_makes_no_sense_is_refused(row: tuple[int, ...], what: str) -> None:
    with pytest.raises(ConfigError, match=f"network request 0 has {what}"):
        check_requests(NocSpec(), 2, 2, np.array([row]))
    server = build_noc_server(NocSpec(), 2, 2, GHZ)
    state = server.fresh()
    server.kind.enqueue(state, 0, np.array(row, dtype=np.int64))
    assert state[ERROR] == layout.BAD_REQUEST


@pytest.mark.parametrize("wiring", [{"topology": "ring"}, {"routing": "yx"}, {"topology": "all_to_all"}])
def test_only_a_grid_with_routes_by_xy_has_rectangles(wiring: dict[str, Any]) -> None:
    spec = NocSpec(**wiring)
    row = np.array([int(multicast_flags(3)), 0, 1, 8], dtype=np.int64)
    with pytest.raises(ConfigError, match="a rectangle of cores, which needs a mesh or torus with routes by xy"):
        check_requests(spec, 2, 2, row[None])
    server = build_noc_server(spec, 2, 2, GHZ)
    state = server.fresh()
    server.kind.enqueue(state, 0, row)
    assert state[ERROR] == layout.BAD_REQUEST


def test_a_reduction_of_more_packets_than_the_server_can_hold_sets_its_error() -> None:
    server = build_noc_server(NocSpec(), 4, 4, GHZ, max_transfers=4, max_packets=8)
    state = server.fresh()
    server.kind.enqueue(state, 0, np.array([int(reduce_flags(15)), 0, 5, 64], dtype=np.int64))
    assert state[ERROR] == layout.TOO_MANY_PACKETS
