"""Which blocks are written into a plan, in which order and on which cores: one after the other, or as a pipeline."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cairn.base.errors import CairnError
from cairn.hw_models.chip import ChipSpec
from cairn.sim.config.run_config import RunConfig
from cairn.sim.mapping.choices import choose_block
from cairn.sim.mapping.context import Scope, Stage
from cairn.sim.mapping.grid import Grid
from cairn.sim.mapping.lower import lower_block
from cairn.sim.mapping.matmul_cost import STREAM_TILES
from cairn.sim.mapping.options import MappingSpec
from cairn.sim.mapping.past import Past
from cairn.sim.mapping.pieces import Pieces
from cairn.sim.mapping.steady import PAIR, Repeated, Written, begin_of, repetition_of, simulated_of
from cairn.sim.plan.builder import PlanBuilder
from cairn.sim.plan.instance import BlockInstance
from cairn.sim.plan.plan import LEAD_ONLY, Plan, Trace
from cairn.sim.record import OperatorInfo, Repetition
from cairn.workloads.build import build_graph
from cairn.workloads.graph import Block, Operator, OperatorGraph, Request, Role, Segment
from cairn.workloads.step import Phase, RequestSpec, WorkloadSpec

IntArray = npt.NDArray[np.int64]


NOTHING: IntArray = np.empty(0, dtype=np.int64)


class Hidden(NamedTuple):
    """The hidden state between two blocks: its number as a tensor of the plan, and where it lies."""

    tensor: int
    pieces: Pieces


@dataclass
class Sequence:
    """What was written: the graph, its operators, and how often each block instance counts."""

    graph: OperatorGraph
    infos: tuple[OperatorInfo, ...]
    labels: list[str] = field(default_factory=list)
    runs: list[Repeated] = field(default_factory=list)
    instances: list[BlockInstance] = field(default_factory=list)
    """The blocks in the order in which they were written, for running the plan on numbers."""

    def weights(self, plan: Plan) -> list[int]:
        """Real blocks that each block instance of the plan stands for: those left out are shared by the steady ones."""
        weight = [1] * (int(plan.block.max(initial=-1)) + 1)
        for run in self.runs:
            weight[run.first] -= run.lead is not None
            if run.left_out:
                count = len(run.steady)
                for place, block in enumerate(run.steady):
                    weight[block] += run.left_out * (place + 1) // count - run.left_out * place // count
        return weight

    def repetitions(self, plan: Plan, trace: Trace, tolerance: float) -> tuple[Repetition, ...]:
        """How each run of repeated blocks was simulated, and by how much its time is in doubt for it (`steady.py`)."""
        ends = np.zeros(int(plan.block.max(initial=-1)) + 2, dtype=np.int64)
        np.maximum.at(ends, plan.block, trace.end)
        return tuple(repetition_of(run, plan, trace, ends, tolerance) for run in self.runs)


class _Writer:
    """Writes blocks with one plan builder; operators of equal blocks share their number."""

    def __init__(self, chip: ChipSpec, graph: OperatorGraph):
        self.plan = PlanBuilder(chip)
        self.numbers: dict[str, dict[str, int]] = {}
        infos = []
        for segment in graph.segments:
            block = segment.block
            if block.name in self.numbers:
                continue
            self.numbers[block.name] = {
                op.name: self.plan.operator(f"{block.name}/{op.name}") for op in block.operators
            }
            infos += [_info(block, op) for op in block.operators]
        self.sequence = Sequence(graph, tuple(infos))

    def begin(self, label: str) -> int:
        """A new block instance."""
        number = self.plan.next_block()
        self.sequence.labels.append(label)
        return number

    def lower(
        self, stage: Stage, block: Block, hidden: Hidden | None, label: str, past: Past | None = None,
        begin: str | None = None,
    ) -> Hidden:  # fmt: skip
        """Write one block on a stage, or its operators from `begin` on; `hidden` is its input. Answers its output."""
        scope = Scope(stage, block, label, self.numbers[block.name], past)
        begins: tuple[tuple[int, tuple[int, int, int, int]], ...] = ()
        if block.input is not None:
            if hidden is None:
                hidden = _start(scope, block.input)
                begins = tuple(zip(hidden.pieces.core.tolist(), map(tuple, hidden.pieces.rect.tolist()), strict=True))
            scope.alias(block.input, hidden.pieces, hidden.tensor)
        number = None if hidden is None else hidden.tensor
        resident = {} if past is None else past.tensors
        scope.tensor_of.update(resident)
        names = {name: self.plan.tensors[tensor] for name, tensor in resident.items()}
        self.sequence.instances.append(BlockInstance(self.plan.block, label, block, number, names, begins))
        if begin is not None:
            self.plan.skip(NOTHING if hidden is None else hidden.pieces.ready)
            self.plan.notes[LEAD_ONLY] = True
        pieces = lower_block(scope, begin)
        for tensor in block.tensors:
            if past is not None and tensor.role in (Role.KV, Role.STATE) and tensor.name in scope.tensor_of:
                past.tensors[tensor.name] = scope.tensor_of[tensor.name]
        return Hidden(scope.tensor(block.output), pieces)


def _start(scope: Scope, name: str) -> Hidden:
    """A hidden state that nothing produced (a step without embedding): spread evenly."""
    tensor = scope.block.tensor(name)
    return Hidden(scope.tensor(name), scope.even_layout(tensor.rows, tensor.columns))


def _info(block: Block, op: Operator) -> OperatorInfo:
    names = [*op.inputs, *op.outputs]
    moved = sum(block.tensor(n).bytes for n in names if block.tensor(n).role is Role.ACTIVATION)
    read, written = sum(c for _, c in op.reads), sum(c for _, c in op.writes)
    return OperatorInfo(block.name, op.name, op.kind.value, op.matrix_ops, op.vector_ops, read, written, moved)


def straight(
    config: RunConfig, graph: OperatorGraph, blocks: Written | int
) -> tuple[Sequence, PlanBuilder]:
    """All cores work on one operator after the other; of equal blocks as many are written as `blocks` says."""
    blocks = blocks if isinstance(blocks, Written) else Written(blocks, blocks)
    count, of_large, large, lead = blocks
    writer = _Writer(config.chip, graph)
    grid = whole_grid(config.chip, config.mapping)
    held = activation_bytes(config.chip, grid, config.mapping, graph)
    stage = Stage.on(writer.plan, grid, config.mapping, held, merged=config.fidelity.merged)
    hidden: Hidden | None = None
    for segment in graph.segments:
        simulated = simulated_of(segment.repeat, count)
        first, begun = len(writer.sequence.labels), writer.plan.n_tasks
        lead_begin = begin_of(lead, segment.block) if lead is not None and segment.repeat > of_large == PAIR else None
        for index in range(segment.repeat):
            if index == 1 and writer.plan.n_tasks - begun > large:
                simulated = min(simulated, simulated_of(segment.repeat, of_large))
            if index >= simulated:
                break
            label = f"{segment.block.name}[{index}]" if segment.repeat > 1 else segment.block.name
            begin = lead_begin if index == 0 else None
            writer.begin(label if begin is None else f"{label} from {begin}")
            hidden = writer.lower(stage, segment.block, hidden, label, begin=begin)
            if begin is not None and writer.plan.n_tasks - begun <= large:  # written anew, for little was
                return straight(config, graph, blocks._replace(lead=None))
        if segment.repeat > 1:
            written = lead if lead_begin is not None else None
            writer.sequence.runs.append(Repeated(segment.block.name, first, simulated, segment.repeat, written))
    return writer.sequence, writer.plan


def whole_grid(chip: ChipSpec, options: MappingSpec) -> Grid:
    return Grid(chip.cores.rows, chip.cores.columns, chip.cores.columns, placement=options.placement)


def activation_bytes(chip: ChipSpec, grid: Grid, options: MappingSpec, graph: OperatorGraph) -> int:
    """SRAM that is kept for activations: what the most demanding product holds, and at least a quarter of it all."""
    sram = chip.sram.capacity_kib * 1024
    tile = min(options.tile_kib * 1024, sram // (2 * STREAM_TILES))
    mappings = [m for s in graph.segments for m in choose_block(s.block, chip, grid, options).values()]
    most = max((mapping.act_bytes for mapping in mappings), default=0)
    return min(max(most, sram // 4), sram - STREAM_TILES * tile)


# -- the pipeline -----------------------------------------------------------------------------------------------------


def pipelined(config: RunConfig, graph: OperatorGraph, count: int) -> tuple[Sequence, PlanBuilder]:
    """Groups of cores hold consecutive layers; as many micro-batches as groups stream through them.

    In time slot t, stage s works on micro-batch t - s. A stage's layers are repeated blocks; the hidden state is handed
    to the next stage at the end of a slot. The step ends when the last micro-batch leaves: filling and draining the
    pipeline is part of it. Where micro-batches are parts of one request, each layer keeps its caches and states from
    slot to slot: a micro-batch reads what those before it have stored.
    """
    stages = config.mapping.stages
    batches = micro_batches(config.workload, stages)
    graphs, parts = _graphs_of(config, batches)
    past: dict[tuple[int, int], Past] = {}
    kinds = [_layers_of(g) for g in graphs]
    layers = [kind[0] for kind in kinds]
    depth = layers[0].repeat
    if any(len(kind) > 1 for kind in kinds) or depth % stages:
        raise CairnError(
            f"the dataflow paradigm needs equal layers whose number ({depth}) is a multiple of "
            f"mapping.stages ({stages})"
        )
    merged = replace(graph, segments=tuple(segment for g in graphs for segment in g.segments))
    writer = _Writer(config.chip, merged)
    grid = whole_grid(config.chip, config.mapping)
    try:
        grids = grid.stages(stages)
    except ValueError as trouble:
        raise CairnError(f"mapping.stages: {trouble}") from None
    places = [
        Stage.on(
            writer.plan, g, config.mapping, activation_bytes(config.chip, g, config.mapping, graphs[0]),
            merged=config.fidelity.merged,
        )
        for g in grids
    ]
    hidden: list[Hidden | None] = [None] * len(batches)
    each = depth // stages
    for slot in range(stages + len(batches) - 1):
        active = [(s, slot - s) for s in range(stages) if 0 <= slot - s < len(batches)]
        for s, j in active:
            if s == 0 and graphs[j].segments[0].block.input is None:
                writer.begin(f"slot {slot} prologue")
                hidden[j] = writer.lower(places[0], graphs[j].segments[0].block, None, f"prologue.{j}")
        first, simulated = len(writer.sequence.labels), simulated_of(each, count)
        for index in range(simulated):
            writer.begin(f"slot {slot} layer {index}")
            for s, j in active:
                before = past.setdefault((s, index), Past(parts)) if parts else None
                label = f"slot{slot}.stage{s}.layer{index}"
                hidden[j] = writer.lower(places[s], layers[j].block, hidden[j], label, before)
        writer.sequence.runs.append(Repeated(f"slot {slot}", first, simulated, each))
        for s, j in active:
            if s == stages - 1 and graphs[j].segments[-1].block is not layers[j].block:
                writer.begin(f"slot {slot} epilogue")
                hidden[j] = writer.lower(places[s], graphs[j].segments[-1].block, hidden[j], f"epilogue.{j}")
    return writer.sequence, writer.plan


def _graphs_of(config: RunConfig, batches: list[WorkloadSpec]) -> tuple[list[OperatorGraph], tuple[Request, ...]]:
    """The graph of each micro-batch, and the micro-batches of a single request (none if requests are not cut)."""
    requests = [batch.requests() for batch in batches]
    cut = len(batches) > len(config.workload.requests())
    parts = tuple(request for (request,) in requests) if cut else ()
    appended = [part.cached - parts[0].cached for part in parts] or [0] * len(batches)
    graphs = [
        _named(build_graph(config.model, batch, config.routing, config.seed, appended=rows), j)
        for j, (batch, rows) in enumerate(zip(batches, appended, strict=True))
    ]
    return graphs, parts


def _layers_of(graph: OperatorGraph) -> list[Segment]:
    """The segments of layers: between the prologue, which has no input, and the epilogue, which is always there."""
    return [segment for segment in graph.segments[:-1] if segment.block.input is not None]


def _named(graph: OperatorGraph, batch: int) -> OperatorGraph:
    """The graph with its blocks named by micro-batch."""
    segments = tuple(replace(s, block=replace(s.block, name=f"{s.block.name}.{batch}")) for s in graph.segments)
    return replace(graph, segments=segments)


def micro_batches(workload: WorkloadSpec, count: int) -> list[WorkloadSpec]:
    """The step cut into `count` micro-batches: by requests, or by tokens when there are fewer requests than that."""
    requests = list(workload.requests())
    if len(requests) >= count:
        edges = [len(requests) * i // count for i in range(count + 1)]
        parts = [requests[a:b] for a, b in itertools.pairwise(edges)]
    elif len(requests) == 1 and requests[0].new >= count:
        new, cached = requests[0].new, requests[0].cached
        cuts = [new * i // count for i in range(count + 1)]
        parts = [[Request(b - a, cached + a)] for a, b in itertools.pairwise(cuts)]
    else:
        raise CairnError(f"mapping.stages: {len(requests)} requests cannot be cut into {count} micro-batches")
    return [
        WorkloadSpec(
            phase=Phase.MIXED, requests=tuple(RequestSpec(new=r.new, cached=r.cached) for r in part),
            embedding=workload.embedding, lm_head=workload.lm_head, attention=workload.attention,
            kv_append=workload.kv_append,
        )
        for part in parts
    ]  # fmt: skip
