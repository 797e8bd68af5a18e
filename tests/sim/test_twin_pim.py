"""The analytical twin of steps in which PIM units work: time, energy and bytes against the simulator."""

from __future__ import annotations

import numpy as np
import pytest

from cairn.sim.config.run_config import RunConfig, load
from cairn.sim.report.result import Result
from cairn.sim.report.work import count_work
from cairn.sim.run import simulate
from cairn.sim.twin.twin import Twin

CHIPS = ("hbm3-cube-bank-pim", "hbm3-cube-logic-pim")


def step(chip: str, rule: str, *others: str) -> RunConfig:
    settings = (f"chip={chip}", f"mapping.pim={rule}", "model.layers=1", "workload.context=512", *others)
    return load("llama-2-7b-decode-pim", settings)


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("rule", ["attention", "products", "all"])
def test_a_step_with_units_takes_what_the_simulator_says(chip: str, rule: str) -> None:
    made = step(chip, rule)
    record, table = simulate(made), Twin(made).evaluate({})
    result, moved = Result(record), count_work(record).moved[:, :2].sum()
    assert table.latency_s[0] == pytest.approx(result.latency_s, rel=0.05)
    assert table.energy_j[0] == pytest.approx(result.energy_j, rel=0.02)
    assert table.dram_bytes[0] == pytest.approx(float(moved), rel=0.02)


def test_inputs_that_do_not_fit_half_the_buffer_come_anew_for_every_tile() -> None:
    made = step(CHIPS[0], "all", "workload.batch=8", "chip.pim.accumulators=16", "chip.pim.buffer_kib=4")
    result, table = Result(simulate(made)), Twin(made).evaluate({})
    wide = Twin(made).evaluate({"chip.pim.buffer_kib": np.array([64.0])})
    assert table.latency_s[0] == pytest.approx(result.latency_s, rel=0.05)
    assert table.dram_bytes[0] > 2 * wide.dram_bytes[0]


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("others", [("workload.batch=16",), ("workload.batch=64", "chip.pim.rows_at_once=8")])
def test_operators_go_to_the_side_that_auto_chooses_in_the_simulator(chip: str, others: tuple[str, ...]) -> None:
    made = step(chip, "auto", *others)
    result, table = Result(simulate(made)), Twin(made).evaluate({})
    assert table.latency_s[0] == pytest.approx(result.latency_s, rel=0.06)
    assert table.matrix_ops[0] == pytest.approx(float(count_work(result.record).matrix_ops.sum()), rel=0.02)


def test_designs_of_one_sweep_may_choose_differently() -> None:
    columns = np.array([4, 16, 64])
    swept = Twin(step(CHIPS[1], "auto", "workload.batch=40")).evaluate({"chip.matrix_unit.columns": columns})
    for index, width in enumerate(columns):
        alone = Twin(step(CHIPS[1], "auto", "workload.batch=40", f"chip.matrix_unit.columns={width}")).evaluate({})
        assert swept.latency_s[index] == pytest.approx(alone.latency_s[0], rel=1e-9)
        assert swept.matrix_ops[index] == pytest.approx(alone.matrix_ops[0], rel=1e-9)
    assert len(set(swept.matrix_ops.tolist())) > 1


@pytest.mark.parametrize("stationary", ["outputs", "inputs"])
@pytest.mark.parametrize("chip", CHIPS)
def test_the_twin_knows_the_order_of_loops(chip: str, stationary: str) -> None:
    few = ("workload.batch=8", "chip.pim.accumulators=4", "chip.pim.buffer_kib=4")
    made = step(chip, "all", f"mapping.pim_stationary={stationary}", *few)
    record, table = simulate(made), Twin(made).evaluate({})
    result, moved = Result(record), count_work(record).moved[:, :2].sum()
    assert table.latency_s[0] == pytest.approx(result.latency_s, rel=0.03)
    assert table.energy_j[0] == pytest.approx(result.energy_j, rel=0.02)
    assert table.dram_bytes[0] == pytest.approx(float(moved), rel=0.02)


def test_vector_units_that_add_partial_sums_slowly_hold_a_product_up() -> None:
    few = ("workload.batch=8", "chip.pim.accumulators=4", "chip.pim.buffer_kib=4", "mapping.pim_stationary=inputs")
    made = step(CHIPS[1], "products", *few)
    lanes = made.chip.vector_unit.lanes
    wide, narrow = Twin(made).evaluate({"chip.vector_unit.lanes": np.array([lanes, 1])}).latency_s
    slow = simulate(step(CHIPS[1], "products", *few, "chip.vector_unit.lanes=1"))
    assert narrow > 1.5 * wide
    assert narrow == pytest.approx(Result(slow).latency_s, rel=0.05)


def test_units_are_swept_like_everything_else_of_a_chip() -> None:
    made = step(CHIPS[1], "all")
    spacings, clocks = np.array([4, 4, 8]), np.array([1.0, 0.5, 1.0])
    swept = Twin(made).evaluate({"chip.pim.spacing_cycles": spacings, "chip.clock_ghz": clocks})
    for index, (spacing, clock) in enumerate(zip(spacings, clocks, strict=True)):
        alone = Twin(step(CHIPS[1], "all", f"chip.pim.spacing_cycles={spacing}", f"chip.clock_ghz={clock}"))
        assert swept.latency_s[index] == pytest.approx(alone.evaluate({}).latency_s[0], rel=1e-9)
    assert swept.latency_s[2] > swept.latency_s[0]


def test_a_rule_of_the_mapping_is_a_column_like_any_other() -> None:
    rules = np.array(["none", "all", "auto"], dtype=object)
    table = Twin(step(CHIPS[0], "none")).evaluate({"mapping.pim": rules})
    assert table.latency_s[1] < table.latency_s[0]
    assert not table.refused
    assert table.latency_s[2] <= 1.02 * table.latency_s[1]


def test_what_units_cannot_multiply_is_refused_with_the_simulator_s_remedy() -> None:
    table = Twin(step(CHIPS[0], "products", "chip.pim.bits=[8]")).evaluate({})
    assert "precision of PIM units (weights)" in table.refused[0]
    assert "chip.pim.bits are 8" in table.refused[0]


@pytest.mark.parametrize("chip", CHIPS)
def test_rows_that_units_open_are_charged_where_the_dram_is_charged_by_command(chip: str) -> None:
    charged = ("chip.energy.dram.charged=by_command", "chip.energy.dram.interface=tsv", "chip.pim.accumulators=8")
    made = step(chip, "all", *charged)
    assert Twin(made).evaluate({}).energy_j[0] == pytest.approx(Result(simulate(made)).energy_j, rel=0.02)
