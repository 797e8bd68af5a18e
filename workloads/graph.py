"""The operator graph: what a model step computes, with exact shapes, and its repetition kept explicit.

Every tensor is one or several equal matrices: `groups` x `rows` x `columns`. A weight is (1, K, N), the experts of a
layer (E, K, N), an activation (1, tokens, features), a K or V cache (requests x kv heads, context, head dimension), a
recurrent state (requests x heads, key dimension, value dimension).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class Role(StrEnum):
    WEIGHT = "weight"
    ACTIVATION = "activation"
    KV = "kv"
    STATE = "state"


class OpKind(StrEnum):
    """What an operator does, with its inputs in their order. `x` activations, `w` weights, `y` output, t tokens."""

    EMBEDDING = "embedding"  # (w): y[i, h] = w[rows[i], h]
    NORM = "norm"  # (x, w): y = x normalised over its first w.columns columns, times w[0]; see `Operator.function`
    MATMUL = "matmul"  # (x, w): y[m, n] = x[m, k] w[k, n]
    GROUPED_MATMUL = "grouped_matmul"  # (x, w): rows of x are sorted by group; y[rows of g] = x[rows of g] w[g]
    HEAD_MATMUL = "head_matmul"  # (x, w): y[:, head] = x[:, head] w[head]; columns of a head beyond w's rows pass on
    ROPE = "rope"  # (x): rotary embedding of the query and key columns of x, in place
    ATTENTION = "attention"  # (x, k, v): fused: y = softmax(q k^T) v over the cache, new keys and values appended
    ATTENTION_SCORES = "attention_scores"  # (x, k): unfused: p = q k^T, keys appended
    SOFTMAX = "softmax"  # (p): unfused: p = softmax(p), in place
    ATTENTION_CONTEXT = "attention_context"  # (p, x, v): unfused: y = p v, values appended
    ACTIVATION = "activation"  # (x): y = f(x), or f(gate) * up, in alternating columns of x; (x, z): y = f(x) * z
    ADD = "add"  # (x, z): y = x + z
    TOP_K = "top_k"  # (logits[t, experts]): y[t, j] = weight of the j-th chosen expert, ascending, of token t
    DISPATCH = "dispatch"  # (x) or (x, weights of TOP_K): y[i] = x[rows[i]]
    COMBINE = "combine"  # (x, weights of TOP_K): y[rows[i]] += weight * x[i]
    RETENTION = "retention"  # (x, state): state = decay * state + k^T v; y = q state (chunked for prefill)
    CONV1D = "conv1d"  # (x, w[d_conv, d_inner], state): depthwise causal convolution over d_conv tokens
    SSM_SCAN = "ssm_scan"  # (x, dt, b and c, a[d_state, d_inner], d, state): state = exp(dt a) state + dt b x;
    # y = c state + d x


@dataclass(frozen=True)
class Tensor:
    """`groups` matrices of `rows` x `columns` elements of `bits` each (1.6: five ternary weights in a byte)."""

    name: str
    role: Role
    rows: int
    columns: int
    bits: float
    groups: int = 1

    @property
    def elements(self) -> int:
        return self.groups * self.rows * self.columns

    @property
    def bytes(self) -> int:
        """Bytes in memory; each matrix row starts on a byte."""
        return self.groups * self.rows * math.ceil(self.columns * self.bits / 8)


@dataclass(frozen=True)
class Request:
    """One sequence in a step: `new` tokens that are computed now after `cached` ones (decode: new = 1)."""

    new: int
    cached: int


@dataclass(frozen=True)
class Attention:
    """Parameters of the attention kinds. Token rows of `x` are the requests' new tokens, one after the other.

    `x` columns: `heads` queries of `head_dim`, then `kv_heads` keys of `head_dim`, then `kv_heads` values of
    `value_dim`. With `latent` (MLA) the value is the first `value_dim` columns of the key, stored once: no value
    columns follow, there is no v input, and x comes as two tensors, the queries and then the new key, so that the
    inputs are (queries, key, k), (queries, key, k) and (p, key, k) of the three kinds. Key cache: group = request *
    kv_heads + kv head, rows = cached + new tokens (the longest request's; shorter ones use fewer). `window` limits
    how many tokens a token looks at, itself included (None: everything). Scores and probabilities `p`: group =
    request * heads + head, rows = new and columns = cached + new tokens of the longest request.
    ROPE (and NORM of heads) use `heads`, `kv_heads` and `head_dim` to say which columns of x they change; the last
    `rotary_dim` columns of a head turn (None: all of them).
    """

    requests: tuple[Request, ...]
    heads: int
    kv_heads: int
    head_dim: int
    value_dim: int
    causal: bool = True
    window: int | None = None
    latent: bool = False
    rotary_dim: int | None = None

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Pairs (queries x keys that are looked at) of each request and query head: (request, pairs)."""
        for index, request in enumerate(self.requests):
            if not self.causal:
                seen = request.cached + request.new
                yield index, request.new * (min(seen, self.window) if self.window else seen)
                continue
            rising = request.new  # rows whose whole past lies within the window
            if self.window is not None:
                rising = min(request.new, max(0, self.window - request.cached))
            flat = (request.new - rising) * (self.window or 0)
            yield index, rising * request.cached + rising * (rising + 1) // 2 + flat


@dataclass(frozen=True)
class Recurrence:
    """Parameters of RETENTION, CONV1D and SSM_SCAN: `state` (groups = requests x heads) is read and written once.

    RETENTION: x columns are heads of query (key_dim), key (key_dim), value (value_dim), all queries first; `chunk`
    tokens of a request are taken at a time (1: the recurrent form).
    SSM_SCAN: heads = 1, key_dim = d_state, value_dim = d_inner. CONV1D: key_dim = d_conv, value_dim = d_inner.
    """

    requests: tuple[Request, ...]
    heads: int
    key_dim: int
    value_dim: int
    chunk: int = 1


@dataclass(frozen=True)
class Operator:
    """One operator of a block. Tensors are named; `ops` counts multiplies and adds (2 per MAC) that must be done."""

    name: str
    kind: OpKind
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    matrix_ops: int = 0
    vector_ops: int = 0
    attention: Attention | None = None
    recurrence: Recurrence | None = None
    group_rows: tuple[int, ...] = ()
    """GROUPED_MATMUL: rows of x that belong to each group of w (0 for experts nobody chose)."""
    rows: tuple[int, ...] = ()
    """DISPATCH, COMBINE, EMBEDDING: source (or destination) row of each row, ascending within an expert. TOP_K: the
    tokens that each expert gets, as DISPATCH. The weight of row i is column j of the TOP_K output, where j counts the
    earlier rows of the same token."""
    row_groups: tuple[int, ...] = ()
    """TOP_K, DISPATCH, COMBINE: how many consecutive entries of `rows` belong to each expert; () means one group."""
    function: str = ""
    """ACTIVATION: silu, gelu, relu, relu2 (gated when x has twice the columns of y). NORM: rms or layer; with
    `attention` in place and head by head, queries times w[0] and keys times w[1] (QK norm), with `recurrence` each
    head of value_dim columns by itself, without w (RetNet's group norm)."""
    reads: tuple[tuple[str, int], ...] = ()
    """Unique bytes read from memory-resident tensors (weights, caches, states), by tensor."""
    writes: tuple[tuple[str, int], ...] = ()
    """Unique bytes written to memory-resident tensors (appended keys and values, states), by tensor."""


@dataclass(frozen=True)
class Block:
    """Operators in order, and the tensors they name. `hidden` enters as `inputs` and leaves as `outputs`."""

    name: str
    operators: tuple[Operator, ...]
    tensors: tuple[Tensor, ...]
    input: str | None
    output: str
    index: dict[str, Tensor] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        self.index.update({tensor.name: tensor for tensor in self.tensors})

    def tensor(self, name: str) -> Tensor:
        return self.index[name]


@dataclass(frozen=True)
class Segment:
    """`block` repeated `repeat` times, the output of one being the input of the next, each with its own weights."""

    block: Block
    repeat: int = 1


@dataclass(frozen=True)
class OperatorGraph:
    """A step of a model: prologue, layers, epilogue as segments in order; `tokens` rows of activations."""

    model: str
    phase: str
    tokens: int
    segments: tuple[Segment, ...]

    def totals(self) -> dict[str, int]:
        """Unique matrix_ops, vector_ops, bytes read and bytes written of the whole step, repeats multiplied."""
        result = {"matrix_ops": 0, "vector_ops": 0, "read_bytes": 0, "written_bytes": 0}
        for segment in self.segments:
            for op in segment.block.operators:
                result["matrix_ops"] += segment.repeat * op.matrix_ops
                result["vector_ops"] += segment.repeat * op.vector_ops
                result["read_bytes"] += segment.repeat * sum(count for _, count in op.reads)
                result["written_bytes"] += segment.repeat * sum(count for _, count in op.writes)
        return result
