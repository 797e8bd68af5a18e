"""Weight matrices of the layers of shipped models, as products see them."""

from __future__ import annotations

from cairn.validation.shipped import plain_name, shipped_models
from cairn.workloads.architecture import ModelSpec


def model(name: str) -> ModelSpec:
    """A shipped model by the name that a reference gives it; KeyError where none is shipped."""
    return shipped_models()[plain_name(name)]


def matrices(spec: ModelSpec) -> list[tuple[int, int]]:
    """Inputs and outputs of the weight matrices of one layer: attention, then the feed-forward network."""
    if spec.attention is None or spec.ffn is None:
        raise ValueError(f"{spec.name} has no soft-max attention or no feed-forward network")
    attention = spec.attention
    head = attention.head_dim or spec.hidden // attention.heads
    queries, keys = attention.heads * head, (attention.kv_heads or attention.heads) * head
    into = [(spec.hidden, queries), (spec.hidden, keys), (spec.hidden, keys), (queries, spec.hidden)]
    up = [(spec.hidden, spec.ffn.width)] * (2 if spec.ffn.gated else 1)
    return [*into, *up, (spec.ffn.width, spec.hidden)]


def layer_macs(spec: ModelSpec, tokens: int) -> int:
    """Multiply-accumulates of all weight matrices of a layer."""
    return tokens * sum(inputs * outputs for inputs, outputs in matrices(spec))


def table_widths(spec: ModelSpec) -> list[int]:
    """Activations of a token in tables, kernel by kernel; what Q, K, V or gate and up share counts once."""
    inputs = matrices(spec)
    return [inputs[0][0], inputs[3][0], inputs[4][0], inputs[-1][0]]


def table_inputs(spec: ModelSpec, tokens: int) -> int:
    """Activations that tables are made of in a layer."""
    return tokens * sum(table_widths(spec))
