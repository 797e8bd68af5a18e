"""Closed forms of the network against the cycle model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cairn.hw_models.noc.analytical import (
    NocArrays,
    bisection_bytes_per_cycle,
    head_cycles,
    link_loads,
    most_loaded_cycles,
    ring_collective_cycles,
    ring_hops,
    ring_step_cycles,
    transfer_cycles,
)
from cairn.hw_models.noc.chip_network import chip_network
from cairn.hw_models.noc.routing import hops
from cairn.hw_models.noc.server import build_noc_server
from cairn.hw_models.noc.spec import PORTS_ALONE, NocSpec, NocTopology
from cairn.hw_models.noc.topology import wire
from cairn.hw_models.server import DONE, DONE_AT, FIRST, NOW, WANTS_FIRST
from tests.hw_models.noc_cases import GHZ, GRIDS, done_cycles, events, networks, requests
from tests.hw_models.server_contract import Timed, drive, run_requests


@settings(max_examples=60, deadline=None)
@given(st.data(), networks())
def test_an_uncontended_transfer_takes_the_closed_form_exactly(
    data: st.DataObject, network: tuple[NocSpec, int, int]
) -> None:
    spec, rows, columns = network
    (request, *_) = data.draw(requests(rows * columns, 0))
    _, source, destination, size = request.row
    server = build_noc_server(spec, rows, columns, GHZ, max_transfers=1)
    at = events(server, [Timed(0, 7, (WANTS_FIRST, source, destination, size))])
    distance = hops(spec, rows, columns, source, destination)
    noc, clock = NocArrays.of(spec), spec.clock(GHZ)
    assert at[7, FIRST] == clock.ticks(int(head_cycles(noc, distance)))
    assert at[7, DONE] == clock.ticks(int(transfer_cycles(noc, distance, size)))


def test_between_cores_of_one_router_a_narrow_link_is_not_passed() -> None:
    spec = NocSpec(
        topology=NocTopology.CONCENTRATED_MESH, concentration=(1, 2), link_bytes_per_cycle=1,
        injection_bytes_per_cycle=2, ejection_bytes_per_cycle=2, max_packet_bytes=2, start_cycles=1, hop_cycles=1,
    )  # fmt: skip
    assert hops(spec, 2, 2, 0, 2) == 0
    assert done_cycles(spec, 2, 2, [(0, 2, 2)]) == [3] == [int(transfer_cycles(NocArrays.of(spec), 0, 2))]
    assert transfer_cycles(NocArrays.of(spec), [0, 1], 2).tolist() == [3, 5]


@pytest.mark.parametrize("topology", GRIDS)
def test_closed_forms_are_vectorised_over_designs(topology: NocTopology) -> None:
    specs = [
        NocSpec(topology=topology, link_bytes_per_cycle=width, hop_cycles=hop) for width in (8, 32) for hop in (1, 3)
    ]
    many = NocArrays.of(specs)
    sizes = np.array([[100], [40_000]])
    together = transfer_cycles(many, 2, sizes)
    assert together.shape == (2, 4)
    for column, spec in enumerate(specs):
        assert together[:, column].tolist() == transfer_cycles(NocArrays.of(spec), 2, sizes[:, 0]).tolist()
    assert ring_collective_cycles(many, 8, 8, 512).shape == (4,)


@pytest.mark.parametrize("topology", GRIDS)
@pytest.mark.parametrize("columns", [2, 5, 16])
def test_a_ring_of_neighbours_along_a_row_meets_no_contention(topology: NocTopology, columns: int) -> None:
    spec = NocSpec(topology=topology)
    ring = [(node, (node + 1) % columns, 4096) for node in range(columns)]
    distances = hops(spec, 3, columns, np.arange(columns), (np.arange(columns) + 1) % columns)
    alone = transfer_cycles(NocArrays.of(spec), distances, 4096)
    assert done_cycles(spec, 3, columns, ring) == alone.tolist()
    step = ring_step_cycles(NocArrays.of(spec), columns, columns, 4096)
    assert int(step) == int(alone.max())


@pytest.mark.parametrize("topology", GRIDS)
@pytest.mark.parametrize(("members", "stride"), [(2, 1), (4, 4), (5, 3), (8, 2), (16, 1)])
def test_a_step_of_a_strided_ring_takes_the_closed_form(topology: NocTopology, members: int, stride: int) -> None:
    spec, columns = NocSpec(topology=topology), 16
    nodes = np.arange(members) * stride
    ring = [(int(here), int(there), 8192) for here, there in zip(nodes, np.roll(nodes, -1), strict=True)]
    noc = NocArrays.of(spec)
    longest = hops(spec, 1, columns, [request[0] for request in ring], [request[1] for request in ring]).max()
    assert int(ring_hops(noc, columns, members, stride)) == longest
    assert max(done_cycles(spec, 1, columns, ring)) == int(ring_step_cycles(noc, columns, members, 8192, stride))


@pytest.mark.parametrize("stride", [2, 4])
def test_interleaved_rings_share_links_within_five_percent_of_the_closed_form(stride: int) -> None:
    spec, columns, size = NocSpec(), 16, 16_384
    members = columns // stride
    ring = []
    for offset in range(stride):
        nodes = np.arange(members) * stride + offset
        ring += [(int(here), int(there), size) for here, there in zip(nodes, np.roll(nodes, -1), strict=True)]
    bound = int(ring_step_cycles(NocArrays.of(spec), columns, members, size, stride, stride))
    measured = max(done_cycles(spec, 1, columns, ring))
    assert 0.95 * bound <= measured <= 1.05 * bound


@pytest.mark.parametrize("topology", GRIDS)
def test_a_ring_all_gather_takes_the_closed_form(topology: NocTopology) -> None:
    spec, members, shard = NocSpec(topology=topology), 8, 2048
    server = build_noc_server(spec, 1, members, GHZ, max_transfers=members)
    state, kind = server.fresh(), server.kind
    request = np.array([0, 0, 0, shard], dtype=np.int64)
    for task in range(members):
        request[1:3] = task, (task + 1) % members
        kind.enqueue(state, task, request)
    received, sent, issued = [0] * members, [0] * members, [1] * members
    while (due := kind.next_event(state)) < 1 << 60:
        count = kind.advance(state, due)
        begin = state[DONE_AT]
        for code in state[begin : begin + count].tolist():
            source = (code // 2) % members
            sent[source] += 1
            received[(source + 1) % members] += 1
        for node in range(members):
            if count and issued[node] < members - 1 and sent[node] == issued[node] and received[node] >= issued[node]:
                request[1:3] = node, (node + 1) % members
                kind.enqueue(state, issued[node] * members + node, request)
                issued[node] += 1
    assert received == [members - 1] * members
    assert state[NOW] == 1000 * int(ring_collective_cycles(NocArrays.of(spec), members, members, shard))


@settings(max_examples=60, deadline=None)
@given(st.data(), networks())
def test_bytes_and_hop_bytes_are_conserved_and_counted_where_the_routes_pass(
    data: st.DataObject, network: tuple[NocSpec, int, int]
) -> None:
    spec, rows, columns = network
    nodes = rows * columns
    timed = data.draw(requests(nodes, 3_000))
    counted = drive(build_noc_server(spec, rows, columns, GHZ, max_transfers=20), timed)[1]
    traffic = np.zeros((nodes, nodes), dtype=np.int64)
    for request in timed:
        traffic[request.row[1], request.row[2]] += request.row[3]
    links, injected, ejected = link_loads(spec, rows, columns, traffic)
    distance = hops(spec, rows, columns, np.arange(nodes)[:, None], np.arange(nodes)[None, :])
    assert np.array_equal(counted["injection_bytes"], injected)
    assert np.array_equal(counted["ejection_bytes"], ejected)
    assert counted["bytes"] == traffic.sum()
    assert counted["hop_bytes"] == (traffic * distance).sum()
    assert counted["transfers"] == len(timed)
    assert counted["packets"] == sum(-(-request.row[3] // spec.max_packet_bytes) for request in timed)
    if spec.topology not in PORTS_ALONE:
        assert links.sum() == counted["link_bytes"].sum() == counted["hop_bytes"]
    if spec.topology in (NocTopology.MESH, NocTopology.TORUS) and spec.by_direction:
        wiring = wire(spec.topology, rows, columns)
        assert np.array_equal(counted["link_source"], wiring.link_source)
        assert np.array_equal(counted["link_destination"], wiring.link_destination)
        assert np.array_equal(counted["link_bytes"], links[wiring.links])
    elif not spec.by_direction:
        built, routes = chip_network(spec, rows, columns)
        assert np.array_equal(counted["link_source"], built.link_source)
        assert np.array_equal(counted["link_destination"], built.link_destination)
        if routes.tables == 1:  # transfers that take tables in turn do not share their bytes evenly
            assert np.array_equal(counted["link_bytes"], links)


@settings(max_examples=40, deadline=None)
@given(st.data(), networks())
def test_no_set_of_transfers_beats_its_most_loaded_link_or_port(
    data: st.DataObject, network: tuple[NocSpec, int, int]
) -> None:
    spec, rows, columns = network
    assume(spec.by_direction or chip_network(spec, rows, columns)[1].tables == 1)  # else who takes which is not known
    nodes = rows * columns
    timed = data.draw(requests(nodes, 0))
    traffic = np.zeros((nodes, nodes), dtype=np.int64)
    for request in timed:
        traffic[request.row[1], request.row[2]] += request.row[3]
    last = max(tick for tick, _, _ in run_requests(build_noc_server(spec, rows, columns, GHZ), timed))
    least = spec.start + most_loaded_cycles(spec, rows, columns, traffic)
    assert last >= spec.clock(GHZ).ticks(least)


def test_an_exchange_of_all_with_all_on_a_mesh_takes_at_most_half_as_long_again_as_its_most_loaded_link() -> None:
    spec, nodes = NocSpec(), 16
    traffic = np.full((nodes, nodes), 32_768, dtype=np.int64)
    transfers = [(int(a), int(b), 32_768) for a in range(nodes) for b in range(nodes) if a != b]
    measured, bound = max(done_cycles(spec, 4, 4, transfers)), most_loaded_cycles(spec, 4, 4, traffic)
    assert bound <= measured <= 1.5 * bound


@pytest.mark.parametrize(
    ("topology", "rows", "columns", "links"),
    [("mesh", 4, 8, 4), ("torus", 4, 8, 8), ("mesh", 8, 4, 4), ("torus", 3, 2, 4), ("mesh", 5, 5, 5)],
)
def test_the_bisection_counts_the_links_that_cross_the_middle(
    topology: str, rows: int, columns: int, links: int
) -> None:
    assert bisection_bytes_per_cycle(NocSpec(topology=NocTopology(topology)), rows, columns) == 32 * links


@pytest.mark.parametrize(
    ("wiring", "links"),
    [
        ({"topology": "ring"}, 4),  # a row ends on each side; of four rows two turn round there, and the ring closes
        ({"topology": "mesh_3d", "layers": 2}, 4),
        ({"topology": "concentrated_mesh", "concentration": (2, 2)}, 2),
    ],
)
def test_the_bisection_of_other_topologies_counts_the_links_across_it(wiring: dict[str, object], links: int) -> None:
    assert bisection_bytes_per_cycle(NocSpec.model_validate(wiring), 4, 4) == 32 * links


def test_the_bisection_of_a_crossbar_is_half_its_ports() -> None:
    assert bisection_bytes_per_cycle(NocSpec(topology=NocTopology.CROSSBAR), 4, 4) == 8 * 32


def test_the_bisection_of_all_to_all_is_what_half_the_ports_inject() -> None:
    spec = NocSpec(topology=NocTopology.ALL_TO_ALL, injection_bytes_per_cycle=16)
    assert bisection_bytes_per_cycle(spec, 4, 4) == 8 * 16


def test_traffic_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a 2 x 2 network is a 4 x 4 matrix, got \(2, 2\)"):
        link_loads(NocSpec(), 2, 2, np.zeros((2, 2), dtype=np.int64))
