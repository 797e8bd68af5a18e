"""Unfused attention: caches are read once and appended to as in fused attention; scores that do not fit spill."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from cairn.base.errors import InfeasibleError
from cairn.sim.config.run_config import load
from cairn.sim.plan import actions
from cairn.sim.plan.plan import CAUSES, COMPUTE_COLUMNS, COPY_COLUMNS, DRAM
from cairn.sim.record import RunRecord
from cairn.sim.run import simulate
from cairn.workloads.graph import Role

RUN = """\
schema: cairn.run/1
name: small
chip: tiny
model:
  name: small
  source: "assumed: a test"
  layers: 2
  hidden: 256
  vocab: 512
  attention: {attention}
  ffn: {{width: 512}}
workload: {workload}
mapping: {{paradigm: {paradigm}{stages}}}
"""

GROUPED = "{heads: 8, kv_heads: 4}"
WINDOW = "{heads: 8, kv_heads: 2, window: 48}"
LATENT = (
    "{heads: 8, mla: {q_lora_rank: 64, kv_lora_rank: 32, qk_nope_head_dim: 32, qk_rope_head_dim: 16, v_head_dim: 32}}"
)
DECODE = "{phase: decode, batch: 2, context: 100"
LONG = "{phase: decode, batch: 1, context: 12000"
PREFILL = "{phase: prefill, batch: 2, new_tokens: 96"
MIXED = "{phase: mixed, requests: [{new: 40, cached: 30}, {new: 1, cached: 200}]"
BEHIND = "{phase: prefill, batch: 1, new_tokens: 8, cached_tokens: 8000"

SMALL_SRAM = ("chip.sram.capacity_kib=32",)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@lru_cache
def run(folder: Path, how: str, attention: str, workload: str, paradigm: str, *settings: str) -> RunRecord:
    """A run of the small model with its attention fused or unfused."""
    stages = ", stages: 2" if paradigm == "dataflow" else ""
    text = RUN.format(attention=attention, workload=f"{workload}, attention: {how}}}", paradigm=paradigm, stages=stages)
    file = folder / "run.yaml"
    file.write_text(text, encoding="utf-8")
    return simulate(load(file, ["engine.exact=true", *settings]))


def moved(record: RunRecord, role: Role, *causes: str, writes: bool = False) -> int:
    """Bytes read from DRAM (or written there) of tensors of a role (scores: ACTIVATION) for these causes."""
    plan = record.plan
    roles = {t.name: t.role for s in record.graph.segments for t in s.block.tensors}
    mine = np.array([roles.get(name.split("/")[-1]) is role for name in plan.tensors])
    column = {name: plan.copies[:, index] for index, name in enumerate(COPY_COLUMNS)}
    side = column["destination_kind"] if writes else column["source_kind"]
    chosen = mine[column["tensor"]] & (side == DRAM) & np.isin(column["cause"], [CAUSES.index(c) for c in causes])
    return int(column["bytes"][chosen].sum())


def promised(record: RunRecord, kind: str) -> int:
    """Unique bytes of caches that the operators of the graph read or write."""
    caches = {t.name for s in record.graph.segments for t in s.block.tensors if t.role is Role.KV}
    return sum(
        segment.repeat * count
        for segment in record.graph.segments
        for operator in segment.block.operators
        for name, count in getattr(operator, kind)
        if name in caches
    )


def executed(record: RunRecord, *action: int) -> int:
    chosen = np.isin(record.plan.compute[:, 1], action)
    return int(record.plan.compute[chosen, COMPUTE_COLUMNS.index("ops")].sum())


@pytest.mark.parametrize("settings", [(), SMALL_SRAM], ids=["sram", "small sram"])
@pytest.mark.parametrize("paradigm", ["compute_shift", "spmd", "dataflow"])
@pytest.mark.parametrize("workload", [DECODE, PREFILL, MIXED], ids=["decode", "prefill", "mixed"])
@pytest.mark.parametrize("attention", [GROUPED, WINDOW, LATENT], ids=["grouped", "window", "latent"])
def test_caches_are_read_once_and_appended_to_as_the_operators_say(
    folder: Path, attention: str, workload: str, paradigm: str, settings: tuple[str, ...]
) -> None:
    record = run(folder, "unfused", attention, workload, paradigm, *settings)
    assert moved(record, Role.KV, "unique") == promised(record, "reads")
    assert moved(record, Role.KV, "append", writes=True) == promised(record, "writes") > 0
    matrix_ops = sum(s.repeat * o.matrix_ops for s in record.graph.segments for o in s.block.operators if o.attention)
    assert executed(record, actions.SCORES, actions.CONTEXT) >= matrix_ops > 0


@pytest.mark.parametrize("paradigm", ["compute_shift", "spmd", "dataflow"])
@pytest.mark.parametrize("workload", [DECODE, PREFILL, MIXED], ids=["decode", "prefill", "mixed"])
@pytest.mark.parametrize("attention", [GROUPED, WINDOW], ids=["grouped", "window"])
def test_fused_and_unfused_attention_have_the_same_unique_bytes_and_operations_of_the_matrix_unit(
    folder: Path, attention: str, workload: str, paradigm: str
) -> None:
    fused, unfused = (run(folder, how, attention, workload, paradigm) for how in ("fused", "unfused"))
    for causes, writes in ((("unique",), False), (("reread",), False), (("append",), True)):
        assert moved(fused, Role.KV, *causes, writes=writes) == moved(unfused, Role.KV, *causes, writes=writes)
    products = (actions.MATMUL, actions.SCORES, actions.CONTEXT)
    assert executed(fused, *products) == executed(unfused, *products)


@pytest.mark.parametrize("settings", [(), SMALL_SRAM], ids=["sram", "small sram"])
@pytest.mark.parametrize("attention", [GROUPED, LATENT], ids=["grouped", "latent"])
@pytest.mark.parametrize("workload", [DECODE, LONG, PREFILL, BEHIND], ids=["decode", "long", "prefill", "behind"])
def test_unfused_attention_is_not_faster_than_fused_but_for_the_order_of_queues(
    folder: Path, workload: str, attention: str, settings: tuple[str, ...]
) -> None:
    fused, unfused = (run(folder, how, attention, workload, "compute_shift", *settings) for how in ("fused", "unfused"))
    assert unfused.total_ps >= 0.98 * fused.total_ps  # in-order queues: tasks that wait may stand before others


def test_scores_stay_in_sram_where_they_fit_and_spill_where_they_do_not(folder: Path) -> None:
    kept = run(folder, "unfused", GROUPED, PREFILL, "compute_shift", "chip.sram.capacity_kib=1024")
    assert moved(kept, Role.ACTIVATION, *CAUSES) == moved(kept, Role.ACTIVATION, *CAUSES, writes=True) == 0
    spilled = run(folder, "unfused", GROUPED, PREFILL, "compute_shift", *SMALL_SRAM)
    written = moved(spilled, Role.ACTIVATION, "spill", writes=True)
    pairs = 2 * 2 * 8 * 96 * 97 // 2  # layers x requests x heads x pairs of tokens
    assert written >= 2 * 2 * pairs  # scores and probabilities, 2 bytes each
    assert moved(spilled, Role.ACTIVATION, "spill") == written  # soft-max reads the ones, the context the others
    assert spilled.total_ps > run(folder, "fused", GROUPED, PREFILL, "compute_shift", *SMALL_SRAM).total_ps


@pytest.mark.parametrize("workload", [LONG, BEHIND], ids=["rows over several cores", "rows that do not fit"])
def test_rows_that_no_core_has_whole_are_read_twice_by_the_soft_max(folder: Path, workload: str) -> None:
    record = run(folder, "unfused", GROUPED, workload, "compute_shift", *SMALL_SRAM)
    written = moved(record, Role.ACTIVATION, "spill", writes=True)
    assert 2 * moved(record, Role.ACTIVATION, "spill") == 3 * written > 0


def test_cores_that_share_rows_exchange_maximum_and_sum_up_and_down_a_tree(folder: Path) -> None:
    record = run(folder, "unfused", GROUPED, LONG, "compute_shift")
    plan = record.plan
    tensor = [index for index, name in enumerate(plan.tensors) if name.endswith("scores.statistics")]
    column = {name: plan.copies[:, index] for index, name in enumerate(COPY_COLUMNS)}
    mine = np.isin(column["tensor"], tensor)
    for cause in ("reduce", "share"):
        sent = mine & (column["cause"] == CAUSES.index(cause))
        assert sent.sum() == 2 * 4 * 3  # layers x key heads x parts but one, of 16 cores for 4 key heads
        assert (column["bytes"][sent] == 2 * 8).all()  # two query heads, maximum and sum in 32 bits
    assert (plan.compute[:, 1] == actions.MERGE).sum() == 2 * 2 * 4 * 3  # statistics, and results of the context


def test_an_sram_too_small_for_a_row_of_scores_is_infeasible(folder: Path) -> None:
    with pytest.raises(InfeasibleError) as caught:
        heads = "{heads: 2048, kv_heads: 1, head_dim: 4}"
        run(folder, "unfused", heads, PREFILL, "compute_shift", "chip.sram.capacity_kib=64")
    (reason,) = caught.value.reasons
    assert reason.constraint == "SRAM of a core for one row of a tile of scores"
    assert reason.demand == 2048 * 8 * 2  # query heads x keys of the narrowest tile x bytes
    assert "chip.sram.capacity_kib" in reason.remedy and "workload.attention" in reason.remedy
