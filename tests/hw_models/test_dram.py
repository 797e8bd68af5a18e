"""What the DRAM rules mean for traffic, stated in ticks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from cairn.base.spec import source_of
from cairn.hw_models.dram.cycle import build_dram_server
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.server import DONE, FIRST, IS_WRITE, WANTS_FIRST

from .server_contract import Timed, drive

SPEC = DramSpec(bandwidth_gb_per_s=48.0)


def row(
    size: int, *, flags: int = 0, channel: int = 0, bank: int = 0, banks: int = 1, at: int = 0, stripe: int = 8192,
    offset: int = 0,
) -> tuple[int, ...]:  # fmt: skip
    """A request row; `at` is the first row of the region."""
    return (flags, channel, bank, banks, at, stripe, offset, size)


def run(
    spec: DramSpec, timed: Sequence[Timed], channels: int = 1
) -> tuple[dict[tuple[int, int], int], Mapping[str, Any]]:
    """Ticks by (task, event), and counters."""
    completions, counters = drive(build_dram_server(spec, channels), timed)
    return {(task, event): tick for tick, task, event in completions}, counters


def together(spec: DramSpec, *rows: tuple[int, ...]) -> tuple[int, Mapping[str, Any]]:
    """The end of the last of requests that arrive together, and counters."""
    ticks, counters = run(spec, [Timed(0, task, values) for task, values in enumerate(rows)])
    return max(ticks.values()), counters


def slot(spec: DramSpec, channels: int = 1) -> int:
    return int(np.ceil(float(spec.slot_ticks(channels))))


def test_first_data_of_an_idle_closed_bank_take_activate_column_latency_and_one_burst() -> None:
    ticks, _ = run(SPEC, [Timed(1000, 0, row(1024, flags=WANTS_FIRST))])
    latency = SPEC.timing_ticks("t_rcd") + SPEC.timing_ticks("t_cl")
    assert ticks[0, FIRST] == 1000 + latency + slot(SPEC)
    assert ticks[0, DONE] == 1000 + latency + int(np.ceil(8 * float(SPEC.slot_ticks(1))))


def test_an_open_row_answers_after_the_column_latency_alone() -> None:
    ticks, counters = run(SPEC, [Timed(0, 0, row(128)), Timed(10**6, 1, row(128, offset=128, flags=WANTS_FIRST))])
    assert ticks[1, DONE] == ticks[1, FIRST] == 10**6 + SPEC.timing_ticks("t_cl") + slot(SPEC)
    assert counters["row_hits"].tolist() == [1]


def test_a_stream_over_all_banks_reaches_99_percent_of_the_bus() -> None:
    size = 4 << 20
    end, counters = together(SPEC, row(size, banks=16))
    peak = size * 1000 / SPEC.bandwidth_gb_per_s
    assert peak <= end < peak / 0.99
    assert counters["activates"].tolist() == [size // 8192]


def test_lock_step_streams_in_the_same_banks_are_slower_than_in_banks_of_their_own() -> None:
    size = 256 << 10
    shared, of_shared = together(SPEC, row(size, banks=8), row(size, banks=8, at=100))
    apart, of_apart = together(SPEC, row(size, banks=8), row(size, bank=8, banks=8))
    assert of_shared["row_conflicts"][0] == 2 * size // 1024 - 8
    assert of_apart["row_conflicts"][0] == 2 * (size // 8192 - 8)
    assert shared > 1.5 * apart


def test_conflicts_in_one_bank_cost_a_row_cycle_each() -> None:
    spec = DramSpec(bandwidth_gb_per_s=48.0, run_bytes=128)
    end, counters = together(spec, row(50 * 128), row(50 * 128, at=1))
    row_cycle = spec.timing_ticks("t_ras") + spec.timing_ticks("t_rp")
    assert counters["row_conflicts"].tolist() == [99]
    assert end == 99 * row_cycle + spec.timing_ticks("t_rcd") + spec.timing_ticks("t_cl") + slot(spec)


def test_rows_of_one_burst_are_bound_by_four_activates_per_tfaw() -> None:
    spec = DramSpec(bandwidth_gb_per_s=480.0)
    count = 32
    end, _ = together(spec, *(row(128, bank=task % 16, at=task // 16) for task in range(count)))
    groups, last = divmod(count - 1, 4)
    last_act = groups * spec.timing_ticks("t_faw") + last * spec.timing_ticks("t_rrd")
    assert end == last_act + spec.timing_ticks("t_rcd") + spec.timing_ticks("t_cl") + slot(spec)


def test_refresh_takes_its_share_of_a_long_stream() -> None:
    refreshed = SPEC.model_copy(update={"refresh": "all_bank"})
    size = 8 << 20
    without, _ = together(SPEC, row(size, banks=16))
    with_refresh, _ = together(refreshed, row(size, banks=16))
    held = SPEC.t_rfc / SPEC.t_refi
    reopened = (SPEC.t_rfc + SPEC.t_rcd + SPEC.t_cl) / SPEC.t_refi
    assert 1 - reopened < without / with_refresh < 1 - 0.9 * held


def test_a_request_during_a_refresh_waits_for_its_end_and_finds_its_row_closed() -> None:
    spec = SPEC.model_copy(update={"refresh": "all_bank"})
    refresh = spec.timing_ticks("t_refi")
    ticks, counters = run(spec, [Timed(0, 0, row(128)), Timed(refresh + 5, 1, row(128, offset=128))])
    latency = spec.timing_ticks("t_rcd") + spec.timing_ticks("t_cl")
    assert ticks[1, DONE] == refresh + spec.timing_ticks("t_rfc") + latency + slot(spec)
    assert (counters["row_hits"][0], counters["row_misses"][0]) == (0, 2)


@pytest.mark.parametrize(("first", "then", "gap"), [(IS_WRITE, 0, "t_wtr"), (0, IS_WRITE, "t_rtw"), (0, 0, None)])
def test_a_change_of_direction_leaves_a_gap_on_the_bus(first: int, then: int, gap: str | None) -> None:
    end, _ = together(SPEC, row(1024, flags=first), row(1024, flags=then, offset=1024))
    data = int(np.ceil(8 * float(SPEC.slot_ticks(1))))
    expected = SPEC.timing_ticks("t_rcd") + SPEC.timing_ticks("t_cl") + 2 * data
    assert end == expected + (SPEC.timing_ticks(gap) if gap else 0)


def test_a_precharge_after_a_write_waits_for_write_recovery() -> None:
    end, _ = together(SPEC, row(128, flags=IS_WRITE), row(128, flags=IS_WRITE, at=1))
    t = SPEC.timing_ticks
    written = t("t_rcd") + t("t_cl") + slot(SPEC)
    assert end == written + t("t_wr") + t("t_rp") + t("t_rcd") + t("t_cl") + slot(SPEC)


def test_a_refresh_does_not_shorten_write_recovery() -> None:
    spec = DramSpec(bandwidth_gb_per_s=48.0, refresh="all_bank", t_refi=400, t_rfc=1, t_wr=300)
    t = spec.timing_ticks
    written = t("t_refi") - 1000
    latency = t("t_rcd") + t("t_cl") + slot(spec)
    after = t("t_refi") + 1000
    ticks, counters = run(
        spec,
        [
            Timed(written - latency, 0, row(128, flags=IS_WRITE)),
            Timed(after, 1, row(128)),
            Timed(after, 2, row(128, at=1)),
        ],
    )
    assert (counters["row_misses"][0], counters["row_conflicts"][0]) == (2, 1)
    assert ticks[2, DONE] == written + t("t_wr") + t("t_rp") + latency


def test_equal_streams_share_the_channel_run_by_run() -> None:
    size = 64 << 10
    ticks, _ = run(SPEC, [Timed(0, task, row(size, bank=4 * task, banks=4)) for task in range(4)])
    ends = [ticks[task, DONE] for task in range(4)]
    run_ticks = int(np.ceil(8 * float(SPEC.slot_ticks(1))))
    assert [later - earlier for earlier, later in pairwise(ends)] == [run_ticks] * 3


def test_a_short_request_waits_for_the_window_and_not_for_the_long_request_before_it() -> None:
    arrival = 5 * 10**6
    ticks, _ = run(SPEC, [Timed(0, 0, row(1 << 20, bank=0, banks=8)), Timed(arrival, 1, row(1024, bank=8))])
    run_ticks = int(np.ceil(8 * float(SPEC.slot_ticks(1))))
    assert ticks[1, DONE] - arrival <= (SPEC.queue_runs + 2) * run_ticks
    assert ticks[0, DONE] > arrival + 10**7


def test_a_request_that_arrives_at_the_tick_of_an_admission_takes_part_in_it() -> None:
    ticks, _ = run(SPEC, [Timed(0, 7, row(2048)), Timed(0, 3, row(1024, offset=4096))])
    assert ticks[3, DONE] < ticks[7, DONE]
    spec = SPEC.model_copy(update={"queue_runs": 1})
    begins = spec.timing_ticks("t_rcd") + spec.timing_ticks("t_cl")
    on_time, _ = run(spec, [Timed(0, 7, row(2048)), Timed(begins, 8, row(1024, offset=4096))])
    too_late, _ = run(spec, [Timed(0, 7, row(2048)), Timed(begins + 1, 8, row(1024, offset=4096))])
    assert on_time[8, DONE] < on_time[7, DONE]
    assert too_late[8, DONE] > too_late[7, DONE]


def test_channels_do_not_influence_each_other() -> None:
    rng = np.random.default_rng(5)
    timed = [
        Timed(int(tick), task, row(int(size), flags=WANTS_FIRST, channel=task % 3, banks=4, at=task % 5, stripe=1024))
        for task, (tick, size) in enumerate(zip(rng.integers(0, 10**6, 30), rng.integers(1, 9000, 30), strict=True))
    ]
    all_together, _ = run(SPEC, timed, channels=3)
    alone: dict[tuple[int, int], int] = {}
    for channel in range(3):
        alone |= run(SPEC, [request for request in timed if request.row[1] == channel], channels=3)[0]
    assert alone == all_together


def test_bytes_of_bursts_that_nobody_asked_for_are_counted_as_padding() -> None:
    _, counters = together(SPEC, row(1000, offset=1000))
    assert counters["padding_bytes"].tolist() == [(128 - 24) + (8 * 128 - 976)]


def test_stripes_deal_a_request_over_banks() -> None:
    _, counters = together(SPEC, row(4 * 512, banks=4, stripe=512))
    assert (counters["row_misses"][0], counters["row_hits"][0]) == (4, 0)
    _, counters = together(SPEC, row(8192, banks=4, stripe=512))
    assert (counters["row_misses"][0], counters["row_conflicts"][0]) == (4, 0)
    _, counters = together(SPEC, row(8192, banks=4, stripe=512, offset=4 * 8192 - 512))
    assert (counters["row_misses"][0], counters["row_conflicts"][0]) == (4, 1)


def test_the_slot_of_a_burst_is_exact_or_rounded_up() -> None:
    assert DramSpec(bandwidth_gb_per_s=12000).slot_ticks(256) * 12000 == 128 * 256 * 1000
    awkward = DramSpec(bandwidth_gb_per_s=12345.678912345678)
    exact = 128 * 256 * 1000 / 12345.678912345678
    assert exact <= float(awkward.slot_ticks(256)) < exact * (1 + 1e-7)


def test_every_default_of_the_spec_says_where_it_comes_from() -> None:
    assert [name for name in DramSpec.model_fields if not source_of(DramSpec, name)] == []


def test_refresh_that_leaves_no_time_between_is_refused() -> None:
    with pytest.raises(ValidationError, match="t_refi 400 leaves no time between refreshes; it must exceed"):
        DramSpec(refresh="all_bank", t_refi=400)
    assert DramSpec(refresh="none", t_refi=400).t_refi == 400


def test_rows_are_whole_bursts() -> None:
    with pytest.raises(ValidationError, match="row_bytes 1000 is not a multiple of burst_bytes 128"):
        DramSpec(row_bytes=1000)


def test_capacity_is_dealt_over_channels_and_banks() -> None:
    assert DramSpec().capacity_per_channel_bytes(256) == 750_000_000
    assert DramSpec().rows_per_bank(256) == 750_000_000 // (16 * 8192)
    assert (DramSpec().channel_count(256), DramSpec(channels=64).channel_count(256)) == (256, 64)
