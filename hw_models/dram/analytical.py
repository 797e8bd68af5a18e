"""Closed form of a DRAM channel that streams: the time of equal streams read or written together.

Vectorised: every argument and every field of `ChannelTimes` may be an array, and all are broadcast together, so
that one call prices many designs, many tiles, or both. It follows the rules of the package's docstring; where a
window or a bank forces a gap between runs it charges the gap of the steady state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from cairn.hw_models.dram.spec import TIMINGS, DramSpec

FloatArray = npt.NDArray[np.float64]
Floats = FloatArray | float


@dataclass(frozen=True)
class ChannelTimes:
    """What the closed form needs of one channel: sizes in bytes, a window in runs, and times in ps (`t_refi` inf: none)."""

    row_bytes: Floats
    burst_bytes: Floats
    run_bytes: Floats
    queue_runs: Floats
    slot: Floats
    t_cl: Floats
    t_rcd: Floats
    t_rp: Floats
    t_ras: Floats
    t_rrd: Floats
    t_faw: Floats
    t_rtp: Floats
    t_wr: Floats
    t_wtr: Floats
    t_rtw: Floats
    t_rfc: Floats
    t_refi: Floats

    @classmethod
    def of(cls, spec: DramSpec, channels: int) -> ChannelTimes:
        """The times of one of `channels` channels of `spec`."""
        times: dict[str, float] = {name: float(spec.timing_ticks(name)) for name in TIMINGS}
        if spec.refresh == "none":
            times["t_refi"] = float("inf")
        sizes = {
            name: float(getattr(spec, name)) for name in ("row_bytes", "burst_bytes", "run_bytes", "queue_runs")
        }
        return cls(**sizes, slot=float(spec.slot_ticks(channels)), **times)

    @classmethod
    def stack(cls, designs: Sequence[ChannelTimes]) -> ChannelTimes:
        """The times of several designs, as arrays of shape (designs,)."""
        return cls(**{f.name: np.array([getattr(design, f.name) for design in designs]) for f in fields(cls)})


def stream_ps(
    times: ChannelTimes,
    stream_bytes: npt.ArrayLike,
    bank_count: npt.ArrayLike,
    stripe_bytes: npt.ArrayLike,
    *,
    streams: npt.ArrayLike = 1,
    shared_banks: npt.ArrayLike = False,
    write: npt.ArrayLike = False,
) -> FloatArray:
    """Picoseconds from the arrival of `streams` requests, all at once on an idle channel, to the end of their data.

    Each moves `stream_bytes` from the beginning of rows that are not open, over `bank_count` banks in stripes of
    `stripe_bytes`. The banks are the same for all streams (`shared_banks`: they run in lock-step and every run
    of another stream closes the row), or are different ones. Arguments are broadcast; stripes and `run_bytes`
    divide one another.
    """
    size, banks, stripe, n, shared, writes = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (stream_bytes, bank_count, stripe_bytes, streams)),
        np.asarray(shared_banks, dtype=bool), np.asarray(write, dtype=bool),
    )  # fmt: skip
    whole = np.minimum(times.run_bytes, stripe)
    per_run = np.ceil(np.ceil(np.minimum(whole, size) / times.burst_bytes) * times.slot)
    runs = n * np.ceil(size / whole)
    bus = n * (size // whole * per_run + np.ceil(np.ceil(size % whole / times.burst_bytes) * times.slot))
    row_cycle, reopen = _bank_cycles(times, per_run, writes)
    lock_step = shared & (n > 1)

    visits = np.where(lock_step, runs, n * _rows_opened(times, size, banks, stripe))
    activates = visits * np.maximum(times.t_rrd, times.t_faw / 4)
    runs_per_stripe = stripe / whole
    at_once = np.clip(times.queue_runs / (n * runs_per_stripe), 1, banks)
    conflicts = np.where(lock_step, runs * row_cycle / at_once, 0.0)

    apart = ((banks - 1) * runs_per_stripe * n + n - 1) * per_run
    unhidden = np.maximum(reopen - apart, times.t_rp + times.t_rcd + times.t_cl - times.queue_runs * per_run)
    switches = _rows_opened(times, size, banks, stripe) - np.minimum(banks, np.ceil(size / stripe))
    gaps = np.where(lock_step, 0.0, np.maximum(unhidden, 0.0) * switches)

    total = times.t_rcd + times.t_cl + np.maximum(np.maximum(bus + gaps, activates), conflicts)
    lost = (times.t_rfc + times.t_rcd + times.t_cl - per_run / 2) / times.t_refi
    return np.asarray(np.maximum(total / (1 - np.maximum(lost, 0.0)), bus), dtype=np.float64)


def _rows_opened(times: ChannelTimes, size: FloatArray, banks: FloatArray, stripe: FloatArray) -> FloatArray:
    """Rows that one stream opens: all banks once per `banks` rows, and those that the rest reaches."""
    full, rest = np.divmod(size, banks * times.row_bytes)
    return np.asarray(full * banks + np.minimum(banks, np.ceil(rest / stripe)))


def _bank_cycles(
    times: ChannelTimes, per_run: FloatArray, writes: npt.NDArray[np.bool_]
) -> tuple[FloatArray, FloatArray]:
    """Ticks from one ACT of a bank to the next with one run between, and from a run's end to the next row's data."""
    reads_close = per_run - times.slot + times.t_rtp
    writes_close = times.t_cl + per_run + times.t_wr
    closed = times.t_rcd + np.where(writes, writes_close, reads_close)
    row_cycle = np.maximum(times.t_ras, closed) + times.t_rp
    after_end = np.where(writes, times.t_wr + times.t_cl, times.t_rtp - times.slot)
    return np.asarray(row_cycle), np.asarray(after_end + times.t_rp + times.t_rcd)
