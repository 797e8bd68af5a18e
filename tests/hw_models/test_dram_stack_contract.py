"""The server of channels with controllers passes the contract of servers, against the oracle, on random requests."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.dram.stack.device import tick_ps
from cairn.hw_models.dram.stack.oracle import StackOracle
from cairn.hw_models.dram.stack.server import build_stack_server
from cairn.hw_models.server import DONE, server_kinds

from .server_contract import Driver, Timed, check_contract, run_requests

BYTES = 7

SPECS = st.builds(
    DramSpec,
    bandwidth_gb_per_s=st.sampled_from([13.3, 50.0, 94.0]),
    banks_per_channel=st.sampled_from([1, 2, 4]),
    row_bytes=st.sampled_from([512, 1024, 2048]),
    burst_bytes=st.sampled_from([32, 64, 128]),
    turn_bytes=st.sampled_from([128, 192, 256, 1024]),
    queue_requests=st.sampled_from([1, 2, 3, 8, 32]),
    refresh=st.sampled_from(["none", "all_bank"]),
    write_wait_cycles=st.sampled_from([0, 7, 60, 256]),
    t_ras=st.sampled_from([34, 60]),
    t_wr=st.sampled_from([16, 70]),
    t_rfc=st.sampled_from([1, 20, 35]),
    t_refi=st.sampled_from([140, 300]),
    clock_ghz=st.sampled_from([1.5, 1.6]),
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
def cases(draw: st.DrawFn) -> tuple[DramSpec, int, list[Timed]]:
    """A spec, a number of channels, and requests at increasing ticks with task ids in any order."""
    spec, channels = draw(SPECS), draw(st.integers(1, 3))
    tasks = draw(st.permutations(range(draw(st.integers(1, 12)))))
    tick, timed = 0, []
    for task in tasks:
        tick += draw(GAPS)
        timed.append(Timed(tick, task, draw(rows(spec, channels))))
    return spec, channels, timed


@settings(max_examples=250, deadline=None)
@given(case=cases(), cuts=st.lists(st.integers(0, 1_000_000), max_size=8), ask_bursts=st.sampled_from([0, 256]))
def test_server_equals_oracle_and_keeps_the_contract_however_time_is_split(
    case: tuple[DramSpec, int, list[Timed]], cuts: list[int], ask_bursts: int
) -> None:
    spec, channels, timed = case
    completions, counted = StackOracle(spec, channels).run(timed)
    counters = check_contract(
        build_stack_server(spec, channels, ask_bursts=ask_bursts),
        timed,
        expected=completions,
        least_ticks=lambda row: int(row[BYTES] * spec.slot_ticks(channels) / spec.burst_bytes),
        bytes_of=lambda row: row[BYTES],
        counted_bytes=lambda counters: int(counters["bytes_read"].sum() + counters["bytes_written"].sum()),
        cuts=cuts,
    )
    for name, expected in counted.items():
        assert np.array_equal(counters[name], expected), name


def test_next_event_stays_a_lower_bound_where_stripes_and_granule_cut_runs_unevenly() -> None:
    spec = DramSpec(bandwidth_gb_per_s=48.0, burst_bytes=64, turn_bytes=192)
    even, uneven = (0, 0, 0, 1, 0, 64, 0, 3200), (0, 0, 1, 1, 0, 256, 0, 64_000)
    timed = [Timed(0, 0, even), Timed(0, 1, uneven)]
    assert run_requests(build_stack_server(spec, 1), timed) == StackOracle(spec, 1).run(timed)[0]


def _long_lists(seed: int) -> tuple[DramSpec, list[Timed]]:
    """Reads and writes of up to 64 KiB, many at once, so that bounds count the turns of others far ahead."""
    draw = Random(seed)
    one_of, tick = draw.choice, 0
    spec = DramSpec(
        bandwidth_gb_per_s=one_of([13.3, 46.875, 94.0, 200.0]),
        banks_per_channel=one_of([4, 8, 16]),
        row_bytes=one_of([1024, 2048, 8192]),
        burst_bytes=one_of([32, 64]),
        turn_bytes=one_of([128, 192, 256, 1024]),
        queue_requests=one_of([4, 8, 32]),
        write_wait_cycles=one_of([60, 256, 10**6]),
        refresh="none",
    )
    timed = []
    for task in range(draw.randint(4, 40)):
        tick += one_of([0, 0, 0, 0, 100, 1000, 8000, 50_000, 400_000])
        count = one_of([1, spec.banks_per_channel, spec.banks_per_channel // 2])
        base = draw.randint(0, spec.banks_per_channel - count)
        stripe, size = one_of([64, 256, spec.row_bytes]), one_of([64, 300, 1024, 4096, 16384, 65536])
        flags, row, offset = one_of([0, 0, 0, 1, 1, 2]), draw.randint(0, 40), one_of([0, 0, 64 * draw.randint(0, 9)])
        timed.append(Timed(tick, task, (flags, 0, base, count, row, stripe, offset, size)))
    return spec, timed


def test_nothing_completes_before_next_event_while_many_reads_and_writes_are_under_way() -> None:
    """In the case of seed 947 reads ahead of a write once counted twice: by their number and by their time."""
    for seed in range(700, 1000):
        spec, timed = _long_lists(seed)
        driver = Driver(build_stack_server(spec, 1))
        for request in timed:
            driver.advance_to(request.tick)
            driver.enqueue(request)
        driver.drain(leap=False)
        assert sum(event == DONE for _, _, event in driver.completions) == len(timed), f"seed {seed}"


@pytest.mark.parametrize("bandwidth", [13194.139533312 / 256, 12345.678912345678, 50.0])
def test_a_server_goes_on_the_same_after_a_day(bandwidth: float) -> None:
    """What happens after a whole number of ticks and of ps is what would have happened at once, and it is exact."""
    spec = DramSpec(bandwidth_gb_per_s=bandwidth)
    tick = tick_ps(spec, 1)
    day = 86_400 * 10**12 // tick.numerator * tick.numerator
    rows = [(1, 0, 0, 4, 0, 512, 100 * task, 6000) for task in range(3)]
    at_once, later = ([Timed(begin + 1000 * task, task, row) for task, row in enumerate(rows)] for begin in (0, day))
    soon, late = (run_requests(build_stack_server(spec, 1), timed) for timed in (at_once, later))
    assert [(at + day, task, event) for at, task, event in soon] == late
    assert soon == StackOracle(spec, 1).run(at_once)[0]


def test_a_precharge_that_waited_for_row_hits_comes_before_a_later_activate() -> None:
    spec = DramSpec(
        bandwidth_gb_per_s=13.3, banks_per_channel=2, row_bytes=512, burst_bytes=128, turn_bytes=1024, queue_requests=8,
        t_wr=16,
    )  # fmt: skip
    timed = [
        Timed(410_001, 9, (0, 0, 0, 2, 2, 512, 1152, 2325)),
        Timed(415_001, 1, (0, 0, 0, 2, 0, 256, 443, 74)),
        Timed(415_001, 2, (0, 0, 0, 2, 2, 512, 512, 1)),
    ]
    assert run_requests(build_stack_server(spec, 1), timed) == StackOracle(spec, 1).run(timed)[0]


def test_server_kind_is_registered() -> None:
    server = build_stack_server(DramSpec(), 2)
    assert server_kinds.get("dram_controller") is server.kind


def test_a_server_without_channels_is_a_mistake_of_the_person() -> None:
    with pytest.raises(ConfigError, match="channels: must be at least 1, got 0"):
        build_stack_server(DramSpec(), 0)
