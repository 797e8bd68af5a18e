"""Runs on chips with LUT units: engines, bounds, conservation, twin, choices and what the report says of tables."""

from __future__ import annotations

import numpy as np
import pytest

from cairn.base.errors import ConfigError, InfeasibleError
from cairn.sim.config.run_config import Engine, RunConfig, load
from cairn.sim.mapping.choices import choose_block, matmul_shape
from cairn.sim.mapping.sequence import whole_grid
from cairn.sim.record import RunRecord
from cairn.sim.report.console import print_report
from cairn.sim.report.result import Result
from cairn.sim.run import run_plan, simulate
from cairn.sim.twin.twin import Twin
from cairn.validation.suites.conservation.ledger import matrix_operations, plan_against_graph, trace_against_plan
from cairn.validation.suites.light.random_runs import random_run
from cairn.validation.suites.light.suite import random_rows
from cairn.workloads.build import build_graph
from cairn.workloads.graph import Operator, OpKind

LUT = ("chip.lut_unit.arrays=2", "chip.lut_unit.n=8")
PROMPT = ("workload.phase=prefill", "workload.batch=1", "workload.context=null", "workload.new_tokens=48")


def demo(*settings: str) -> RunConfig:
    return load("demo", ["model.layers=2", "engine.exact=true", *LUT, *settings])


def random_lut_runs(count: int) -> list[RunConfig]:
    """The first random runs with a LUT unit."""
    found = (config for config in (random_run(3, index) for index in range(10_000)) if config.chip.lut_unit)
    return [next(found) for _ in range(count)]


def done(config: RunConfig) -> RunRecord | None:
    try:
        return simulate(config)
    except InfeasibleError:
        return None


@pytest.fixture(scope="module")
def records() -> list[RunRecord]:
    return [record for record in map(done, random_lut_runs(24)) if record is not None]


def test_random_runs_conserve_bytes_and_operations(records: list[RunRecord]) -> None:
    assert sum("lut" in {queue.unit for queue in record.plan.queues} for record in records) == len(records) > 12
    for record in records:
        operations = matrix_operations(record)
        assert (operations.beyond >= 0).all() and operations.executed.sum() > 0
        for pair in (*trace_against_plan(record).values(), *plan_against_graph(record).values()):
            assert pair.difference == 0, record.name


def test_random_runs_agree_in_both_engines(records: list[RunRecord]) -> None:
    for record in records[:8]:
        trace = run_plan(record.plan, record.chip, Engine.REFERENCE)
        assert np.array_equal(trace.end, record.trace.end) and np.array_equal(trace.first, record.trace.first)


@pytest.mark.parametrize("config", random_lut_runs(24), ids=lambda config: config.name)
def test_random_runs_are_not_faster_than_light(config: RunConfig) -> None:
    for row in random_rows(config):
        assert row.prediction is not None
        if "transfers" in row.counts:
            assert row.prediction == 0
        elif row.counts:
            assert row.prediction >= row.reference


@pytest.mark.parametrize("settings", [(), PROMPT, ("mapping.precompute=separate", *PROMPT)])
def test_the_twin_counts_the_same_operations_and_bytes(settings: tuple[str, ...]) -> None:
    config = demo(*settings)
    result, table = Result(simulate(config)), Twin(config).evaluate({})
    assert table.matrix_ops[0] == pytest.approx(result.matrix_ops[0], rel=1e-9 if not settings else 5e-3)  # masks
    moved = float(result.bytes[["dram_read_bytes", "dram_write_bytes"]].sum().sum())
    assert table.dram_bytes[0] == pytest.approx(moved, rel=0.03)
    assert table.area_mm2[0] == pytest.approx(float(result.area["area_mm2"].sum()))
    assert table.latency_s[0] == pytest.approx(result.latency_s, rel=0.1)
    assert table.energy_j[0] == pytest.approx(result.energy_j, rel=0.1)


def test_the_twin_sweeps_the_shape_of_lut_units() -> None:
    """Shapes are looked at apart, and each gives what the run with that shape gives."""
    config, arrays = demo(*PROMPT), np.array([1, 2, 4])
    swept = Twin(config).evaluate({"chip.lut_unit.arrays": arrays}).latency_s
    alone = [Twin(demo(*PROMPT, f"chip.lut_unit.arrays={each}")).evaluate({}).latency_s[0] for each in arrays]
    assert swept.tolist() == alone and alone[0] > alone[2]


