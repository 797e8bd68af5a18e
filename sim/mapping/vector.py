"""Lowering of the operators of the vector unit: norms, element-wise work, residual adds, routing decisions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.context import NONE, Scope
from cairn.sim.mapping.pieces import Pieces, wanted
from cairn.sim.plan import actions
from cairn.sim.plan.builder import Region, Slice, Tile
from cairn.sim.plan.plan import SRAM
from cairn.workloads.graph import Operator

IntArray = npt.NDArray[np.int64]

STATISTICS_BYTES = 8
"""Sum and sum of squares of a row, 32 bits each."""


def lower_norm(scope: Scope, operator: Operator) -> None:
    """Statistics of every piece, their sums over the pieces of a row joined in a tree, then the scaling."""
    x_name, weight = operator.inputs[0], operator.inputs[1] if len(operator.inputs) > 1 else None
    op, y_name = scope.op(operator), operator.outputs[0]
    x = regular(scope, operator, x_name)
    loaded = scope.load_columns(weight, op, x) if weight else None
    suffix = "_layer" if operator.function == "layer" else ""
    own = np.arange(x.count)
    stats = vector_tasks(scope, op, actions.NORM_STATS, f"norm_stats{suffix}", x, [x.ready], own)
    total, root = all_reduce(scope, op, y_name, x, stats, _normed_together(operator, x))
    after = [total] if loaded is None else [total, loaded]
    done = vector_tasks(scope, op, actions.NORM_APPLY, f"norm_apply{suffix}", x, after, root)
    scope.pieces[y_name] = Pieces(x.core, x.rect, done)


def _normed_together(operator: Operator, x: Pieces) -> IntArray:
    """What a piece shares its statistics over: its rows, and in a norm of heads the head too."""
    if operator.recurrence is None:
        return x.rect[:, :2]
    return np.stack([*x.rect[:, :2].T, x.rect[:, 2] // operator.recurrence.value_dim], axis=1)


def regular(scope: Scope, operator: Operator, name: str) -> Pieces:
    """The pieces of a tensor, brought into the even layout when their rows overlap only in part."""
    have = scope.pieces[name]
    spans = np.unique(have.rect[:, :2], axis=0)
    if np.all(spans[1:, 0] >= spans[:-1, 1]):
        return have
    tensor = scope.block.tensor(name)
    moved = scope.bring(name, scope.even_layout(tensor.rows, tensor.columns), scope.op(operator))
    scope.pieces[name] = moved
    return moved


def vector_tasks(
    scope: Scope, op: int, action: int, kind: str, x: Pieces, after: list[IntArray], group: IntArray | int = 0
) -> IntArray:
    """One task of the vector unit for each piece."""
    tile = Tile(op, action, (x.rect[:, 0], x.rect[:, 1]), (x.rect[:, 2], x.rect[:, 3]), group=group)
    return scope.vector(x.core, tile, kind, x.elements, after)


def all_reduce(
    scope: Scope, op: int, name: str, x: Pieces, stats: IntArray, together: IntArray
) -> tuple[IntArray, IntArray]:
    """Sum the statistics of pieces with equal rows of `together` and tell all of them: a binomial tree up and down.

    Matrix i of the statistics' tensor is what piece i knows. Answers, for each piece, the task after which its core has
    the total, and the matrix that holds it: that of the tree's root.
    """
    spans, group = np.unique(together, axis=0, return_inverse=True)
    size = np.bincount(group)
    if size.max() == 1:
        return stats, np.arange(x.count)
    order = np.argsort(group, kind="stable")
    rank = np.empty(x.count, dtype=np.int64)
    rank[order] = np.arange(x.count) - np.repeat(np.cumsum(size) - size, size)
    member = np.full((spans.shape[0], int(size.max())), NONE, dtype=np.int64)
    member[group, rank] = np.arange(x.count)
    tensor = scope.tensor(f"{name}.statistics")
    latest = stats.copy()
    steps = []
    step = 1
    while step < size.max():
        steps.append(step)
        sender = np.nonzero(rank % (2 * step) == step)[0]
        receiver = member[group[sender], rank[sender] - step]
        sent = _send_statistics(scope, op, tensor, x, sender, receiver, latest, "reduce", sender)
        rows = x.rect[receiver, 0], x.rect[receiver, 1]
        tile = Tile(op, actions.STATS_REDUCE, rows, k=(sender, sender + 1), group=receiver)
        latest[receiver] = scope.vector(
            x.core[receiver], tile, "reduce_add", 2 * x.rows[receiver], [sent, latest[receiver]]
        )
        step *= 2
    root = member[group, 0]
    for step in reversed(steps):
        receiver = np.nonzero(rank % (2 * step) == step)[0]
        sender = member[group[receiver], rank[receiver] - step]
        latest[receiver] = _send_statistics(scope, op, tensor, x, sender, receiver, latest, "share", root[receiver])
    return latest, root


def _send_statistics(
    scope: Scope, op: int, tensor: int, x: Pieces, sender: IntArray, receiver: IntArray, after: IntArray, cause: str,
    matrix: IntArray,
) -> IntArray:  # fmt: skip
    """Copies of a matrix of statistics from piece to piece; within a core there is nothing to send."""
    rows = x.rect[sender, 0], x.rect[sender, 1]
    source, target = x.core[sender], x.core[receiver]
    away = source != target
    tasks = after[sender].copy()
    if away.any():
        size = x.rows[sender][away] * STATISTICS_BYTES
        part = Slice(tensor, (rows[0][away], rows[1][away]), (0, 2), size, matrix[away])
        tasks[away] = scope.plan.copy(
            Region(SRAM, source[away], part), Region(SRAM, target[away], part), op, after[sender][away], cause
        )
    return tasks


def lower_activation(scope: Scope, operator: Operator) -> None:
    """f(x), or f(gate) * up where gate and up alternate in the columns of x."""
    if len(operator.inputs) == 2:
        lower_gating(scope, operator)
        return
    scope.pieces[operator.outputs[0]] = activate(scope, operator, scope.pieces[operator.inputs[0]])


def activate(scope: Scope, operator: Operator, x: Pieces) -> Pieces:
    """f(x) of pieces of the one input, or f(gate) * up where gate and up alternate in its columns, in place."""
    gated = scope.block.tensor(operator.inputs[0]).columns == 2 * scope.block.tensor(operator.outputs[0]).columns
    rect = x.rect.copy()
    if gated:
        rect[:, 2:] //= 2
    y = Pieces(x.core, rect, x.ready)
    kind = f"{operator.function}_mul" if gated else operator.function
    done = vector_tasks(scope, scope.op(operator), actions.ELEMENTWISE, kind, y, [x.ready])
    return Pieces(y.core, y.rect, done)


def lower_gating(scope: Scope, operator: Operator) -> None:
    """f(x) * z, where z lies."""
    x_name, z_name = operator.inputs
    z, op = scope.pieces[z_name], scope.op(operator)
    x = scope.bring(x_name, Pieces(z.core, z.rect, np.full(z.count, NONE, dtype=np.int64)), op)
    kind = f"{operator.function}_mul"
    done = vector_tasks(scope, op, actions.ELEMENTWISE, kind, z, [x.ready, z.ready])
    scope.pieces[operator.outputs[0]] = Pieces(z.core, z.rect, done)


def lower_add(scope: Scope, operator: Operator) -> None:
    """y = x + z; the first input comes to where the second one, the larger work's result, lies."""
    x_name, z_name = operator.inputs
    z = scope.pieces[z_name]
    op = scope.op(operator)
    x = scope.bring(x_name, Pieces(z.core, z.rect, np.full(z.count, NONE, dtype=np.int64)), op)
    done = vector_tasks(scope, op, actions.ELEMENTWISE, "add", z, [x.ready, z.ready])
    scope.pieces[operator.outputs[0]] = Pieces(z.core, z.rect, done)


def lower_top_k(scope: Scope, operator: Operator) -> None:
    """The routing decision: whole rows of logits, tokens spread over the cores; its result is a few bytes a token."""
    x_name, op = operator.inputs[0], scope.op(operator)
    tensor = scope.block.tensor(x_name)
    rows = tensor.rows
    parts = min(rows, scope.grid.size)
    edges = np.arange(parts + 1) * rows // parts
    want = wanted(scope.grid.cores[:parts], edges[:-1], edges[1:], 0, tensor.columns)
    x = scope.bring(x_name, want, op)
    rounds = scope.block.tensor(operator.outputs[0]).columns  # one search for the largest left for each expert chosen
    tile = Tile(op, actions.TOP_K, (x.rect[:, 0], x.rect[:, 1]), (x.rect[:, 2], x.rect[:, 3]))
    done = scope.vector(x.core, tile, "topk", x.elements * rounds, [x.ready])
    for name in operator.outputs:
        scope.pieces[name] = Pieces(x.core, x.rect, done)
