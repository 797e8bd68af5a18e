"""The energy of a run whose DRAM is charged by command: counted by hand, over operators and terms, and by the twin."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from cairn.base.errors import CairnError, InfeasibleError
from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.dram.build import dram_counters
from cairn.hw_models.dram.spec import DramSpec
from cairn.sim.config.run_config import Engine, RunConfig, load
from cairn.sim.plan.builder import PlanBuilder, Region, Slice
from cairn.sim.plan.plan import DRAM, SRAM
from cairn.sim.record import RunRecord
from cairn.sim.report.console import print_report
from cairn.sim.report.dram_energy import touched_rows
from cairn.sim.report.result import Result
from cairn.sim.run import run_plan, simulate
from cairn.sim.twin.twin import Twin
from tests.sim.report_records import small_chip, small_record

ROW = 8192
BY_COMMAND = {"charged": "by_command", "interface": "tsv"}


def charged(record: RunRecord, charge: dict[str, Any] = BY_COMMAND, **dram: Any) -> RunRecord:
    """The record with another charge; what ran is the same."""
    content = record.chip.model_dump(by_alias=True)
    content["energy"]["dram"] |= charge
    content["dram"] |= dram
    return replace(record, chip=ChipSpec.model_validate(content))


@cache
def demo(model: str = "controller", refresh: str = "all_bank") -> RunRecord:
    return simulate(load("demo", [f"chip.dram.model={model}", f"chip.dram.refresh={refresh}"]))


def by_hand(engine: Engine = Engine.COMPILED) -> RunRecord:
    """Four whole rows read for operator 0 in channel 0, then 100 bytes of a fifth row written for operator 1; as one
    block that stands for ten."""
    chip = small_chip()
    plan = PlanBuilder(chip)
    first, second = plan.operator("first"), plan.operator("second")
    rows = Slice(plan.tensor("w"), (0, 1), (0, 16384), 4 * ROW)
    loaded = plan.copy(Region(DRAM, 0, rows, (0, 16, 0, ROW, 0)), Region(SRAM, 0, rows), first)
    part = Slice(plan.tensor("y"), (0, 1), (0, 50), 100)
    plan.copy(Region(SRAM, 0, part), Region(DRAM, 0, part, (5, 1, 7, ROW, 0)), second, loaded, "append")
    record, built = small_record(1, 10), plan.build()
    trace = run_plan(built, chip, engine)
    return replace(
        record, plan=built, trace=trace, total_ps=10 * trace.makespan, repetitions=(), block_weight=np.array([10]),
        block_name=("layer[0]",),
    )  # fmt: skip


@pytest.mark.parametrize("engine", Engine)
def test_a_run_counted_by_hand_costs_what_its_rows_bits_and_time_say(engine: Engine) -> None:
    record = by_hand(engine)
    result = Result(charged(record))
    assert result.activates is not None and result.dram_energy is not None
    assert (result.activates.counted, result.activates.rows) == (5, 5)
    assert result.operators["dram_activates"].tolist()[:2] == [40, 10]
    row, moved, seconds = ROW * 8, (4 * ROW * 8, 128 * 8), 10 * record.trace.makespan * 1e-12
    expected = {
        "activate": 50 * row * 0.11e-12, "cell": 10 * sum(moved) * 0.44e-12, "column": 10 * sum(moved) * 2.24e-12,
        "interface": 10 * sum(moved) * 0.5e-12, "refresh": 0.0,
        "standby": 3.0 / 1.073741824 * 1.2 * 0.055 * seconds,
    }  # fmt: skip
    assert dict(zip(result.dram_energy["term"], result.dram_energy["energy_j"], strict=True)) == pytest.approx(expected)
    table = result.operators
    assert table["energy_dram_uj"][0] == pytest.approx(10e6 * (4 * row * 0.11e-12 + moved[0] * 2.68e-12))
    assert table["energy_dram_uj"][1] == pytest.approx(10e6 * (row * 0.11e-12 + moved[1] * 2.68e-12))
    assert table["energy_tsv_uj"].tolist()[:2] == pytest.approx([10e6 * bits * 0.5e-12 for bits in moved])


@pytest.mark.parametrize("model", ["controller", "voxel_estimator"])
def test_operators_terms_and_components_sum_to_the_same_energy(model: str) -> None:
    result = Result(charged(demo(model)))
    terms = result.dram_energy
    assert terms is not None and result.activates is not None
    parts = terms.groupby(["component", "nature"])["energy_j"].sum()
    whole = result.energy.set_index(["component", "nature"])["energy_j"]
    for component, nature in (("dram", "dynamic"), ("tsv", "dynamic"), ("dram", "static")):
        assert parts[component, nature] == pytest.approx(whole[component, nature], rel=1e-12)
    table = result.operators
    assert table["energy_dram_uj"].sum() * 1e-6 == pytest.approx(whole["dram", "dynamic"], rel=1e-12)
    assert table["energy_tsv_uj"].sum() * 1e-6 == pytest.approx(whole["tsv", "dynamic"], rel=1e-12)
    assert table["energy_uj"].sum() * 1e-6 == pytest.approx(result.energy_j, rel=1e-12)
    assert table["dram_activates"].sum() == pytest.approx(result.activates.per_operator.sum(), rel=1e-12)
    assert terms["share"].sum() == pytest.approx(1)


def test_activates_of_the_whole_run_are_those_counted_and_those_of_blocks_left_out() -> None:
    """All blocks simulated: exactly those counted. A few simulated: as many as that, within a hundredth."""
    few, every = demo(), simulate(load("demo", ["chip.dram.model=controller", "chip.dram.refresh=all_bank",
                                                "engine.exact=true"]))  # fmt: skip
    counted = dram_counters(every.chip.dram, every.trace.states[every.plan.servers.index("dram")])["activates"].sum()
    exact, scaled = (Result(charged(record)).activates for record in (every, few))
    assert exact is not None and scaled is not None
    assert exact.per_operator.sum() == pytest.approx(counted, rel=1e-12)
    assert scaled.counted < 0.6 * counted
    assert scaled.per_operator.sum() == pytest.approx(counted, rel=0.01)


def test_refresh_and_standby_are_charged_by_time_and_refresh_as_often_as_channels_count_it() -> None:
    record = demo()
    terms = Result(charged(record, {**BY_COMMAND, "refresh_pj_per_row_bit": 1.0, "standby_w_per_gb": 2.0})).dram_energy
    assert terms is not None
    energy = terms.set_index("term")["energy_j"]
    assert energy["standby"] == pytest.approx(2.0 * 1.0 * record.total_ps * 1e-12)
    counted = dram_counters(record.chip.dram, record.trace.states[record.plan.servers.index("dram")])["refreshes"].sum()
    each = 8e9 / 16 / 8192 * 1e-12  # 1 pJ for every bit of the rows that one refresh of one of 16 channels restores
    simulated = energy["refresh"] * record.trace.makespan / record.total_ps
    assert counted * each == pytest.approx(simulated, abs=2 * 16 * each)  # the last one of a channel may not have begun
    still = Result(charged(demo(refresh="none"))).dram_energy
    assert still is not None and still.set_index("term")["energy_j"]["refresh"] == 0


def test_a_run_charged_per_byte_has_no_terms_and_pays_for_its_bytes_and_capacity() -> None:
    result = Result(demo())
    assert result.dram_energy is None and result.activates is None and result.dram_area.empty
    energy, moved = result.energy.set_index(["component", "nature"])["energy_j"], result.summary()["dram_bytes"]
    assert energy["dram", "dynamic"] == pytest.approx(7e-12 * moved, rel=1e-12)
    assert energy["tsv", "dynamic"] == pytest.approx(0.6e-12 * moved, rel=1e-12)
    assert energy["dram", "static"] == pytest.approx(0.125 * result.latency_s, rel=1e-12)
    assert "dram_activates" not in result.operators.columns
    assert result.as_dict()["dram_energy"] is None


def test_the_interface_decides_what_a_bit_costs() -> None:
    totals = {}
    for interface in ("hybrid_bond", "tsv", "interposer"):
        terms = Result(charged(demo(), {"charged": "by_command", "interface": interface})).dram_energy
        assert terms is not None
        totals[interface] = float(terms["pj_per_bit"][:4].sum())
    assert 0.88 < totals["hybrid_bond"] < 0.91 and 3.59 < totals["interposer"] < 3.62
    assert totals["interposer"] - totals["tsv"] == pytest.approx(0.3)


@settings(deadline=None)
@given(
    banks=st.integers(1, 7), stripe=st.sampled_from([64, 128, 256, 1024]), offset=st.integers(0, 9000),
    size=st.integers(1, 9000),
)  # fmt: skip
def test_touched_rows_are_those_that_the_bytes_lie_in(banks: int, stripe: int, offset: int, size: int) -> None:
    """Byte by byte, as the docstring of STACK_SERVER places them."""
    spec = DramSpec(row_bytes=1024, burst_bytes=64, model="controller")
    byte = np.arange(offset, offset + size)
    share = byte // stripe // banks * stripe + byte % stripe
    places = set(zip((byte // stripe % banks).tolist(), (share // 1024).tolist(), strict=True))
    other = [0, 0, 0, 3, 0, 128, 77, 4000]
    requests = np.array([[0, 2, 3, banks, 5, stripe, offset, size], other])
    assert touched_rows(spec, requests)[0] == len(places)
    estimator = DramSpec(row_bytes=1024, burst_bytes=64, model="voxel_estimator")
    assert touched_rows(estimator, requests).tolist() == [-(-size // stripe), 32]


def test_a_record_without_counters_is_refused_and_one_without_dram_opens_nothing() -> None:
    record = small_record(1, 10)
    with pytest.raises(CairnError, match="by_command needs counters of the DRAM; this run has none"):
        Result(charged(record)).summary()
    idle = PlanBuilder(record.chip).build()
    empty = replace(record, plan=idle, trace=run_plan(idle, record.chip), total_ps=0, repetitions=())
    content = json.loads(Result(charged(empty)).to_json())["dram_energy"]
    assert (content["activates"], content["energy_j"], content["pj_per_bit"]) == (0, 0, None)


def test_the_report_and_the_result_file_tell_terms_and_dies() -> None:
    result = Result(charged(demo()))
    console = Console(width=100, highlight=False, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    print_report(result, console)
    console.file.close()
    text = console.export_text()
    dies = "DRAM, each of 8 dies: 10.7 mm2 (bank 7.9, periphery 2.6, via 0.2)"
    for wanted in ("DRAM by command", "activate", "column", "standby", dies):
        assert wanted in text
    assert "…" not in text and max(len(line.rstrip()) for line in text.splitlines()) <= 100
    content = json.loads(result.to_json())
    assert [row["term"] for row in content["dram_energy"]["terms"]][-1] == "standby"
    assert content["dram_energy"]["activates_simulated"] < content["dram_energy"]["activates"]
    assert [row["part"] for row in content["dram_area"]] == ["bank", "periphery", "via"]
    assert sum(row["area_mm2"] for row in content["area"]) == pytest.approx(content["area_mm2"])


def twin_config(**charge: Any) -> RunConfig:
    return load("demo", [f"chip.energy.dram.{name}={value}" for name, value in charge.items()])


def test_the_twin_opens_a_row_for_its_length_of_bytes_and_is_near_the_simulator() -> None:
    config = twin_config(**BY_COMMAND)
    twin = Twin(config).evaluate({})
    result = Result(simulate(config))
    assert twin.energy_j[0] == pytest.approx(result.energy_j, rel=0.01)
    columns = {"chip.energy.dram.activate_pj_per_row_bit": np.array([0.0, 0.11, 0.22])}
    dearer = Twin(config).evaluate(columns).energy_j
    assert dearer[1] == pytest.approx(twin.energy_j[0], rel=1e-12)
    assert np.diff(dearer) == pytest.approx(8 * twin.dram_bytes[0] * 0.11e-12, rel=1e-9)
    assert result.activates is not None
    rows = twin.dram_bytes[0] / config.chip.dram.row_bytes
    assert rows == pytest.approx(result.activates.per_operator.sum(), rel=0.05)


def test_the_twin_looks_at_interfaces_and_refuses_the_dram_dies_that_the_simulator_refuses() -> None:
    config = twin_config(interface="hybrid_bond")
    columns = {
        "chip.energy.dram.charged": np.array(["per_byte", "by_command", "by_command"], dtype=object),
        "chip.energy.dram.interface": np.array(["hybrid_bond", "hybrid_bond", "tsv"], dtype=object),
    }
    energy = Twin(config).evaluate(columns).energy_j
    assert energy[1] < energy[0] < energy[2]
    limited = load("demo", ["chip.energy.dram.interface=hybrid_bond", "chip.area.dram.within_die_limit=true",
                            "chip.die_limit_mm2=8"])  # fmt: skip
    table = Twin(limited).evaluate({"chip.area.dram.dies": np.array([8, 16])})
    assert table.runs.tolist() == [False, True]
    assert table.dram_die_mm2[0] > table.die_limit_mm2[0] == 8 and table.dram_die_mm2[1] < 8
    with pytest.raises(InfeasibleError, match=r"area of a DRAM die: needs 10\.5"):
        simulate(limited)
