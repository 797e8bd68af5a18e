"""Every shipped model has the size that its source states, and gives graphs that obey the layout rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from cairn.workloads.architecture import ModelSpec
from cairn.workloads.graph import OperatorGraph, OpKind, Role
from cairn.workloads.parameters import count_parameters, kv_bytes_per_token, state_bytes_per_request, weight_bytes
from cairn.workloads.routing import RoutingSpec

from .shapes import NAMES, check_graph, graph_of, shipped

REFERENCE = yaml.safe_load((Path(__file__).parents[2] / "validation" / "reference" / "models.yaml").read_text())
ROWS: dict[str, dict[str, Any]] = {name.split("(")[0].lower(): row for name, row in REFERENCE["models"].items()}

ROUNDED = 0.005 + 1e-9  # the reference states billions with two decimals

ONE_OF_EACH = [
    "llama-2-13b", "qwen3-4b", "bloom-176b", "phi-2", "deepseek-v2-lite-16b", "gpt-oss-20b", "retnet-1.3b",
    "mamba-2.8b", "bitnet-b1.58-2b4t", "glam-143b", "opt-1.3b",
]  # fmt: skip

PUBLISHED_EXACT = {
    # Parameters of the checkpoints on Hugging Face (their safetensors metadata). Known differences beside them.
    "llama-2-7b": 6_738_415_616,
    "llama-2-13b": 13_015_864_320,
    "llama-3-8b": 8_030_261_248,
    "mixtral-8x7b": 46_702_792_704,
    "opt-1.3b": 1_315_758_080,
    "gpt-2-small": 124_439_808,
    "gpt-2-xl": 1_557_611_200,
    "qwen2.5-7b": 7_615_616_512,
    "qwen3-8b": 8_190_735_360,
    "qwen3-30b-a3b": 30_532_122_624,
    "mamba-2.8b": 2_768_345_600,
    "phi-2": 2_779_683_840 - 51_200,  # without the bias of its LM head
    "bloom-176b": 176_247_271_424 - 2 * 14_336,  # without the norm behind its embedding
    "gpt-oss-20b": 20_914_757_184 - 24 * 64,  # without its attention sinks
}


def test_all_models_of_the_reference_are_shipped_and_the_ones_that_suites_name() -> None:
    assert len(ROWS) == 52
    named = {"opt-1.3b", "opt-2.7b", "opt-30b", "opt-66b", "phi-2", "yi-6b", "glam-143b", "grok-1",
             "gpt-3-xl"}  # fmt: skip
    assert set(ROWS) | named == set(NAMES)


@pytest.mark.parametrize("name", sorted(ROWS))
def test_a_models_parameters_are_those_of_the_reference(name: str) -> None:
    row, count = ROWS[name], count_parameters(shipped(name))
    assert count.matrices / 1e9 == pytest.approx(row["derived_params_B"], abs=ROUNDED)
    assert count.active / 1e9 == pytest.approx(row.get("derived_active_params_B", count.matrices / 1e9), abs=ROUNDED)
    if "published_params_B" in row:
        assert count.exact / 1e9 == pytest.approx(row["published_params_B"], rel=0.01)
    if "published_active_B" in row and "gpt-oss" not in name:  # OpenAI does not count the embedding as active
        assert count.active / 1e9 == pytest.approx(row["published_active_B"], rel=0.02)


@pytest.mark.parametrize("name", ["gpt-oss-20b", "gpt-oss-120b"])
def test_gpt_oss_has_its_published_active_parameters_without_the_embedding(name: str) -> None:
    model = shipped(name)
    active = count_parameters(model).active - model.vocab * model.hidden
    assert active / 1e9 == pytest.approx(ROWS[name]["published_active_B"], rel=0.01)


@pytest.mark.parametrize("name", sorted(PUBLISHED_EXACT))
def test_the_exact_count_is_that_of_the_checkpoint(name: str) -> None:
    assert count_parameters(shipped(name)).exact == PUBLISHED_EXACT[name]


@pytest.mark.parametrize(
    ("name", "billions", "tolerance"),
    [("opt-2.7b", 2.65, 0.002), ("opt-30b", 29.97, 0.001), ("yi-6b", 6.06, 0.001), ("grok-1", 314, 0.006)],
)
def test_other_models_have_their_published_size(name: str, billions: float, tolerance: float) -> None:
    assert count_parameters(shipped(name)).exact / 1e9 == pytest.approx(billions, rel=tolerance)


def test_glam_has_its_published_size_and_active_size() -> None:
    """arXiv 2112.06905 table 4: 143 B and 9.8 B; without the embedding table both agree best."""
    model, count = shipped("glam-143b"), count_parameters(shipped("glam-143b"))
    embedding = model.vocab * model.hidden
    assert (count.matrices - embedding) / 1e9 == pytest.approx(143, rel=0.002)
    assert (count.active - embedding) / 1e9 == pytest.approx(9.8, rel=0.02)


@pytest.mark.parametrize("name", sorted(ROWS))
def test_kv_bytes_follow_the_formula_of_the_reference(name: str) -> None:
    """reference/models.yaml: 2 layers kv_heads head_dim bytes; MLA: layers (kv_lora_rank + qk_rope_head_dim) bytes."""
    row, model = ROWS[name], shipped(name)
    if "kind" in row:
        assert kv_bytes_per_token(model) == 0
        assert state_bytes_per_request(model) > 0
    elif "mla" in row:
        assert (
            kv_bytes_per_token(model)
            == row["layers"] * (row["mla"]["kv_lora_rank"] + row["mla"]["qk_rope_head_dim"]) * 2
        )
    else:
        assert kv_bytes_per_token(model) == 2 * row["layers"] * row["kv_heads"] * row["head_dim"] * 2


def weights_in(graph: OperatorGraph, model: ModelSpec) -> int:
    """Elements of all matrices in the graph, tied tables once, small parameters left out."""
    total = 0
    for segment in graph.segments:
        for tensor in segment.block.tensors:
            small = tensor.rows <= 2 or tensor.name in ("positions_w", "conv_w", "a_w")
            if tensor.role is Role.WEIGHT and not small:
                total += segment.repeat * tensor.elements
    return total - (model.vocab * model.hidden if model.tied_embeddings else 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_decode_graph_obeys_the_layout_rules_and_holds_all_parameters(name: str) -> None:
    model = shipped(name)
    graph = graph_of(model, phase="decode", batch=3, context=100)
    check_graph(graph)
    assert weights_in(graph, model) == count_parameters(model).matrices
    assert sum(segment.repeat for segment in graph.segments[1:-1]) == model.layers


@pytest.mark.parametrize("name", ONE_OF_EACH)
@pytest.mark.parametrize("attention", ["fused", "unfused"])
def test_mixed_graphs_obey_the_layout_rules(name: str, attention: str) -> None:
    requests = [{"new": 1, "cached": 300}, {"new": 37}, {"new": 20, "cached": 64}]
    graph = graph_of(name, phase="mixed", requests=requests, attention=attention)
    check_graph(graph)
    assert graph.tokens == 58


@pytest.mark.parametrize("name", NAMES)
def test_weight_bytes_are_those_of_the_graph(name: str) -> None:
    """Up to positions, norms and biases, which the graph has in part."""
    model = shipped(name)
    graph = graph_of(model, phase="decode", batch=1, context=2)
    total = sum(s.repeat * t.bytes for s in graph.segments for t in s.block.tensors if t.role is Role.WEIGHT)
    if model.tied_embeddings:
        total -= next(t.bytes for t in graph.segments[-1].block.tensors if t.name == "lm_head_w")
    assert weight_bytes(model) == pytest.approx(total, rel=1e-3)


def test_layers_with_experts_are_blocks_of_their_own_and_equal_layers_one_segment() -> None:
    deepseek = graph_of("deepseek-v3", phase="decode", batch=2, context=10)
    assert [segment.repeat for segment in deepseek.segments] == [1, 3] + [1] * 58 + [1]
    glam = graph_of("glam-143b", phase="decode", batch=2, context=10)
    kinds = [any(op.kind is OpKind.TOP_K for op in s.block.operators) for s in glam.segments[1:-1]]
    assert kinds == [False, True] * 16
    assert glam.segments[1].block is glam.segments[3].block
    oss = graph_of("gpt-oss-20b", phase="decode", batch=2, context=1000, routing=RoutingSpec(law="uniform"))
    windows = [
        op.attention.window
        for s in oss.segments[1:-1]
        for op in s.block.operators
        if op.kind is OpKind.ATTENTION and op.attention
    ]
    assert windows == [128, None] * 12
