"""How the DRAM of a chip is charged for its energy: by bytes moved, or by its commands and its time.

By command the terms are those of `cost`. Activate, cell, column and interface follow from what is done; refresh and
standby flow all the time, and so are powers. A refresh restores every row once in REFRESHES intervals of `t_refi`,
whatever the traffic, so its power follows from capacity and interval; a channel without refresh pays none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import model_validator

from cairn.base.spec import Spec, sourced
from cairn.hw_models.dram.cost import REFRESHES, DramEnergySpec, energy_pj, energy_spec

if TYPE_CHECKING:
    from cairn.hw_models.dram.spec import DramSpec

DYNAMIC: Final = ("activate", "cell", "column", "interface")
"""Terms of `cost` that are charged to what is done."""
STATIC: Final = ("refresh", "standby")
"""Terms of `cost` that are drawn all the time."""
COMPONENT: Final = {
    "activate": "dram", "cell": "dram", "column": "dram", "interface": "tsv", "refresh": "dram", "standby": "dram",
}  # fmt: skip
"""The component of a chip (hw_models/cost.py) under which each term stands."""

_OWN = "that of the interface, in hw_models/dram/cost.py"


class DramChargeSpec(Spec):
    """How a chip's DRAM is charged, and how it is joined to the logic.

    `charged` `per_byte` takes `dram_pj_per_byte`, `tsv_pj_per_byte` and `static_dram_w_per_gb` of the chip's energies;
    `by_command` takes the energies of `interface` (hw_models/dram/cost.py) instead, with the numbers given here in
    place of the interface's. An interface that is stated also says how much area the vias take (hw_models/cost.py).
    """

    charged: Literal["per_byte", "by_command"] = sourced("per_byte", "this project: as Voxel charges its DRAM")
    interface: Literal["interposer", "tsv", "hybrid_bond"] | None = sourced(
        None, "not stated: no energies by command, vias as the chip's area says"
    )
    activate_pj_per_row_bit: float | None = sourced(None, _OWN, ge=0)
    cell_pj_per_bit: float | None = sourced(None, _OWN, ge=0)
    column_pj_per_bit: float | None = sourced(None, _OWN, ge=0)
    vertical_pj_per_bit: float | None = sourced(None, _OWN, ge=0)
    interposer_pj_per_bit: float | None = sourced(None, _OWN, ge=0)
    refresh_pj_per_row_bit: float | None = sourced(None, _OWN, ge=0)
    standby_w_per_gb: float | None = sourced(None, _OWN, ge=0)

    @model_validator(mode="after")
    def _meant(self) -> DramChargeSpec:
        given = [name for name in DramEnergySpec.model_fields if getattr(self, name) is not None]
        if self.charged == "per_byte" and given:
            raise ValueError(f"{given[0]} has no meaning where `charged` is per_byte; set it to by_command")
        if self.charged == "by_command" and self.interface is None:
            raise ValueError("`charged` by_command needs an `interface`: interposer, tsv or hybrid_bond")
        return self

    @property
    def by_command(self) -> bool:
        """Whether commands and time are charged, not bytes."""
        return bool(self.charged == "by_command")


def energies(charge: DramChargeSpec) -> DramEnergySpec:
    """Energies of the interface, with the numbers of `charge` in place of its own."""
    spec = energy_spec(str(charge.interface))
    given = {name: getattr(charge, name) for name in type(spec).model_fields}
    return spec.model_copy(update={name: value for name, value in given.items() if value is not None})


def dynamic_pj(charge: DramChargeSpec, *, row_bits: Any, moved_bytes: Any) -> dict[str, Any]:
    """Energy in pJ of what was done, by term (DYNAMIC): bits of all rows that were activated, bytes of whole bursts."""
    found = energy_pj(
        energies(charge), row_bits=row_bits, moved_bits=8 * moved_bytes, refreshed_bits=0.0, gb_ns=0.0
    )  # fmt: skip
    return {term: found[term] for term in DYNAMIC}


def static_w(charge: DramChargeSpec, dram: DramSpec) -> dict[str, Any]:
    """Power in W that the DRAM draws all the time, by term (STATIC)."""
    in_a_ns = energy_pj(
        energies(charge), row_bits=0.0, moved_bits=0.0, refreshed_bits=refreshed_bits_per_ns(dram),
        gb_ns=dram.capacity_gb,
    )  # fmt: skip
    return {term: in_a_ns[term] / 1000 for term in STATIC}


def refreshed_bits_per_ns(dram: DramSpec) -> Any:
    """Bits of the rows that refreshes restore in a ns, all channels together."""
    if dram.refresh == "none":
        return 0.0
    return dram.capacity_gb * 8e9 / REFRESHES / (dram.t_refi / dram.clock_ghz)
