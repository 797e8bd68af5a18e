"""Stages of what PIM units do: products cut into tiles and segments, and the attention of decoding.

Times of the units are those of `PimTimes`; what waits for what is taken from lowering: of products step by step, in the
same order (`mapping/pim_order.py`) and the same two queues (`pim_queue.py`); of attention (`mapping/pim_attention.py`)
in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.hw_models.compute.vector.cycle import operations_of, passes_of
from cairn.hw_models.dram.pim_analytical import PimTimes
from cairn.hw_models.dram.pim_spec import RESULT_BITS, PimSpec
from cairn.sim.mapping.choose import Choice
from cairn.sim.mapping.different import different
from cairn.sim.mapping.grid import split_sizes
from cairn.sim.mapping.matmul_cost import MatmulShape
from cairn.sim.mapping.pim_choice import SCORE_BYTES, Cut, cut_of, units_of
from cairn.sim.twin.attention import Load, Work, load_of
from cairn.sim.twin.machine import Machine
from cairn.sim.twin.pim_queue import product_cycles, queue_of
from cairn.sim.twin.places import Layouts
from cairn.sim.twin.product import Flows, rings, unicasts
from cairn.sim.twin.stage import Counts, Stage
from cairn.workloads.graph import Attention, Block, Operator, Role

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

PHASES = 4
"""Phases of the refresh in which a product may begin, evenly spread, of whose times the mean is taken (assumed)."""


@dataclass(frozen=True)
class Units:
    """PIM units of a machine's channels, in core cycles: every design has the same ones."""

    spec: PimSpec
    times: PimTimes
    cycles_per_ps: Any
    """Core cycles of a picosecond, times the cores that take turns on a channel."""
    closing_ps: float
    """What the first row of a request need not wait for where requests go from one set of banks to the next: the
    precharge of the row before it, in other banks."""
    latency: Any
    """Cycles from the issue of a transfer to its last byte beside the time of its bytes (rule S5), with its issue."""
    refreshes: tuple[float, float]
    """Cycles from one refresh to the next, and those in which the units wait for one."""
    delays: tuple[float, float]
    """Cycles from the moment at which the next request may begin to that at which who waits for this one knows that its
    last column is done (rule S8; negative where closing takes longer), and those of a transfer beside its bytes."""

    @classmethod
    def of(cls, machine: Machine) -> Units | None:
        """The units that the mapping may use, None where it uses none."""
        chip = machine.chip
        spec = units_of(chip, machine.options)  # type: ignore[arg-type]
        if spec is None:
            return None
        times = PimTimes.of(chip.dram, chip.channels, spec)
        per_clock = chip.clock_ghz / chip.dram.clock_ghz
        several = times.banks < chip.dram.banks_per_channel
        closing = several * chip.dram.t_rp / chip.dram.clock_ghz * 1000 / times.left
        interval = chip.dram.t_refi * per_clock
        refreshes = (interval, interval * (1 - times.left)) if times.left < 1 else (np.inf, 0.0)
        read = chip.dram.t_cl * per_clock
        told = read - (chip.dram.t_rtp + (not several) * chip.dram.t_rp) * per_clock
        cycles_per_ps = chip.cores_per_channel * chip.clock_ghz / 1000
        return cls(spec, times, cycles_per_ps, closing, read + machine.issue_cycles, refreshes, (told, read))

    def work(self, columns: Any, spacings: Any) -> FloatArray:
        """Cycles of a request of so many columns, each of so many spacings, which begins with a row of its own."""
        count = np.asarray(columns, dtype=np.float64)
        return np.asarray((self.times.work_ps(count, spacings) - self.closing_ps * (count > 0)) * self.cycles_per_ps)

    def move(self, size: Any) -> FloatArray:
        """Cycles of the data bus for so many bytes to or from the buffers."""
        return np.asarray(self.times.bus_ps(size) * self.cycles_per_ps)

    def rows(self, columns: Any) -> FloatArray:
        """Rows of a request of so many columns."""
        return np.ceil(np.asarray(columns, dtype=np.float64) / self.times.columns)

    def opened_bytes(self, rows: Any) -> Any:
        return rows * self.times.banks * self.times.columns * self.spec.column_bytes

    def worked_bytes(self, columns: Any) -> Any:
        return columns * self.times.banks * self.spec.column_bytes


@dataclass(frozen=True)
class UnitPart:
    """A product on the units, in cycles of the busiest core: until x has come, beside `early` that may pass while the
    stage before is at work; the units' own; after them. And the bytes that a core moves to and from the buffers."""

    lead: FloatArray
    early: FloatArray
    took: FloatArray
    last: FloatArray
    moved: FloatArray
    counts: Counts


