"""What the compute actions of attention and of recurrent states do with numbers.

A running soft-max keeps, for each query row and head, the sum of weighted values, the largest score and the sum of the
weights: one row of the tensor "<output>.partial" has value_dim sums of each head, then their maxima, then their sums.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.sim.plan import actions
from cairn.sim.plan.numbers_machine import Effect, Job, Machine, token_starts
from cairn.sim.plan.numbers_math import decay_of, softplus
from cairn.sim.plan.numbers_memory import Numbers, Rect
from cairn.workloads.graph import Attention, OpKind, Recurrence, Role

Running = tuple[Numbers, Numbers, Numbers]
"""Sums of values (rows, heads, value_dim), maxima and sums of weights (rows, heads)."""


def attention_of(job: Job) -> Attention:
    """The parameters of a job's attention."""
    if job.operator.attention is None:
        raise ValueError(f"operator {job.operator.name} has no attention parameters")
    return job.operator.attention


def caches_of(job: Job) -> list[str]:
    return [name for name in job.operator.inputs if job.instance.block.tensor(name).role is Role.KV]


def _scratch(machine: Machine, job: Job, what: str) -> Hashable:
    """Scores and weights have a name of their own for each tile of keys: a tensor of the plan where PIM units make
    or take them, else one that never leaves the core."""
    name = f"{job.instance.tensor_name(job.operator.name)}.{what}.{job.n[0]}"
    return machine.numbers.get(name, name)


def _score_rect(job: Job) -> Rect:
    attention = attention_of(job)
    return *job.m, 0, attention.heads // attention.kv_heads * (job.n[1] - job.n[0])


def hidden_keys(job: Job) -> npt.NDArray[np.bool_]:
    """(rows m, keys n): which rows do not look at which keys."""
    attention = attention_of(job)
    request = job.group // attention.kv_heads
    starts, cached = token_starts(attention.requests), attention.requests[request].cached
    position = cached + np.arange(*job.m)[:, None] - starts[request]
    key = np.arange(*job.n)[None, :]
    hidden = np.zeros((job.m[1] - job.m[0], job.n[1] - job.n[0]), dtype=bool)
    if attention.causal:
        hidden |= key > position
    if attention.window is not None:
        hidden |= key <= position - attention.window
    return hidden


def scored(machine: Machine, job: Job) -> Numbers:
    """q k^T / sqrt(head_dim) of all query heads of a key head; -inf where a row does not look: (rows, heads, keys)."""
    attention, operator = attention_of(job), job.operator
    head = job.group % attention.kv_heads
    heads, width = attention.heads // attention.kv_heads, attention.head_dim
    x = machine.source(job.instance, operator, operator.inputs[0])
    columns = head * heads * width, (head + 1) * heads * width
    queries = machine.need(job.core, x, 0, (*job.m, *columns), job.task).reshape(-1, heads, width)
    cache = machine.key(job.instance, caches_of(job)[0])
    keys = machine.need(job.core, cache, job.group, (*job.n, 0, width), job.task)
    result = np.einsum("mhd,nd->mhn", queries, keys) / np.sqrt(width)
    return np.where(hidden_keys(job)[:, None, :], -np.inf, result)


def scores(machine: Machine, job: Job) -> Effect:
    """Scores of a tile of keys."""
    values = scored(machine, job)
    result = values.reshape(len(values), -1)
    return lambda: machine.put(job.core, _scratch(machine, job, "scores"), job.group, _score_rect(job), result)


def softmax(machine: Machine, job: Job) -> Effect:
    """Takes the scores of a tile of keys over; their largest and the weights are found here, rescaled by `context`."""
    values = machine.need(job.core, _scratch(machine, job, "scores"), job.group, _score_rect(job), job.task)
    return lambda: machine.put(job.core, _scratch(machine, job, "weights"), job.group, _score_rect(job), values)


