"""Steps: what a workload must state, and how work and bytes grow with it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cairn.workloads.architecture import AttentionSpec, FFNSpec, MambaSpec, MLASpec, ModelSpec, MoESpec, RetNetSpec
from cairn.workloads.graph import Attention, OperatorGraph, Request, Role
from cairn.workloads.step import WorkloadSpec

from .shapes import check_graph, graph_of

COMMON = {"name": "m", "source": "t", "layers": 3, "hidden": 32, "vocab": 50}
DENSE = ModelSpec(**COMMON, attention=AttentionSpec(heads=4, kv_heads=2), ffn=FFNSpec(width=48))
WINDOWED = ModelSpec(
    **COMMON, attention=AttentionSpec(heads=4, window=7, full_attention_every=2), ffn=FFNSpec(width=48, gated=False)
)
LATENT = ModelSpec(
    **COMMON,
    attention=AttentionSpec(
        heads=4,
        mla=MLASpec(q_lora_rank=6, kv_lora_rank=16, qk_nope_head_dim=8, qk_rope_head_dim=4, v_head_dim=8),
    ),
    ffn=FFNSpec(width=48),
)
EXPERTS = ModelSpec(
    **COMMON,
    attention=AttentionSpec(heads=4),
    ffn=FFNSpec(width=48),
    moe=MoESpec(experts=10, top_k=3, width=8, shared_experts=2, dense_layers=1),
)
RETNET = ModelSpec(
    **COMMON, family="retnet", retnet=RetNetSpec(heads=2, key_dim=8, value_dim=12, chunk=4), ffn=FFNSpec(width=48)
)
MAMBA = ModelSpec(**COMMON, family="mamba", position="none", mamba=MambaSpec(d_inner=64, dt_rank=2))
MODELS = [DENSE, WINDOWED, LATENT, EXPERTS, RETNET, MAMBA]

requests = st.lists(
    st.fixed_dictionaries({"new": st.integers(1, 20), "cached": st.integers(0, 30)}), min_size=1, max_size=5
)


def memory_bytes(graph: OperatorGraph, role: Role, written: bool = False) -> int:
    return sum(
        segment.repeat * count
        for segment in graph.segments
        for op in segment.block.operators
        for name, count in (op.writes if written else op.reads)
        if segment.block.tensor(name).role is role
    )


def mixed(model: ModelSpec, parts: list[dict[str, int]], **more: object) -> OperatorGraph:
    return graph_of(model, phase="mixed", requests=parts, **more)


@pytest.mark.parametrize("model", MODELS, ids=["dense", "windowed", "latent", "experts", "retnet", "mamba"])
@pytest.mark.parametrize("attention", ["fused", "unfused"])
@given(left=requests, right=requests)
@settings(max_examples=15, deadline=None)
def test_a_mixed_step_is_the_sum_of_its_parts(
    model: ModelSpec, attention: str, left: list[dict[str, int]], right: list[dict[str, int]]
) -> None:
    whole = mixed(model, left + right, attention=attention)
    parts = [mixed(model, left, attention=attention), mixed(model, right, attention=attention)]
    check_graph(whole)
    for key in ("matrix_ops", "vector_ops", "written_bytes"):
        assert whole.totals()[key] == sum(part.totals()[key] for part in parts)
    for role in (Role.KV, Role.STATE):
        assert memory_bytes(whole, role) == sum(memory_bytes(part, role) for part in parts)
    if model.moe is None:  # weights are read once, whoever shares them; the embedding reads a row a token
        switched = [mixed(model, part, embedding=False) for part in (left + right, left)]
        assert memory_bytes(switched[0], Role.WEIGHT) == memory_bytes(switched[1], Role.WEIGHT)


@given(batch=st.integers(1, 40), seed=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_experts_touched_lie_between_those_of_one_token_and_all(batch: int, seed: int) -> None:
    graph = graph_of(EXPERTS, seed=seed, phase="decode", batch=batch, context=5)
    for segment in graph.segments[2:-1]:
        op = next(op for op in segment.block.operators if op.name == "experts_gate_up")
        touched = sum(1 for load in op.group_rows if load)
        assert 3 <= touched <= min(10, 3 * batch)
        assert op.reads == (("experts_gate_up_w", touched * 32 * 16 * 2),)
        assert sum(op.group_rows) == 3 * batch


@given(
    parts=st.lists(st.tuples(st.integers(1, 30), st.integers(0, 40)), min_size=1, max_size=4),
    window=st.none() | st.integers(1, 50),
    causal=st.booleans(),
)
def test_pairs_are_those_of_a_count_row_by_row(parts: list[tuple[int, int]], window: int | None, causal: bool) -> None:
    attention = Attention(tuple(Request(*part) for part in parts), 1, 1, 4, 4, causal=causal, window=window)
    counted = []
    for index, (new, cached) in enumerate(parts):
        total = 0
        for row in range(new):
            seen = cached + (row + 1 if causal else new)
            total += min(seen, window) if window else seen
        counted.append((index, total))
    assert list(attention.pairs()) == counted


@given(context=st.integers(1, 500), batch=st.integers(1, 8))
@settings(max_examples=30, deadline=None)
def test_cached_and_new_keys_together_are_the_context(context: int, batch: int) -> None:
    graph = graph_of(DENSE, phase="decode", batch=batch, context=context)
    both = memory_bytes(graph, Role.KV) + memory_bytes(graph, Role.KV, written=True)
    assert both == 3 * batch * context * 2 * (2 * 8 * 2)


def test_a_decode_step_is_the_mixed_step_of_its_requests() -> None:
    decode = graph_of(DENSE, phase="decode", context=[5, 9, 9])
    same = mixed(DENSE, [{"new": 1, "cached": 4}, {"new": 1, "cached": 8}, {"new": 1, "cached": 8}])
    assert decode.segments == same.segments
    assert WorkloadSpec.model_validate({"phase": "decode", "batch": 2, "context": 7}).requests() == (Request(1, 6),) * 2


def test_a_prefill_behind_cached_tokens_looks_at_them_too() -> None:
    spec = WorkloadSpec(phase="prefill", batch=2, new_tokens=8, cached_tokens=100)
    assert spec.requests() == (Request(8, 100),) * 2
    graph = graph_of(DENSE, phase="prefill", new_tokens=8, cached_tokens=100)
    attention = next(op for op in graph.segments[1].block.operators if op.attention and op.matrix_ops)
    assert attention.matrix_ops == 4 * (8 * 100 + 36) * 4 * 8


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"phase": "decode"}, "phase decode needs context"),
        ({"phase": "prefill", "context": 3}, "phase prefill needs new_tokens"),
        ({"phase": "prefill", "new_tokens": 3, "context": 3}, "phase prefill does not use context; leave it out"),
        ({"phase": "mixed", "requests": [{"new": 1}], "batch": 2}, "phase mixed does not use batch; leave it out"),
        ({"phase": "mixed", "requests": []}, "requests is empty: a step needs at least one"),
        ({"phase": "decode", "context": []}, "context is empty: give one number, or one for each request"),
        ({"phase": "decode", "context": [3, 4], "batch": 3}, "context has 2 entries for a batch of 3"),
        ({"phase": "decode", "context": [3, 0]}, "greater than 0"),
        ({"phase": "decode", "context": 3, "batch": 0}, "greater than 0"),
        ({"phase": "prefill", "new_tokens": 2**19, "batch": 3}, "at most 1048576 new tokens, this one 1572864"),
        ({"phase": "decode", "context": 3, "batch": 10**12}, "less than or equal to 1048576"),
        ({"phase": "train"}, "'decode', 'prefill' or 'mixed'"),
    ],
)
def test_a_workload_that_does_not_fit_its_phase_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(message)):
        WorkloadSpec.model_validate(values)
