"""A GPU whose stacks of HBM3 have multipliers too: on the logic die (Logic-PIM of Duplex) or beside every bank.

One device, its three units, and the time that each takes for a product or for attention: the longer of computing and of
bringing the operands. Timings of the memory are those of its commands, and nothing is fitted:

* Cores read and write through the channels; Cairn's closed form of a stream (hw_models/dram/closed_form.py) says at
  which rate, with activates, the queue's window and refresh.
* A PIM unit reads one column of several banks at a time, which open and close together: columns follow at
  `mac_spacing`, and the row cycle is lost with each row. Inputs come, and outputs go, through the channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache, cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.base.spec import Spec, sourced
from cairn.hw_models.dram.closed_form import stream
from cairn.hw_models.dram.closed_ticks import ChannelTicks, Walk
from cairn.hw_models.dram.control.build import ControllerSpec
from cairn.hw_models.dram.device import Device, device

FloatArray = npt.NDArray[np.float64]

_PAPER: Final = "Duplex, arXiv 2409.01141"
_REPO: Final = "HeliosZhou/LLMSimulator @f71dde4"
_H100: Final = f"{_REPO} src/hardware/hardware_config.h, H100"
_TIMING: Final = f"{_REPO} patch/ramulator2_pim.patch, HBM3_5.2Gbps"
_SHAPE: Final = f"{_REPO} src/dram/memory_config.h, hbm3_80GB"
_LONG_STREAM: Final = 1 << 20
"""Requests of a stream that shows the rate with refresh, some hundred refreshes."""


class Unit(StrEnum):
    """What computes: the cores of the GPU, the logic die, or the banks."""

    CORES = "cores"
    LOGIC = "logic"
    BANK = "bank"


class PimSpec(Spec):
    """Multipliers in the memory: `banks_together` of a pseudo-channel give a column every `mac_spacing` clocks, for
    each byte of which there are `ops_per_byte` operations (a multiply and an add are two). With `shares_keys` what was
    read of keys and values serves all query heads that share them; otherwise they are read once for each."""

    banks_together: int = sourced(8, f"{_PAPER} section IV-C: a bundle of 8 banks", ge=1, le=1024)
    ops_per_byte: float = sourced(8.0, f"{_PAPER} section VI", gt=0)
    shares_keys: bool = sourced(True, f"{_REPO} src/hardware/attention_gen_impl.cpp, Logic: the longer of both")
    mac_spacing: int = sourced(4, f"{_TIMING}: ALL-RD to ALL-RD, nCCDL", ge=1, le=4096)
    read_to_precharge: int = sourced(6, f"{_TIMING}: ALL-RD to ALL-PRE, nRTPS", ge=0, le=4096)


class DuplexSpec(Spec):
    """A device: an H100 with HBM3 of 5.2 Gbit/s a pin, its links, and what its memory computes.

    GB/s are 1e9 bytes/s. `simulated_memory` false gives the bus its peak, as a roofline does, for cores and PIM alike.
    """

    peak_tflops: float = sourced(989.4, _H100 + ", FP16", gt=0)
    bandwidth_gb_per_s: float = sourced(3352.0, _H100, gt=0)
    stacks: int = sourced(5, _SHAPE, ge=1, le=64)
    channels: int = sourced(16, _SHAPE + ": 32 pseudo-channels of a stack", ge=1, le=1024)
    stack_gib: float = sourced(16.0, _PAPER + " section VI: stacks of 8 dies, 16 GB each", gt=0)
    clock_ps: int = sourced(769, f"{_TIMING}: 0.76923 ns a cycle", ge=1)
    refresh_ns: float = sourced(450.0, f"{_TIMING}: tRFC of HBM3_16Gb_2R (16 Gb)", ge=0)
    logic: PimSpec = sourced(PimSpec(), _PAPER)
    bank: PimSpec = sourced(
        PimSpec(banks_together=32, ops_per_byte=1.0, shares_keys=False),
        f"{_PAPER} section VI: x16 of the bandwidth, 1 op/B; attention as {_REPO} src/hardware/attention_gen_impl.cpp",
    )
    link_gb_per_s: float = sourced(450.0, _H100 + ", NVLink, each way", gt=0)
    link_us: float = sourced(0.8, _H100, ge=0)
    node_gb_per_s: float = sourced(50.0, _H100 + ", InfiniBand", gt=0)
    node_us: float = sourced(0.13, _H100, ge=0)
    simulated_memory: bool = sourced(True, "the reference's runs with its memory simulation")

    def pim(self, unit: Unit) -> PimSpec:
        """The parameters of a PIM unit; ConfigError for the cores, which are none."""
        if unit is Unit.CORES:
            raise ConfigError("cores are no PIM unit; ask for logic or bank", key="unit")
        return self.logic if unit is Unit.LOGIC else self.bank


_CLOCKS: Final = {
    "nCL": 19, "nRCDRD": 19, "nRCDWR": 19, "nRP": 19, "nRAS": 45, "nRC": 63, "nWR": 21, "nRTP": 8, "nCWL": 6,
    "nCCDR": 2, "nRRDS": 2, "nRRDL": 4, "nFAW": 39, "nWTRS": 8, "nWTRL": 11, "nRTW": 17, "nREFI": 5070,
}  # fmt: skip
"""HBM3_5.2Gbps of the reference's memory simulator; ranks change without a gap there (nCCDR = nCCDS), and nRTW is its
nCL + nBL + 2 - nCWL."""


@dataclass(frozen=True)
class DuplexDevice:
    """Times of one device in seconds."""

    spec: DuplexSpec

    @cached_property
    def memory(self) -> Device:
        """The channel of the device."""
        refresh = round(self.spec.refresh_ns * 1000 / self.spec.clock_ps)
        return device("HBM3_6400", clock_ps=self.spec.clock_ps, nRFC=refresh, **_CLOCKS)

    @cached_property
    def _known(self) -> tuple[dict[float, float], dict[float, float]]:
        """Clocks of streams of reads and of writes that were asked for before, by requests: operators repeat."""
        return {}, {}

    @cached_property
    def _ticks(self) -> tuple[ChannelTicks, ChannelTicks]:
        """The channel without and with refresh, for its closed form."""
        quiet, refreshed = (
            ChannelTicks.of(self.memory, ControllerSpec(refresh=refresh)) for refresh in ("none", "all_bank")
        )
        return quiet, refreshed

    @cached_property
    def _refresh_factors(self) -> tuple[float, float]:
        """How much longer a long stream of reads, and one of writes, takes with refreshes."""
        reads, writes = (
            self._stream_clocks(_LONG_STREAM, write, refresh=True)
            / self._stream_clocks(_LONG_STREAM, write, refresh=False)
            for write in (False, True)
        )
        return float(reads), float(writes)

    def peak_flops(self, unit: Unit) -> float:
        """Operations per second of a unit."""
        if unit is Unit.CORES:
            return self.spec.peak_tflops * 1e12
        return self.peak_bytes(unit) * self.spec.pim(unit).ops_per_byte

    def peak_bytes(self, unit: Unit) -> float:
        """Bytes per second that a unit reads while rows are open and nothing refreshes."""
        bus = self.spec.bandwidth_gb_per_s * 1e9
        if unit is Unit.CORES:
            return bus
        pim = self.spec.pim(unit)
        return bus * pim.banks_together * self.memory.clocks["nBL"] / pim.mac_spacing

    def bytes_s(self, unit: Unit, size: npt.ArrayLike, *, write: bool = False) -> FloatArray:
        """Seconds in which a unit reads (or the cores write) `size` bytes that lie over all channels."""
        given = np.asarray(size, dtype=np.float64)
        if np.any(given < 0):
            raise ConfigError("bytes cannot be negative", key="size")
        if not self.spec.simulated_memory:
            return np.asarray(given / self.peak_bytes(unit))
        clocks = self._streamed(given, write) if unit is Unit.CORES else self._rows(unit, given)
        return np.asarray(np.where(given > 0, clocks, 0.0) * self.spec.clock_ps * 1e-12)

    def _streamed(self, size: FloatArray, write: bool) -> FloatArray:
        """Clocks of a stream over a channel; refreshes take their mean share, as operators meet them at any phase."""
        width = self.memory.organisation.transaction_bytes * self.spec.stacks * self.spec.channels
        count = np.ceil(np.maximum(size, 1) / width)
        known, (counts, place) = self._known[write], np.unique(count, return_inverse=True)
        new = np.array([value for value in counts if value not in known])
        if new.size:
            known.update(zip(new, self._stream_clocks(new, write, refresh=False), strict=True))
        quiet = np.array([known[value] for value in counts])[place].reshape(count.shape)
        return np.asarray(quiet * self._refresh_factors[write])

    def _stream_clocks(self, count: npt.ArrayLike, write: bool, *, refresh: bool) -> FloatArray:
        """Clocks of requests that go round all banks of a channel, column after column."""
        o = self.memory.organisation
        walk = Walk(o.pc, o.bg, o.ba, o.rk, o.col, same_banks=True)
        return np.asarray(stream(self._ticks[refresh], count, walk, write=write).cycles / self.memory.ticks_per_clock)

    def _rows(self, unit: Unit, size: FloatArray) -> FloatArray:
        """Clocks of columns of banks that open and close together, from the first activate to the last data."""
        pim, memory = self.spec.pim(unit), self.memory
        o, at = memory.organisation, memory.clocks
        width = o.transaction_bytes * pim.banks_together * o.pc * self.spec.stacks * self.spec.channels
        columns = np.ceil(np.maximum(size, 1) / width)
        close = pim.read_to_precharge + at["nRP"]
        row = close + at["nRCDRD"] - pim.mac_spacing
        busy = columns * pim.mac_spacing + np.ceil(columns / o.col) * row
        share = (close + at["nRFC"] + at["nRCDRD"] - pim.mac_spacing) / at["nREFI"]
        if share >= 1:
            raise ConfigError("refreshes take all the time; make them shorter", key="refresh_ns")
        return np.asarray(busy / (1 - share) + at["nCL"] + at["nBL"])

    def product_s(
        self, unit: Unit, rows: npt.ArrayLike, inner: npt.ArrayLike, columns: npt.ArrayLike, element_bytes: float, *,
        x_bytes: float | None = None, y_bytes: float | None = None,
    ) -> FloatArray:  # fmt: skip
        """Seconds of y[rows, columns] = x[rows, inner] w[inner, columns]; none where there are no rows.

        `element_bytes` are those of an element of w, and of x and y where they are not given. Each is charged its own,
        as in the reference's memory simulation (HeliosZhou/LLMSimulator @f71dde4, src/hardware/linear_impl.cpp and
        getSize of src/module/tensor.cpp). Its roofline charges all three the bytes of w: the same for FP16 alone.
        """
        m, k, n = (np.asarray(value, dtype=np.float64) for value in (rows, inner, columns))
        compute = 2 * m * k * n / self.peak_flops(unit)
        through = Unit.CORES if self.spec.simulated_memory else unit  # a roofline gives all operands the unit's rate
        moved = (
            self.bytes_s(through, m * k * (element_bytes if x_bytes is None else x_bytes))
            + self.bytes_s(unit, k * n * element_bytes)
            + self.bytes_s(through, m * n * (element_bytes if y_bytes is None else y_bytes), write=True)
        )
        return np.asarray(np.where(m > 0, np.maximum(compute, moved), 0.0))

    def bytes_read(self, unit: Unit, size: float, ops: float) -> float:
        """Bytes that a unit reads of `size` bytes of keys and values for `ops` operations on them: once, or (a PIM unit
        that shares no keys) as often as it has too few operations for each byte."""
        if unit is Unit.CORES or self.spec.pim(unit).shares_keys or not size:
            return size
        return size * max(1.0, ops / (size * self.spec.pim(unit).ops_per_byte))

    def attend_s(self, unit: Unit, size: float, ops: float) -> float:
        """Seconds of one half of attention: `size` bytes of keys, or of values, and `ops` operations on them."""
        if unit is not Unit.CORES and not self.spec.pim(unit).shares_keys:
            times = self.bytes_read(unit, size, ops) / size if size else 1.0
            return float(self.bytes_s(unit, size)) * times
        return max(float(self.bytes_s(unit, size)), ops / self.peak_flops(unit))

    def all_reduce_s(self, devices: int, size: float) -> float:
        """Seconds of a ring over `devices`: 2 (devices - 1) hops of a part each."""
        if devices < 2:
            return 0.0
        return 2 * (devices - 1) * (self.spec.link_us * 1e-6 + size / devices / (self.spec.link_gb_per_s * 1e9))

    def exchange_s(self, size: float, nodes: int) -> float:
        """Seconds in which a device sends `size` bytes to others: over links inside a node, else between nodes."""
        if size <= 0:
            return 0.0
        if nodes == 1:
            return self.spec.link_us * 1e-6 + size / (self.spec.link_gb_per_s * 1e9)
        return self.spec.node_us * 1e-6 + size / (self.spec.node_gb_per_s * 1e9)


@cache
def duplex_device(spec: DuplexSpec) -> DuplexDevice:
    """The device of a specification, one for all who ask: it keeps the times that it has worked out."""
    return DuplexDevice(spec)
