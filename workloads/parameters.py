"""What a model holds: parameters, bytes of weights, bytes of cache per token and of state per request.

Two counts of parameters. `matrices` leaves norms, biases, learned positions, convolution kernels and the diagonal
parameters of state-space layers out, as `validation/reference/models.yaml` does; `exact` is every number of a
checkpoint.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from cairn.workloads.architecture import BiasKind, Family, ModelSpec, NormKind, PositionKind


@dataclass(frozen=True)
class ParameterCount:
    """Parameters of a model; `active` are those that one token uses, embedding and LM head included in both."""

    matrices: int
    active: int
    exact: int


@dataclass(frozen=True)
class _Part:
    """A matrix of a layer (or `copies` of them, of which a token uses `used`); a bias has one number per column."""

    rows: int
    columns: int
    bits: float
    copies: int = 1
    used: int | None = None
    biased: BiasKind | None = BiasKind.ALL

    @property
    def elements(self) -> int:
        return self.copies * self.rows * self.columns

    @property
    def active(self) -> int:
        return (self.copies if self.used is None else self.used) * self.rows * self.columns


def count_parameters(model: ModelSpec) -> ParameterCount:
    """Parameters of `model`: those in matrices, those of them that a token uses, and all of them."""
    parts = [part for layer in range(model.layers) for part in _layer_parts(model, layer)]
    tables = model.vocab * model.hidden * (1 if model.tied_embeddings else 2)
    matrices = tables + sum(part.elements for part in parts)
    extra = sum(part.copies * part.columns for part in parts if _has_bias(model, part))
    extra += model.layers * _small_parameters(model) + _norm_size(model, model.hidden) + _position_size(model)
    return ParameterCount(matrices=matrices, active=tables + sum(part.active for part in parts), exact=matrices + extra)


def weight_bytes(model: ModelSpec) -> int:
    """Bytes of all weight matrices and norms in memory, a tied embedding counted once; each row starts on a byte."""
    precision = model.precision
    total = model.vocab * _row_bytes(model.hidden, precision.embedding_bits)
    if not model.tied_embeddings:
        total += model.hidden * _row_bytes(model.vocab, precision.head_bits)
    for layer in range(model.layers):
        total += sum(
            part.copies * part.rows * _row_bytes(part.columns, part.bits) for part in _layer_parts(model, layer)
        )
    small = model.layers * _small_parameters(model) + _norm_size(model, model.hidden) + _position_size(model)
    return total + _row_bytes(small, precision.norm_bits)


def kv_bytes_per_token(model: ModelSpec) -> int:
    """Bytes that one token adds to the key and value caches of all layers.

    2 layers kv_heads head_dim bytes, for MLA layers (kv_lora_rank + qk_rope_head_dim) bytes; windows are not deducted.
    """
    if model.attention is None:
        return 0
    mla, bits = model.attention.mla, model.precision.kv_bits
    if mla is not None:
        return model.layers * _row_bytes(mla.kv_lora_rank + mla.qk_rope_head_dim, bits)
    return 2 * model.layers * model.kv_heads * _row_bytes(model.head_dim, bits)


def state_bytes_per_request(model: ModelSpec) -> int:
    """Bytes of recurrent state of one request in all layers, whatever its length (RetNet, Mamba)."""
    bits = model.precision.state_bits
    if model.retnet is not None:
        return model.layers * model.retnet.heads * model.retnet.key_dim * _row_bytes(model.retnet.value_dim, bits)
    if model.mamba is not None:
        return model.layers * (model.mamba.d_state + model.mamba.d_conv) * _row_bytes(model.mamba.d_inner, bits)
    return 0


def _row_bytes(columns: int, bits: float) -> int:
    return math.ceil(columns * bits / 8)


def _layer_parts(model: ModelSpec, layer: int) -> list[_Part]:
    if model.family is Family.MAMBA:
        return _mamba_parts(model)
    if model.family is Family.RETNET:
        return _retnet_parts(model) + _ffn_parts(model)
    experts = model.is_moe_layer(layer)
    return _attention_parts(model) + (_moe_parts(model) if experts else _ffn_parts(model))


def _attention_parts(model: ModelSpec) -> list[_Part]:
    attention, hidden, bits = model.attention, model.hidden, model.precision.stored_weight_bits
    if attention is None:
        return []
    mla = attention.mla
    if mla is None:
        queries, keys = attention.heads * model.head_dim, model.kv_heads * model.head_dim
        qkv = _Part(hidden, queries + 2 * keys, bits, biased=BiasKind.QKV)
        return [qkv, _Part(queries, hidden, bits)]
    queries = attention.heads * (mla.qk_nope_head_dim + mla.qk_rope_head_dim)
    q = [_Part(hidden, queries, bits)]
    if mla.q_lora_rank:
        q = [_Part(hidden, mla.q_lora_rank, bits), _Part(mla.q_lora_rank, queries, bits)]
    return [
        *q,
        _Part(hidden, mla.kv_lora_rank + mla.qk_rope_head_dim, bits),
        _Part(mla.qk_nope_head_dim, mla.kv_lora_rank, bits, attention.heads),
        _Part(mla.kv_lora_rank, mla.v_head_dim, bits, attention.heads),
        _Part(attention.heads * mla.v_head_dim, hidden, bits),
    ]


def _ffn_parts(model: ModelSpec) -> list[_Part]:
    if model.ffn is None:
        return []
    bits, columns = model.precision.stored_weight_bits, model.ffn.width * (2 if model.ffn.gated else 1)
    return [_Part(model.hidden, columns, bits), _Part(model.ffn.width, model.hidden, bits)]


def _moe_parts(model: ModelSpec) -> list[_Part]:
    moe, hidden, precision = model.moe, model.hidden, model.precision
    if moe is None:
        return []
    gates, bits = (2 if moe.gated else 1), precision.stored_expert_bits
    parts = [
        _Part(hidden, moe.experts, precision.router_bits),
        _Part(hidden, moe.width * gates, bits, moe.experts, moe.top_k),
        _Part(moe.width, hidden, bits, moe.experts, moe.top_k),
    ]
    if moe.shared_experts:
        shared, bits = moe.shared_experts * (moe.shared_width or moe.width), precision.stored_weight_bits
        parts += [_Part(hidden, shared * gates, bits), _Part(shared, hidden, bits)]
    return parts


def _retnet_parts(model: ModelSpec) -> list[_Part]:
    retnet, hidden, bits = model.retnet, model.hidden, model.precision.stored_weight_bits
    if retnet is None:
        return []
    keys, values = retnet.heads * retnet.key_dim, retnet.heads * retnet.value_dim
    return [_Part(hidden, 2 * keys + values, bits), _Part(hidden, values, bits), _Part(values, hidden, bits)]


def _mamba_parts(model: ModelSpec) -> list[_Part]:
    mamba, hidden, bits = model.mamba, model.hidden, model.precision.stored_weight_bits
    if mamba is None:
        return []
    return [
        _Part(hidden, 2 * mamba.d_inner, bits, biased=None),
        _Part(mamba.d_inner, mamba.dt_rank + 2 * mamba.d_state, bits, biased=None),
        _Part(mamba.dt_rank, mamba.d_inner, bits, biased=None),
        _Part(mamba.d_inner, hidden, bits, biased=None),
    ]


def _has_bias(model: ModelSpec, part: _Part) -> bool:
    if part.biased is None or model.bias is BiasKind.NONE:
        return False
    return model.bias is BiasKind.ALL or part.biased is BiasKind.QKV


def _norm_size(model: ModelSpec, columns: int) -> int:
    """Numbers of a norm: a scale per column and, for layer norms, a shift."""
    return columns * (2 if model.norm is NormKind.LAYER else 1)


def _position_size(model: ModelSpec) -> int:
    if model.position is not PositionKind.LEARNED:
        return 0
    return (model.position_rows or model.max_context or 0) * model.hidden


def _small_parameters(model: ModelSpec) -> int:
    """Numbers of one layer outside matrices and biases: norms, convolution, step and diagonal of a state space."""
    norm = _norm_size(model, model.hidden)
    if model.mamba is not None:
        mamba = model.mamba
        return norm + mamba.d_inner * (mamba.d_conv + 1) + mamba.d_inner + mamba.d_inner * (mamba.d_state + 1)
    total = norm if model.parallel_blocks else 2 * norm
    total += 2 * norm if model.post_norms else 0
    attention = model.attention
    if attention is not None and attention.qk_norm:
        total += 2 * model.head_dim
    if attention is not None and attention.mla is not None:
        total += attention.mla.q_lora_rank + attention.mla.kv_lora_rank
    if model.sub_norms and attention is not None and model.ffn is not None:
        total += attention.heads * model.head_dim + model.ffn.width
    return total
