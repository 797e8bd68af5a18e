"""Bytes and operations of lowered steps, for all families and paradigms: nothing is lost, nothing is made up."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from cairn.base.errors import InfeasibleError
from cairn.hw_models.dram import request as dram
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.dram.stack.server import build_stack_server, counters
from cairn.sim.config.run_config import RunConfig
from cairn.sim.record import RunRecord
from cairn.sim.report.padding import burst_padding
from cairn.sim.report.result import Result
from cairn.sim.run import simulate
from cairn.validation.suites.conservation.ledger import (
    matrix_operations,
    other_bytes,
    plan_against_graph,
    trace_against_plan,
    vector_operations,
)
from cairn.validation.suites.light.random_runs import random_run
from cairn.workloads.graph import Role

SEED = 11
FAMILIES = ("dense", "latent", "experts", "retnet", "mamba")


@cache
def drawn(family: str, paradigm: str, number: int) -> RunConfig:
    """The `number`-th random run of a family in a paradigm."""
    for index in range(400):
        config = random_run(SEED, index, paradigm)
        has_experts = config.model.moe is not None
        if config.model.name == family and (has_experts or family != "experts" or paradigm == "dataflow"):
            if number == 0:
                return config
            number -= 1
    raise LookupError(f"{family} was drawn too seldom")


@cache
def record_of(family: str, paradigm: str, number: int) -> RunRecord:
    return simulate(drawn(family, paradigm, number))


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("paradigm", ["compute_shift", "spmd", "dataflow"])
@pytest.mark.parametrize("family", FAMILIES)
def test_trace_plan_and_graph_agree_to_the_byte(family: str, paradigm: str, number: int) -> None:
    try:
        record = record_of(family, paradigm, number)
    except InfeasibleError:
        pytest.skip("the drawn model does not fit the drawn chip")
    pairs = trace_against_plan(record) | plan_against_graph(record)
    assert {name: pair.difference for name, pair in pairs.items() if pair.difference} == {}
    assert (matrix_operations(record).beyond >= 0).all()
    assert min(other_bytes(record).values()) >= 0
    required = vector_operations(record)
    assert (required.executed[required.required > 0] > 0).all()


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("family", ["dense", "latent", "retnet", "mamba"])
def test_a_prompt_in_micro_batches_adds_up_to_the_byte(family: str, number: int) -> None:
    configs = (random_run(SEED, index, "dataflow") for index in itertools.count())
    mine = (config for config in configs if config.model.name == family and config.mapping.stages > 1)
    content = next(itertools.islice(mine, number, None)).model_dump(mode="json", by_alias=True)
    content["model"]["layers"] = content["mapping"]["stages"] * (1, 2, 11)[number % 3]  # of 11 not all are simulated
    content["workload"] = {
        "phase": "prefill", "new_tokens": 29 + number, "cached_tokens": 11 * (number % 3), "kv_append": number != 5,
        "attention": ("fused", "unfused")[number % 2],
    }  # fmt: skip
    try:
        record = simulate(RunConfig.model_validate(content))
    except InfeasibleError:
        pytest.skip("the drawn model does not fit the drawn chip")
    pairs = trace_against_plan(record) | plan_against_graph(record)
    assert {name: pair.difference for name, pair in pairs.items() if pair.difference} == {}
    assert (matrix_operations(record).beyond >= 0).all()
    recurrent = family in ("retnet", "mamba")
    assert (other_bytes(record)["spill"] > 0) == (recurrent or number != 5)


def tiny(**changes: object) -> RunConfig:
    """A small dense model that decodes on two by three cores; `changes` replace whole parts."""
    content: dict[str, object] = {
        "name": "tiny",
        "chip": {
            "name": "c", "source": "t", "cores": {"rows": 2, "columns": 3}, "matrix_unit": {"rows": 4, "columns": 4},
            "sram": {"capacity_kib": 64}, "dram": {"bandwidth_gb_per_s": 60, "capacity_gb": 1},
        },
        "model": {
            "name": "m", "source": "t", "layers": 2, "hidden": 50, "vocab": 61,
            "attention": {"heads": 5, "head_dim": 10}, "ffn": {"width": 77},
        },
        "workload": {"phase": "decode", "batch": 3, "context": 40},
    }  # fmt: skip
    return RunConfig.model_validate(content | changes)


@pytest.mark.parametrize("bits", [(1.58, 1.6), (1.58, 2), (3, 3), (4, 4)])
def test_weights_of_a_few_bits_are_read_once_however_the_columns_are_cut(bits: tuple[float, float]) -> None:
    model = tiny().model
    precision = model.precision.model_copy(
        update={"weight_bits": bits[0], "weight_storage_bits": bits[1], "norm_bits": 4.0}
    )
    record = simulate(tiny(model=model.model_copy(update={"precision": precision})))
    assert plan_against_graph(record)["unique_read"].difference == 0


def test_a_decode_step_executes_no_matrix_operation_in_vain() -> None:
    operations = matrix_operations(simulate(tiny()))
    assert operations.beyond.tolist() == [0] * operations.required.size
    assert operations.required.sum() > 0


def test_masked_scores_of_a_prefill_stand_beyond_what_is_required() -> None:
    record = simulate(tiny(workload={"phase": "prefill", "batch": 1, "new_tokens": 24}))
    beyond = matrix_operations(record).beyond
    kinds = {info.kind for info, count in zip(record.operators, beyond, strict=False) if count}
    assert kinds == {"attention"}
    assert beyond.min() == 0


def test_a_pipeline_of_models_with_one_layer_runs_that_layer() -> None:
    model = tiny().model.model_copy(update={"layers": 1})
    record = simulate(tiny(model=model, mapping={"paradigm": "dataflow", "stages": 1}))
    assert record.block_weight.tolist() == [1, 1, 1]
    assert plan_against_graph(record)["unique_read"].difference == 0


@pytest.mark.parametrize("form", ["fused", "unfused"])
@pytest.mark.parametrize("window", [5, 9, 20, 33])
def test_a_micro_batch_reads_so_many_keys_from_before_the_step_as_its_window_shows(window: int, form: str) -> None:
    model = tiny().model.model_dump(mode="json", by_alias=True)
    model["attention"]["window"] = window
    workload = {"phase": "prefill", "new_tokens": 17, "cached_tokens": 30, "attention": form}
    mapping = {"paradigm": "dataflow", "stages": 2, "tile_kib": 1}
    record = simulate(tiny(model=model, workload=workload, mapping=mapping))
    assert plan_against_graph(record)["unique_read"].difference == 0
    read = {info.block: info.read_bytes for info in record.operators if info.name in ("attention", "scores")}
    rows = [min(window - 1, 30), max(0, min(window - 1, 38) - 8)]  # 8 new tokens before the 9 of the second
    caches = 2 if form == "fused" else 1
    assert list(read.values()) == [count * caches * 5 * 10 * 2 for count in rows]


def test_the_ledger_notices_bytes_that_a_plan_lacks_and_a_channel_that_counts_wrong() -> None:
    record = simulate(tiny())
    copies = record.plan.copies.copy()
    copies[0, 10] += 1
    assert plan_against_graph(replace(record, plan=replace(record.plan, copies=copies)))["unique_read"].difference == 1
    requests = (record.plan.requests[0].copy(), record.plan.requests[1])
    requests[0][0, dram.R_BYTES] -= 1
    broken = replace(record, plan=replace(record.plan, requests=requests))
    assert trace_against_plan(broken)["dram_read"].difference == 1
    late = replace(record.trace, end=record.trace.start - 1)
    assert trace_against_plan(replace(record, trace=late))["tasks"].difference == record.plan.n_tasks


def test_repeated_blocks_that_were_not_simulated_count_with_their_weight() -> None:
    model = tiny().model.model_copy(update={"layers": 40})
    record = simulate(tiny(model=model))
    assert record.repetitions[0].simulated < 40
    assert plan_against_graph(record)["unique_read"].difference == 0
    weights = sum(
        segment.repeat * tensor.bytes
        for segment in record.graph.segments
        for tensor in segment.block.tensors
        if tensor.role is Role.WEIGHT and tensor.name != "embedding_w"
    )
    assert plan_against_graph(record)["unique_read"].found.sum() > weights


@pytest.mark.parametrize(("stripe", "turn_bytes"), [(256, 128), (192, 128), (96, 256), (768, 96), (32, 1024)])
def test_the_padding_of_single_requests_is_what_a_channel_counts(stripe: int, turn_bytes: int) -> None:
    spec = DramSpec(row_bytes=768 if stripe != 256 else 1024, burst_bytes=32, turn_bytes=turn_bytes, capacity_gb=1)
    rng = np.random.default_rng(stripe)
    for _ in range(60):
        row = np.array([[0, 0, 0, 4, 0, stripe, int(rng.integers(5000)), int(rng.integers(1, 3000))]])
        server = build_stack_server(spec, 1)
        state = server.fresh()
        server.kind.enqueue(state, 0, row[0])
        server.kind.advance(state, 1 << 40)
        assert counters(state)["padding_bytes"].sum() == burst_padding(spec, row)[0], row


def test_burst_padding_stands_under_its_own_cause_in_the_report() -> None:
    record = simulate(tiny())
    result = Result(record)
    by_cause = result.bytes.set_index("cause")["dram_read_bytes"]
    assert by_cause["unique"] == record.graph.totals()["read_bytes"]
    assert by_cause["padding"] > 0
    total = result.bytes[["dram_read_bytes", "dram_write_bytes"]].sum().sum()
    assert total == result.operators[["dram_read_bytes", "dram_write_bytes"]].sum().sum()


def test_no_run_claims_to_be_more_efficient_than_its_own_bound() -> None:
    for family in FAMILIES:
        assert Result(record_of(family, "compute_shift", 0)).efficiency <= 1
