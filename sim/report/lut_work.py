"""What tasks on tables move and look up: bits between LUT units, vector units and SRAM, and look-ups, task by task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.hw_models.compute.lut.spec import LutSpec
from cairn.hw_models.compute.lut.sram import lookups_of, sram_traffic
from cairn.sim.plan import actions
from cairn.sim.plan.plan import COMPUTE_COLUMNS
from cairn.sim.record import RunRecord

IntArray = npt.NDArray[np.int64]

BIT_SCALE: Final = 10
"""Bits per element are kept in tenths, exact for the 1.6 bits of packed ternary weights."""
X, W, Y = 0, 1, 2
"""Columns of `shapes` (work.py): tenths of bits of an operator's operands."""
OP, ACTION, GROUP, TURNS = (COMPUTE_COLUMNS.index(name) for name in ("op", "action", "group", "turns"))
SIDES: Final = tuple(tuple(COMPUTE_COLUMNS.index(f"{side}{end}") for end in "01") for side in "mnk")


def add_lut_bits(record: RunRecord, table: IntArray, shapes: IntArray, bits: IntArray) -> None:
    """Set `bits` (tasks,), in tenths, of the tasks of compute rows `table` that make tables or look up in them.

    A fused task writes tables where the values would have been written: what counts is what tables have more.
    """
    lut = record.chip.lut_unit
    if lut is None:
        return
    for tasks, w_bits in _looking(table, shapes):
        for (m, n, k), times in _parts(table[tasks]):
            traffic = sram_traffic(lut, m, n, k, w_bits)
            sums = traffic.output_bits // lut.accumulator_bits * shapes[table[tasks, OP], Y]
            bits[tasks] += times * ((traffic.table_bits + traffic.weight_bits) * BIT_SCALE + sums)
    making = np.flatnonzero(table[:, ACTION] == actions.PRECOMPUTE)
    m, n, _ = _sizes(table[making])
    made = m * -(-n // lut.k) * round(lut.bits_per_table * BIT_SCALE)
    x = m * n * shapes[table[making, OP], X]
    bits[making] = np.where(table[making, GROUP] == actions.FUSED, np.maximum(made - x, 0), made + x)


def lookups(record: RunRecord, table: IntArray, shapes: IntArray) -> tuple[IntArray, IntArray]:
    """(tasks,) twice: how often each task of compute rows `table` looks up a plane of a group, and how many groups it
    adds up the planes of; padding included."""
    found, lut = np.zeros((2, len(table)), dtype=np.int64), record.chip.lut_unit
    if lut is not None:
        for tasks, w_bits in _looking(table, shapes):
            for (m, n, k), times in _parts(table[tasks]):
                found[0, tasks] += times * lookups_of(lut, m, n, k, w_bits)
                found[1, tasks] += times * lookups_of(lut, m, n, k, 1)
    return found[0], found[1]


def padding_waste(record: RunRecord, table: IntArray, shapes: IntArray, weight: IntArray) -> float:
    """Share, 0..1, of the look-ups of compute rows `table`, each counted `weight` times, that is padding."""
    lut = record.chip.lut_unit
    if lut is None:
        return 0.0
    done = int((lookups(record, table, shapes)[0] * weight).sum())
    return 1 - _needed(lut, table, shapes, weight) / done if done else 0.0


def _needed(lut: LutSpec, table: IntArray, shapes: IntArray, weight: IntArray) -> float:
    """Look-ups of whole groups that the products themselves ask for."""
    total = 0.0
    for tasks, w_bits in _looking(table, shapes):
        m, n, k = _sizes(table[tasks])
        total += float((m * n * k / lut.k * weight[tasks]).sum()) * float(np.ceil(w_bits))
    return total


def _looking(table: IntArray, shapes: IntArray) -> Iterator[tuple[IntArray, float]]:
    """Tasks that look up, by the bits of their weights."""
    looking = np.flatnonzero(table[:, ACTION] == actions.LOOKUP)
    tenths = shapes[table[looking, OP], W]
    for each in np.unique(tenths).tolist():
        yield looking[tenths == each], each / BIT_SCALE


def _sizes(table: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    m, n, k = (table[:, end] - table[:, begin] for begin, end in SIDES)
    return m, n, k


def _parts(table: IntArray) -> Iterator[tuple[tuple[IntArray, IntArray, IntArray], IntArray]]:
    """Sizes of the equal parts of the rows in which tasks are done, and how many there are of each."""
    m, n, k = _sizes(table)
    low, more = np.divmod(m, table[:, TURNS])
    yield (low + 1, n, k), more
    yield (low, n, k), table[:, TURNS] - more
