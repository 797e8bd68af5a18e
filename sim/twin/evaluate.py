"""The analytical twin of a whole run: one call answers time, energy, area and power of many designs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import CairnError
from cairn.hw_models import cost
from cairn.hw_models.noc.spec import NocTopology
from cairn.sim.config.run_config import RunConfig
from cairn.sim.mapping.dram_rate import STREAMING
from cairn.sim.mapping.grid import Grid
from cairn.sim.mapping.matmul_cost import STREAM_TILES
from cairn.sim.mapping.options import Paradigm
from cairn.sim.mapping.pim_asked import check_asked
from cairn.sim.twin.block import Lowered, known
from cairn.sim.twin.chosen import choose_blocks
from cairn.sim.twin.machine import Machine
from cairn.sim.twin.pipeline import block_cycles, period_cycles
from cairn.sim.twin.places import UNKNOWN, Places
from cairn.sim.twin.stage import COUNTED
from cairn.sim.twin.swept import Swept
from cairn.workloads.graph import OperatorGraph, Role

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


TOPOLOGIES: Final = (NocTopology.MESH, NocTopology.TORUS, NocTopology.ALL_TO_ALL)
"""Networks whose links the twin knows how to load."""


@dataclass(frozen=True)
class Estimate:
    """What the twin says of each design; arrays (designs,). Infeasible designs have the numbers of no machine (NaN)."""

    latency_s: FloatArray
    feasible: BoolArray
    block_cycles: dict[str, FloatArray]
    """Core cycles of one block of each kind."""
    energy_j: FloatArray
    area_mm2: FloatArray
    dram_bytes: FloatArray
    noc_bytes: FloatArray
    matrix_ops: FloatArray
    act_bytes: FloatArray
    """SRAM that the most demanding product takes."""
    held_bytes: float
    """Weights, caches and states in DRAM."""
    dram_die_mm2: FloatArray
    """Area of each DRAM die; 0 where the chip does not ask that it be no larger than the logic die may be."""


def unknown(config: RunConfig, graph: OperatorGraph) -> str | None:
    """What of a run the twin does not know; None when it knows all of it."""
    if config.mapping.paradigm is Paradigm.DATAFLOW:
        return "the dataflow paradigm"
    if config.chip.dram.model not in STREAMING:
        return f"channels of the DRAM model {config.chip.dram.model!r}"
    if config.chip.noc.topology not in TOPOLOGIES:
        return f"networks of topology {str(config.chip.noc.topology)!r}"
    if not config.chip.noc.by_direction:
        return f"networks of routing {config.chip.noc.routing!r}"
    if config.chip.noc.clock_ghz is not None:
        return "networks with a clock of their own"
    for segment in graph.segments:
        for operator in segment.block.operators:
            if not known(operator):
                return f"operator {operator.name!r} ({operator.kind.value})"
    return None


def estimate(config: RunConfig, graph: OperatorGraph, columns: Mapping[tuple[str, ...], Any], designs: int) -> Estimate:
    """Designs that differ from `config` in parameters of the chip: `columns` has arrays (designs,) by path in the chip.

    The grid of cores, the topology, the mapping and the workload are those of `config`. CairnError for what the twin
    does not know: dataflow, Voxel's estimator of the DRAM, more than 16 experts, recurrent states.
    """
    check_asked(config.chip, config.mapping, graph)
    missing = unknown(config, graph)
    if missing is not None:
        raise CairnError(f"the analytical twin does not know {missing} yet")
    chip = config.chip
    grid = Grid(chip.cores.rows, chip.cores.columns, chip.cores.columns, placement=config.mapping.placement)
    machine = Machine(Swept(chip, dict(columns)), grid, config.mapping, designs)
    chosen = {s.block.name: choose_blocks(s.block, machine) for s in graph.segments}
    stream = _stream_bytes(machine, [c.act_bytes() for c in chosen.values()])
    rate = machine.dram_rate
    places, left = Places(machine), np.full(designs, UNKNOWN)
    total = np.zeros(designs)
    ahead = np.zeros(designs)
    counted = {name: np.zeros(designs) for name in COUNTED}
    cycles: dict[str, FloatArray] = {}
    for segment in graph.segments:
        block, choices = segment.block, chosen[segment.block.name]
        lies = places.of_block(block, choices.ways, left, choices.experts)
        lowered = Lowered(block, machine, choices, places, lies, stream)
        stages = lowered.stages()
        took, ahead = block_cycles(stages, rate, stream, ahead)
        left = lies[block.output]
        cycles[block.name], total = took, total + took
        if segment.repeat > 1:
            stages = lowered.following(places.of_block(block, choices.ways, left, choices.experts)).stages()
            cycles[block.name] = period_cycles(stages, rate, stream)
            total = total + (segment.repeat - 1) * cycles[block.name]
        for name, events in stages.counted().items():
            counted[name] += segment.repeat * events
    held = _held_bytes(graph)
    chip_of = machine.chip
    feasible = np.all([c.feasible for c in chosen.values() if c.ways], axis=0)
    feasible &= held <= machine.array(chip_of.dram.capacity_gb) * 1e9
    die = _dram_die_mm2(machine)
    feasible &= die <= machine.array(chip_of.die_limit_mm2)
    latency = np.where(feasible, total / (machine.array(chip_of.clock_ghz) * 1e9), np.nan)
    opened = counted["dram_bytes"] + counted.pop("row_bytes")
    rows = 8 * opened  # bits of rows that are activated: a row for each row's length of bytes
    macs = counted["macs"] + counted.pop("lut_macs")
    of_lut = [counted.pop(name) for name in ("lut_lookups", "lut_groups", "table_adds")]
    on_units = [counted.pop(name) for name in ("pim_macs", "pim_bytes")]
    looked_up = cost.lut_event_pj(chip_of, *of_lut)  # type: ignore[arg-type]
    dynamic = cost.dynamic_energy_pj(
        chip_of.energy, noc_hop_bytes=counted["noc_bytes"], dram_row_bits=rows,  # type: ignore[arg-type]
        lut_pj=sum(looked_up.values()) if looked_up else None, **counted,  # type: ignore[arg-type]
    )  # fmt: skip
    static = sum(cost.static_power_w(chip_of).values())  # type: ignore[arg-type]
    energy = (sum(dynamic.values()) + cost.pim_pj(config.chip, *on_units)) * 1e-12 + static * latency
    area = machine.array(sum(cost.area_mm2(chip_of).values()))  # type: ignore[arg-type]
    act = np.max([machine.array(c.act_bytes()) for c in chosen.values()], axis=0)
    return Estimate(
        latency, feasible, cycles, np.asarray(energy), area, counted["dram_bytes"], counted["noc_bytes"],
        2 * macs, act, held, die,
    )  # fmt: skip


def _stream_bytes(machine: Machine, acts: list[Any]) -> FloatArray:
    """SRAM of a core through which tiles stream, as `activation_bytes` leaves it."""
    sram = machine.array(machine.sram_bytes)
    tile = np.minimum(machine.options.tile_kib * 1024, sram // (2 * STREAM_TILES))
    most = np.max([machine.array(act) for act in acts], axis=0)
    kept = np.minimum(np.maximum(most, sram // 4), sram - STREAM_TILES * tile)
    return np.asarray(np.maximum(sram - kept, sram // 4))


def _dram_die_mm2(machine: Machine) -> FloatArray:
    """Area of each DRAM die, 0 where the chip does not ask for a limit."""
    parts = cost.dram_die_mm2(machine.chip)  # type: ignore[arg-type]
    asked = parts is not None and machine.chip.area.dram.within_die_limit
    return machine.array(sum(parts.values()) if parts is not None and asked else 0.0)


def _held_bytes(graph: OperatorGraph) -> float:
    """Bytes of weights, caches and states."""
    return float(sum(
        segment.repeat * tensor.bytes
        for segment in graph.segments
        for tensor in segment.block.tensors
        if tensor.role is not Role.ACTIVATION
    ))  # fmt: skip
