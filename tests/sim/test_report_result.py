"""The numbers of a result: bytes, operations, energy, limits and headline values."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import numpy as np
import pytest

from cairn.sim.plan import actions
from cairn.sim.plan.builder import PlanBuilder, Region, Slice, Tile
from cairn.sim.plan.plan import DRAM, SRAM
from cairn.sim.record import RunRecord
from cairn.sim.report.result import Result
from tests.sim.report_records import ADDRESS, HIDDEN, TOKENS, WIDE, small_chip, small_record, timed

LAYERS = 40
UP_BYTES = HIDDEN * WIDE * 2


@pytest.fixture(scope="module")
def result() -> Result:
    return Result(small_record())


def one_block(plan: PlanBuilder) -> RunRecord:
    """A record of what was written, as one block that stands for ten, without a repetition left out."""
    record, built = small_record(1, 10), plan.build()
    trace = timed(built, record.chip)
    return replace(
        record, plan=built, trace=trace, total_ps=trace.makespan, repetitions=(), block_weight=np.array([10]),
        block_name=("layer[0]",),
    )  # fmt: skip


def test_the_time_column_sums_to_the_latency(result: Result) -> None:
    assert result.operators["time_us"].sum() == pytest.approx(result.latency_s * 1e6, rel=1e-12)
    assert result.operators["time_share"].sum() == pytest.approx(1)
    assert int(result.steps.charged.sum()) == result.record.total_ps


def test_bytes_are_counted_by_direction_and_cause_and_repeats_are_multiplied(result: Result) -> None:
    up = result.operators.set_index("operator").loc["up"]
    assert up["repeat"] == LAYERS
    assert up["dram_read_bytes"] == LAYERS * UP_BYTES
    assert up["dram_read_reread_bytes"] == LAYERS * UP_BYTES // 4
    assert up["dram_read_unique_bytes"] == LAYERS * UP_BYTES * 3 // 4
    assert up["noc_bytes"] == LAYERS * 4 * 4096
    by_cause = result.bytes.set_index("cause")
    assert by_cause.loc["share", "noc_bytes"] == LAYERS * 4 * 4096
    assert by_cause["dram_read_bytes"].sum() == (2 * LAYERS + 1) * UP_BYTES
    assert (by_cause.to_numpy() >= 0).all()


def test_a_copy_over_dram_and_network_counts_once_with_each() -> None:
    chip = small_chip()
    plan = PlanBuilder(chip)
    op = plan.operator("op")
    data = Slice(plan.tensor("w"), (0, 1), (0, 500), 1000)
    plan.fetch(Region(DRAM, 0, data, ADDRESS), Region(SRAM, 3, data), 0, op)
    plan.copy(Region(SRAM, 3, data), Region(DRAM, 3, data, ADDRESS), op, cause="append")
    result = Result(one_block(plan))
    by_cause = result.bytes.set_index("cause")
    assert by_cause.loc["unique"].tolist() == [10_000, 0, 0]
    assert by_cause.loc["share"].tolist() == [0, 0, 10_000]
    assert by_cause.loc["append"].tolist() == [0, 10_000, 0]
    assert result._work.hop_bytes.sum() == 2 * 10_000  # core 0 to core 3 of a 2 x 2 mesh
    assert result._work.sram_bytes.sum() == (1 + 2 + 1) * 10_000


def test_operations_executed_are_those_that_the_plan_states_for_its_tiles() -> None:
    plan = PlanBuilder(small_chip())
    op = plan.operator("op")
    plan.compute(0, "matrix", Tile(op, actions.MATMUL, (0, 32), (0, 64), (0, 128)), 500, ops=2 * 32 * 64 * 128)
    plan.compute(0, "vector", Tile(op, actions.ELEMENTWISE, (0, 32), (0, 64)), 500, ops=7)
    row = Result(one_block(plan)).operators.iloc[0]
    assert row["matrix_ops"] == 10 * 2 * 32 * 64 * 128
    assert row["vector_ops"] == 10 * 7


def test_attention_moves_the_queries_of_all_heads_that_share_a_key() -> None:
    from cairn.workloads.graph import Attention, Request

    record = small_record(1, 10)
    segment = record.graph.segments[0]
    unit = record.chip.matrix_unit

    def moved(kv_heads: int) -> int:
        attention = Attention((Request(1, 9),), heads=8, kv_heads=kv_heads, head_dim=64, value_dim=32)
        operators = tuple(replace(op, attention=attention) for op in segment.block.operators)
        graph = replace(record.graph, segments=(replace(segment, block=replace(segment.block, operators=operators)),))
        plan = PlanBuilder(record.chip)
        plan.compute(0, "matrix", Tile(plan.operator("op"), actions.CONTEXT, (0, 4), (0, 10), (0, 32)), 50)
        return int(Result(replace(one_block(plan), graph=graph))._work.sram_bytes.sum())

    for kv_heads, rows in ((8, 4), (2, 16)):
        assert moved(kv_heads) == 10 * 2 * sum(unit.tile_traffic(rows, 32, 10))


def test_operations_executed_equal_those_required_when_tiles_cover_the_product_exactly(result: Result) -> None:
    table = result.operators
    assert table["matrix_ops"].tolist() == table["matrix_ops_required"].tolist()
    assert table.set_index("operator").loc["up", "matrix_ops"] == LAYERS * 2 * TOKENS * HIDDEN * WIDE


def test_the_span_is_that_of_one_instance_and_not_charged_time(result: Result) -> None:
    record = result.record
    mine = (record.plan.op == 2) & (record.plan.block == 1)
    span = record.trace.end[mine].max() - record.trace.start[mine].min()
    assert result.operators.set_index("operator").loc["down", "span_us"] == pytest.approx(span / 1e6)


def test_the_bound_is_the_slowest_of_operations_and_unique_bytes_at_peak_rate(result: Result) -> None:
    table = result.operators.set_index("operator")
    assert table.loc["norm", "bound"] == "vector"
    assert table.loc["up", "bound"] == "dram"
    assert table.loc["up", "bound_us"] == pytest.approx(LAYERS * UP_BYTES / result.peaks.dram_bytes_per_s * 1e6)
    assert table.loc["up", "efficiency"] == pytest.approx(table.loc["up", "bound_us"] / table.loc["up", "time_us"])
    assert 0 < result.efficiency <= 1


def test_the_limiting_resource_is_the_busiest_unit_class_or_latency() -> None:
    chip = small_chip()
    plan = PlanBuilder(chip)
    ops = [plan.operator(name) for name in ("a", "b", "c")]
    a = plan.compute(0, "vector", Tile(ops[0], actions.ELEMENTWISE, (0, 8), (0, 8)), 900)
    gap = plan.sync(int(a[0]), cycles=1000, op=ops[1])
    b = plan.compute(1, "matrix", Tile(ops[1], actions.MATMUL, (0, 8), (0, 8), (0, 8)), 400, gap)
    data = Slice(plan.tensor("w"), (0, 1), (0, 500), 100_000)
    plan.copy(Region(DRAM, 2, data, ADDRESS), Region(SRAM, 2, data), ops[2], b)
    table = Result(one_block(plan)).operators.iloc[:3]
    assert table["limiting"].tolist() == ["vector", "latency", "dram"]
    assert table.iloc[1]["matrix_busy"] == pytest.approx(401 / 1401, rel=1e-3)


def test_equally_busy_classes_are_told_apart_by_the_mean_over_their_units() -> None:
    plan = PlanBuilder(small_chip())
    op = plan.operator("op")
    work = Tile(op, actions.MATMUL, (0, 8), (0, 8), (0, 8))
    plan.compute(0, "matrix", work, 1000)
    plan.compute([0, 1, 2], "vector", work, 1000)
    row = Result(one_block(plan)).operators.iloc[0]
    assert row["matrix_busy"] == row["vector_busy"] == pytest.approx(1)
    assert row["limiting"] == "vector"


def test_energy_of_operators_and_components_agree_and_static_energy_follows_time(result: Result) -> None:
    table = result.operators
    assert table["energy_uj"].sum() * 1e-6 == pytest.approx(result.energy_j, rel=1e-9)
    assert result.energy["energy_j"].sum() == pytest.approx(result.power_w * result.latency_s)
    dram = result.energy.set_index(["component", "nature"]).loc[("dram", "dynamic"), "energy_j"]
    assert dram == pytest.approx((2 * LAYERS + 1) * UP_BYTES * result.record.chip.energy.dram_pj_per_byte * 1e-12)
    ratio = table["energy_static_uj"] / table["time_us"]
    assert np.allclose(ratio, ratio.iloc[0])


def test_power_density_over_the_limit_is_reported_with_the_clock_that_meets_it(result: Result) -> None:
    fine = result.power_density
    assert fine["within_limit"]
    assert fine["clock_within_limit_ghz"] == result.record.chip.clock_ghz
    strict = result.record.chip.model_copy(update={"power_limit_w_per_mm2": fine["w_per_mm2"] / 2})
    over = Result(replace(result.record, chip=strict)).power_density
    assert not over["within_limit"]
    assert over["clock_within_limit_ghz"] == pytest.approx(strict.clock_ghz / 2)


def test_the_unit_table_has_every_unit_of_the_chip(result: Result) -> None:
    units = result.units
    assert units.groupby("unit_class")["unit"].count().to_dict() == {"dram": 4, "matrix": 4, "noc": 4, "vector": 4}
    dram = units[units["unit_class"] == "dram"]
    assert dram["bytes"].sum() == (2 * LAYERS + 1) * UP_BYTES
    assert dram["utilisation"].between(0.9, 1).all()


def test_the_task_table_names_queues_tiles_and_causes_with_exact_times(result: Result) -> None:
    tasks = result.tasks
    assert len(tasks) == result.record.plan.n_tasks
    assert (tasks["end_ps"] == result.record.trace.end).all()
    matmul = tasks[tasks["action"] == "matmul"].iloc[0]
    assert (matmul["m0"], matmul["m1"], matmul["unit_class"], matmul["operator"]) == (0, TOKENS, "matrix", "layer/up")
    copy = tasks[(tasks["kind"] == "copy") & (tasks["unit_class"] == "dram")].iloc[0]
    assert (copy["cause"], copy["queue"], copy["m0"]) == ("reread", "core0.load", -1)


def test_the_summary_is_json_with_units_in_names_and_states_phase_latencies(result: Result) -> None:
    content = json.loads(result.to_json())
    assert content["schema"] == "cairn.result/1"
    assert content["latency_ps"] == result.record.total_ps
    assert content["tpot_s"] == content["latency_s"] and content["ttft_s"] is None
    assert content["tokens_per_s"] * content["time_per_token_s"] == pytest.approx(1)
    assert content["repetition"][0]["simulated"] == 3
    assert content["provenance"]["seed"] == 7
    assert sum(content["time_by_limiting_us"].values()) == pytest.approx(content["latency_s"] * 1e6)


def test_a_plan_without_tasks_has_a_result() -> None:
    record = small_record(1, 1)
    plan = PlanBuilder(record.chip).build()
    empty = replace(record, plan=plan, trace=timed(plan, record.chip), total_ps=0, repetitions=())
    summary = Result(empty).summary()
    assert (summary["latency_s"], summary["tokens_per_s"], summary["power_w"]) == (0, 0, 0)


def test_the_summary_of_a_large_run_takes_little_time() -> None:
    record = small_record(2, 40, tiles=64, rows=8, columns=8)
    assert record.plan.n_tasks > 40_000
    begin = time.process_time()
    Result(record).summary()
    assert time.process_time() - begin < 0.5
