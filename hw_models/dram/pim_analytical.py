"""Closed form of the time that PIM units take for a tile, without other traffic in their channel."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from cairn.hw_models.dram.pim_spec import PimSpec
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.dram.stack.device import pim_ticks, tick_ps

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PimTimes:
    """Times of a channel's units in ps: of a column, of a row beside its columns, of a byte on the data bus, and the
    share of time that refreshes leave; columns of a row and banks that open one together."""

    column_ps: float
    row_ps: float
    byte_ps: float
    left: float
    columns: int
    banks: int

    @classmethod
    def of(cls, spec: DramSpec, channels: int, pim: PimSpec) -> PimTimes:
        """The times of one of `channels` channels of `spec` (rules S6 to S8).

        From one activate to the next a row takes t_rcd_mac + t_rtp + t_rp and the spacings of its columns but one, and
        where banks are opened one by one, the spacing of activates for each but the first.
        """
        tick = float(tick_ps(spec, channels))
        ticks = pim_ticks(spec, channels, pim)
        banks = pim.together(spec.banks_per_channel)
        row: float = ticks["between"] - ticks["spacing"] + (2 if pim.mixed_access else 0)  # claims take ticks
        if pim.activate == "each":
            cycle = float(Fraction(spec.clock.num, spec.clock.den)) / tick
            row += (banks - 1) * max(spec.t_rrd, spec.t_faw / 4) * cycle
        lost = (spec.t_rfc + spec.t_rp + spec.t_rtp) / spec.t_refi if spec.refresh != "none" else 0.0
        byte = float(spec.slot_ticks(channels)) / spec.burst_bytes
        columns = spec.row_bytes // pim.column_bytes
        return cls(tick * ticks["spacing"], tick * row, byte, 1.0 - lost, columns, banks)

    def work_ps(self, columns: npt.ArrayLike, turns: npt.ArrayLike) -> Floats:
        """Time of so many columns, each of which follows the one before in its row after `turns` times the spacing,
        whole times or not.

        Behind the last column of a row, turns are not waited for (rule S8): t_rtp after it its banks may close.
        """
        count = np.asarray(columns, dtype=np.float64)
        rows, each = np.ceil(count / self.columns), self.column_ps * np.asarray(turns)
        return np.asarray(((count - rows) * each + rows * (self.row_ps + self.column_ps)) / self.left)

    def bus_ps(self, size: npt.ArrayLike) -> Floats:
        """Time of so many bytes to and from the buffers on the channel's data bus. They ask no bank (rule S6), so that
        refreshes do not hold them up."""
        return np.asarray(np.asarray(size, dtype=np.float64) * self.byte_ps)
