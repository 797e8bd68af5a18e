"""Parameters of a chip's stacked DRAM."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Final, Literal

from pydantic import PrivateAttr, SerializerFunctionWrapHandler, model_serializer, model_validator

from cairn.base.spec import Spec, sourced
from cairn.base.ticks import Clock
from cairn.hw_models.dram.geometry import DERIVED, BandwidthTerms, StackSpec

_VOXEL = "reference/stacked3d/voxel.yaml"
_DEVICE = "reference/stacked3d/dram_device.yaml (dev.hbm2_8gb, DRAMsim3's HBM2_8Gb_x128)"
_KEPT = "its cycle count kept at the stack's clock, as Voxel keeps that device's 14-14-14-34"

TIMINGS = ("t_cl", "t_rcd", "t_rp", "t_ras", "t_rrd", "t_faw", "t_rtp", "t_wr", "t_wtr", "t_rtw", "t_rfc", "t_refi")
"""Names of the timing parameters, all in cycles of the DRAM clock."""

HOT_C: Final = 85.0
"""JEDEC (DDR3, JESD79-3: normal range to 85 C, extended to 95 C with twice the refreshes; HBM and LPDDR likewise)."""
DERATED: Final = ("t_rcd", "t_rp", "t_ras", "t_rrd")
"""Timings that LPDDR4 (JESD209-4) derates above 85 C."""
UNSAID: Final = ("stack", "temperature_c", "hot_derating_ns")
"""Fields that a resolved run does not name where they say nothing, so that its hash is what it was without them."""
WHOLE_BURSTS: Final = ("turn_bytes",)
"""Fields that are whole bursts; those of a stack follow it unless they are stated."""

_EXACT_BELOW = 1 << 40
_FINE = 1 << 16


class DramSpec(Spec):
    """Stacked DRAM of one chip; defaults are the published Voxel chip (arXiv 2604.26821, Tables 2 and 3).

    `bandwidth_gb_per_s` (1e9 B/s) is the sum over channels. `channels` None means one per core, resolved by the
    chip. Timings are in cycles of `clock_ghz`; `t_wtr` and `t_rtw` are gaps on the data bus. `model` says what a
    channel is: `controller` has a controller that reorders, with `queue_requests` bursts in the queue
    of reads and in that of writes (S3), requests that take turns by `turn_bytes` (S2), and writes that wait
    `write_wait_cycles` at most before they go first (S4); `voxel_estimator` charges each request with the closed form
    of Voxel's default mode (rules V1 to V4 in voxel_server.py, not physics), which multiplies row openings by
    (cores / `unshared_cores`) ** `sharing_exponent`.

    With a `stack`, the fields of `geometry.DERIVED` follow from it and are not stated: those of one channel from the
    stack alone, bandwidth, channels and capacity when a chip says how many cores there are (until then they are those
    of one channel). Above 85 C, `t_refi` is half of what is stated, and `hot_derating_ns` is added to DERATED.
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
    model: Literal["controller", "voxel_estimator"] = sourced(
        "controller", "this project: a controller as simulators of DRAM have it, exact against Ramulator 2.1"
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
    stack: StackSpec | None = sourced(None, "none unless given: the fields above are stated")
    temperature_c: float | None = sourced(None, "none unless given: not above 85 C", ge=-40, le=95)
    hot_derating_ns: float = sourced(
        0.0, "off: HBM's timings hold to 95 C; LPDDR4 (JESD209-4) derates by 1.875 ns above 85 C", ge=0, le=100
    )
    _stated: dict[str, int] = PrivateAttr(default_factory=dict)
    """Timings as they were stated, where the temperature changes them."""

    @model_validator(mode="before")
    @classmethod
    def _null_states_nothing(cls, data: Any) -> Any:
        """With a stack, null for a field that follows from it takes back what the file it starts from stated."""
        if not isinstance(data, dict) or data.get("stack") is None:
            return data
        return {name: value for name, value in data.items() if name not in DERIVED or value is not None}

    @model_validator(mode="after")
    def _derived(self) -> DramSpec:
        """Fill in what follows from the stack and from the temperature."""
        stack = self.stack
        if stack is not None:
            both = [f"dram.{name}" for name in DERIVED if name in self.model_fields_set]
            if both:
                raise ValueError(
                    f"dram.stack and {' and '.join(both)} are both given; the stack decides, so state one of them "
                    "(null takes back what a base file states)"
                )
            self.__dict__.update(stack.channel_fields(self.clock_ghz))
            if "turn_bytes" not in self.model_fields_set:  # a turn that ended inside a burst would read it twice
                bursts = 1 << max(self.turn_bytes // self.burst_bytes, 1).bit_length() - 1
                self.__dict__["turn_bytes"] = bursts * self.burst_bytes
            self.__dict__.update(stack.chip_fields(1, stack.terms(1, self.t_cl, self.clock_ghz, None)))
        if self.hot:
            added = math.ceil(Fraction(str(self.hot_derating_ns)) * Fraction(str(self.clock_ghz)))
            hot = {"t_refi": max(1, self.t_refi // 2), **{name: getattr(self, name) + added for name in DERATED}}
            self._stated.update({name: getattr(self, name) for name in hot})
            self.__dict__.update(hot)
        return self

    @model_validator(mode="after")
    def _consistent(self) -> DramSpec:
        if self.row_bytes % self.burst_bytes:
            raise ValueError(f"row_bytes {self.row_bytes} is not a multiple of burst_bytes {self.burst_bytes}")
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

    @model_serializer(mode="wrap")
    def _as_stated(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Plain data that validate as this spec again, here or in a chip with other cores: without what follows."""
        content: dict[str, Any] = handler(self) | self._stated
        fields = type(self).model_fields
        silent = {name for name in UNSAID if getattr(self, name) == fields[name].default}
        if self.stack is not None:
            silent |= {*DERIVED, *WHOLE_BURSTS} - (self.model_fields_set & {*WHOLE_BURSTS})
        return {name: value for name, value in content.items() if name not in silent}

    def over(self, cores: int, sram_gb_per_s: float) -> DramSpec:
        """This DRAM over so many cores, whose SRAM can be written at `sram_gb_per_s` altogether.

        ValueError where cores do not come in whole buses. Without a stack there is nothing to resolve.
        """
        if self.stack is None:
            return self
        if cores % self.stack.cores_per_bus:
            raise ValueError(
                f"the number of cores ({cores}) must be a multiple of dram.stack.cores_per_bus "
                f"({self.stack.cores_per_bus})"
            )
        found = self.model_copy()
        channels = cores // self.stack.cores_per_bus
        found.__dict__.update(self.stack.chip_fields(channels, self.terms(channels, sram_gb_per_s)))
        return found

    def terms(self, channels: int, sram_gb_per_s: float | None = None) -> BandwidthTerms:
        """What bounds the bandwidth of so many channels of a stack; without one, the bandwidth is what is stated."""
        if self.stack is None:
            return BandwidthTerms(self.bandwidth_gb_per_s, math.inf, math.inf)
        return self.stack.terms(channels, self.t_cl, self.clock_ghz, sram_gb_per_s)

    def vertical_gb_per_s(self, channels: int) -> float:
        """Rate of all vertical wires of so many channels, used or not: what their area follows. Arithmetic alone, so
        that arrays of designs do as well."""
        if self.stack is None:
            return self.bandwidth_gb_per_s
        return channels * self.stack.connected * self.stack.bus_bits * self.stack.wire_gbit_per_s / 8

    @property
    def hot(self) -> bool:
        """Whether it is refreshed twice as often."""
        return self.temperature_c is not None and self.temperature_c > HOT_C

    @property
    def clock(self) -> Clock:
        """The DRAM clock."""
        return Clock.from_ghz(self.clock_ghz)

    @property
    def moves_whole_bursts(self) -> bool:
        """Whether what a request moves is rounded up to bursts; Voxel's estimator counts bytes."""
        return self.model != "voxel_estimator"

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