def context(machine: Machine, job: Job) -> Effect:
    """Adds a tile's weighted values to the running soft-max of the rows."""
    attention, caches = attention_of(job), caches_of(job)
    heads = attention.heads // attention.kv_heads
    weights = machine.need(job.core, _scratch(machine, job, "weights"), job.group, _score_rect(job), job.task)
    tile_scores = weights.reshape(len(weights), heads, -1)
    values = machine.need(
        job.core, machine.key(job.instance, caches[-1]), job.group, (*job.n, 0, attention.value_dim), job.task
    )
    highest = tile_scores.max(axis=2)
    shares = np.exp(tile_scores - np.where(np.isfinite(highest), highest, 0.0)[:, :, None])
    tile = np.einsum("mhn,nd->mhd", shares, values), highest, shares.sum(axis=2)

    def end() -> None:
        tensor, rect = _partial(machine, job)
        before = machine.look(job.core, tensor, job.group, rect)
        begun = ~np.isnan(before[:, :1])
        joined = _pack(*join(_unpack(attention, np.where(begun, before, _pack(*_nothing(tile)))), tile))
        machine.put(job.core, tensor, job.group, rect, joined)

    return end


def merge(machine: Machine, job: Job, received: Numbers) -> Effect:
    """Joins the running soft-max of another core with the own one."""
    attention = attention_of(job)

    def end() -> None:
        tensor, rect = _partial(machine, job)
        mine = machine.need(job.core, tensor, job.group, rect, job.task)
        joined = join(_unpack(attention, mine), _unpack(attention, received))
        machine.put(job.core, tensor, job.group, rect, _pack(*joined))

    return end


def finish(machine: Machine, job: Job) -> Effect:
    """Weighted sums divided by the sums of the weights: the result of rows m, columns n."""
    attention = attention_of(job)
    starts = token_starts(attention.requests)
    request = int(np.searchsorted(starts, job.m[0], side="right")) - 1
    width = attention.heads // attention.kv_heads * attention.value_dim
    group = request * attention.kv_heads + job.n[0] // width
    tensor, rect = _partial(machine, job)
    sums, _, total = _unpack(attention, machine.need(job.core, tensor, group, rect, job.task))
    result = (sums / total[:, :, None]).reshape(len(sums), -1)
    y = machine.key(job.instance, job.operator.outputs[0])
    return lambda: machine.put(job.core, y, 0, job.rect, result)


def _partial(machine: Machine, job: Job) -> tuple[Hashable, Rect]:
    attention = attention_of(job)
    columns = attention.heads // attention.kv_heads * (attention.value_dim + 2)
    return machine.key(job.instance, f"{job.operator.outputs[0]}.partial"), (*job.m, 0, columns)


def _pack(sums: Numbers, highest: Numbers, total: Numbers) -> Numbers:
    return np.concatenate([sums.reshape(len(sums), -1), highest, total], axis=1)


def _unpack(attention: Attention, packed: Numbers) -> Running:
    heads = attention.heads // attention.kv_heads
    width = heads * attention.value_dim
    sums = packed[:, :width].reshape(len(packed), heads, -1)
    return sums, packed[:, width : width + heads], packed[:, width + heads :]


def _nothing(like: Running) -> Running:
    return np.zeros_like(like[0]), np.full_like(like[1], -np.inf), np.zeros_like(like[2])


def join(a: Running, b: Running) -> Running:
    """The running soft-max over the keys of both."""
    highest = np.maximum(a[1], b[1])
    finite = np.where(np.isfinite(highest), highest, 0.0)
    left, right = np.exp(a[1] - finite), np.exp(b[1] - finite)
    return a[0] * left[:, :, None] + b[0] * right[:, :, None], highest, a[2] * left + b[2] * right


# -- recurrent states -------------------------------------------------------------------------------------------------


