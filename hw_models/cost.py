"""Energy per event, static power and area of a whole chip."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cairn.base.errors import Infeasibility
from cairn.base.spec import Spec, sourced
from cairn.hw_models.compute.lut.cost import lut_cost
from cairn.hw_models.compute.systolic.cost import systolic_area_mm2
from cairn.hw_models.compute.vector.cost import vector_area_mm2
from cairn.hw_models.dram.area import DramDieSpec, dram_die_area, via_area_mm2
from cairn.hw_models.dram.charge import COMPONENT, DramChargeSpec, dynamic_pj, static_w
from cairn.hw_models.noc.cost import mesh_routers
from cairn.hw_models.sram.cost import sram_area_mm2

if TYPE_CHECKING:
    from cairn.hw_models.chip import ChipSpec

COMPONENTS: Final = ("matrix", "vector", "sram", "noc", "dram", "tsv")
"""Keys of `dynamic_energy_pj` and `static_power_w`; areas of the logic die have all but "dram". Where cores have a LUT
unit, "lut" is one more (`components_of`); a chip with PIM units has "pim" as well, whose energy is `pim_pj`."""

ON_THE_DIE: Final = ("tsv", "hybrid_bond")
"""Interfaces whose vias or bonds stand on the logic die. The PHY of an interposer is not known: it keeps the area of
`tsv_mm2`, as a chip that states no interface does."""

_VOXEL = "reference/stacked3d/voxel.yaml"


class EnergySpec(Spec):
    """Energy of each kind of event, and power drawn without any. Defaults are Voxel's, 5 to 7 nm."""

    multiply_pj: float = sourced(0.30, f"{_VOXEL} (vx.e_mul_add), FP16; its thermal guide quotes 0.21", ge=0)
    add_pj: float = sourced(0.14, f"{_VOXEL} (vx.e_mul_add), FP16; its thermal guide quotes 0.11", ge=0)
    vector_op_pj: float = sourced(
        0.22,
        f"assumed: the mean of a multiply and an add of {_VOXEL} (vx.e_mul_add), a vector unit's mix being about even",
        ge=0,
    )
    sram_pj_per_byte: float = sourced(0.835, f"{_VOXEL} (vx.e_sram): 1.67 pJ per element of 2 bytes", ge=0)
    noc_pj_per_byte: float = sourced(
        12.0, f"{_VOXEL} (vx.e_noc); its path for shifts charges 12 pJ per 2-byte element, that is 6 pJ/B", ge=0
    )
    noc_per_hop: bool = sourced(
        False,
        f"{_VOXEL} (vx.e_noc): charged once per byte that is moved, however far; true charges noc_pj_per_byte on "
        "every hop, for which 1.395 was measured (noc/cost.py)",
    )
    dram_pj_per_byte: float = sourced(7.0, f"{_VOXEL} (vx.e_dram), 0.875 pJ/bit", ge=0)
    tsv_pj_per_byte: float = sourced(0.6, f"{_VOXEL} (vx.e_tsv), on every byte to or from DRAM", ge=0)
    static_logic_w_per_mm2: float = sourced(0.061, f"{_VOXEL} (vx.static_logic), on the whole logic die", ge=0)
    static_dram_w_per_gb: float = sourced(0.125, f"{_VOXEL} (vx.static_dram)", ge=0)
    dram: DramChargeSpec = sourced(DramChargeSpec(), "its own defaults: per byte, with the three figures above")


class AreaSpec(Spec):
    """Area of each component of the logic die, 7 nm. The area of SRAM by capacity stands in `sram/cost.py`.

    Voxel's Table 4 (vx.area.table4) also has "other", 91.2 mm2. It is not counted: the vector units, which the table
    does not list, are 89.6 of it.
    """

    matrix_mm2_at_32x32: float = sourced(1.0183, f"{_VOXEL} (vx.area.core)", ge=0)
    vector_mm2_at_32_lanes: float = sourced(0.3499, f"{_VOXEL} (vx.area.core)", ge=0)
    router_mm2_at_32_bytes: float = sourced(0.07178, f"{_VOXEL} (vx.area.noc), at 32 B/cycle, linear in width", ge=0)
    tsv_mm2: float = sourced(
        18.4,
        f"{_VOXEL} (vx.area.table4), the released search and the paper's table; the released energy path has 90",
        ge=0,
    )
    tsv_mm2_at_gb_per_s: float = sourced(
        13194.139533312, f"{_VOXEL} (vx.dram_bw.code): the bandwidth of that area, 12288 GiB/s, linear", gt=0
    )
    dram: DramDieSpec = sourced(DramDieSpec(), "its own defaults")


