"""A contiguous weight stream on each chip with stacked DRAM, against the limit of the bus net of refresh."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cairn.hw_models.chip import ChipSpec
from cairn.hw_models.dram.analytical import ChannelTimes, stream_rate
from cairn.hw_models.dram.voxel_estimator import VoxelEstimator
from cairn.sim.config.run_config import load
from cairn.validation.rows import Row
from cairn.validation.suites.stack.channel import Tiles, in_words, stream

CHIPS: Final = (
    "voxel-paper", "voxel-code", "hbm3-cube", "hybrid-bonded", "wide-tsv", "voxel-paper-stack", "voxel-code-stack",
)  # fmt: skip
QUEUE_TOO_SHORT: Final = "voxel-paper-stack"
"""16 cores share a bus of 750 GB/s: 32 bursts of 128 bytes are on it for 5.5 ns, an activate takes 8.75 ns."""
SHORT: Final = "32 bursts in the queue are over in 5.5 ns, an activate takes 8.75 ns: it cannot hide"
TILE: Final = 128 * 1024
LEAST_BYTES: Final = 4 << 20
IN_FLIGHT: Final = 4
"""assumed: tiles of 128 KiB, four in flight (`dma.load_depth`), as lowering writes them."""
REFRESHES: Final = 8
"""assumed: a stream lasts so many refresh intervals at least, so that a part of one hardly counts."""


def rows() -> Iterator[Row]:
    """Every chip with and without refresh."""
    for name in CHIPS:
        for refresh in ("none", "all_bank"):
            chip = load("demo", [f"chip={name}", f"chip.dram.refresh={refresh}"]).chip
            yield stream_row(chip, hides=name != QUEUE_TOO_SHORT)


def stream_row(chip: ChipSpec, *, hides: bool) -> Row:
    """The share of the bus that a stream reaches; it counts for the gate where activation can hide (`hides`)."""
    dram, channel_gb_per_s = chip.dram, chip.dram.bandwidth_gb_per_s / chip.channels
    least = max(LEAST_BYTES, REFRESHES * dram.t_refi / dram.clock_ghz * channel_gb_per_s)
    sets = min(chip.dma.load_depth, dram.banks_per_channel)
    found = stream(chip, Tiles(-int(-least // TILE), TILE, sets, IN_FLIGHT))
    rate = stream_rate(ChannelTimes.of(dram, chip.channels), dram.banks_per_channel)
    return Row(
        id=f"stream/{chip.name}/{dram.refresh}",
        kind="stream, activation can hide" if hides else "stream, activation cannot hide",
        reference=bus_limit(chip), prediction=found.gb_per_s / channel_gb_per_s, unit="share of the bus",
        source="1 - (t_rtp + t_rp + t_rfc + t_rcd - burst) / t_refi (see bus_limit)",
        counts=("bus_limit", "estimator") if hides else (), excluded={} if hides else {"bus_limit": SHORT},
        baselines={"voxel_estimator": estimator_share(chip), "closed_form": float(rate.share)},
        remark=f"{in_words(found.shares)}; closed form of one stream: {rate.limited_by}",
    )  # fmt: skip


def bus_limit(chip: ChipSpec) -> float:
    """Share of the bus that is left when refresh alone keeps data from it.

    Every t_refi the banks close and open again. From the last column command before to the first one after it these
    are t_rtp, t_rp, t_rfc and t_rcd, of which a burst's own time is not lost. Where t_rtp is less than half a burst, it
    is half a burst, for a refresh falls due anywhere in it.
    """
    dram = chip.dram
    if dram.refresh == "none":
        return 1.0
    burst = float(dram.slot_ticks(chip.channels)) * dram.clock_ghz / 1000
    lost = max(dram.t_rtp, burst / 2) + dram.t_rp + dram.t_rfc + dram.t_rcd - burst
    return 1 - lost / dram.t_refi


def estimator_share(chip: ChipSpec) -> float:
    """Share of the bus that Voxel's estimator gives a tile whose rows are read from end to end. It has no refresh."""
    estimator = VoxelEstimator.of(chip.dram, chip.channels, chip.core_count)
    cycles = int(estimator.cycles(TILE, estimator.openings(TILE, chip.dram.row_bytes)))
    return TILE / float(estimator.nominal_bytes_per_cycle) / cycles
