"""Energy of a DRAM channel from its commands and its time, by the way in which it is joined to the logic.

An activate costs energy for every bit of the row, however few are used; a read or write for every bit that is moved
(cell, columns inside the die, vias and what follows them); a refresh for every bit of the rows it restores; standby is
drawn all the time. All terms add up. No constant is fitted to a reference.

The energies of a stage come from one published ladder for HBM2 (dev.e_fgdram), whose source is O'Connor et al., MICRO
2017. Its share of the activate, 0.11 pJ/bit, holds when **every bit of the row is used once**: the same paper gives
909 pJ for a row of 1 KiB (as quoted in public notes; the paper itself was not at hand), which is 0.111 pJ for each of
its 8192 bits. So it is charged for the whole row here, and accesses that use an eighth of each row pay 0.88 pJ/bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.base.spec import Spec, sourced
from cairn.hw_models.dram.currents import HBM2

if TYPE_CHECKING:
    from cairn.hw_models.dram.device import Device
    from cairn.hw_models.dram.simulate import ChannelResult

Amount = float | npt.NDArray[np.float64]

TERMS: Final = ("activate", "cell", "column", "interface", "refresh", "standby")

REFRESHES: Final = 8192
"""Refreshes of all banks that restore every row once: JEDEC, 32 ms of retention at one every 3.9 us."""

_LADDER = "reference/stacked3d/dram_device.yaml (dev.e_fgdram)"
_CURRENTS = "hw_models/dram/currents.py, from reference/stacked3d/dram_device.yaml (dev.hbm2_8gb)"
_VOXEL = "reference/stacked3d/voxel.yaml"


class DramEnergySpec(Spec):
    """Energies of a stack of HBM beside the die, joined by an interposer: HBM2's, assumed for later ones too."""

    activate_pj_per_row_bit: float = sourced(0.11, f"{_LADDER}, activate with its precharge, whole row used", ge=0)
    cell_pj_per_bit: float = sourced(0.44, f"{_LADDER}, cell to column decoder", ge=0)
    column_pj_per_bit: float = sourced(
        2.24, f"{_LADDER}: columns to the bank group's multiplexer 1.01, from there to the die's I/O 1.23", ge=0
    )
    vertical_pj_per_bit: float = sourced(0.5, f"{_LADDER}, through-silicon vias", ge=0)
    interposer_pj_per_bit: float = sourced(0.3, f"{_LADDER}, interposer", ge=0)
    refresh_pj_per_row_bit: float = sourced(
        HBM2.refresh_pj * REFRESHES / HBM2.capacity_bits,
        f"{_CURRENTS}: IDD5AB over IDD3N for tRFC, per bit of the rows that one refresh restores",
        ge=0,
    )
    standby_w_per_gb: float = sourced(
        HBM2.standby_open_w / (HBM2.capacity_bits / 8e9),
        f"{_CURRENTS}: IDD3N. Assumed: some row is always open (pessimistic, IDD2N is a quarter less), "
        "and standby grows with the capacity and not with the data rate",
        ge=0,
    )


class TsvEnergySpec(DramEnergySpec):
    """A stack like HBM that stands on the logic die: through-silicon vias and no interposer."""

    interposer_pj_per_bit: float = sourced(0.0, "there is none", ge=0)


class HybridBondEnergySpec(DramEnergySpec):
    """DRAM bonded pad to pad to the logic die, each bank with its own pads, so that wires inside a die are short."""

    column_pj_per_bit: float = sourced(
        0.255,
        "assumed: what activate, cell and bond leave of the 0.88 pJ/bit of dev.sedram "
        "(reference/stacked3d/dram_device.yaml), taken for whole rows that are used once; its source does not say",
        ge=0,
    )
    vertical_pj_per_bit: float = sourced(0.075, f"{_VOXEL} (vx.e_tsv): 0.6 pJ/B", ge=0)
    interposer_pj_per_bit: float = sourced(0.0, "there is none", ge=0)
    standby_w_per_gb: float = sourced(0.125, f"{_VOXEL} (vx.static_dram)", ge=0)


