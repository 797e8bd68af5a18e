"""What the rules of a chip's DRAM channels mean for traffic, stated in ps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from cairn.base.spec import source_of
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.dram.stack.server import build_stack_server
from cairn.hw_models.server import DONE, FIRST, IS_WRITE, WANTS_FIRST

from .server_contract import Timed, drive

SPEC = DramSpec(bandwidth_gb_per_s=51.2)
"""One channel on which a burst lasts four cycles, so that all times are whole ticks (S1)."""
CYCLE = 625
START = 40
"""A command issues in the tick after the arrival of what it serves, a sixteenth of a cycle later."""


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
    completions, counters = drive(build_stack_server(spec, channels), timed)
    return {(task, event): tick for tick, task, event in completions}, counters


def together(spec: DramSpec, *rows: tuple[int, ...]) -> tuple[int, Mapping[str, Any]]:
    """The end of the last of requests that arrive together, and counters."""
    ticks, counters = run(spec, [Timed(0, task, values) for task, values in enumerate(rows)])
    return max(ticks.values()), counters


def slot(spec: DramSpec, channels: int = 1) -> int:
    return int(np.ceil(float(spec.slot_ticks(channels))))


def test_first_data_of_an_idle_closed_bank_take_activate_column_latency_and_one_burst() -> None:
    ticks, _ = run(SPEC, [Timed(1250, 0, row(1024, flags=WANTS_FIRST))])
    latency = SPEC.timing_ticks("t_rcd") + SPEC.timing_ticks("t_cl")
    assert ticks[0, FIRST] == pytest.approx(1250 + latency + slot(SPEC), abs=START)
    assert ticks[0, DONE] == pytest.approx(1250 + latency + int(np.ceil(8 * float(SPEC.slot_ticks(1)))), abs=START)


def test_an_open_row_answers_after_the_column_latency_alone() -> None:
    ticks, counters = run(SPEC, [Timed(0, 0, row(128)), Timed(10**6, 1, row(128, offset=128, flags=WANTS_FIRST))])
    assert ticks[1, DONE] == ticks[1, FIRST]
    assert ticks[1, DONE] == pytest.approx(10**6 + SPEC.timing_ticks("t_cl") + slot(SPEC), abs=2 * START)
    assert counters["row_hits"].tolist() == [1]


def test_a_stream_over_all_banks_reaches_99_percent_of_the_bus() -> None:
    size = 4 << 20
    end, counters = together(SPEC, row(size, banks=16))
    peak = size * 1000 / SPEC.bandwidth_gb_per_s
    assert peak <= end < peak / 0.99
    assert counters["activates"].tolist() == [size // 8192]


def test_streams_that_share_banks_are_slower_than_in_banks_of_their_own() -> None:
    size = 256 << 10
    shared, of_shared = together(SPEC, row(size, banks=8), row(size, banks=8, at=100))
    apart, of_apart = together(SPEC, row(size, banks=8), row(size, bank=8, banks=8))
    assert of_shared["activates"][0] > 1.5 * of_apart["activates"][0]
    assert of_apart["activates"][0] == 2 * size // 8192
    assert shared > apart


def test_conflicts_in_one_bank_cost_a_row_cycle_each() -> None:
    spec = DramSpec(bandwidth_gb_per_s=51.2, turn_bytes=128, queue_requests=1)
    end, counters = together(spec, row(50 * 128), row(50 * 128, at=1))
    row_cycle = spec.timing_ticks("t_ras") + spec.timing_ticks("t_rp")
    assert counters["row_conflicts"].tolist() == [99]
    latency = spec.timing_ticks("t_rcd") + spec.timing_ticks("t_cl")
    assert end == pytest.approx(99 * row_cycle + latency + slot(spec), abs=START)


def test_a_queue_lets_the_controller_serve_open_rows_first() -> None:
    narrow = DramSpec(bandwidth_gb_per_s=51.2, turn_bytes=128, queue_requests=1)
    wide = DramSpec(bandwidth_gb_per_s=51.2, turn_bytes=128, queue_requests=32)
    rows = row(50 * 128), row(50 * 128, at=1)
    (slow, of_narrow), (fast, of_wide) = together(narrow, *rows), together(wide, *rows)
    assert of_wide["activates"][0] < of_narrow["activates"][0] / 10
    assert fast < slow / 5


def test_rows_of_one_burst_are_bound_by_four_activates_per_tfaw() -> None:
    spec = DramSpec(bandwidth_gb_per_s=512.0)
    count = 32
    end, _ = together(spec, *(row(128, bank=task % 16, at=task // 16) for task in range(count)))
    groups, last = divmod(count - 1, 4)
    last_act = groups * spec.timing_ticks("t_faw") + last * spec.timing_ticks("t_rrd")
    latency = spec.timing_ticks("t_rcd") + spec.timing_ticks("t_cl")
    assert end == pytest.approx(last_act + latency + slot(spec), abs=START)


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
    ticks, counters = run(spec, [Timed(0, 0, row(128)), Timed(refresh + CYCLE, 1, row(128, offset=128))])
    latency = spec.timing_ticks("t_rcd") + spec.timing_ticks("t_cl")
    refreshed = refresh + spec.timing_ticks("t_rp") + spec.timing_ticks("t_rfc")
    assert ticks[1, DONE] == pytest.approx(refreshed + latency + slot(spec), abs=START)
    assert (counters["row_hits"][0], counters["row_misses"][0]) == (0, 2)


@pytest.mark.parametrize(("first", "then", "gap"), [(IS_WRITE, 0, "t_wtr"), (0, IS_WRITE, "t_rtw"), (0, 0, None)])
def test_a_change_of_direction_leaves_a_gap_on_the_bus(first: int, then: int, gap: str | None) -> None:
    """The second request arrives after the last burst of the first has issued, so that it is not served before it."""
    last_issue = SPEC.timing_ticks("t_rcd") + 7 * slot(SPEC)
    later = Timed(last_issue + CYCLE, 1, row(1024, flags=then, offset=1024))
    ticks, _ = run(SPEC, [Timed(0, 0, row(1024, flags=first)), later])
    expected = last_issue + SPEC.timing_ticks("t_cl") + 9 * slot(SPEC)
    assert ticks[1, DONE] == pytest.approx(expected + (SPEC.timing_ticks(gap) if gap else 0), abs=START)


def test_a_precharge_after_a_write_waits_for_write_recovery() -> None:
    end, _ = together(SPEC, row(128, flags=IS_WRITE), row(128, flags=IS_WRITE, at=1))
    t = SPEC.timing_ticks
    written = t("t_rcd") + t("t_cl") + slot(SPEC)
    assert end == pytest.approx(written + t("t_wr") + t("t_rp") + t("t_rcd") + t("t_cl") + slot(SPEC), abs=START)


def test_equal_streams_share_the_channel_turn_by_turn() -> None:
    size = 64 << 10
    ticks, _ = run(SPEC, [Timed(0, task, row(size, bank=4 * task, banks=4)) for task in range(4)])
    ends = [ticks[task, DONE] for task in range(4)]
    turn = SPEC.turn_bytes // SPEC.burst_bytes * slot(SPEC)
    assert [later - earlier for earlier, later in pairwise(ends)] == [turn] * 3


def test_a_short_request_waits_for_the_queue_and_not_for_the_long_request_before_it() -> None:
    arrival = 5 * 10**6
    ticks, _ = run(SPEC, [Timed(0, 0, row(1 << 20, bank=0, banks=8)), Timed(arrival, 1, row(1024, bank=8))])
    in_turn = SPEC.turn_bytes // SPEC.burst_bytes
    assert ticks[1, DONE] - arrival <= (SPEC.queue_requests + in_turn + 8) * slot(SPEC) + SPEC.timing_ticks("t_cl")
    assert ticks[0, DONE] > arrival + 10**7


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
    assert counters["padding_bytes"].tolist() == [8 * 128 - 1000]
    _, counters = together(SPEC, row(1000, offset=4000))
    assert counters["padding_bytes"].tolist() == [(128 - 96) + (8 * 128 - 904)]


def test_stripes_deal_a_request_over_banks() -> None:
    _, counters = together(SPEC, row(4 * 512, banks=4, stripe=512))
    assert (counters["row_misses"][0], counters["row_hits"][0]) == (4, 12)
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
