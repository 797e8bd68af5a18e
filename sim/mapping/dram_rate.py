"""What a core's share of its DRAM channel delivers to a stream of tiles, for one chip or many.

Lowering ranks splits by it and the analytical twin times a step by it.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.dram.analytical import ChannelTimes, stream_rate
from cairn.sim.mapping.options import BankPlacement, MappingSpec

Floats = npt.NDArray[np.float64] | float

STREAMING: Final = ("controller",)
"""DRAM models whose streams go on at a steady rate; Voxel's estimator charges each request for itself."""


def dram_bytes_per_cycle(chip: ChipSpec, options: MappingSpec, tile_bytes: npt.ArrayLike) -> Floats:
    """Bytes a core clock cycle of a core's share of its channel; an array where the chip's numbers are arrays.

    `tile_bytes` is the size that tiles aim at.

    The loads in flight are taken as one stream over all banks (assumption 73). They are streams that meet in every bank
    where there is a single bank, where as many groups of cores that know nothing of each other share a channel as there
    are banks in the set of a load, and where tiles of several cores of a channel, which load in step, are spread over
    all banks.
    """
    peak = chip.dram.bandwidth_gb_per_s / chip.core_count / chip.clock_ghz
    if chip.dram.model != "controller":
        return peak
    stripe = _stripe_bytes(chip, options, np.asarray(tile_bytes))
    banks, depth = np.asarray(chip.dram.banks_per_channel), chip.dma.load_depth
    groups = max(1, chip.cores_per_channel // (options.core_group or chip.cores_per_channel))
    if options.banks is BankPlacement.SOFTWARE_AWARE:
        meet = (groups > 1) & (groups >= banks // np.minimum(banks, depth))
        sharers = np.where(banks == 1, groups * depth, np.where(meet, groups, 1))
    else:
        sharers = np.where((banks == 1) | (chip.cores_per_channel > 1), groups * depth, 1)
    times = ChannelTimes.of(chip.dram, chip.channels)
    return peak * stream_rate(times, banks, stripe_bytes=stripe, sharers=sharers).share


def _stripe_bytes(
    chip: ChipSpec, options: MappingSpec, tile_bytes: npt.NDArray[np.generic]
) -> npt.NDArray[np.float64]:
    """Stripes in which tiles lie: rows. Tiles that are spread over all banks have the least part of a row by halves
    that holds a tile's share of a bank (as `memory.py` gives it where rows are powers of two)."""
    row = np.asarray(chip.dram.row_bytes, dtype=np.float64)
    if options.banks is not BankPlacement.UNIFORM:
        return row
    share = np.maximum(tile_bytes / np.asarray(chip.dram.banks_per_channel), chip.dram.burst_bytes)
    return np.asarray(row / 2 ** np.floor(np.log2(np.maximum(row / share, 1))))
