"""Small models, chips and steps whose plans are run on numbers and compared with NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cairn.hw_models.chip import ChipSpec
from cairn.sim.config.run_config import RunConfig, load
from cairn.sim.mapping.options import Paradigm
from cairn.sim.mapping.sequence import Sequence, micro_batches, pipelined, straight
from cairn.sim.plan.instance import BlockInstance
from cairn.sim.plan.numbers import Outcome, execute
from cairn.sim.plan.plan import COMPUTE, COPY, NO_QUEUE, SYNC, Edges, Plan, Trace
from cairn.sim.run import run_plan
from cairn.workloads.build import build_graph
from cairn.workloads.graph import Block, OperatorGraph, OpKind, Role

from .reference_model import Array, Evaluation, draw, without_new_rows

GQA = {"heads": 4, "kv_heads": 2, "head_dim": 8}
SWIGLU = {"width": 48}
MODELS: dict[str, dict[str, Any]] = {
    "mha": {"attention": {"heads": 4}, "ffn": SWIGLU},
    "gqa": {"attention": GQA, "ffn": SWIGLU, "post_norms": True},
    "partial_rope": {"attention": {**GQA, "rotary_dim": 4}, "ffn": SWIGLU, "parallel_blocks": True},
    "qk_norm": {"attention": {**GQA, "qk_norm": True}, "ffn": SWIGLU},
    "window": {"attention": {**GQA, "window": 5, "full_attention_every": 2}, "ffn": SWIGLU},
    "mla": {
        "attention": {
            "heads": 4,
            "mla": {
                "q_lora_rank": 24, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 8,
            },
        },
        "ffn": SWIGLU,
    },
    "moe": {"attention": GQA, "ffn": SWIGLU, "moe": {"experts": 4, "top_k": 2, "width": 24, "dense_layers": 1}},
    "moe_shared": {"attention": GQA, "moe": {"experts": 6, "top_k": 2, "width": 16, "shared_experts": 1}},
    "moe_many": {"attention": GQA, "moe": {"experts": 40, "top_k": 4, "width": 16}},
    "layer_norm": {
        "attention": {"heads": 4}, "ffn": {"width": 64, "gated": False, "function": "gelu"}, "norm": "layer",
        "position": "learned", "max_context": 64,
    },
    "ternary": {
        "attention": {"heads": 4}, "ffn": {"width": 48, "function": "relu2"}, "sub_norms": True,
        "precision": {"weight_bits": 1.58, "activation_bits": 8, "kv_bits": 8},
    },
    "packed_ternary": {
        "attention": {"heads": 4}, "ffn": {"width": 50},
        "precision": {"weight_bits": 1.58, "weight_storage_bits": 1.6, "activation_bits": 8},
    },
    "retnet": {
        "family": "retnet", "retnet": {"heads": 4, "key_dim": 8, "value_dim": 16, "chunk": 4},
        "ffn": {"width": 48, "gated": False, "function": "gelu"},
    },
    "mamba": {"family": "mamba", "mamba": {"d_inner": 64, "d_state": 4, "d_conv": 4, "dt_rank": 2}, "position": "none"},
}  # fmt: skip

STEPS: dict[str, dict[str, Any]] = {
    "decode": {"phase": "decode", "context": [9, 1, 17, 6]},
    "decode_one": {"phase": "decode", "context": 37},
    "prefill": {"phase": "prefill", "new_tokens": 19},
    "prefill_cached": {"phase": "prefill", "batch": 2, "new_tokens": 7, "cached_tokens": 5},
    "mixed": {
        "phase": "mixed", "requests": [{"new": 1, "cached": 12}, {"new": 6}, {"new": 1}, {"new": 3, "cached": 4}],
    },
}  # fmt: skip

GRIDS = {"2x2": (2, 2), "4x4": (4, 4), "2x4": (2, 4)}


def config_of(
    model: str, step: str, grid: str = "4x4", sram_kib: int = 16, layers: int = 2, attention: str = "fused",
    **mapping: Any,
) -> RunConfig:  # fmt: skip
    """A run of a small model on the tiny chip, with another grid of cores and less SRAM."""
    base = load("demo")
    rows, columns = GRIDS[grid]
    chip = base.chip.model_dump(mode="json", by_alias=True)
    chip["cores"].update(rows=rows, columns=columns)
    chip["sram"]["capacity_kib"] = sram_kib
    chip["dram"]["bandwidth_gb_per_s"] = 2 * rows * columns
    spec = {"name": model, "source": "made for tests", "layers": layers, "hidden": 32, "vocab": 96, **MODELS[model]}
    settings = {"tile_kib": 1, **mapping}
    return RunConfig.model_validate(
        {
            "name": f"{model} {step}", "chip": ChipSpec.model_validate(chip), "model": spec,
            "workload": {**STEPS[step], "attention": attention}, "mapping": settings, "engine": {"exact": True},
            "routing": {"law": "uniform"}, "seed": 3,
        }
    )  # fmt: skip


@dataclass
class Executed:
    """A run and what it computed, and the same from NumPy by tensor name of the plan."""

    sequence: Sequence
    plan: Plan
    trace: Trace
    outcome: Outcome
    inputs: dict[str, Array]
    """What lay in DRAM before the step."""
    expected: dict[str, Array]
    """Outputs of blocks, caches and states after the step."""


def shaken(plan: Plan, seed: int) -> Plan:
    """The plan with random times in place of servers' and units': only dependences and queues order its tasks."""
    none = np.full(plan.n_tasks, -1)
    times = np.random.default_rng(seed).integers(1, 1000, plan.n_tasks)
    return replace(plan, duration=np.where(plan.kind == SYNC, 0, times), server=none, request=none)


def run_on_numbers(config: RunConfig, shake: int | None = None) -> Executed:
    """`shake` is the seed of random task times that the order of tasks is taken from; None: from the simulation."""
    graph = build_graph(config.model, config.workload, config.routing, config.seed)
    write = pipelined if config.mapping.paradigm is Paradigm.DATAFLOW else straight
    sequence, builder = write(config, graph, 1 << 60)
    plan = builder.build()
    trace = run_plan(plan if shake is None else shaken(plan, shake), config.chip)
    inputs, expected = _reference(config, graph, sequence)
    inputs = {name: value for name, value in inputs.items() if name in plan.tensors}
    outcome = execute(plan, trace, sequence.instances, inputs)
    return Executed(sequence, plan, trace, outcome, inputs, expected)


def check_against_numpy(config: RunConfig, shake: int | None = None) -> Executed:
    """All block outputs, appended caches and new states are NumPy's."""
    done = run_on_numbers(config, shake)
    tensors = [(i.tensor_name(t.name), t.role) for i in done.sequence.instances for t in i.block.tensors]
    resident = {name for name, role in tensors if role is not Role.ACTIVATION}
    for name, expected in done.expected.items():
        if name not in done.plan.tensors:
            assert np.isnan(expected).all(), f"the plan never moves {name}"
            continue
        result = done.outcome.dram(name) if name in resident else done.outcome.gathered(name)
        scale = np.nanmax(np.abs(expected), initial=0.0)
        np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-9 * scale, err_msg=name)
    return done


