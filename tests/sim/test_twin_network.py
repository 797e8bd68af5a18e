"""The twin's network terms: where activations lie, what moves, and how long it takes to bring it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.hw_models.noc.spec import NocTopology
from cairn.sim.config.run_config import RunConfig, load
from cairn.sim.mapping import lower
from cairn.sim.mapping.grid import Grid
from cairn.sim.mapping.pieces import Pieces
from cairn.sim.mapping.sequence import whole_grid
from cairn.sim.report.result import Result
from cairn.sim.run import simulate
from cairn.sim.twin import evaluate
from cairn.sim.twin.chosen import choose_blocks
from cairn.sim.twin.halves import crossing_bytes
from cairn.sim.twin.machine import Machine
from cairn.sim.twin.pipeline import block_cycles, period_cycles
from cairn.sim.twin.places import UNKNOWN, Places
from cairn.sim.twin.stage import Placed, Stage, Stages
from cairn.sim.twin.swept import Swept
from cairn.sim.twin.traffic import AS_LINKS, busiest, loads_of, moved, ring_ways
from cairn.sim.twin.twin import Twin
from cairn.workloads.build import build_graph

SMALL = ["model=llama-3.2-1b", "chip.cores.rows=4", "chip.cores.columns=4", "workload.batch=8", "workload.context=128"]


def run_of(paradigm: str, *settings: str) -> RunConfig:
    return load("llama-2-13b-decode", [*SMALL, f"mapping.paradigm={paradigm}", *settings])


def as_rows(pieces: Pieces) -> list[tuple[int, ...]]:
    return sorted((int(core), *rect) for core, rect in zip(pieces.core, pieces.rect.tolist(), strict=True))


@pytest.mark.parametrize("paradigm", ["compute_shift", "spmd"])
def test_products_leave_their_results_where_lowering_leaves_them(
    paradigm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: dict[str, Pieces] = {}
    original = lower.lower_product

    def noted(scope: Any, product: Any, x: Pieces, mapping: Any, epilogue: Any = None) -> Pieces:
        result = original(scope, product, x, mapping, epilogue)
        name = next(name for name, number in scope.operator_of.items() if number == product.op)
        left[f"{scope.block.name}/{name}"] = result
        return result

    monkeypatch.setattr(lower, "lower_product", noted)
    config = run_of(paradigm, "engine.max_simulated_blocks=7", "engine.tolerance=0.1")
    simulate(config)
    machine = Machine(Swept(config.chip, {}), whole_grid(config.chip, config.mapping), config.mapping, 1)
    compared = 0
    for segment in build_graph(config.model, config.workload, config.routing, config.seed).segments:
        block, places = segment.block, Places(machine)
        lies = places.of_block(block, choose_blocks(block, machine).ways, np.full(1, UNKNOWN))
        names = {operator.name: operator for operator in block.operators}
        for key, pieces in left.items():
            name = key.split("/")[-1]
            if key.split("/")[0] != block.name or name not in names:
                continue
            y = names[name].outputs[0]
            if paradigm == "compute_shift" and name == "gate_up":  # followed in place by the activation function
                y = next(operator.outputs[0] for operator in block.operators if y in operator.inputs)
            assert as_rows(places.table[lies[y][0]].pieces(machine.grid)) == as_rows(pieces), key
            compared += 1
    assert compared >= 4


@pytest.mark.parametrize("topology", ["mesh", "torus", "all_to_all"])
@pytest.mark.parametrize("paradigm", ["compute_shift", "spmd"])
def test_as_many_bytes_cross_the_network_as_the_plan_sends(paradigm: str, topology: str) -> None:
    config = run_of(paradigm, f"chip.noc.topology={topology}")
    simulated = Result(simulate(config)).operators["noc_bytes"].sum()
    assert Twin(config).evaluate({}).noc_bytes[0] == pytest.approx(simulated, rel=0.06)


@pytest.mark.parametrize("topology", ["mesh", "torus", "all_to_all"])
@pytest.mark.parametrize("link", [8, 32])
def test_a_step_whose_operands_are_sent_from_one_to_each_is_as_long_as_the_simulator_says(
    topology: str, link: int
) -> None:
    config = run_of("spmd", f"chip.noc.topology={topology}", f"chip.noc.link_bytes_per_cycle={link}")
    simulated = simulate(config).total_ps * 1e-12
    assert Twin(config).evaluate({}).latency_s[0] == pytest.approx(simulated, rel=0.1)


def test_every_operator_ends_with_a_barrier_in_spmd_and_with_none_in_compute_shift() -> None:
    for paradigm, more in (("spmd", True), ("compute_shift", False)):
        config = run_of(paradigm)
        without, with_it = (
            Twin(config).evaluate({"chip.synchronisation.barrier_cycles": np.array([cycles])}).latency_s[0]
            for cycles in (0, 20_000)
        )
        assert bool(with_it > without * 1.2) is more


def test_narrow_ports_slow_a_step_down_and_wide_ones_never_do() -> None:
    config = run_of("spmd", "chip.noc.link_bytes_per_cycle=8")
    narrow, alike, wide = (
        Twin(config).evaluate({"chip.noc.ejection_bytes_per_cycle": np.array([width])}).latency_s[0]
        for width in (2, 8, 16)
    )
    assert narrow > 1.05 * alike and wide <= alike


def test_a_network_that_the_twin_does_not_know_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "TOPOLOGIES", (NocTopology.MESH,))
    table = Twin(run_of("spmd", "chip.noc.topology=torus")).evaluate({})
    assert not table.runs[0]
    assert table.refused[0] == "the analytical twin does not know networks of topology 'torus' yet"


@pytest.mark.parametrize(
    ("setting", "what"),
    [
        ("chip.noc.routing=yx", "networks of routing 'yx'"),
        ("chip.noc.topology=ring", "networks of topology 'ring'"),
        ("chip.noc.clock_ghz=1.0", "networks with a clock of their own"),
    ],
)
def test_routes_and_clocks_that_the_twin_does_not_know_are_refused_by_name(setting: str, what: str) -> None:
    table = Twin(run_of("spmd", setting)).evaluate({})
    assert not table.runs[0]
    assert table.refused[0] == f"the analytical twin does not know {what} yet"


MESSAGES = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11), st.integers(1, 1000)), min_size=1, max_size=60)


@given(MESSAGES, st.sampled_from(list(evaluate.TOPOLOGIES)))
def test_messages_take_no_less_than_the_busiest_link_or_port_asks_and_no_more_than_twice_that(
    messages: list[tuple[int, int, int]], topology: NocTopology
) -> None:
    source, target, size = (np.array(column) for column in zip(*messages, strict=True))
    away = source != target
    if not away.any():
        return
    source, target, size = source[away], target[away], size[away].astype(np.float64)
    grid = Grid(3, 4, 4)
    most = busiest(loads_of(topology, grid, moved(source, target, size, 12)))
    assert most <= crossing_bytes(topology, grid, source, target, size, AS_LINKS) * (1 + 1e-9)
    assert crossing_bytes(topology, grid, source, target, size, AS_LINKS) <= 2 * most * (1 + 1e-9)


def test_a_ring_along_a_row_crosses_each_link_once_and_is_as_long_as_its_way_there_and_back() -> None:
    grid = Grid(2, 8, 8)
    splits = {split.sizes: split for split in _splits(grid) if split.n == (1, 8) and split.m == (2, 1)}
    way = ring_ways(NocTopology.MESH, grid, splits[2, 8, 1], AS_LINKS)
    assert way == ((1.0, 14.0), (1.0, 2.0), (0.0, 0.0))
    assert ring_ways(NocTopology.TORUS, grid, splits[2, 8, 1], AS_LINKS)[0] == (1.0, 8.0)
    assert ring_ways(NocTopology.MESH, grid, splits[2, 8, 1], (3.0, 1.0))[0] == (3.0, 14.0)


def _splits(grid: Grid) -> Any:
    from cairn.sim.mapping.grid import all_splits

    return all_splits(grid.rows, grid.columns)


def stages_of(*stages: Stage) -> Stages:
    return Stages.of([Placed(stage, np.zeros(1, dtype=np.int64)) for stage in stages])


def test_what_may_pass_early_is_hidden_as_far_as_the_stage_before_leaves_the_network_idle() -> None:
    one, much = np.ones(1), np.full(1, 1e9)
    for slack, shown in ((0.0, 100.0), (60.0, 40.0), (500.0, 0.0)):
        stages = stages_of(Stage("a", work=1000.0, slack=slack), Stage("b", lead=10.0, early=100.0, work=50.0))
        assert block_cycles(stages, one, much, 0 * one)[0][0] == pytest.approx(1060.0 + shown)


def test_the_last_load_comes_with_those_under_way_beside_it_and_work_is_left_then() -> None:
    stages = stages_of(Stage("a", work=100.0, streamed_bytes=400.0, lag_bytes=150.0, last=50.0))
    rate, room, none = np.ones(1), np.full(1, 1000.0), np.zeros(1)
    assert block_cycles(stages, rate, room, none)[0][0] == pytest.approx(400 + 150 + 50)
    assert period_cycles(stages, rate, room)[0] == pytest.approx(400)  # in the long run the stream never stops
    assert block_cycles(stages, rate, room, np.full(1, 600.0))[0][0] == pytest.approx(100)
