"""The analytical twin of models with routed experts: time, energy and bytes against the simulator."""

from __future__ import annotations

import numpy as np
import pytest

from cairn.sim.config.run_config import RunConfig, load
from cairn.sim.mapping.grid import Grid
from cairn.sim.mapping.pieces import wanted
from cairn.sim.report.result import Result
from cairn.sim.report.work import count_work
from cairn.sim.run import simulate
from cairn.sim.twin.expert_layouts import Even, Only, Sorted, WholeRows
from cairn.sim.twin.layout import Rows
from cairn.sim.twin.twin import Twin

CHIPS = ("hbm3-cube-bank-pim", "hbm3-cube-logic-pim")


def step(chip: str, rule: str, *others: str) -> RunConfig:
    settings = (f"chip={chip}", f"mapping.pim={rule}", "workload.context=256", *others, "model.layers=1")
    return load("mixtral-8x7b-decode-pim", settings)


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("rule", ["none", "products", "auto"])
def test_a_step_with_experts_takes_what_the_simulator_says(chip: str, rule: str) -> None:
    made = step(chip, rule, "workload.batch=8")
    record, table = simulate(made), Twin(made).evaluate({})
    result, work = Result(record), count_work(record)
    assert table.latency_s[0] == pytest.approx(result.latency_s, rel=0.05)
    assert table.energy_j[0] == pytest.approx(result.energy_j, rel=0.02)
    assert table.dram_bytes[0] == pytest.approx(float(work.moved[:, :2].sum()), rel=0.02)
    assert table.matrix_ops[0] == pytest.approx(float(work.matrix_ops.sum()), rel=0.02)


def test_cores_and_units_have_the_experts_that_auto_gives_them() -> None:
    made = step(CHIPS[1], "auto", "workload.batch=32", "chip.pim.rows_at_once=4", "model=phi-3.5-moe")
    record, table = simulate(made), Twin(made).evaluate({})
    work = count_work(record)
    units = float(work.pim_ops.sum()) / float(work.pim_ops.sum() + work.matrix_ops.sum())
    assert 0.05 < units < 0.95
    assert table.matrix_ops[0] == pytest.approx(float(work.matrix_ops.sum()), rel=0.01)
    assert table.latency_s[0] == pytest.approx(Result(record).latency_s, rel=0.06)


def test_cores_may_meet_after_every_expert() -> None:
    made = step(CHIPS[0], "none", "workload.batch=4", "mapping.paradigm=spmd")
    assert Twin(made).evaluate({}).latency_s[0] == pytest.approx(Result(simulate(made)).latency_s, rel=0.05)


def test_designs_with_experts_are_swept_like_others() -> None:
    links, columns = np.array([16, 32, 64]), np.array([32, 8, 64])
    names = ("chip.noc.link_bytes_per_cycle", "chip.matrix_unit.columns")
    swept = Twin(step(CHIPS[1], "auto", "workload.batch=16")).evaluate(dict(zip(names, (links, columns), strict=True)))
    for index in range(links.size):
        own = [f"{name}={values[index]}" for name, values in zip(names, (links, columns), strict=True)]
        alone = Twin(step(CHIPS[1], "auto", "workload.batch=16", *own)).evaluate({})
        assert swept.latency_s[index] == pytest.approx(alone.latency_s[0], rel=1e-9)
        assert swept.matrix_ops[index] == pytest.approx(alone.matrix_ops[0], rel=1e-9)


def test_many_experts_that_have_cores_of_their_own_are_refused_by_name() -> None:
    made = step(CHIPS[0], "none", "model=qwen3-30b-a3b", "workload.batch=8")
    assert "does not know operator 'experts_gate_up' (grouped_matmul) yet" in Twin(made).evaluate({}).refused[0]


def test_rows_of_experts_lie_where_their_tokens_do() -> None:
    grid = Grid(2, 2, 2)
    tokens = Rows((0, 1, 2), 8)  # token i on core i
    order = Sorted(tokens, (0, 2, 1, 2), (2, 0, 2))
    pieces = order.pieces(grid)
    found = sorted(zip(pieces.core.tolist(), map(tuple, pieces.rect[:, :2].tolist()), strict=True))
    assert found == [(0, (0, 1)), (1, (2, 3)), (2, (1, 2)), (2, (3, 4))]
    second = Only(order, 2, 2).pieces(grid)
    assert sorted(zip(second.core.tolist(), second.rect[:, 0].tolist(), strict=True)) == [(1, 0), (2, 1)]


def test_decisions_are_made_on_whole_rows_and_sums_are_shared_evenly() -> None:
    grid = Grid(2, 2, 2)
    some, every = WholeRows(3, 8).pieces(grid), WholeRows(3, 8, every=True).pieces(grid)
    np.testing.assert_array_equal(some.rect, wanted(np.arange(3), [0, 1, 2], [1, 2, 3], 0, 8).rect)
    assert (every.rect == [0, 3, 0, 8]).all()
    assert every.count == 4
    even = Even(4, 8).pieces(grid)
    assert even.elements.tolist() == [8, 8, 8, 8]
