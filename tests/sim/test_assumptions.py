"""What docs/assumptions.md says of mappings and chips is what plans do; numbers are those of its entries."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pytest

from cairn.base.errors import InfeasibleError
from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.dram.stack.device import tick_ps
from cairn.sim.config.run_config import load
from cairn.sim.mapping.choose import choose_matmul
from cairn.sim.mapping.grid import all_splits
from cairn.sim.mapping.matmul_cost import STREAM_TILES, CoreRates, MatmulShape, Product, matmul_costs
from cairn.sim.mapping.memory import Memory
from cairn.sim.mapping.options import BankPlacement, MappingSpec, Paradigm
from cairn.sim.mapping.sequence import whole_grid
from cairn.sim.plan import actions
from cairn.sim.plan.builder import PlanBuilder, Region, Slice, Tile
from cairn.sim.plan.plan import CAUSES, COMPUTE, COMPUTE_COLUMNS, COPY_COLUMNS, DRAM, SRAM
from cairn.sim.record import RunRecord
from cairn.sim.run import run_plan, simulate

IntArray = npt.NDArray[np.int64]

LAYER = ("model.layers=1", "workload.lm_head=false", "workload.embedding=false", "workload.context=64")
SMALL = (
    "chip.dram.capacity_gb=100", "model.hidden=256", "model.layers=1", "model.vocab=1000", "model.moe.width=128",
    "model.attention.heads=4", "model.attention.kv_heads=4", "workload.lm_head=false", "workload.context=16",
)  # fmt: skip
PROMPT = (*LAYER[:3], "workload.phase=prefill", "workload.context=null", "workload.batch=1", "workload.new_tokens=48")


@lru_cache(maxsize=16)
def run(*settings: str) -> RunRecord:
    return simulate(load("demo", settings))


def copies(record: RunRecord) -> dict[str, IntArray]:
    return {name: record.plan.copies[:, index] for index, name in enumerate(COPY_COLUMNS)}


def tiles(record: RunRecord, action: int) -> dict[str, IntArray]:
    """The tiles of an action, and the core that each is on."""
    plan = record.plan
    tasks = np.flatnonzero(plan.kind == COMPUTE)
    tasks = tasks[plan.compute[plan.row[tasks], COMPUTE_COLUMNS.index("action")] == action]
    table = plan.compute[plan.row[tasks]]
    core = np.array([queue.core for queue in plan.queues])[plan.queue[tasks]]
    unit = np.array([queue.unit for queue in plan.queues])[plan.queue[tasks]]
    cycles = plan.duration[tasks] * record.chip.clock.den // record.chip.clock.num
    work = cycles - record.chip.synchronisation.task_issue_cycles
    names = {name: table[:, index] for index, name in enumerate(COMPUTE_COLUMNS)}
    return {"core": core, "matrix": unit == "matrix", "cycles": work} | names


def named(record: RunRecord, column: IntArray, end: str) -> npt.NDArray[np.bool_]:
    """Copies of a tensor whose name ends so."""
    of = np.array([name.endswith(end) for name in record.plan.tensors])
    return of[column]


def test_starting_a_task_costs_the_issue_and_a_barrier_its_own_cycles() -> None:  # 7
    chip = ChipSpec(name="c", source="test", clock_ghz=1.0)
    plan = PlanBuilder(chip)
    done = plan.compute([0, 1], "matrix", Tile(plan.operator("a"), actions.MATMUL), [5, 9])
    plan.sync(done, 1, chip.synchronisation.barrier_cycles)
    trace = run_plan(plan.build(), chip)
    issue, barrier = chip.synchronisation.task_issue_cycles, chip.synchronisation.barrier_cycles
    assert (trace.end[:2] == [1000 * (5 + issue), 1000 * (9 + issue)]).all()
    assert trace.makespan == 1000 * (9 + issue + barrier)


def test_simulating_a_few_layers_is_close_to_simulating_all() -> None:  # 8
    few, exact = run("model.layers=16"), run("model.layers=16", "engine.exact=true")
    assert few.repetitions[0].simulated < 16 == exact.repetitions[0].simulated
    assert few.total_ps == pytest.approx(exact.total_ps, rel=2e-3)


@pytest.mark.parametrize("bits", [16, 8, 2, 1.6])
def test_a_tile_takes_as_long_at_any_precision(bits: float) -> None:  # 20
    chip = ChipSpec(name="c", source="test")
    assert chip.matrix_cycles(64, 96, 512, bits, bits, bits) == chip.matrix_unit.tile_cycles(64, 96, 512)


@pytest.mark.parametrize("ports", [(32, 16), (8, 4)])
def test_a_load_takes_what_the_channel_takes_whatever_the_ports_of_the_sram(ports: tuple[int, int]) -> None:  # 24, 30
    read, write = ports
    chip = load("demo", [f"chip.sram.read_bytes_per_cycle={read}", f"chip.sram.write_bytes_per_cycle={write}"]).chip
    plan = PlanBuilder(chip)
    data = Slice(plan.tensor("w"), (0, 1), (0, 16), chip.dram.burst_bytes)
    plan.copy(Region(DRAM, 3, data, (0, 1, 0, chip.dram.row_bytes, 0)), Region(SRAM, 3, data), plan.operator("a"))
    slot = -(-chip.dram.slot_ticks(chip.channels) // 1)
    expected = chip.dram.timing_ticks("t_rcd") + chip.dram.timing_ticks("t_cl") + slot
    tick = float(tick_ps(chip.dram, chip.channels))  # a command issues in the tick after the arrival
    assert run_plan(plan.build(), chip).makespan == pytest.approx(expected + tick, abs=1)


@pytest.mark.parametrize("tokens", [1, 40, 3000])
def test_blocks_of_a_product_fit_the_sram_beside_four_tiles_or_the_design_is_infeasible(tokens: int) -> None:  # 25
    chip, options = load("demo").chip, MappingSpec()
    grid = whole_grid(chip, options)
    rates = CoreRates.of(chip, grid, options)
    mapping = choose_matmul(MatmulShape(tokens, 4096, 8192, 16, 16, 16), chip, grid, options)
    assert mapping.act_bytes <= rates.sram_bytes - STREAM_TILES * rates.tile_bytes
    with pytest.raises(InfeasibleError, match=r"SRAM of a core for a 1 x \d+ x 64 product"):
        choose_matmul(MatmulShape(1, 64, 1 << 24, 16, 16, 16), chip, grid, options)


@pytest.mark.parametrize("settings", [LAYER, PROMPT], ids=["decode", "prefill"])
def test_every_core_loads_its_weights_from_its_own_channel(settings: tuple[str, ...]) -> None:  # 35
    record = run(*settings)
    table = copies(record)
    weights = (table["source_kind"] == DRAM) & named(record, table["tensor"], "_w")
    assert weights.any()
    assert (record.chip.channel_of(table["destination"][weights]) == table["source"][weights]).all()


@pytest.mark.parametrize("placement", BankPlacement)
def test_no_place_in_a_channel_is_handed_out_twice(placement: BankPlacement) -> None:  # 37
    chip = load("demo").chip
    memory = Memory(chip, placement)
    bytes_of = 3 * chip.dram.row_bytes
    taken: set[tuple[int, int]] = set()
    for _ in range(40):
        bank, count, row, stripe, offset = memory.place(bytes_of).at(0)
        stripes = np.arange(offset, offset + bytes_of, stripe) // stripe
        depth = row + stripes // count * stripe // chip.dram.row_bytes
        mine = set(zip((bank + stripes % count).tolist(), depth.tolist(), strict=True))
        assert not mine & taken
        taken |= mine


@pytest.mark.parametrize("settings", [LAYER, PROMPT], ids=["decode", "prefill"])
def test_only_weights_and_caches_pass_between_dram_and_cores(settings: tuple[str, ...]) -> None:  # 38
    record = run(*settings)
    table = copies(record)
    caches = named(record, table["tensor"], "_cache")
    assert caches[table["destination_kind"] == DRAM].all()
    assert (caches | named(record, table["tensor"], "_w"))[table["source_kind"] == DRAM].all()


def test_new_keys_of_a_prefill_are_written_and_read_back() -> None:  # 39
    record = run(*PROMPT)
    table = copies(record)
    written = table["bytes"][table["destination_kind"] == DRAM].sum()
    spilled = table["bytes"][table["cause"] == CAUSES.index("spill")].sum()
    assert written == sum(count for op in record.graph.segments[0].block.operators for _, count in op.writes)
    assert spilled >= written


def test_the_newest_keys_of_a_decode_step_are_written_and_not_read() -> None:  # 40
    record = run(*LAYER)
    table = copies(record)
    caches = named(record, table["tensor"], "_cache")
    reads = caches & (table["source_kind"] == DRAM)
    assert table["r1"][reads].max() == 63 and table["r1"][caches].max() == 64
    assert not (table["cause"] == CAUSES.index("spill")).any()


@pytest.mark.parametrize("bits", [16, 32])
def test_partial_sums_travel_in_the_bits_that_the_mapping_says(bits: int) -> None:  # 41
    table = copies(run(*LAYER, f"mapping.partial_sum_bits={bits}"))
    sums = table["reduce"] == 1
    size = (table["r1"] - table["r0"]) * (table["c1"] - table["c0"]) * bits // 8
    assert sums.any() and (table["bytes"][sums] == size[sums]).all()


def test_scores_leave_the_matrix_unit_in_two_bytes_each() -> None:  # 42
    record = run(*PROMPT, "chip.sram.write_bytes_per_cycle=1")  # so narrow that writing is all that counts
    tile = tiles(record, actions.SCORES)
    heads = record.graph.segments[0].block.operators
    attention = next(op.attention for op in heads if op.name == "attention")
    assert attention is not None
    scores = (tile["m1"] - tile["m0"]) * attention.heads // attention.kv_heads * (tile["n1"] - tile["n0"])
    assert scores.size and (tile["cycles"] == 2 * scores).all()


def test_statistics_of_a_norm_are_eight_bytes_a_row() -> None:  # 44
    record = run(*LAYER)
    table = copies(record)
    mine = named(record, table["tensor"], ".statistics")
    assert mine.any() and (table["bytes"][mine] == 8 * (table["r1"] - table["r0"])[mine]).all()


def test_each_core_turns_its_own_copy_of_a_query() -> None:  # 45
    record = run(*LAYER, "model.attention={heads: 4, kv_heads: 4}", "workload.batch=1")
    tile = tiles(record, actions.ROPE)
    queries = tile["n1"] <= record.graph.segments[0].block.tensor("attention").columns
    places = set(zip(tile["m0"][queries].tolist(), tile["n0"][queries].tolist(), strict=True))
    assert int(queries.sum()) > len(places) == 4


def test_the_routing_decision_goes_whole_to_every_core_that_needs_it() -> None:  # 46
    record = run("model=mixtral-8x7b", *SMALL)
    table = copies(record)
    mine = named(record, table["tensor"], "/top_k") & (table["cause"] == CAUSES.index("share"))
    tokens = record.graph.tokens
    rows = np.bincount(table["destination"][mine], (table["r1"] - table["r0"])[mine], minlength=16)
    made = set(tiles(record, actions.TOP_K)["core"].tolist())
    assert all(rows[core] == tokens - (core in made) for core in range(16) if rows[core])
    assert rows.any()


def test_few_experts_are_worked_on_by_all_cores_and_many_have_cores_of_their_own() -> None:  # 47
    spread = []
    for experts in (8, 64):
        record = run("model=mixtral-8x7b", *SMALL, f"model.moe.experts={experts}", "workload.batch=64")
        tile = tiles(record, actions.MATMUL)
        mine = np.array([name.endswith("experts_gate_up") for name in record.plan.operators])[tile["op"]]
        pairs = np.unique(np.stack([tile["op"], tile["group"], tile["core"]], axis=1)[mine], axis=0)
        spread.append(len(pairs) / len(np.unique(pairs[:, :2], axis=0)))
    assert spread[0] == 16 and spread[1] < 2


def test_dataflow_reads_weights_once_for_each_micro_batch() -> None:  # 48
    base = ("model.layers=4", *LAYER[1:])
    read = []
    for paradigm in ("compute_shift", "dataflow"):
        record = run(*base, f"mapping.paradigm={paradigm}")
        table = copies(record)
        mine = named(record, table["tensor"], "qkv_w") & (table["cause"] == CAUSES.index("unique"))
        read.append(int(table["bytes"][mine].sum()))
    assert read[1] == 4 * read[0]


@pytest.mark.parametrize("paradigm", [Paradigm.COMPUTE_SHIFT, Paradigm.SPMD])
def test_the_cheapest_split_is_taken_and_none_costs_less_than_its_slowest_resource(paradigm: Paradigm) -> None:  # 49
    chip, options = load("demo").chip, MappingSpec(paradigm=paradigm)
    grid = whole_grid(chip, options)
    shape = MatmulShape(4, 1536, 1536, 8, 2, 16)
    split = np.array([i for i, split in enumerate(all_splits(4, 4)) if split.sizes[0] <= shape.m])
    rates = CoreRates.of(chip, grid, options)
    product = Product.of(shape, rates, grid, options)
    cost = matmul_costs(product, 0 * split, split, np.zeros(split.size), rates.dram_bytes_per_cycle)
    assert (cost.total >= np.maximum(cost.compute, cost.dram)).all()
    assert choose_matmul(shape, chip, grid, options).cycles == cost.total.min()


def test_a_recurrent_step_is_one_product_of_twice_the_key_dimension_and_32_bit_results() -> None:  # 50
    record = run("model=retnet-1.3b", "model.vocab=1000", *LAYER)
    tile = tiles(record, actions.STATE)
    mine = tile["matrix"]
    m, n, k = ((tile[f"{axis}1"] - tile[f"{axis}0"])[mine] for axis in "mnk")
    assert mine.any() and (tile["cycles"][mine] == record.chip.matrix_cycles(m, n, 2 * k, 16, 16, 32)).all()
