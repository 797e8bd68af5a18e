"""What a chip gets out of its DRAM at best: a closed form with a named term for everything that may bound it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cairn.hw_models.cost import area_mm2

if TYPE_CHECKING:
    from cairn.hw_models.chip import ChipSpec
    from cairn.hw_models.dram.spec import DramSpec

TERMS: Final = ("wires", "buffer", "sram", "row_cycle", "activate_spacing")
"""Names of the terms: see `effective_bandwidth`."""


@dataclass(frozen=True)
class EffectiveBandwidth:
    """GB/s (1e9 bytes/s) of all channels by term (TERMS), inf where a term bounds nothing; `refresh` is the share of
    the time that refreshes take from all of them."""

    terms: dict[str, float]
    refresh: float

    @property
    def gb_per_s(self) -> float:
        """The least term, net of refresh."""
        return min(self.terms.values()) * (1 - self.refresh)

    @property
    def limited_by(self) -> str:
        """The name of the least term; the first of equal ones."""
        return min(self.terms, key=lambda name: self.terms[name])


def effective_bandwidth(chip: ChipSpec) -> EffectiveBandwidth:
    """What a long read of whole rows reaches, rows of all banks of each channel in turn.

    * wires: the vertical buses of the connected layers (or the bandwidth, for DRAM without a stack);
    * buffer: Little's law, bytes under way over the round trip; sram: the share of its ports' rate (`StackSpec.terms`);
    * row_cycle: each bank gives a row in the time that it takes to open, read and close it, so few banks are short of
      it (with one bank, DeepStack's row_read / (row_read + recharge));
    * activate_spacing: rows open no closer than t_rrd, and four of them no closer than t_faw.

    The last two come out of the channels' model by themselves; the first three bound `chip.dram.bandwidth_gb_per_s`.
    """
    dram, channels = chip.dram, chip.channels
    bound = chip.dram_terms
    row = dram.row_bytes * channels
    spacing = max(_ns(dram, "t_rrd"), _ns(dram, "t_faw") / 4)
    terms = {
        "wires": bound.wires,
        "buffer": bound.buffer,
        "sram": bound.sram,
        "row_cycle": dram.banks_per_channel * row / row_cycle_ns(dram, channels),
        "activate_spacing": row / spacing if spacing else float("inf"),
    }
    lost = _ns(dram, "t_rfc") + _ns(dram, "t_rp") + _ns(dram, "t_rcd") + _ns(dram, "t_rtp")
    return EffectiveBandwidth(terms, 0.0 if dram.refresh == "none" else lost / _ns(dram, "t_refi"))


def row_cycle_ns(dram: DramSpec, channels: int) -> float:
    """From one activate of a bank to its next, with a whole row read between; data at the pace of the bandwidth."""
    burst = float(dram.slot_ticks(channels)) / 1000
    read = (dram.row_bytes // dram.burst_bytes - 1) * burst
    return max(_ns(dram, "t_ras"), _ns(dram, "t_rcd") + read + _ns(dram, "t_rtp")) + _ns(dram, "t_rp")


def core_mm2(chip: ChipSpec) -> float:
    """Area of the logic die that a core takes, with its part of the vertical wires: those that there are, whatever
    bandwidth is left of them."""
    return sum(area_mm2(chip).values()) / chip.core_count


def _ns(dram: DramSpec, timing: str) -> float:
    """A timing in ns."""
    return float(getattr(dram, timing)) / dram.clock_ghz
