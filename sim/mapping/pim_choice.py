"""Which operators go to PIM units: by the mapping's rule, and by time where it says `auto`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError, Infeasibility, InfeasibleError
from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.dram.pim_analytical import PimTimes
from cairn.hw_models.dram.pim_spec import RESULT_BITS, PimSpec
from cairn.sim.mapping.choose import MatmulMapping, choose_matmul
from cairn.sim.mapping.grid import Grid
from cairn.sim.mapping.matmul_cost import MatmulShape
from cairn.sim.mapping.options import BankPlacement, MappingSpec, PimRule, PimStationary
from cairn.sim.mapping.pim_order import BUFFER_HALVES, Integers, Order, order_of, stays_of
from cairn.workloads.graph import Attention

Floats = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

SCORE_BYTES = 2
"""Bytes of a score or a weight between units and cores (assumed: the precision of activations)."""
FEW_ROWS = 64
"""Rows of a product beyond which `products` and `all` leave it to the cores: twice the operations per byte that PIM
units are built for (Duplex, arXiv 2409.01141, section III: 1 to 32 op/B); `auto` looks at times alone."""


@dataclass(frozen=True)
class Cut:
    """How a product on PIM units is cut on every core: rows of a part, whose sums the accumulators hold together,
    columns n of a tile, reduction k of a segment, and halves of the accumulators (1: too few to read one meanwhile)."""

    rows: int
    tile_n: int
    segment_k: int
    halves: int

    def parts(self, m: int) -> list[int]:
        """Rows of each part of m rows."""
        return [min(self.rows, m - first) for first in range(0, m, self.rows)]

    def order(self, stationary: PimStationary, m: int, n: int, k: int) -> Order:
        """Order of a product of m rows, n columns and a reduction of k."""
        return order_of(stationary, -(-m // self.rows), -(-n // self.tile_n), -(-k // self.segment_k), self.halves)


@dataclass(frozen=True)
class Layout:
    """A product on PIM units: split over cores, cut on each, and the time of the busiest core in its own cycles."""

    mapping: MatmulMapping
    cut: Cut
    cycles: float


def units_of(chip: ChipSpec, options: MappingSpec) -> PimSpec | None:
    """The units that the mapping may use. ConfigError where its rule asks for what chip or placement have not."""
    if options.pim is PimRule.NONE:
        return None
    if chip.pim is None:
        raise ConfigError(f"is {options.pim.value}, but the chip has no PIM units (chip.pim)", key="mapping.pim")
    if options.banks is not BankPlacement.SOFTWARE_AWARE:
        raise ConfigError(
            f"is {options.pim.value}, which needs mapping.banks: software_aware, so that operands of PIM units lie in "
            "whole rows of the banks that open together",
            key="mapping.pim",
        )
    return chip.pim


def may_do_products(chip: ChipSpec, options: MappingSpec) -> bool:
    """Whether PIM units do products, or may, by the mapping's rule."""
    return units_of(chip, options) is not None and options.pim is not PimRule.ATTENTION


def product_layout(
    shape: MatmulShape, chip: ChipSpec, grid: Grid, options: MappingSpec, mapping: MatmulMapping,
    on_units: bool | None = None,
) -> Layout | None:  # fmt: skip
    """How PIM units do a product, None where the cores do it (as `mapping` says).

    `on_units` is what `auto` has decided for several products together (`all_on_units`); None: for each by itself.
    InfeasibleError where the rule asks for the units and they cannot multiply the operands or have no room for them.
    """
    units = units_of(chip, options)
    if units is None or options.pim is PimRule.ATTENTION:
        return None
    by_rule = options.pim is not PimRule.AUTO
    if by_rule and shape.m > FEW_ROWS:
        return None
    trouble = misfit(units, shape)
    if trouble is not None:
        if by_rule:
            raise InfeasibleError([trouble])
        return None
    layout = _layout(shape, chip, grid, options, units)
    if by_rule or on_units is None:
        return layout if by_rule or layout.cycles < mapping.cycles else None
    return layout if on_units else None


