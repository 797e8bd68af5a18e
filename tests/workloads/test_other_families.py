"""Latent attention, experts, retention and state spaces: shapes and work by arithmetic on paper."""

from __future__ import annotations

import pytest

from cairn.workloads.architecture import AttentionSpec, ModelSpec, MoESpec
from cairn.workloads.graph import Recurrence, Request
from cairn.workloads.recurrent import retention_ops
from cairn.workloads.routing import RoutingSpec

from .shapes import graph_of, operator

UNIFORM = RoutingSpec(law="uniform")


def test_latent_attention_reads_576_numbers_for_each_cached_token() -> None:
    graph = graph_of("deepseek-v3", phase="decode", batch=8, context=1000)
    attention = operator(graph, "attention")
    assert attention.reads == (("kv_cache", 8 * 999 * 576 * 2),)
    assert attention.writes == (("kv_cache", 8 * 576 * 2),)
    assert attention.matrix_ops == 8 * 128 * 1000 * 2 * (576 + 512)
    assert attention.inputs == ("absorb_k", "kv_a_norm", "kv_cache")


def test_latent_attention_carries_queries_into_the_latent_space_and_back() -> None:
    graph = graph_of("deepseek-v3", phase="decode", batch=8, context=1000)
    block = graph.segments[1].block
    names = [op.name for op in block.operators[:12]]
    assert names == ["mixer_norm", "q_a", "q_a_norm", "q_b", "kv_a", "kv_a_norm", "q_rope", "k_rope",
                     "absorb_k", "attention", "absorb_v", "o"]  # fmt: skip
    assert block.tensor("absorb_k").columns == 128 * (512 + 64)
    assert operator(graph, "absorb_k").matrix_ops == 2 * 8 * 128 * 128 * 512
    assert operator(graph, "kv_a_norm").vector_ops == 8 * 512 * 4
    assert operator(graph, "q_rope").vector_ops == 8 * 128 * 64 * 3
    assert block.tensor("o_w").rows == 128 * 128


def test_unfused_latent_attention_reads_keys_and_values_from_the_one_cache() -> None:
    graph = graph_of("deepseek-v2-lite-16b", phase="decode", batch=2, context=11, attention="unfused")
    scores, context = operator(graph, "scores"), operator(graph, "context")
    assert scores.reads == (("kv_cache", 2 * 10 * 576 * 2),)
    assert context.reads == (("kv_cache", 2 * 10 * 512 * 2),)
    assert (len(scores.writes), len(context.writes)) == (1, 0)


def test_a_step_reads_the_experts_that_were_chosen_and_no_others() -> None:
    graph = graph_of("deepseek-v3", phase="decode", batch=4, context=10, routing=UNIFORM)
    for segment in graph.segments[2:-1]:
        ops = {op.name: op for op in segment.block.operators}
        touched = sum(1 for load in ops["experts_gate_up"].group_rows if load)
        assert 8 <= touched <= 32
        assert ops["experts_gate_up"].reads == (("experts_gate_up_w", touched * 7168 * 4096 * 2),)
        assert ops["experts_down"].reads == (("experts_down_w", touched * 2048 * 7168 * 2),)
        assert ops["experts_gate_up"].matrix_ops == 2 * 4 * 8 * 7168 * 4096
        assert ops["shared_gate_up"].matrix_ops == 2 * 4 * 7168 * 4096
        assert ops["router"].matrix_ops == 2 * 4 * 7168 * 256
        assert ops["combine"].vector_ops == 4 * 8 * 7168 * 2


def test_all_tokens_of_a_lone_expert_stay_in_order() -> None:
    model = ModelSpec(
        name="m", source="t", layers=1, hidden=8, vocab=10,
        attention=AttentionSpec(heads=2), moe=MoESpec(experts=1, top_k=1, width=4),
    )  # fmt: skip
    graph = graph_of(model, phase="prefill", new_tokens=6)
    assert operator(graph, "dispatch").rows == (0, 1, 2, 3, 4, 5)
    assert operator(graph, "experts_gate_up").group_rows == (6,)


