"""The architectures that a `config.json` may name, and what their keys mean.

Defaults are those of the model's configuration class in Hugging Face transformers 4.55.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from cairn.base.registry import nearest_hint
from cairn.workloads.architecture import TERNARY_BITS
from cairn.workloads.huggingface_file import ConfigFile

Values = dict[str, Any]

_FUNCTIONS: Final = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_new": "gelu",
    "gelu_fast": "gelu",
    "gelu_pytorch_tanh": "gelu",
    "relu": "relu",
    "relu2": "relu2",
}


def _function(c: ConfigFile, key: str, default: str) -> str:
    name = c.text(key, default)
    if name not in _FUNCTIONS:
        raise c.error(key, f"{name[:60]!r} is not supported{nearest_hint(name[:60], _FUNCTIONS)}")
    return _FUNCTIONS[name]


def _trunk(c: ConfigFile, tied: bool = False) -> Values:
    return {
        "layers": c.integer("num_hidden_layers"),
        "hidden": c.integer("hidden_size"),
        "vocab": c.integer("vocab_size"),
        "max_context": c.optional("max_position_embeddings"),
        "tied_embeddings": c.flag("tie_word_embeddings", tied),
    }


def _attention(c: ConfigFile) -> Values:
    heads = c.integer("num_attention_heads")
    return {"heads": heads, "kv_heads": c.integer("num_key_value_heads", heads), "head_dim": c.optional("head_dim")}


def _ffn(c: ConfigFile, default: str = "silu") -> Values:
    return {"width": c.integer("intermediate_size"), "function": _function(c, "hidden_act", default)}


def _llama(c: ConfigFile) -> Values:
    bias = "qkv" if c.flag("attention_bias", False) else "none"
    if c.flag("mlp_bias", False):
        if bias == "none":
            raise c.error("mlp_bias", "is not supported without attention_bias")
        bias = "all"
    return {**_trunk(c), "attention": _attention(c), "ffn": _ffn(c), "bias": bias}


def _mistral(c: ConfigFile) -> Values:
    return {**_trunk(c), "attention": {**_attention(c), "window": c.optional("sliding_window")}, "ffn": _ffn(c)}


def _mixtral(c: ConfigFile) -> Values:
    values = _mistral(c)
    ffn = values.pop("ffn")
    experts, top_k = c.integer("num_local_experts", 8), c.integer("num_experts_per_tok", 2)
    return {**values, "moe": {**ffn, "experts": experts, "top_k": top_k}}


def _phimoe(c: ConfigFile) -> Values:
    values = _mixtral(c)
    values["moe"]["experts"] = c.integer("num_local_experts", 16)
    return {**values, "norm": "layer", "bias": "qkv" if c.flag("attention_bias", False) else "none"}


def _qwen2(c: ConfigFile) -> Values:
    return {**_trunk(c), "attention": {**_attention(c), **_window(c)}, "ffn": _ffn(c), "bias": "qkv"}


def _qwen3(c: ConfigFile) -> Values:
    attention = {**_attention(c), **_window(c), "qk_norm": True}
    attention["head_dim"] = c.integer("head_dim", 128)
    bias = "qkv" if c.flag("attention_bias", False) else "none"
    return {**_trunk(c), "attention": attention, "ffn": _ffn(c), "bias": bias}


def _qwen_experts(c: ConfigFile, values: Values) -> Values:
    """The experts of Qwen2-MoE and Qwen3-MoE; the dense network stays only where layers without experts need it."""
    step, dense = c.integer("decoder_sparse_step", 1), c.sequence("mlp_only_layers")
    if dense != list(range(len(dense))) or (dense and step > 1):
        raise c.error("mlp_only_layers", "is supported for the first layers only, with decoder_sparse_step 1")
    ffn = values["ffn"] if dense or step > 1 else None
    moe = {
        "experts": c.integer("num_experts"),
        "top_k": c.integer("num_experts_per_tok"),
        "width": c.integer("moe_intermediate_size"),
        "function": values["ffn"]["function"],
        "dense_layers": len(dense),
        "every": step,
    }
    return {**values, "ffn": ffn, "moe": moe}


def _qwen3_moe(c: ConfigFile) -> Values:
    return _qwen_experts(c, _qwen3(c))


def _qwen2_moe(c: ConfigFile) -> Values:
    values = _qwen_experts(c, _qwen2(c))
    values["moe"] |= {"shared_experts": 1, "shared_width": c.integer("shared_expert_intermediate_size")}
    return values


def _window(c: ConfigFile) -> Values:
    """Sliding windows by `layer_types`, else by `use_sliding_window` and `max_window_layers` (Qwen)."""
    layers = c.integer("num_hidden_layers")
    if c.has("layer_types"):
        return _window_by_layer(c, layers)
    if not c.has("sliding_window") or not c.flag("use_sliding_window", False):
        return {}
    first = c.integer("max_window_layers", layers, minimum=0)
    if 0 < first < layers:
        raise c.error("max_window_layers", f"must be 0 or {layers}: windows that begin at a layer are not supported")
    return {"window": c.integer("sliding_window")} if first == 0 else {}


def _window_by_layer(c: ConfigFile, layers: int) -> Values:
    kinds = c.sequence("layer_types")
    if len(kinds) != layers or not all(kind in ("sliding_attention", "full_attention") for kind in kinds):
        raise c.error("layer_types", f"must name sliding_attention or full_attention for each of {layers} layers")
    full = [layer for layer, kind in enumerate(kinds) if kind == "full_attention"]
    if len(full) == layers:
        return {}
    window = {"window": c.integer("sliding_window")}
    if not full:
        return window
    every = full[0] + 1
    if every < 2 or full != list(range(every - 1, layers, every)):
        raise c.error("layer_types", "must have full attention in every n-th layer, n at least 2")
    return {**window, "full_attention_every": every}


def _gpt_oss(c: ConfigFile) -> Values:
    moe = {
        "experts": c.integer("num_local_experts"),
        "top_k": c.integer("num_experts_per_tok"),
        "width": c.integer("intermediate_size"),
    }
    attention = {**_attention(c), **_window(c)}
    if not c.has("layer_types") and c.has("sliding_window"):
        attention |= {"window": c.integer("sliding_window"), "full_attention_every": 2}
    attention["head_dim"] = c.integer("head_dim", 64)
    return {**_trunk(c), "attention": attention, "moe": moe, "bias": "all"}


def _deepseek(c: ConfigFile) -> Values:
    mla = {
        "q_lora_rank": c.integer("q_lora_rank", 0, minimum=0),
        "kv_lora_rank": c.integer("kv_lora_rank"),
        "qk_nope_head_dim": c.integer("qk_nope_head_dim"),
        "qk_rope_head_dim": c.integer("qk_rope_head_dim"),
        "v_head_dim": c.integer("v_head_dim"),
    }
    values = {**_trunk(c), "attention": {"heads": c.integer("num_attention_heads"), "mla": mla}, "ffn": _ffn(c)}
    if not c.has("n_routed_experts"):
        return values
    if c.integer("moe_layer_freq", 1) != 1:
        raise c.error("moe_layer_freq", "must be 1; other values are not supported")
    dense = c.integer("first_k_dense_replace", 0, minimum=0)
    values["moe"] = {
        "experts": c.integer("n_routed_experts"),
        "top_k": c.integer("num_experts_per_tok"),
        "width": c.integer("moe_intermediate_size"),
        "function": values["ffn"]["function"],
        "shared_experts": c.integer("n_shared_experts", 0, minimum=0),
        "dense_layers": dense,
    }
    return values if dense else {**values, "ffn": None}


def _bitnet(c: ConfigFile) -> Values:
    precision = {"weight_bits": TERNARY_BITS, "activation_bits": c.integer("input_bits", 8)}
    return {
        **_trunk(c),
        "attention": _attention(c),
        "ffn": _ffn(c, "relu2"),
        "sub_norms": True,
        "precision": precision,
    }


def _phi(c: ConfigFile) -> Values:
    if c.flag("qk_layernorm", False):
        raise c.error("qk_layernorm", "is not supported")
    attention = _attention(c)
    dim = attention["head_dim"] or c.integer("hidden_size") // attention["heads"]
    attention["rotary_dim"] = int(c.number("partial_rotary_factor", 0.5) * dim)
    ffn = {**_ffn(c, "gelu_new"), "gated": False}
    return {
        **_trunk(c),
        "attention": attention,
        "ffn": ffn,
        "norm": "layer",
        "bias": "all",
        "parallel_blocks": True,
    }


def _opt(c: ConfigFile) -> Values:
    hidden = c.integer("hidden_size")
    if not c.flag("do_layer_norm_before", True):
        raise c.error("do_layer_norm_before", "must be true; norms behind the blocks are not supported")
    if c.integer("word_embed_proj_dim", hidden) != hidden:
        raise c.error("word_embed_proj_dim", f"must equal hidden_size ({hidden}); projections are not supported")
    context = c.integer("max_position_embeddings", 2048)
    ffn = {
        "width": c.integer("ffn_dim"),
        "gated": False,
        "function": _function(c, "activation_function", "relu"),
    }
    return {
        **_trunk(c, tied=True),
        "attention": {"heads": c.integer("num_attention_heads")},
        "ffn": ffn,
        "max_context": context,
        "norm": "layer",
        "position": "learned",
        "position_rows": context + 2,  # OPTLearnedPositionalEmbedding: the first two rows are reserved
        "bias": "all" if c.flag("enable_bias", True) else "none",
    }


def _gpt2(c: ConfigFile) -> Values:
    hidden = c.integer("n_embd")
    function = _function(c, "activation_function", "gelu_new")
    return {
        "layers": c.integer("n_layer"),
        "hidden": hidden,
        "vocab": c.integer("vocab_size"),
        "max_context": c.integer("n_positions", 1024),
        "tied_embeddings": c.flag("tie_word_embeddings", True),
        "attention": {"heads": c.integer("n_head")},
        "ffn": {"width": c.integer("n_inner", 4 * hidden), "gated": False, "function": function},
        "norm": "layer",
        "position": "learned",
        "bias": "all",
    }


def _mamba(c: ConfigFile) -> Values:
    hidden = c.integer("hidden_size")
    inner = c.integer("intermediate_size", c.integer("expand", 2) * hidden)
    mixer = {"d_inner": inner, "d_state": c.integer("state_size", 16), "d_conv": c.integer("conv_kernel", 4)}
    return {**_trunk(c, tied=True), **_mamba_mixer(mixer, _dt_rank(c, "time_step_rank", hidden))}


def state_spaces_mamba(c: ConfigFile) -> Values:
    """The config.json of the state-spaces/mamba repository, which has its own keys and no `model_type`."""
    hidden, ssm = c.integer("d_model"), c.part("ssm_cfg")
    if ssm.text("layer", "Mamba1") != "Mamba1":
        raise ssm.error("layer", "must be Mamba1; other layers are not supported")
    mixer = {
        "d_inner": ssm.integer("expand", 2) * hidden,
        "d_state": ssm.integer("d_state", 16),
        "d_conv": ssm.integer("d_conv", 4),
    }
    multiple = c.integer("pad_vocab_size_multiple", 8)
    trunk = {
        "layers": c.integer("n_layer"),
        "hidden": hidden,
        "vocab": math.ceil(c.integer("vocab_size") / multiple) * multiple,
        "tied_embeddings": c.flag("tie_embeddings", True),
    }
    return {**trunk, **_mamba_mixer(mixer, _dt_rank(ssm, "dt_rank", hidden))}


def _dt_rank(c: ConfigFile, key: str, hidden: int) -> int:
    """The rank of the step projection; `auto` is a sixteenth of the hidden size."""
    automatic = not c.has(key) or c.data[key] == "auto"
    return math.ceil(hidden / 16) if automatic else c.integer(key)


def _mamba_mixer(mixer: Values, dt_rank: int) -> Values:
    return {"family": "mamba", "position": "none", "mamba": {**mixer, "dt_rank": dt_rank}}


FAMILIES: Final[dict[str, Callable[[ConfigFile], Values]]] = {
    "bitnet": _bitnet,
    "deepseek_v2": _deepseek,
    "deepseek_v3": _deepseek,
    "gpt2": _gpt2,
    "gpt_oss": _gpt_oss,
    "kimi_k2": _deepseek,
    "llama": _llama,
    "mamba": _mamba,
    "mistral": _mistral,
    "mixtral": _mixtral,
    "opt": _opt,
    "phi": _phi,
    "phimoe": _phimoe,
    "qwen2": _qwen2,
    "qwen2_moe": _qwen2_moe,
    "qwen3": _qwen3,
    "qwen3_moe": _qwen3_moe,
}
