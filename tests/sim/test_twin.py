"""The analytical twin: it chooses what lowering chooses, is the same for one design and many, and is near the
simulator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from cairn.base.errors import CairnError
from cairn.hw_models import cost
from cairn.sim.config.run_config import RunConfig, load
from cairn.sim.mapping.choices import choose_block
from cairn.sim.mapping.sequence import activation_bytes, whole_grid
from cairn.sim.report.result import Result
from cairn.sim.run import simulate
from cairn.sim.twin.block import _placed
from cairn.sim.twin.chosen import choose_blocks
from cairn.sim.twin.evaluate import estimate
from cairn.sim.twin.machine import Machine
from cairn.sim.twin.pipeline import block_cycles, period_cycles
from cairn.sim.twin.stage import Placed, Stage, Stages
from cairn.sim.twin.swept import Swept
from cairn.sim.twin.twin import Twin, laid_over
from cairn.workloads.build import build_graph
from cairn.workloads.graph import OperatorGraph

Column = npt.NDArray[Any]

VARIED = {
    "chip.sram.capacity_kib": (256, 512, 2048),
    "chip.dram.bandwidth_gb_per_s": (500.0, 4000.0, 24000.0),
    "chip.matrix_unit.rows": (8, 16, 32),
    "chip.matrix_unit.columns": (8, 16, 32),
    "chip.noc.link_bytes_per_cycle": (4, 16, 64),
}
MEMORY = {
    "chip.dram.banks_per_channel": (1, 4, 16),
    "chip.dram.t_faw": (20, 400),
    "chip.dram.queue_requests": (2, 32),
}
CONTROLLER = ("chip.dram.model=controller", "chip.dram.refresh=all_bank")


def random_columns(count: int, seed: int = 0, also: Mapping[str, Sequence[Any]] | None = None) -> dict[str, Column]:
    rng = np.random.default_rng(seed)
    varied = {**VARIED, **(also or {})}
    return {key: np.array(values)[rng.integers(len(values), size=count)] for key, values in varied.items()}


def graph_of(config: RunConfig) -> OperatorGraph:
    return build_graph(config.model, config.workload, config.routing, config.seed)


def machine_of(config: RunConfig, columns: dict[tuple[str, ...], Column], n: int) -> Machine:
    return Machine(Swept(config.chip, columns), whole_grid(config.chip, config.mapping), config.mapping, n)


@pytest.mark.parametrize("run", ["llama-2-13b-decode", "llama-2-13b-prefill"])
@pytest.mark.parametrize(
    ("grid", "settings"), [((4, 4), ()), ((4, 6), ()), ((8, 8), ()), ((4, 8), CONTROLLER)]
)  # fmt: skip
def test_both_tiers_choose_the_same_for_every_design(
    run: str, grid: tuple[int, int], settings: tuple[str, ...]
) -> None:
    base = load(run, [f"chip.cores.rows={grid[0]}", f"chip.cores.columns={grid[1]}", *settings])
    columns = random_columns(24, also=MEMORY if settings else None)
    arrays = {tuple(key.split(".")[1:]): values for key, values in columns.items()}
    block = graph_of(base).segments[1].block
    chosen = choose_blocks(block, machine_of(base, arrays, 24))
    compared = 0
    for design in range(24):
        config = laid_over(base, {key: values[design] for key, values in columns.items()})
        try:
            mappings = choose_block(block, config.chip, whole_grid(config.chip, config.mapping), config.mapping)
        except CairnError:
            assert not chosen.feasible[design]
            continue
        for name, mapping in mappings.items():
            ways = chosen.ways[name]
            assert ways.choice.splits[ways.of("split")[design]] == mapping.split
            twin = ("sharers", "passes", "reductions", "tile_n", "tile_k")
            assert tuple(int(ways.of(field)[design]) for field in twin) == (
                mapping.sharers, mapping.passes, mapping.reductions, mapping.tile_n, mapping.tile_k
            )  # fmt: skip
            compared += 1
    assert compared >= 48


def test_a_stage_that_reads_the_dram_is_worked_out_for_every_design() -> None:
    config, n = load("demo"), 6
    arrays = {("dram", "bandwidth_gb_per_s"): np.linspace(10.0, 60.0, n), ("sram", "banks"): np.array([8, 16] * 3)}
    machine = machine_of(config, arrays, n)
    alike = _placed(machine, lambda few, rows: Stage("a", lead=few.chip.sram.banks))
    assert np.shape(alike.stage.lead) == (2,) and alike.stage.lead[alike.row].tolist() == [8, 16] * 3
    each = _placed(machine, lambda few, rows: Stage("b", lead=few.dram_rate))
    assert each.stage.lead[each.row].tolist() == machine.dram_rate.tolist()


def test_a_swept_chip_answers_for_every_design_what_the_chip_itself_answers() -> None:
    config, columns = load("demo"), random_columns(12, seed=3)
    arrays = {tuple(key.split(".")[1:]): values for key, values in columns.items()}
    swept = Swept(config.chip, arrays)
    areas, power = cost.area_mm2(swept), cost.static_power_w(swept)  # type: ignore[arg-type]
    cycles = swept.matrix_cycles(40, 96, 72, 16, 8, 16)
    for design in range(12):
        chip = laid_over(config, {key: values[design] for key, values in columns.items()}).chip
        for name, area in cost.area_mm2(chip).items():
            assert np.broadcast_to(areas[name], 12)[design] == pytest.approx(area, rel=1e-12)
        for name, watts in cost.static_power_w(chip).items():
            assert np.broadcast_to(power[name], 12)[design] == pytest.approx(watts, rel=1e-12)
        assert cycles[design] == chip.matrix_cycles(40, 96, 72, 16, 8, 16)


def test_many_designs_at_once_are_as_one_by_one() -> None:
    columns: dict[str, Column] = dict(random_columns(10, seed=5))
    columns["chip.cores.columns"] = np.array([2, 4] * 5)
    columns["workload.batch"] = np.array([1, 1, 2, 2, 4] * 2)
    twin = Twin(load("demo"))
    together = twin.evaluate(columns)
    for design in range(10):
        alone = twin.evaluate({key: values[design : design + 1] for key, values in columns.items()})
        for name in ("latency_s", "energy_j", "area_mm2", "dram_bytes", "matrix_ops"):
            assert getattr(together, name)[design] == pytest.approx(getattr(alone, name)[0], rel=1e-12, nan_ok=True)
        assert together.runs[design] == alone.runs[0]


@pytest.mark.parametrize(
    ("run", "settings"),
    [("demo", ()), ("demo", ("workload.batch=1",)), ("demo", ("chip.dram.bandwidth_gb_per_s=400",)),
     ("demo", ("model=qwen2.5-0.5b", "chip.dram.bandwidth_gb_per_s=100", "chip.dram.capacity_gb=4")),
     ("llama-2-13b-decode", ("model.layers=12",))],
)  # fmt: skip
def test_a_decode_step_is_as_long_as_the_simulator_says(run: str, settings: tuple[str, ...]) -> None:
    config = load(run, settings)
    twin = Twin(config).evaluate({})
    summary = Result(simulate(config)).summary()
    assert twin.latency_s[0] == pytest.approx(summary["latency_s"], rel=0.05)
    assert twin.energy_j[0] == pytest.approx(summary["energy_j"], rel=0.05)
    assert twin.area_mm2[0] == pytest.approx(summary["area_mm2"], rel=1e-12)
    assert twin.matrix_ops[0] == summary["matrix_ops"]
    assert twin.dram_bytes[0] == pytest.approx(summary["dram_bytes"], rel=0.01)


@pytest.mark.parametrize(
    ("settings", "slower"),
    [
        (("chip.dram.refresh=all_bank", "chip.dram.t_refi=1600"), 1.2),
        (("chip.dram.banks_per_channel=1",), 1.05),
        (("chip.dram.row_bytes=512", "chip.dram.t_faw=320"), 1.5),
        (("chip.dram.channels=4", "mapping.banks=uniform"), 2.0),
    ],
)
def test_a_decode_step_takes_what_rows_and_refreshes_cost_beside_the_bus(
    settings: tuple[str, ...], slower: float
) -> None:
    """A chip whose DRAM is what it waits for; `slower` is how many times as long as at peak bandwidth at least."""
    base = ("model=qwen2.5-0.5b", "chip.dram.capacity_gb=4", "chip.dram.bandwidth_gb_per_s=200", *CONTROLLER[:1])
    config = load("demo", [*base, *settings])
    step = simulate(config).total_ps
    assert step >= slower * simulate(load("demo", base)).total_ps
    assert Twin(config).evaluate({}).latency_s[0] * 1e12 == pytest.approx(step, rel=0.05)


def test_a_prefill_bound_by_its_matrix_units_is_as_long_as_the_simulator_says() -> None:
    base = load("llama-2-13b-prefill")
    settings = ["model.layers=2", "engine.exact=true", "workload.lm_head=false", "chip.matrix_unit.rows=16"]
    config = load("llama-2-13b-prefill", [*settings, "chip.matrix_unit.columns=16", "chip.cores.rows=4"])
    assert Twin(config).evaluate({}).latency_s[0] * 1e12 == pytest.approx(simulate(config).total_ps, rel=0.05)
    assert Twin(base).evaluate({}).runs[0]


def test_designs_that_cannot_run_say_what_they_lack() -> None:
    columns = {"chip.dram.capacity_gb": np.array([0.2, 1.0]), "chip.sram.capacity_kib": np.array([256, 256])}
    table = Twin(load("demo")).evaluate(columns)
    assert table.runs.tolist() == [False, True] and np.isnan(table.latency_s[0])
    assert table.dram_demand_gb[0] > table.dram_capacity_gb[0] and table.dram_demand_gb[1] < table.dram_capacity_gb[1]


def test_what_the_twin_does_not_know_is_refused_by_name() -> None:
    config = load("demo", ["model=retnet-1.3b"])
    with pytest.raises(CairnError, match=r"the analytical twin does not know operator 'retention' \(retention\) yet"):
        estimate(config, graph_of(config), {}, 1)
    dataflow = Twin(load("demo")).evaluate({"mapping.paradigm": np.array(["compute_shift", "dataflow"])})
    assert dataflow.runs.tolist() == [True, False]
    assert dataflow.refused == {1: "the analytical twin does not know the dataflow paradigm yet"}
    models = Twin(load("demo")).evaluate({"chip.dram.model": np.array(["voxel_estimator", "controller"])})
    assert models.runs.tolist() == [False, True]
    assert models.refused == {
        0: "the analytical twin does not know channels of the DRAM model 'voxel_estimator' yet"
    }


def numbers(*values: float) -> npt.NDArray[np.float64]:
    return np.array(values)


def one_design(*stages: Stage) -> Stages:
    return Stages.of([Placed(stage, np.zeros(1, dtype=np.int64)) for stage in stages])


@pytest.mark.parametrize(
    ("stage", "ahead", "took", "left"),
    [
        (Stage("compute", 0, 100, 0, 300), 0.0, 100, 100),  # DRAM brings 4 a cycle, more than is used
        (Stage("memory", 0, 100, 0, 800), 0.0, 200, 0),  # less than is used: the stage lasts as long as the stream
        (Stage("memory", 0, 100, 0, 800), 100.0, 175, 0),  # what is there already is not waited for
        (Stage("lead", 50, 100, 10, 400), 0.0, 160, 240),  # the stream runs ahead while nothing is used
        (Stage("full", 1000, 0, 0, 0), 0.0, 1000, 250),  # until the buffer is full
        (Stage("write", 20, 0, 0, 0, written_bytes=80), 0.0, 20, -80),  # what DRAM has yet to write it owes
        (Stage("keys", 20, 50, 0, 400, written_bytes=80), 200.0, 140, 0),  # what is written here comes no earlier
        (Stage("as_they_come", 20, 50, 0, 400, written_bytes=80, storing=20), 200.0, 120, 0),  # written meanwhile
        (Stage("chain", 0, 50, 0, 400, chased_bytes=750), 0.0, 125, 100),  # cores wait for each other at the first tile
    ],
)
def test_the_stream_runs_ahead_as_far_as_the_buffer_allows(
    stage: Stage, ahead: float, took: float, left: float
) -> None:
    cycles, then = block_cycles(one_design(stage), numbers(4.0), numbers(250.0), numbers(ahead))
    assert (cycles[0], then[0]) == (took, left)


def test_a_block_that_memory_bounds_takes_as_long_as_its_bytes() -> None:
    stages = one_design(Stage("a", 10, 20, 10, 400), Stage("b", 30, 20, 0, 0), Stage("c", 0, 50, 0, 600))
    assert period_cycles(stages, numbers(4.0), numbers(10_000.0))[0] == 250
    assert period_cycles(stages, numbers(400.0), numbers(10_000.0))[0] == 140
    assert period_cycles(stages, numbers(4.0), numbers(1.0))[0] > 250


def test_the_stream_buffer_is_what_lowering_leaves() -> None:
    from cairn.sim.twin.evaluate import _stream_bytes

    config = load("llama-2-13b-prefill")
    machine, graph = machine_of(config, {}, 1), graph_of(config)
    chosen = [choose_blocks(segment.block, machine).act_bytes() for segment in graph.segments]
    kept = activation_bytes(config.chip, machine.grid, config.mapping, graph)
    assert abs(_stream_bytes(machine, chosen)[0] - (config.chip.sram.capacity_kib * 1024 - kept)) < 2


def test_what_takes_more_space_than_it_has_bytes_is_less_far_ahead() -> None:
    def period(space: float | None) -> float:
        stages = one_design(Stage("compute", work=1000), Stage("tiles", streamed_bytes=400, space_bytes=space))
        return float(period_cycles(stages, numbers(4.0), numbers(400.0))[0])

    assert period(None) == 1000, "all of it lies there before it is used"
    assert period(800) == 1050, "half of it fits the buffer"


def test_a_buffer_with_room_for_several_blocks_is_full_of_whole_rounds_and_the_next_stages() -> None:
    wide, tight = Stage("wide", work=1e6, streamed_bytes=100, space_bytes=200), Stage("tight", streamed_bytes=300)
    stages = one_design(wide, tight)
    for room, before_tight in ((1000.0, 800.0), (1100.0, 900.0), (1300.0, 1100.0)):  # a round has 400 bytes in 500
        _, ahead = block_cycles(stages, numbers(4.0), numbers(room), numbers(0.0))
        assert ahead[0] == before_tight - 300


def test_keys_that_do_not_come_out_even_over_the_cores_leave_less_of_the_buffer_for_loads_that_run_ahead() -> None:
    # 8 requests x 16 key heads on 24 cores: all give a step's tile as much space as the largest takes
    config = load("bitnet-3b-decode", [
        "model=bitnet-b1.58-700m", "model.layers=6", "workload.batch=8", "workload.context=512",
        "chip.cores.rows=4", "chip.cores.columns=6", "chip.sram.capacity_kib=1024",
        "chip.dram.bandwidth_gb_per_s=384", "chip.noc.link_bytes_per_cycle=64", "chip.lut_unit.n=32",
        "chip.lut_unit.k=3", "chip.lut_unit.arrays=1", "engine.tolerance=0.01",
    ])  # fmt: skip
    simulated = simulate(config).total_ps / 1e12
    assert float(Twin(config).evaluate({}).latency_s[0]) == pytest.approx(simulated, rel=0.07)
