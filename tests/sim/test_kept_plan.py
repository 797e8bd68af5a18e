"""A plan that is kept for runs that differ in the bandwidth of the DRAM alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from cairn.sim.config.run_config import RunConfig, load
from cairn.sim.mapping.kept import KeptPlan, Work, plan_key
from cairn.sim.mapping.sequence import straight
from cairn.sim.mapping.steady import Written
from cairn.sim.plan.plan import Plan
from cairn.sim.run import simulate
from cairn.workloads.build import build_graph

BLOCKS = Written(3, 3)
PREFILL = (
    "model=llama-3.2-1b", "model.layers=3", "workload.new_tokens=256", "chip.cores.rows=4", "chip.cores.columns=4",
    "chip.sram.capacity_kib=512", "fidelity.products=merged",
)  # fmt: skip
BANDWIDTHS = (400, 500, 1000, 2000, 6000, 24000)


def prefill(bandwidth: float, *overrides: str) -> RunConfig:
    return load("llama-2-13b-prefill", [*PREFILL, f"chip.dram.bandwidth_gb_per_s={bandwidth}", *overrides])


def key_and_plan(config: RunConfig) -> tuple[object, Plan]:
    graph = build_graph(config.model, config.workload, config.routing, config.seed)
    return plan_key(config, graph, BLOCKS), straight(config, graph, BLOCKS)[1].build()


class Counting(KeptPlan):
    """Counts how often a plan was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = 0

    def of(self, key: tuple[object, ...], write: Callable[[], Work]) -> Work:
        def counted() -> Work:
            self.written += 1
            return write()

        return super().of(key, counted)


def test_runs_with_one_key_have_one_plan() -> None:
    plans: dict[object, list[Plan]] = {}
    for bandwidth in BANDWIDTHS:
        key, plan = key_and_plan(prefill(bandwidth))
        plans.setdefault(key, []).append(plan)
    assert 1 < len(plans) < len(BANDWIDTHS)  # the splits depend on the bandwidth, but not on every step of it
    for first, *others in plans.values():
        for other in others:
            for name in ("queue", "duration", "request", "waits", "op", "block", "row", "compute", "copies"):
                assert np.array_equal(getattr(first, name), getattr(other, name))
            for edges in ("on_first", "on_done"):
                assert np.array_equal(getattr(first, edges).targets, getattr(other, edges).targets)
            assert all(np.array_equal(a, b) for a, b in zip(first.requests, other.requests, strict=True))


@pytest.mark.parametrize(
    "other",
    ["chip.sram.capacity_kib=1024", "chip.cores.rows=2", "workload.new_tokens=128", "mapping.tile_kib=8",
     "fidelity.products=full", "chip.dram.row_bytes=2048", "chip.noc.hop_cycles=3"],
)  # fmt: skip
def test_a_run_that_differs_in_anything_else_has_another_key(other: str) -> None:
    configs = prefill(2000), prefill(2000, other)
    keys = [plan_key(c, build_graph(c.model, c.workload, c.routing, c.seed), BLOCKS) for c in configs]
    assert keys[0] != keys[1]


def test_a_kept_plan_is_written_once_and_its_runs_are_those_of_plans_of_their_own() -> None:
    kept = Counting()
    bandwidths = (2000, 6000, 6000.5)
    keys = {repr(key_and_plan(prefill(bandwidth))[0]) for bandwidth in bandwidths}
    for bandwidth in bandwidths:
        record, alone = simulate(prefill(bandwidth), kept=kept), simulate(prefill(bandwidth))
        assert record.total_ps == alone.total_ps
        assert np.array_equal(record.trace.end, alone.trace.end)
        assert np.array_equal(record.block_weight, alone.block_weight)
    assert kept.written == len(keys) < len(bandwidths)
