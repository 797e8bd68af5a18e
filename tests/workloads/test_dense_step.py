"""Dense decoders: operations and bytes of a step, by arithmetic on paper."""

from __future__ import annotations

import pytest

from cairn.base.errors import CairnError
from cairn.workloads.architecture import AttentionSpec, FFNSpec, ModelSpec
from cairn.workloads.graph import Attention, OpKind, Request

from .shapes import graph_of, operator, shipped

# Llama-2-13B: hidden 5120, 40 heads of 128, ffn 13824, vocabulary 32000, 40 layers; two bytes a number.
LAYER_WEIGHTS = 5120 * 15360 + 5120 * 5120 + 5120 * 27648 + 13824 * 5120
NORM_BYTES = 81 * 5120 * 2
TINY = ModelSpec(
    name="tiny", source="test", layers=3, hidden=64, vocab=100,
    attention=AttentionSpec(heads=4, kv_heads=2, head_dim=16), ffn=FFNSpec(width=96),
)  # fmt: skip


def test_a_decode_step_reads_each_weight_once_and_the_cache_of_all_earlier_tokens() -> None:
    graph = graph_of("llama-2-13b", phase="decode", batch=32, context=2048)
    weights = 2 * (40 * LAYER_WEIGHTS + 5120 * 32000)
    assert weights == 25_703_219_200  # 25.70 GB (reference/stacked3d/voxel_runs: decode weights of llama2-13)
    cache = 40 * 2 * 5120 * 2 * 2047 * 32
    embedding_rows = 32 * 5120 * 2
    totals = graph.totals()
    assert totals["read_bytes"] == weights + cache + NORM_BYTES + embedding_rows
    assert totals["written_bytes"] == 40 * 2 * 5120 * 2 * 32
    # With the new token's own key and value the whole cache of 2048: 53.69 GB
    assert cache + totals["written_bytes"] == 53_687_091_200


def test_a_decode_step_multiplies_every_weight_with_every_token_and_looks_at_the_whole_context() -> None:
    graph = graph_of("llama-2-13b", phase="decode", batch=32, context=2048)
    linear = 2 * 32 * (40 * LAYER_WEIGHTS + 5120 * 32000)
    attention = 40 * 32 * 40 * 2048 * 2 * (128 + 128)
    assert graph.totals()["matrix_ops"] == linear + attention


def test_prefill_attention_costs_half_the_square_of_the_prompt() -> None:
    graph = graph_of("llama-2-13b", phase="prefill", new_tokens=2048)
    linear = 40 * 2 * 2048 * LAYER_WEIGHTS
    full_square = 40 * 4 * 5120 * 2048 * 2048
    assert (linear + full_square) / 1e12 == pytest.approx(55.41, abs=0.01)  # what Voxel counts, without causal mask
    causal = 40 * 4 * 5120 * 2048 * 2049 // 2
    head = 2 * 5120 * 32000  # the last token only
    assert graph.totals()["matrix_ops"] == linear + causal + head
    assert causal / full_square == pytest.approx(0.5, abs=3e-4)


def test_prefill_without_cached_tokens_reads_no_cache_and_writes_every_token() -> None:
    graph = graph_of("llama-2-13b", phase="prefill", new_tokens=2048, embedding=False)
    totals = graph.totals()
    assert totals["read_bytes"] == 2 * (40 * LAYER_WEIGHTS + 5120 * 32000) + NORM_BYTES
    assert totals["written_bytes"] == 40 * 2 * 5120 * 2 * 2048


def test_a_layer_has_its_operators_in_order() -> None:
    graph = graph_of("llama-2-13b", phase="decode", batch=2, context=16)
    names = [op.name for op in graph.segments[1].block.operators]
    assert names == ["mixer_norm", "qkv", "rope", "attention", "o", "mixer_add",
                     "ffn_norm", "gate_up", "ffn_act", "down", "ffn_add"]  # fmt: skip
    assert [segment.repeat for segment in graph.segments] == [1, 40, 1]
    block = graph.segments[1].block
    assert (block.input, block.output) == ("hidden", "ffn_add")
    assert block.tensor("qkv_w").columns == 3 * 5120
    assert block.tensor("gate_up_w").columns == 2 * 13824
    assert block.tensor("k_cache").groups == 2 * 40


def test_vector_operators_count_their_table_per_element() -> None:
    graph = graph_of("llama-2-13b", phase="decode", batch=32, context=2048)
    assert operator(graph, "mixer_norm").vector_ops == 32 * 5120 * 4
    assert operator(graph, "rope").vector_ops == 32 * 2 * 5120 * 3
    assert operator(graph, "attention").vector_ops == 32 * 40 * 2048 * 5
    assert operator(graph, "ffn_act").vector_ops == 32 * 13824 * (4 + 1)
    assert operator(graph, "ffn_add").vector_ops == 32 * 5120


def test_unfused_attention_does_the_same_work_in_three_operators() -> None:
    requests = [{"new": 1, "cached": 40}, {"new": 9, "cached": 3}]
    fused = graph_of(TINY, phase="mixed", requests=requests)
    unfused = graph_of(TINY, phase="mixed", requests=requests, attention="unfused")
    assert fused.totals() == unfused.totals()
    parts = [operator(unfused, name) for name in ("scores", "softmax", "context")]
    whole = operator(fused, "attention")
    assert sum(part.matrix_ops for part in parts) == whole.matrix_ops
    assert parts[0].writes == (("k_cache", 10 * 2 * 16 * 2),)
    assert parts[2].reads == (("v_cache", 43 * 2 * 16 * 2),)


