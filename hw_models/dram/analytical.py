"""Closed form of a channel of the stack that streams: the time of equal streams read or written together, and the rate
of an endless one with what limits it.

Vectorised: every argument and every field of `ChannelTimes` may be an array, and all are broadcast together, so that
one call prices many designs, many tiles, or both. It follows the rules S1 to S5 of `stack` and K1 to K10 of `control`.
Nothing is fitted. With bursts of p ps and a queue of N of them:

* A row that is to open is seen when its first burst enters the queue (S3), N bursts before its turn on the bus. What
  these do not hide of precharge, activate and row-to-column delay is lost. A first burst leaves the queue with its
  activate (K2), the others with their column command; the least period of rows at which no more than N wait is that of
  the window (`_window_period`).
* Rows open in groups: the rows of `streams` streams that move on together, or all banks where a stripe is less than a
  row. In a group rows open at the pace of activates (tRRD, tFAW / 4, commands on their bus); while they do, the bus
  serves what the queue holds of banks that are open (`_opening_loss`).
* A bank opens its next row when the last burst of the one before has closed (tRTP, tWR), tRAS is over, tRP and tRCD.
* Streams that share banks: in each bank the row of one closes that of another. The row that is open is served as long
  as the queue holds bursts of it (K5), so in turns of r bursts g = (2 N / r - 1) / (streams - 1) turns of each are
  served at a time, at least one: while one is served, the others' turns pile up until they fill the queue.
* Refresh (K10): from the last column command before to the first after it, once every tREFI, on average over arrivals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.hw_models.dram.spec import TIMINGS, DramSpec

FloatArray = npt.NDArray[np.float64]
Floats = FloatArray | float
BoolArray = npt.NDArray[np.bool_]

HALVINGS: Final = 24
"""Steps of the search for the period of rows that the queue allows: to 2**-24 of a row's latency."""
ENDLESS: Final = 1 << 20
"""Rows of each bank that stand for a stream without an end."""
LIMITS: Final = ("data bus", "activates", "row cycle", "queue window", "refresh")
"""What may limit an endless stream, as `ChannelRate` numbers it."""


@dataclass(frozen=True)
class ChannelTimes:
    """What the closed form needs of a channel: bytes, a queue in bursts, times in ps (`t_refi` inf: no refresh)."""

    row_bytes: Floats
    burst_bytes: Floats
    turn_bytes: Floats
    queue_requests: Floats
    slot: Floats
    command: Floats
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
        """The times of one of `channels` channels of `spec`, whose numbers may be arrays (`sim.twin.swept`).

        Timings are not rounded up to ticks of the channel (S1), which are a sixteenth of a cycle at most.
        """
        cycle = 1000 / np.asarray(spec.clock_ghz, dtype=np.float64)
        times: dict[str, Floats] = {name: getattr(spec, name) * cycle for name in TIMINGS}
        if spec.refresh == "none":
            times["t_refi"] = float("inf")
        names = ("row_bytes", "burst_bytes", "turn_bytes", "queue_requests")
        sizes = {name: np.asarray(getattr(spec, name), dtype=np.float64) for name in names}
        slot = sizes["burst_bytes"] * channels * 1000 / spec.bandwidth_gb_per_s
        return cls(**sizes, slot=slot, command=np.minimum(slot, cycle), **times)

    @classmethod
    def stack(cls, designs: Sequence[ChannelTimes]) -> ChannelTimes:
        """The times of several designs, as arrays of shape (designs,)."""
        return cls(**{f.name: np.array([getattr(design, f.name) for design in designs]) for f in fields(cls)})


