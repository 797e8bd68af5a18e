"""The rules of the server of Voxel's estimator in plain Python, with Voxel's formula in floating point."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor

import numpy as np

from cairn.hw_models.dram.request import REQUEST_COLUMNS
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.server import DONE, FIRST, IS_WRITE, WANTS_FIRST, IntArray

Completion = tuple[int, int, int]


@dataclass(frozen=True)
class VoxelOracle:
    """The server of `channels` channels of `spec` on a chip of `cores` cores, for few requests."""

    spec: DramSpec
    channels: int
    cores: int

    def run(
        self, requests: Iterable[tuple[int, int, Sequence[int]]]
    ) -> tuple[list[Completion], Mapping[str, IntArray]]:
        """Completions `(tick, task, event)`, sorted, of requests `(tick, task, row)`, and counters by channel."""
        completions: list[Completion] = []
        free = dict.fromkeys(((channel, way) for channel in range(self.channels) for way in (0, IS_WRITE)), 0)
        names = ("bytes_read", "bytes_written", "row_misses", "row_conflicts", "bus_busy_ps")
        counted = {name: np.zeros(self.channels, dtype=np.int64) for name in names}
        for tick, task, numbers in sorted(requests, key=lambda request: request[:2]):
            row = dict(zip(REQUEST_COLUMNS, numbers, strict=True))
            channel, size, way = row["channel"], row["bytes"], row["flags"] & IS_WRITE
            begin = max(tick, free[channel, way])
            openings = ceil(size / row["stripe_bytes"])
            free[channel, way] = begin + self.ticks(self.cycles(size, openings))
            completions.append((free[channel, way], task, DONE))
            if row["flags"] & WANTS_FIRST:
                piece = self.cycles(min(size, self.spec.burst_bytes), 1)
                completions.append((begin + self.ticks(piece), task, FIRST))
            counted["bytes_written" if way else "bytes_read"][channel] += size
            counted["row_misses"][channel] += 1
            counted["row_conflicts"][channel] += openings - 1
            counted["bus_busy_ps"][channel] += self.ticks(ceil(size / self.bytes_per_cycle))
        last = [max(free[channel, 0], free[channel, IS_WRITE]) for channel in range(self.channels)]
        return sorted(completions), {**counted, "last_data_ps": np.array(last, dtype=np.int64)}

    @property
    def bytes_per_cycle(self) -> int:
        """Whole bytes of a channel in a cycle."""
        return floor(self.spec.bandwidth_gb_per_s / self.spec.clock_ghz / self.channels)

    def cycles(self, size: int, openings: int) -> int:
        """Voxel's estimate, but at least CL and the data (V2)."""
        spec, data = self.spec, ceil(size / self.bytes_per_cycle)
        opening = (spec.t_cl + spec.t_rcd + spec.t_rp) * (self.cores / spec.unshared_cores) ** spec.sharing_exponent
        return max(int(openings * opening - spec.t_rp + data), spec.t_cl + data)

    def ticks(self, cycles: int) -> int:
        """Picoseconds of whole cycles, rounded up."""
        return ceil(cycles * self.spec.clock.num / self.spec.clock.den)
