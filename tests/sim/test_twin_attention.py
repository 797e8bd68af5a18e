"""Attention in the twin: keys are stored while the first of them are read, and cores read the same keys one by one."""

from __future__ import annotations

import pytest

from cairn.hw_models.noc.spec import NocTopology
from cairn.sim.config.run_config import load
from cairn.sim.mapping.grid import Grid
from cairn.sim.run import simulate
from cairn.sim.twin.attention import load_of
from cairn.sim.twin.traffic import AS_LINKS
from cairn.sim.twin.twin import Twin
from cairn.workloads.build import build_graph

PREFILL = ("model=llama-2-7b", "model.layers=2", "engine.exact=true", "workload.lm_head=false")
CORES = (
    "chip.cores.rows=16", "chip.cores.columns=16", "chip.matrix_unit.rows=64", "chip.matrix_unit.columns=64",
    "chip.vector_unit.lanes=64", "chip.sram.capacity_kib=8192", "chip.sram.read_bytes_per_cycle=256",
    "chip.sram.write_bytes_per_cycle=128", "chip.sram.bank_width_bytes=32",
)  # fmt: skip


def test_a_prefill_that_waits_for_its_keys_is_as_long_as_the_simulator_says() -> None:
    """8.5 % too long; reading keys only after the last one is stored would add another 3.4 %."""
    config = load("llama-2-13b-prefill", [*PREFILL, *CORES, "chip.dram.bandwidth_gb_per_s=537"])
    assert Twin(config).evaluate({}).latency_s[0] * 1e12 == pytest.approx(simulate(config).total_ps, rel=0.1)


@pytest.mark.parametrize(("tile", "asked"), [(128, 16), (256, 16), (512, 16)])
def test_the_cores_of_a_head_all_ask_for_its_first_keys_at_first(tile: int, asked: int) -> None:
    """16 cores a head; a head has a home for each of its tiles, and the homes of no other head."""
    config = load("llama-2-13b-prefill", [*PREFILL, *CORES])
    graph = build_graph(config.model, config.workload, config.routing, config.seed)
    operators = (op for segment in graph.segments for op in segment.block.operators)
    attention = next(op.attention for op in operators if op.attention is not None)
    width = 2 * 2 * attention.head_dim
    of = load_of(attention, NocTopology.MESH, Grid(16, 32, 32), 64, tile, float(width), AS_LINKS)
    assert of.asked_first == asked * tile * width
    assert of.space == attention.requests[0].new * width  # some see all keys, step by step