@dataclass(frozen=True)
class _Streams:
    """Equal streams on a channel, all arrays of one shape: bursts (of a row, a stripe, a turn) and times in ps."""

    size: FloatArray
    banks: FloatArray
    count: FloatArray
    stripe: FloatArray
    turn: FloatArray
    row: FloatArray
    bursts: FloatArray
    """Of all streams together."""
    rows: FloatArray
    """That each stream opens."""
    p: FloatArray
    queue: FloatArray
    closing: FloatArray
    """From the last column command in a row to its precharge."""
    command: FloatArray
    t_rcd: FloatArray
    t_rp: FloatArray
    t_ras: FloatArray
    t_rrd: FloatArray
    t_faw: FloatArray

    @property
    def activates(self) -> FloatArray:
        """Between activates at the best sustained rate."""
        return np.asarray(np.maximum(np.maximum(self.t_rrd, self.t_faw / 4), self.command))

    def paced(self, precharge: FloatArray) -> FloatArray:
        """The same, where each activate has a precharge before it on the bus of rows or none."""
        return np.asarray(np.where(precharge > 0, np.maximum(self.activates, 2 * self.command), self.activates))

    @property
    def reopening(self) -> FloatArray:
        """From a precharge to the first column command in the next row."""
        return self.t_rp + self.t_rcd


def _shapes(times: ChannelTimes) -> list[tuple[int, ...]]:
    return [np.shape(getattr(times, each.name)) for each in fields(times)]