def pim_pj(chip: ChipSpec, macs: Any, worked_bytes: Any) -> Any:
    """Dynamic energy of PIM units that work on so many bytes of their banks (numbers or arrays); 0 without units.

    A DRAM that is charged by command charges the activates, those for the units among them.
    """
    if chip.pim is None:
        return 0.0 * macs
    opened = chip.pim.activate_pj_per_byte if chip.energy.dram.by_command else 0.0
    return chip.pim.mac_pj * macs + (chip.pim.pj_per_byte - opened) * worked_bytes


def components_of(chip: ChipSpec) -> tuple[str, ...]:
    """COMPONENTS of a chip: those of all, and "lut" behind "matrix" where cores have a LUT unit."""
    return COMPONENTS if chip.lut_unit is None else ("matrix", "lut", *COMPONENTS[1:])


def dram_interface(chip: ChipSpec) -> str | None:
    """How the DRAM is joined to the logic die (hw_models/dram/cost.py): as its energies or else its stack say; None
    where the chip does not say."""
    if chip.energy.dram.interface is None and chip.dram.stack is not None:
        return chip.dram.stack.interface
    return chip.energy.dram.interface


def area_mm2(chip: ChipSpec) -> dict[str, float]:
    """Area of the logic die by component ("matrix", "vector", "sram", "noc", "tsv", and "lut" where cores have LUT
    units), all cores together, in mm2.

    Vias or bonds of a chip that states its interface are counted (hw_models/dram/area.py), all wires of a stack
    included, used or not; else Voxel's area for its bandwidth is scaled.
    """
    area, cores, interface = chip.area, chip.core_count, dram_interface(chip)
    vertical = chip.dram.vertical_gb_per_s(chip.channels)
    if interface in ON_THE_DIE:
        vias = via_area_mm2(area.dram, interface, vertical)
    else:
        vias = area.tsv_mm2 * vertical / area.tsv_mm2_at_gb_per_s
    of_lut = {} if chip.lut_unit is None else {"lut": cores * lut_cost(chip.lut_unit).area_mm2}
    unit = chip.matrix_unit
    return {
        "matrix": 0.0 if unit is None else cores * systolic_area_mm2(unit, area.matrix_mm2_at_32x32),
        **of_lut,
        "vector": cores * vector_area_mm2(chip.vector_unit, area.vector_mm2_at_32_lanes),
        "sram": cores * sram_area_mm2(chip.sram),
        "noc": mesh_routers(chip.noc, chip.cores.rows, chip.cores.columns)
        * area.router_mm2_at_32_bytes
        * chip.noc.link_bytes_per_cycle
        / 32,
        "tsv": vias,
        **({} if chip.pim is None else {"pim": chip.channels * chip.pim.logic_mm2_per_channel}),
    }


def dram_die_mm2(chip: ChipSpec) -> dict[str, Any] | None:
    """Area of each DRAM die by part ("bank", "periphery", "via") in mm2; None where the chip states no interface."""
    interface = dram_interface(chip)
    if interface is None:
        return None
    vertical = chip.dram.vertical_gb_per_s(chip.channels)
    return dram_die_area(
        chip.area.dram, interface, capacity_gb=chip.dram.capacity_gb, gb_per_s=vertical, dies=dram_dies(chip)
    )


def dram_dies(chip: ChipSpec) -> Any:
    """DRAM dies: the layers of the stack, or what the chip's area says where no stack is described."""
    return chip.area.dram.dies if chip.dram.stack is None else chip.dram.stack.layers


def static_power_w(chip: ChipSpec) -> dict[str, float]:
    """Power that is drawn whatever the chip does, by component (COMPONENTS), in W."""
    energy = chip.energy
    power = {name: energy.static_logic_w_per_mm2 * area for name, area in area_mm2(chip).items()}
    if energy.dram.by_command:
        return {**power, "dram": sum(static_w(energy.dram, chip.dram).values())}
    return {**power, "dram": energy.static_dram_w_per_gb * chip.dram.capacity_gb}


