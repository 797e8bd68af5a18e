"""The closed form of a channel of the stack against its cycle model: Voxel's channel, and channels of all sorts."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest

from cairn.hw_models.dram.analytical import ChannelTimes, stream_ps, stream_rate
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.dram.stack.server import build_stack_server
from cairn.hw_models.server import IS_WRITE

from .server_contract import Driver, Timed, run_requests


class Streams(NamedTuple):
    """`count` equal streams of `size` bytes over `banks` banks each, in stripes."""

    size: int
    banks: int
    stripe: int
    count: int
    shared: bool
    write: bool

    def requests(self, tick: int, row_bytes: int) -> list[Timed]:
        """What arrives at `tick`: streams that share banks have rows of their own."""
        rows = -(-self.size // (self.banks * row_bytes))
        return [
            Timed(tick, n, (IS_WRITE * self.write, 0, 0 if self.shared else n * self.banks, self.banks, rows * n,
                            self.stripe, 0, self.size))
            for n in range(self.count)
        ]  # fmt: skip


Case = tuple[DramSpec, Streams]

# GB/s of a channel (a quarter of Voxel's, Voxel's, four times Voxel's).
VOXEL = tuple(DramSpec(bandwidth_gb_per_s=x, capacity_gb=0.75, model="controller") for x in (12.0, 46.875, 188.0))
GRID: tuple[Case, ...] = tuple(
    (spec, Streams(*numbers))
    for spec in VOXEL
    for numbers in product(
        (1024, 8192, 65536, 262144), (1, 4, 16), (256, 1024, 8192), (1, 2, 4), (False, True), (False, True)
    )
    if (numbers[3] > 1 if numbers[4] else numbers[3] * numbers[1] <= 16)
)


def drawn(kind: str, count: int, seed: int, **fixed: Any) -> tuple[Case, ...]:
    """Channels and streams of all sorts: `single`, on banks of their `own`, or on `shared` ones."""
    rng = np.random.default_rng(seed)
    cases: list[Case] = []
    while len(cases) < count:
        rrd = int(rng.integers(1, 9))
        numbers: dict[str, Any] = {
            "bandwidth_gb_per_s": float(rng.choice([6, 12, 25, 46.875, 94, 188, 375])), "capacity_gb": 0.75,
            "banks_per_channel": int(rng.choice([1, 2, 4, 8, 16, 32])),
            "row_bytes": int(rng.choice([1024, 2048, 4096, 8192])), "burst_bytes": int(rng.choice([32, 64, 128, 256])),
            "t_cl": int(rng.integers(8, 24)), "t_rcd": int(rng.integers(8, 24)), "t_rp": int(rng.integers(8, 24)),
            "t_ras": int(rng.integers(24, 60)), "t_rrd": rrd, "t_faw": 4 * rrd + int(rng.integers(0, 16)),
            "t_rtp": int(rng.integers(2, 12)), "t_wr": int(rng.integers(8, 32)), "t_rfc": int(rng.integers(100, 500)),
            "t_refi": int(rng.integers(3000, 12480)), "queue_requests": int(rng.choice([4, 8, 16, 32, 64, 128])),
            "turn_bytes": int(rng.choice([256, 1024, 4096, 8192])),
        }  # fmt: skip
        spec = DramSpec(**{**numbers, **fixed}, model="controller")
        streams = 1 if kind == "single" else int(rng.integers(2, 9))
        most = spec.banks_per_channel // (streams if kind == "own" else 1)
        stripe = spec.row_bytes // int(rng.choice([1, 1, 2, 4, 8, 16, 32]))
        size = int(2 ** rng.uniform(10, 19)) // 64 * 64
        if most < 1 or stripe < spec.burst_bytes:
            continue
        banks = int(rng.choice([b for b in (1, 2, 4, 8, 16, 32) if b <= most]))
        whole = max(1, size // spec.row_bytes) * spec.row_bytes
        size = whole if rng.random() < 0.5 else size
        cases.append((spec, Streams(size, banks, stripe, streams, kind == "shared", bool(rng.random() < 0.4))))
    return tuple(cases)


def simulated(spec: DramSpec, streams: Streams, tick: int = 0) -> int:
    """Ps from the arrival of all at `tick` to the end of their data."""
    return run_requests(build_stack_server(spec, 1), streams.requests(tick, spec.row_bytes), leap=True)[-1][0] - tick


def formed(cases: tuple[Case, ...]) -> npt.NDArray[np.float64]:
    """The closed form's ps of each case, in one call."""
    times = ChannelTimes.stack([ChannelTimes.of(spec, 1) for spec, _ in cases])
    columns = zip(*(streams for _, streams in cases), strict=True)
    size, banks, stripe, count, shared, write = (np.array(column) for column in columns)
    return stream_ps(times, size, banks, stripe, streams=count, shared_banks=shared, write=write)