def all_on_units(
    shapes: list[MatmulShape], chip: ChipSpec, grid: Grid, options: MappingSpec, mappings: list[MatmulMapping],
    *, many: bool = False,
) -> bool | None:  # fmt: skip
    """Whether `auto` gives these products, which cores would do one after the other, to the units.

    None where each is decided by itself: units with mixed access work beside the cores, as Duplex splits its experts.
    Others take the channel from them, so that what both sides do is neither's gain: all go to the side that needs less
    time for all. So do those of `many` experts, which cores do in another way than one after the other.
    """
    units = units_of(chip, options)
    if units is None or options.pim is not PimRule.AUTO or (units.mixed_access and not many):
        return None
    if any(misfit(units, shape) is not None for shape in shapes):
        return False
    needed = sum(_layout(shape, chip, grid, options, units).cycles for shape in shapes)
    return needed < sum(mapping.cycles for mapping in mappings)


def misfit(units: PimSpec, shape: MatmulShape) -> Infeasibility | None:
    """What PIM units lack for a product, None where they can do it."""
    for bits, what in ((shape.w_bits, "weights"), (shape.x_bits, "activations")):
        if bits not in units.bits:
            remedy = f"chip.pim.bits are {', '.join(f'{b:g}' for b in units.bits)}; choose such a precision of {what}, "
            remedy += "or mapping.pim: none, attention or auto"
            return Infeasibility(f"precision of PIM units ({what})", bits, max(units.bits), "bits", remedy)
    rows = _rows_together(shape.m, units)
    needed = BUFFER_HALVES * rows * units.column_bytes * 8 / shape.w_bits * shape.x_bits / 8
    if needed > units.buffer_bytes:
        remedy = "give the units a larger buffer (chip.pim.buffer_kib) or fewer rows at a time (workload.batch)"
        constraint = f"buffer of PIM units for {rows} rows of one column"
        return Infeasibility(constraint, needed, float(units.buffer_bytes), "bytes", remedy)
    return None


def _layout(shape: MatmulShape, chip: ChipSpec, grid: Grid, options: MappingSpec, units: PimSpec) -> Layout:
    """Outputs over banks, the reduction along columns; half of buffer and accumulators for what is under way."""
    mapping = choose_matmul(one_row(shape), chip, grid, options)
    cycles = float(units_cycles(shape, chip, units, options.pim_stationary, *mapping.split.sizes[1:]))
    return Layout(mapping, _cut(shape, chip, units), cycles)


def one_row(shape: MatmulShape) -> MatmulShape:
    """The product whose split over cores is that of `shape` on PIM units: its columns and reduction lie with them."""
    return replace(shape, m=1)


