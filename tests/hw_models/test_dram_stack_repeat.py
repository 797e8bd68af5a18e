"""What a channel did before it takes from a table: nothing shows but the time that it takes."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.dram.stack.device import tick_ps
from cairn.hw_models.dram.stack.layout import P_REPEATED, P_WORKED
from cairn.hw_models.dram.stack.server import build_stack_server
from cairn.hw_models.server import IS_WRITE

from .server_contract import Completion, Driver, Timed

ALWAYS, NEVER_ASKED = 0, 10**9
CHANNELS = 4
ROW = 8192

def _random_spec(draw: Random) -> DramSpec:
    one_of = draw.choice
    return DramSpec(
        bandwidth_gb_per_s=one_of([13.3, 50.0, 94.0]) * CHANNELS,
        banks_per_channel=one_of([1, 2, 4, 8, 16]),
        row_bytes=one_of([512, 2048, 8192]),
        burst_bytes=one_of([32, 64, 128]),
        turn_bytes=one_of([128, 192, 256, 1024, 4096]),
        queue_requests=one_of([1, 2, 3, 8, 32]),
        write_wait_cycles=one_of([0, 7, 60, 256, 10**6]),
        refresh=one_of(["none", "none", "all_bank"]),
        t_ras=one_of([34, 60]),
        t_wr=one_of([16, 70]),
        t_rfc=one_of([1, 20, 35]),
        t_refi=one_of([140, 300, 3000]),
    )


def _random_streams(draw: Random, spec: DramSpec) -> list[Timed]:
    """Requests of which each comes to every channel at once, in the same rows or in rows of its own."""
    one_of, tick = draw.choice, 0
    timed: list[Timed] = []
    for _ in range(draw.randint(2, 25)):
        tick += one_of([0, 0, 100, 1000, 3000, 8000, 20_000, 50_000, 400_000])
        count = draw.randint(1, spec.banks_per_channel)
        base, row, apart = draw.randint(0, spec.banks_per_channel - count), draw.randint(0, 50), one_of([0, 3])
        flags, stripe = one_of([0, 0, 0, 1, 2]), one_of([spec.row_bytes, spec.row_bytes // 2])
        size, offset = one_of([128, 128, 300, 4096, 16_384, 65_536]), one_of([0, 0, 128 * draw.randint(0, 20)])
        for channel in range(CHANNELS):
            request = (flags, channel, base, count, row + apart * channel, stripe, offset, size)
            timed.append(Timed(tick, len(timed), request))
    return timed


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


@pytest.mark.parametrize("first", range(0, 400, 50))
def test_completions_and_every_counter_are_those_of_channels_that_work_all_out(first: int) -> None:
    answered = 0
    for seed in range(first, first + 50):
        draw = Random(seed)
        spec = _random_spec(draw)
        timed = _random_streams(draw, spec)
        cuts = tuple(draw.randint(0, 1_000_000) for _ in range(4))
        expected = _run(spec, timed, NEVER_ASKED)
        assert expected[2] == 0
        for ask_bursts, pauses in ((ALWAYS, ()), (ALWAYS, cuts), (64, ())):
            completions, counters, repeated = _run(spec, timed, ask_bursts, pauses)
            assert (completions, counters) == expected[:2], f"seed {seed}"
            answered += repeated
    assert answered > 1000


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
    assert next(tick for tick, task, _ in driver.completions if task == 1) > 1_000_000 + waited_ps
