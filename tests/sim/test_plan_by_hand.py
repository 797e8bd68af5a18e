"""Plans that a person writes with the builder's three calls, run on both engines and executed on numbers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from cairn.base.errors import CairnError
from cairn.hw_models.chip import ChipSpec
from cairn.sim.config.run_config import Engine, load
from cairn.sim.plan import actions, storage
from cairn.sim.plan.builder import PlanBuilder, Region, Slice, Tile
from cairn.sim.plan.instance import BlockInstance
from cairn.sim.plan.numbers import execute
from cairn.sim.plan.plan import COMPUTE, COPY, DRAM, SRAM, SYNC, Plan, Trace
from cairn.sim.run import run_plan
from cairn.workloads.graph import Block, Operator, OpKind, Role, Tensor

M, K, H, N = 4, 8, 12, 6

CHAIN = Block(
    "chain",
    (
        Operator("first", OpKind.MATMUL, ("x", "w1"), ("h",)),
        Operator("second", OpKind.MATMUL, ("h", "w2"), ("y",)),
    ),
    (
        Tensor("x", Role.ACTIVATION, M, K, 16),
        Tensor("w1", Role.WEIGHT, K, H, 16),
        Tensor("h", Role.ACTIVATION, M, H, 16),
        Tensor("w2", Role.WEIGHT, H, N, 16),
        Tensor("y", Role.ACTIVATION, M, N, 16),
    ),
    None,
    "y",
)
INSTANCE = [BlockInstance(0, "", CHAIN)]

rng = np.random.default_rng(5)
X, W1, W2 = rng.normal(size=(M, K)), rng.normal(size=(K, H)), rng.normal(size=(H, N))
INPUTS = {"x": X, "w1": W1, "w2": W2}


@pytest.fixture(scope="module")
def chip() -> ChipSpec:
    return load("demo").chip


@dataclass
class Hand:
    """What all plans here need: a builder, the numbers of names, and loads from DRAM."""

    plan: PlanBuilder
    first: int
    second: int
    numbers: dict[str, int]
    rows: int = 0

    @classmethod
    def on(cls, chip: ChipSpec) -> Hand:
        plan = PlanBuilder(chip)
        first, second = plan.operator("chain/first"), plan.operator("chain/second")
        return cls(plan, first, second, {name: plan.tensor(name) for name in ("x", "w1", "h", "w2", "y")})

    def slice(self, name: str, r0: int, r1: int, c0: int, c1: int) -> Slice:
        return Slice(self.numbers[name], (r0, r1), (c0, c1), (r1 - r0) * (c1 - c0) * 2)

    def held(self, core: int, name: str, *rect: int) -> Region:
        return Region(SRAM, core, self.slice(name, *rect))

    def load(self, core: int, name: str, *rect: int) -> np.ndarray:
        """From the channel above the core, to a bank row of its own."""
        self.rows += 1
        channel = int(self.plan.chip.channel_of(np.array([core]))[0])
        source = Region(DRAM, channel, self.slice(name, *rect), (0, 1, self.rows, self.plan.chip.dram.row_bytes, 0))
        return self.plan.copy(source, self.held(core, name, *rect), self.first)

    def product(
        self, op: int, core: int, m: tuple[int, int], n: tuple[int, int], k: tuple[int, int], after: list[np.ndarray]
    ) -> np.ndarray:
        return self.plan.compute(core, "matrix", Tile(op, actions.MATMUL, m, n, k), 100, after)


def handed_over(chip: ChipSpec, forget_to_wait: bool = False) -> Plan:
    """Core 0 computes h = x w1 and hands it to core 1, which computes y = h w2; a barrier ends the step."""
    hand = Hand.on(chip)
    loads = [hand.load(0, "x", 0, M, 0, K), hand.load(0, "w1", 0, K, 0, H)]
    h = hand.product(hand.first, 0, (0, M), (0, H), (0, K), loads)
    whole = 0, M, 0, H
    moved = hand.plan.copy(hand.held(0, "h", *whole), hand.held(1, "h", *whole), hand.first, h, cause="handoff")
    w2 = hand.load(1, "w2", 0, H, 0, N)
    y = hand.product(hand.second, 1, (0, M), (0, N), (0, H), [w2] if forget_to_wait else [w2, moved])
    hand.plan.sync(y, cycles=10)
    return hand.plan.build()


def split_reduction(chip: ChipSpec, adding_task: bool) -> Plan:
    """Cores 0 and 1 each have half of the reduction of h = x w1; core 1's partial sum is added on core 0."""
    hand = Hand.on(chip)
    done = []
    for core, (k0, k1) in enumerate(((0, K // 2), (K // 2, K))):
        loads = [hand.load(core, "x", 0, M, k0, k1), hand.load(core, "w1", k0, k1, 0, H)]
        done.append(hand.product(hand.first, core, (0, M), (0, H), (k0, k1), loads))
    whole = 0, M, 0, H
    source, target = hand.held(1, "h", *whole), hand.held(0, "h", *whole)
    sent = hand.plan.copy(source, target, hand.first, done, cause="reduce", reduce=True)
    if adding_task:
        tile = Tile(hand.first, actions.REDUCE, (0, M), (0, H))
        hand.plan.compute(0, "vector", tile, 20, [sent, done[0]])
    return hand.plan.build()


def spread(chip: ChipSpec) -> tuple[Plan, np.ndarray]:
    """Core 0 computes h and sends it to cores 1, 2 and 5, each of which computes two columns of y."""
    hand = Hand.on(chip)
    loads = [hand.load(0, "x", 0, M, 0, K), hand.load(0, "w1", 0, K, 0, H)]
    h = hand.product(hand.first, 0, (0, M), (0, H), (0, K), loads)
    cores, whole = (1, 2, 5), (0, M, 0, H)
    sent = hand.plan.copy(
        hand.held(0, "h", *whole), [hand.held(core, "h", *whole) for core in cores], hand.first, h, cause="share"
    )
    for index, core in enumerate(cores):
        columns = 2 * index, 2 * index + 2
        w2 = hand.load(core, "w2", 0, H, *columns)
        hand.product(hand.second, core, (0, M), columns, (0, H), [w2, sent[index]])
    return hand.plan.build(), sent


def on_both_engines(plan: Plan, chip: ChipSpec) -> Trace:
    compiled, reference = run_plan(plan, chip), run_plan(plan, chip, Engine.REFERENCE)
    for name in ("start", "first", "end"):
        np.testing.assert_array_equal(getattr(compiled, name), getattr(reference, name), err_msg=name)
    return compiled


def test_a_product_handed_from_core_to_core_has_numpys_result_and_one_trace_on_both_engines(chip: ChipSpec) -> None:
    plan = handed_over(chip)
    trace = on_both_engines(plan, chip)
    outcome = execute(plan, trace, INSTANCE, INPUTS)
    np.testing.assert_allclose(outcome.gathered("y"), X @ W1 @ W2, rtol=1e-12)
    np.testing.assert_allclose(outcome.sram("h", core=1), X @ W1, rtol=1e-12)
    assert trace.makespan == int(trace.end[-1]) > 0


def test_a_product_that_does_not_wait_for_its_operand_is_told_what_is_missing_where(chip: ChipSpec) -> None:
    plan = handed_over(chip, forget_to_wait=True)
    message = r"^core 1 has no h\[0:4, 0:12\] when task 5 reads it$"
    with pytest.raises(CairnError, match=message):
        execute(plan, on_both_engines(plan, chip), INSTANCE, INPUTS)


def test_a_copy_of_what_its_source_does_not_hold_is_told_so(chip: ChipSpec) -> None:
    hand = Hand.on(chip)
    hand.load(3, "x", 0, M, 0, K // 2)
    part = 2, M, 0, K
    hand.plan.copy(hand.held(3, "x", *part), hand.held(4, "x", *part), hand.first)
    plan = hand.plan.build()
    with pytest.raises(CairnError, match=r"^core 3 has no x\[2:4, 0:8\] when task 1 copies it$"):
        execute(plan, None, INSTANCE, INPUTS)


@pytest.mark.parametrize("adding_task", [False, True])
def test_a_reduce_copy_adds_once_whether_or_not_a_task_of_its_own_does_it(chip: ChipSpec, adding_task: bool) -> None:
    plan = split_reduction(chip, adding_task)
    outcome = execute(plan, on_both_engines(plan, chip), INSTANCE, INPUTS)
    np.testing.assert_allclose(outcome.sram("h", core=0), X @ W1, rtol=1e-12)
    assert np.isnan(outcome.sram("h", core=1)).all()  # the partial sum has left


def test_one_copy_call_sends_to_several_cores_and_answers_the_tasks_of_each(chip: ChipSpec) -> None:
    plan, sent = spread(chip)
    assert sent.shape == (3, 1)
    assert plan.copies[plan.row[sent[:, 0]]][:, 9].tolist() == [1, 2, 5]
    outcome = execute(plan, on_both_engines(plan, chip), INSTANCE, INPUTS)
    np.testing.assert_allclose(outcome.gathered("y"), X @ W1 @ W2, rtol=1e-12)


def test_what_a_task_stores_is_read_back_from_the_channel_it_was_stored_to(chip: ChipSpec) -> None:
    hand = Hand.on(chip)
    loads = [hand.load(0, "x", 0, M, 0, K), hand.load(0, "w1", 0, K, 0, H)]
    h = hand.product(hand.first, 0, (0, M), (0, H), (0, K), loads)
    whole, row = (0, M, 0, H), chip.dram.row_bytes
    stored = hand.plan.copy(
        hand.held(0, "h", *whole), Region(DRAM, 0, hand.slice("h", *whole), (1, 1, 0, row, 0)), hand.first, h
    )
    elsewhere = Region(DRAM, 1, hand.slice("h", *whole), (1, 1, 0, row, 0))
    hand.plan.copy(elsewhere, hand.held(1, "h", *whole), hand.first, stored)
    with pytest.raises(CairnError, match=r"^channel 1 has no h\[0:4, 0:12\] when task 4 copies it$"):
        execute(hand.plan.build(), None, INSTANCE, INPUTS)


def test_a_saved_plan_runs_again_with_the_same_trace_and_the_same_numbers(chip: ChipSpec, tmp_path: Path) -> None:
    plan = handed_over(chip)
    before = run_plan(plan, chip)
    storage.save(plan, tmp_path / "plan.npz")
    again = storage.load(tmp_path / "plan.npz")
    after = on_both_engines(again, chip)
    for name in ("start", "first", "end"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))
    results = [execute(p, t, INSTANCE, INPUTS).gathered("y") for p, t in ((plan, before), (again, after))]
    np.testing.assert_array_equal(*results)


def test_reserved_tasks_stand_where_they_were_reserved_and_wait_for_any_before_them(chip: ChipSpec) -> None:
    plan = PlanBuilder(chip)
    numbers = plan.reserve(4)
    data = Slice(0, (0, 1), (0, 8), 16)
    plan.compute([1, 1], "vector", Tile(0, 0), 5, after=[numbers[[0, 2]]], tasks=numbers[[1, 3]])
    sent = plan.copy(
        Region(SRAM, np.array([0, 0]), data), Region(SRAM, np.array([1, 1]), data), 0,
        after=[np.array([-1, 1])], tasks=numbers[[0, 2]],
    )  # fmt: skip
    joint = plan.sync([sent[-1:]], 1)
    built = plan.build()
    assert built.kind.tolist() == [COPY, COMPUTE, COPY, COMPUTE, SYNC]
    edges = [sorted(built.on_done.targets[a:b].tolist()) for a, b in pairwise(built.on_done.start.tolist())]
    assert edges == [[1], [2], [3, int(joint[0])], [], []]


def test_a_plan_with_reserved_tasks_that_nobody_wrote_is_not_built(chip: ChipSpec) -> None:
    plan = PlanBuilder(chip)
    first, _ = plan.reserve(2)
    plan.compute(0, "vector", Tile(0, 0), 5, tasks=np.array([first]))
    with pytest.raises(CairnError, match="1 of the reserved tasks were not written"):
        plan.build()