def state(machine: Machine, job: Job) -> Effect:
    """RETENTION: tokens m of a head, value columns n. CONV1D, SSM_SCAN: all requests' tokens, channels n."""
    recurrence = job.operator.recurrence
    if recurrence is None:
        raise ValueError(f"operator {job.operator.name} has no recurrence parameters")
    if job.operator.kind is OpKind.RETENTION:
        return _retention(machine, job, recurrence)
    return _channels(machine, job, recurrence)


def _retention(machine: Machine, job: Job, recurrence: Recurrence) -> Effect:
    head = job.group % recurrence.heads
    operator, instance = job.operator, job.instance
    x = machine.source(instance, operator, operator.inputs[0])
    kept = machine.key(instance, operator.inputs[1])
    keys, key = recurrence.heads * recurrence.key_dim, recurrence.key_dim
    first = 2 * keys + head * recurrence.value_dim

    def columns(at: int, width: int) -> Numbers:
        return machine.need(job.core, x, 0, (*job.m, at, at + width), job.task)

    q, k = columns(head * key, key), columns(keys + head * key, key)
    v = columns(first + job.n[0], job.n[1] - job.n[0])
    rect = (0, key, *job.n)
    held = machine.need(job.core, kept, job.group, rect, job.task)
    rows = np.empty(v.shape)
    for token in range(len(v)):
        held = decay_of(head) * held + np.outer(k[token], v[token])
        rows[token] = q[token] @ held
    y, column = machine.key(instance, operator.outputs[0]), head * recurrence.value_dim

    def end() -> None:
        machine.put(job.core, kept, job.group, rect, held)
        machine.put(job.core, y, 0, (*job.m, column + job.n[0], column + job.n[1]), rows)

    return end


def _channels(machine: Machine, job: Job, recurrence: Recurrence) -> Effect:
    operator, instance = job.operator, job.instance
    inputs = {}
    for name in operator.inputs[:-1]:
        tensor = instance.block.tensor(name)
        columns = job.n if tensor.columns == recurrence.value_dim else (0, tensor.columns)
        rect = (0, tensor.rows, *columns)
        inputs[name] = machine.need(job.core, machine.source(instance, operator, name), 0, rect, job.task)
    kept = machine.key(instance, operator.inputs[-1])
    starts = token_starts(recurrence.requests)
    advance = _convolve if operator.kind is OpKind.CONV1D else _scan
    rows, states = [], []
    for request, first in enumerate(starts[:-1]):
        held = machine.need(job.core, kept, request, (0, recurrence.key_dim, *job.n), job.task)
        for token in range(first, starts[request + 1]):
            held, row = advance(held, token, *inputs.values())
            rows.append(row)
        states.append(held)

    def end() -> None:
        for request, held in enumerate(states):
            machine.put(job.core, kept, request, (0, recurrence.key_dim, *job.n), held)
        machine.put(job.core, machine.key(instance, operator.outputs[0]), 0, job.rect, np.stack(rows))

    return end


def _convolve(held: Numbers, token: int, x: Numbers, w: Numbers) -> tuple[Numbers, Numbers]:
    """The state is the last d_conv tokens, the newest one last."""
    held = np.concatenate([held[1:], x[token : token + 1]])
    return held, (w * held).sum(axis=0)


def _scan(
    held: Numbers, token: int, x: Numbers, dt: Numbers, bc: Numbers, a: Numbers, d: Numbers
) -> tuple[Numbers, Numbers]:
    """Selective state space (Mamba, arXiv 2312.00752, algorithm 2), the step behind a softplus."""
    size = len(held)
    step, b, c = softplus(dt[token]), bc[token, :size], bc[token, size:]
    held = np.exp(step * a) * held + np.outer(b, step * x[token])
    return held, c @ held + d[0] * x[token]


ACTIONS: Final[dict[int, Callable[[Machine, Job], Effect]]] = {
    actions.SCORES: scores,
    actions.SOFTMAX: softmax,
    actions.CONTEXT: context,
    actions.FINISH: finish,
    actions.STATE: state,
}
