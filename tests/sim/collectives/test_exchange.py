"""All-to-all, dispatch and combine: every row ends where it should, and no exchange beats its most loaded link."""

from __future__ import annotations

import numpy as np
import pytest

from cairn.base.errors import ConfigError
from cairn.sim.collectives.exchange import ExpertRouting, Rows, all_to_all, combine, dispatch, exchange_cycles
from cairn.sim.engine.compiled import simulate_plan
from cairn.sim.plan.actions import MATMUL
from cairn.sim.plan.builder import PlanBuilder, Slice, Tile
from cairn.sim.plan.instance import BlockInstance
from cairn.sim.plan.numbers import Held, execute
from cairn.workloads.graph import Block, Operator, OpKind, Role, Tensor
from tests.sim.collectives.meshes import Bench, cycles, mesh


@pytest.mark.parametrize("words", [1, 6])
@pytest.mark.parametrize(("rows", "columns"), [(1, 5), (3, 4)])
def test_an_all_to_all_transposes_blocks_over_the_cores(rows, columns, words):
    size = rows * columns
    bench = Bench(mesh(rows, columns), size, size * words)
    values = np.random.default_rng(0).normal(size=(size, size * words))
    for core in range(size):  # core p holds row p, and is to hold block p of every row
        bench.held.append(Held(core, "y", (core, core + 1, 0, size * words), values[core : core + 1]))
    p, q = np.arange(size)[:, None], np.arange(size)[None]
    parts = Slice(bench.y, (p, p + 1), (q * words, (q + 1) * words), 4 * words)
    all_to_all(bench.plan, np.arange(size), parts, bench.op)
    trace, outcome = bench.run()
    for core in range(size):
        block = slice(core * words, (core + 1) * words)
        np.testing.assert_allclose(outcome.sram("y", core)[:, block], values[:, block])
    traffic = np.full((size, size), 4 * words)
    bound = exchange_cycles(bench.chip.noc, rows, columns, traffic)
    assert bound <= cycles(trace) <= 2.2 * bound + 10


def _routed(tokens, experts, cores, choices, seed=0):
    random = np.random.default_rng(seed)
    chosen = np.stack([random.permutation(experts)[:choices] for _ in range(tokens)])
    return ExpertRouting(np.arange(tokens) % cores, chosen, random.integers(0, cores, experts))


@pytest.mark.parametrize("choices", [1, 3])
def test_dispatch_and_combine_give_each_token_the_sum_of_its_experts(choices):
    tokens, cores, width = 10, 6, 4
    routing = _routed(tokens, 5, cores, choices)
    chip = mesh(2, 3)
    plan = PlanBuilder(chip)
    op, x, y = plan.operator("bench/experts"), plan.tensor("x"), plan.tensor("y")
    plan.tensor("w")
    came = dispatch(plan, routing, Rows(x, width, 4 * width), op)
    token, core = routing.pairs()
    tile = Tile(op, MATMUL, (token, token + 1), (0, width), (0, width))
    made = plan.compute(core, "matrix", tile, 1, came)
    combine(plan, routing, Rows(y, width, 4 * width), op, made)
    built = plan.build()
    trace = simulate_plan(built, chip.servers())
    random = np.random.default_rng(2)
    inputs, weights = random.normal(size=(tokens, width)), random.normal(size=(cores, width, width))
    held = [Held(int(h), "x", (t, t + 1, 0, width), inputs[t : t + 1]) for t, h in enumerate(routing.home)]
    held += [Held(c, "w", (0, width, 0, width), weights[c]) for c in range(cores)]
    operator = Operator("experts", OpKind.MATMUL, ("x", "w"), ("y",))
    tensors = (Tensor("x", Role.ACTIVATION, tokens, width, 32), Tensor("w", Role.WEIGHT, width, width, 32),
               Tensor("y", Role.ACTIVATION, tokens, width, 32))  # fmt: skip
    block = Block("bench", (operator,), tensors, None, "y")
    outcome = execute(built, trace, [BlockInstance(0, "", block)], {}, held)
    for t in range(tokens):
        expected = sum(inputs[t] @ weights[c] for c in set(routing.core_of[routing.experts[t]].tolist()))
        np.testing.assert_allclose(outcome.sram("y", int(routing.home[t]))[t], expected)


@pytest.mark.parametrize("seed", range(4))
def test_a_dispatch_is_bounded_by_its_most_loaded_link_or_port(seed):
    routing = _routed(96, 16, 16, 2, seed)
    chip = mesh(4, 4)
    plan = PlanBuilder(chip)
    dispatch(plan, routing, Rows(plan.tensor("x"), 64, 256), plan.operator("bench/experts"))
    simulated = cycles(simulate_plan(plan.build(), chip.servers()))
    bound = exchange_cycles(chip.noc, 4, 4, routing.traffic(16, 256))
    assert bound <= simulated <= 1.6 * bound


def test_a_token_with_two_experts_on_one_core_is_sent_there_once():
    routing = ExpertRouting(np.array([0, 1]), np.array([[0, 1], [1, 2]]), np.array([3, 3, 0]))
    assert sorted(zip(*(a.tolist() for a in routing.pairs()), strict=True)) == [(0, 3), (1, 0), (1, 3)]
    assert routing.traffic(4, 10).sum() == 30


def test_an_expert_that_no_core_has_is_refused():
    with pytest.raises(ConfigError, match="experts are numbered 0 to 1, got 2"):
        ExpertRouting(np.array([0]), np.array([[2]]), np.array([0, 0]))
