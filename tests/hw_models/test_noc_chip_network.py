"""How the cores of a chip are wired in every topology, and which topologies do not fit a grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from cairn.base.errors import ConfigError
from cairn.base.ticks import Clock
from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.noc.chip_network import chip_network
from cairn.hw_models.noc.network import channel_cycle
from cairn.hw_models.noc.oracle import Network as Oracle
from cairn.hw_models.noc.routing import hops
from cairn.hw_models.noc.server import build_noc_server
from cairn.hw_models.noc.spec import NocSpec, NocTopology
from cairn.sim.config.run_config import load
from tests.hw_models.noc_cases import GHZ, done_cycles
from tests.hw_models.server_contract import Timed, run_requests

LINE = tuple((core, core + 1) for core in range(5))


def noc(**wiring: Any) -> NocSpec:
    return NocSpec(**wiring)


def distances(spec: NocSpec, rows: int, columns: int) -> np.ndarray:
    core = np.arange(rows * columns)
    return hops(spec, rows, columns, core[:, None], core[None, :])


def test_a_ring_goes_along_the_rows_there_and_back_and_closes() -> None:
    """0 1 2 / 5 4 3 by place: core 3 lies under core 0 and is last, core 5 under core 2 and is fourth."""
    assert distances(noc(topology="ring"), 2, 3)[0].tolist() == [0, 1, 2, 1, 2, 3]


def test_the_layers_of_a_mesh_3d_are_stacked() -> None:
    """Core 8 of a grid of 4 x 4 in two layers stands on core 0."""
    distance = distances(noc(topology="mesh_3d", layers=2), 4, 4)
    assert distance[0, 8] == 1
    assert distance[0, 15] == 3 + 1 + 1
    assert distance[4, 8] == 2


def test_cores_of_a_block_share_the_router_of_a_concentrated_mesh() -> None:
    distance = distances(noc(topology="concentrated_mesh", concentration=(2, 2)), 4, 4)
    assert distance[0, [1, 4, 5]].tolist() == [0, 0, 0]
    assert distance[0, [2, 8, 10]].tolist() == [1, 1, 2]


def test_a_transfer_over_a_crossbar_is_a_hop_between_two_ports_and_meets_others_there_alone() -> None:
    spec = noc(topology="crossbar")
    alone = 20 + 1 + 2 + 128
    assert done_cycles(spec, 2, 2, [(0, 3, 4096), (3, 0, 4096), (1, 2, 4096)]) == [alone] * 3
    assert done_cycles(spec, 2, 2, [(0, 3, 4096), (1, 3, 4096)]) == [alone, alone + 128]


def test_two_cores_at_one_router_meet_at_the_link_that_leaves_it() -> None:
    spec = noc(topology="concentrated_mesh", concentration=(2, 1))
    alone = 20 + 1 + 2 + 128
    assert done_cycles(spec, 1, 4, [(0, 2, 4096), (1, 3, 4096)]) == [alone, alone + 128]
    assert done_cycles(spec, 1, 4, [(0, 1, 4096), (2, 3, 4096)]) == [alone - 2] * 2


def test_a_table_sends_packets_where_it_says() -> None:
    """A ring of links both ways round four cores; the table goes up, 0 1 2 3 0, whatever the distance."""
    ring = ((0, 1), (1, 2), (2, 3), (3, 0))
    to_three = NocSpec(
        topology=NocTopology.CUSTOM, links=(*ring, (0, 2)), routing="table",
        next_core=((0, 1, 2, 2), (0, 1, 2, 2), (0, 1, 2, 3), (0, 0, 2, 3)),
    )  # fmt: skip
    assert distances(to_three, 2, 2)[0].tolist() == [0, 1, 1, 2]
    assert distances(to_three, 2, 2)[2].tolist() == [1, 1, 0, 1]


def test_a_table_that_names_a_missing_link_or_goes_in_a_circle_is_refused() -> None:
    line = ((0, 1), (1, 2), (2, 3))
    rows = ((0, 1, 1, 1), (0, 1, 2, 2), (1, 1, 2, 3), (2, 2, 2, 3))
    missing = ((0, 1, 2, 1), *rows[1:])
    spec = noc(topology="custom", links=line, routing="table", next_core=missing)
    with pytest.raises(ConfigError, match="is at core 0 and for core 2 to core 2, to which core 0 has no link"):
        chip_network(spec, 2, 2)
    circle = ((0, 1, 1, 1), (0, 1, 0, 2), *rows[2:])
    with pytest.raises(ConfigError, match="from node 0 to node 2 goes in a circle"):
        chip_network(noc(topology="custom", links=line, routing="table", next_core=circle), 2, 2)


def test_no_route_of_a_topology_can_deadlock() -> None:
    for wiring in (
        {"topology": "ring"},
        {"topology": "torus", "routing": "o1turn"},
        {"topology": "mesh_3d", "layers": 2},
        {"topology": "concentrated_mesh", "concentration": (2, 2)},
        {"topology": "custom", "links": ((0, 1), (1, 2), (2, 0), *((0, core) for core in range(3, 16)))},
    ):
        spec = NocSpec.model_validate({"routing": "up_down", **wiring} if "links" in wiring else wiring)
        assert channel_cycle(*chip_network(spec, 4, 4)) == [], wiring


@pytest.mark.parametrize(
    ("wiring", "message"),
    [
        ({"topology": "mesh_3d"}, "topology mesh_3d needs layers"),
        ({"layers": 2}, "layers is for topology mesh_3d alone, not mesh"),
        ({"topology": "custom"}, "topology custom needs links"),
        ({"links": ((0, 1),)}, "links is for topology custom alone, not mesh"),
        ({"topology": "concentrated_mesh"}, "topology concentrated_mesh needs concentration"),
        ({"topology": "concentrated_mesh", "concentration": (0, 2)}, "is the columns and rows of cores at a router"),
        ({"routing": "table"}, "routing table needs next_core"),
        ({"next_core": ((0,),)}, "next_core is for routing table"),
        ({"topology": "crossbar", "routing": "xy"}, "routing xy has nothing to choose in topology crossbar"),
        ({"topology": "crossbar", "injection_bytes_per_cycle": 64}, "must not exceed link_bytes_per_cycle"),
    ],
)
def test_keys_that_do_not_belong_together_are_refused(wiring: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        NocSpec(**wiring)


@pytest.mark.parametrize(
    ("wiring", "message"),
    [
        ({"topology": "mesh_3d", "layers": 3}, r"noc.layers \(3\) must divide the rows of the grid of cores \(16\)"),
        (
            {"topology": "concentrated_mesh", "concentration": (3, 2)},
            r"noc.concentration \(3 x 2 cores at a router\) must divide",
        ),
        ({"topology": "custom", "links": ((0, 256),)}, r"noc.links names the pair \[0, 256\], but cores are 0..255"),
        ({"topology": "custom", "links": LINE}, "is not connected: no way leads from node 0 to node 6"),
        ({"routing": "table", "next_core": ((0, 1), (0, 1))}, "needs a row for each of the 256 cores"),
    ],
)
def test_a_network_that_does_not_fit_the_grid_of_the_chip_is_refused(wiring: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ChipSpec(name="c", source="test", noc=NocSpec(**wiring))


def test_a_routing_that_does_not_fit_the_topology_is_refused() -> None:
    with pytest.raises(ConfigError, match="routing o1turn needs two dimensions at least"):
        chip_network(noc(topology="ring", routing="o1turn"), 2, 2)
    links = ((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0))
    with pytest.raises(ConfigError, match="packets can wait for each other in a circle"):
        chip_network(noc(topology="custom", links=links, directed=True), 2, 3)


def test_a_mesh_by_table_takes_as_long_as_a_mesh_by_directions() -> None:
    """The columns of one grid are the rows of the other, so xy there is yx here."""
    random = np.random.default_rng(6)
    by_direction, by_table = noc(max_packet_bytes=100), noc(routing="yx", max_packet_bytes=100)
    ends = random.integers(0, 12, (40, 2))
    pairs = [(int(a), int(b)) for a, b in ends if a != b]
    turned = [tuple(core % 4 * 3 + core // 4 for core in pair) for pair in pairs]
    sizes = random.integers(1, 3000, len(pairs)).tolist()
    timed, other = (
        [Timed(0, task, (0, *pair, size)) for task, (pair, size) in enumerate(zip(of, sizes, strict=True))]
        for of in (pairs, turned)
    )
    one = run_requests(build_noc_server(by_direction, 3, 4, GHZ), timed)
    assert one == run_requests(build_noc_server(by_table, 4, 3, GHZ), other)
    assert one == Oracle(by_direction, 3, 4, Clock.from_ghz(1.0)).run(timed)


def test_a_mapping_is_ranked_as_on_the_nearest_grid() -> None:
    ranked = {
        "mesh": "mesh", "torus": "torus", "all_to_all": "all_to_all", "crossbar": "all_to_all", "ring": "mesh",
    }  # fmt: skip
    assert {name: NocSpec(topology=NocTopology(name)).ranked_as.value for name in ranked} == ranked


@pytest.mark.parametrize(
    "setting",
    ["topology=ring", "topology=crossbar", "topology=mesh_3d", "topology=concentrated_mesh", "routing=o1turn"],
)
def test_a_run_names_its_topology_by_key(setting: str) -> None:
    more = {"topology=mesh_3d": ("chip.noc.layers=2",), "topology=concentrated_mesh": ("chip.noc.concentration=[2,2]",)}
    chip = load("demo", (f"chip.noc.{setting}", *more.get(setting, ()))).chip
    assert not chip.noc.by_direction
    assert chip.servers()["noc"].labels["topology"] == chip.noc.topology