INTERFACES: Final[Mapping[str, type[DramEnergySpec]]] = {
    "interposer": DramEnergySpec,
    "tsv": TsvEnergySpec,
    "hybrid_bond": HybridBondEnergySpec,
}
INTERFACE_OF_STANDARD: Final = {"HBM2": "interposer", "HBM3": "interposer", "HBM4": "interposer"}
"""Standards whose parts come with one interface. For modules (DDR, LPDDR, GDDR) no figures are at hand."""


def energy_spec(interface: str) -> DramEnergySpec:
    """Energies of an interface of INTERFACES; ConfigError for another."""
    if interface not in INTERFACES:
        raise ConfigError(
            f"there is no DRAM interface {interface!r} with known energies; there are {', '.join(INTERFACES)}",
            key="interface",
        )
    return INTERFACES[interface]()


def energy_pj(
    spec: DramEnergySpec, *, row_bits: Amount, moved_bits: Amount, refreshed_bits: Amount, gb_ns: Amount
) -> dict[str, Amount]:
    """Energy by term (TERMS) in pJ, of numbers or of arrays of one shape.

    Bits of all rows that were activated, bits read and written, bits of all rows that were refreshed; capacity in GB
    (10^9 bytes) times the time in ns.
    """
    return {
        "activate": spec.activate_pj_per_row_bit * row_bits,
        "cell": spec.cell_pj_per_bit * moved_bits,
        "column": spec.column_pj_per_bit * moved_bits,
        "interface": (spec.vertical_pj_per_bit + spec.interposer_pj_per_bit) * moved_bits,
        "refresh": spec.refresh_pj_per_row_bit * refreshed_bits,
        "standby": spec.standby_w_per_gb * gb_ns * 1000,
    }


@dataclass(frozen=True)
class ChannelEnergy:
    """Energy of one run of a channel: pJ by term (TERMS), bits moved, and the time in ns."""

    terms: Mapping[str, float]
    moved_bits: int
    time_ns: float

    @property
    def total_pj(self) -> float:
        return sum(self.terms.values())

    @property
    def pj_per_bit(self) -> float | None:
        """Energy per bit read or written, standby and refresh included; None when nothing was moved."""
        return self.total_pj / self.moved_bits if self.moved_bits else None

    @property
    def power_w(self) -> float:
        """Average power over the run."""
        return self.total_pj / self.time_ns / 1000 if self.time_ns else 0.0

    def as_dict(self) -> dict[str, Any]:
        return {
            "pj_per_bit": self.pj_per_bit, "average_power_w": self.power_w, "total_pj": self.total_pj,
            "pj_by_term": dict(self.terms),
        }  # fmt: skip


def channel_energy(result: ChannelResult, spec: DramEnergySpec) -> ChannelEnergy:
    """Energy of a run from its counts of commands and its time."""
    count, device = result.commands, result.device
    organisation = device.organisation
    bursts = sum(count[command] for command in ("RD", "WR", "RDA", "WRA"))
    moved_bits = bursts * organisation.transaction_bytes * 8
    terms = energy_pj(
        spec,
        row_bits=float(count["ACT"] * row_bits(device)),
        moved_bits=float(moved_bits),
        refreshed_bits=count["REF"] * refreshed_bits(device) + count["REFPB"] * refreshed_bits(device, one_bank=True),
        gb_ns=device.capacity_bytes / 1e9 * result.time_ns,
    )
    return ChannelEnergy({term: float(energy) for term, energy in terms.items()}, moved_bits, result.time_ns)


def row_bits(device: Device) -> int:
    """Bits of a row: what an activate opens."""
    return device.organisation.col * device.organisation.transaction_bytes * 8


def refreshed_bits(device: Device, *, one_bank: bool = False) -> float:
    """Bits of the rows that one refresh restores, of all banks of its scope or of one."""
    organisation = device.organisation
    parts = {
        "channel": 1,
        "pseudo_channel": organisation.pc,
        "rank": organisation.pc * organisation.rk,
    }
    scopes = device.banks if one_bank else parts[device.standard.refresh_scope]
    return device.capacity_bytes * 8 / scopes / REFRESHES