def units_cycles(
    shape: MatmulShape, chip: ChipSpec, units: PimSpec, stationary: PimStationary, gn: Integers, gk: Integers
) -> Floats:
    """Core cycles in which the units of every channel do their part of a product, cut into `gn` parts of its columns
    and `gk` of its reduction (numbers, or arrays of one shape)."""
    cut = _cut(shape, chip, units)
    banks, in_column = units.together(chip.dram.banks_per_channel), int(units.column_bytes * 8 / shape.w_bits)
    n, k = -(-shape.n // np.asarray(gn)), -(-shape.k // np.asarray(gk))
    segments, tiles, parts = -(-k // cut.segment_k), -(-n // cut.tile_n), cut.parts(shape.m)
    columns = -(-n // banks) * -(-k // in_column)
    fills, reads = stays_of(stationary, len(parts), tiles, segments, cut.halves)
    filled = shape.m * k * shape.x_bits / 8 * fills / (len(parts) * segments)
    taken = shape.m * n * RESULT_BITS / 8 * reads / (len(parts) * tiles)
    times = PimTimes.of(chip.dram, chip.channels, units)
    ps = sum(times.work_ps(columns, units.spacings_of(rows)) for rows in parts) + times.bus_ps(filled + taken)
    return np.asarray(ps * chip.cores_per_channel * chip.clock_ghz / 1000)


def cut_of(shape: MatmulShape, chip: ChipSpec, units: PimSpec) -> Cut:
    """How a product on PIM units is cut on every core.

    InfeasibleError where the units cannot multiply the operands or have no room for them.
    """
    trouble = misfit(units, shape)
    if trouble is not None:
        raise InfeasibleError([trouble])
    return _cut(shape, chip, units)


def _rows_together(m: int, units: PimSpec) -> int:
    """Rows of the equal parts in which m rows are taken, so that a unit has accumulators for one output of a part in
    either half; an accumulator is for rows_at_once rows."""
    at_most = units.rows_at_once * max(1, units.accumulators // 2)
    return -(-m // -(-m // at_most))


def _cut(shape: MatmulShape, chip: ChipSpec, units: PimSpec) -> Cut:
    banks, rows = units.together(chip.dram.banks_per_channel), _rows_together(shape.m, units)
    halves = min(2, units.accumulators)
    outputs = max(1, units.accumulators // halves // units.sets_of(rows))
    in_column = int(units.column_bytes * 8 / shape.w_bits)
    fits = int(units.buffer_bytes // BUFFER_HALVES * 8 / (rows * shape.x_bits))
    return Cut(rows, banks * outputs, max(in_column, fits // in_column * in_column), halves)


def attention_keys(attention: Attention, bits: float, chip: ChipSpec, options: MappingSpec) -> int | None:
    """Keys of a tile of an attention that PIM units can do (`pim_asked.why_attention_stays`), None where the cores do
    it. Each key lies in one bank. InfeasibleError where the rule asks for the units and operands do not fit them.
    """
    keys = keys_of_tile(attention, bits, chip, options)
    if keys is None or options.pim is not PimRule.AUTO:
        return keys
    return keys if bool(attention_is_faster(attention, bits, chip, keys)) else None


def keys_of_tile(attention: Attention, bits: float, chip: ChipSpec, options: MappingSpec) -> int | None:
    """As `attention_keys`, but that with `auto` the time that either side takes is not looked at."""
    units = units_of(chip, options)
    if units is None or options.pim is PimRule.PRODUCTS:
        return None
    trouble = _attention_misfit(attention, bits, chip, units)
    if trouble is not None:
        if options.pim is PimRule.AUTO:
            return None
        raise InfeasibleError([trouble])
    banks, queries = units.together(chip.dram.banks_per_channel), attention.heads // attention.kv_heads
    by_buffer = units.buffer_bytes // 2 // (queries * SCORE_BYTES) // banks * banks
    return min(by_buffer, banks * max(1, units.accumulators // 2 // units.sets_of(queries)))


def _attention_misfit(attention: Attention, bits: float, chip: ChipSpec, units: PimSpec) -> Infeasibility | None:
    banks, queries = units.together(chip.dram.banks_per_channel), attention.heads // attention.kv_heads
    if bits not in units.bits:
        remedy = f"chip.pim.bits are {', '.join(f'{b:g}' for b in units.bits)}; choose such a precision of the cache"
        constraint = "precision of PIM units (keys and values)"
        return Infeasibility(constraint, bits, max(units.bits), "bits", f"{remedy}, or mapping.pim: none")
    for width in (attention.head_dim, attention.value_dim):
        row = int(width * bits // 8)
        if row % units.column_bytes or chip.dram.row_bytes % row:
            remedy = "choose chip.pim.column_bytes that divides the bytes of a head, and chip.dram.row_bytes that they "
            constraint = "whole columns for a head in one row of a bank"
            return Infeasibility(
                constraint, float(row), float(units.column_bytes), "bytes", remedy + "divide, or mapping.pim: none"
            )
    widest = max(attention.head_dim * bits / 8, banks * SCORE_BYTES)
    needed = 2 * queries * widest
    if needed > units.buffer_bytes:
        remedy = "give the units a larger buffer (chip.pim.buffer_kib), or mapping.pim: none"
        constraint = f"buffer of PIM units for {queries} queries of a key head"
        return Infeasibility(constraint, needed, float(units.buffer_bytes), "bytes", remedy)
    return None


def attention_is_faster(attention: Attention, bits: float, chip: ChipSpec, keys: int) -> BoolArray:
    """Whether keys and values of a tile, and what goes to and from the units for them, take less time than the
    channel's bus and the matrix unit take without the units. `chip` may stand for many designs."""
    units = chip.pim
    if units is None:
        return np.asarray(False)
    queries, width = attention.heads // attention.kv_heads, attention.head_dim + attention.value_dim
    times = PimTimes.of(chip.dram, chip.channels, units)
    columns = keys / times.banks * width * bits / 8 / units.column_bytes
    moved = 2 * queries * keys * SCORE_BYTES
    on_units = times.work_ps(columns, units.spacings_of(queries)) + times.bus_ps(moved)
    loading = times.bus_ps(keys * width * bits / 8) / times.left * chip.cores_per_channel
    cycles = chip.matrix_cycles(queries, keys, attention.head_dim) + chip.matrix_cycles(
        queries, attention.value_dim, keys
    )
    on_cores = np.maximum(loading, cycles * 1000.0 / chip.clock_ghz)
    return np.asarray(on_units * chip.cores_per_channel < on_cores)
