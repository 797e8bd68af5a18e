"""What a channel did before it takes from a table: nothing shows but the time that it takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.dram.stack.device import tick_ps
from cairn.hw_models.dram.stack.layout import P_REPEATED, P_WORKED
from cairn.hw_models.dram.stack.server import build_stack_server
from cairn.hw_models.server import IS_WRITE

from .server_contract import Completion, Driver, Timed

ALWAYS, NEVER_ASKED = 0, 10**9
CHANNELS = 3
ROW = 8192

SPECS = st.builds(
    DramSpec,
    bandwidth_gb_per_s=st.sampled_from([40.0, 150.0, 280.0]),
    banks_per_channel=st.sampled_from([1, 2, 4, 16]),
    row_bytes=st.sampled_from([512, 2048, 8192]),
    burst_bytes=st.sampled_from([32, 64, 128]),
    turn_bytes=st.sampled_from([128, 192, 1024, 4096]),
    queue_requests=st.sampled_from([1, 2, 8, 32]),
    refresh=st.sampled_from(["none", "none", "all_bank"]),
    write_wait_cycles=st.sampled_from([0, 60, 256, 10**6]),
    t_rfc=st.sampled_from([20, 35]),
    t_refi=st.sampled_from([140, 3000]),
)


@st.composite
def streams(draw: st.DrawFn) -> tuple[DramSpec, list[Timed]]:
    """A spec, and requests of which each comes to every channel at once, in rows of its own."""
    spec, tick = draw(SPECS), 0
    timed: list[Timed] = []
    apart = draw(st.sampled_from([0, 5]))
    for _ in range(draw(st.integers(1, 12))):
        tick += draw(st.sampled_from([0, 0, 100, 1000, 50_000, 400_000]))
        count = draw(st.integers(1, spec.banks_per_channel))
        base, row = draw(st.integers(0, spec.banks_per_channel - count)), draw(st.integers(0, 9))
        flags, stripe = draw(st.sampled_from([0, 0, 1, 2, 3])), draw(st.sampled_from([1, 2]))
        size, offset = draw(st.sampled_from([100, 4096, 16384, 40_000])), draw(st.sampled_from([0, 0, 640]))
        for channel in range(CHANNELS):
            rows = row + apart * channel
            request = (flags, channel, base, count, rows, spec.row_bytes // stripe, offset, size)
            timed.append(Timed(tick, len(timed), request))
    return spec, timed


def _run(
    spec: DramSpec, timed: list[Timed], ask_bursts: int, cuts: tuple[int, ...] = ()
) -> tuple[list[Completion], dict[str, Any], int]:
    """Completions, counters, and how often the table had the answer."""
    driver = Driver(build_stack_server(spec, CHANNELS, ask_bursts=ask_bursts))
    pauses = sorted(cuts)
    for request in timed:
        while pauses and pauses[0] < request.tick:
            driver.advance_to(pauses.pop(0))
        driver.advance_to(request.tick)
        driver.enqueue(request)
    driver.drain(leap=True)
    counters = {name: values.tolist() for name, values in driver.kind.counters(driver.state).items()}
    return sorted(driver.completions), counters, int(driver.state[P_REPEATED])


@settings(max_examples=150, deadline=None)
@given(case=streams(), cuts=st.lists(st.integers(0, 1_000_000), max_size=4))
def test_completions_and_every_counter_are_those_of_channels_that_work_all_out(
    case: tuple[DramSpec, list[Timed]], cuts: list[int]
) -> None:
    spec, timed = case
    completions, counters, asked = _run(spec, timed, NEVER_ASKED)
    assert asked == 0
    assert _run(spec, timed, ALWAYS)[:2] == (completions, counters)
    assert _run(spec, timed, ALWAYS, tuple(cuts))[0] == completions


def _worked(spec: DramSpec, timed: list[Timed]) -> int:
    """How often the table had no answer."""
    driver = Driver(build_stack_server(spec, CHANNELS))
    for request in timed:
        driver.advance_to(request.tick)
        driver.enqueue(request)
    driver.drain(leap=True)
    return int(driver.state[P_WORKED])


def _tiles(shift: int) -> list[Timed]:
    """Four tiles of weights for each channel, all `shift` rows further than in another run."""
    rows = [(0, channel, 4 * number, 4, shift, ROW, 0, 1 << 17) for number in range(4) for channel in range(CHANNELS)]
    return [Timed(0, task, row) for task, row in enumerate(rows)]


def test_channels_that_do_the_same_work_it_out_once() -> None:
    spec = DramSpec(bandwidth_gb_per_s=46.875 * CHANNELS)
    assert _run(spec, _tiles(0), 256)[2] == (CHANNELS - 1) * _worked(spec, _tiles(0)) > 0


@pytest.mark.parametrize("shift", [0, 40])
def test_time_rows_and_names_of_requests_make_no_difference(shift: int) -> None:
    """The fourth time stands to the third as that to the second: so many ticks later, and so many rows on."""
    spec = DramSpec(bandwidth_gb_per_s=46.875 * CHANNELS)
    apart = 10**6 * tick_ps(spec, CHANNELS).numerator
    timed = [
        Timed(time * apart, 1000 * time + (3 + time) * task, row)
        for time in range(4)
        for _, task, row in _tiles(shift * time)
    ]
    assert _worked(spec, timed) == _worked(spec, timed[: len(timed) * 3 // 4]) > 0
    assert _run(spec, timed, 256)[:2] == _run(spec, timed, NEVER_ASKED)[:2]


def test_a_stream_of_tiles_is_worked_out_while_it_is_new() -> None:
    """Four tiles under way in banks of their own: after the first ones each follows its predecessor alike."""
    driver = Driver(build_stack_server(DramSpec(bandwidth_gb_per_s=46.875, capacity_gb=0.75), 1))
    begun = 0
    while len(driver.completions) < 200:
        while begun < len(driver.completions) + 4 and begun < 200:
            row = (0, 0, 4 * (begun % 4), 4, 4 * (begun // 4), ROW, 0, 1 << 17)
            driver.enqueue(Timed(int(driver.state[0]), begun, row))
            begun += 1
        driver.advance_to(int(driver.kind.next_event(driver.state)))
    assert int(driver.state[P_REPEATED]) > 5 * int(driver.state[P_WORKED])


def test_with_a_log_of_commands_all_is_worked_out() -> None:
    driver = Driver(build_stack_server(DramSpec(), CHANNELS, log=100, ask_bursts=ALWAYS))
    for request in _tiles(0):
        driver.enqueue(request)
    driver.drain(leap=True)
    assert driver.state[P_REPEATED] == driver.state[P_WORKED] == 0


def test_a_write_that_waits_for_reads_does_not_wake_its_channel() -> None:
    """It is served when it is overdue, so until then nothing can complete (S4)."""
    spec = DramSpec(bandwidth_gb_per_s=46.875, capacity_gb=0.75, write_wait_cycles=1000)
    driver = Driver(build_stack_server(spec, 1))
    driver.enqueue(Timed(0, 0, (0, 0, 0, 4, 0, ROW, 0, 1 << 17)))
    driver.advance_to(1_000_000)
    driver.enqueue(Timed(1_000_000, 1, (IS_WRITE, 0, 4, 4, 0, ROW, 0, 128)))
    waited_ps = int(1000 * spec.clock.num / spec.clock.den)
    assert int(driver.kind.next_event(driver.state)) > 1_000_000 + waited_ps
    driver.drain(leap=True)
    assert np.min([tick for tick, task, _ in driver.completions if task == 1]) > 1_000_000 + waited_ps