def dynamic_energy_pj(
    energy: EnergySpec,
    *,
    macs: float,
    vector_ops: float,
    sram_bytes: float,
    noc_bytes: float,
    noc_hop_bytes: float,
    dram_bytes: float,
    dram_row_bits: float,
    lut_pj: float | None = None,
) -> dict[str, float]:
    """Energy of counted events by component (COMPONENTS), in pJ.

    `sram_bytes` counts reads and writes, `noc_bytes` each transfer once, `noc_hop_bytes` once per link it crosses;
    which of the two is charged `energy.noc_per_hop` says. `dram_bytes` counts whole bursts, `dram_row_bits` the bits of
    all rows that were activated: they cost nothing where the DRAM is charged per byte. `lut_pj` is that of look-ups,
    accumulations and of making tables (`lut_event_pj`), None where there is no LUT unit.
    """
    moved = noc_hop_bytes if energy.noc_per_hop else noc_bytes
    return {
        "matrix": macs * (energy.multiply_pj + energy.add_pj),
        **({} if lut_pj is None else {"lut": lut_pj}),
        "vector": vector_ops * energy.vector_op_pj,
        "sram": sram_bytes * energy.sram_pj_per_byte,
        "noc": moved * energy.noc_pj_per_byte,
        **_dram_energy_pj(energy, dram_bytes, dram_row_bits),
    }


def lut_event_pj(chip: ChipSpec, lookups: Any, groups: Any, adds: Any) -> dict[str, Any]:
    """Energy in pJ of look-ups of a plane of a group, of groups whose planes are added up (and scaled, where tables
    have scales), and of additions that make tables, numbers or arrays, by what it is for ("look_up", "accumulate",
    "precompute"); empty where cores have no LUT unit."""
    if chip.lut_unit is None:
        return {}
    each = lut_cost(chip.lut_unit)
    return {
        "look_up": lookups * each.look_up_pj,
        "accumulate": lookups * each.accumulate_pj + groups * each.scale_pj,
        "precompute": adds * each.add_pj,
    }  # fmt: skip


def _dram_energy_pj(energy: EnergySpec, moved_bytes: Any, row_bits: Any) -> dict[str, Any]:
    """Energy of the DRAM ("dram") and of what joins it to the logic ("tsv")."""
    if not energy.dram.by_command:
        return {"dram": moved_bytes * energy.dram_pj_per_byte, "tsv": moved_bytes * energy.tsv_pj_per_byte}
    terms = dynamic_pj(energy.dram, row_bits=row_bits, moved_bytes=moved_bytes)
    return {
        component: sum(pj for term, pj in terms.items() if COMPONENT[term] == component)
        for component in ("dram", "tsv")
    }  # fmt: skip


def die_shortage(chip: ChipSpec) -> Infeasibility | None:
    """Why the logic die is too large to be made, or None when it is not."""
    areas = area_mm2(chip)
    total = sum(areas.values())
    if total <= chip.die_limit_mm2:
        return None
    largest = max(areas, key=lambda name: areas[name])
    return Infeasibility(
        constraint="area of the logic die",
        demand=total,
        bound=chip.die_limit_mm2,
        unit="mm2",
        remedy=f"the largest part is {largest} with {areas[largest]:,.1f} mm2: shrink it, or raise chip.die_limit_mm2",
    )


def dram_die_shortage(chip: ChipSpec) -> Infeasibility | None:
    """Why the DRAM dies are too large to be made, or None when they are not or the chip does not ask."""
    areas = dram_die_mm2(chip)
    if areas is None or not chip.area.dram.within_die_limit:
        return None
    total = sum(areas.values())
    if total <= chip.die_limit_mm2:
        return None
    return Infeasibility(
        constraint="area of a DRAM die",
        demand=total,
        bound=chip.die_limit_mm2,
        unit="mm2",
        remedy="more DRAM dies (chip.area.dram.dies), a smaller chip.dram.capacity_gb, or a newer process, whose "
        "density chip.area.dram.gbit_per_mm2 states (hw_models/dram/area.py has an old one)",
    )


def power_shortage(chip: ChipSpec, dynamic_w: float) -> Infeasibility | None:
    """Why `dynamic_w` on top of static power exceeds the chip's power density, or None when it does not.

    The density is that of the whole stack over the area of the logic die, as in Voxel (vx.power_density_limit).
    """
    total_area = sum(area_mm2(chip).values())
    power = dynamic_w + sum(static_power_w(chip).values())
    bound = chip.power_limit_w_per_mm2 * total_area
    if power <= bound:
        return None
    slower = (power - bound) / dynamic_w if dynamic_w > 0 else 1.0
    remedy = (
        f"lower chip.clock_ghz by {slower:.0%} or more, or raise chip.power_limit_w_per_mm2"
        if slower < 1
        else f"static power alone is {power - dynamic_w:,.1f} W: raise chip.power_limit_w_per_mm2"
    )
    return Infeasibility(constraint="power of the stack", demand=power, bound=bound, unit="W", remedy=remedy)
