"""The feed-forward part of a layer: one dense network, or routed experts beside shared ones."""

from __future__ import annotations

import numpy as np

from cairn.workloads import counts
from cairn.workloads.architecture import FFNSpec, Function, MoESpec
from cairn.workloads.blocks import BlockBuilder
from cairn.workloads.graph import Operator, OpKind
from cairn.workloads.routing import IntArray


def dense_block(b: BlockBuilder, spec: FFNSpec, x: str) -> str:
    """Append a dense feed-forward network on the normalised x; gives its output."""
    return _dense(b, x, ("gate_up" if spec.gated else "up", "ffn_act", "down"), spec.width, spec.gated, spec.function)


def _dense(b: BlockBuilder, x: str, names: tuple[str, str, str], width: int, gated: bool, function: Function) -> str:
    model, precision = b.step.model, b.step.model.precision
    up_name, act_name, down_name = names
    up = b.matmul(up_name, x, width * (2 if gated else 1))
    bits = precision.residual_bits if model.sub_norms else precision.activation_bits
    inner = b.activate(act_name, (up,), function.value, bits, gated=gated)
    if model.sub_norms:
        inner = b.norm("ffn_sub_norm", inner, precision.activation_bits)
    return b.matmul(down_name, inner, model.hidden)


def experts_block(b: BlockBuilder, spec: MoESpec, x: str, chosen: IntArray) -> str:
    """Append router, routed experts and shared experts on x; gives their sum.

    `chosen` (tokens, top_k): the experts of each token, ascending. Weights of experts that nobody chose are not read.
    """
    model, precision = b.step.model, b.step.model.precision
    loads, rows = sort_by_expert(chosen, spec.experts)
    sent = len(rows)
    logits = b.matmul("router", x, spec.experts, weight_bits=precision.router_bits)
    gates = b.activation("top_k", spec.top_k, precision.residual_bits)
    compared = b.step.tokens * spec.top_k * (spec.experts + counts.ROUTER_WEIGHT)
    b.add_operator(
        Operator("top_k", OpKind.TOP_K, (logits,), (gates,), vector_ops=compared, rows=rows, row_groups=loads)
    )
    y = b.activation("dispatch", model.hidden, precision.activation_bits, sent)
    b.add_operator(Operator("dispatch", OpKind.DISPATCH, (x, gates), (y,), rows=rows, row_groups=loads))
    up = _grouped_matmul(b, "experts_gate_up" if spec.gated else "experts_up", y, spec.width * (1 + spec.gated), loads)
    inner = b.activate("experts_act", (up,), spec.function.value, precision.activation_bits, gated=spec.gated)
    down = _grouped_matmul(b, "experts_down", inner, model.hidden, loads)
    combined = b.activation("combine", model.hidden, precision.residual_bits)
    ops = sent * model.hidden * counts.COMBINE
    b.add_operator(
        Operator("combine", OpKind.COMBINE, (down, gates), (combined,), vector_ops=ops, rows=rows, row_groups=loads)
    )
    if not spec.shared_experts:
        return combined
    names = ("shared_gate_up" if spec.gated else "shared_up", "shared_act", "shared_down")
    width = spec.shared_experts * (spec.shared_width or spec.width)
    return b.add("shared_add", combined, _dense(b, x, names, width, spec.gated, spec.function))


def sort_by_expert(chosen: IntArray, experts: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Rows of each expert, and the token of each row: sorted by expert, ascending within one."""
    order = np.argsort(chosen.ravel(), kind="stable")
    loads = np.bincount(chosen.ravel(), minlength=experts)
    return tuple(loads.tolist()), tuple((order // chosen.shape[1]).tolist())


def _grouped_matmul(b: BlockBuilder, name: str, x: str, columns: int, loads: tuple[int, ...]) -> str:
    precision, source = b.step.model.precision, b.tensor(x)
    w = b.weight(f"{name}_w", source.columns, columns, precision.stored_expert_bits, len(loads))
    y = b.activation(name, columns, precision.residual_bits, source.rows)
    touched = sum(1 for load in loads if load)
    read = b.tensor(w).bytes // len(loads) * touched
    return b.add_operator(
        Operator(
            name,
            OpKind.GROUPED_MATMUL,
            (x, w),
            (y,),
            matrix_ops=2 * source.rows * source.columns * columns,
            group_rows=loads,
            reads=((w, read),),
        )
    )
