"""Attention of a decoder layer: grouped-query and multi-head latent, fused or unfused.

Latent attention runs in its absorbed form in decode and in prefill: queries are carried into the latent space
(HEAD_MATMUL with W_UK), attention works on the cached latents, and W_UV carries the result back (DeepSeek-V2, arXiv
2405.04434, section 2.1.2). Nothing of the cache is ever expanded; a prefill does more attention work than the expanded
form would (per pair and head 2 (2 kv_lora_rank + rope) operations against 2 (nope + rope + v)).
"""

from __future__ import annotations

import math

from cairn.workloads import counts
from cairn.workloads.architecture import AttentionSpec, MLASpec, PositionKind
from cairn.workloads.blocks import BlockBuilder, Traffic
from cairn.workloads.graph import Attention, Operator, OpKind, Role, Tensor


def attention_block(b: BlockBuilder, spec: AttentionSpec, x: str, window: int | None) -> str:
    """Append the attention of a layer on the normalised x, output projection included; gives its output."""
    precision = b.step.model.precision
    if spec.mla is not None:
        context = _latent_attention(b, spec.heads, spec.mla, x)
    else:
        context = _grouped_attention(b, spec, x, window)
    if b.step.model.sub_norms:
        context = b.norm("attn_sub_norm", context, precision.activation_bits)
    return b.matmul("o", context, b.step.model.hidden)


def _grouped_attention(b: BlockBuilder, spec: AttentionSpec, x: str, window: int | None) -> str:
    model = b.step.model
    attention = Attention(
        requests=b.step.requests,
        heads=spec.heads,
        kv_heads=model.kv_heads,
        head_dim=model.head_dim,
        value_dim=model.head_dim,
        window=window,
        rotary_dim=spec.rotary_dim,
    )
    qkv = b.matmul("qkv", x, (spec.heads + 2 * model.kv_heads) * model.head_dim)
    if spec.qk_norm:
        w = b.weight("qk_norm_w", 2, model.head_dim, model.precision.norm_bits)
        columns = (spec.heads + model.kv_heads) * model.head_dim
        b.add_operator(
            Operator(
                "qk_norm",
                OpKind.NORM,
                (qkv, w),
                (qkv,),
                vector_ops=b.step.tokens * columns * counts.NORM["rms"],
                attention=attention,
                function="rms",
                reads=((w, b.tensor(w).bytes),),
            )
        )
    if model.position is PositionKind.ROPE:
        b.rope("rope", qkv, attention)
    keys = _cache(b, "k_cache", attention.kv_heads, attention.head_dim)
    values = _cache(b, "v_cache", attention.kv_heads, attention.value_dim)
    return _attend(b, attention, (qkv,), keys, values)


def _latent_attention(b: BlockBuilder, heads: int, mla: MLASpec, x: str) -> str:
    model, precision = b.step.model, b.step.model.precision
    latent, rope = mla.kv_lora_rank, mla.qk_rope_head_dim
    if mla.q_lora_rank:
        x_q = b.norm("q_a_norm", b.matmul("q_a", x, mla.q_lora_rank), precision.activation_bits)
        q = b.matmul("q_b", x_q, heads * (mla.qk_nope_head_dim + rope))
    else:
        q = b.matmul("q", x, heads * (mla.qk_nope_head_dim + rope))
    kv = b.norm("kv_a_norm", b.matmul("kv_a", x, latent + rope), precision.residual_bits, columns=latent)
    if model.position is PositionKind.ROPE:
        query = Attention(b.step.requests, heads, 0, mla.qk_nope_head_dim + rope, 0, rotary_dim=rope)
        b.rope("q_rope", q, query)
        b.rope("k_rope", kv, Attention(b.step.requests, 0, 1, latent + rope, 0, rotary_dim=rope))
    q = _head_matmul(b, "absorb_k", q, heads, mla.qk_nope_head_dim, latent)
    attention = Attention(b.step.requests, heads, 1, latent + rope, latent, latent=True)
    cache = _cache(b, "kv_cache", 1, latent + rope)
    context = _attend(b, attention, (q, kv), cache, None)
    return _head_matmul(b, "absorb_v", context, heads, latent, mla.v_head_dim)


