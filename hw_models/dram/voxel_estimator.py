"""Voxel's default DRAM estimator as a closed form, so that its numbers can be made again and its assumptions priced.

An access of n bytes, of which `chunk` lie together, takes

    openings = max(ceil(n / chunk), ceil(n / row))
    cycles   = floor(openings * (CL + tRCD + tRP) * (cores / 128)^0.8) - tRP + ceil(n / b),   1 at least

with b the bytes of a channel in a cycle, rounded down to a whole number. Source: yiqiliu2/voxelsim @40ce5d45,
tsim_components/mem.py (`DRAM.num_cycle_of_access` with `need_init`, `_compute_cores_per_bank`), the mode that its
scripts use unless told otherwise; reference/stacked3d/voxel.yaml (vx.dram_formula).

It is not physics, and `AccessCost` says what each choice costs: openings follow one another and never overlap with
data (a controller opens a row in one bank while another bank's data are on the bus); each pays CL, which is hidden
where column commands are sent ahead; the factor of shared banks grows with the number of cores, not with what they do;
the bandwidth loses what is beyond a whole byte in a cycle. Refresh, tFAW, tRRD and tRAS are left out, which is
optimistic.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.spec import DramSpec

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

FRACTION_BITS: Final = 20
"""Bits after the point of `opening`: a whole number, so that the server's time of an access is this one's."""


@dataclass(frozen=True)
class AccessCost:
    """Cycles of an access by what they are for, arrays of one shape.

    `bus` at the nominal bandwidth, `floor` for what bytes a cycle lose by being whole (and the last cycle), `opening`
    of rows that a core had for itself, `sharing` for banks that cores share (below 0 with less than 128 cores). Their
    sum exceeds `cycles` by less than one cycle, which is rounded off.
    """

    cycles: IntArray
    bus: FloatArray
    floor: FloatArray
    opening: FloatArray
    sharing: FloatArray


@dataclass(frozen=True)
class VoxelEstimator:
    """The numbers of the closed form, in cycles of the DRAM clock and bytes; each may be an array.

    `bytes_per_cycle` is whole, `nominal_bytes_per_cycle` what it was rounded down from; `reopen` is CL + tRCD + tRP,
    `opening` that times the factor of shared banks, in 2**-FRACTION_BITS cycles; `column` is CL.
    """

    bytes_per_cycle: int | IntArray
    nominal_bytes_per_cycle: float | FloatArray
    row_bytes: int | IntArray
    reopen: int | IntArray
    precharge: int | IntArray
    column: int | IntArray
    opening: int | IntArray

    @classmethod
    def of(cls, spec: DramSpec, channels: int, cores: int) -> VoxelEstimator:
        """The numbers of one of `channels` channels of `spec` on a chip of `cores` cores.

        Voxel has a channel for each core; where cores share one, its bandwidth is what is rounded down.
        ConfigError when a channel moves less than a byte in a cycle: rounded down that is nothing.
        """
        nominal = spec.bytes_per_cycle(channels)
        if nominal < 1:
            message = f"the model voxel_estimator rounds {float(nominal):.3g} bytes a cycle and channel down to none"
            raise ConfigError(message, key="dram.bandwidth_gb_per_s")
        reopen = spec.t_cl + spec.t_rcd + spec.t_rp
        factor = Fraction(spec.sharing_factor(cores))
        return cls(
            bytes_per_cycle=int(nominal), nominal_bytes_per_cycle=float(nominal), row_bytes=spec.row_bytes,
            reopen=reopen, precharge=spec.t_rp, column=spec.t_cl, opening=round(reopen * factor * 2**FRACTION_BITS),
        )  # fmt: skip

    def openings(self, size_bytes: npt.ArrayLike, chunk_bytes: npt.ArrayLike) -> IntArray:
        """Row openings of accesses of `size_bytes` (>= 1), of which `chunk_bytes` lie together."""
        found: IntArray = np.maximum(_ceil(size_bytes, chunk_bytes), _ceil(size_bytes, self.row_bytes))
        return found

    def cycles(self, size_bytes: npt.ArrayLike, openings: npt.ArrayLike) -> IntArray:
        """Cycles of accesses of `size_bytes` with `openings` row openings, as Voxel counts them."""
        data = _ceil(size_bytes, self.bytes_per_cycle)
        cycles: IntArray = np.maximum(self._opened(openings) - np.asarray(self.precharge) + data, 1)
        return cycles

    def served_cycles(self, size_bytes: npt.ArrayLike, openings: npt.ArrayLike) -> IntArray:
        """As `cycles`, but never less than CL and the data.

        On a chip of less than 77 cores with Voxel's timings the factor of shared banks is so small that the formula
        would have data before they can have left their bank.
        """
        data = _ceil(size_bytes, self.bytes_per_cycle)
        cycles: IntArray = np.maximum(self.cycles(size_bytes, openings), np.asarray(self.column) + data)
        return cycles

    def cost(self, size_bytes: npt.ArrayLike, openings: npt.ArrayLike) -> AccessCost:
        """`cycles` by what they are for."""
        cycles = self.cycles(size_bytes, openings)
        size, count, reopen = (np.asarray(x, dtype=np.float64) for x in (size_bytes, openings, self.reopen))
        bus = size / np.asarray(self.nominal_bytes_per_cycle, dtype=np.float64)
        floor = _ceil(size_bytes, self.bytes_per_cycle) - bus
        shared = count * (np.asarray(self.opening, dtype=np.float64) / 2**FRACTION_BITS - reopen)
        parts = np.broadcast_arrays(cycles, bus, floor, count * reopen - np.asarray(self.precharge), shared)
        return AccessCost(*parts)

    def _opened(self, openings: npt.ArrayLike) -> IntArray:
        """Whole cycles of `openings` openings, the fraction of a cycle rounded off at the end."""
        return np.asarray((np.asarray(openings, dtype=np.int64) * np.asarray(self.opening)) >> FRACTION_BITS)


def _ceil(size: npt.ArrayLike, unit: npt.ArrayLike) -> IntArray:
    return np.asarray(-(-np.asarray(size, dtype=np.int64) // np.asarray(unit, dtype=np.int64)))
