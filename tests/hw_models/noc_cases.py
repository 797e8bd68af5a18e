"""Networks and requests that the tests of the packet network draw, and short ways to run them."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from cairn.base.ticks import Clock
from cairn.hw_models.noc.server import build_noc_server
from cairn.hw_models.noc.spec import PORTS_ALONE, NocSpec, NocTopology
from cairn.hw_models.server import DONE, WANTS_FIRST, Server
from tests.hw_models.server_contract import Timed, run_requests

GHZ = Clock.from_ghz(1.0)
GRIDS = (NocTopology.MESH, NocTopology.TORUS, NocTopology.ALL_TO_ALL)
"""Topologies in which packets find their way by directions, or need no way."""
WIDTHS = st.integers(1, 5)


@st.composite
def networks(draw: st.DrawFn) -> tuple[NocSpec, int, int]:
    """A small network with narrow links and small packets, so that packets are many and meet often."""
    topology, link = draw(st.sampled_from(list(NocTopology))), draw(WIDTHS)
    rows, columns = draw(st.integers(1, 4)), draw(st.integers(2, 4))
    injection = draw(st.integers(1, link)) if topology in PORTS_ALONE else draw(WIDTHS)
    wiring: dict[str, Any] = {"topology": topology}
    if topology is NocTopology.MESH_3D:
        rows, wiring["layers"] = 2 * draw(st.integers(1, 2)), 2
    if topology is NocTopology.CONCENTRATED_MESH:
        across, down = draw(st.sampled_from([(2, 1), (1, 2), (2, 2)]))
        rows, columns, wiring["concentration"] = rows * down, 2 * across, (across, down)
    if topology is NocTopology.CUSTOM:  # a tree, on which the fewest links cannot deadlock
        wiring["links"] = tuple((draw(st.integers(0, core - 1)), core) for core in range(1, rows * columns))
    if topology in (NocTopology.MESH, NocTopology.TORUS, NocTopology.MESH_3D, NocTopology.CONCENTRATED_MESH):
        wiring["routing"] = draw(st.sampled_from(["auto", "xy", "yx", "o1turn"]))
    spec = NocSpec(
        **wiring,
        link_bytes_per_cycle=link,
        injection_bytes_per_cycle=injection,
        ejection_bytes_per_cycle=draw(WIDTHS),
        hop_cycles=draw(st.integers(1, 3)),
        start_cycles=draw(st.integers(1, 3)),
        max_packet_bytes=draw(st.integers(1, 12)),
        clock_ghz=draw(st.sampled_from([None, 0.9, 1.7, 97.3])),
    )
    return spec, rows, columns


@st.composite
def requests(draw: st.DrawFn, nodes: int, spread: int) -> list[Timed]:
    """Up to 20 timed transfers between different cores, their tasks not in order of time."""
    count = draw(st.integers(1, 20))
    tasks = draw(st.lists(st.integers(0, 99), min_size=count, max_size=count, unique=True))
    timed = []
    for task in tasks:
        source = draw(st.integers(0, nodes - 1))
        destination = (source + draw(st.integers(1, nodes - 1))) % nodes
        row = (draw(st.sampled_from([0, WANTS_FIRST])), source, destination, draw(st.integers(1, 40)))
        timed.append(Timed(draw(st.integers(0, spread)), task, row))
    return timed


def events(server: Server, timed: list[Timed]) -> dict[tuple[int, int], int]:
    """Tick of each (task, event)."""
    return {(task, event): tick for tick, task, event in run_requests(server, timed)}


def done_cycles(spec: NocSpec, rows: int, columns: int, rows_of_requests: list[tuple[int, int, int]]) -> list[int]:
    """Cycles to DONE of transfers (source, destination, bytes) that are all requested at tick 0, at 1 GHz."""
    timed = [Timed(0, task, (0, *request)) for task, request in enumerate(rows_of_requests)]
    at = events(build_noc_server(spec, rows, columns, GHZ, max_transfers=len(timed)), timed)
    return [at[task, DONE] // 1000 for task in range(len(timed))]
