"""Token mixers with a recurrent state instead of a cache: retention (RetNet) and selective state spaces (Mamba)."""

from __future__ import annotations

from cairn.workloads import counts
from cairn.workloads.architecture import MambaSpec, PositionKind, RetNetSpec
from cairn.workloads.blocks import BlockBuilder
from cairn.workloads.graph import Attention, Operator, OpKind, Recurrence, Request


def retention_block(b: BlockBuilder, spec: RetNetSpec, x: str) -> str:
    """Append multi-scale retention on the normalised x, output projection included; gives its output."""
    model, precision = b.step.model, b.step.model.precision
    values = spec.heads * spec.value_dim
    qkv = b.matmul("qkv", x, 2 * spec.heads * spec.key_dim + values)
    gate = b.matmul("gate", x, values)
    if model.position is PositionKind.ROPE:
        b.rope("rope", qkv, Attention(b.step.requests, spec.heads, spec.heads, spec.key_dim, spec.value_dim))
    longest = max(request.new for request in b.step.requests)
    recurrence = Recurrence(b.step.requests, spec.heads, spec.key_dim, spec.value_dim, min(spec.chunk, longest))
    state, read, written = b.state("state", recurrence)
    y = b.activation("retention", values, precision.residual_bits)
    matrix_ops, vector_ops = retention_ops(recurrence)
    b.add_operator(
        Operator(
            "retention",
            OpKind.RETENTION,
            (qkv, state),
            (y,),
            matrix_ops=matrix_ops,
            vector_ops=vector_ops,
            recurrence=recurrence,
            reads=read,
            writes=written,
        )
    )
    normed = b.activation("group_norm", values, precision.residual_bits)
    ops = b.step.tokens * values * counts.GROUP_NORM
    b.add_operator(
        Operator("group_norm", OpKind.NORM, (y,), (normed,), vector_ops=ops, recurrence=recurrence, function="rms")
    )
    gated = b.activate("gating", (gate, normed), "silu", precision.activation_bits)
    return b.matmul("o", gated, model.hidden)


def retention_ops(recurrence: Recurrence) -> tuple[int, int]:
    """Matrix and vector operations of a retention.

    A chunk of one token takes the recurrent form: k^T v and q state. A longer chunk of n tokens takes the chunkwise
    form (arXiv 2307.08621, equation 7): its own n (n + 1) / 2 causal pairs, and per token k^T v and q state.
    """
    keys, values = recurrence.key_dim, recurrence.value_dim
    matrix = vector = 0
    for size, count in _chunks(recurrence.requests, recurrence.chunk):
        pairs = size * (size + 1) // 2 if size > 1 else 0
        matrix += count * (2 * pairs * (keys + values) + 4 * size * keys * values)
        decayed = keys * values + pairs + (2 * size * keys if size > 1 else 0)
        vector += count * decayed * counts.RETENTION_DECAY
    return recurrence.heads * matrix, recurrence.heads * vector


def _chunks(requests: tuple[Request, ...], chunk: int) -> list[tuple[int, int]]:
    """Sizes of chunks and how often each occurs, request by request."""
    sizes: list[tuple[int, int]] = []
    for request in requests:
        whole, rest = divmod(request.new, chunk)
        sizes += [(chunk, whole)] if whole else []
        sizes += [(rest, 1)] if rest else []
    return sizes


def mamba_block(b: BlockBuilder, spec: MambaSpec, x: str) -> str:
    """Append a selective state-space mixer on the normalised x, output projection included; gives its output.

    The input projection is two matrices, so that the gate is a tensor of its own, and so is the projection to the step
    (`x_proj_dt`) and to b and c (`x_proj_bc`).
    """
    model, precision, tokens = b.step.model, b.step.model.precision, b.step.tokens
    inner, bits = spec.d_inner, b.step.model.precision.activation_bits
    u = b.matmul("in_proj_x", x, inner)
    gate = b.matmul("in_proj_z", x, inner)
    window = Recurrence(b.step.requests, 1, spec.d_conv, inner)
    conv_state, conv_read, conv_written = b.state("conv_state", window)
    conv_w = b.weight("conv_w", spec.d_conv, inner, precision.norm_bits)
    y = b.activation("conv", inner, precision.residual_bits)
    ops = tokens * inner * (spec.d_conv * counts.CONV1D + counts.CONV1D_BIAS)
    conv_reads = ((conv_w, b.tensor(conv_w).bytes), *conv_read)
    b.add_operator(
        Operator(
            "conv",
            OpKind.CONV1D,
            (u, conv_w, conv_state),
            (y,),
            vector_ops=ops,
            recurrence=window,
            reads=conv_reads,
            writes=conv_written,
        )
    )
    u = b.activate("conv_act", (y,), "silu", bits)
    dt = b.matmul("dt_proj", b.matmul("x_proj_dt", u, spec.dt_rank, out_bits=bits), inner)
    bc = b.matmul("x_proj_bc", u, 2 * spec.d_state)
    scanned = _scan(b, spec, (u, dt, bc))
    gated = b.activate("gating", (gate, scanned), "silu", bits)
    return b.matmul("out_proj", gated, model.hidden)


def _scan(b: BlockBuilder, spec: MambaSpec, inputs: tuple[str, str, str]) -> str:
    precision, inner = b.step.model.precision, spec.d_inner
    recurrence = Recurrence(b.step.requests, 1, spec.d_state, inner)
    state, read, written = b.state("ssm_state", recurrence)
    a = b.weight("a_w", spec.d_state, inner, precision.norm_bits)
    d = b.weight("d_w", 1, inner, precision.norm_bits)
    y = b.activation("scan", inner, precision.residual_bits)
    return b.add_operator(
        Operator(
            "scan",
            OpKind.SSM_SCAN,
            (*inputs, a, d, state),
            (y,),
            vector_ops=b.step.tokens * inner * (spec.d_state * counts.SSM_STATE + counts.SSM_CHANNEL),
            recurrence=recurrence,
            reads=((a, b.tensor(a).bytes), (d, b.tensor(d).bytes), *read),
            writes=written,
        )
    )
