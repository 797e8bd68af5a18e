"""Parameters of a stack of HBM3 with multipliers for attention, as AttAcc has it (ASPLOS 2024)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from cairn.base.spec import Spec, sourced

_REPO: Final = "scale-snu/attacc_simulator @c600051"
_TIMING: Final = f"{_REPO} pim_ramulator_src/HBM3-PIM.cpp, preset HBM3_5.2Gbps"
_NO_LIMIT: Final = f"{_REPO} pim_ramulator_src/HBM3-PIM.cpp, preset HBM3_5.2Gbps_NPC"
_SHAPE: Final = f"{_REPO} src/ramulator_wrapper.py, organisation HBM3_8Gb_2R with 16 channels"
_TRACE: Final = f"{_REPO} pim_ramulator_src/trace_gen"


class Placement(StrEnum):
    """Where the multipliers are: beside every bank, one for each bank group, or on the buffer die."""

    BANK = "bank"
    BANK_GROUP = "bank_group"
    BUFFER = "buffer"


class AttaccSpec(Spec):
    """One stack: its shape, and the clocks between the commands of a channel. Clocks are those of the memory.

    A head is on one channel. Its keys go round the pseudo-channels (for bank and bank group also round ranks and bank
    groups); at bank level the head dimension is divided over the banks of a group.
    """

    channels: int = sourced(16, _SHAPE, ge=1, le=1024)
    pseudo_channels: int = sourced(2, _SHAPE, ge=1, le=16)
    ranks: int = sourced(2, _SHAPE, ge=1, le=16)
    bank_groups: int = sourced(4, _SHAPE, ge=1, le=64)
    banks: int = sourced(4, _SHAPE + "; of a bank group", ge=1, le=64)
    columns_per_row: int = sourced(32, _SHAPE, ge=1, le=4096)
    column_bytes: int = sourced(32, _SHAPE + "; what one multiplier takes at a time", ge=1, le=4096)
    keys_per_move: int = sourced(16, _TRACE + ": scores of so many keys of a unit move together", ge=1, le=4096)
    queue: int = sourced(32, "request buffer of a channel, Ramulator 2 (src/dram_controller/controller.h)", ge=1)
    clock_ps: int = sourced(769, f"{_REPO} src/ramulator_wrapper.py, tCK", ge=1)
    mac_spacing: int = sourced(6, _TIMING + ", nCCDAB and nCCDSB, held apart by the power limit", ge=1, le=4096)
    mac_spacing_unlimited: int = sourced(4, _NO_LIMIT + ", nCCDAB and nCCDSB", ge=1, le=4096)
    column_spacing: int = sourced(2, _TIMING + ", nCCDS = nBL: other bank groups", ge=1, le=4096)
    column_spacing_group: int = sourced(4, _TIMING + ", nCCDL: the same bank group", ge=1, le=4096)
    read_to_precharge: int = sourced(8, _TIMING + ", nRTPL", ge=0, le=1 << 16)
    precharge: int = sourced(19, _TIMING + ", nRP", ge=0, le=1 << 16)
    activate_to_read: int = sourced(19, _TIMING + ", nRCDRD", ge=0, le=1 << 16)
    refresh_interval: int = sourced(5070, _TIMING + ", nREFI", ge=1, le=1 << 24)
    refresh: int = sourced(455, "tRFC of 8 Gb dies, 350 ns (the same file)", ge=0, le=1 << 20)
    refreshes: bool = sourced(True, f"{_REPO} src/ramulator_wrapper.py: AllBankHBM3")

    @property
    def row_cycle(self) -> int:
        """Clocks from the last read of a row to the first of the next one in the same bank."""
        return self.read_to_precharge + self.precharge + self.activate_to_read