def _reference(
    config: RunConfig, graph: OperatorGraph, sequence: Sequence
) -> tuple[dict[str, Array], dict[str, Array]]:
    """What lies in DRAM before the step, and what the step leaves, by the plan's names."""
    if config.mapping.paradigm is not Paradigm.DATAFLOW:
        blocks = [segment.block for segment in graph.segments for _ in range(segment.repeat)]
        assert [i.block for i in sequence.instances] == blocks
        return _evaluate(list(enumerate(sequence.instances)), "whole step", {})
    inputs: dict[str, Array] = {}
    expected: dict[str, Array] = {}
    cut = len(config.workload.requests()) == 1  # micro-batches of one request: each goes on where the last one ended
    past: dict[tuple[int, str], Array] = {}
    for batch in range(len(micro_batches(config.workload, config.mapping.stages))):
        mine = [i for i in sequence.instances if i.block.name.endswith(f".{batch}")]
        more = _evaluate(list(enumerate(mine)), "whole step" if cut else f"micro-batch {batch}", past)
        past = past if cut else {}
        inputs = {**more[0], **inputs}  # what lay there before the step is what the first micro-batch finds
        expected.update(more[1])
    return inputs, expected


def _evaluate(
    layers: list[tuple[int, BlockInstance]], which: str, past: dict[tuple[int, str], Array]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """`past` has caches and states of layers as an earlier part of the requests left them; it is brought up to date."""
    inputs: dict[str, Array] = {}
    expected: dict[str, Array] = {}
    hidden = np.zeros((0, 0))
    for layer, instance in layers:
        block = instance.block
        if layer == 0 and block.input is not None:  # a step without embedding
            hidden = _tokens(block, which)
            inputs[instance.tensor_name(block.input)] = hidden
        before = dict(_content(block, layer, which))
        later = {name for name in before if (layer, name) in past}
        for name in later:
            rows = past[layer, name].shape[1]
            before[name][:, :rows] = past[layer, name]
        evaluation = Evaluation(block, dict(before))
        if block.input is not None:
            evaluation.values[block.input] = hidden
        hidden = evaluation.run()
        inputs.update({instance.tensor_name(name): value for name, value in before.items()})
        names = [t.name for t in block.tensors if t.role in (Role.KV, Role.STATE)] + [block.output]
        past.update({(layer, name): evaluation.values[name] for name in names[:-1]})
        written = {name for op in block.operators for name, _ in op.writes} | {block.output}
        names = [name for name in names if name in written or name not in later]
        after = {name: (evaluation.values if name in written else before)[name] for name in names}
        expected.update({instance.tensor_name(name): value for name, value in after.items()})
    return inputs, expected


def _tokens(block: Block, which: str) -> Array:
    """The hidden state that a step without embedding begins with: a token's row is the same in whatever part it is."""
    operator = next(op for op in block.operators if op.attention is not None or op.recurrence is not None)
    requests = (operator.attention or operator.recurrence).requests  # type: ignore[union-attr]
    row = replace(block.tensor(block.input or ""), rows=1)
    places = [(r, request.cached + new) for r, request in enumerate(requests) for new in range(request.new)]
    return np.concatenate([draw(row, which, *place)[0] for place in places])


def _content(block: Block, layer: int, which: str) -> Iterator[tuple[str, Array]]:
    """Weights are the same for all micro-batches, caches and states are not."""
    kinds = OpKind.ATTENTION, OpKind.ATTENTION_SCORES
    attention = next((op.attention for op in block.operators if op.kind in kinds), None)
    for tensor in block.tensors:
        if tensor.role is Role.KV and attention is not None:
            yield tensor.name, without_new_rows(draw(tensor, layer, which), attention)
        elif tensor.role is Role.STATE:
            yield tensor.name, draw(tensor, layer, which)
        elif tensor.role is Role.WEIGHT:
            yield tensor.name, draw(tensor, layer)


# -- plans that are looked at and spoiled ------------------------------------------------------------------------------


def computes(plan: Plan, *wanted: int) -> np.ndarray:
    """Tasks of these actions."""
    tasks = np.nonzero(plan.kind == COMPUTE)[0]
    return tasks[np.isin(plan.compute[plan.row[tasks], 1], wanted)]


def copies(plan: Plan, source: int, destination: int) -> np.ndarray:
    tasks = np.nonzero(plan.kind == COPY)[0]
    rows = plan.copies[plan.row[tasks]]
    return tasks[(rows[:, 6] == source) & (rows[:, 8] == destination)]


def hasty(plan: Plan, task: int) -> Plan:
    """The plan with one task that waits for nothing and stands in no line."""
    queue, waits = plan.queue.copy(), plan.waits.copy()
    queue[task], waits[task] = NO_QUEUE, 0
    first, done = (without(edges, task) for edges in (plan.on_first, plan.on_done))
    return replace(plan, queue=queue, waits=waits, on_first=first, on_done=done)


def without(edges: Edges, task: int) -> Edges:
    owner = np.repeat(np.arange(edges.start.size - 1), np.diff(edges.start))
    keep = edges.targets != task
    start = np.zeros_like(edges.start)
    np.cumsum(np.bincount(owner[keep], minlength=start.size - 1), out=start[1:])
    return Edges(start, edges.targets[keep])
