"""The stack as parameters: what follows from it, what bounds it, temperature, round trips, and the shipped stacks."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from pydantic import ValidationError

from cairn.base.errors import ConfigError
from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.dram.effective import core_mm2, effective_bandwidth
from cairn.hw_models.dram.geometry import DERIVED, bitline_scale
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.dram.stack.server import build_stack_server
from cairn.sim.config.problems import validate
from cairn.sim.config.resolve import CHIP, load_document, shipped
from cairn.sim.config.run_config import RunConfig, load, resolved, run_hash
from cairn.sim.run import simulate
from cairn.sim.twin.twin import laid_over
from cairn.validation.suites.conservation.ledger import trace_against_plan
from cairn.validation.suites.light.bounds import transfers_too_fast

from .server_contract import Driver, Timed

STACK = {
    "layers": 8, "banks_per_core_and_layer": 1, "bank_mib": 16, "row_bytes": 2048, "transaction_bytes": 32,
    "bus_bits": 64, "wire_gbit_per_s": 1.0, "sram_write_share": None,
}  # fmt: skip
"""8 GB/s for each connected layer over each core; a row of a layer takes 256 ns."""
STACKED = tuple(name for name in shipped(CHIP) if validate(load_document(name, CHIP), ChipSpec).dram.stack is not None)
ON_DEMO = ("model.layers=2", "workload.batch=1", "workload.context=64")


def chip(cores: int = 1, dram: dict[str, Any] | None = None, **stack: Any) -> ChipSpec:
    content = {"clock_ghz": 1.0, "model": "controller", "queue_requests": 64, **(dram or {})}
    content["stack"] = {**STACK, **stack}
    return ChipSpec.model_validate(
        {"name": "x", "source": "assumed: test", "cores": {"rows": 1, "columns": cores}, "dram": content}
    )


def test_connected_layers_are_one_wide_channel_and_the_others_are_further_banks() -> None:
    spec = chip(cores=4, connected_layers=2, banks_per_core_and_layer=3, cores_per_bus=2).dram
    assert spec.channels == 2
    assert spec.banks_per_channel == 8 * 3 * 2 // 2
    assert (spec.row_bytes, spec.burst_bytes) == (2 * 2048, 2 * 32)
    assert spec.bandwidth_gb_per_s == 2 * 2 * 8.0
    assert spec.capacity_gb * 1e9 == 4 * 8 * 3 * 16 * 2**20
    assert spec.slot_ticks(2) == 4000


def test_several_cores_may_share_a_bank_of_a_layer() -> None:
    spec = chip(cores=32, banks_per_core_and_layer=0.0625, cores_per_bus=16, connected_layers=1).dram
    assert (spec.channels, spec.banks_per_channel) == (2, 8)


def test_all_layers_are_connected_unless_fewer_are_stated() -> None:
    assert chip().dram.burst_bytes == 8 * 32
    assert chip().dram.bandwidth_gb_per_s == 64.0


def read_gb_per_s(spec: DramSpec, rows: int = 128) -> float:
    """What one long read of whole rows, all banks in turn, reaches on a channel with a controller."""
    driver = Driver(build_stack_server(spec, 1, 4))
    size = rows * spec.row_bytes
    driver.enqueue(Timed(0, 0, (0, 0, 0, spec.banks_per_channel, 0, spec.row_bytes, 0, size)))
    driver.drain(leap=False)
    return size / max(tick for tick, _, _ in driver.completions) * 1000


@pytest.mark.parametrize("connected", [1, 2, 4, 8])
def test_the_recharge_of_banks_hides_while_half_of_the_layers_at_most_are_connected(connected: int) -> None:
    """ds.model.conn_eff: 1 up to a half; with all connected, row_read / (row_read + recharge)."""
    spec = chip(connected_layers=connected).dram
    recharge = spec.t_rcd + spec.t_rtp + spec.t_rp - 4
    expected = 1.0 if connected <= 4 else 256 / (256 + recharge)
    assert read_gb_per_s(spec) / spec.bandwidth_gb_per_s == pytest.approx(expected, rel=0.002)


@pytest.mark.parametrize("connected", [5, 6, 7])
def test_between_half_and_all_of_the_layers_it_falls(connected: int) -> None:
    spec = chip(connected_layers=connected, dram={"turn_bytes": 2048 * connected}).dram
    assert 0.8 < read_gb_per_s(spec) / spec.bandwidth_gb_per_s < 0.9


@pytest.mark.parametrize("refresh", ["none", "all_bank"])
@pytest.mark.parametrize("stack", [{}, {"connected_layers": 4}, {"connected_layers": 1}, {"row_bytes": 256}])
def test_the_closed_form_meets_the_channel_within_two_percent(stack: dict[str, Any], refresh: str) -> None:
    spec = chip(dram={"refresh": refresh}, **stack)
    assert effective_bandwidth(spec).gb_per_s == pytest.approx(read_gb_per_s(spec.dram, 2048), rel=0.02)


def test_rows_that_open_too_seldom_are_named() -> None:
    found = effective_bandwidth(chip(connected_layers=2, row_bytes=64, dram={"t_faw": 80}))
    assert found.limited_by == "activate_spacing"
    assert found.gb_per_s == pytest.approx(2 * 64 / 20)
    assert effective_bandwidth(chip()).limited_by == "row_cycle"


def test_buffers_bound_the_rate_by_littles_law() -> None:
    """ds.model.little: bytes under way over the round trip, 18 + 14 + 4 + 5 ns."""
    spec = chip(cores=2, buffer_kib=1)
    assert spec.dram.stack is not None
    assert spec.dram.stack.round_trip_ns(spec.dram.t_cl, 1.0) == pytest.approx(41)
    assert spec.dram_terms.limited_by == "buffer"
    assert spec.dram.bandwidth_gb_per_s == pytest.approx(2 * 1024 / 41)
    assert chip(cores=2, buffer_kib=8).dram_terms.limited_by == "wires"


def test_ports_of_the_sram_bound_the_rate_by_their_share() -> None:
    """ds.model.l1: 64 bytes a cycle of 1.6 GHz, half of it for what comes from DRAM."""
    spec = chip(cores=2, sram_write_share=0.5, wire_gbit_per_s=2.0)
    assert spec.dram_terms.limited_by == "sram"
    assert spec.dram.bandwidth_gb_per_s == pytest.approx(2 * 64 * 1.6 / 2)


def test_short_bit_lines_are_quicker_as_published() -> None:
    """TL-DRAM (HPCA 2013): t_rcd 8.2 ns with 32 cells on a bit line, 15 with 512 (as public course notes quote it)."""
    assert bitline_scale("t_rcd", 32) == pytest.approx(8.2 / 15, abs=0.07)
    assert all(bitline_scale(name, 512) == pytest.approx(1) for name in ("t_rcd", "t_rp", "t_ras", "t_wr"))
    short, long = chip(bitline_cells=128).dram, chip(bitline_cells=1024).dram
    assert (long.t_rcd, long.t_ras) == (math.ceil(18 * bitline_scale("t_rcd", 1024)), 45 - 1)
    for name in ("t_rcd", "t_rp", "t_ras", "t_wr"):
        assert getattr(short, name) < getattr(chip().dram, name) < getattr(long, name)


def test_timings_are_rounded_up_to_cycles_and_follow_the_clock() -> None:
    assert chip(t_rcd_ns=8.75, dram={"clock_ghz": 1.6}).dram.t_rcd == 14
    assert chip(t_rcd_ns=8.76, dram={"clock_ghz": 1.6}).dram.t_rcd == 15


def test_above_85_degrees_refreshes_come_twice_as_often() -> None:
    cool, hot = (DramSpec(temperature_c=t, refresh="all_bank", hot_derating_ns=1.875) for t in (85, 85.5))
    assert (cool.t_refi, hot.t_refi) == (12480, 6240)
    assert (cool.t_rcd, hot.t_rcd, hot.t_ras, hot.t_rrd, hot.t_wr) == (14, 17, 37, 7, 16)
    assert DramSpec.model_validate(hot.model_dump()) == hot
    assert hot.model_dump()["t_refi"] == 12480
    stacked = chip(dram={"temperature_c": 90, "hot_derating_ns": 2})
    assert stacked.dram.t_rcd == 20
    assert ChipSpec.model_validate(stacked.model_dump(by_alias=True)) == stacked


def test_heat_costs_bandwidth() -> None:
    cool, hot = (chip(connected_layers=4, dram={"refresh": "all_bank", "temperature_c": t}) for t in (40, 90))
    assert effective_bandwidth(hot).refresh == pytest.approx(2 * effective_bandwidth(cool).refresh)
    assert read_gb_per_s(hot.dram, 2048) < 0.98 * read_gb_per_s(cool.dram, 2048)


@pytest.mark.parametrize(
    ("cores", "dram", "stack", "rule"),
    [
        (1, {}, {"connected_layers": 9}, r"connected_layers \(9\) must not exceed layers \(8\)"),
        (1, {}, {"layers": 0}, "greater than or equal to 1"),
        (1, {}, {"bus_bits": 0}, "greater than or equal to 1"),
        (1, {}, {"bank_mib": 0}, "greater than 0"),
        (1, {}, {"row_bytes": 100}, r"row_bytes \(100\) must be a multiple of transaction_bytes \(32\)"),
        (1, {}, {"banks_per_core_and_layer": 0.3}, r"\(8 x 0.3 x 1\) must be whole: the banks of a channel"),
        (1, {}, {"banks_per_core_and_layer": 0.5}, r"connected_layers \(8\) must not exceed the banks .* \(4\)"),
        (1, {}, {"bank_mib": 0.001}, r"bank_mib \(0.001\) holds less than a row of 2048 bytes"),
        (4, {}, {"cores_per_bus": 3}, r"cores \(4\) must be a multiple of dram.stack.cores_per_bus \(3\)"),
        (1, {"bandwidth_gb_per_s": 5}, {}, "dram.stack and dram.bandwidth_gb_per_s are both given"),
        (1, {"t_rcd": 5, "channels": 2}, {}, "dram.stack and dram.channels and dram.t_rcd are both given"),
        (1, {"turn_bytes": 64}, {}, "turn_bytes 64 is smaller than burst_bytes 256"),
        (1, {"temperature_c": 100}, {}, "less than or equal to 95"),
    ],
)
def test_what_does_not_fit_is_refused(cores: int, dram: dict[str, Any], stack: dict[str, Any], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        chip(cores, dram, **stack)


def test_null_takes_back_what_a_base_states() -> None:
    nulls = dict.fromkeys(DERIVED)
    assert chip(dram=nulls).dram == chip().dram
    with pytest.raises(ValidationError, match="bandwidth_gb_per_s"):
        DramSpec.model_validate({"bandwidth_gb_per_s": None})


def test_a_chip_without_a_stack_is_written_as_before() -> None:
    assert run_hash(load("demo")) == run_hash(load("demo", ["chip.dram.stack=null", "chip.dram.temperature_c=null"]))
    assert not {"stack", "temperature_c", "hot_derating_ns"} & resolved(load("demo"))["chip"]["dram"].keys()


@pytest.mark.parametrize("name", STACKED)
def test_a_resolved_run_with_a_stack_is_read_back_and_may_be_changed(name: str) -> None:
    config = load("demo", [f"chip={name}", *ON_DEMO])
    content = json.loads(json.dumps(resolved(config)))
    assert RunConfig.model_validate(content) == config
    assert not set(DERIVED) & content["chip"]["dram"].keys()
    half = config.chip.cores.rows // 2
    changed = laid_over(config, {"chip.dram.stack.layers": 16, "chip.cores.rows": half})
    before, after = config.chip.dram, changed.chip.dram
    assert after.bandwidth_gb_per_s == pytest.approx(before.bandwidth_gb_per_s / 2)
    assert before.stack is not None
    assert after.capacity_gb == pytest.approx(before.capacity_gb * 16 / before.stack.layers / 2)
    assert laid_over(changed, {"chip.dram.stack.layers": before.stack.layers, "chip.cores.rows": 2 * half}) == config


def test_a_chip_that_states_its_dram_takes_no_layer_of_a_stack() -> None:
    with pytest.raises(ConfigError, match="stack"):
        laid_over(load("demo"), {"chip.dram.stack.layers": 2})


@pytest.mark.parametrize("name", STACKED)
def test_a_shipped_stack_runs_with_controllers(name: str) -> None:
    config = load("demo", [f"chip={name}", *ON_DEMO])
    assert config.chip.dram.model == "controller"
    record = simulate(config)
    pairs = trace_against_plan(record)
    assert {key: pair.difference for key, pair in pairs.items()} == dict.fromkeys(pairs, 0)
    assert transfers_too_fast(record) == 0


def test_five_stacks_are_shipped_and_the_released_voxel_is_the_same_either_way() -> None:
    assert set(STACKED) >= {"hbm3-cube", "hybrid-bonded", "wide-tsv", "voxel-paper-stack", "voxel-code-stack"}
    flat, stacked = (validate(load_document(name, CHIP), ChipSpec) for name in ("voxel-code", "voxel-code-stack"))
    same = [name for name in DramSpec.model_fields if name not in ("stack", "model", "channels")]
    assert {n: getattr(stacked.dram, n) for n in same} == {n: getattr(flat.dram, n) for n in same}
    assert stacked.channels == flat.channels


@pytest.mark.parametrize(
    ("name", "gb_per_s", "gb"),
    [("hbm3-cube", 819.2, 16 * 1.024**3), ("wide-tsv", 4 * 665.6, 16 * 1.024**3),
     ("hybrid-bonded", 6144, 48 * 1.024**3), ("voxel-paper-stack", 12000, 192)],
)  # fmt: skip
def test_shipped_stacks_have_the_published_rate_and_capacity(name: str, gb_per_s: float, gb: float) -> None:
    spec = validate(load_document(name, CHIP), ChipSpec)
    assert spec.dram.bandwidth_gb_per_s == pytest.approx(gb_per_s)
    assert spec.dram.capacity_gb == pytest.approx(gb)


def test_wires_of_every_connected_layer_take_room_from_a_core() -> None:
    few, many = chip(connected_layers=1, interface="tsv"), chip(connected_layers=8, interface="tsv")
    assert core_mm2(many) - core_mm2(few) == pytest.approx(56 / 200)  # 7 x 8 GB/s, 800 vias a mm2 of 2 Gb/s
