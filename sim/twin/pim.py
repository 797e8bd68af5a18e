"""Stages of what PIM units do: products cut into tiles and segments, and the attention of decoding.

Times of the units are those of `PimTimes`; what waits for what is taken from lowering (`mapping/pim_product.py`,
`mapping/pim_attention.py`). Transfers to and from the buffers stand in one queue of a core in the order of the plan, so
that the first inputs of a tile come when the results of the tile before have been asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.hw_models.compute.vector.cycle import operations_of
from cairn.hw_models.dram.pim_analytical import PimTimes
from cairn.hw_models.dram.pim_spec import RESULT_BITS, PimSpec
from cairn.sim.mapping.choose import Choice
from cairn.sim.mapping.grid import split_sizes
from cairn.sim.mapping.matmul_cost import MatmulShape
from cairn.sim.mapping.pim_choice import SCORE_BYTES, tiling_of, units_of
from cairn.sim.twin.attention import Load, Work, load_of
from cairn.sim.twin.machine import Machine
from cairn.sim.twin.places import Layouts
from cairn.sim.twin.product import Flows, rings, unicasts
from cairn.sim.twin.stage import Counts, Stage
from cairn.workloads.graph import Attention, Block, Operator, Role

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


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

    @classmethod
    def of(cls, machine: Machine) -> Units | None:
        """The units that the mapping may use, None where it uses none."""
        chip = machine.chip
        spec = units_of(chip, machine.options)  # type: ignore[arg-type]
        if spec is None:
            return None
        times = PimTimes.of(chip.dram, chip.channels, spec)
        latency = chip.dram.t_cl / chip.dram.clock_ghz * chip.clock_ghz + machine.issue_cycles
        several = times.banks < chip.dram.banks_per_channel
        closing = several * chip.dram.t_rp / chip.dram.clock_ghz * 1000 / times.left
        return cls(spec, times, chip.cores_per_channel * chip.clock_ghz / 1000, closing, latency)

    def work(self, columns: Any, rows: int) -> FloatArray:
        """Cycles of a request of so many columns with `rows` rows of inputs, which begins with a row of its own."""
        count = np.asarray(columns, dtype=np.float64)
        taken = self.times.work_ps(count, self.spec.spacings_of(rows)) - self.closing_ps * (count > 0)
        return np.asarray(taken * self.cycles_per_ps)

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
    took, moved, columns, opened = _tiles(machine, units, shape, n, k)
    sent = network.brought + machine.cores * (part * (gn - 1) * (not machine.spmd) + sums)
    added = machine.cores * sums * 8 / shape.partial_bits
    counts = Counts(
        vector_ops=added, sram_bytes=machine.cores * moved + 2 * sent + added * shape.partial_bits / 4,
        noc_bytes=sent, dram_bytes=machine.cores * moved, pim_macs=float(shape.m) * shape.n * shape.k,
        pim_bytes=machine.cores * units.worked_bytes(columns),
        row_bytes=machine.cores * (units.opened_bytes(opened) - moved),
    )  # fmt: skip
    share = 1 - 1 / x.stretches(machine)
    return UnitPart(network.first * (1 - share), network.first * share, took, network.last, moved, counts)


def _tiles(
    machine: Machine, units: Units, shape: MatmulShape, n: IntArray, k: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Cycles of the busiest core from x to its last partial sum, bytes to and from the buffers, columns worked on, and
    rows opened for them; arrays (designs,)."""
    tile_n, segment_k, _ = tiling_of(shape, machine.chip, units.spec)  # type: ignore[arg-type]
    segments = -(-k // segment_k)
    whole, rest = n // tile_n, n % tile_n
    cycles, moved, columns, rows = np.zeros((4, machine.designs))
    for width, times in ((tile_n, whole), (rest, (rest > 0) * 1)):
        tile = _tile(units, shape, width * np.ones_like(n), k, segment_k)
        cycles, columns = cycles + times * tile.cycles, columns + times * tile.columns
        rows = rows + times * tile.rows
        moved = moved + times * shape.m * width * RESULT_BITS / 8
    filled = shape.m * k * shape.x_bits / 8
    tiles = whole + (rest > 0)
    last = np.where(rest > 0, rest, tile_n)
    results = units.move(moved)
    alone = units.move(filled) + np.maximum(cycles, results)
    taken = np.where(segments > 1, cycles, alone + units.latency)
    taken = taken + units.move(shape.m * last * RESULT_BITS / 8) + units.latency
    return taken, moved + filled * np.where(segments > 1, tiles, 1), columns, rows


@dataclass(frozen=True)
class _Tile:
    cycles: FloatArray
    columns: FloatArray
    rows: FloatArray


def _tile(units: Units, shape: MatmulShape, n: IntArray, k: IntArray, segment_k: int) -> _Tile:
    """A tile of n outputs over k inputs in segments. Where there are several, x comes anew for each, to one half of the
    buffer while the units use the other, the first two behind the results of the tile before.
    """
    segments = -(-k // segment_k)
    per_column = int(units.spec.column_bytes * 8 / shape.w_bits)
    deep = -(-n // units.times.banks)
    results = units.move(shape.m * n * RESULT_BITS / 8)
    arrived, used, older = results, np.zeros(n.size), np.zeros(n.size)
    cycles, columns, rows = np.zeros((3, n.size))
    for s in range(int(segments.max())):
        length = np.clip(k - s * segment_k, 0, segment_k)
        worked = deep * -(-length // per_column)
        work, fill = units.work(worked, shape.m), units.move(shape.m * length * shape.x_bits / 8)
        arrived = np.maximum(arrived, older) + fill
        older, used = used, np.maximum(used, arrived + units.latency) + work
        cycles = np.where(length > 0, np.where(segments > 1, used, work), cycles)
        columns, rows = columns + worked, rows + units.rows(worked)
    return _Tile(cycles, columns, rows)


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
    scores, context = (units.work(whole * each, queries) for each in in_head)
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