def _streams(
    times: ChannelTimes, size: FloatArray, banks: FloatArray, stripe: FloatArray, count: FloatArray, writes: BoolArray
) -> _Streams:  # fmt: skip
    shape = np.broadcast_shapes(size.shape, *_shapes(times))
    whole = np.minimum(times.turn_bytes, stripe)
    per_turn = np.ceil(whole / times.burst_bytes)
    bursts = size // whole * per_turn + np.ceil(size % whole / times.burst_bytes)
    full, rest = np.divmod(size, banks * times.row_bytes)
    p = np.asarray(times.slot, dtype=np.float64)
    columns: dict[str, npt.ArrayLike] = {
        "size": bursts, "banks": banks, "count": count, "stripe": np.minimum(stripe / times.burst_bytes, bursts),
        "turn": np.minimum(np.where(count > 1, per_turn, stripe / times.burst_bytes), bursts),
        "row": np.maximum(np.asarray(times.row_bytes) / times.burst_bytes, 1), "bursts": count * bursts,
        "rows": full * banks + np.minimum(banks, np.ceil(rest / stripe)),
        "p": p, "queue": times.queue_requests,
        "closing": np.where(writes, np.asarray(times.t_cl) + p + times.t_wr, times.t_rtp),
        "command": times.command, "t_rcd": times.t_rcd, "t_rp": times.t_rp, "t_ras": times.t_ras,
        "t_rrd": times.t_rrd, "t_faw": times.t_faw,
    }  # fmt: skip
    return _Streams(**{name: np.broadcast_to(np.asarray(x, dtype=np.float64), shape) for name, x in columns.items()})


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
    `stripe_bytes`. The banks are the same for all streams, in other rows (`shared_banks`), or are different ones.
    Arguments are broadcast; stripes and `turn_bytes` divide one another.
    """
    size, banks, stripe, n, shared, writes = np.broadcast_arrays(
        *(np.asarray(x, dtype=np.float64) for x in (stream_bytes, bank_count, stripe_bytes, streams)),
        np.asarray(shared_banks, dtype=bool), np.asarray(write, dtype=bool),
    )  # fmt: skip
    s = _streams(times, size, banks, stripe, n, writes)
    lost = np.where(shared & (n > 1), _shared(s), _apart(s))
    total = s.t_rcd + times.t_cl + s.bursts * s.p + lost
    return np.asarray(total / (1 - _refresh_share(times, s)), dtype=np.float64)


def _refresh_share(times: ChannelTimes, s: _Streams) -> FloatArray:
    """Share of the time in which refreshes hold the bus."""
    to_next = np.maximum(s.closing, s.p / 2) + s.reopening + times.t_rfc - s.p
    return np.asarray(np.maximum(to_next, 0) / times.t_refi)


def _apart(s: _Streams) -> FloatArray:
    """Ps that the bus waits for rows where streams have banks of their own.

    A group is what opens together: a row of each stream, with all its banks where stripes are less than a row and are
    not divided into turns. The banks' first rows are closed, later ones have the row before open.
    """
    fine = s.stripe < s.row
    whole = fine & (s.turn >= s.stripe)
    banks = np.minimum(s.banks, s.rows)
    zero, ahead = np.zeros_like(s.p), s.queue * s.p
    late = s.reopening - ahead
    first = _group_loss(s, zero, s.count * np.where(whole, banks, 1), zero)
    first += np.where(whole, 0, banks - 1) * _rows_loss(s, s.t_rcd - ahead, zero)
    since = ((s.banks - 1) * s.stripe * s.count + (s.count - 1) * s.turn + 1) * s.p
    round_ps = np.where(fine, s.row, s.stripe) * s.banks * s.count * s.p
    bank = np.maximum(s.closing + s.reopening - since, s.t_ras + s.t_rp - round_ps)
    once = _group_loss(s, np.maximum(late, bank), s.count * np.where(whole, s.banks, 1), s.t_rp)
    others = np.where(whole, 0, s.banks - 1) * _group_loss(s, late, s.count, s.t_rp)
    by_row = np.maximum(np.maximum(bank, 0) / s.banks, _rows_loss(s, late, s.t_rp))
    return np.asarray(first + (s.rows - banks) * np.where(fine, (once + others) / s.banks, by_row))


def _rows_loss(s: _Streams, late: FloatArray, precharge: FloatArray) -> FloatArray:
    """Ps lost at each group of rows, one of every stream, where one such group follows the other."""
    several = s.count * _beyond(s, s.stripe, precharge)
    one = _group_loss(s, late, s.count, precharge)
    return np.where(s.count == 1, several, np.where(s.queue < s.count * s.stripe, one, np.maximum(one, several)))


def _beyond(s: _Streams, bursts: FloatArray, precharge: FloatArray) -> FloatArray:
    return np.maximum(_window_period(s, bursts, precharge) - bursts * s.p, 0)


def _group_loss(s: _Streams, late: FloatArray, members: FloatArray, precharge: FloatArray) -> FloatArray:
    """Ps lost while the rows of a group open, the first `late` after its turn on the bus."""
    held = members * s.turn > s.queue
    in_turn = late + (members - 1) * _beyond(s, s.turn, precharge)
    loss = np.where(held, np.maximum(in_turn, late), _opening_loss(s, late, members, precharge))
    return np.asarray(np.maximum(loss, 0))


def _opening_loss(s: _Streams, late: FloatArray, members: FloatArray, precharge: FloatArray) -> FloatArray:
    """Ps lost while rows open of which all lie in the queue: the bus serves what is open, and no more than the queue
    lets enter while the bursts of closed rows take their places."""
    each = np.maximum(s.t_rrd, np.where(precharge > 0, 2, 1) * s.command)
    served, time = np.minimum(late / s.p, 0), np.array(late)
    for opened in range(1, int(members.max(initial=1))):
        more = opened < members
        closed = np.maximum(members - opened, 1) * s.turn
        most = s.queue // closed * members * s.turn + opened * s.turn + s.queue % closed - s.queue
        most = np.minimum(most, s.bursts * opened / members)
        fours, rest = divmod(opened, 4)
        then = late + np.maximum(opened * each, fours * s.t_faw + rest * each)
        now = np.maximum(served, np.minimum(served + (then - time) / s.p, most))
        served, time = np.where(more, now, served), np.where(more, then, time)
    return np.asarray(np.maximum(time - served * s.p, 0))


def _window_period(s: _Streams, bursts: FloatArray, precharge: FloatArray) -> FloatArray:
    """The least period of rows of so many bursts at which no more than the queue's slots wait, activates spaced.

    Of a row that entered i rows ago the first burst waits for its activate until `precharge` is over, burst x of the
    others until the row is open and the x before it are read.
    """
    latency = precharge + s.t_rcd
    low = np.maximum(s.paced(precharge), bursts * s.p)
    most = np.minimum(s.queue, np.ceil((latency + (bursts - 1) * s.p) / low)) + 1
    binds = _held(low, bursts, precharge, latency, s.p, most) > s.queue - 1
    if not binds.any():
        return low
    n, pre, wait, p, rows = (x[binds] for x in (bursts, precharge, latency, s.p, most))
    lower, upper = low[binds], wait + n * p
    for _ in range(HALVINGS):
        middle = (lower + upper) / 2
        fits = _held(middle, n, pre, wait, p, rows) <= s.queue[binds] - 1
        lower, upper = np.where(fits, lower, middle), np.where(fits, middle, upper)
    period = np.array(low)
    period[binds] = upper
    return period


def _held(
    period: FloatArray, bursts: FloatArray, precharge: FloatArray, latency: FloatArray, p: FloatArray, most: FloatArray
) -> FloatArray:  # fmt: skip
    """Bursts of earlier rows in the queue when a row's first burst enters, rows following at `period`."""
    held = np.zeros_like(period)
    for back in range(1, int(most.max(initial=0)) + 1):
        past = back * period
        others = np.clip(np.ceil(bursts - 1 - np.maximum((past - latency) / p, 0)), 0, bursts - 1)
        held += np.where(back <= most, (past < precharge) + others, 0)
    return held