def unit_stage(
    name: str, machine: Machine, shape: MatmulShape, choice: Choice, before: IntArray, x: Layouts
) -> Stage:  # fmt: skip
    """A product on the units as `choice` splits it over cores; arguments as of `product_stage`.

    InfeasibleError where they cannot multiply the operands or have no room for them.
    """
    part, mixed = unit_part(machine, shape, choice, before, x), _units(machine).spec.mixed_access
    return Stage(
        name, part.lead + part.took * mixed, 0.0, part.last + machine.barrier_cycles, 0.0, part.counts, 0.0, part.early,
        alone=part.took * (not mixed),
    )  # fmt: skip


def _units(machine: Machine) -> Units:
    units = Units.of(machine)
    if units is None:
        raise ValueError("a product on PIM units needs a mapping that uses them")
    return units


def unit_part(machine: Machine, shape: MatmulShape, choice: Choice, before: IntArray, x: Layouts) -> UnitPart:
    """A product on the units, arguments as of `unit_stage`."""
    units = _units(machine)
    _, gn, gk = split_sizes(machine.grid.rows, machine.grid.columns)[choice.split].T
    n, k = -(-shape.n // gn), shape.depth(gk)
    part = shape.m * k * shape.x_bits / 8 / gn
    sums = shape.m * n * shape.partial_bits / 8 * (gk - 1) / gk
    flows = Flows(part, 0.0 * part, sums, shape.m * n / gk)
    network = (unicasts if machine.spmd else rings)(machine, shape, choice, before, x, flows)
    does = _does(machine, units, shape, n, k)
    sent = network.brought + machine.cores * (part * (gn - 1) * (not machine.spmd) + sums)
    added = machine.cores * sums * 8 / shape.partial_bits
    again = machine.cores * does.added
    touched = machine.cores * does.moved + 2 * sent + added * shape.partial_bits / 4 + again * 3 * shape.x_bits / 8
    counts = Counts(
        vector_ops=added + again, sram_bytes=touched, noc_bytes=sent, dram_bytes=machine.cores * does.moved,
        pim_macs=float(shape.m) * shape.n * shape.k, pim_bytes=machine.cores * units.worked_bytes(does.columns),
        row_bytes=machine.cores * (units.opened_bytes(does.rows) - does.moved),
    )  # fmt: skip
    share = 1 - 1 / x.stretches(machine)
    return UnitPart(network.first * (1 - share), network.first * share, does.cycles, network.last, does.moved, counts)


@dataclass(frozen=True)
class _Does:
    """What the units of the busiest core do for a product, numbers or arrays (designs,): cycles from x to its last sum,
    bytes to and from the buffers, columns worked on, rows opened for them, and partial sums that the core adds."""

    cycles: Any
    moved: Any
    columns: Any
    rows: Any
    added: Any


def _does(machine: Machine, units: Units, shape: MatmulShape, n: IntArray, k: IntArray) -> _Does:
    """For every design, with its n outputs and k inputs of a core."""
    cut = cut_of(shape, machine.chip, units.spec)  # type: ignore[arg-type]
    unit, issue, depth = machine.chip.vector_unit, machine.issue_cycles, machine.chip.dma.pim_depth
    of_cores = unit.startup_cycles, unit.lanes, passes_of(unit, "reduce_add"), issue, depth
    which, first = different(n, k, *(machine.array(each) for each in of_cores))
    each = [_product(machine.at(np.array([row])), units, shape, cut, (int(n[row]), int(k[row]))) for row in first]
    return _Does(*(np.array([getattr(one, field.name) for one in each])[which] for field in fields(_Does)))


def _product(machine: Machine, units: Units, shape: MatmulShape, cut: Cut, size: tuple[int, int]) -> _Does:
    """A core's product of `size` n outputs and k inputs on one design, step by step as lowering orders them."""
    n, k = size
    order = cut.order(machine.options.pim_stationary, shape.m, n, k)
    part, tile, segment = np.array(order.steps).T
    rows = np.minimum(cut.rows, shape.m - part * cut.rows)
    outputs = np.minimum(cut.tile_n, n - tile * cut.tile_n)
    inputs = np.minimum(cut.segment_k, k - segment * cut.segment_k)
    columns = -(-outputs // units.times.banks) * -(-inputs // int(units.spec.column_bytes * 8 / shape.w_bits))
    queue = queue_of(order)
    elements = (rows * outputs)[queue.first]
    moved = np.where(queue.fills, (rows * inputs)[queue.first] * shape.x_bits, elements * RESULT_BITS) / 8
    spacings = np.array([units.spec.spacings_of(each) for each in cut.parts(shape.m)])[part]
    work = units.work(columns, spacings) * units.times.left
    adding = np.where(queue.again, machine.vector_cycles(elements, "reduce_add"), 0.0)
    turn, depth = float(units.move(machine.chip.dram.turn_bytes)), int(np.max(machine.chip.dma.pim_depth))
    interval, lasts = units.refreshes
    cycles = np.mean([
        product_cycles(
            work, units.move(moved), adding, queue.waits, np.array(units.delays), turn, depth,
            np.array([(phase + 0.5) / PHASES * interval, interval, lasts]),
        )
        for phase in range(PHASES)
    ])  # fmt: skip
    return _Does(cycles, moved.sum(), columns.sum(), units.rows(columns).sum(), elements[queue.again].sum())


def attention_on_units(machine: Machine, block: Block, operator: Operator, keys: int, x: Layouts) -> Stage:
    """A decode attention on the units in tiles of `keys` keys; `x` says how queries lie."""
    units, attention = Units.of(machine), operator.attention
    if units is None or attention is None:
        raise ValueError(f"operator {operator.name} is no attention for PIM units")
    caches = [block.tensor(name) for name in operator.inputs if block.tensor(name).role is Role.KV]
    width = sum(tensor.columns * tensor.bits / 8 for tensor in caches)
    widths, ports = machine.ports
    loads = tuple(
        load_of(attention, machine.topology, machine.grid, units.times.banks, keys, width, port) for port in ports
    )
    every = np.ones(machine.designs, dtype=np.int64)
    common = Work(machine, attention, loads, widths, caches, width, every * units.times.banks, every * keys, x)
    bits = block.tensor(operator.inputs[0]).bits
    return _attended(operator.name, common, units, loads[0], (bits, caches[0].bits))


def _attended(name: str, common: Work, units: Units, load: Load, bits: tuple[float, float]) -> Stage:
    machine, attention = common.machine, common.attention
    lead, _, brought = common.bring(bits[0])
    share = 1 - 1 / common.x.stretches(machine)
    tokens = sum(r.new for r in attention.requests)
    elements = tokens * (attention.heads + attention.kv_heads) * attention.head_dim / machine.cores
    took, moved, columns, opened = _visits(machine, units, attention, load, bits)
    mixed = units.spec.mixed_access
    start = lead * (1 - share) + machine.vector_cycles(elements, "rope") + took * mixed
    done = tokens * attention.heads * attention.value_dim
    tail = common.join() + machine.vector_cycles(done / machine.cores, "divide") + machine.barrier_cycles
    operations = load.pairs * operations_of("softmax_online") + done
    operations = operations + elements * machine.cores * operations_of("rope")
    appended = tokens * attention.kv_heads * common.width
    busiest = load.pairs / max(1.0, load.scores)  # cores that do as much as the busiest one
    dram = busiest * moved + appended
    counts = Counts(
        vector_ops=operations, sram_bytes=dram + 2 * brought + load.pairs * 2 * SCORE_BYTES, noc_bytes=brought,
        dram_bytes=dram, pim_macs=load.pairs * (attention.head_dim + attention.value_dim),
        pim_bytes=busiest * units.worked_bytes(columns),
        row_bytes=busiest * (units.opened_bytes(opened) - moved),
    )  # fmt: skip
    return Stage(name, start, 0.0, tail, 0.0, counts, 0.0, lead * share, alone=took * (not mixed))


def _visits(
    machine: Machine, units: Units, attention: Attention, load: Load, bits: tuple[float, float]
) -> tuple[Any, float, float, float]:
    """Cycles of the busiest core for all its tiles, bytes to and from the buffers, columns worked on, rows opened.

    Queries of all its pairs come first; then scores of all tiles, whose results the vector unit takes meanwhile; then
    weights and values, weights of one tile coming while values of the one before are worked on; then results.
    """
    queries = attention.heads // attention.kv_heads
    rows, keys = load.sizes.T.astype(np.float64)
    whole = np.ceil(keys / units.times.banks)
    in_head = [np.ceil(w * bits[1] / 8 / units.spec.column_bytes) for w in (attention.head_dim, attention.value_dim)]
    scores, context = (units.work(whole * each, units.spec.spacings_of(queries)) for each in in_head)
    tile = units.move(rows * keys * SCORE_BYTES)
    soft = np.array([np.max(machine.vector_cycles(r * n, "softmax_online")) for r, n in zip(rows, keys, strict=True)])
    pairs = load.pairs_of_busiest
    asked = pairs * queries * attention.head_dim * bits[0] / 8
    answered = pairs * queries * attention.value_dim * RESULT_BITS / 8
    first = units.move(asked / pairs) + units.latency
    scored = np.maximum(np.sum(load.times * np.maximum(scores, tile)), np.sum(load.times * soft))
    between = tile.max() + soft.max() + tile.max() + 2 * units.latency
    weighed = np.sum(load.times * np.maximum(context, tile))
    took = first + scored + between + weighed + units.move(answered / pairs) + units.latency
    moved = asked + answered + 2 * float(np.sum(load.times * rows * keys)) * SCORE_BYTES
    opened = float(sum(np.sum(load.times * units.rows(whole * each)) for each in in_head))
    return took, moved, float(np.sum(load.times * whole * sum(in_head))), opened
