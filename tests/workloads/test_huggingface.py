"""Models from a config.json: the known architectures, and one clear error for everything else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cairn.base.errors import ConfigError
from cairn.workloads.architecture import BiasKind, Family, Function, ModelSpec, NormKind, PositionKind
from cairn.workloads.huggingface import model_from_config_json

from .shapes import check_graph, graph_of, shipped

LLAMA = {
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 8192,
    "hidden_act": "silu", "rms_norm_eps": 1e-5, "torch_dtype": "bfloat16", "tie_word_embeddings": False,
}  # fmt: skip
OPT = {
    "model_type": "opt", "hidden_size": 2048, "ffn_dim": 8192, "num_hidden_layers": 24, "num_attention_heads": 32,
    "vocab_size": 50272, "max_position_embeddings": 2048, "word_embed_proj_dim": 2048, "do_layer_norm_before": True,
    "activation_function": "relu",
}  # fmt: skip
GPT2 = {"model_type": "gpt2", "n_embd": 768, "n_head": 12, "n_layer": 12, "n_positions": 1024, "vocab_size": 50257}
MIXTRAL = {**LLAMA, "model_type": "mixtral", "vocab_size": 32000, "max_position_embeddings": 32768,
           "num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": None}  # fmt: skip
QWEN25 = {
    "model_type": "qwen2", "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28,
    "num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064, "max_position_embeddings": 32768,
    "sliding_window": 131072, "use_sliding_window": False, "max_window_layers": 28,
}  # fmt: skip
QWEN3_MOE = {
    "model_type": "qwen3_moe", "hidden_size": 2048, "intermediate_size": 6144, "moe_intermediate_size": 768,
    "num_hidden_layers": 48, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128,
    "vocab_size": 151936, "max_position_embeddings": 40960, "num_experts": 128, "num_experts_per_tok": 8,
    "decoder_sparse_step": 1, "mlp_only_layers": [], "tie_word_embeddings": False,
}  # fmt: skip
DEEPSEEK = {
    "model_type": "deepseek_v3", "hidden_size": 7168, "intermediate_size": 18432, "moe_intermediate_size": 2048,
    "num_hidden_layers": 61, "num_attention_heads": 128, "num_key_value_heads": 128, "vocab_size": 129280,
    "q_lora_rank": 1536, "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
    "n_routed_experts": 256, "num_experts_per_tok": 8, "n_shared_experts": 1, "first_k_dense_replace": 3,
    "moe_layer_freq": 1,
}  # fmt: skip
GPT_OSS = {
    "model_type": "gpt_oss", "hidden_size": 2880, "intermediate_size": 2880, "num_hidden_layers": 24,
    "num_attention_heads": 64, "num_key_value_heads": 8, "head_dim": 64, "vocab_size": 201088,
    "max_position_embeddings": 131072, "num_local_experts": 32, "num_experts_per_tok": 4, "sliding_window": 128,
    "layer_types": ["sliding_attention", "full_attention"] * 12, "quantization_config": {"quant_method": "mxfp4"},
}  # fmt: skip
PHI2 = {
    "model_type": "phi", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 32,
    "num_attention_heads": 32, "vocab_size": 51200, "max_position_embeddings": 2048, "hidden_act": "gelu_new",
    "partial_rotary_factor": 0.4, "tie_word_embeddings": False,
}  # fmt: skip
BITNET = {
    "model_type": "bitnet", "hidden_size": 2560, "intermediate_size": 6912, "num_hidden_layers": 30,
    "num_attention_heads": 20, "num_key_value_heads": 5, "vocab_size": 128256, "hidden_act": "relu2",
    "tie_word_embeddings": True,
}  # fmt: skip
MAMBA = {"model_type": "mamba", "hidden_size": 2560, "num_hidden_layers": 64, "vocab_size": 50280, "expand": 2,
         "state_size": 16, "conv_kernel": 4, "time_step_rank": 160}  # fmt: skip
STATE_SPACES = {"d_model": 2560, "n_layer": 64, "vocab_size": 50277, "ssm_cfg": {}, "pad_vocab_size_multiple": 8}
PHIMOE = {
    "model_type": "phimoe", "hidden_size": 4096, "intermediate_size": 6400, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32064, "max_position_embeddings": 131072,
    "num_local_experts": 16, "num_experts_per_tok": 2, "attention_bias": True,
}  # fmt: skip


def load(folder: Path, values: object) -> ModelSpec:
    (folder / "config.json").write_text(values if isinstance(values, str) else json.dumps(values))
    return model_from_config_json(folder / "config.json")


@pytest.mark.parametrize(
    ("values", "name"),
    [(LLAMA, "llama-3-8b"), (OPT, "opt-1.3b"), (GPT2, "gpt-2-small"), (MIXTRAL, "mixtral-8x7b"), (QWEN25, "qwen2.5-7b"),
     (QWEN3_MOE, "qwen3-30b-a3b"), (DEEPSEEK, "deepseek-v3"), (GPT_OSS, "gpt-oss-20b"), (PHI2, "phi-2"),
     (BITNET, "bitnet-b1.58-2b4t"), (MAMBA, "mamba-2.8b"), (STATE_SPACES, "mamba-2.8b"), (PHIMOE, "phi-3.5-moe")],
)  # fmt: skip
def test_a_config_json_gives_the_model_that_is_shipped(tmp_path: Path, values: dict[str, Any], name: str) -> None:
    imported, expected = load(tmp_path, values), shipped(name)
    step = {"phase": "mixed", "requests": [{"new": 1, "cached": 70}, {"new": 5}]}
    assert graph_of(imported, **step).segments == graph_of(expected, **step).segments


def test_architectures_that_are_not_shipped_keep_their_traits(tmp_path: Path) -> None:
    mistral = load(tmp_path, {**LLAMA, "model_type": "mistral", "sliding_window": 4096})
    assert mistral.attention is not None and mistral.attention.window == 4096
    qwen2_moe = load(
        tmp_path,
        {**QWEN3_MOE, "model_type": "qwen2_moe", "shared_expert_intermediate_size": 5632, "mlp_only_layers": [0, 1]},
    )
    assert qwen2_moe.moe is not None and (qwen2_moe.moe.shared_width, qwen2_moe.moe.dense_layers) == (5632, 2)
    assert qwen2_moe.bias is BiasKind.QKV and qwen2_moe.ffn is not None
    v2_lite = load(tmp_path, {**DEEPSEEK, "model_type": "deepseek_v2", "q_lora_rank": None})
    assert v2_lite.attention is not None and v2_lite.attention.mla is not None
    assert v2_lite.attention.mla.q_lora_rank == 0
    qwen3 = load(tmp_path, {**QWEN25, "model_type": "qwen3", "head_dim": 64})
    assert qwen3.attention is not None and qwen3.attention.qk_norm and qwen3.head_dim == 64
    opt = load(tmp_path, OPT)
    assert (opt.norm, opt.position, opt.tied_embeddings) == (NormKind.LAYER, PositionKind.LEARNED, True)
    assert opt.ffn is not None and (opt.ffn.gated, opt.ffn.function) == (False, Function.RELU)
    assert load(tmp_path, {**MAMBA, "time_step_rank": "auto"}).family is Family.MAMBA


@pytest.mark.parametrize(
    ("part", "bits", "stored"),
    [({"quant_method": "fp8"}, 8, 8), ({"quant_method": "awq", "bits": 4, "group_size": 128}, 4, 4 + 20 / 128),
     ({"quant_method": "gptq", "bits": 8, "group_size": -1}, 8, 8), ({"quant_method": "bitnet"}, 1.58, 2)],
)  # fmt: skip
def test_a_quantisation_sets_the_bits_of_the_weights(
    tmp_path: Path, part: dict[str, Any], bits: float, stored: float
) -> None:
    precision = load(tmp_path, {**LLAMA, "quantization_config": part}).precision
    assert (precision.weight_bits, precision.stored_weight_bits) == (bits, stored)
    assert precision.head_bits == 16


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({**LLAMA, "model_type": "lama"}, "model_type: 'lama' is not supported; did you mean 'llama'? (allowed:"),
        ({"hidden_size": 3}, "model_type: is missing"),
        ({**LLAMA, "hidden_size": None}, "hidden_size: is missing"),
        ({**LLAMA, "hidden_size": "4096"}, 'hidden_size: must be a whole number, not "4096"'),
        ({**LLAMA, "num_hidden_layers": True}, "num_hidden_layers: must be a whole number, not true"),
        ({**LLAMA, "vocab_size": 0}, "vocab_size: must lie between 1 and 2147483648, not 0"),
        ({**LLAMA, "vocab_size": 10**30}, "vocab_size: must lie between 1 and"),
        ({**LLAMA, "num_key_value_heads": 5}, "attention: kv_heads (5) must divide heads (32)"),
        ({**LLAMA, "hidden_act": "sillu"}, "hidden_act: 'sillu' is not supported; did you mean 'silu'?"),
        ({**LLAMA, "mlp_bias": True}, "mlp_bias: is not supported without attention_bias"),
        ({**LLAMA, "tie_word_embeddings": 1}, "tie_word_embeddings: must be true or false, not 1"),
        ({**LLAMA, "quantization_config": {"quant_method": "hqq"}}, "quantization_config.quant_method: 'hqq' is not"),
        ({**LLAMA, "quantization_config": {}}, "quantization_config.quant_method: is missing"),
        ({**LLAMA, "quantization_config": []}, "quantization_config: must be a map, not []"),
        ({**LLAMA, "_name_or_path": 3}, "_name_or_path: must be a text, not 3"),
        ({**OPT, "do_layer_norm_before": False}, "do_layer_norm_before: must be true"),
        ({**OPT, "word_embed_proj_dim": 512}, "word_embed_proj_dim: must equal hidden_size (2048)"),
        ({**QWEN3_MOE, "mlp_only_layers": [3]}, "mlp_only_layers: is supported for the first layers only"),
        ({**QWEN25, "use_sliding_window": True, "max_window_layers": 9}, "max_window_layers: must be 0 or 28"),
        ({**GPT_OSS, "layer_types": ["full_attention"]}, "layer_types: must name sliding_attention or full_attention"),
        ({**DEEPSEEK, "moe_layer_freq": 2}, "moe_layer_freq: must be 1"),
        ({**PHI2, "qk_layernorm": True}, "qk_layernorm: is not supported"),
        ({**STATE_SPACES, "ssm_cfg": {"layer": "Mamba2"}}, "ssm_cfg.layer: must be Mamba1"),
        ("[1, 2]", "must be a JSON map, not [1, 2]"),
        ('{"hidden_size": 3,\n "x": }', "config.json:2: is not JSON: Expecting value"),
        ('{"hidden_size": NaN}', "is not JSON: NaN is not a number of JSON"),
        ("[" * 200_000, "is nested too deeply"),
        ('{"hidden_size": ' + "9" * 5000 + "}", "is not JSON: "),
        (" " * (1 << 20) + "{}", "is larger than 1024 KiB"),
    ],
)  # fmt: skip
def test_a_config_json_that_cannot_be_used_is_refused_with_file_and_key(
    tmp_path: Path, values: object, message: str
) -> None:
    with pytest.raises(ConfigError) as trouble:
        load(tmp_path, values)
    assert message in str(trouble.value)
    assert str(tmp_path / "config.json") in str(trouble.value)


def test_a_folder_stands_for_the_file_in_it_and_missing_files_are_refused(tmp_path: Path) -> None:
    load(tmp_path, LLAMA)
    assert model_from_config_json(tmp_path).name == tmp_path.name
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe{}")
    for name in ("missing.json", "binary.json", "nul\0.json"):
        with pytest.raises(ConfigError):
            model_from_config_json(f"{tmp_path}/{name}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no such file"):
        model_from_config_json(tmp_path / "empty")


def test_the_name_is_the_one_in_the_file_when_there_is_one(tmp_path: Path) -> None:
    assert load(tmp_path, {**LLAMA, "_name_or_path": "meta-llama/Llama-3-8B"}).name == "Llama-3-8B"


JUNK = st.none() | st.booleans() | st.integers(-5, 10**20) | st.floats() | st.text(max_size=5) | st.lists(st.integers())


@given(data=st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_mutated_config_json_gives_a_model_or_a_config_error(tmp_path: Path, data: st.DataObject) -> None:
    values = dict(
        data.draw(st.sampled_from([LLAMA, OPT, GPT2, QWEN3_MOE, DEEPSEEK, GPT_OSS, PHI2, MAMBA, STATE_SPACES]))
    )
    for key in data.draw(st.lists(st.sampled_from(sorted(values)), min_size=1, max_size=3)):
        values[key] = data.draw(JUNK)
    try:
        model = load(tmp_path, values)
    except ConfigError:
        return
    assert model.layers > 0 and model.hidden > 0


def test_a_small_imported_model_gives_a_graph_that_obeys_the_layout_rules(tmp_path: Path) -> None:
    small = {**DEEPSEEK, "num_hidden_layers": 4, "n_routed_experts": 16, "first_k_dense_replace": 0}
    check_graph(graph_of(load(tmp_path, small), phase="decode", batch=2, context=5))
