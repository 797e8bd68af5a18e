"""Closed forms of a DRAM channel against its cycle model, and against what no channel can beat."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from cairn.base.errors import ConfigError
from cairn.base.streams import stream as random_stream
from cairn.hw_models.dram.closed_form import bank_round, one_bank, random_reads, stream
from cairn.hw_models.dram.closed_patterns import WITHOUT_FORM, pattern_form
from cairn.hw_models.dram.closed_ticks import ChannelTicks, Walk
from cairn.hw_models.dram.control.build import ControllerSpec
from cairn.hw_models.dram.control.layout import CAUSES
from cairn.hw_models.dram.device import Device, device
from cairn.hw_models.dram.mapping import ORDERS, AddressMap
from cairn.hw_models.dram.request_list import PATTERNS, pattern
from cairn.hw_models.dram.simulate import simulate_channel
from cairn.hw_models.dram.standard import presets

LIMITS = {"stream_rd": 0.02, "stream_wr": 0.02, "conflict1": 0.025, "random_rd": 0.04, "bank_rr": 0.04}
HALF_TICK_LIMIT = 0.04
"""Streams of HBM3 and HBM4, where the queue hides only a part of a row's opening."""


def cycles_of(part: Device, name: str, count: int, controller: ControllerSpec) -> int:
    return simulate_channel(part, controller, pattern(name, count, AddressMap.named(part, "bank_group_first"))).cycles


def form_of(part: Device, name: str, count: int, controller: ControllerSpec) -> float:
    walk = Walk.of(AddressMap.named(part, "bank_group_first"))
    form = pattern_form(name, ChannelTicks.of(part, controller), count, walk)
    assert form is not None
    return float(form.cycles)


def limit_of(part: Device, name: str) -> float:
    half = part.ticks_per_clock == 2 and name.startswith("stream")
    return HALF_TICK_LIMIT if half else LIMITS[name]


@pytest.mark.parametrize("refresh", ["none", "all_bank"])
@pytest.mark.parametrize("queues", [(32, 32), (128, 64)])
@pytest.mark.parametrize("preset", sorted(presets()))
def test_forms_agree_with_the_cycle_model_on_every_preset(preset: str, queues: tuple[int, int], refresh: str) -> None:
    part = device(preset)
    controller = ControllerSpec.model_validate({"refresh": refresh, "read_queue": queues[0], "write_queue": queues[1]})
    for name in LIMITS:
        measured, form = cycles_of(part, name, 10_000, controller), form_of(part, name, 10_000, controller)
        assert form == pytest.approx(measured, rel=limit_of(part, name)), name


@pytest.mark.parametrize("preset", ["DDR4_2400R", "HBM3_6400", "HBM4_8000"])
def test_long_streams_agree_as_well(preset: str) -> None:
    part, controller = device(preset), ControllerSpec()
    for name in ("stream_rd", "random_rd"):
        measured, form = cycles_of(part, name, 100_000, controller), form_of(part, name, 100_000, controller)
        assert form == pytest.approx(measured, rel=limit_of(part, name)), name


