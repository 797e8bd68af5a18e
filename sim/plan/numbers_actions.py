"""What the compute actions of products, norms, element-wise work and experts do with numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from cairn.base.errors import CairnError
from cairn.sim.plan import actions
from cairn.sim.plan.numbers_machine import Effect, Job, Machine, changed_columns
from cairn.sim.plan.numbers_math import NORM_EPSILON, activation, turned
from cairn.sim.plan.numbers_memory import Numbers, Rect, shape_of
from cairn.workloads.graph import OpKind

Action = Callable[[Machine, Job], Effect]


def matmul(machine: Machine, job: Job) -> Effect:
    """Adds x w to what the core has of y; a tile of y begins at zero."""
    operator, block = job.operator, job.instance.block
    x_name, w_name = operator.inputs
    x, w = machine.source(job.instance, operator, x_name), machine.key(job.instance, w_name)
    y, weight = machine.key(job.instance, operator.outputs[0]), block.tensor(w_name)
    k_at = n_at = 0
    passed = 0
    if operator.kind is OpKind.HEAD_MATMUL:
        k_at = job.group * (block.tensor(x_name).columns // weight.groups)
        n_at = job.group * (block.tensor(operator.outputs[0]).columns // weight.groups)
        passed = block.tensor(x_name).columns // weight.groups - weight.rows
    (m0, m1), (n0, n1), (k0, k1) = job.m, job.n, job.k
    left = machine.need(job.core, x, 0, (m0, m1, k_at + k0, k_at + k1), job.task)
    product = left @ machine.need(job.core, w, job.group, (k0, k1, n0, n1), job.task)
    target = (m0, m1, n_at + n0, n_at + n1)
    beyond: tuple[Rect, Numbers] | None = None
    if passed and n1 == weight.columns and k1 == weight.rows:  # the rest of the head goes on behind y's own columns
        rest = machine.need(job.core, x, 0, (m0, m1, k_at + k1, k_at + k1 + passed), job.task)
        beyond = (m0, m1, n_at + n1, n_at + n1 + passed), rest

    def end() -> None:
        machine.put(job.core, y, 0, target, np.nan_to_num(machine.look(job.core, y, 0, target)) + product)
        if beyond is not None:
            machine.put(job.core, y, 0, *beyond)

    return end


def _statistics(machine: Machine, job: Job) -> str | int:
    """The tensor of a norm's statistics: matrix `group` is what piece `group` of the input knows."""
    operator = job.operator
    own = f"{operator.inputs[0]}@{operator.name}" if operator.attention else operator.outputs[0]
    key = machine.key(job.instance, f"{own}.statistics")
    return key if isinstance(key, int) else str(key)


def _normed_columns(job: Job) -> int:
    """Columns from 0 on that a norm changes."""
    operator = job.operator
    if operator.attention is not None:
        return changed_columns(operator)
    tensor = operator.inputs[1] if len(operator.inputs) > 1 else operator.inputs[0]
    return job.instance.block.tensor(tensor).columns


def _by_head(job: Job, values: Numbers) -> Numbers:
    """(rows, heads, columns of a head) of a norm of whole heads, (rows, 1, columns) of any other."""
    attention = job.operator.attention
    heads = 1 if attention is None else values.shape[1] // attention.head_dim
    return values.reshape(values.shape[0], heads, -1)


def norm_stats(machine: Machine, job: Job) -> Effect:
    """Sum and sum of squares of each row (of each head in a norm of heads)."""
    x = machine.source(job.instance, job.operator, job.operator.inputs[0])
    n1 = max(job.n[0], min(job.n[1], _normed_columns(job)))
    values = _by_head(job, machine.need(job.core, x, 0, (*job.m, job.n[0], n1), job.task))
    sums = np.concatenate([values.sum(axis=2), (values**2).sum(axis=2)], axis=1)
    return lambda: machine.put(job.core, _statistics(machine, job), job.group, (*job.m, 0, sums.shape[1]), sums)


def stats_reduce(machine: Machine, job: Job) -> Effect:
    """Adds the statistics of piece k to those of piece `group`."""
    tensor, rect = _statistics(machine, job), (*job.m, 0, 2)
    received = machine.need(job.core, tensor, job.k[0], rect, job.task)
    return lambda: machine.add(job.core, tensor, job.group, rect, received, job.task)


def norm_apply(machine: Machine, job: Job) -> Effect:
    operator = job.operator
    x = machine.need(job.core, machine.source(job.instance, operator, operator.inputs[0]), 0, job.rect, job.task)
    width = max(0, min(job.n[1], _normed_columns(job)) - job.n[0])
    values = _by_head(job, x[:, :width])
    heads = values.shape[1]
    sums = machine.need(job.core, _statistics(machine, job), job.group, (*job.m, 0, 2 * heads), job.task)
    if operator.attention is not None:
        length = operator.attention.head_dim
    else:
        length = operator.recurrence.value_dim if operator.recurrence else _normed_columns(job)
    mean, square = sums[:, :heads, None] / length, sums[:, heads:, None] / length
    if operator.function == "layer":
        result = (values - mean) / np.sqrt(square - mean**2 + NORM_EPSILON)
    else:
        result = values / np.sqrt(square + NORM_EPSILON)
    if operator.attention is not None:
        weight = machine.need(job.core, machine.key(job.instance, operator.inputs[1]), 0, (0, 2, 0, length), job.task)
        first = job.n[0] // length
        result = result * weight[(np.arange(first, first + heads) >= operator.attention.heads).astype(np.int64)]
        y = machine.key(job.instance, f"{operator.inputs[0]}@{operator.name}")
    else:
        y = machine.key(job.instance, operator.outputs[0])
        if len(operator.inputs) > 1 and width:
            w = machine.key(job.instance, operator.inputs[1])
            result = result * machine.need(job.core, w, 0, (0, 1, job.n[0], job.n[0] + width), job.task)
    done = np.concatenate([result.reshape(x.shape[0], width), x[:, width:]], axis=1)
    return lambda: machine.put(job.core, y, 0, job.rect, done)


