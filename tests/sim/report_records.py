"""Run records made by hand for the tests of the report: a decoder planned and timed without mapper and engine."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from cairn.hw_models.chip import ChipSpec
from cairn.sim.plan import actions
from cairn.sim.plan.builder import PlanBuilder, Region, Slice, Tile
from cairn.sim.plan.plan import DRAM, NO_QUEUE, SRAM, Plan, Trace
from cairn.sim.record import OperatorInfo, Repetition, RunRecord
from cairn.workloads.graph import Block, Operator, OperatorGraph, OpKind, Role, Segment, Tensor

TOKENS, HIDDEN, WIDE = 32, 1024, 4096
ADDRESS = (0, 16, 0, 8192, 0)


def small_chip(rows: int = 2, columns: int = 2) -> ChipSpec:
    return ChipSpec.model_validate(
        {
            "name": f"{rows} x {columns}",
            "source": "assumed: small enough to check by hand",
            "cores": {"rows": rows, "columns": columns},
            "dram": {"bandwidth_gb_per_s": 47.0 * rows * columns, "capacity_gb": 0.75 * rows * columns},
        }
    )


def small_graph(layers: int) -> OperatorGraph:
    """A layer of a norm, two products with an exchange between them, and a head that runs once."""

    def activation(name: str, columns: int) -> Tensor:
        return Tensor(name, Role.ACTIVATION, TOKENS, columns, 16)

    def product(name: str, x: str, y: str, k: int, n: int) -> Operator:
        weight = Tensor(f"{name}.w", Role.WEIGHT, k, n, 16)
        return Operator(
            name,
            OpKind.MATMUL,
            (x, weight.name),
            (y,),
            matrix_ops=2 * TOKENS * k * n,
            reads=((weight.name, weight.bytes),),
        )

    layer = Block(
        "layer",
        (
            Operator("norm", OpKind.NORM, ("hidden",), ("x",), vector_ops=4 * TOKENS * HIDDEN),
            product("up", "x", "h", HIDDEN, WIDE),
            product("down", "h", "y", WIDE, HIDDEN),
        ),
        (
            activation("hidden", HIDDEN), activation("x", HIDDEN), activation("h", WIDE), activation("y", HIDDEN),
            Tensor("up.w", Role.WEIGHT, HIDDEN, WIDE, 16), Tensor("down.w", Role.WEIGHT, WIDE, HIDDEN, 16),
        ),
        "hidden",
        "y",
    )  # fmt: skip
    head = Block(
        "head",
        (product("lm_head", "y", "logits", HIDDEN, WIDE),),
        (activation("y", HIDDEN), activation("logits", WIDE), Tensor("lm_head.w", Role.WEIGHT, HIDDEN, WIDE, 16)),
        "y",
        "logits",
    )
    return OperatorGraph("hand-made", "decode", TOKENS, (Segment(layer, layers), Segment(head)))


def infos_of(graph: OperatorGraph) -> tuple[OperatorInfo, ...]:
    return tuple(
        OperatorInfo(
            segment.block.name, op.name, op.kind.value, op.matrix_ops, op.vector_ops,
            sum(count for _, count in op.reads), sum(count for _, count in op.writes), 0,
        )
        for segment in graph.segments
        for op in segment.block.operators
    )  # fmt: skip


def write_plan(chip: ChipSpec, layers: int, tiles: int) -> Plan:
    """Every core takes a share of the columns in `tiles` tiles, each loaded and multiplied."""
    plan = PlanBuilder(chip)
    cores = np.arange(chip.core_count)
    w = plan.tensor("w")
    for _ in range(4):
        plan.operator("op")
    barrier = plan.sync(None)
    for layer in range(layers):
        if layer:
            plan.next_block()
        norm = plan.compute(cores, "vector", Tile(0, actions.NORM_APPLY, (0, TOKENS), (0, 64)), 3000, barrier,
                            4 * TOKENS * HIDDEN // cores.size)  # fmt: skip
        sent = plan.copy(
            Region(SRAM, cores, Slice(w, (0, TOKENS), (0, 64), 4096)),
            Region(SRAM, (cores + 1) % cores.size, Slice(w, (0, TOKENS), (0, 64), 4096)),
            1, norm, "share",
        )  # fmt: skip
        barrier = plan.sync(np.concatenate([sent, norm]).tolist(), cycles=32)
        up = _product(plan, chip, 1, HIDDEN, WIDE, tiles, barrier, w)
        barrier = plan.sync(np.concatenate(up).tolist(), cycles=32)
        down = _product(plan, chip, 2, WIDE, HIDDEN, tiles, barrier, w)
        barrier = plan.sync(np.concatenate(down).tolist(), cycles=32, op=2)
    plan.next_block()
    _product(plan, chip, 3, HIDDEN, WIDE, tiles, barrier, w)
    return plan.build()


def _product(
    plan: PlanBuilder, chip: ChipSpec, op: int, k: int, n: int, tiles: int, after: np.ndarray, tensor: int
) -> list[np.ndarray]:  # fmt: skip
    cores = np.arange(chip.core_count)
    done = []
    for tile in range(tiles):
        k0, k1 = k * tile // tiles, k * (tile + 1) // tiles
        n0, n1 = n * cores // cores.size, n * (cores + 1) // cores.size
        data = Slice(tensor, (k0, k1), (n0, n1), 2 * (k1 - k0) * (n1 - n0))
        cause = "unique" if tile else "reread"
        loaded = plan.copy(
            Region(DRAM, chip.channel_of(cores), data, ADDRESS), Region(SRAM, cores, data), op, None, cause
        )
        cycles = chip.matrix_unit.tile_cycles(TOKENS, n1 - n0, k1 - k0)
        work = Tile(op, actions.MATMUL, (0, TOKENS), (n0, n1), (k0, k1))
        waits, ops = [loaded, np.broadcast_to(after, cores.shape)], 2 * TOKENS * (n1 - n0) * (k1 - k0)
        done.append(plan.compute(cores, "matrix", work, cycles, waits, ops))
    return done


def timed(plan: Plan, chip: ChipSpec) -> Trace:
    """A trace of the plan in which a channel and a core's port serve one transfer after the other at a fixed rate."""
    n = plan.n_tasks
    start, first, end = (np.zeros(n, dtype=np.int64) for _ in range(3))
    ready = np.zeros(n, dtype=np.int64)
    slots = {index: [0] * queue.depth for index, queue in enumerate(plan.queues)}
    free: dict[tuple[str, int], int] = {}
    rate = {"dram": chip.dram_bytes_per_s / chip.channels / 1e12, "noc": chip.noc.link_bytes_per_cycle * 1.6e-3}
    for task in range(n):
        queue = int(plan.queue[task])
        begin = int(ready[task])
        if queue != NO_QUEUE:
            begin = max(begin, min(slots[queue]))
        start[task] = begin
        if plan.server[task] >= 0:
            copy = plan.copies[plan.row[task]]
            name = plan.servers[plan.server[task]]
            unit = (name, int(copy[7] if name == "noc" or copy[6] == DRAM else copy[9]))
            served = max(begin, free.get(unit, 0))
            first[task] = served + 20_000
            end[task] = served + 20_000 + int(copy[10] / rate[name])
            free[unit] = end[task] - 20_000
        else:
            first[task] = end[task] = begin + int(plan.duration[task])
        if queue != NO_QUEUE:
            slots[queue][slots[queue].index(min(slots[queue]))] = end[task]
        for edges, when in ((plan.on_first, first[task]), (plan.on_done, end[task])):
            targets = edges.targets[edges.start[task] : edges.start[task + 1]]
            ready[targets] = np.maximum(ready[targets], when)
    return Trace(start, first, end, ())