@dataclass(frozen=True)
class StreamRate:
    """What an endless stream over all banks of a channel reaches, and why; arrays of one shape."""

    share: FloatArray
    """Of the channel's peak bandwidth."""
    bytes_per_s: FloatArray
    row_ps: dict[str, FloatArray]
    """Ps of a row by each of the first four LIMITS; the longest is its pace. Where the queue window is not what binds,
    its entry is the pace of the others that it was compared with."""
    refresh_share: FloatArray
    """Share of the time in which refreshes hold the bus."""

    @property
    def limited_by(self) -> npt.NDArray[np.str_]:
        """The limit that binds: the longest pace (of equal ones the first of LIMITS), or refresh where it takes half of
        the time or more."""
        longest = np.stack(np.broadcast_arrays(*(self.row_ps[name] for name in LIMITS[:4]))).argmax(axis=0)
        return np.array(LIMITS)[np.where(self.refresh_share >= 0.5, LIMITS.index("refresh"), longest)]


def stream_rate(
    times: ChannelTimes, bank_count: npt.ArrayLike, *, stripe_bytes: npt.ArrayLike | None = None,
    sharers: npt.ArrayLike = 1, write: npt.ArrayLike = False,
) -> StreamRate:  # fmt: skip
    """The rate of endless streams over `bank_count` banks, read or written.

    One stream (`sharers` 1), whose rows follow each other; several on banks of their own reach the same together as
    long as they are not in step, which loads in flight one behind the other are not. Or `sharers` streams in step that
    share all banks, in stripes of `stripe_bytes` (a row unless said otherwise).
    """
    stripe = np.asarray(times.row_bytes if stripe_bytes is None else stripe_bytes, dtype=np.float64)
    banks, count = (np.asarray(x, dtype=np.float64) for x in (bank_count, sharers))
    writes = np.asarray(write, dtype=bool)
    shape = np.broadcast_shapes(*(x.shape for x in (stripe, banks, count, writes)), *_shapes(times))
    size = np.broadcast_to(ENDLESS * np.asarray(times.row_bytes) * banks, shape)
    s = _streams(times, size, banks, stripe, count, writes)
    bus = s.row * s.p
    paces: tuple[FloatArray, ...] = (
        bus, s.paced(s.t_rp), _row_cycle(s, s.row) / s.banks, _window_period(s, s.row, s.t_rp),
    )  # fmt: skip
    changing = np.ones(())
    shared = s.count > 1
    if shared.any():
        together = _together(s)
        of_row = s.row / together.bursts
        others = (bus, s.activates * of_row, together.cycle * of_row, np.zeros(shape))
        paces = tuple(np.where(shared, x, y) for x, y in zip(others, paces, strict=True))
        changing = np.where(shared, together.changing, 1.0)
    pace = bus + changing * (np.maximum.reduce(paces) - bus)
    lost = _refresh_share(times, s)
    share = np.asarray(bus / pace * (1 - lost))
    peak = np.asarray(times.burst_bytes) / s.p * 1e12
    return StreamRate(share, share * peak, dict(zip(LIMITS, paces, strict=False)), lost)