def test_the_report_says_what_tables_cost() -> None:
    fused, separate = (
        Result(simulate(demo(*PROMPT, f"mapping.precompute={how}"))).lut for how in ("fused", "separate")
    )
    assert fused is not None and separate is not None
    assert 0 < fused.precompute_s < separate.precompute_s
    assert 0 < fused.precompute_time_share < 1 and 0 < fused.precompute_energy_share < 1
    assert fused.operations == separate.operations and "28 nm to 7 nm" in fused.note
    assert Result(simulate(load("demo", ["model.layers=1"]))).lut is None


def test_energy_of_look_ups_stands_apart_and_adds_up() -> None:
    result = Result(simulate(demo(*PROMPT)))
    energy = result.energy
    dynamic = energy[(energy["component"] == "lut") & (energy["nature"] == "dynamic")]["energy_j"].sum()
    assert result.lut is not None
    assert dynamic == pytest.approx(result.lut.look_up_j + result.lut.accumulate_j + result.lut.precompute_j)
    assert result.as_dict()["lut"]["lookups"] == result.lut.lookups


def test_the_console_has_a_table_of_lut_units(capsys: pytest.CaptureFixture[str]) -> None:
    print_report(Result(simulate(demo())))
    text = capsys.readouterr().out
    assert "LUT units" in text and "precompute" in text and "of look-ups are" in text


def test_operators_of_weights_have_the_bound_of_their_planes() -> None:
    result = Result(simulate(demo()))
    table = result.operators.set_index("operator")
    assert set(result.bound_s) == {"matrix", "lut", "vector", "dram"}
    ops, lanes = float(table.loc["qkv", "matrix_ops"]), result.record.chip.lut_bit_ops_per_s
    assert table.loc["qkv", "lut_busy"] > 0 and table.loc["attention", "lut_busy"] == 0
    assert table.loc["qkv", "bound_us"] >= 2 * ops / lanes * 1e6 * (1 - 1e-9)  # two planes


def test_padding_of_odd_sizes_is_reported() -> None:
    waste = [Result(simulate(demo(f"chip.lut_unit.n={n}"))).lut for n in (8, 7)]
    assert waste[0] is not None and waste[1] is not None
    assert waste[1].padding_waste > waste[0].padding_waste


def test_tables_take_the_room_that_activations_took() -> None:
    """Held bits of an element of x: tables in place of it where they are fused, beside it where they are separate."""
    config = demo(*PROMPT)
    block = build_graph(config.model, config.workload, config.routing, config.seed).segments[1].block
    qkv = next(operator for operator in block.operators if operator.kind is OpKind.MATMUL)
    held = []
    for how in ("fused", "separate"):
        each = demo(*PROMPT, f"mapping.precompute={how}")
        tables = matmul_shape(block, qkv, each.mapping, each.chip).tables
        assert tables is not None
        held.append(tables.held_bits)
    assert held == [16, 24]


def test_tiles_are_long_along_columns_and_short_along_rows() -> None:
    """The split that costs least has each core do more columns than rows, and pays for no table it can do without."""
    config = load("llama-2-7b-prefill-a100", ["workload.new_tokens=512"])
    graph = build_graph(config.model, config.workload, config.routing, config.seed)
    block = next(segment.block for segment in graph.segments if segment.repeat > 1)
    products: dict[str, Operator] = {op.name: op for op in block.operators if op.kind is OpKind.MATMUL}
    chosen = choose_block(block, config.chip, whole_grid(config.chip, config.mapping), config.mapping)
    for name, mapping in chosen.items():
        shape = matmul_shape(block, products[name], config.mapping, config.chip)
        gm, gn, _ = mapping.split.sizes
        assert shape.n / gn > 2 * shape.m / gm / mapping.passes, name


def test_a_chip_without_matrix_units_refuses_a_model_with_attention() -> None:
    with pytest.raises(ConfigError, match=r"chip\.matrix_unit"):
        simulate(demo("chip.matrix_unit=null"))
