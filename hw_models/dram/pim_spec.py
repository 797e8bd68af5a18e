"""Parameters of processing in the memory of a chip: units at the banks, or on the logic die under them."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from cairn.base.spec import Spec, required, sourced

_ATTACC = "AttAcc's simulator (scale-snu/attacc_simulator @c60005)"
_AIM = "AiM in Ramulator (arkhadem/aim_simulator @0f28a07, GDDR6.cpp)"
_DUPLEX = "Duplex (arXiv 2409.01141)"

RESULT_BITS = 32
"""assumed: accumulators hold sums of products of 16 bits in 32, as the matrix units here do."""


class PimSpec(Spec):
    """PIM units of every channel of a chip; defaults are units at the banks of HBM3, as AttAcc and Duplex's Bank-PIM.

    `kind` says where the units are: `bank`, one at each bank, or `logic`, on the logic die, which wires of their own
    bring several banks together. Either way `banks_together` banks (null: all of a channel) open the same row, and each
    gives `column_bytes` to its unit every `spacing_cycles` of the DRAM clock (more where power limits it), the first
    ones `t_rcd_mac` cycles after the activate (null: the DRAM's own t_rcd). A unit multiplies what a bank gives with
    `rows_at_once` rows of inputs; more rows take as many times the spacing, in steps of its `turn_parts`-th (of units
    whose clock is that many times as fast as columns come, and which do a share of the rows in each cycle).

    `activate` says whether one command opens the row in all the banks, or one command each, by the rules of activates.
    With `mixed_access` cores use the other banks meanwhile; without it the whole channel is in one mode or the other,
    and a change takes `mode_change_cycles`. Units give way to cores that wait for their banks after `turn_rows` rows,
    and go on after `yield_cycles`.

    Inputs lie in `buffer_kib` of each channel, of which one half is filled while the other is used; each unit has
    `accumulators` for outputs, each for rows_at_once rows. `bits` are the widths of operands that units multiply.
    Energy is for each multiply-accumulate and for each byte from the array to the unit, activate included.
    """

    kind: Literal["bank", "logic"] = required()
    banks_together: int | None = sourced(None, "all banks of a channel: AttAcc's and AiM's all-bank commands", ge=1)
    column_bytes: int = sourced(32, f"{_ATTACC}, {_AIM}: a column access of 256 bits", ge=1, le=1 << 16)
    spacing_cycles: int = sourced(6, f"{_ATTACC}: nCCDAB with the power limit (4 without)", ge=1, le=1 << 16)
    t_rcd_mac: int | None = sourced(None, f"{_ATTACC}: as for reads (AiM: 56 instead of 36)", ge=0, le=1 << 16)
    rows_at_once: int = sourced(1, f"{_DUPLEX}, section VI: Bank-PIM does 1 op for each byte", ge=1, le=1 << 12)
    turn_parts: int = sourced(1, "this project: whole spacings, units that do all rows at once", ge=1, le=64)
    activate: Literal["together", "each"] = sourced("together", f"{_ATTACC}, {_AIM}: one command for all banks")
    mixed_access: bool = sourced(False, f"{_AIM}: all-bank commands take the channel")
    mode_change_cycles: int = sourced(
        21, f"{_AIM}: nMODCH, 32 cycles of 0.5 ns, at the 1.3 GHz of HBM3 5.2 Gbps", ge=0, le=1 << 20
    )
    turn_rows: int = sourced(
        16, "assumed: with the mode changes of AiM about a hundredth of the time goes to them", ge=1, le=1 << 20
    )
    yield_cycles: int = sourced(
        512, "assumed: twice what a write waits for reads (chip.dram.write_wait_cycles)", ge=0, le=1 << 30
    )
    buffer_kib: float = sourced(4.0, f"{_AIM}: a global buffer of 2 KB in each channel; two of them", gt=0, le=1 << 20)
    accumulators: int = sourced(32, "CENT (Yufeng98/CENT @8c79783): reuse of 32 outputs a bank", ge=1, le=1 << 16)
    bits: tuple[float, ...] = sourced((16.0,), f"{_ATTACC}, {_DUPLEX}: FP16", min_length=1)
    mac_pj: float = sourced(0.32, f"{_ATTACC}: config.py, energy of an ALU operation", ge=0)
    pj_per_byte: float = sourced(4.4, f"{_ATTACC}: activate 0.11 and cells 0.44 pJ/bit (from FGDRAM)", ge=0)
    activate_pj_per_byte: float = sourced(
        0.88, f"{_ATTACC}: activate 0.11 pJ/bit; the part of pj_per_byte that chip.energy.dram counts by command", ge=0
    )
    logic_mm2_per_channel: float = sourced(0.0, "units at the banks take none of the logic die", ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> PimSpec:
        if self.mixed_access and self.mode_change_cycles:
            raise ValueError(
                f"mode_change_cycles ({self.mode_change_cycles}) must be 0 with mixed_access, which knows no modes"
            )
        if not self.mixed_access and self.kind == "logic" and self.banks_together is not None:
            raise ValueError(
                "units on the logic die that work on some banks of a channel (banks_together) leave the others to the "
                "cores: state mixed_access: true"
            )
        return self

    def turns_of(self, rows: int) -> int:
        """Parts of a spacing that a column takes with so many rows of inputs: those of one spacing at least."""
        return max(self.turn_parts, -(-rows * self.turn_parts // self.rows_at_once))

    def spacings_of(self, rows: int) -> float:
        """Spacings that a column takes with so many rows of inputs."""
        return self.turns_of(rows) / self.turn_parts

    def sets_of(self, rows: int) -> int:
        """Accumulators that an output takes with so many rows of inputs."""
        return -(-rows // self.rows_at_once)

    def together(self, banks_per_channel: int) -> int:
        """Banks that open a row together."""
        return self.banks_together or banks_per_channel

    def misfit(self, banks_per_channel: int, row_bytes: int) -> str | None:
        """Why the units do not fit channels of so many banks with rows of `row_bytes`, None where they do."""
        if banks_per_channel % self.together(banks_per_channel):
            return (
                f"pim.banks_together ({self.banks_together}) must divide dram.banks_per_channel ({banks_per_channel}), "
                "so that every bank belongs to one set"
            )
        if row_bytes % self.column_bytes:
            return f"pim.column_bytes ({self.column_bytes}) must divide dram.row_bytes ({row_bytes})"
        if self.buffer_bytes < 2 * self.column_bytes:
            return (
                f"pim.buffer_kib ({self.buffer_kib:g}) is less than two columns of {self.column_bytes} bytes, one to "
                "work on and one to be filled"
            )
        return None

    @property
    def buffer_bytes(self) -> int:
        return int(self.buffer_kib * 1024)
