"""Mapping choices of whole blocks: each product in view of where the one before left its result."""

from __future__ import annotations

import numpy as np
import pytest

from cairn.hw_models.noc.analytical import link_loads
from cairn.hw_models.noc.spec import NocSpec, NocTopology
from cairn.sim.config.run_config import RunConfig, load
from cairn.sim.mapping.arrangement import arrangement_load
from cairn.sim.mapping.choices import choose_block, matmul_shape
from cairn.sim.mapping.choose import NO_SPLIT, choose_matmul, choose_splits
from cairn.sim.mapping.grid import Grid, Split, all_splits, bounds, ranks_of
from cairn.sim.mapping.matmul_cost import CoreRates, MatmulShape, Product, matmul_costs
from cairn.sim.mapping.sequence import whole_grid
from cairn.sim.run import simulate
from cairn.workloads.build import build_graph
from cairn.workloads.graph import Block, OpKind

ROW_N, COLUMN_N = Split((1, 1), (4, 1), (1, 4)), Split((1, 1), (1, 4), (4, 1))


def layer_of(config: RunConfig) -> Block:
    graph = build_graph(config.model, config.workload, config.routing, config.seed)
    return next(segment.block for segment in graph.segments if segment.repeat > 1)


@pytest.mark.parametrize("topology", [NocTopology.MESH, NocTopology.TORUS, NocTopology.ALL_TO_ALL])
def test_parts_that_lie_where_they_are_wanted_load_no_link(topology: NocTopology) -> None:
    assert arrangement_load(topology, Grid(4, 4, 4), ROW_N, COLUMN_N) == 0
    assert arrangement_load(topology, Grid(4, 4, 4), ROW_N, ROW_N) > 0


@pytest.mark.parametrize(("side", "load"), [(4, 3.0), (16, 15.0)])
def test_a_transposition_sends_a_row_of_parts_through_its_corner(side: int, load: float) -> None:
    split = Split((1, 1), (1, side), (side, 1))
    assert arrangement_load(NocTopology.MESH, Grid(side, side, side), split, split) == load


def test_a_product_is_costed_at_the_bits_of_its_operands_where_sram_feeds_the_matrix_unit() -> None:
    config = load("demo", ["chip.sram.read_bytes_per_cycle=4", "chip.sram.write_bytes_per_cycle=4"])
    rates = CoreRates.of(config.chip, Grid(4, 4, 4), config.mapping)
    wide, narrow = MatmulShape(64, 64, 256, 16, 16, 16), MatmulShape(64, 64, 256, 8, 4, 16)
    found = [int(rates.cycles(shape, 64, 64, 256)) for shape in (wide, narrow)]
    assert found == [int(config.chip.matrix_cycles(64, 64, 256, *bits)) for bits in ((16, 16, 16), (8, 4, 16))]
    assert found[1] < 0.6 * found[0]


@pytest.mark.parametrize("seed", range(8))
def test_loads_are_those_of_the_bytes_of_an_evenly_cut_tensor(seed: int) -> None:
    rng, grid, rows, columns = np.random.default_rng(seed), Grid(4, 6, 6), 144, 3456
    splits = all_splits(4, 6)
    before, after = (splits[i] for i in rng.integers(len(splits), size=2))
    owner = np.empty((2, rows, columns), dtype=np.int64)
    for which, split in enumerate((before, after)):
        gm, gn, gk = split.sizes
        blocks, parts = (gn, gk) if which == 0 else (gk, gn)  # y in n blocks, x in k blocks
        m, c = bounds(rows, gm), bounds(columns, blocks)
        index = ranks_of(split, 4, 6, grid.placement).index
        for i in range(gm):
            for j in range(blocks):
                cut = c[j] + bounds(int(c[j + 1] - c[j]), parts)
                for part in range(parts):
                    core = index[i, j, part] if which == 0 else index[i, part, j]
                    owner[which, m[i] : m[i + 1], cut[part] : cut[part + 1]] = core
    traffic = np.bincount((owner[0] * 24 + owner[1]).ravel(), minlength=24 * 24).reshape(24, 24)
    busiest = max(int(load.max()) for load in link_loads(NocSpec(), 4, 6, traffic))
    expected = busiest / (rows * columns / 24)
    assert arrangement_load(NocTopology.MESH, grid, before, after) == pytest.approx(expected, rel=1e-12)


