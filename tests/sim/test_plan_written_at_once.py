"""Lowering writes many steps at once; the plan is the one of steps that are written one by one."""

from __future__ import annotations

import numpy as np
import pytest

from cairn.sim.config.run_config import load
from cairn.sim.mapping import attention, matmul, product_tiles
from cairn.sim.mapping.product_work import Work
from cairn.sim.mapping.schedule import Stretch
from cairn.sim.mapping.sequence import straight
from cairn.sim.plan.plan import COMPUTE, COPY, Edges, Plan
from cairn.workloads.build import build_graph

IntArray = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


def _plan(run: str, *settings: str) -> Plan:
    config = load(run, ["model.layers=2", *settings])
    graph = build_graph(config.model, config.workload, config.routing, config.seed)
    return straight(config, graph, 2)[1].build()


def _sorted(edges: Edges) -> list[tuple[int, int]]:
    source = np.repeat(np.arange(edges.start.size - 1), np.diff(edges.start))
    return sorted(zip(source.tolist(), edges.targets.tolist(), strict=True))


def _assert_same(one: Plan, other: Plan) -> None:
    """Task by task, whatever rows of side tables and places among a task's successors they have."""
    for name in ("queue", "duration", "server", "op", "block", "kind", "waits"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    for kind, table in ((COMPUTE, "compute"), (COPY, "copies")):
        rows = [getattr(plan, table)[plan.row[plan.kind == kind]] for plan in (one, other)]
        assert np.array_equal(*rows), table
    for server, tables in enumerate(zip(one.requests, other.requests, strict=True)):
        rows = [table[plan.request[plan.server == server]] for plan, table in zip((one, other), tables, strict=True)]
        assert np.array_equal(*rows)
    assert _sorted(one.on_done) == _sorted(other.on_done)
    assert _sorted(one.on_first) == _sorted(other.on_first)


SMALL = "model=llama-3.2-1b", "chip.cores.rows=4", "chip.cores.columns=8"


@pytest.mark.parametrize(
    "settings",
    [
        ("llama-2-13b-decode", "workload.batch=4", "workload.context=700", "chip.sram.capacity_kib=256"),
        ("llama-3-70b-decode", "workload.batch=2", "workload.context=[900,130]"),
        ("demo", "workload.kv_append=false"),
        ("llama-2-13b-prefill", *SMALL, "workload.new_tokens=200"),
        ("llama-2-13b-prefill", *SMALL, "workload.new_tokens=90", "workload.cached_tokens=70", "workload.batch=2"),
        ("llama-2-13b-prefill", *SMALL, "model=mistral-7b", "workload.new_tokens=150", "workload.cached_tokens=4090"),
    ],
)
def test_an_attention_streams_keys_as_step_by_step(settings: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = _plan(*settings)
    monkeypatch.setattr(attention, "can_stream_at_once", lambda job: False)
    _assert_same(at_once, _plan(*settings))


PREFILL = "llama-2-13b-prefill", *SMALL, "workload.new_tokens=2048", "chip.sram.capacity_kib=4096"


@pytest.mark.parametrize("paradigm", ["compute_shift", "spmd"])
def test_tiles_of_a_product_are_those_of_one_step_at_a_time(paradigm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of some products are loaded by each core, those of others pass from sharer to sharer."""
    sharers = set()

    def watched(work: Work, stretch: Stretch) -> IntArray:
        sharers.add(work.mapping.sharers)
        return product_tiles.multiply_columns(work, stretch)

    monkeypatch.setattr(matmul, "multiply_columns", watched)
    at_once = _plan(*PREFILL, f"mapping.paradigm={paradigm}")
    monkeypatch.setattr(product_tiles, "AT_ONCE", 1)
    _assert_same(at_once, _plan(*PREFILL, f"mapping.paradigm={paradigm}"))
    assert sharers > {1}
