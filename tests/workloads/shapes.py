"""The layout rules of workloads/graph.py, checked on a block: every shape follows from the operator's inputs."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

from cairn.workloads.architecture import ModelSpec
from cairn.workloads.build import build_graph
from cairn.workloads.graph import Block, Operator, OperatorGraph, OpKind, Role
from cairn.workloads.routing import RoutingSpec
from cairn.workloads.step import WorkloadSpec

MODELS = Path(__file__).parents[2] / "configs" / "models"
NAMES = sorted(file.stem for file in MODELS.glob("*.yaml"))


@cache
def shipped(name: str) -> ModelSpec:
    return ModelSpec.model_validate(yaml.safe_load((MODELS / f"{name}.yaml").read_text()))


def graph_of(
    model: ModelSpec | str, seed: int = 1, routing: RoutingSpec | None = None, **workload: object
) -> OperatorGraph:
    spec = shipped(model) if isinstance(model, str) else model
    return build_graph(spec, WorkloadSpec.model_validate(workload), routing or RoutingSpec(), seed)


def operator(graph: OperatorGraph, name: str, segment: int = 1) -> Operator:
    return next(op for op in graph.segments[segment].block.operators if op.name == name)


def check_graph(graph: OperatorGraph) -> None:
    names: dict[str, Block] = {}
    for before, after in zip(graph.segments, graph.segments[1:], strict=False):
        assert after.block.input is not None
        left, right = before.block.tensor(before.block.output), after.block.tensor(after.block.input)
        assert (left.rows, left.columns, left.bits) == (right.rows, right.columns, right.bits)
    for segment in graph.segments:
        block = segment.block
        assert names.setdefault(block.name, block) is block, f"two blocks called {block.name}"
        if segment.repeat > 1:
            assert block.input is not None
            first, last = block.tensor(block.input), block.tensor(block.output)
            assert (first.rows, first.columns, first.bits) == (last.rows, last.columns, last.bits)
        check_block(block)


def check_block(block: Block) -> None:
    assert len({tensor.name for tensor in block.tensors}) == len(block.tensors)
    assert len({op.name for op in block.operators}) == len(block.operators)
    known = {tensor.name for tensor in block.tensors if tensor.role is not Role.ACTIVATION} | {block.input}
    used: set[str] = set()
    for op in block.operators:
        assert all(name in known for name in op.inputs), f"{op.name} reads what nobody made"
        used.update(op.inputs)
        known.update(op.outputs)
        check_operator(block, op)
    assert block.output in known
    assert used | {block.output} == {tensor.name for tensor in block.tensors}, "a tensor that nobody uses"


def check_operator(block: Block, op: Operator) -> None:
    x, y = block.tensor(op.inputs[0]), block.tensor(op.outputs[0])
    w = block.tensor(op.inputs[1]) if len(op.inputs) > 1 else x
    assert isinstance(op.matrix_ops, int) and isinstance(op.vector_ops, int)
    for name, count in op.reads:
        tensor = block.tensor(name)
        assert tensor.role is not Role.ACTIVATION and name in op.inputs
        assert 0 < count <= tensor.bytes
    for name, count in op.writes:
        assert block.tensor(name).role in (Role.KV, Role.STATE)
        assert 0 < count <= block.tensor(name).bytes
    match op.kind:
        case OpKind.MATMUL:
            assert (x.columns, x.rows, w.columns) == (w.rows, y.rows, y.columns)
            assert op.matrix_ops == 2 * x.rows * x.columns * y.columns
        case OpKind.GROUPED_MATMUL:
            assert (x.columns, x.rows, w.columns) == (w.rows, y.rows, y.columns)
            assert sum(op.group_rows) == x.rows and len(op.group_rows) == w.groups
        case OpKind.HEAD_MATMUL:
            passed = x.columns - w.groups * w.rows
            assert passed >= 0 and y.columns == w.groups * w.columns + passed
        case OpKind.NORM:
            assert (x.rows, x.columns) == (y.rows, y.columns)
            assert op.attention or op.recurrence or w.columns <= x.columns
        case OpKind.ROPE:
            assert op.attention is not None and op.inputs == op.outputs
            assert (op.attention.heads + op.attention.kv_heads) * op.attention.head_dim <= x.columns
        case OpKind.ADD:
            assert (x.rows, x.columns) == (w.rows, w.columns) == (y.rows, y.columns)
        case OpKind.ACTIVATION:
            assert x.rows == y.rows and x.columns in (y.columns, 2 * y.columns)
            assert len(op.inputs) == 1 or (w.rows, w.columns) == (y.rows, y.columns)
        case OpKind.EMBEDDING:
            assert len(op.rows) == y.rows and max(op.rows) < x.rows and x.columns == y.columns
        case OpKind.TOP_K | OpKind.DISPATCH | OpKind.COMBINE:
            check_routing(block, op)
        case OpKind.ATTENTION | OpKind.ATTENTION_SCORES | OpKind.ATTENTION_CONTEXT:
            check_attention(block, op)
        case OpKind.RETENTION | OpKind.CONV1D | OpKind.SSM_SCAN:
            check_recurrence(block, op)


def check_routing(block: Block, op: Operator) -> None:
    x, y = block.tensor(op.inputs[0]), block.tensor(op.outputs[0])
    if op.row_groups:
        assert sum(op.row_groups) == len(op.rows)
        start = 0
        for count in op.row_groups:
            rows = op.rows[start : start + count]
            assert list(rows) == sorted(set(rows)), "ascending within an expert, a token once"
            start += count
    if op.kind is OpKind.DISPATCH:
        assert len(op.rows) == y.rows and max(op.rows) < x.rows and x.columns == y.columns
    if op.kind is OpKind.COMBINE:
        gates = block.tensor(op.inputs[1])
        assert len(op.rows) == x.rows and max(op.rows) < y.rows and x.columns == y.columns
        assert gates.rows * gates.columns == x.rows


def check_attention(block: Block, op: Operator) -> None:
    a = op.attention
    assert a is not None
    cache, tokens = block.tensor(op.inputs[-1]), sum(request.new for request in a.requests)
    assert cache.role is Role.KV and cache.groups == len(a.requests) * a.kv_heads
    assert cache.rows == max(request.cached + request.new for request in a.requests)
    if op.kind is not OpKind.ATTENTION_CONTEXT:
        x = block.tensor(op.inputs[0])
        columns = [block.tensor(name).columns for name in op.inputs if block.tensor(name).role is Role.ACTIVATION]
        wanted = a.heads * a.head_dim + a.kv_heads * a.head_dim + (0 if a.latent else a.kv_heads * a.value_dim)
        assert sum(columns) == wanted and x.rows == tokens
    if op.kind is not OpKind.ATTENTION_SCORES:
        y = block.tensor(op.outputs[0])
        assert (y.rows, y.columns) == (tokens, a.heads * a.value_dim)
    else:
        p = block.tensor(op.outputs[0])
        assert (p.groups, p.columns) == (len(a.requests) * a.heads, cache.rows)


def check_recurrence(block: Block, op: Operator) -> None:
    r = op.recurrence
    assert r is not None
    x, y, state = (block.tensor(name) for name in (op.inputs[0], op.outputs[0], op.inputs[-1]))
    assert state.role is Role.STATE and (state.rows, state.columns) == (r.key_dim, r.value_dim)
    assert state.groups == len(r.requests) * r.heads
    assert (state.name, state.bytes) in op.reads and (state.name, state.bytes) in op.writes
    assert y.columns == r.heads * r.value_dim
    if op.kind is OpKind.RETENTION:
        assert x.columns == r.heads * (2 * r.key_dim + r.value_dim)
    else:
        assert x.columns == y.columns
