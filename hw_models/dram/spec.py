"""Parameters of a chip's stacked DRAM."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from pydantic import model_validator

from cairn.base.spec import Spec, sourced
from cairn.base.ticks import Clock

_VOXEL = "reference/stacked3d/voxel.yaml"
_DEVICE = "reference/stacked3d/dram_device.yaml (dev.hbm2_8gb, DRAMsim3's HBM2_8Gb_x128)"
_KEPT = "its cycle count kept at the stack's clock, as Voxel keeps that device's 14-14-14-34"

TIMINGS = ("t_cl", "t_rcd", "t_rp", "t_ras", "t_rrd", "t_faw", "t_rtp", "t_wr", "t_wtr", "t_rtw", "t_rfc", "t_refi")
"""Names of the timing parameters, all in cycles of the DRAM clock."""

_EXACT_BELOW = 1 << 40
_FINE = 1 << 16


class DramSpec(Spec):
    """Stacked DRAM of one chip; defaults are the published Voxel chip (arXiv 2604.26821, Tables 2 and 3).

    `bandwidth_gb_per_s` (1e9 B/s) is the sum over channels. `channels` None means one per core, resolved by the
    chip. Timings are in cycles of `clock_ghz`; `t_wtr` and `t_rtw` are gaps on the data bus. `model` says what a
    channel is: `in_order` admits runs in the order of arrival, with `queue_runs` and `run_bytes` as the window and the
    granule of rules D2 and D1; `controller` has a controller that reorders, with `queue_requests` bursts in the queue
    of reads and in that of writes (S3), requests that take turns by `turn_bytes` (S2), and writes that wait
    `write_wait_cycles` at most before they go first (S4); `voxel_estimator` charges each request with the closed form
    of Voxel's default mode (rules V1 to V4 in voxel_server.py, not physics), which multiplies row openings by
    (cores / `unshared_cores`) ** `sharing_exponent`.
    """

    bandwidth_gb_per_s: float = sourced(12000.0, f"{_VOXEL} (vx.dram_bw.paper)", gt=0)
    channels: int | None = sourced(None, f"{_VOXEL} (vx.cores): one channel under each core", ge=1)
    banks_per_channel: int = sourced(16, f"{_VOXEL} (vx.dram_extra)", ge=1)
    row_bytes: int = sourced(8192, f"{_VOXEL} (vx.dram_row)", ge=1)
    burst_bytes: int = sourced(128, f"{_VOXEL} (vx.dram_if)", ge=1)
    capacity_gb: float = sourced(192.0, f"{_VOXEL} (vx.dram_capacity)", gt=0)
    clock_ghz: float = sourced(1.6, f"{_VOXEL} (vx.freq.paper)", gt=0)
    t_cl: int = sourced(14, f"{_VOXEL} (vx.dram_timing)", ge=1)
    t_rcd: int = sourced(14, f"{_VOXEL} (vx.dram_timing)", ge=0)
    t_rp: int = sourced(14, f"{_VOXEL} (vx.dram_timing)", ge=0)
    t_ras: int = sourced(34, f"{_VOXEL} (vx.dram_timing)", ge=0)
    t_rrd: int = sourced(4, f"{_VOXEL} (vx.dram_extra)", ge=0)
    t_faw: int = sourced(20, f"{_VOXEL} (vx.dram_extra)", ge=0)
    t_rtp: int = sourced(6, f"{_DEVICE}, tRTP_L; {_KEPT}", ge=0)
    t_wr: int = sourced(16, f"{_DEVICE}, tWR; {_KEPT}", ge=0)
    t_wtr: int = sourced(8, f"{_DEVICE}, tWTR_L; {_KEPT}", ge=0)
    t_rtw: int = sourced(
        2, "HBM2 read-to-write spacing CL + BL + 2 - CWL (CMU-SAFARI/ramulator2 @c5b1c3a4): 2 on the bus", ge=0
    )
    t_rfc: int = sourced(350, f"{_VOXEL} (vx.dram_extra)", ge=0)
    t_refi: int = sourced(12480, f"{_VOXEL} (vx.dram_extra)", ge=1)
    refresh: Literal["none", "all_bank"] = sourced(
        "none", f"{_VOXEL} (vx.dram_extra): Voxel has no refresh but an optional amortised factor"
    )
    queue_runs: int = sourced(
        32, "assumed: as deep in runs as Voxel's queue is in requests (reference/stacked3d/voxel.yaml, "
        "vx.trace_cache.window)", ge=1,
    )  # fmt: skip
    run_bytes: int = sourced(1024, "assumed: granule in which streams share a queue, 8 bursts", ge=1)
    model: Literal["in_order", "controller", "voxel_estimator"] = sourced(
        "controller", "this project: channels with a controller (rules S1 to S5)"
    )
    unshared_cores: int = sourced(
        128, f"{_VOXEL} (vx.dram_formula); NUM_BANKS of tsim_components/mem.py: cores with a bank each", ge=1
    )
    sharing_exponent: float = sourced(
        0.8, f"{_VOXEL} (vx.dram_formula): its code gives no source for it; 0 is no sharing", ge=0, le=1
    )
    queue_requests: int = sourced(
        32, f"{_VOXEL} (vx.trace_cache.window): requests that a channel looks at; reads and writes each", ge=1, le=4096
    )
    turn_bytes: int = sourced(
        4096, "AMBA AXI, IHI 0022: a burst of transfers does not cross a 4 KiB boundary", ge=1,
    )  # fmt: skip
    write_wait_cycles: int = sourced(
        256, "assumed: a waiting write is served before reads after about ten row cycles; watermarks alone hold it for "
        "ever while reads come (Ramulator 2, issue 100)", ge=0, le=1 << 30,
    )  # fmt: skip

    @model_validator(mode="after")
    def _consistent(self) -> DramSpec:
        if self.row_bytes % self.burst_bytes:
            raise ValueError(f"row_bytes {self.row_bytes} is not a multiple of burst_bytes {self.burst_bytes}")
        if self.run_bytes < self.burst_bytes:
            raise ValueError(f"run_bytes {self.run_bytes} is smaller than burst_bytes {self.burst_bytes}")
        if self.turn_bytes < self.burst_bytes:
            raise ValueError(f"turn_bytes {self.turn_bytes} is smaller than burst_bytes {self.burst_bytes}")
        for later, earlier, why in (
            ("t_ras", "t_rcd", "a row stays open for its first column command"),
            ("t_faw", "t_rrd", "four activates take longer than two"),
        ):
            if getattr(self, later) < getattr(self, earlier):
                raise ValueError(
                    f"{later} {getattr(self, later)} is less than {earlier} {getattr(self, earlier)}: {why}"
                )
        if self.refresh != "none" and self.t_refi <= self.t_rfc + self.t_rcd + self.t_cl + self.t_ras + self.t_rp:
            raise ValueError(
                f"t_refi {self.t_refi} leaves no time between refreshes; it must exceed t_rfc + t_rcd + t_cl + "
                f"t_ras + t_rp = {self.t_rfc + self.t_rcd + self.t_cl + self.t_ras + self.t_rp} cycles"
            )
        return self

    @property
    def clock(self) -> Clock:
        """The DRAM clock."""
        return Clock.from_ghz(self.clock_ghz)

    @property
    def moves_whole_bursts(self) -> bool:
        """Whether what a request moves is rounded up to bursts; Voxel's estimator counts bytes."""
        return self.model != "voxel_estimator"

    @property
    def granule_bytes(self) -> int:
        """Bytes of offset at whose multiples a channel that moves whole bursts cuts requests."""
        return self.run_bytes if self.model == "in_order" else self.turn_bytes

    def timing_ticks(self, name: str) -> int:
        """Ticks of the timing called `name` (one of TIMINGS), rounded up."""
        return self.clock.duration(int(getattr(self, name)))

    def channel_count(self, cores: int) -> int:
        """Channels of a chip with `cores` cores."""
        return self.channels if self.channels is not None else cores

    def capacity_per_channel_bytes(self, channels: int) -> int:
        """Whole bytes of one of `channels` channels."""
        return int(Fraction(str(self.capacity_gb)) * 10**9 / channels)

    def rows_per_bank(self, channels: int) -> int:
        """Whole rows of a bank of one of `channels` channels."""
        return self.capacity_per_channel_bytes(channels) // (self.banks_per_channel * self.row_bytes)

    def bytes_per_cycle(self, channels: int) -> Fraction:
        """Bytes that one of `channels` channels moves in a cycle of the DRAM clock at peak."""
        return Fraction(str(self.bandwidth_gb_per_s)) / Fraction(str(self.clock_ghz)) / channels

    def sharing_factor(self, cores: int) -> float:
        """How much longer Voxel's estimator takes to open a row on a chip of `cores` cores."""
        return float((cores / self.unshared_cores) ** self.sharing_exponent)

    def slot_ticks(self, channels: int) -> Fraction:
        """Ticks that one burst occupies the bus of one of `channels` channels.

        Exact where the fraction has fewer than 40 bits above the line, else rounded up to 2**-16 ps, so that run
        times stay within 64-bit integers and never beat the bandwidth.
        """
        slot = Fraction(self.burst_bytes * channels * 1000) / Fraction(str(self.bandwidth_gb_per_s))
        if slot.numerator < _EXACT_BELOW:
            return slot
        return Fraction(-(-slot.numerator * _FINE // slot.denominator), _FINE)
