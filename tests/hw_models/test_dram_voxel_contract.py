"""The server of Voxel's estimator passes the contract of servers, against the oracle, on random requests and chips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.dram.voxel_oracle import VoxelOracle
from cairn.hw_models.dram.voxel_server import build_voxel_server
from cairn.hw_models.server import DONE, FIRST, server_kinds

from .server_contract import Timed, check_contract, run_requests

BYTES = 7

SPECS = st.builds(
    DramSpec,
    bandwidth_gb_per_s=st.sampled_from([13.3, 50.0, 94.0]),
    banks_per_channel=st.sampled_from([1, 2, 4]),
    row_bytes=st.sampled_from([512, 1024, 2048]),
    burst_bytes=st.sampled_from([32, 64, 128]),
    sharing_exponent=st.sampled_from([0.0, 0.8, 1.0]),
    t_cl=st.sampled_from([1, 14, 25]),
    t_rcd=st.sampled_from([0, 14]),
    t_rp=st.sampled_from([0, 14, 40]),
    clock_ghz=st.sampled_from([0.7, 1.5, 1.6]),
    model=st.just("voxel_estimator"),
)
GAPS = st.sampled_from([0, 0, 0, 1, 100, 5_000, 50_000, 400_000])


@st.composite
def rows(draw: st.DrawFn, spec: DramSpec, channels: int) -> tuple[int, ...]:
    """One request row within the geometry."""
    bank_count = draw(st.integers(1, spec.banks_per_channel))
    return (
        draw(st.integers(0, 3)),
        draw(st.integers(0, channels - 1)),
        draw(st.integers(0, spec.banks_per_channel - bank_count)),
        bank_count,
        draw(st.integers(0, 2)),
        draw(st.sampled_from([spec.row_bytes, spec.row_bytes // 2, spec.row_bytes // 4, 64])),
        draw(st.integers(0, 3 * spec.row_bytes)),
        draw(st.one_of(st.integers(1, 300), st.integers(1, 6000))),
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[DramSpec, int, int, list[Timed]]:
    """A spec, channels and cores, and requests at increasing ticks with task ids in any order."""
    spec, channels = draw(SPECS), draw(st.integers(1, 3))
    tasks = draw(st.permutations(range(draw(st.integers(1, 12)))))
    tick, timed = 0, []
    for task in tasks:
        tick += draw(GAPS)
        timed.append(Timed(tick, task, draw(rows(spec, channels))))
    return spec, channels, draw(st.sampled_from([1, 4, 77, 128, 256, 1000])), timed


@settings(max_examples=250, deadline=None)
@given(case=cases(), cuts=st.lists(st.integers(0, 1_000_000), max_size=8))
def test_server_equals_oracle_and_keeps_the_contract_however_time_is_split(
    case: tuple[DramSpec, int, int, list[Timed]], cuts: list[int]
) -> None:
    spec, channels, cores, timed = case
    completions, counted = VoxelOracle(spec, channels, cores).run(timed)
    byte_ticks = float(spec.slot_ticks(channels)) / spec.burst_bytes
    counters = check_contract(
        build_voxel_server(spec, channels, cores),
        timed,
        expected=completions,
        least_ticks=lambda row: spec.timing_ticks("t_cl") + int(row[BYTES] * byte_ticks),
        bytes_of=lambda row: row[BYTES],
        counted_bytes=lambda counters: int(counters["bytes_read"].sum() + counters["bytes_written"].sum()),
        cuts=cuts,
    )
    for name, expected in counted.items():
        assert np.array_equal(counters[name], expected), name
    assert not counters["padding_bytes"].any()
    assert not counters["row_hits"].any()


def test_many_requests_at_once_end_in_the_order_of_their_lines() -> None:
    spec = DramSpec(bandwidth_gb_per_s=200.0, clock_ghz=1.0)
    dice = np.random.default_rng(7)
    timed = [
        Timed(int(tick), task, (int(flags), int(channel), 0, 16, 0, 128, 0, int(size)))
        for task, (tick, flags, channel, size) in enumerate(
            zip(np.sort(dice.integers(0, 40_000, 400)), dice.integers(0, 4, 400), dice.integers(0, 4, 400),
                dice.integers(1, 2000, 400), strict=True)
        )
    ]  # fmt: skip
    found = run_requests(build_voxel_server(spec, 4, 256, 400), timed)
    assert found == VoxelOracle(spec, 4, 256).run(timed)[0]


def test_reads_and_writes_of_a_channel_do_not_wait_for_each_other() -> None:
    spec = DramSpec(bandwidth_gb_per_s=34.0, clock_ghz=1.0, t_cl=14, t_rcd=14, t_rp=14)
    read, write = (1, 0, 0, 16, 0, 8192, 0, 3400), (2, 0, 0, 16, 0, 8192, 0, 3400)
    server = build_voxel_server(spec, 1, 128)
    alone = 1000 * (42 - 14 + 100)
    first = 1000 * (42 - 14 + 4)
    assert run_requests(server, [(0, 0, read), (0, 1, write), (0, 2, read)]) == [
        (first, 0, FIRST), (alone, 0, DONE), (alone, 1, DONE), (alone + first, 2, FIRST), (2 * alone, 2, DONE),
    ]  # fmt: skip


def test_server_kind_is_registered() -> None:
    assert server_kinds.get("dram_voxel_estimator") is build_voxel_server(DramSpec(), 2, 2).kind


@pytest.mark.parametrize("name", ["channels", "cores", "max_requests"])
def test_a_number_that_is_not_positive_is_a_mistake_of_the_person(name: str) -> None:
    numbers = {"channels": 1, "cores": 1, "max_requests": 1, name: 0}
    with pytest.raises(ConfigError, match=f"{name}: must be at least 1, got 0"):
        build_voxel_server(DramSpec(), **numbers)