def test_a_product_takes_its_input_from_where_the_one_before_left_it() -> None:
    config = load("llama-2-13b-decode")
    grid = whole_grid(config.chip, config.mapping)
    block = layer_of(config)
    choices = choose_block(block, config.chip, grid, config.mapping)
    for first, second in (("o", "gate_up"), ("gate_up", "down"), ("down", "qkv")):
        load_now = arrangement_load(config.chip.noc.topology, grid, choices[first].split, choices[second].split)
        assert load_now == 0, (first, second)
    down = next(op for op in block.operators if op.name == "down")
    alone = choose_matmul(matmul_shape(block, down, config.mapping), config.chip, grid, config.mapping)
    assert alone.cycles <= choices["down"].cycles


@pytest.mark.parametrize("run", ["llama-2-13b-decode", "llama-2-13b-prefill"])
@pytest.mark.parametrize("before", [NO_SPLIT, 40])
def test_at_every_rate_of_the_dram_the_cheapest_of_all_splits_is_chosen(run: str, before: int) -> None:
    config = load(run, ["chip.cores.rows=4", "chip.cores.columns=6"])
    grid, topology = whole_grid(config.chip, config.mapping), config.chip.noc.topology
    rates, splits = CoreRates.of(config.chip, grid, config.mapping), all_splits(4, 6)
    dram = np.geomspace(0.01, 1e4, 300)
    zero, every = np.zeros(dram.size, dtype=np.int64), np.arange(len(splits))
    loads = np.zeros(every.size)
    if before != NO_SPLIT:
        loads = np.array([arrangement_load(topology, grid, splits[before], split) for split in splits])
    block, chosen = layer_of(config), set()
    for operator in (operator for operator in block.operators if operator.kind is OpKind.MATMUL):
        shape = matmul_shape(block, operator, config.mapping)
        ways = choose_splits(shape, rates, grid, topology, config.mapping, zero + before, zero, dram)
        product = Product.of(shape, rates, grid, config.mapping)
        for design, rate in enumerate(dram):
            total = matmul_costs(product, 0 * every, every, loads, rate).total
            total[~product.fits] = np.inf
            assert total[ways.of("split")[design]] == total.min()
        chosen |= set(ways.of("split").tolist())
    assert len(chosen) > 2  # or the rates would not decide


MODELS = ("bitnet-b1.58-3b", "gpt-2-medium", "mixtral-8x7b", "retnet-1.3b", "deepseek-v2-lite-16b")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("paradigm", ["compute_shift", "spmd"])
def test_every_product_of_a_block_has_a_mapping_that_depends_on_the_block_alone(model: str, paradigm: str) -> None:
    config = load("demo", [f"model={model}", f"mapping.paradigm={paradigm}"])
    grid = whole_grid(config.chip, config.mapping)
    graph = build_graph(config.model, config.workload, config.routing, config.seed)
    for block in {segment.block.name: segment.block for segment in graph.segments}.values():
        first = choose_block(block, config.chip, grid, config.mapping)
        assert set(first) == {op.name for op in block.operators if op.kind is OpKind.MATMUL}
        assert first == choose_block(block, config.chip, grid, config.mapping)


def test_the_gate_is_applied_while_the_product_before_it_still_computes() -> None:
    settings = ["model.layers=2", "engine.exact=true", "chip.noc.link_bytes_per_cycle=2"]
    record = simulate(load("demo", settings))
    plan, trace = record.plan, record.trace
    numbers = {name.split("/")[1]: i for i, name in enumerate(plan.operators) if name.startswith("layer/")}
    products = (plan.op == numbers["gate_up"]) & (plan.block == plan.block.max() - 1)
    gates = (plan.op == numbers["ffn_act"]) & (plan.block == plan.block.max() - 1)
    assert trace.start[gates].min() < trace.end[products].max()
