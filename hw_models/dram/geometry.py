"""The stack as parameters: layers of banks over the cores, the vertical buses that connect them, and what follows.

A channel is one vertical bus position: `cores_per_bus` cores below it, their banks on every layer above it. Its
connected layers work in lockstep, as the dies of a rank do: they open the same row of the same bank and each moves its
part of a burst over a bus of its own. Layers that are not connected at a time hold further banks, which recharge
meanwhile. So of one channel, with c of L layers connected,

    row    = c rows of a bank           burst    = c transactions of a layer
    banks  = L * banks on a layer // c  wires    = c buses

and a channel of few banks is short of them once more than half of its layers are connected: the connectivity
efficiency of DeepStack (arXiv 2604.04750; reference/stacked3d/deepstack.yaml, ds.model.conn_eff), which the controller
shows bank by bank. Peak: ds.model.peak. Buffers: ds.model.little. Ports of the SRAM: ds.model.l1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final, Literal

from pydantic import model_validator

from cairn.base.spec import Spec, required, sourced

_DEEPSTACK = "reference/stacked3d/deepstack.yaml"
_DEVICES = "reference/stacked3d/dram_device.yaml"
_DREAMRAM = "harvard-acc/DreamRAM @0dcfdb7, hbm.py (trcd, tras, trp, twr) and configs/tech/baseline"

DERIVED: Final = (
    "bandwidth_gb_per_s", "channels", "banks_per_channel", "row_bytes", "burst_bytes", "capacity_gb",
    "t_rcd", "t_rp", "t_ras", "t_wr",
)  # fmt: skip
"""Fields of DramSpec that follow from a stack. A chip with a stack does not state them."""

REFERENCE_CELLS: Final = 512
"""Cells of a bit line for which bank timings are stated (dev.dreamram_hbm3)."""
_CELL_FF, _SENSE_FF = 8.0, 3.3
_BITLINE_FF: Final = 0.0417 * 1.015 * REFERENCE_CELLS
"""Capacitance of cell, sense amplifier and bit line (DreamRAM, 2ynm_baseline.json), 1.5 % of it for isolation rows."""
_T_RCD, _SIGNAL, _RESTORE, _WRITE_RESTORE = 18.0, 2.9, 9.0, 18.6
"""Parts of DreamRAM's HBM3 timings in ns (dev.dreamram_hbm3): t_ras = t_rcd + restore, t_wr = signal + restore of a
write, t_rp = t_rcd. The signal crosses the bank along its rows, so the length of bit lines does not change it."""
_SENSING_FIXED: Final = (_CELL_FF + _SENSE_FF) / (_CELL_FF + _SENSE_FF + _BITLINE_FF)
_RESTORE_FIXED: Final = _CELL_FF / (_CELL_FF + _BITLINE_FF)
_RCD_FIXED: Final = (_SIGNAL + (_T_RCD - _SIGNAL) * _SENSING_FIXED) / _T_RCD
FIXED_SHARE: Final[Mapping[str, float]] = {
    "t_rcd": _RCD_FIXED,
    "t_rp": _RCD_FIXED,
    "t_ras": (_T_RCD * _RCD_FIXED + _RESTORE * _RESTORE_FIXED) / (_T_RCD + _RESTORE),
    "t_wr": (_SIGNAL + _WRITE_RESTORE * _RESTORE_FIXED) / (_SIGNAL + _WRITE_RESTORE),
}
"""Share of a bank timing at REFERENCE_CELLS that the length of the bit line does not change; the rest is in proportion
to it. TL-DRAM (Lee et al., HPCA 2013) has t_rcd 8.2 ns with 32 cells against 15 with 512, 0.55; this is 0.48."""


def bitline_scale(timing: str, cells: int) -> float:
    """What a bank timing (t_rcd, t_rp, t_ras, t_wr) is with `cells` on a bit line, over what it is with 512."""
    fixed = FIXED_SHARE[timing]
    return fixed + (1 - fixed) * cells / REFERENCE_CELLS


@dataclass(frozen=True)
class BandwidthTerms:
    """What bounds the rate at which data come down, in GB/s (1e9 bytes/s) of all channels; inf where nothing does."""

    wires: float
    buffer: float
    sram: float

    @property
    def gb_per_s(self) -> float:
        """The least of them."""
        return min(self.wires, self.buffer, self.sram)

    @property
    def limited_by(self) -> str:
        """Its name: wires, buffer or sram; wires where terms are equal."""
        return min(("wires", "buffer", "sram"), key=lambda name: getattr(self, name))


class StackSpec(Spec):
    """DRAM layers over the cores of a chip. A chip that gives one states none of DERIVED.

    Timings are those of a bank whose bit lines have 512 cells; they are scaled to `bitline_cells` and rounded up to
    cycles of the DRAM clock.
    """

    layers: int = required(ge=1, le=1024)
    connected_layers: int | None = sourced(None, "none unless given: all layers", ge=1, le=1024)
    banks_per_core_and_layer: float = required(gt=0, le=1024)
    """Below 1 where several cores share a bank of a layer."""
    bank_mib: float = required(gt=0)
    """Capacity of a bank of one layer."""
    row_bytes: int = required(ge=1)
    """Of a bank of one layer; so are `transaction_bytes`, the least that it moves, and its bus."""
    transaction_bytes: int = required(ge=1)
    bus_bits: int = required(ge=1, le=1 << 20)
    wire_gbit_per_s: float = required(gt=0)
    cores_per_bus: int = sourced(1, "reference/stacked3d/voxel.yaml (vx.cores): a channel over each core", ge=1)
    interface: Literal["tsv", "hybrid_bond"] = sourced("hybrid_bond", "Voxel, arXiv 2604.26821: bonded pad to pad")
    bitline_cells: int = sourced(REFERENCE_CELLS, f"{_DEVICES} (dev.dreamram_hbm3): rows of a mat", ge=16, le=8192)
    t_rcd_ns: float = sourced(18.0, f"{_DEVICES} (dev.dreamram_hbm3)", ge=0)
    t_rp_ns: float = sourced(18.0, f"{_DREAMRAM}: as t_rcd", ge=0)
    t_ras_ns: float = sourced(27.0, f"{_DEVICES} (dev.dreamram_hbm3): t_rcd and 9 ns to restore", ge=0)
    t_wr_ns: float = sourced(21.5, f"{_DEVICES} (dev.dreamram_hbm3): signal 2.9 ns and 18.6 ns to restore", ge=0)
    buffer_kib: float | None = sourced(None, "none unless given: no limit; of the cores of a channel together", gt=0)
    vertical_ns: float = sourced(
        5.0, "assumed: queue and wires down and up, some cycles of the logic; DeepStack's latencies are sealed", ge=0
    )
    sram_write_share: float | None = sourced(
        0.5, f"{_DEEPSTACK} (ds.model.l1): half of the rate of the ports; null: no limit", gt=0, le=1
    )

    @model_validator(mode="after")
    def _possible(self) -> StackSpec:
        if self.connected > self.layers:
            raise ValueError(f"connected_layers ({self.connected}) must not exceed layers ({self.layers})")
        if self.row_bytes % self.transaction_bytes:
            raise ValueError(
                f"row_bytes ({self.row_bytes}) must be a multiple of transaction_bytes ({self.transaction_bytes})"
            )
        if self._banks.denominator != 1:
            raise ValueError(
                f"layers x banks_per_core_and_layer x cores_per_bus ({self.layers} x {self.banks_per_core_and_layer:g} "
                f"x {self.cores_per_bus}) must be whole: the banks of a channel"
            )
        if self._banks < self.connected:
            raise ValueError(
                f"connected_layers ({self.connected}) must not exceed the banks of a channel on all layers "
                f"({self._banks}), for each connected layer opens one"
            )
        if self.bank_mib * 2**20 < self.row_bytes:
            raise ValueError(f"bank_mib ({self.bank_mib:g}) holds less than a row of {self.row_bytes} bytes")
        return self

    @property
    def connected(self) -> int:
        """Layers that move data at a time."""
        return self.layers if self.connected_layers is None else self.connected_layers

    @property
    def _banks(self) -> Fraction:
        """Banks of a channel, those of each layer counted."""
        return Fraction(str(self.banks_per_core_and_layer)) * self.layers * self.cores_per_bus

    @property
    def banks_per_channel(self) -> int:
        """Banks that open a row by themselves: one of each connected layer in lockstep."""
        return int(self._banks) // self.connected

    @property
    def burst_bytes(self) -> int:
        """Bytes that a channel moves at least."""
        return self.transaction_bytes * self.connected

    @property
    def wires_gb_per_s(self) -> Fraction:
        """Peak rate of the buses of a channel (ds.model.peak)."""
        return Fraction(self.connected * self.bus_bits, 8) * Fraction(str(self.wire_gbit_per_s))

    def bank_ns(self, timing: str) -> float:
        """A bank timing (t_rcd, t_rp, t_ras, t_wr) at `bitline_cells`, in ns."""
        return round(float(getattr(self, f"{timing}_ns")) * bitline_scale(timing, self.bitline_cells), 6)

    def round_trip_ns(self, t_cl: int, clock_ghz: float) -> float:
        """From a request for a closed row to the end of its burst, with nothing else to do."""
        burst = float(self.burst_bytes / self.wires_gb_per_s)
        return self.bank_ns("t_rcd") + t_cl / clock_ghz + burst + self.vertical_ns

    def terms(self, channels: int, t_cl: int, clock_ghz: float, sram_gb_per_s: float | None) -> BandwidthTerms:
        """What bounds the rate of `channels` channels; `sram_gb_per_s` is what the ports of all SRAM can write.

        Little's law: no more than the buffers hold can be under way, and that takes a round trip.
        """
        buffer, sram = math.inf, math.inf
        if self.buffer_kib is not None:
            buffer = channels * self.buffer_kib * 1024 / self.round_trip_ns(t_cl, clock_ghz)
        if self.sram_write_share is not None and sram_gb_per_s is not None:
            sram = sram_gb_per_s * self.sram_write_share
        return BandwidthTerms(float(channels * self.wires_gb_per_s), buffer, sram)

    def channel_fields(self, clock_ghz: float) -> dict[str, Any]:
        """Those of DERIVED that do not depend on the number of channels."""
        clock = Fraction(str(clock_ghz))
        return {
            "banks_per_channel": self.banks_per_channel,
            "row_bytes": self.row_bytes * self.connected,
            "burst_bytes": self.burst_bytes,
            **{name: math.ceil(Fraction(str(self.bank_ns(name))) * clock) for name in FIXED_SHARE},
        }

    def chip_fields(self, channels: int, terms: BandwidthTerms) -> dict[str, Any]:
        """The others of DERIVED."""
        capacity = Fraction(self.bank_mib) * 2**20 * self._banks * channels
        return {
            "bandwidth_gb_per_s": terms.gb_per_s,
            "channels": channels,
            "capacity_gb": float(capacity / 10**9),
        }
