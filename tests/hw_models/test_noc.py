"""The packet network: the rules N1 to N5 against the oracle, and the contract of servers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cairn.base.ticks import NEVER, Clock
from cairn.hw_models.noc import layout
from cairn.hw_models.noc.oracle import Network
from cairn.hw_models.noc.routing import hops
from cairn.hw_models.noc.server import build_noc_server
from cairn.hw_models.noc.spec import NocSpec, NocTopology
from cairn.hw_models.server import DONE, ERROR, WANTS_FIRST, server_kinds
from tests.hw_models.noc_cases import GHZ, done_cycles, events, networks, requests
from tests.hw_models.server_contract import Timed, check_contract, drive, run_requests


@settings(max_examples=150, deadline=None)
@given(st.data(), networks(), st.sampled_from([0, 30, 3_000, 60_000]))
def test_the_server_keeps_the_contract_and_agrees_with_the_oracle(
    data: st.DataObject, network: tuple[NocSpec, int, int], spread: int
) -> None:
    spec, rows, columns = network
    timed = data.draw(requests(rows * columns, spread))
    clock = spec.clock(GHZ)
    core = np.arange(rows * columns)
    links = hops(spec, rows, columns, core[:, None], core[None, :])

    def least_ticks(row: Sequence[int]) -> int:
        """Cores that share a router need no link."""
        link = [spec.link_bytes_per_cycle] if links[row[1], row[2]] else []
        widths = [spec.injection, spec.ejection, *link]
        return clock.ticks(-(-row[3] // min(widths)))

    check_contract(
        build_noc_server(spec, rows, columns, GHZ, max_transfers=20),
        timed,
        expected=Network(spec, rows, columns, GHZ).run(timed),
        least_ticks=least_ticks,
        bytes_of=lambda row: row[3],
        counted_bytes=lambda counted: int(counted["bytes"]),
        cuts=data.draw(st.lists(st.integers(0, 100_000), max_size=5)),
    )


@pytest.mark.parametrize(("packet", "longest"), [(64, 4_000), (700, 4_000), (20_000, 20_000)])
def test_waits_far_longer_than_the_wheel_of_arrivals_agree_with_the_oracle(packet: int, longest: int) -> None:
    spec = NocSpec(link_bytes_per_cycle=1, injection_bytes_per_cycle=2, max_packet_bytes=packet, start_cycles=5)
    random = np.random.default_rng(3)
    sizes = random.integers(1, longest, 60).tolist()
    assert sum(sizes) > 10 * layout.SPAN
    ticks = random.integers(0, 10_000_000, 60).tolist()
    timed = [Timed(ticks[task], task, (WANTS_FIRST, task % 3, 3, size)) for task, size in enumerate(sizes)]
    timed.append(Timed(900_000_000, 99, (0, 3, 0, 5_000)))
    assert run_requests(build_noc_server(spec, 2, 2, GHZ), timed) == Network(spec, 2, 2, GHZ).run(timed)


@settings(max_examples=100, deadline=None)
@given(st.integers(layout.SPAN - 200, layout.SPAN + 200), st.lists(st.integers(0, 3 * layout.SPAN), max_size=8))
@example(4000, [0, 3600, 4050])
@example(layout.SPAN, [0, layout.SPAN])
def test_arrivals_at_the_edge_of_the_wheel_keep_their_order(start: int, cycles: list[int]) -> None:
    spec = NocSpec(start_cycles=start)
    timed = [Timed(1000 * cycle, task, (WANTS_FIRST, task % 3, 3, 200)) for task, cycle in enumerate(cycles)]
    assert run_requests(build_noc_server(spec, 2, 2, GHZ, max_transfers=8), timed) == Network(spec, 2, 2, GHZ).run(
        timed
    )


def test_many_packets_in_one_cycle_agree_with_the_oracle() -> None:
    spec = NocSpec(link_bytes_per_cycle=4, max_packet_bytes=8, hop_cycles=2, start_cycles=2)
    order = np.random.default_rng(4).permutation(64)
    timed = [Timed(1000 * (task % 2), task, (0, int(node), int(63 - node), 40)) for task, node in enumerate(order)]
    assert run_requests(build_noc_server(spec, 8, 8, GHZ), timed) == Network(spec, 8, 8, GHZ).run(timed)


def test_an_uncontended_transfer_is_start_and_port_and_hops_and_bytes_over_width() -> None:
    spec = NocSpec(link_bytes_per_cycle=32, hop_cycles=2)
    assert done_cycles(spec, 4, 4, [(0, 15, 4096)]) == [20 + 1 + 6 * 2 + 128]
    assert done_cycles(spec.model_copy(update={"topology": NocTopology.TORUS}), 4, 4, [(0, 15, 4096)]) == [
        20 + 1 + 2 * 2 + 128
    ]
    all_to_all = NocSpec(topology=NocTopology.ALL_TO_ALL)
    assert done_cycles(all_to_all, 4, 4, [(0, 15, 4096)]) == [100 + 1 + 1 * 2 + 128]


def test_a_request_within_a_cycle_counts_from_the_next_boundary() -> None:
    server = build_noc_server(NocSpec(), 1, 2, GHZ)
    at = events(server, [Timed(1, 0, (0, 0, 1, 32))])
    assert at == {(0, DONE): 1000 * (1 + 20 + 1 + 2 + 1)}


def test_two_transfers_through_one_link_serialise() -> None:
    spec = NocSpec(max_packet_bytes=1 << 20)
    alone, size = 20 + 1 + 2 + 64, 2048
    # 0 -> 2 and 1 -> 2 share the link 1 -> 2; the first from core 1 is there two cycles before the other's head.
    assert done_cycles(spec, 1, 3, [(1, 2, size), (0, 2, size)]) == [alone, alone + 64]


def test_transfers_of_one_source_take_turns_packet_by_packet() -> None:
    spec = NocSpec(max_packet_bytes=320)
    first, second = done_cycles(spec, 1, 3, [(1, 0, 3200), (1, 2, 3200)])
    assert (first, second) == (20 + 1 + 2 + 190, 20 + 1 + 2 + 200)


def test_a_wide_ejection_port_takes_from_two_links_at_once() -> None:
    spec = NocSpec(ejection_bytes_per_cycle=64)
    alone = 20 + 1 + 2 + 128
    assert done_cycles(spec, 1, 3, [(0, 1, 4096), (2, 1, 4096)]) == [alone, alone]
    narrow = done_cycles(NocSpec(), 1, 3, [(0, 1, 4096), (2, 1, 4096)])
    assert narrow == [alone, alone + 128]


@pytest.mark.parametrize("limit", [{"max_transfers": 4}, {"max_transfers": 8, "max_packets": 8}])
def test_more_traffic_than_the_server_can_hold_sets_its_error_and_completes_nothing(limit: dict[str, int]) -> None:
    spec = NocSpec(link_bytes_per_cycle=1, injection_bytes_per_cycle=64, max_packet_bytes=64)
    server = build_noc_server(spec, 1, 3, GHZ, **limit)
    state = server.fresh()
    for task in range(6):
        server.kind.enqueue(state, task, np.array([0, 1, 2, 6400], dtype=np.int64))
    assert server.kind.advance(state, NEVER - 1) == 0
    expected = layout.TOO_MANY_TRANSFERS if limit["max_transfers"] == 4 else layout.TOO_MANY_PACKETS
    assert state[ERROR] == expected
    assert server.kind.next_event(state) == NEVER


@pytest.mark.parametrize("row", [(0, 1, 1, 8), (0, -1, 2, 8), (0, 1, 6, 8), (0, 1, 2, 0), (0, 1, 2, 1 << 40)])
def test_a_request_that_should_have_been_refused_earlier_sets_the_error_and_nothing_else(row: tuple[int, ...]) -> None:
    server = build_noc_server(NocSpec(), 2, 3, GHZ, max_transfers=4)
    state = server.fresh()
    server.kind.enqueue(state, 0, np.array(row, dtype=np.int64))
    assert state[ERROR] == layout.BAD_REQUEST
    assert np.array_equal(np.delete(state, ERROR), np.delete(server.state, ERROR))


def test_a_server_for_fewer_packets_than_transfers_is_refused() -> None:
    with pytest.raises(ValueError, match="1 <= max_transfers <= max_packets is required, got 8 and 7"):
        build_noc_server(NocSpec(), 2, 2, GHZ, max_transfers=8, max_packets=7)


def test_records_are_used_again_so_that_a_long_run_fits_a_small_server() -> None:
    server = build_noc_server(NocSpec(max_packet_bytes=64), 1, 2, GHZ, max_transfers=2, max_packets=8)
    timed = [Timed(100_000 * task, task, (WANTS_FIRST, task % 2, 1 - task % 2, 200)) for task in range(200)]
    assert run_requests(server, timed) == Network(NocSpec(max_packet_bytes=64), 1, 2, GHZ).run(timed)


def test_the_server_is_registered_and_says_what_it_is() -> None:
    server = build_noc_server(NocSpec(topology=NocTopology.TORUS), 3, 5, GHZ)
    assert server_kinds.get("noc") is server.kind
    assert server.kind.request_columns == ("flags", "source", "destination", "bytes")
    assert server.labels == {"topology": "torus", "rows": 3, "columns": 5}


def test_a_clock_faster_than_the_tick_is_refused() -> None:
    with pytest.raises(ValueError, match="may not exceed 1000 GHz"):
        build_noc_server(NocSpec(), 2, 2, Clock.from_ghz(1001))


def test_counters_of_waiting_name_the_link_that_is_shared() -> None:
    timed = [Timed(0, 0, (0, 1, 2, 2048)), Timed(0, 1, (0, 0, 2, 2048))]
    counted = drive(build_noc_server(NocSpec(), 1, 3, GHZ), timed)[1]
    ends = list(zip(counted["link_source"].tolist(), counted["link_destination"].tolist(), strict=True))
    assert counted["max_wait_cycles"] == counted["wait_cycles"] == 62
    assert counted["link_wait_cycles"].tolist() == [62 if end == (1, 2) else 0 for end in ends]
    assert counted["link_busy_cycles"].tolist() == [{(0, 1): 64, (1, 2): 128}.get(end, 0) for end in ends]