def _row_cycle(s: _Streams, bursts: FloatArray) -> FloatArray:
    """Ps from one activate of a bank to its next, with so many bursts between."""
    return np.asarray(np.maximum(s.t_ras, s.t_rcd + (bursts - 1) * s.p + s.closing) + s.t_rp)


@dataclass(frozen=True)
class _Together:
    """How streams that share banks are served: bursts between changes of row, ps between such changes (over all banks)
    for which rows alone would ask, and the share of changes that have to wait for the row before."""

    bursts: FloatArray
    cycle: FloatArray
    changing: FloatArray


def _together(s: _Streams) -> _Together:
    """Turns of a stream that are served while its row is open, and how often rows change.

    A precharge is put off as long as the row has hits, if these follow faster than it may come after one (tRTP, tWR);
    else only until tRAS is over. The first change in each bank waits for nobody.
    """
    parallel = _banks_at_once(s)
    others = np.maximum(s.count - 1, 1) * parallel
    bursts = np.maximum(1, (2 * s.queue / s.turn - 1) / others) * s.turn
    until_ras = np.maximum(s.turn, np.floor((s.t_ras - s.t_rcd) / (s.p * parallel)) + 1)
    bursts = np.where(s.closing >= s.p, bursts, np.minimum(bursts, until_ras))
    banks = np.minimum(s.banks, s.rows)
    in_all = parallel >= banks
    bursts = np.minimum(bursts, np.where(in_all, np.minimum(s.row, s.size / banks), np.minimum(s.stripe, s.size)))
    changes = s.count * s.size / bursts
    visits = np.where(in_all, banks, np.maximum(np.ceil(s.size / s.stripe), 1))
    return _Together(bursts, _row_cycle(s, bursts) / parallel, np.maximum(1 - visits / changes, 0))


def _shared(s: _Streams) -> FloatArray:
    """Ps that the bus waits for rows where streams share their banks."""
    t = _together(s)
    pace = np.maximum(t.cycle, np.maximum(s.activates, t.bursts * s.p))
    again = t.changing * s.count * s.size / t.bursts * (pace - t.bursts * s.p)
    in_all = _banks_at_once(s) >= np.minimum(s.banks, s.rows)
    moves = np.where(in_all, np.minimum(s.banks, s.rows), np.maximum(np.ceil(s.size / s.stripe), 1)) - 1
    return np.asarray(again + moves * np.maximum(s.reopening - s.queue * s.p, 0))


def _banks_at_once(s: _Streams) -> FloatArray:
    """Banks whose rows change at a time, where streams in step go from bank to bank.

    The first turn in a bank enters the queue when all before it but a queue's worth are served. If banks follow each
    other after x turns of their own, the i-th bank before has count - i x turns left: as many as the queue holds. The
    greatest x over the number of banks that have any left is the solution.
    """
    banks = np.minimum(s.banks, s.rows)
    waiting = s.count - 1 / s.stripe
    held = (s.queue - s.stripe + 1) / s.stripe
    apart = np.zeros_like(s.p)
    for number in range(1, int(banks.max(initial=1)) + 1):
        apart = np.maximum(apart, 2 * (number * waiting - held) / (number * (number + 1)))
    return np.clip(s.count / np.maximum(apart, 1e-9), 1, banks)