def test_mxfp4_experts_are_read_in_four_and_a_quarter_bits() -> None:
    graph = graph_of("gpt-oss-20b", phase="decode", batch=64, context=10)
    op = operator(graph, "experts_down")
    touched = sum(1 for load in op.group_rows if load)
    assert op.reads == (("experts_down_w", touched * 2880 * 2880 * 17 // 32),)


def test_retention_in_decode_updates_and_reads_each_state_once() -> None:
    graph = graph_of("retnet-1.3b", phase="decode", batch=16, context=5000)
    op = operator(graph, "retention")
    assert op.matrix_ops == 16 * 8 * 4 * 256 * 432
    assert op.vector_ops == 16 * 8 * 256 * 432
    assert op.reads == op.writes == (("state", 16 * 8 * 256 * 432 * 2),)
    names = [o.name for o in graph.segments[1].block.operators]
    assert names == ["mixer_norm", "qkv", "gate", "rope", "retention", "group_norm", "gating", "o", "mixer_add",
                     "ffn_norm", "gate_up", "ffn_act", "down", "ffn_add"]  # fmt: skip


def test_retention_cost_does_not_depend_on_the_context() -> None:
    near = graph_of("retnet-2.7b", phase="decode", batch=4, context=2).totals()
    far = graph_of("retnet-2.7b", phase="decode", batch=4, context=100_000).totals()
    assert near == far


def test_chunkwise_retention_counts_the_pairs_within_chunks_and_the_state_between_them() -> None:
    ops, _ = retention_ops(Recurrence((Request(10, 0),), 1, 3, 5, chunk=4))
    pairs = 10 + 10 + 3  # chunks of 4, 4 and 2 tokens, causal
    assert ops == 2 * pairs * (3 + 5) + 4 * 10 * 3 * 5
    recurrent, decay = retention_ops(Recurrence((Request(10, 0),), 1, 3, 5, chunk=1))
    assert (recurrent, decay) == (4 * 10 * 3 * 5, 10 * 3 * 5)


def test_a_mamba_layer_scans_its_state_once() -> None:
    graph = graph_of("mamba-2.8b", phase="decode", batch=2, context=700)
    names = [op.name for op in graph.segments[1].block.operators]
    assert names == ["mixer_norm", "in_proj_x", "in_proj_z", "conv", "conv_act", "x_proj_dt", "dt_proj", "x_proj_bc",
                     "scan", "gating", "out_proj", "mixer_add"]  # fmt: skip
    scan, conv = operator(graph, "scan"), operator(graph, "conv")
    assert scan.vector_ops == 2 * 5120 * (16 * 7 + 6)
    assert scan.writes == (("ssm_state", 2 * 16 * 5120 * 2),)
    assert conv.vector_ops == 2 * 5120 * (2 * 4 + 1)
    assert conv.writes == (("conv_state", 2 * 4 * 5120 * 2),)
    assert graph.totals()["matrix_ops"] == 2 * 2 * (
        64 * (2560 * 10240 + 5120 * 192 + 160 * 5120 + 5120 * 2560) + 2560 * 50280
    )


def test_norms_behind_the_blocks_are_operators() -> None:
    names = [op.name for op in graph_of("grok-1", phase="decode", batch=1, context=4).segments[1].block.operators]
    assert names.index("mixer_post_norm") == names.index("mixer_add") - 1
    assert names.index("ffn_post_norm") == names.index("ffn_add") - 1


@pytest.mark.parametrize("name", ["deepseek-v2-lite-16b", "qwen3-30b-a3b"])
def test_the_same_seed_gives_the_same_graph_and_another_seed_another(name: str) -> None:
    first = graph_of(name, seed=5, phase="decode", batch=4, context=10)
    assert first == graph_of(name, seed=5, phase="decode", batch=4, context=10)
    assert first != graph_of(name, seed=6, phase="decode", batch=4, context=10)
