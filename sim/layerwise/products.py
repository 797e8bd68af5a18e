"""The matrix products of a model's step, as columns: linear layers, LM head, and the two products of attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.matrix_unit import IntArray
from cairn.sim.layerwise.spec import AttentionSpec
from cairn.workloads.architecture import Family, ModelSpec

MAX_TOKENS: Final = 1 << 20
"""assumed: a million tokens are beyond any model's context."""


@dataclass(frozen=True)
class Products:
    """Products y[m, n] = x[m, k] w[k, n], each `count` times; columns of one length.

    `read_columns` and `read_rows` are what is counted as read of x, which a simplification may have differ from k and
    m; `attention` marks products of two activations.
    """

    names: tuple[str, ...]
    m: IntArray
    n: IntArray
    k: IntArray
    read_columns: IntArray
    read_rows: IntArray
    count: IntArray
    attention: np.ndarray

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all products."""
        return int((self.m * self.n * self.k * self.count).sum())


_Row = tuple[str, int, int, int, int, int, int, bool]


def model_products(model: ModelSpec, tokens: int, context: int, attention: AttentionSpec) -> Products:
    """Products of one step of `tokens` tokens of one request over `context` keys, the LM head for every token.

    Raises ConfigError for models that are not dense transformers with whole heads, and for counts out of range.
    """
    for name, value in (("tokens", tokens), ("context", context)):
        if not 1 <= value <= MAX_TOKENS:
            raise ConfigError(f"must be 1 to {MAX_TOKENS}, got {value}", key=name)
    if tokens > context:
        message = f"tokens ({tokens}) must not exceed context ({context}), which holds their keys"
        raise ConfigError(message, key="tokens")
    rows = [*_linear(model, tokens), *_attention(model, tokens, context, attention)]
    names, *columns, marks = zip(*rows, strict=True)
    m, n, k, read_columns, read_rows, count = (np.array(column, dtype=np.int64) for column in columns)
    return Products(tuple(names), m, n, k, read_columns, read_rows, count, np.array(marks, dtype=bool))


def _linear(model: ModelSpec, tokens: int) -> list[_Row]:
    """Queries, keys, values, output, feed-forward network and LM head, one product each, none merged."""
    parts, others = model.attention, model.family is not Family.TRANSFORMER or model.moe is not None
    if others or parts is None or parts.mla is not None or model.ffn is None:
        message = f"{model.name!r} must be a dense transformer with whole heads (no experts, no latent attention)"
        raise ConfigError(message, key="model")
    hidden, layers, width = model.hidden, model.layers, model.ffn.width
    queries, keys = parts.heads * model.head_dim, model.kv_heads * model.head_dim
    matrices = [
        ("q", queries, hidden, layers),
        ("k", keys, hidden, layers),
        ("v", keys, hidden, layers),
        ("o", hidden, queries, layers),
        *([("gate", width, hidden, layers)] if model.ffn.gated else []),
        ("up", width, hidden, layers),
        ("down", hidden, width, layers),
        ("lm_head", model.vocab, hidden, 1),
    ]
    return [(name, tokens, n, k, k, tokens, count, False) for name, n, k, count in matrices]


def _attention(model: ModelSpec, tokens: int, context: int, how: AttentionSpec) -> list[_Row]:
    heads = model.attention.heads if model.attention else 0
    layers, dim, queries, keys = model.layers, model.head_dim, heads * model.head_dim, model.kv_heads * model.head_dim
    if how.heads == "per_head":  # keys and values are what stays: one product for each head that is cached
        count, rows = layers * model.kv_heads, tokens * heads // model.kv_heads
        return [
            ("qk", rows, context, dim, dim, rows, count, True),
            ("pv", rows, dim, context, context, rows, count, True),
        ]
    scores = heads * tokens
    read = (scores, tokens) if how.cached_reads == "output_rows" else (context, context)
    return [
        ("qk", scores, tokens, queries, keys, read[0], layers, True),
        ("pv", tokens, scores, context, keys, read[1], layers, True),
    ]
