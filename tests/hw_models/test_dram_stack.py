"""Channels with controllers on streams: bandwidth, rules of the protocol, and who is held back by what."""

from __future__ import annotations

import numpy as np
import pytest

from cairn.hw_models.dram.checker import ProtocolChecker
from cairn.hw_models.dram.control.layout import CAUSES
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.dram.stack.device import stack_device, tick_ps
from cairn.hw_models.dram.stack.server import build_stack_server, logged_commands
from cairn.hw_models.server import IS_WRITE

from .server_contract import Driver, Timed

ONE = {"bandwidth_gb_per_s": 46.875, "capacity_gb": 0.75}
"""One of the 256 channels of the default stack."""
TILE = 1 << 17
ROW = 8192


def _streams(spec: DramSpec, sets: int, *, tiles: int = 64, flags: int = 0, log: int = 0) -> Driver:
    """`tiles` tiles, four in flight, in successive ones of `sets` sets of banks."""
    driver = Driver(build_stack_server(spec, 1, log=log))
    banks = spec.banks_per_channel // sets

    def start(number: int) -> None:
        row = (flags, 0, banks * (number % sets), banks, 2 * (number // sets), ROW, 0, TILE)
        driver.enqueue(Timed(int(driver.state[0]), number, row))

    for number in range(4):
        start(number)
    begun = 4
    while len(driver.completions) < tiles:
        before = len(driver.completions)
        driver.advance_to(int(driver.kind.next_event(driver.state)))
        for _ in range(min(len(driver.completions) - before, tiles - begun)):
            start(begun)
            begun += 1
    return driver


def _efficiency(driver: Driver, tiles: int = 64) -> float:
    return tiles * TILE / 46.875 * 1000 / max(tick for tick, _, _ in driver.completions)


def test_a_weight_stream_reaches_the_bus_limit() -> None:
    assert _efficiency(_streams(DramSpec(**ONE), sets=4)) > 0.999


def test_with_refresh_it_reaches_the_bus_limit_net_of_refresh_within_two_percent() -> None:
    spec = DramSpec(**ONE, refresh="all_bank")
    lost = (spec.t_rtp + spec.t_rp + spec.t_rfc + spec.t_rcd) / spec.t_refi
    reached = _efficiency(_streams(spec, sets=4)) / (1 - lost)
    assert 0.98 < reached < 1.005


def test_tiles_that_share_all_banks_lose_to_rows() -> None:
    apart, shared = _streams(DramSpec(**ONE), sets=4), _streams(DramSpec(**ONE), sets=1)
    assert _efficiency(shared) < 0.99 * _efficiency(apart)
    charged = dict(zip(CAUSES, shared.kind.counters(shared.state)["charged_ps"][0].tolist(), strict=False))
    del charged["data_bus"]
    assert max(charged, key=lambda cause: charged[cause]) == "row_cycle"


@pytest.mark.parametrize("flags", [0, IS_WRITE])
@pytest.mark.parametrize("refresh", ["none", "all_bank"])
@pytest.mark.parametrize("sets", [1, 2, 4])
def test_commands_break_no_rule_and_every_tick_of_the_bus_is_charged(sets: int, refresh: str, flags: int) -> None:
    spec = DramSpec(**ONE, refresh=refresh)
    driver = _streams(spec, sets, tiles=16, flags=flags, log=60_000)
    commands = logged_commands(driver.state, 0)
    checker = ProtocolChecker(stack_device(spec, 1), refresh=refresh)
    checker.feed(commands[np.argsort(commands[:, 0], kind="stable")])
    assert checker.finish().violations == ()
    counters = driver.kind.counters(driver.state)
    latency = stack_device(spec, 1).read_ticks - stack_device(spec, 1).burst_ticks
    charged = counters["charged_ps"][0].sum() + (latency + 1) * float(tick_ps(spec, 1))
    assert charged == pytest.approx(counters["last_data_ps"][0], abs=len(CAUSES))
    assert counters["row_hits"][0] + counters["row_misses"][0] + counters["row_conflicts"][0] == 16 * TILE // 128
