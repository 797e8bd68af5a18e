"""From an operator graph to a plan: every operator of every block, one after the other, on a stage."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.attention import lower_attention
from cairn.sim.mapping.attention_softmax import lower_softmax
from cairn.sim.mapping.attention_unfused import lower_context, lower_scores
from cairn.sim.mapping.choices import matmul_shape
from cairn.sim.mapping.context import Scope, row_bytes
from cairn.sim.mapping.embedding import dealt, runs
from cairn.sim.mapping.experts import lower_combine, lower_dispatch, lower_grouped_matmul
from cairn.sim.mapping.grouped import Grouped, lower_grouped
from cairn.sim.mapping.heads import apply_pending, defer, flush_pending
from cairn.sim.mapping.pieces import Pieces, wanted
from cairn.sim.mapping.pim_product import lower_product
from cairn.sim.mapping.product_work import Product
from cairn.sim.mapping.recurrent import lower_channels, lower_retention
from cairn.sim.mapping.vector import activate, lower_activation, lower_add, lower_norm, lower_top_k
from cairn.sim.plan.builder import Region, Slice
from cairn.sim.plan.plan import SRAM
from cairn.workloads.graph import Operator, OpKind

IntArray = npt.NDArray[np.int64]

ON_HEADS: Final = {OpKind.ATTENTION, OpKind.ATTENTION_SCORES, OpKind.ATTENTION_CONTEXT, OpKind.RETENTION,
                   OpKind.HEAD_MATMUL}  # fmt: skip
"""Operators that have whole heads on a core, and so do what is pending on heads."""


def lower_block(scope: Scope, begin: str | None = None) -> Pieces:
    """Write all operators of the scope's block, or, where the plan skips, those from `begin` on; answers where its
    output lies."""
    done: set[str] = set()
    for operator in scope.block.operators:
        if operator.name == begin:
            scope.plan.resume()
        if operator.name in done:
            continue
        if operator.kind is OpKind.ROPE or (operator.kind is OpKind.NORM and operator.attention is not None):
            defer(scope, operator)
            continue
        if operator.kind not in ON_HEADS:
            for name in operator.inputs:
                flush_pending(scope, name, operator)
        following = None if scope.stage.spmd else _in_place_after(scope, operator)
        if following is not None:
            _matmul(scope, operator, following)
            done.add(following.name)
            continue
        LOWERINGS[operator.kind](scope, operator)
        if scope.stage.spmd:
            _barrier(scope, operator)
    return scope.pieces[scope.block.output]


def _barrier(scope: Scope, operator: Operator) -> None:
    """SPMD: all cores meet after an operator before any of them uses its result."""
    cycles = scope.chip.synchronisation.barrier_cycles
    for name in operator.outputs:
        pieces = scope.pieces[name]
        meeting = scope.plan.sync(None, 1, cycles, scope.op(operator))
        scope.plan.after(np.repeat(meeting, pieces.count), pieces.ready)
        scope.pieces[name] = Pieces(pieces.core, pieces.rect, np.repeat(meeting, pieces.count))


def _in_place_after(scope: Scope, operator: Operator) -> Operator | None:
    """The activation function that works in place on the result of a product, if nothing else uses that result."""
    if operator.kind is not OpKind.MATMUL:
        return None
    users = [other for other in scope.block.operators if operator.outputs[0] in other.inputs]
    if len(users) != 1 or users[0].kind is not OpKind.ACTIVATION or len(users[0].inputs) != 1:
        return None
    return users[0]


def _matmul(scope: Scope, operator: Operator, following: Operator | None = None) -> None:
    """A product, and the activation function `following` on each stretch of its columns as soon as it is complete."""
    x_name, w_name = operator.inputs
    y_name = operator.outputs[0]
    shape = matmul_shape(scope.block, operator, scope.stage.options, scope.chip)
    product = Product(
        scope.op(operator), scope.tensor(x_name), scope.tensor(w_name), scope.tensor(y_name), shape, shape.x_bits
    )
    mapping = scope.stage.mapping(scope.block, operator)
    if following is None:
        scope.pieces[y_name] = lower_product(scope, product, scope.pieces[x_name], mapping)
        return
    pieces = lower_product(scope, product, scope.pieces[x_name], mapping, lambda y: activate(scope, following, y))
    scope.pieces[following.outputs[0]] = pieces


def _head_matmul(scope: Scope, operator: Operator) -> None:
    x_name, w_name = operator.inputs
    x, w, y = (scope.block.tensor(name) for name in (x_name, w_name, operator.outputs[0]))
    heads = np.arange(w.groups)
    if scope.pending.get(x_name):
        _turn_heads(scope, x_name, operator, w.groups)
    rows = np.full(w.groups, x.rows)
    width_x, width_y = x.columns // w.groups, y.columns // w.groups
    lower_grouped(
        scope,
        Grouped(operator, x_name, w_name, operator.outputs[0], heads, 0 * rows, rows, heads * width_x, heads * width_y,
                width_x - w.rows),
    )  # fmt: skip


def _turn_heads(scope: Scope, name: str, operator: Operator, heads: int) -> None:
    """Do what is pending on the heads of a tensor, whole heads spread over the cores."""
    tensor = scope.block.tensor(name)
    width = tensor.columns // heads
    parts = max(1, min(scope.grid.size // heads, tensor.rows)) if heads < scope.grid.size else 1
    edges = np.arange(parts + 1) * tensor.rows // parts
    head, part = np.divmod(np.arange(heads * parts), parts)
    core = scope.grid.cores[(np.arange(heads * parts) * scope.grid.size) // (heads * parts)]
    want = wanted(core, edges[part], edges[part + 1], head * width, (head + 1) * width)
    number, pieces = apply_pending(scope, name, scope.bring(name, want, scope.op(operator)))
    del scope.pending[name]
    scope.alias(name, pieces, number)


def _embedding(scope: Scope, operator: Operator) -> None:
    """Rows of the table, each from the channel that keeps it; a row that several tokens need is read once. The tokens
    of a core that follow each other are one piece."""
    w_name, y_name = operator.inputs[0], operator.outputs[0]
    w, op = scope.block.tensor(w_name), scope.op(operator)
    rows = np.array(operator.rows)
    unique, rank, place = dealt(rows, scope.grid.size)
    core, size = scope.grid.cores[rank], np.full(unique.size, int(row_bytes(w.columns, w.bits)))
    data = Slice(scope.tensor(w_name), (unique, unique + 1), (0, w.columns), size)
    address = scope.stage.memory.place(int(size[0]) * (int(place.max()) + 1))
    base = address.at(0)
    at = (*base[:4], base[4] + place * size)
    loaded = scope.plan.copy(scope.stage.above(core, data, at), Region(SRAM, core, data), op)
    of_token = np.searchsorted(unique, rows)
    begin, end = runs(core[of_token])
    owner = np.repeat(np.arange(begin.size), end - begin)
    ready = loaded[of_token] if begin.size == rows.size else scope.plan.join(owner, loaded[of_token], begin.size, op)
    rect = np.stack([begin, end, np.zeros_like(begin), np.full_like(begin, w.columns)], axis=1)
    scope.pieces[y_name] = Pieces(core[of_token][begin], rect, ready)


LOWERINGS: Final[dict[OpKind, Callable[[Scope, Operator], None]]] = {
    OpKind.EMBEDDING: _embedding,
    OpKind.NORM: lower_norm,
    OpKind.MATMUL: _matmul,
    OpKind.GROUPED_MATMUL: lower_grouped_matmul,
    OpKind.HEAD_MATMUL: _head_matmul,
    OpKind.ATTENTION: lower_attention,
    OpKind.ATTENTION_SCORES: lower_scores,
    OpKind.SOFTMAX: lower_softmax,
    OpKind.ATTENTION_CONTEXT: lower_context,
    OpKind.ACTIVATION: lower_activation,
    OpKind.ADD: lower_add,
    OpKind.TOP_K: lower_top_k,
    OpKind.DISPATCH: lower_dispatch,
    OpKind.COMBINE: lower_combine,
    OpKind.RETENTION: lower_retention,
    OpKind.CONV1D: lower_channels,
    OpKind.SSM_SCAN: lower_channels,
}