def _head_matmul(b: BlockBuilder, name: str, x: str, heads: int, rows: int, columns: int) -> str:
    """Each head's first `rows` columns of x times a weight of its own; what is left of the head stays behind it."""
    precision, source = b.step.model.precision, b.tensor(x)
    w = b.weight(f"{name}_w", rows, columns, precision.stored_weight_bits, heads)
    passed = source.columns - heads * rows
    y = b.activation(name, heads * columns + passed, precision.residual_bits)
    ops = 2 * source.rows * heads * rows * columns
    return b.add_operator(
        Operator(name, OpKind.HEAD_MATMUL, (x, w), (y,), matrix_ops=ops, reads=((w, b.tensor(w).bytes),))
    )


def _cache(b: BlockBuilder, name: str, kv_heads: int, columns: int) -> str:
    requests = b.step.requests
    rows = max(request.cached + request.new for request in requests)
    return b.declare(Tensor(name, Role.KV, rows, columns, b.step.model.precision.kv_bits, len(requests) * kv_heads))


def _attend(b: BlockBuilder, attention: Attention, x: tuple[str, ...], keys: str, values: str | None) -> str:
    """Attention of the queries and new keys in x over the caches (`values` None: they are part of the keys)."""
    precision = b.step.model.precision
    bits = precision.residual_bits if b.step.model.sub_norms or attention.latent else precision.activation_bits
    pairs = attention.heads * sum(count for _, count in attention.pairs())
    each = counts.SOFTMAX + (counts.ALIBI if b.step.model.position is PositionKind.ALIBI else 0)
    k_read, k_written = _traffic(b, attention, keys, attention.head_dim)
    v_read, v_written = _traffic(b, attention, values or keys, attention.value_dim)
    scores_ops, context_ops = 2 * pairs * attention.head_dim, 2 * pairs * attention.value_dim
    columns = attention.heads * attention.value_dim
    caches = (keys, values) if values else (keys,)
    if b.step.fused:
        y = b.activation("attention", columns, bits)
        return b.add_operator(
            Operator(
                "attention",
                OpKind.ATTENTION,
                (*x, *caches),
                (y,),
                matrix_ops=scores_ops + context_ops,
                vector_ops=pairs * each,
                attention=attention,
                reads=k_read + v_read if values else k_read,
                writes=k_written + v_written if values else k_written,
            )
        )
    requests = b.step.requests
    rows, seen = max(request.new for request in requests), b.tensor(keys).rows
    groups = len(requests) * attention.heads
    p = b.declare(Tensor("scores", Role.ACTIVATION, rows, seen, precision.residual_bits, groups))
    y = b.activation("context", columns, bits)
    b.add_operator(
        Operator(
            "scores",
            OpKind.ATTENTION_SCORES,
            (*x, keys),
            (p,),
            matrix_ops=scores_ops,
            attention=attention,
            reads=k_read,
            writes=k_written,
        )
    )
    b.add_operator(Operator("softmax", OpKind.SOFTMAX, (p,), (p,), vector_ops=pairs * each, attention=attention))
    return b.add_operator(
        Operator(
            "context",
            OpKind.ATTENTION_CONTEXT,
            (p, x[-1], values or keys),
            (y,),
            matrix_ops=context_ops,
            attention=attention,
            reads=v_read,
            writes=v_written if values else (),
        )
    )


def _traffic(b: BlockBuilder, attention: Attention, cache: str, columns: int) -> tuple[Traffic, Traffic]:
    """What is read from and appended to `cache`: the cached rows that any new token looks at, and the new rows.

    Rows that an earlier part of the step has appended are the last of the cached ones.
    """
    row_bytes = attention.kv_heads * math.ceil(columns * b.tensor(cache).bits / 8)
    past = [request.cached for request in attention.requests]
    if attention.window is not None:
        past = [min(cached, attention.window - 1) for cached in past]
    read, new = sum(max(0, rows - b.step.appended) for rows in past) * row_bytes, b.step.tokens * row_bytes
    return ((cache, read),) if read else (), ((cache, new),) if b.step.kv_append else ()