def errors(cases: tuple[Case, ...]) -> npt.NDArray[np.float64]:
    """Relative errors, no sign."""
    return np.abs(formed(cases) / np.array([simulated(*case) for case in cases]) - 1)


@cache
def errors_on_grid() -> npt.NDArray[np.float64]:
    return errors(GRID)


def where(condition: str) -> npt.NDArray[np.bool_]:
    kinds = np.array(["shared" if s.shared else "single" if s.count == 1 else "own" for _, s in GRID])
    return np.asarray(kinds == condition)


def test_one_stream_on_voxels_channel_is_within_1_percent() -> None:
    error = errors_on_grid()[where("single")]
    assert error.size == 216
    assert error.max() < 0.01


def test_streams_on_banks_of_their_own_on_voxels_channel_are_within_1_percent() -> None:
    error = errors_on_grid()[where("own")]
    assert error.size == 288
    assert error.max() < 0.01


def test_streams_that_share_banks_on_voxels_channel_are_within_10_percent_in_the_mean() -> None:
    error = errors_on_grid()[where("shared")]
    assert error.size == 432
    assert error.mean() < 0.10
    assert np.quantile(error, 0.75) < 0.10


def test_of_single_streams_on_any_channel_95_in_100_are_within_2_percent() -> None:
    error = errors(drawn("single", 300, seed=1))
    assert np.quantile(error, 0.95) < 0.02
    assert error.mean() < 0.005


def test_of_streams_on_own_banks_on_any_channel_85_in_100_are_within_3_percent() -> None:
    error = errors(drawn("own", 250, seed=2))
    assert np.quantile(error, 0.85) < 0.03
    assert error.mean() < 0.015


def test_of_streams_on_shared_banks_on_any_channel_the_mean_is_within_10_percent() -> None:
    error = errors(drawn("shared", 250, seed=3))
    assert error.mean() < 0.10
    assert np.median(error) < 0.05