def small_record(
    simulated: int = 3, repeat: int = 40, tiles: int = 4, rows: int = 2, columns: int = 2,
    provenance: Mapping[str, Any] | None = None,
) -> RunRecord:  # fmt: skip
    """`simulated` of `repeat` layers and a head; the last simulated layer but one stands for those that are missing."""
    chip, graph = small_chip(rows, columns), small_graph(repeat)
    plan = write_plan(chip, simulated, tiles)
    trace = timed(plan, chip)
    weight = np.ones(simulated + 1, dtype=np.int64)
    weight[max(simulated - 2, 0)] += repeat - simulated
    ends = [int(trace.end[plan.block == block].max()) for block in range(simulated + 1)]
    period = ends[max(simulated - 2, 0)] - (ends[simulated - 3] if simulated > 2 else 0)
    return RunRecord(
        name="hand-made run",
        config={"name": "hand-made run"},
        chip=chip,
        graph=graph,
        plan=plan,
        trace=trace,
        operators=infos_of(graph),
        block_weight=weight,
        block_name=(*(f"layer[{index}]" for index in range(simulated)), "head"),
        repetitions=(Repetition("layer", repeat, simulated, period, 0.001, 0.01),),
        total_ps=trace.makespan + (repeat - simulated) * period,
        provenance=provenance
        or {"version": "0.1.0", "run_hash": "0123456789abcdef", "seed": 7, "fidelity": "cycle", "wall_s": 1.5},
    )
