"""Area of a core's LUT unit and energies of its events, at the chip's process node (hw_models/compute/units)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from cairn.hw_models.compute.lut.precompute import adds_per_table
from cairn.hw_models.compute.lut.spec import LutSpec
from cairn.hw_models.compute.units.look_up import LutTensorCore


class LutCost(NamedTuple):
    """What a LUT unit takes; `note` says how area and energies were brought to its node.

    look_up_pj, accumulate_pj  of one look-up of a plane of a group, and of adding what it found to its sum
    scale_pj                   of scaling what one look-up unit added up over the planes of a group; 0 without scales
    add_pj                     of one of the additions that make tables, on the vector unit
    """

    area_mm2: float
    look_up_pj: float
    accumulate_pj: float
    scale_pj: float
    add_pj: float
    note: str

    @property
    def lookup_pj(self) -> float:
        """A look-up and its accumulation."""
        return self.look_up_pj + self.accumulate_pj


@lru_cache(maxsize=1024)
def lut_cost(spec: LutSpec) -> LutCost:
    """Area and energies of the unit, from the cells of one array at 28 nm, scaled to `spec.node_nm`."""
    unit = LutTensorCore.of(spec, spec.activation, node_nm=spec.node_nm)
    array = unit.energy_pj(spec.m, spec.n, spec.k, 1)  # one array, one group, one plane: m x n look-ups, m tables
    accumulate = float(unit.energy_pj(spec.m, spec.n, spec.k, 2).accumulate - array.accumulate)  # without its scaling
    units, adds = spec.m * spec.n, spec.m * adds_per_table(spec.k)
    return LutCost(
        unit.area_mm2, float(array.look_up) / units, accumulate / units, unit.scale_pj,
        float(array.precompute) / max(adds, 1), unit.provenance,
    )  # fmt: skip