def test_grouped_queries_share_keys_and_values() -> None:
    graph = graph_of("llama-3-70b", phase="decode", batch=4, context=100)
    assert graph.segments[1].block.tensor("qkv_w").columns == (64 + 2 * 8) * 128
    assert operator(graph, "attention").reads == (("k_cache", 4 * 99 * 8 * 256), ("v_cache", 4 * 99 * 8 * 256))
    assert operator(graph, "attention").matrix_ops == 4 * 64 * 100 * 4 * 128


def test_a_window_bounds_what_a_token_looks_at_and_reads() -> None:
    attention = Attention((Request(1, 500), Request(4, 126)), 1, 1, 8, 8, window=128)
    assert list(attention.pairs()) == [(0, 128), (1, 127 + 128 + 128 + 128)]
    graph = graph_of("gpt-oss-20b", phase="decode", batch=2, context=1000)
    assert operator(graph, "attention").reads[0] == ("k_cache", 2 * 127 * 8 * 64 * 2)
    assert operator(graph, "attention", segment=2).reads[0] == ("k_cache", 2 * 999 * 8 * 64 * 2)


def test_the_lm_head_works_on_the_last_token_of_each_request() -> None:
    graph = graph_of(TINY, phase="mixed", requests=[{"new": 3}, {"new": 1, "cached": 7}, {"new": 2}])
    epilogue = graph.segments[-1].block
    assert [op.name for op in epilogue.operators] == ["final_norm", "last_tokens", "lm_head"]
    assert operator(graph, "last_tokens", -1).rows == (2, 3, 5)
    assert operator(graph, "lm_head", -1).matrix_ops == 2 * 3 * 64 * 100


def test_embedding_lm_head_and_append_can_be_switched_off() -> None:
    graph = graph_of(TINY, phase="decode", batch=2, context=9, embedding=False, lm_head=False, kv_append=False)
    assert [segment.block.name for segment in graph.segments] == ["layer", "epilogue"]
    assert [op.name for op in graph.segments[-1].block.operators] == ["final_norm"]
    assert graph.totals()["written_bytes"] == 0


def test_different_tokens_are_embedded_as_long_as_the_vocabulary_lasts() -> None:
    few = operator(graph_of(TINY, phase="prefill", new_tokens=100), "embedding", 0)
    assert sorted(few.rows) == list(range(100))
    assert few.reads == (("embedding_w", 100 * 64 * 2),)
    many = operator(graph_of(TINY, phase="prefill", new_tokens=500), "embedding", 0)
    assert many.reads == (("embedding_w", len(set(many.rows)) * 64 * 2),)
    assert len(set(many.rows)) <= 100


def test_learned_positions_are_looked_up_behind_their_reserved_rows() -> None:
    graph = graph_of("opt-1.3b", phase="mixed", requests=[{"new": 1, "cached": 9}, {"new": 2}])
    prologue = graph.segments[0].block
    assert [op.name for op in prologue.operators] == ["embedding", "positions", "embedding_add"]
    assert operator(graph, "positions", 0).rows == (11, 2, 3)
    assert all(op.kind is not OpKind.ROPE for op in graph.segments[1].block.operators)


def test_a_request_beyond_the_learned_positions_is_refused() -> None:
    with pytest.raises(CairnError, match=r"OPT-1\.3B has positions for 2048 tokens, but a request reaches 2049"):
        graph_of("opt-1.3b", phase="decode", batch=1, context=2049)


def test_ternary_weights_are_read_in_two_bits_and_the_head_in_sixteen() -> None:
    graph = graph_of("bitnet-b1.58-3b", phase="decode", batch=1, context=128)
    assert operator(graph, "qkv").reads == (("qkv_w", 3200 * 9600 // 4),)
    assert operator(graph, "lm_head", -1).reads == (("lm_head_w", 3200 * 32002 * 2),)
    block = graph.segments[1].block
    bits = {
        name: block.tensor(name).bits for name in ("mixer_norm", "qkv", "attention", "attn_sub_norm", "ffn_sub_norm")
    }
    assert bits == {"mixer_norm": 8, "qkv": 16, "attention": 16, "attn_sub_norm": 8, "ffn_sub_norm": 8}


def test_packed_ternary_weights_take_a_fifth_of_a_byte_each() -> None:
    precision = shipped("bitnet-b1.58-3b").precision.model_copy(update={"weight_storage_bits": 1.6})
    model = shipped("bitnet-b1.58-3b").model_copy(update={"precision": precision})
    graph = graph_of(model, phase="decode", batch=1, context=128)
    assert operator(graph, "qkv").reads == (("qkv_w", 3200 * 9600 // 5),)


def test_parallel_blocks_share_their_norm() -> None:
    graph = graph_of("phi-2", phase="decode", batch=1, context=8)
    assert [op.name for op in graph.segments[1].block.operators] == [
        "mixer_norm", "qkv", "rope", "attention", "o", "mixer_add", "up", "ffn_act", "down", "ffn_add",
    ]  # fmt: skip
    assert operator(graph, "up").inputs[0] == "mixer_norm"
    assert operator(graph, "rope").vector_ops == 2 * 32 * 32 * 3  # 32 of 80 columns of each head turn


def test_qk_norm_and_alibi_add_their_work() -> None:
    qwen = graph_of("qwen3-4b", phase="decode", batch=2, context=8)
    assert operator(qwen, "qk_norm").vector_ops == 2 * (32 + 8) * 128 * 4
    bloom = graph_of("bloom-176b", phase="decode", batch=1, context=8)
    assert operator(bloom, "attention").vector_ops == 112 * 8 * (5 + 1)
