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
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ChannelTimes:
    """What the closed form needs of a channel: sizes in bytes, a window in runs, times in ps (`t_refi` inf: none)."""

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
        sizes = {name: float(getattr(spec, name)) for name in ("row_bytes", "burst_bytes", "run_bytes", "queue_runs")}
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
    run = np.ceil(np.ceil(np.minimum(whole, size) / times.burst_bytes) * times.slot)
    bus = n * (size // whole * run + np.ceil(np.ceil(size % whole / times.burst_bytes) * times.slot))
    streamed = bus + _gaps(times, size, banks, stripe, n, run, writes)
    chained = _lock_step(times, size, banks, stripe, n, run, writes)
    total = times.t_rcd + times.t_cl + np.where(shared & (n > 1), chained, streamed)
    lost = (times.t_rfc + times.t_rcd + times.t_cl - run / 2) / times.t_refi
    return np.asarray(np.maximum(total / (1 - np.maximum(lost, 0.0)), bus), dtype=np.float64)


def _gaps(
    times: ChannelTimes, size: FloatArray, banks: FloatArray, stripe: FloatArray, n: FloatArray, run: FloatArray,
    writes: BoolArray,
) -> FloatArray:  # fmt: skip
    """Ticks the bus waits for rows when `n` streams have banks of their own.

    Rows change at every stripe when a stripe is a row, else in all banks of a stream in one round. They cost what
    neither the other banks' data (`apart`) nor the window (`ahead`) hides, and the spacing of activates.
    """
    per_stripe = stripe / np.minimum(times.run_bytes, stripe)
    opened = _rows_opened(times, size, banks, stripe)
    again = opened - np.minimum(banks, np.ceil(size / stripe))
    apart = ((banks - 1) * per_stripe * n + n - 1) * run
    ahead = times.queue_runs * run
    rounds = np.where(stripe < times.row_bytes, np.ceil(again / banks), again)
    by_bank = rounds * np.maximum(_reopen(times, writes) - apart, 0)
    windows = np.maximum(n * np.ceil(size / np.minimum(times.run_bytes, stripe)) / times.queue_runs - 1, 0)
    with_rows = np.minimum(n * again, windows)
    by_window = with_rows * np.maximum(times.t_rp + times.t_rcd + times.t_cl - ahead, 0)
    by_window += (windows - with_rows) * np.maximum(times.t_cl - ahead, 0)
    spacing = (n * opened - 1) * np.maximum(_act_spacing(times) - per_stripe * run, 0)
    return np.asarray(spacing + np.maximum(by_bank, by_window))


def _lock_step(
    times: ChannelTimes, size: FloatArray, banks: FloatArray, stripe: FloatArray, n: FloatArray, run: FloatArray,
    writes: BoolArray,
) -> FloatArray:  # fmt: skip
    """Ticks from the first ACT to the last data when `n` streams share banks: each run closes the row of the other.

    Activates keep the order of admission, so the runs in one bank follow one another at its row cycle, and the
    next bank's first activate follows this bank's last.
    """
    runs = n * np.ceil(size / np.minimum(times.run_bytes, stripe))
    visits = np.where(banks > 1, np.ceil(size / stripe), 1.0)
    cycle = np.maximum(_row_cycle(times, run, writes), run)
    between = np.maximum(_act_spacing(times), run)
    return np.asarray((runs - visits) * cycle + (visits - 1) * between + run)


def _act_spacing(times: ChannelTimes) -> Floats:
    """Ticks between activates of different banks at the best sustained rate."""
    return np.maximum(times.t_rrd, np.asarray(times.t_faw) / 4)


def _rows_opened(times: ChannelTimes, size: FloatArray, banks: FloatArray, stripe: FloatArray) -> FloatArray:
    """Rows that one stream opens: all banks once per `banks` rows, and those that the rest reaches."""
    full, rest = np.divmod(size, banks * times.row_bytes)
    return np.asarray(full * banks + np.minimum(banks, np.ceil(rest / stripe)))


def _row_cycle(times: ChannelTimes, run: FloatArray, writes: BoolArray) -> FloatArray:
    """Ticks from one ACT of a bank to its next with one run between."""
    closed = np.where(writes, times.t_cl + run + times.t_wr, run - times.slot + times.t_rtp)
    return np.asarray(np.maximum(times.t_ras, times.t_rcd + closed) + times.t_rp)


def _reopen(times: ChannelTimes, writes: BoolArray) -> FloatArray:
    """Ticks from the end of a row's last data to the first data of the bank's next row."""
    closes = np.where(writes, times.t_wr + times.t_cl, times.t_rtp - times.slot)
    return np.asarray(closes + times.t_rp + times.t_rcd)
