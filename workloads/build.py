"""From a model and a step to the operator graph: prologue, layers, epilogue."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

import numpy as np

from cairn.base.errors import CairnError
from cairn.base.streams import stream
from cairn.workloads.architecture import Family, ModelSpec, PositionKind
from cairn.workloads.attention import attention_block
from cairn.workloads.blocks import BlockBuilder, Step
from cairn.workloads.feedforward import dense_block, experts_block
from cairn.workloads.graph import Block, Operator, OperatorGraph, OpKind, Segment
from cairn.workloads.recurrent import mamba_block, retention_block
from cairn.workloads.routing import IntArray, Router, RoutingSpec
from cairn.workloads.step import WorkloadSpec


def build_graph(
    model: ModelSpec, workload: WorkloadSpec, routing: RoutingSpec, seed: int, appended: int = 0
) -> OperatorGraph:
    """The operators of one step of `model`. Experts and token numbers are drawn from streams of `seed`.

    `appended` says that this is a later part of a step: so many of its request's cached tokens were appended by earlier
    parts, as was its state. Reading those back is nothing that the step must do, and no unique byte.

    Equal consecutive layers are one segment; every layer with experts is a block of its own, because its experts are
    chosen anew. Biases are not operators: they add less than 0.1 % of the weights' bytes and one addition per output.
    Raises CairnError when the step does not suit the model (a learned position beyond its table, a routing trace of
    another number of experts).
    """
    step = Step.of(model, workload, appended)
    segments = [Segment(_prologue(step, seed))] if workload.embedding else []
    segments += _layers(step, Router(routing, model, step.tokens, seed))
    segments.append(Segment(_epilogue(step, workload.lm_head)))
    return OperatorGraph(model.name, workload.phase.value, step.tokens, tuple(segments))


def _layers(step: Step, router: Router) -> Iterator[Segment]:
    model = step.model
    dense: dict[int | None, Block] = {}
    pending: Segment | None = None
    for layer in range(model.layers):
        window = model.window(layer)
        if model.is_moe_layer(layer):
            block = _layer_block(step, f"layer_{layer}", window, router.choose(layer))
        else:
            if window not in dense:
                dense[window] = _layer_block(step, "layer" if window is None else f"layer_window_{window}", window)
            block = dense[window]
        if pending is not None and pending.block is block:
            pending = Segment(block, pending.repeat + 1)
            continue
        if pending is not None:
            yield pending
        pending = Segment(block)
    if pending is not None:
        yield pending


def _layer_block(step: Step, name: str, window: int | None, chosen: IntArray | None = None) -> Block:
    """One layer; `chosen` are the experts of each token where it has experts."""
    model, precision = step.model, step.model.precision
    b = BlockBuilder(step, name)
    hidden = b.activation("hidden", model.hidden, precision.residual_bits)
    normed = b.norm("mixer_norm", hidden, precision.activation_bits)
    mixed = _mixer(b, normed, window)
    if model.post_norms:
        mixed = b.norm("mixer_post_norm", mixed, precision.residual_bits)
    x = b.add("mixer_add", hidden, mixed)
    if model.family is Family.MAMBA:
        return b.build(hidden, x)
    if not model.parallel_blocks:
        normed = b.norm("ffn_norm", x, precision.activation_bits)
    if chosen is not None and model.moe is not None:
        y = experts_block(b, model.moe, normed, chosen)
    elif model.ffn is not None:
        y = dense_block(b, model.ffn, normed)
    else:
        raise CairnError(f"model {model.name} has a layer without a feed-forward network")
    if model.post_norms:
        y = b.norm("ffn_post_norm", y, precision.residual_bits)
    return b.build(hidden, b.add("ffn_add", x, y))


def _mixer(b: BlockBuilder, x: str, window: int | None) -> str:
    model = b.step.model
    if model.attention is not None:
        return attention_block(b, model.attention, x, window)
    if model.retnet is not None:
        return retention_block(b, model.retnet, x)
    if model.mamba is not None:
        return mamba_block(b, model.mamba, x)
    raise CairnError(f"model {model.name} has no token mixer")


def _prologue(step: Step, seed: int) -> Block:
    """Token embedding, plus a learned position where the model has one."""
    model = step.model
    b = BlockBuilder(step, "prologue")
    x = _lookup(b, "embedding", model.vocab, draw_tokens(model.vocab, step.tokens, seed))
    if model.position is PositionKind.LEARNED:
        limit = model.max_context or 0
        longest = max(request.cached + request.new for request in step.requests)
        if longest > limit:
            raise CairnError(f"{model.name} has positions for {limit} tokens, but a request reaches {longest}")
        first = (model.position_rows or limit) - limit
        rows = [first + r.cached + new for r in step.requests for new in range(r.new)]
        x = b.add("embedding_add", x, _lookup(b, "positions", model.position_rows or limit, rows))
    return b.build(None, x)


def _lookup(b: BlockBuilder, name: str, table_rows: int, rows: list[int]) -> str:
    """One row of the table `name_w` for each token; a row that several tokens need is read once."""
    model = b.step.model
    w = b.weight(f"{name}_w", table_rows, model.hidden, model.precision.embedding_bits)
    y = b.activation(name, model.hidden, model.precision.residual_bits)
    read = len(set(rows)) * (b.tensor(w).bytes // table_rows)
    return b.add_operator(Operator(name, OpKind.EMBEDDING, (w,), (y,), rows=tuple(rows), reads=((w, read),)))


def draw_tokens(vocab: int, tokens: int, seed: int) -> list[int]:
    """Token numbers of a step, different ones as long as the vocabulary lasts."""
    rng = stream(seed, "tokens")
    if tokens > vocab:
        return [int(token) for token in rng.integers(vocab, size=tokens)]
    order = np.argsort(rng.random(vocab), kind="stable")
    return [int(token) for token in order[:tokens]]


def _epilogue(step: Step, lm_head: bool) -> Block:
    """Final norm and, for the last token of each request, the LM head."""
    model, precision = step.model, step.model.precision
    b = BlockBuilder(step, "epilogue")
    hidden = b.activation("hidden", model.hidden, precision.residual_bits)
    x = b.norm("final_norm", hidden, precision.residual_bits)
    if lm_head:
        ends = tuple(end - 1 for end in accumulate(request.new for request in step.requests))
        if len(ends) < step.tokens:
            y = b.activation("last_tokens", model.hidden, precision.residual_bits, len(ends))
            x = b.add_operator(Operator("last_tokens", OpKind.DISPATCH, (x,), (y,), rows=ends))
        bits = precision.embedding_bits if model.tied_embeddings else precision.head_bits
        x = b.matmul("lm_head", x, model.vocab, weight_bits=bits)
    return b.build(hidden, x)