def test_with_refresh_the_time_is_that_of_arrivals_at_any_phase_within_2_percent() -> None:
    for spec, streams in drawn("single", 12, seed=4, refresh="all_bank", queue_requests=32, banks_per_channel=8):
        streams = streams._replace(size=1 << 18, banks=8, stripe=spec.row_bytes)
        interval = spec.timing_ticks("t_refi")
        mean = np.mean([simulated(spec, streams, tick=phase * interval // 16) for phase in range(16)])
        assert formed(((spec, streams),))[0] == pytest.approx(mean, rel=0.02)


def test_closed_form_never_beats_the_bus() -> None:
    bus = np.array([s.size * s.count * 1000 / spec.bandwidth_gb_per_s for spec, s in GRID])
    assert np.all(formed(GRID) >= bus)


def test_closed_form_of_many_designs_equals_that_of_each() -> None:
    some = GRID[::37]
    assert np.array_equal(formed(some), [formed((case,))[0] for case in some])


def efficiency(spec: DramSpec, tiles: int, tile: int = 1 << 17) -> float:
    """Share of the peak that four loads in flight reach, in successive quarters of the banks as chips load weights."""
    driver, banks = Driver(build_stack_server(spec, 1)), spec.banks_per_channel // 4

    def start(number: int) -> None:
        rows = -(-tile // (banks * spec.row_bytes))
        row = (0, 0, banks * (number % 4), banks, rows * (number // 4), spec.row_bytes, 0, tile)
        driver.enqueue(Timed(int(driver.state[0]), number, row))

    for number in range(4):
        start(number)
    while len(driver.completions) < tiles:
        before = len(driver.completions)
        driver.advance_to(int(driver.kind.next_event(driver.state)))
        for number in range(before + 4, min(len(driver.completions) + 4, tiles)):
            start(number)
    ends = [tick for tick, _, _ in driver.completions]
    begin, end = tiles // 8, tiles - 8
    return (end - begin) * tile * 1000 / spec.bandwidth_gb_per_s / (ends[end] - ends[begin])


RATES = {
    "data bus": {},
    "refreshed bus": {"refresh": "all_bank"},
    "activates": {"row_bytes": 1024, "bandwidth_gb_per_s": 94.0, "t_faw": 80, "queue_requests": 256},
    "row cycle": {"banks_per_channel": 4, "row_bytes": 1024, "bandwidth_gb_per_s": 188.0, "queue_requests": 256},
    "queue window": {"bandwidth_gb_per_s": 800.0},
    "short queue": {"queue_requests": 8, "bandwidth_gb_per_s": 94.0},
}  # fmt: skip


def channel(name: str) -> DramSpec:
    numbers: dict[str, Any] = {"bandwidth_gb_per_s": 46.875, "capacity_gb": 0.75, "model": "controller", **RATES[name]}
    return DramSpec(**numbers)


@pytest.mark.parametrize("name", RATES)
def test_the_rate_of_an_endless_stream_is_reached_within_1_percent_and_its_limit_named(name: str) -> None:
    spec = channel(name)
    rate = stream_rate(ChannelTimes.of(spec, 1), spec.banks_per_channel)
    size = 1 << 21
    longer, shorter = (simulated(spec, Streams(k * size, spec.banks_per_channel, spec.row_bytes, 1, False, False))
                       for k in (2, 1))  # fmt: skip
    assert float(rate.bytes_per_s) == pytest.approx(size * 1e12 / (longer - shorter), rel=0.01)
    assert float(rate.bytes_per_s) == pytest.approx(float(rate.share) * spec.bandwidth_gb_per_s * 1e9)
    expected = {"refreshed bus": "data bus", "short queue": "queue window"}.get(name, name)
    assert rate.limited_by == expected


@pytest.mark.parametrize("name", ["data bus", "refreshed bus", "activates", "row cycle", "short queue"])
def test_four_loads_in_flight_on_banks_of_their_own_reach_that_rate_within_4_percent(name: str) -> None:
    spec = channel(name)
    rate = stream_rate(ChannelTimes.of(spec, 1), spec.banks_per_channel)
    assert float(rate.share) == pytest.approx(efficiency(spec, 128), rel=0.04)


def test_where_the_queue_is_less_than_half_a_row_four_loads_reach_more_than_one_stream() -> None:
    spec = channel("queue window")
    share = float(stream_rate(ChannelTimes.of(spec, 1), spec.banks_per_channel).share)
    assert share < 0.8 * efficiency(spec, 128)


def test_refresh_is_the_limit_where_it_holds_the_bus_half_of_the_time() -> None:
    spec = DramSpec(refresh="all_bank", t_refi=700)
    rate = stream_rate(ChannelTimes.of(spec, 256), 16)
    assert rate.limited_by == "refresh" and 0.4 < float(rate.share) < 0.5


def test_streams_in_step_reach_the_rate_of_sharers_within_2_percent() -> None:
    """Four streams over the same 16 banks, in rows and in turns of a whole queue."""
    for bandwidth in (12.0, 46.875, 94.0, 188.0):
        spec = DramSpec(bandwidth_gb_per_s=bandwidth, capacity_gb=0.75, model="controller")
        rate = stream_rate(ChannelTimes.of(spec, 1), 16, sharers=4)
        longer, shorter = (simulated(spec, Streams(k << 18, 16, 8192, 4, True, False)) for k in (2, 1))
        assert float(rate.bytes_per_s) == pytest.approx(4 * (1 << 18) * 1e12 / (longer - shorter), rel=0.02)


def test_a_stream_that_nothing_holds_back_has_exactly_the_peak_rate() -> None:
    rate = stream_rate(ChannelTimes.of(DramSpec(), 256), np.array([4, 8, 16]))
    assert rate.share.tolist() == [1.0, 1.0, 1.0]
