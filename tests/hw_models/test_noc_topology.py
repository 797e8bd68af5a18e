"""Wiring, routes and parameters of the network."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cairn.base.errors import ConfigError
from cairn.base.spec import source_of
from cairn.base.ticks import Clock
from cairn.hw_models.noc.routing import hops, route
from cairn.hw_models.noc.spec import NocSpec, NocTopology, check_requests
from cairn.hw_models.noc.topology import DIRECTIONS, DOWN, RIGHT, wire
from tests.hw_models.noc_cases import GRIDS

SIDES = st.integers(1, 6)
WIRED = st.sampled_from([NocTopology.MESH, NocTopology.TORUS])


def walked(spec: NocSpec, rows: int, columns: int, source: int, destination: int) -> tuple[list[int], list[int]]:
    """Directions and nodes of a route."""
    wiring = wire(spec.topology, rows, columns)
    links = route(spec, wiring, source, destination)
    nodes = [source]
    for link in links:
        assert link // DIRECTIONS == nodes[-1], "a route continues where the link before it ended"
        nodes.append(int(wiring.neighbour.ravel()[link]))
    return [link % DIRECTIONS for link in links], nodes


@given(WIRED, SIDES, SIDES, st.data())
def test_a_route_turns_once_at_most_passes_existing_links_and_ends_at_the_destination(
    topology: NocTopology, rows: int, columns: int, data: st.DataObject
) -> None:
    source, destination = (data.draw(st.integers(0, rows * columns - 1)) for _ in range(2))
    spec = NocSpec(topology=topology)
    directions, nodes = walked(spec, rows, columns, source, destination)
    assert min(nodes) >= 0
    assert nodes[-1] == destination
    assert len(set(nodes)) == len(nodes), "a route visits no node twice"
    assert len(directions) == hops(spec, rows, columns, source, destination)
    along_row = [direction < DOWN for direction in directions]
    assert along_row == sorted(along_row, reverse=True), "first along the row, then along the column"
    assert sum(before != after for before, after in pairwise(directions)) <= 1


@given(WIRED, SIDES, SIDES)
def test_hops_are_the_shortest_distance_and_symmetric(topology: NocTopology, rows: int, columns: int) -> None:
    nodes = np.arange(rows * columns)
    distance = hops(NocSpec(topology=topology), rows, columns, nodes[:, None], nodes[None, :])
    wiring = wire(topology, rows, columns)
    shortest = np.where(np.eye(nodes.size, dtype=bool), 0, 10_000)
    shortest[wiring.link_source, wiring.link_destination] = 1
    for middle in nodes:
        shortest = np.minimum(shortest, shortest[:, middle, None] + shortest[None, middle, :])
    assert np.array_equal(distance, shortest)
    assert np.array_equal(distance, distance.T)


def test_a_torus_halves_the_average_distance_of_a_row_and_goes_right_and_down_in_a_tie() -> None:
    nodes = np.arange(64)
    mesh, torus = (
        hops(NocSpec(topology=kind), 1, 64, nodes[:, None], nodes) for kind in (NocTopology.MESH, NocTopology.TORUS)
    )
    assert mesh.mean() == pytest.approx(64 / 3, rel=0.01)
    assert torus.mean() == 64 / 4
    square = [
        hops(NocSpec(topology=kind), 8, 8, nodes[:, None], nodes) for kind in (NocTopology.MESH, NocTopology.TORUS)
    ]
    assert (square[0].max(), square[1].max()) == (14, 8)
    assert walked(NocSpec(topology=NocTopology.TORUS), 4, 4, 0, 10)[0] == [RIGHT, RIGHT, DOWN, DOWN]
    assert walked(NocSpec(topology=NocTopology.TORUS), 4, 4, 10, 0)[0] == [RIGHT, RIGHT, DOWN, DOWN]


def test_nodes_are_numbered_row_by_row_and_links_by_node_and_direction() -> None:
    mesh = wire(NocTopology.MESH, 2, 3)
    assert mesh.neighbour.tolist() == [
        [1, -1, 3, -1],
        [2, 0, 4, -1],
        [-1, 1, 5, -1],
        [4, -1, -1, 0],
        [5, 3, -1, 1],
        [-1, 4, -1, 2],
    ]
    assert mesh.links.size == 14
    torus = wire(NocTopology.TORUS, 2, 3)
    assert torus.neighbour[0].tolist() == [1, 2, 3, 3]
    assert torus.links.size == 24
    assert wire(NocTopology.TORUS, 1, 3).neighbour[0].tolist() == [1, 2, -1, -1]


def test_all_to_all_takes_one_hop_between_any_two_cores() -> None:
    spec = NocSpec(topology=NocTopology.ALL_TO_ALL)
    nodes = np.arange(6)
    assert np.array_equal(hops(spec, 2, 3, nodes[:, None], nodes), 1 - np.eye(6, dtype=int))
    wiring = wire(spec.topology, 2, 3)
    assert wiring.links.size == 0
    assert route(spec, wiring, 0, 5) == []


def test_an_empty_network_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one row and one column, got 0 x 3"):
        wire(NocTopology.MESH, 0, 3)


def test_what_is_left_out_follows_from_the_rest() -> None:
    assert [NocSpec(topology=kind).start for kind in GRIDS] == [20, 20, 100]
    spec = NocSpec(link_bytes_per_cycle=16, start_cycles=7, ejection_bytes_per_cycle=8, clock_ghz=1.6)
    assert (spec.start, spec.injection, spec.ejection) == (7, 16, 8)
    chip = Clock.from_ghz(1.0)
    assert spec.clock(chip) == Clock(625, 1)
    assert NocSpec().clock(chip) is chip


@pytest.mark.parametrize("field", list(NocSpec.model_fields))
def test_every_default_names_its_source(field: str) -> None:
    assert source_of(NocSpec, field)


@pytest.mark.parametrize(
    "wrong",
    [
        {"start_cycles": 0},
        {"hop_cycles": 0},
        {"link_bytes_per_cycle": 0},
        {"max_packet_bytes": 0},
        {"topology": "star"},
        {"clock_ghz": float("nan")},
        {"width": 3},
    ],
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        NocSpec.model_validate(wrong)


def test_all_to_all_refuses_a_port_wider_than_its_links() -> None:
    with pytest.raises(ValidationError, match=r"injection_bytes_per_cycle \(64\) must not exceed link_bytes_per_cycle"):
        NocSpec(topology=NocTopology.ALL_TO_ALL, injection_bytes_per_cycle=64)


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ((0, 3, 4, 64), "a core outside 0..3"),
        ((0, -1, 2, 64), "a core outside 0..3"),
        ((0, 2, 2, 64), "the same core as source and destination"),
        ((0, 1, 2, 0), "less than one byte"),
        ((0, 1, 2, 1 << 40), "2^40 bytes or more"),
        ((0, 1, 2, 16 << 28), "2^28 packets or more"),
    ],
)
def test_a_request_that_cannot_be_carried_is_refused_by_row(row: tuple[int, ...], what: str) -> None:
    good = (1, 0, 3, 64)
    spec = NocSpec(max_packet_bytes=16)
    check_requests(spec, 2, 2, np.array([good]))
    with pytest.raises(ConfigError) as error:
        check_requests(spec, 2, 2, np.array([good, row, row]))
    assert str(error.value).startswith(f"network request 1 has {what}")
    assert f"'source': {row[1]}, 'destination': {row[2]}, 'bytes': {row[3]}" in str(error.value)


def test_a_table_of_the_wrong_shape_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"got an array of shape \(2, 3\)"):
        check_requests(NocSpec(), 2, 2, np.zeros((2, 3), dtype=np.int64))
