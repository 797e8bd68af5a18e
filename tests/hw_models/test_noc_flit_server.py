"""The flit network as a server of a chip: the contract of all servers, judged by the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.ticks import Clock
from cairn.hw_models.noc.flit import layout as at
from cairn.hw_models.noc.flit.oracle_server import OracleFlitServer
from cairn.hw_models.noc.flit.server import build_flit_server
from cairn.hw_models.noc.flit.spec import RouterSpec
from cairn.hw_models.noc.network import Network, Routes, hops
from cairn.hw_models.noc.spec import MULTICAST
from cairn.hw_models.server import DONE, ERROR, FIRST, WANTS_FIRST, Server
from tests.hw_models.noc_cases import requests
from tests.hw_models.noc_flit_cases import build, networks, routers
from tests.hw_models.server_contract import Timed, check_contract, run_requests

GHZ = Clock.from_ghz(1.0)
CLOCKS = st.sampled_from([GHZ, Clock.from_ghz(1.7), Clock.from_ghz(97.3)])
Drawn = tuple[Network, Routes, RouterSpec, Clock, dict[str, int]]


@st.composite
def drawn_servers(draw: st.DrawFn) -> Drawn:
    network, routes = draw(networks())
    width = draw(st.integers(1, 8))
    sizes = {"width": width, "packet_bytes": draw(st.integers(1, 4 * width)), "start": draw(st.integers(1, 3))}
    return network, routes, draw(routers(routes.sets)), draw(CLOCKS), sizes


def server_of(
    network: Network, routes: Routes, router: RouterSpec, clock: Clock, sizes: dict[str, int], **more: Any
) -> Server:
    return build_flit_server(
        network, routes, router, clock, link_bytes_per_cycle=sizes["width"], max_packet_bytes=sizes["packet_bytes"],
        start_cycles=sizes["start"], **more,
    )  # fmt: skip


@given(data=st.data(), drawn=drawn_servers(), spread=st.sampled_from([0, 3000, 200_000]))
@settings(max_examples=40, deadline=None)
def test_the_server_keeps_the_contract_and_agrees_with_the_oracle(
    data: st.DataObject, drawn: Drawn, spread: int
) -> None:
    network, routes, router, clock, sizes = drawn
    timed = data.draw(requests(network.nodes, spread))
    cuts = data.draw(st.lists(st.integers(0, 300_000), max_size=6))
    least = clock.num // clock.den
    counters = check_contract(
        server_of(*drawn, max_transfers=len(timed)),
        timed,
        expected=OracleFlitServer(network, routes, router, clock, **sizes).completions(timed),
        least_ticks=lambda row: (-(-row[3] // sizes["width"]) - 1) * least,
        bytes_of=lambda row: row[3],
        counted_bytes=lambda counted: counted["bytes"],
        cuts=cuts,
    )
    assert counters["transfers"] == len(timed)
    assert counters["packets"] == sum(-(-request.row[3] // sizes["packet_bytes"]) for request in timed)
    if routes.tables == 1:
        passed = hops(network, routes)[0]
        assert counters["hop_bytes"] == sum(request.row[3] * passed[request.row[1:3]] for request in timed)


def done(server: Server, rows: list[tuple[int, int, int, int]], tick: int = 0) -> dict[tuple[int, int], int]:
    timed = [Timed(tick, task, row) for task, row in enumerate(rows)]
    return {(task, event): at_tick for at_tick, task, event in run_requests(server, timed)}


def test_a_transfer_alone_takes_its_start_its_routers_and_its_flits() -> None:
    network, routes = build(kind="mesh", shape=(4, 1))
    sizes = {"width": 32, "packet_bytes": 4096, "start": 20}
    server = server_of(network, routes, RouterSpec(buffer_flits=16), GHZ, sizes)
    at_tick = done(server, [(WANTS_FIRST, 0, 3, 256)])
    assert at_tick[0, FIRST] == 1000 * (20 + 2 + 5 * 4)
    assert at_tick[0, DONE] == 1000 * (20 + 2 + 5 * 4 + 7)


def test_transfers_of_one_source_take_turns_packet_by_packet() -> None:
    network, routes = build(kind="mesh", shape=(3, 1))
    sizes = {"width": 32, "packet_bytes": 64, "start": 1}
    server = server_of(network, routes, RouterSpec(buffer_flits=16), GHZ, sizes)
    at_tick = done(server, [(0, 0, 1, 64 * 20), (0, 0, 2, 64 * 20)])
    assert abs(at_tick[0, DONE] - at_tick[1, DONE]) < 12_000


def test_too_many_transfers_stop_the_server_with_its_reason() -> None:
    network, routes = build(kind="mesh", shape=(3, 1))
    sizes = {"width": 32, "packet_bytes": 64, "start": 1}
    server = server_of(network, routes, RouterSpec(), GHZ, sizes, max_transfers=1)
    state = server.fresh()
    for task in range(2):
        server.kind.enqueue(state, task, np.array([0, 0, 1, 64]))
    assert state[ERROR] == at.TOO_MANY_TRANSFERS


@pytest.mark.parametrize(
    "row", [(0, 0, 0, 4), (0, 0, 3, 4), (0, -1, 1, 4), (0, 0, 1, 0), (0, 0, 1, 1 << 40), (MULTICAST, 0, 1, 4)]
)
def test_a_request_that_the_network_cannot_carry_stops_the_server(row: tuple[int, int, int, int]) -> None:
    network, routes = build(kind="mesh", shape=(3, 1))
    server = server_of(network, routes, RouterSpec(), GHZ, {"width": 4, "packet_bytes": 8, "start": 1})
    state = server.fresh()
    server.kind.enqueue(state, 0, np.array(row))
    assert state[ERROR] == at.BAD_REQUEST


def test_sizes_below_one_and_clocks_beyond_a_tick_are_refused() -> None:
    network, routes = build(kind="mesh", shape=(3, 1))
    with pytest.raises(ValueError, match="at least 1"):
        server_of(network, routes, RouterSpec(), GHZ, {"width": 0, "packet_bytes": 8, "start": 1})
    with pytest.raises(ValueError, match="1000 GHz"):
        server_of(network, routes, RouterSpec(), Clock(1, 2), {"width": 4, "packet_bytes": 8, "start": 1})
