"""Energy and area of systems with PIM beyond the commands of a channel: paths out of HBM, links, multipliers, dies.

Energies are in pJ, of bits on a path or of one multiply-accumulate, areas in mm2. Each figure says where it is from, or
"assumed: why" where nothing was published. Areas are of what is added to a memory, not of the memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cairn.base.spec import Spec, sourced
from cairn.hw_models.pim.attacc import AttaccSpec, Placement
from cairn.hw_models.pim.duplex import Unit

BITS: Final = 8
PJ: Final = 1e-12
MW: Final = 1e-3
_ATTACC: Final = "scale-snu/attacc_simulator @c600051, src/config.py"
_FGDRAM: Final = f"{_ATTACC}, after Fine-Grained DRAM (MICRO 2017)"
_DUPLEX: Final = "HeliosZhou/LLMSimulator @f71dde4, src/dram/power.h"
_CENT: Final = "Yufeng98/CENT @8c79783, cent_simulation/cent_power_calculator.py"
_PAPER: Final = "Duplex, arXiv 2409.01141, section VII-E"
UNIT_SOURCE: Final = (
    "assumed: never published; a unit of HBM-PIM, of 16 lanes of FP16 too, has 0.081 mm2 "
    "(Pimba, arXiv 2507.10178, table 3)"
)


class AttaccEnergySpec(Spec):
    """AttAcc: pJ a bit on each stretch from the cells to the GPU, of links between devices, and of a multiply-add.

    The source multiplies its link figures, of bits, by bytes; here they are of bits.
    """

    activate_pj_per_bit: float = sourced(0.11, _FGDRAM, ge=0)
    cell_pj_per_bit: float = sourced(0.44, _FGDRAM, ge=0)
    to_group_pj_per_bit: float = sourced(1.01, _FGDRAM + ": column decoder to the multiplexer of bank groups", ge=0)
    to_global_pj_per_bit: float = sourced(1.23, _FGDRAM + ": from there to the global lines", ge=0)
    tsv_pj_per_bit: float = sourced(0.5, _FGDRAM, ge=0)
    interposer_pj_per_bit: float = sourced(0.3, _FGDRAM, ge=0)
    link_pj_per_bit: float = sourced(1.3, _ATTACC + ": between devices", ge=0)
    mac_pj: float = sourced(0.32, _ATTACC + ": GPU and stacks alike", ge=0)
    unit_mm2: float = sourced(0.081, UNIT_SOURCE, ge=0)

    def read_pj_per_bit(self, placement: Placement | None) -> float:
        """From the cells to multipliers of a placement, or (None) to the GPU."""
        pj = self.activate_pj_per_bit + self.cell_pj_per_bit
        if placement is not Placement.BANK:
            pj += self.to_group_pj_per_bit
        if placement in (Placement.BUFFER, None):
            pj += self.to_global_pj_per_bit + self.tsv_pj_per_bit
        return pj + (self.interposer_pj_per_bit if placement is None else 0.0)

    def move_pj_per_bit(self, placement: Placement) -> float:
        """Between multipliers of a placement and the buffer die."""
        whole = self.read_pj_per_bit(Placement.BUFFER)
        return whole - self.read_pj_per_bit(placement)


class DuplexEnergySpec(Spec):
    """Duplex: pJ of opening a row and of a bit to each unit, and of a multiply-add. Links are not in its source."""

    activate_pj: float = sourced(909.0, _DUPLEX + ": a row of one bank, Fine-Grained DRAM (MICRO 2017)", ge=0)
    cores_pj_per_bit: float = sourced(3.48, _DUPLEX + ": 0.44 cell, 1.01, 1.23 and 0.3 on the die, 0.5 TSV", ge=0)
    logic_pj_per_bit: float = sourced(1.81, _DUPLEX + ": from the cells to its TSVs and through them", ge=0)
    bank_pj_per_bit: float = sourced(0.73, _DUPLEX + ": 0.187 nJ of 256 bits", ge=0)
    mac_pj: float = sourced(0.46, _DUPLEX + ": 0.23 an operation, on every unit", ge=0)
    tsv_mm2: float = sourced(10.89, _PAPER + ": TSVs, of a stack", ge=0)
    multiplier_mm2: float = sourced(3.02, _PAPER + ": 32 modules of 512 multipliers, of a stack", ge=0)
    buffer_mm2: float = sourced(2.26, _PAPER + ": two buffers of 1 MB, of a stack", ge=0)
    softmax_mm2: float = sourced(1.64, _PAPER + ": soft-max unit, of a stack", ge=0)
    bank_unit_mm2: float = sourced(0.081, UNIT_SOURCE, ge=0)

    def read_pj_per_bit(self, unit: Unit, row_bytes: int) -> float:
        """Cells to a unit, with a row of `row_bytes` opened for each that is read."""
        at = {Unit.CORES: self.cores_pj_per_bit, Unit.LOGIC: self.logic_pj_per_bit, Unit.BANK: self.bank_pj_per_bit}
        return at[unit] + self.activate_pj / (row_bytes * BITS)


class CentEnergySpec(Spec):
    """CENT beside the commands of its channels: controllers by command, links, and power that is always there."""

    engine_pj: float = sourced(66.93, _CENT + ": 267.708 mW of two channels, a clock of 2 GHz for a column command")
    phy_pj: float = sourced(95.26, _CENT + ": 381.045 mW of two channels, a clock of 2 GHz for any command", ge=0)
    link_pj_per_bit: float = sourced(4.4, _CENT + ": PCIe", ge=0)
    buffer_mw: float = sourced(0.06702, _CENT + ": global buffer of a channel, always", ge=0)
    shared_buffer_mw: float = sourced(0.69177, _CENT + ": of a device, always", ge=0)
    core_mw: float = sourced(3.96, _CENT + ": a RISC-V core", ge=0)
    unit_mm2: float = sourced(0.081, UNIT_SOURCE, ge=0)


@dataclass(frozen=True)
class Area:
    """Area in mm2 that a system adds, of all devices, and where its figure is from."""

    what: str
    mm2: float
    source: str


def area(spec: Spec, field: str, what: str, count: int) -> Area:
    """`count` times the area that a field of `spec` states, with that field's source; "set" where it is not its
    default."""
    known = type(spec).model_fields[field]
    extra = known.json_schema_extra
    source = str(extra["source"]) if isinstance(extra, dict) else ""
    value = float(getattr(spec, field))
    return Area(what, count * value, source if value == known.default else "set by the run")


def attacc_units(stack: AttaccSpec, placement: Placement) -> int:
    """Multiplier units of a stack: one for each bank, bank group, or pseudo-channel."""
    of_rank = {Placement.BANK: stack.bank_groups * stack.banks, Placement.BANK_GROUP: stack.bank_groups}
    ports = stack.channels * stack.pseudo_channels
    return ports * stack.ranks * of_rank[placement] if placement in of_rank else ports


def duplex_areas(energy: DuplexEnergySpec, stacks: int, banks: int, unit: Unit) -> tuple[Area, ...]:
    """What a unit adds to `stacks` stacks of `banks` banks each; nothing for the cores."""
    if unit is Unit.CORES:
        return ()
    if unit is Unit.BANK:
        return (area(energy, "bank_unit_mm2", "units beside banks", stacks * banks),)
    parts = {"tsv_mm2": "TSVs", "multiplier_mm2": "multipliers", "buffer_mm2": "buffers", "softmax_mm2": "soft-max"}
    return tuple(area(energy, field, what, stacks) for field, what in parts.items())
