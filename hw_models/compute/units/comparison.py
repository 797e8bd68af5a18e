"""Units of equal area side by side: rates, efficiencies, and what a product takes on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cairn.hw_models.compute.units.contract import (
    ComputeUnit,
    check_sizes,
    density_tops_per_mm2,
    peak_tops,
    tops_per_w,
    utilisation,
)  # fmt: skip


class Figures(NamedTuple):
    """One unit at one width of weights; `cycles` and what follows are of the product, `waste` a share of them, 0..1.

    waste       cycles beyond those at peak rate: padding, fill, arrays without work
    tops_per_w  of the arrays at full use
    arrays_uj   energy in the arrays and of making tables
    sram_uj     energy of the traffic with the SRAM beside them: a unit alone reads weights again for every block of its
                rows, which registers in between would save
    """

    unit: str
    weight_bits: float
    area_mm2: float
    clock_ghz: float
    peak_tops: float
    tops_per_mm2: float
    tops_per_w: float
    cycles: int
    waste: float
    time_us: float
    arrays_uj: float
    sram_uj: float


def compare(units: Mapping[str, ComputeUnit], weight_bits: Sequence[float], m: int, n: int, k: int) -> list[Figures]:
    """Figures of each unit at each width, width by width, for a product of m x k activations with k x n weights.

    ConfigError for sizes below 1 and for weights that a unit does not take.
    """
    check_sizes(m, n, k)
    return [_figures(name, unit, bits, (m, n, k)) for bits in weight_bits for name, unit in units.items()]


def _figures(name: str, unit: ComputeUnit, bits: float, product: tuple[int, int, int]) -> Figures:
    cycles, energy = int(unit.cycles(*product, bits)), unit.energy_pj(*product, bits)
    return Figures(
        unit=name,
        weight_bits=bits,
        area_mm2=unit.area_mm2,
        clock_ghz=unit.clock_ghz,
        peak_tops=float(peak_tops(unit, bits)),
        tops_per_mm2=float(density_tops_per_mm2(unit, bits)),
        tops_per_w=float(tops_per_w(unit, bits)),
        cycles=cycles,
        waste=1 - float(utilisation(unit, *product, bits)),
        time_us=cycles / unit.clock_ghz * 1e-3,
        arrays_uj=float(energy.total - energy.sram) * 1e-6,
        sram_uj=float(energy.sram) * 1e-6,
    )