def overridden(base: Device, count: int) -> Iterator[tuple[Device, ControllerSpec, int]]:
    """Devices whose rows open and close in other times, behind queues of other depths."""
    draw = random_stream(5, "closed form", base.name)
    for _ in range(count):
        rows = [name for name in base.clocks if name in ("nRP", "nRCD", "nRCDRD", "nRCDWR", "nRTP", "nRTPL")]
        clocks = {name: int(draw.integers(max(2, base.clocks[name] // 2), 2 * base.clocks[name])) for name in rows}
        opened = max(clocks[name] for name in rows if name.startswith("nRCD")) + int(draw.integers(2, 20))
        part = base.changed(**clocks, nRAS=opened, nRC=opened + clocks["nRP"])
        refresh = "all_bank" if draw.integers(2) else "none"
        queue = int(draw.choice([8, 16, 32, 64]))
        controller = ControllerSpec.model_validate({"refresh": refresh, "read_queue": queue})
        yield part, controller, int(draw.integers(3000, 9000))


@pytest.mark.parametrize("preset", ["DDR3_1600K", "DDR4_2400R", "DDR5_4800BN", "GDDR6_14000", "HBM2_2000", "HBM3_6400"])
def test_streams_and_one_bank_follow_any_timings_and_any_queue(preset: str) -> None:
    for part, controller, count in overridden(device(preset), 8):
        for name in ("stream_rd", "conflict1"):
            measured, form = cycles_of(part, name, count, controller), form_of(part, name, count, controller)
            assert form == pytest.approx(measured, rel=0.02), (name, part.clocks, controller)


def test_a_deeper_queue_hides_more_of_a_row_switch_until_all_is_hidden() -> None:
    part, walk = device("HBM4_8000"), Walk.of(AddressMap.named(device("HBM4_8000"), "bank_group_first"))
    ticks = [ChannelTicks.of(part, ControllerSpec(read_queue=queue, refresh="none")) for queue in (8, 16, 32, 64, 128)]
    cycles = stream(ChannelTicks.stack(ticks), 50_000, walk).cycles
    assert np.all(np.diff(cycles) <= 0)
    assert cycles[0] > 1.5 * cycles[-1]
    assert cycles[-1] == pytest.approx(50_000 * part.burst_ticks / part.organisation.pc, rel=0.01)


def test_arrays_of_devices_lengths_and_kinds_give_what_scalars_give() -> None:
    parts = [device(name) for name in ("DDR4_2400R", "HBM2_2000", "HBM3_6400", "LPDDR5_6400")]
    each = [ChannelTicks.of(part) for part in parts]
    all_at_once = ChannelTicks.stack(each)
    walks = [Walk.of(AddressMap.named(part, "bank_group_first")) for part in parts]
    walk = Walk(*(np.array([getattr(one, name) for one in walks]) for name in Walk.__dataclass_fields__))
    counts = np.array([[1], [1000], [50_000]])
    for write in (False, True):
        together = stream(all_at_once, counts, walk, write=write)
        for column, (ticks, one) in enumerate(zip(each, walks, strict=True)):
            for row, count in enumerate(counts[:, 0]):
                alone = stream(ticks, count, one, write=write)
                assert float(alone.cycles) == pytest.approx(together.cycles[row, column], rel=1e-12)
                assert str(alone.limited_by) == together.limited_by[row, column]
    random, conflicts = random_reads(all_at_once, counts), one_bank(all_at_once, counts)
    for column, ticks in enumerate(each):
        alone = random_reads(ticks, counts[:, 0])
        assert alone.cycles == pytest.approx(random.cycles[:, column], rel=1e-9)
        assert one_bank(ticks, counts[:, 0]).cycles == pytest.approx(conflicts.cycles[:, column], rel=1e-12)


@pytest.mark.parametrize("mapping", sorted(ORDERS))
@pytest.mark.parametrize("preset", sorted(presets()))
def test_no_form_is_faster_than_the_data_bus_or_the_row_cycle(preset: str, mapping: str) -> None:
    part = device(preset)
    ticks, walk = ChannelTicks.of(part), Walk.of(AddressMap.named(part, mapping))
    counts = np.array([1, 10, 1000, 30_000])
    for name in PATTERNS:
        form = pattern_form(name, ticks, counts, walk)
        if form is None:
            assert name in WITHOUT_FORM or walk.same_banks or walk.turn_pseudo or walk.turn_groups
            continue
        assert np.all(form.cycles >= counts * part.burst_ticks / part.organisation.pc), name
        assert np.all(np.diff(form.cycles) > 0), name
        assert set(form.limited_by.tolist()) <= set(CAUSES)
    assert np.all(one_bank(ticks, counts).cycles >= (counts - 1) * ticks.row_cycle)


@pytest.mark.parametrize(
    ("preset", "name", "cause"),
    [
        ("DDR4_2400R", "stream_rd", "data_bus"),
        ("HBM4_8000", "stream_rd", "queue"),
        ("DDR4_2400R", "random_rd", "activate_spacing"),
        ("HBM2_2000", "random_rd", "row_bus"),
        ("DDR5_3200AN", "bank_rr", "command_bus"),
        ("DDR4_2400R", "conflict1", "row_cycle"),
        ("DDR4_2400R", "bank_rr_onebg", "row_cycle"),
        ("GDDR6_14000", "mix21_stream", "turnaround"),
    ],
)
def test_a_form_names_what_binds(preset: str, name: str, cause: str) -> None:
    part = device(preset)
    walk = Walk.of(AddressMap.named(part, "bank_group_first"))
    form = pattern_form(name, ChannelTicks.of(part), 10_000, walk)
    assert form is not None
    assert str(form.limited_by) == cause


def test_columns_of_one_bank_group_are_spaced_as_its_rule_says() -> None:
    part, controller = device("DDR4_2400R"), ControllerSpec(refresh="none")
    form = stream(ChannelTicks.of(part, controller), 10_000, Walk(1, 1, 1, 1, 128))
    assert str(form.limited_by) == "column_spacing"
    assert float(form.cycles) >= 10_000 * part.clocks["nCCDL"]


def test_requests_that_come_seldom_take_as_long_as_they_come() -> None:
    part = device("DDR4_2400R")
    form = random_reads(ChannelTicks.of(part), 2000, interval=400)
    assert str(form.limited_by) == "no_demand"
    assert float(form.cycles) == 1 + 1999 * 400 + part.clocks["nRP"] + part.clocks["nRCD"] + part.read_ticks


def test_two_ranks_activate_independently() -> None:
    one, two = device("DDR4_2400R"), device("DDR4_2400R", rk=2)
    controller = ControllerSpec(refresh="none")
    rounds = [float(bank_round(ticks, 20_000, Walk.all_banks(ticks)).cycles)
              for ticks in (ChannelTicks.of(part, controller) for part in (one, two))]  # fmt: skip
    assert rounds[0] > 1.5 * rounds[1]
    assert rounds[1] == pytest.approx(cycles_of(two, "bank_rr", 20_000, controller), rel=0.04)


def test_refreshes_of_single_banks_have_no_form() -> None:
    with pytest.raises(ConfigError, match="refresh: closed forms know refreshes of all banks, or none"):
        ChannelTicks.of(device("LPDDR5_6400"), ControllerSpec(refresh="per_bank"))


def test_an_unknown_pattern_is_named_with_those_there_are() -> None:
    part = device("DDR4_2400R")
    with pytest.raises(ConfigError, match="there is no pattern 'zigzag'; there are stream_rd, stream_wr"):
        pattern_form("zigzag", ChannelTicks.of(part), 10, Walk.of(AddressMap.named(part, "bank_first")))
