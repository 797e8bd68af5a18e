"""Operators on whole heads: rotary embedding and norms of queries and keys.

They need all columns of a head in one place, which is first so where attention (or whatever comes next) works on heads.
So they wait in `Scope.pending` and are done there, on each core's own copy, as tasks of their own operator.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.context import Scope
from cairn.sim.mapping.pieces import Pieces, wanted
from cairn.sim.mapping.vector import vector_tasks
from cairn.sim.plan import actions
from cairn.sim.plan.builder import Tile
from cairn.workloads.graph import Operator, OpKind

IntArray = npt.NDArray[np.int64]


def defer(scope: Scope, operator: Operator) -> None:
    """Note an operator on whole heads until its tensor lies in whole heads."""
    scope.pending.setdefault(operator.inputs[0], []).append(operator)


def head_columns(operator: Operator) -> int:
    """Columns from 0 on that the operator changes: its query and key heads."""
    attention = operator.attention
    return (attention.heads + attention.kv_heads) * attention.head_dim if attention else 0


def apply_pending(scope: Scope, name: str, x: Pieces) -> tuple[int, Pieces]:
    """Do what is pending for tensor `name` on pieces that hold whole heads; answers the result's tensor and pieces.

    The result is a tensor of its own, so that a core's copy is turned once, however many cores got copies.
    """
    tensor, ready = scope.tensor(name), x.ready
    for operator in scope.pending.get(name, []):
        result = scope.tensor(f"{name}@{operator.name}")
        mine = x.rect[:, 2] < head_columns(operator)
        if mine.any():
            part = Pieces(x.core[mine], x.rect[mine], ready[mine])
            ready = ready.copy()
            ready[mine] = _head_task(scope, operator, part)
        tensor = result
    return tensor, Pieces(x.core, x.rect, ready)


def _head_task(scope: Scope, operator: Operator, x: Pieces) -> IntArray:
    op = scope.op(operator)
    if operator.kind is OpKind.ROPE:
        attention = operator.attention
        share = 1.0
        if attention is not None and attention.rotary_dim:
            share = attention.rotary_dim / attention.head_dim
        tile = Tile(op, actions.ROPE, (x.rect[:, 0], x.rect[:, 1]), (x.rect[:, 2], x.rect[:, 3]))
        return scope.vector(x.core, tile, "rope", np.ceil(x.elements * share).astype(np.int64), [x.ready])
    weight = operator.inputs[1]
    whole = Pieces(x.core, np.tile([0, 1, 0, scope.block.tensor(weight).columns], (x.count, 1)), x.ready)
    loaded = scope.load_rows(weight, op, whole)
    own = np.arange(x.count)
    stats = vector_tasks(scope, op, actions.NORM_STATS, "norm_stats", x, [x.ready], own)
    return vector_tasks(scope, op, actions.NORM_APPLY, "norm_apply", x, [stats, loaded], own)


def flush_pending(scope: Scope, name: str, operator: Operator) -> None:
    """Do what is pending for `name` on whole rows, for a reader that does not work on heads."""
    if not scope.pending.get(name):
        return
    tensor = scope.block.tensor(name)
    rows = min(tensor.rows, scope.grid.size)
    edges = np.arange(rows + 1) * tensor.rows // rows
    want = wanted(scope.grid.cores[:rows], edges[:-1], edges[1:], 0, tensor.columns)
    x = scope.bring(name, want, scope.op(operator))
    number, pieces = apply_pending(scope, name, x)
    del scope.pending[name]
    scope.alias(name, pieces, number)
