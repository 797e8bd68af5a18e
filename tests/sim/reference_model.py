"""An operator graph evaluated with NumPy, operator by operator, whole tensors at a time: nothing about cores or tiles.

It is written from `workloads/graph.py` alone and shares no code with the numeric executor.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cairn.workloads.graph import Attention, Block, Operator, Recurrence, Request, Role, Tensor

Array = npt.NDArray[np.float64]


def draw(tensor: Tensor, *purpose: object) -> Array:
    """Random content of a weight, cache or state; the same for the same purpose. Ternary weights are -1, 0 and 1, those
    of one bit -1 and 1, those of 3 to 8 bits whole numbers."""
    rng = np.random.default_rng(zlib.crc32("/".join(map(str, (*purpose, tensor.name))).encode()))
    shape = (tensor.groups, tensor.rows, tensor.columns)
    if tensor.name == "a_w":  # a decaying state space
        return -rng.uniform(0.1, 1.0, shape)
    if tensor.role is Role.WEIGHT and tensor.bits == 1:
        return 2.0 * rng.integers(0, 2, shape) - 1
    if tensor.role is Role.WEIGHT and tensor.bits <= 2:
        return rng.integers(-1, 2, shape).astype(np.float64)
    if tensor.role is Role.WEIGHT and tensor.bits <= 8:
        half = 1 << int(tensor.bits - 1)
        return rng.integers(-half, half, shape).astype(np.float64)
    scale = 1.0 / math.sqrt(tensor.rows) if tensor.role is Role.WEIGHT and tensor.rows > 4 else 1.0
    return rng.normal(0.0, scale, shape)


def without_new_rows(cache: Array, attention: Attention) -> Array:
    """A cache before the step: NaN in the rows that are not there yet."""
    result = cache.copy()
    for group in range(len(result)):
        result[group, attention.requests[group // attention.kv_heads].cached :] = np.nan
    return result


@dataclass
class Evaluation:
    """One block: `values` has every tensor by name (activations as one matrix, others as (groups, rows, columns))."""

    block: Block
    values: dict[str, Array] = field(default_factory=dict)

    def run(self) -> Array:
        for op in self.block.operators:
            getattr(self, f"_{op.kind.value}")(op)
        return self.values[self.block.output]

    def _set(self, op: Operator, value: Array) -> None:
        tensor = self.block.tensor(op.outputs[0])
        assert value.shape == (tensor.rows, tensor.columns)
        self.values[op.outputs[0]] = value

    def _in(self, op: Operator) -> list[Array]:
        return [self.values[name] for name in op.inputs]

    def _embedding(self, op: Operator) -> None:
        self._set(op, self._in(op)[0][0][list(op.rows)])

    def _matmul(self, op: Operator) -> None:
        x, w = self._in(op)
        self._set(op, x @ w[0])

    def _grouped_matmul(self, op: Operator) -> None:
        x, w = self._in(op)
        ends = np.cumsum(op.group_rows)
        parts = [x[end - size : end] @ w[g] for g, (size, end) in enumerate(zip(op.group_rows, ends, strict=True))]
        self._set(op, np.concatenate(parts))

    def _head_matmul(self, op: Operator) -> None:
        x, w = self._in(op)
        heads = x.reshape(len(x), len(w), -1)
        used = w.shape[1]
        parts = [np.concatenate([heads[:, h, :used] @ w[h], heads[:, h, used:]], axis=1) for h in range(len(w))]
        self._set(op, np.concatenate(parts, axis=1))

    def _norm(self, op: Operator) -> None:
        x = self._in(op)[0]
        if op.attention is not None:
            self._norm_of_heads(op, op.attention)
        elif op.recurrence is not None:
            heads = x.reshape(len(x), op.recurrence.heads, -1)
            self._set(op, (heads / np.sqrt((heads**2).mean(axis=2, keepdims=True) + 1e-5)).reshape(x.shape))
        else:
            w = self.values[op.inputs[1]][0, 0]
            part = x[:, : w.size]
            if op.function == "layer":
                part = (part - part.mean(axis=1, keepdims=True)) / np.sqrt(part.var(axis=1, keepdims=True) + 1e-5)
            else:
                part = part / np.sqrt((part**2).mean(axis=1, keepdims=True) + 1e-5)
            self._set(op, np.concatenate([part * w, x[:, w.size :]], axis=1))

    def _norm_of_heads(self, op: Operator, a: Attention) -> None:
        x, w = self.values[op.inputs[0]].copy(), self.values[op.inputs[1]][0]
        for head in range(a.heads + a.kv_heads):
            part = x[:, head * a.head_dim : (head + 1) * a.head_dim]
            part *= w[int(head >= a.heads)] / np.sqrt((part**2).mean(axis=1, keepdims=True) + 1e-5)
        self._set(op, x)

    def _rope(self, op: Operator) -> None:
        a = op.attention
        assert a is not None
        x = self.values[op.inputs[0]].copy()
        positions = [r.cached + i for r in a.requests for i in range(r.new)]
        width = a.rotary_dim or a.head_dim
        for head in range(a.heads + a.kv_heads):
            first = (head + 1) * a.head_dim - width
            for row, position in enumerate(positions):
                for i in range(width // 2):
                    turn = np.exp(1j * position * 10000.0 ** (-2 * i / width))
                    p, q = first + i, first + i + width // 2
                    z = complex(x[row, p], x[row, q]) * turn
                    x[row, p], x[row, q] = z.real, z.imag
        self._set(op, x)

    # -- attention -----------------------------------------------------------------------------------------------------

    def _append(self, op: Operator) -> None:
        """New keys and values into the caches of an attention."""
        a = op.attention
        assert a is not None
        caches = [n for n in op.inputs if self.block.tensor(n).role is Role.KV]
        x = self.values[[n for n in op.inputs if self.block.tensor(n).role is Role.ACTIVATION][-1]]
        keys = a.heads * a.head_dim
        starts = {"k_cache": (keys, a.head_dim), "v_cache": (keys + a.kv_heads * a.head_dim, a.value_dim)}
        for cache in caches:
            first, width = starts.get(cache, (0, a.head_dim))
            content = self.values[cache] = self.values[cache].copy()
            row = 0
            for r, request in enumerate(a.requests):
                for head in range(a.kv_heads):
                    column = first + head * width
                    new = x[row : row + request.new, column : column + width]
                    content[r * a.kv_heads + head, request.cached : request.cached + request.new] = new
                row += request.new

    def _weights(self, a: Attention, scores: Array, r: int) -> Array:
        """Soft-max over the keys that each new token of request r looks at."""
        request = a.requests[r]
        for i in range(request.new):
            for n in range(request.cached + request.new):
                position = request.cached + i
                if (a.causal and n > position) or (a.window is not None and n <= position - a.window):
                    scores[i, n] = -np.inf
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        return scores / scores.sum(axis=1, keepdims=True)

    def _attention(self, op: Operator) -> None:
        a = op.attention
        assert a is not None
        self._append(op)
        caches = [n for n in op.inputs if self.block.tensor(n).role is Role.KV]
        q, k, v = self.values[op.inputs[0]], self.values[caches[0]], self.values[caches[-1]]
        rows = []
        start = 0
        for r, request in enumerate(a.requests):
            heads = []
            seen = request.cached + request.new
            for h in range(a.heads):
                group = r * a.kv_heads + h * a.kv_heads // a.heads
                query = q[start : start + request.new, h * a.head_dim : (h + 1) * a.head_dim]
                scores = query @ k[group, :seen].T / math.sqrt(a.head_dim)
                heads.append(self._weights(a, scores, r) @ v[group, :seen, : a.value_dim])
            rows.append(np.concatenate(heads, axis=1))
            start += request.new
        self._set(op, np.concatenate(rows))

    def _attention_scores(self, op: Operator) -> None:
        a = op.attention
        assert a is not None
        self._append(op)
        q, p = self.values[op.inputs[0]], self.block.tensor(op.outputs[0])
        k = self.values[op.inputs[-1]]
        scores = np.full((p.groups, p.rows, p.columns), np.nan)
        for r, h, rows, request in self._heads_of(a):
            seen = request.cached + request.new
            query = q[rows, h * a.head_dim : (h + 1) * a.head_dim]
            key = k[r * a.kv_heads + h * a.kv_heads // a.heads, :seen]
            scores[r * a.heads + h, : request.new, :seen] = query @ key.T / math.sqrt(a.head_dim)
        self.values[op.outputs[0]] = scores

    def _softmax(self, op: Operator) -> None:
        a = op.attention
        assert a is not None
        p = self.values[op.inputs[0]].copy()
        for r, h, _, request in self._heads_of(a):
            part = p[r * a.heads + h, : request.new, : request.cached + request.new]
            part[:] = self._weights(a, part.copy(), r)
        self.values[op.outputs[0]] = p

    def _attention_context(self, op: Operator) -> None:
        a = op.attention
        assert a is not None
        self._append(op)
        p, v = self.values[op.inputs[0]], self.values[op.inputs[-1]]
        y = np.empty((self.block.tensor(op.outputs[0]).rows, a.heads * a.value_dim))
        for r, h, rows, request in self._heads_of(a):
            seen = request.cached + request.new
            value = v[r * a.kv_heads + h * a.kv_heads // a.heads, :seen, : a.value_dim]
            y[rows, h * a.value_dim : (h + 1) * a.value_dim] = p[r * a.heads + h, : request.new, :seen] @ value
        self._set(op, y)

    def _heads_of(self, a: Attention) -> Iterator[tuple[int, int, slice, Request]]:
        """Each request and query head, with the request's token rows."""
        start = 0
        for r, request in enumerate(a.requests):
            for h in range(a.heads):
                yield r, h, slice(start, start + request.new), request
            start += request.new

    # -- element-wise, experts -----------------------------------------------------------------------------------------

    def _function(self, name: str, x: Array) -> Array:
        if name == "gelu":
            return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
        return {"silu": x * (1 / (1 + np.exp(-x))), "relu": x * (x > 0), "relu2": (x * (x > 0)) ** 2}[name]

    def _activation(self, op: Operator) -> None:
        values = self._in(op)
        if len(values) == 2:
            self._set(op, self._function(op.function, values[0]) * values[1])
        elif values[0].shape[1] == 2 * self.block.tensor(op.outputs[0]).columns:
            self._set(op, self._function(op.function, values[0][:, 0::2]) * values[0][:, 1::2])
        else:
            self._set(op, self._function(op.function, values[0]))

    def _add(self, op: Operator) -> None:
        x, z = self._in(op)
        self._set(op, x + z)

    def _top_k(self, op: Operator) -> None:
        logits = self._in(op)[0]
        chosen: list[list[float]] = [[] for _ in logits]
        index = 0
        for expert, size in enumerate(op.row_groups):
            for token in op.rows[index : index + size]:
                chosen[token].append(logits[token, expert])
            index += size
        weights = np.exp(np.array(chosen))
        self._set(op, weights / weights.sum(axis=1, keepdims=True))

    def _dispatch(self, op: Operator) -> None:
        self._set(op, self._in(op)[0][list(op.rows)])

    def _combine(self, op: Operator) -> None:
        x, weights = self._in(op)
        tensor = self.block.tensor(op.outputs[0])
        y = np.zeros((tensor.rows, tensor.columns))
        count = [0] * tensor.rows
        for row, token in zip(x, op.rows, strict=True):
            y[token] += weights[token, count[token]] * row
            count[token] += 1
        self._set(op, y)

    # -- states --------------------------------------------------------------------------------------------------------

    def _requests(self, r: Recurrence) -> list[range]:
        ends = np.cumsum([request.new for request in r.requests]).tolist()
        return [range(end - request.new, end) for request, end in zip(r.requests, ends, strict=True)]

    def _retention(self, op: Operator) -> None:
        r = op.recurrence
        assert r is not None
        x, state = self.values[op.inputs[0]], self.values[op.inputs[1]].copy()
        q, k, v = np.split(x, [r.heads * r.key_dim, 2 * r.heads * r.key_dim], axis=1)
        y = np.empty((len(x), r.heads * r.value_dim))
        for request, rows in enumerate(self._requests(r)):
            for h in range(r.heads):
                keys, values = slice(h * r.key_dim, (h + 1) * r.key_dim), slice(h * r.value_dim, (h + 1) * r.value_dim)
                s = state[request * r.heads + h]
                for t in rows:
                    s = (1 - 2.0 ** (-5 - h)) * s + k[t, keys, None] * v[t, None, values]
                    y[t, values] = q[t, keys] @ s
                state[request * r.heads + h] = s
        self.values[op.inputs[1]] = state
        self._set(op, y)

    def _conv1d(self, op: Operator) -> None:
        r = op.recurrence
        assert r is not None
        x, w, state = self._in(op)
        y, state = np.empty_like(x), state.copy()
        for request, rows in enumerate(self._requests(r)):
            history = np.concatenate([state[request], x[rows.start : rows.stop]])
            for i, t in enumerate(rows):
                y[t] = (w[0] * history[i + 1 : i + 1 + r.key_dim]).sum(axis=0)
            state[request] = history[-r.key_dim :]
        self.values[op.inputs[2]] = state
        self._set(op, y)

    def _ssm_scan(self, op: Operator) -> None:
        r = op.recurrence
        assert r is not None
        x, dt, bc, a, d, state = self._in(op)
        y, state = np.empty_like(x), state.copy()
        step = np.log1p(np.exp(dt))
        b, c = bc[:, : r.key_dim], bc[:, r.key_dim :]
        for request, rows in enumerate(self._requests(r)):
            for t in rows:
                state[request] = np.exp(step[t] * a[0]) * state[request] + b[t][:, None] * (step[t] * x[t])
                y[t] = c[t] @ state[request] + d[0, 0] * x[t]
        self.values[op.inputs[-1]] = state
        self._set(op, y)
