"""The analytical twin of a whole run: one call answers time, energy, area and power of many designs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.base.errors import CairnError
from cairn.sim.config.run_config import RunConfig
from cairn.sim.mapping.grid import Grid
from cairn.sim.mapping.matmul_cost import STREAM_TILES
from cairn.sim.mapping.options import Paradigm
from cairn.sim.twin.block import block_stages, choose_blocks
from cairn.sim.twin.machine import Machine
from cairn.sim.twin.pipeline import period_cycles, stage_cycles
from cairn.sim.twin.swept import Swept
from cairn.workloads.graph import OperatorGraph, Role

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Estimate:
    """What the twin says of each design; arrays (designs,). Infeasible designs have the numbers of no machine (NaN)."""

    latency_s: FloatArray
    feasible: BoolArray
    block_cycles: dict[str, FloatArray]
    """Core cycles of one block of each kind."""
    dram_bytes: FloatArray
    noc_bytes: FloatArray
    matrix_ops: FloatArray


def estimate(config: RunConfig, graph: OperatorGraph, columns: Mapping[tuple[str, ...], Any], designs: int) -> Estimate:
    """Designs that differ from `config` in parameters of the chip: `columns` has arrays (designs,) by path in the chip.

    The grid of cores, the topology, the mapping and the workload are those of `config`. CairnError for what the twin
    does not know: dataflow, and operators of experts and recurrent states.
    """
    if config.mapping.paradigm is Paradigm.DATAFLOW:
        raise CairnError("the analytical twin does not know the dataflow paradigm yet")
    chip = config.chip
    grid = Grid(chip.cores.rows, chip.cores.columns, chip.cores.columns, placement=config.mapping.placement)
    machine = Machine(Swept(chip, dict(columns)), grid, config.mapping, designs)
    chosen = {s.block.name: choose_blocks(s.block, machine) for s in graph.segments}
    stream = _stream_bytes(machine, [c.act_bytes() for c in chosen.values()])
    rate = machine.dram_rate
    total = np.zeros(designs)
    ahead = np.zeros(designs)
    counted = {name: np.zeros(designs) for name in ("dram_bytes", "noc_bytes", "macs")}
    cycles: dict[str, FloatArray] = {}
    for segment in graph.segments:
        stages = block_stages(segment.block, machine, chosen[segment.block.name], stream)
        took = np.zeros(designs)
        for stage in stages:
            once, ahead = stage_cycles(stage, rate, stream, ahead)
            took = took + once
        if segment.repeat > 1:
            period = period_cycles(stages, rate, stream)
            total = total + (segment.repeat - 1) * period
            cycles[segment.block.name] = period
        else:
            cycles[segment.block.name] = took
        total = total + took
        for name in counted:
            counted[name] = counted[name] + segment.repeat * sum(getattr(s.counts, name) for s in stages)
    feasible = np.all([c.feasible for c in chosen.values() if c.choices], axis=0) & _fits(machine, graph)
    return Estimate(
        np.where(feasible, total / (machine.array(machine.chip.clock_ghz) * 1e9), np.nan), feasible, cycles,
        counted["dram_bytes"], counted["noc_bytes"], 2 * counted["macs"],
    )  # fmt: skip


def _stream_bytes(machine: Machine, acts: list[Any]) -> FloatArray:
    """SRAM of a core through which tiles stream, as `activation_bytes` leaves it."""
    sram = machine.array(machine.sram_bytes)
    tile = np.minimum(machine.options.tile_kib * 1024, sram // (2 * STREAM_TILES))
    most = np.max([machine.array(act) for act in acts], axis=0)
    kept = np.minimum(np.maximum(most, sram // 4), sram - STREAM_TILES * tile)
    return np.maximum(sram - kept, sram // 4)


def _fits(machine: Machine, graph: OperatorGraph) -> BoolArray:
    """Whether weights, caches and states fit the DRAM."""
    held = sum(
        segment.repeat * tensor.bytes
        for segment in graph.segments
        for tensor in segment.block.tensors
        if tensor.role is not Role.ACTIVATION
    )
    return np.asarray(held <= machine.array(machine.chip.dram.capacity_gb) * 1e9)
