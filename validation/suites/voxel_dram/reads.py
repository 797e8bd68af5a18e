"""The DRAM read of an operator under Voxel: the row openings that its time tells, and what a stacked channel takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cairn.hw_models.dram.analytical import ChannelTimes, stream_ps
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.dram.voxel_estimator import FRACTION_BITS, VoxelEstimator
from cairn.validation.reference import Record

ELEMENT_BYTES = 2
"""Bytes of an element in Voxel (digest: 2 bytes everywhere)."""


@dataclass(frozen=True)
class RunChip:
    """The DRAM of a run: Voxel's estimator for it, and the stacked channel of Cairn with the same rates and timings.

    `group` cores read side by side, so that chunks are whole numbers of `group` elements.
    """

    cores: int
    group: int
    estimator: VoxelEstimator
    stacked: DramSpec

    @classmethod
    def of(cls, run: Record) -> RunChip:
        """The DRAM of a row of voxel_runs.csv. Voxel counts a row in beats of a core's bus, Cairn in its 8192 bytes."""
        cores = run.integer("cores")
        rates: dict[str, Any] = {
            "bandwidth_gb_per_s": run.number("dram_gib_s") * 2**30 / 1e9, "clock_ghz": run.number("freq_mhz") / 1000,
            "t_cl": run.integer("tcl"), "t_rcd": run.integer("trcd"), "t_rp": run.integer("trp"),
        }  # fmt: skip
        stacked = DramSpec(**rates)
        beat = int(stacked.bytes_per_cycle(cores))
        voxel = DramSpec(**rates, row_bytes=run.integer("row_accesses") * beat, burst_bytes=beat)
        return cls(cores, run.integer("core_group"), VoxelEstimator.of(voxel, cores, cores), stacked)


@dataclass(frozen=True)
class Read:
    """A read of `chip_bytes` over all cores, of one tensor or of several one after the other."""

    chip: RunChip
    chip_bytes: int
    tensors: int

    @property
    def core_bytes(self) -> int:
        """Bytes of each core."""
        return -(-self.chip_bytes // self.chip.cores)

    @property
    def opening_cycles(self) -> float:
        """Cycles of one row opening: what times can be told apart by."""
        return float(self.chip.estimator.opening) / 2**FRACTION_BITS

    def cycles(self, openings: int) -> int:
        """Cycles with `openings` openings in all; with two tensors to one cycle (each is rounded by itself)."""
        once = int(self.chip.estimator.cycles(self.core_bytes, openings))
        return once - (self.tensors - 1) * int(self.chip.estimator.precharge)

    def openings_of(self, cycles: int) -> int | None:
        """The number of openings whose time is nearest to `cycles`; None when it is not possible."""
        without = self.cycles(self.tensors) - int(self.tensors * self.opening_cycles)
        openings = round((cycles + 0.5 - without) / self.opening_cycles)
        return openings if self.is_possible(openings) else None

    def is_possible(self, openings: int) -> bool:
        """Whether some chunk has this number of openings: a whole number of elements of all cores of a group.

        Rows bound the number from below. How two tensors share it is not known; then it is bounded alone.
        """
        size, step = self.core_bytes, ELEMENT_BYTES * self.chip.group
        least = int(self.chip.estimator.openings(size, size))
        if self.tensors > 1:
            return max(least, self.tensors) <= openings <= -(-size // ELEMENT_BYTES) + self.tensors
        if openings <= least:
            return openings == least
        chunk = -(-size // (openings * step)) * step
        return -(-size // chunk) == openings

    @property
    def bus_cycles(self) -> float:
        """Cycles of the bytes at the nominal bandwidth."""
        return self.core_bytes / float(self.chip.estimator.nominal_bytes_per_cycle)

    @property
    def stacked_cycles(self) -> float:
        """Cycles of the same bytes as one stream over all banks of a channel of Cairn, closed form."""
        spec = self.chip.stacked
        times = ChannelTimes.of(spec, self.chip.cores)
        ps = float(stream_ps(times, self.core_bytes, spec.banks_per_channel, spec.row_bytes))
        return ps * spec.clock.den / spec.clock.num
