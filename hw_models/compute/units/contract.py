"""What every unit for low-bit weights answers, and what follows from that for all of them alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.compute.matrix_unit import IntArray

FloatArray = npt.NDArray[np.float64]


class Traffic(NamedTuple):
    """Bits between a unit and the SRAM beside it for a product, padding included; arrays of one shape.

    `activation_bits` are those of tables where a unit is given tables. Weights come as they are packed.
    """

    activation_bits: FloatArray
    weight_bits: FloatArray
    output_bits: FloatArray


class Energy(NamedTuple):
    """Energy of a product in pJ, arrays of one shape.

    precompute  additions that make tables, wherever they are done
    look_up     reading and holding tables; zero where there are none
    accumulate  everything else in the arrays: multipliers, gates, adders, sums
    sram        the unit's traffic
    """

    precompute: FloatArray
    look_up: FloatArray
    accumulate: FloatArray
    sram: FloatArray

    @property
    def total(self) -> FloatArray:
        return self.precompute + self.look_up + self.accumulate + self.sram


class ComputeUnit(Protocol):
    """A unit that multiplies m x k activations of one format by k x n weights of few bits.

    Sizes and `weight_bits` are broadcast arrays; sizes are whole numbers, 0 for no work; every answer has their shape.
    ConfigError for weights that the unit does not take. Units are frozen: one for each format and size.
    """

    @property
    def kind(self) -> str: ...

    @property
    def activation(self) -> str:
        """Format of the activations: int8, int16, fp8 or fp16."""

    @property
    def clock_ghz(self) -> float: ...

    @property
    def area_mm2(self) -> float:
        """Area of the whole unit, tables and sums included that it holds itself; not the SRAM beside it."""

    @property
    def provenance(self) -> str:
        """One sentence on the node of area and energy, and on how they were scaled to it where they were."""

    def peak_macs_per_cycle(self, weight_bits: npt.ArrayLike) -> FloatArray:
        """Multiply-accumulates in a cycle, never exceeded by `cycles`."""

    def mac_pj(self, weight_bits: npt.ArrayLike) -> FloatArray:
        """Energy in the arrays of one multiply-accumulate at full use, without precompute from outside and SRAM."""

    def cycles(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike) -> IntArray:
        """Cycles from the first operand entering the idle unit until the last result has left it."""

    def traffic(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike) -> Traffic:
        """What the SRAM beside it is read and written for each product."""

    def energy_pj(self, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike) -> Energy:
        """Energy of each product; padded lanes count as used."""


def peak_tops(unit: ComputeUnit, weight_bits: npt.ArrayLike) -> FloatArray:
    """Peak rate in 1e12 operations/s, two for each multiply-accumulate."""
    return 2e-3 * unit.peak_macs_per_cycle(weight_bits) * unit.clock_ghz


def density_tops_per_mm2(unit: ComputeUnit, weight_bits: npt.ArrayLike) -> FloatArray:
    """Peak rate over area."""
    return peak_tops(unit, weight_bits) / unit.area_mm2


def tops_per_w(unit: ComputeUnit, weight_bits: npt.ArrayLike) -> FloatArray:
    """Operations for the energy of the arrays at full use: 1e12 operations/s per W, whatever the clock."""
    return 2.0 / unit.mac_pj(weight_bits)


def mm2_per_mac(unit: ComputeUnit, weight_bits: npt.ArrayLike) -> FloatArray:
    """Area for one multiply-accumulate a cycle: what units of equal throughput are compared by."""
    return unit.area_mm2 / unit.peak_macs_per_cycle(weight_bits)


def utilisation(
    unit: ComputeUnit, m: npt.ArrayLike, n: npt.ArrayLike, k: npt.ArrayLike, weight_bits: npt.ArrayLike
) -> FloatArray:
    """Share of the peak rate that each product reaches, 0 to 1: the rest is padding, fill and idle arrays."""
    work = np.asarray(m, dtype=np.float64) * np.asarray(n) * np.asarray(k)
    possible = unit.cycles(m, n, k, weight_bits) * unit.peak_macs_per_cycle(weight_bits)
    share: FloatArray = work / np.maximum(possible, 1)
    return share


def most_bits_smaller_than(unit: ComputeUnit, other: ComputeUnit, most: int = 8) -> int:
    """The largest number of weight bits up to which `unit` takes less area than `other` at equal throughput, or 0."""
    bits = np.arange(1, most + 1)
    smaller = mm2_per_mac(unit, bits) < mm2_per_mac(other, bits)
    return int(most if smaller.all() else np.argmin(smaller))


def check_sizes(m: int, n: int, k: int) -> None:
    """ConfigError for a product without a row, a column or an element."""
    for name, size in (("m", m), ("n", n), ("k", k)):
        if size < 1:
            raise ConfigError(f"a product has at least 1 row, column and element; got {size}", key=name)


class Evaluation(NamedTuple):
    """Cycles and energy in pJ of many points, each a product on one of several units."""

    cycles: IntArray
    energy_pj: FloatArray


def evaluate(
    units: Sequence[ComputeUnit],
    unit: npt.ArrayLike,
    m: npt.ArrayLike,
    n: npt.ArrayLike,
    k: npt.ArrayLike,
    weight_bits: npt.ArrayLike,
) -> Evaluation:
    """Cycles and energy of each product on `units[unit]`; all are one-dimensional arrays or broadcast to one.

    ValueError for numbers of units that are not there; ConfigError for weights that a unit does not take.
    """
    which, *sizes, bits = (np.atleast_1d(one) for one in np.broadcast_arrays(unit, m, n, k, weight_bits))
    if which.size and (which.min() < 0 or which.max() >= len(units)):
        raise ValueError(f"unit must be 0 to {len(units) - 1}, got {which.min()} to {which.max()}")
    cycles = np.zeros(which.shape, dtype=np.int64)
    energy = np.zeros(which.shape)
    for number, one in enumerate(units):
        mine = np.flatnonzero(which == number)
        if mine.size:
            rows, columns, depth = (size[mine] for size in sizes)
            cycles[mine] = one.cycles(rows, columns, depth, bits[mine])
            energy[mine] = one.energy_pj(rows, columns, depth, bits[mine]).total
    return Evaluation(cycles, energy)