def elementwise(machine: Machine, job: Job) -> Effect:
    """ADD, or an activation of one input (gated: gate and up alternate in its columns) or of two."""
    operator, block = job.operator, job.instance.block
    sources = [machine.source(job.instance, operator, name) for name in operator.inputs]
    wide, narrow = (block.tensor(name).columns for name in (operator.inputs[0], operator.outputs[0]))
    gated = len(sources) == 1 and wide == 2 * narrow
    rect = (*job.m, 2 * job.n[0], 2 * job.n[1]) if gated else job.rect
    values = [machine.need(job.core, tensor, 0, rect, job.task) for tensor in sources]
    if operator.kind is OpKind.ADD:
        result = values[0] + values[1]
    elif gated:
        result = activation(operator.function, values[0][:, ::2]) * values[0][:, 1::2]
    else:
        result = activation(operator.function, values[0])
        result = result * values[1] if len(values) == 2 else result
    return lambda: machine.put(job.core, machine.key(job.instance, operator.outputs[0]), 0, job.rect, result)


def rope(machine: Machine, job: Job) -> Effect:
    """Turns the whole heads of its columns; columns that are no heads stay as they are."""
    operator, attention = job.operator, job.operator.attention
    if attention is None or job.n[0] % attention.head_dim:
        raise CairnError(f"task {job.task} of {operator.name} begins in the middle of a head (column {job.n[0]})")
    x = machine.need(job.core, machine.source(job.instance, operator, operator.inputs[0]), 0, job.rect, job.task)
    width = max(0, min(job.n[1], changed_columns(operator)) - job.n[0])
    positions = np.concatenate([np.arange(r.cached, r.cached + r.new) for r in attention.requests])[job.m[0] : job.m[1]]
    heads = x[:, :width].reshape(x.shape[0], -1, attention.head_dim)
    done = np.concatenate([turned(heads, positions, attention).reshape(-1, width), x[:, width:]], axis=1)
    y = machine.key(job.instance, f"{operator.inputs[0]}@{operator.name}")
    return lambda: machine.put(job.core, y, 0, job.rect, done)


# -- experts ----------------------------------------------------------------------------------------------------------


def top_k(machine: Machine, job: Job) -> Effect:
    """Soft-max over the logits of the experts that each token is routed to."""
    operator = job.operator
    logits = machine.need(job.core, machine.source(job.instance, operator, operator.inputs[0]), 0, job.rect, job.task)
    token, expert = np.array(operator.rows), np.repeat(np.arange(len(operator.row_groups)), operator.row_groups)
    y = machine.key(job.instance, operator.outputs[0])
    rows = []
    for row in range(*job.m):
        chosen = np.exp(logits[row - job.m[0], expert[token == row]])
        rows.append(chosen / chosen.sum())
    weights = np.stack(rows)
    return lambda: machine.put(job.core, y, 0, (*job.m, 0, weights.shape[1]), weights)


def _routing_weights(machine: Machine, job: Job) -> Numbers | None:
    """The weights of all tokens, which the core must have been told; None where nothing is routed."""
    if len(job.operator.inputs) < 2:
        return None
    tensor = job.instance.block.tensor(job.operator.inputs[1])
    whole = (0, tensor.rows, 0, tensor.columns)
    return machine.need(job.core, machine.key(job.instance, tensor.name), 0, whole, job.task)


def gather(machine: Machine, job: Job) -> Effect:
    """Rows of x in the order of `operator.rows`."""
    operator = job.operator
    _routing_weights(machine, job)
    x, y = machine.source(job.instance, operator, operator.inputs[0]), machine.key(job.instance, operator.outputs[0])
    rows = operator.rows[job.m[0] : job.m[1]]
    values = np.concatenate([machine.need(job.core, x, 0, (row, row + 1, *job.n), job.task) for row in rows])
    return lambda: machine.put(job.core, y, 0, job.rect, values)


def combine(machine: Machine, job: Job) -> Effect:
    """Rows of x, weighted, added up in the rows of their tokens."""
    operator = job.operator
    weights = _routing_weights(machine, job)
    x, y = machine.source(job.instance, operator, operator.inputs[0]), machine.key(job.instance, operator.outputs[0])
    result = np.zeros(shape_of(job.rect))
    seen: dict[int, int] = {}
    for index, row in enumerate(operator.rows):
        choice = seen.get(row, 0)
        seen[row] = choice + 1
        if job.m[0] <= row < job.m[1]:
            share = 1.0 if weights is None else weights[row, choice]
            result[row - job.m[0]] += share * machine.need(job.core, x, 0, (index, index + 1, *job.n), job.task)[0]
    return lambda: machine.put(job.core, y, 0, job.rect, result)


ACTIONS: Final[dict[int, Action]] = {
    actions.MATMUL: matmul,
    actions.NORM_STATS: norm_stats,
    actions.STATS_REDUCE: stats_reduce,
    actions.NORM_APPLY: norm_apply,
    actions.ELEMENTWISE: elementwise,
    actions.ROPE: rope,
    actions.GATHER: gather,
    actions.COMBINE: combine,
    actions.TOP_K: top_k,
}
