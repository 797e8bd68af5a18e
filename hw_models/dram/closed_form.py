"""Closed forms of one channel under the controller of `control/`: cycles of whole request lists, from timings alone.

Vectorised: every argument and every field of `ChannelTicks` may be an array, and all are broadcast together. Nothing is
fitted. Each form names what binds (`ClosedForm.limited_by`, the names of control/layout.py).

How the time comes about, with n requests of p ticks each (rules K1..K13 are those of control/__init__.py):

* p is the longest of: data bus; spacing of column commands, in a bank group and outside; spacing of activates, by pairs
  and by fours; the row cycle over the banks in turn; commands of a request on their bus, which all pseudo-channels
  share.
* Window. A stream walks one set of banks, then goes on in another, whose rows must be opened. The first request of a
  new row is seen when it enters the queue (K1); the requests ahead of it, as many as the queue has slots, hide
  that many p of precharge, activate and row-to-column delay (K2). What is left is lost once for each set. After
  that the banks open one by one, and until enough are open the spacing inside a bank group binds.
* Refresh (K10). Each costs the time from the last column command before it to the first after it. It leaves all banks
  closed, so that the rows up to the next visit of a bank open without a precharge.
* Queue of random requests. A request leaves its slot with its activate (K2). Until then it waits for its bank, for
  commands on their bus and for its turn among the activates: queues whose mean lengths are those of deterministic
  service (Pollaczek and Khinchine), with an arrival that sees the N - 1 others of N slots (Schweitzer, 1979). The
  rate is the one at which these waits fill the slots.

What the forms leave out is in the docstring of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.hw_models.dram.closed_refresh import Work, refreshing, with_refresh
from cairn.hw_models.dram.closed_ticks import ChannelTicks, FloatArray, Floats, Walk, all_banks, floats
from cairn.hw_models.dram.control import layout as ix

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

HELD_BACK: Final = 1.1
"""assumed: where the queue costs more than a tenth of the pace, it is what binds."""
HALVINGS: Final = 48
"""Steps of the search for the rate at which the queue is full: to 2**-48 of the greatest rate."""


@dataclass(frozen=True)
class ClosedForm:
    """Cycles (ticks of the device, as ChannelResult.cycles) and the number of the cause that binds (layout.CAUSES)."""

    cycles: FloatArray
    bound: IntArray

    @property
    def limited_by(self) -> npt.NDArray[np.str_]:
        """The name of the binding cause, an array of the shape of `cycles`."""
        return np.array(ix.CAUSES)[self.bound]


def _formed(cycles: FloatArray, bound: npt.ArrayLike) -> ClosedForm:
    """A form whose cause has the shape of its cycles."""
    return ClosedForm(np.asarray(cycles), np.array(np.broadcast_to(bound, np.shape(cycles))))


@dataclass(frozen=True)
class _Pace:
    """A steady rate: ticks a request, and the cause that binds."""

    ticks: FloatArray
    bound: IntArray


def _longest(bounds: dict[int, Floats]) -> _Pace:
    """The longest of ticks by cause; of equal ones the first."""
    values = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in bounds.values()))
    stacked = np.stack(values)
    return _Pace(stacked.max(axis=0), np.array(list(bounds))[stacked.argmax(axis=0)])


def stream(
    ticks: ChannelTicks, count: npt.ArrayLike, walk: Walk, *, write: npt.ArrayLike = False, interval: npt.ArrayLike = 0
) -> ClosedForm:
    """`count` reads or writes in address order, request i offered from tick i * interval on, on an idle channel.

    Left out: the phase of refreshes within a set of banks, and that a pseudo-channel whose refresh comes first runs
    ahead of the other.
    """
    n, writes = floats(count), np.asarray(write, dtype=bool)
    pace = _stream_pace(ticks, walk, writes)
    found = _walked(ticks, n, walk, writes, pace, 0.0)
    idle = np.where(writes, ticks.act_to_write, ticks.act_to_read + floats(ticks.read_end))
    return _offered(found.cycles, found.bound, n, interval, idle)


def _walked(
    ticks: ChannelTicks, n: FloatArray, walk: Walk, writes: BoolArray, pace: _Pace, extra: Floats
) -> ClosedForm:
    """`n` requests of a walk: its sets of banks, each with what its rows' opening leaves exposed, and refreshes.

    `extra` ticks are added to each request, for what has nothing to do with rows that follow each other.
    """
    p = pace.ticks
    opening = np.where(writes, ticks.act_to_write, ticks.act_to_read)
    closing = np.where(walk.same_banks, np.where(writes, ticks.write_to_precharge, ticks.read_to_precharge), 0)
    set_size = walk.banks * walk.pseudo * walk.run
    steady = set_size * (p + floats(extra))
    missed, conflicted = (
        np.maximum(steady - _overlap(ticks, walk, writes, p, latency) + _exposed(ticks, walk, writes, p, latency),
                   np.where(walk.same_banks, ticks.row_cycle, 0))
        for latency in (opening, closing + ticks.precharge + opening)
    )  # fmt: skip
    sets = all_banks(ticks) / (walk.banks * walk.pseudo)
    begin = 1 + opening + _exposed(ticks, walk, writes, p, floats(0), hidden=False)
    close = np.where(writes, ticks.write_to_close, ticks.read_to_close)
    lost = close + refreshing(ticks) + begin - 1 - p * walk.pseudo
    busy = with_refresh(ticks, n - 1, Work(set_size, sets - 1, missed, conflicted), begin, lost)
    waits = conflicted > HELD_BACK * set_size * (p + floats(extra))
    return _formed(busy + np.where(writes, 0, ticks.read_end), np.where(waits, ix.QUEUE, pace.bound))


def _queue(ticks: ChannelTicks, writes: BoolArray) -> FloatArray:
    return np.where(writes, floats(ticks.write_queue), ticks.read_queue)


def _in_group(ticks: ChannelTicks, writes: BoolArray) -> FloatArray:
    return np.where(writes, floats(ticks.write_gap_group), ticks.read_gap_group)


def _stream_pace(ticks: ChannelTicks, walk: Walk, writes: BoolArray) -> _Pace:
    """Ticks a request while the rows of a set are open."""
    gap = np.where(writes, floats(ticks.write_gap), ticks.read_gap)
    return _longest({
        ix.DATA_BUS: ticks.burst / floats(walk.pseudo),
        ix.COLUMN_SPACING: np.maximum(gap, _in_group(ticks, writes) / floats(walk.groups)) / walk.pseudo,
        ix.COMMAND_BUS: ticks.column_command,
    })  # fmt: skip


def _exposed(
    ticks: ChannelTicks, walk: Walk, writes: BoolArray, p: FloatArray, latency: FloatArray, *, hidden: bool = True
) -> FloatArray:
    """Ticks lost while the rows of a set open, the first after `latency`, the others at the spacing of activates.

    While the requests ahead last, nothing is lost (`hidden`). Then, with j rows open, a request takes `spacing in a
    group` / j at least; and no more are served than come into view while the queue fills with requests of closed banks.
    """
    queue, pseudo = _queue(ticks, writes), floats(walk.pseudo)
    ahead = np.where(walk.same_banks, np.minimum(queue, walk.banks * pseudo), queue) * p if hidden else floats(0)
    apart = np.maximum(ticks.act_gap, np.where(walk.banks > 4, floats(ticks.four_acts) / 4, 0))
    lost = np.maximum(latency - ahead, 0)
    served = np.zeros(np.broadcast_shapes(lost.shape, walk.banks.shape))
    for rows in range(1, int(walk.banks.max(initial=1))):
        begin = latency + (rows - 1) * apart
        left = np.where(rows < walk.banks, np.clip(begin + apart - np.maximum(ahead, begin), 0, apart), 0)
        able = left / np.maximum(p, _in_group(ticks, writes) / (rows * pseudo))
        closed = np.maximum(walk.banks - rows, 1)
        seen = np.maximum(rows * pseudo + rows * queue / closed - served, 0)
        now = np.minimum(able, seen)
        served, lost = served + now, lost + left - now * p
    return np.asarray(lost)


def _overlap(
    ticks: ChannelTicks, walk: Walk, writes: BoolArray, p: FloatArray, latency: FloatArray
) -> FloatArray:
    """Ticks that a set saves because the next one, elsewhere, is served beside its last requests.

    When the first of the next set have their row open, `left` of this one are waiting; from then on both are served in
    turn, at `both` ticks a request.
    """
    turns = np.asarray(walk.turn_pseudo, dtype=bool) | np.asarray(walk.turn_groups, dtype=bool)
    pseudo = np.where(walk.turn_pseudo, ticks.pseudo_channels, walk.pseudo)
    gap = np.maximum(np.where(writes, floats(ticks.write_gap), ticks.read_gap), ticks.burst) / pseudo
    both = np.maximum(np.maximum(gap, p / 2), ticks.column_command)
    left = np.clip(np.minimum(_queue(ticks, writes), walk.run) - latency / p, 0, floats(walk.run) / 2)
    return np.where(turns, left * 2 * (p - both), 0.0)


def mixed_streams(
    ticks: ChannelTicks, count: npt.ArrayLike, walk: Walk, *, reads: int = 2, writes: int = 1
) -> ClosedForm:
    """`count` requests, by turns `reads` of one stream and `writes` of another in other rows of the same banks.

    The controller turns to writes once their queue is filled and back when it is nearly empty (K4): each time `turn`
    ticks on the bus, or, where both streams are in the same set of banks (one set in so many), the rows' reopening.
    Left out: where in their sets the two streams are, so that short lists may meet more or less often.
    """
    n, no = floats(count), np.asarray(False)
    read, write = _stream_pace(ticks, walk, no), _stream_pace(ticks, walk, ~no)
    share = writes / (reads + writes)
    pace = _Pace((1 - share) * read.ticks + share * write.ticks, read.bound)
    usual = 2 * pace.ticks * walk.pseudo
    turn = floats(ticks.read_to_write) + ticks.write_to_read - usual
    to_write = ticks.read_to_precharge + ticks.precharge + floats(ticks.act_to_write)
    to_read = ticks.write_to_precharge + ticks.precharge + floats(ticks.act_to_read)
    ramps = sum(_exposed(ticks, walk, kind, pace.ticks, floats(0), hidden=False) for kind in (no, ~no))
    reopening = np.maximum(to_write, ticks.read_to_write) + np.maximum(to_read, ticks.write_to_read) + ramps - usual
    meeting = np.minimum(walk.banks * walk.pseudo / all_banks(ticks), 1)
    each = (1 - meeting) * turn + meeting * reopening
    extra = each * share / ticks.writes_at_once
    found = _walked(ticks, n, walk, no, pace, extra)
    return _formed(found.cycles, np.where(extra > (HELD_BACK - 1) * pace.ticks, ix.TURNAROUND, found.bound))


def two_streams(
    ticks: ChannelTicks, count: npt.ArrayLike, walk: Walk, *, first: int = 7, second: int = 1
) -> ClosedForm:
    """`count` reads, by turns `first` of one stream and `second` of another in other rows of the same banks.

    They meet where both are in the same set of banks (one set in so many). While hits of the first follow each other
    closer than the row may close, the second waits until the queue is full of its requests, and rows change twice for
    all of them. Else each request of the second closes the row of the first: a bank then takes two row cycles for its
    part of a turn. Left out: requests that share a row opened for another, and where in their sets the streams are.
    """
    n, no, turn = floats(count), np.asarray(False), first + second
    pace = _stream_pace(ticks, walk, no)
    closing = ticks.read_to_precharge + floats(ticks.precharge)
    between = np.maximum(walk.banks * walk.pseudo * pace.ticks, ticks.read_gap_group)
    gathered = pace.ticks + 2 * (closing + ticks.act_to_read) * second / (turn * floats(ticks.read_queue))
    hits = ticks.act_to_read + (first - 1) * floats(ticks.read_gap_group) + closing
    cycles = np.maximum(hits, ticks.row_cycle) + second * floats(ticks.row_cycle)
    single = cycles / (turn * walk.banks * walk.pseudo)
    together = np.where(between < ticks.read_to_precharge, gathered, single)
    meeting = np.minimum(walk.banks * walk.pseudo / all_banks(ticks), 1)
    extra = meeting * np.maximum(together - pace.ticks, 0)
    found = _walked(ticks, n, walk, no, pace, extra)
    return _formed(found.cycles, np.where(extra > (HELD_BACK - 1) * pace.ticks, ix.ROW_CYCLE, found.bound))


def one_bank(
    ticks: ChannelTicks, count: npt.ArrayLike, *, run: npt.ArrayLike = 1, write: npt.ArrayLike = False
) -> ClosedForm:
    """`count` requests of one bank, `run` of each row, then the next row; its refresh is the first in its turn.

    A refresh costs itself alone: the row is to be closed anyway.
    """
    n, writes, inside = floats(count), np.asarray(write, dtype=bool), floats(run)
    row = _row_ticks(ticks, inside, writes)
    rows = np.ceil(n / inside)
    opening = np.where(writes, ticks.act_to_write, ticks.act_to_read)
    last = opening + (n - (rows - 1) * inside - 1) * _in_group(ticks, writes)
    busy = with_refresh(ticks, rows - 1, Work.even(row), 1, floats(ticks.refresh_to_act)) + last
    cycles = busy + np.where(writes, 0, ticks.read_end)
    return _formed(cycles, ix.ROW_CYCLE)


def _row_ticks(ticks: ChannelTicks, hits: FloatArray, writes: BoolArray) -> FloatArray:
    """Ticks from one activate of a bank to the next, `hits` requests between.

    They are whole clocks, with a tick to start the data clock where it has stopped (K13).
    """
    opening = np.where(writes, ticks.act_to_write, ticks.act_to_read)
    closing = np.where(writes, ticks.write_to_precharge, ticks.read_to_precharge) + ticks.precharge
    runs = np.where(writes, ticks.write_clock, ticks.read_clock)
    opening = opening + np.where(opening + closing > runs, 1, 0)
    least = opening + (hits - 1) * _in_group(ticks, writes) + closing
    return np.maximum(ticks.row_cycle, np.ceil(least / ticks.clock) * ticks.clock)


def two_rows(ticks: ChannelTicks, count: npt.ArrayLike) -> ClosedForm:
    """`count` reads of two rows of one bank in turn, as many as a row has, then of the next two.

    While hits follow each other closer than the row may close, all of the row that come into view are read before the
    other: the queue is then full of the other row, whose turn is twice the queue long; the first and the last turn of
    the pair of rows are cut short. Else a row is closed as soon as it may be.
    """
    n, columns, no = floats(count), floats(ticks.columns), np.asarray(False)
    gap, opening, queue = floats(ticks.read_gap_group), floats(ticks.act_to_read), floats(ticks.read_queue)
    stays = gap < ticks.read_to_precharge
    turns = np.where(columns > queue, columns / queue + 2, 2)
    while_open = np.maximum(np.floor((ticks.row_open - opening) / gap) + 1, 1)
    hits = np.where(stays, 2 * columns / turns, while_open)
    row = _row_ticks(ticks, hits, no)
    busy = with_refresh(ticks, n - 1, Work.even(row / hits), 1 + opening, floats(ticks.refresh_to_act))
    return _formed(busy + ticks.read_end, ix.ROW_CYCLE)


def bank_round(ticks: ChannelTicks, count: npt.ArrayLike, walk: Walk) -> ClosedForm:
    """`count` reads, each of a new row in the next bank of a walk (Walk.all_banks, Walk.one_group)."""
    n = floats(count)
    pace = _opening_pace(ticks, walk)
    met = _met_by_reads(ticks, walk, pace.ticks * walk.pseudo)
    bound = np.where(met > pace.ticks, ix.COMMAND_BUS, pace.bound)
    return _opened(ticks, n, np.maximum(pace.ticks, met), bound)


def _met_by_reads(ticks: ChannelTicks, walk: Walk, spacing: FloatArray) -> FloatArray:
    """Ticks a request where activates meet reads on one command bus; 0 where they do not.

    A read has priority. Where the read of an earlier activate is on the bus whenever an activate is due, that activate
    waits for its end, and so does the one that follows it at the same distance, again and again. Activates come evenly,
    or in fours at their least spacing.
    """
    apart = np.maximum(floats(ticks.act_gap), ticks.act_gap_group / floats(walk.groups))
    read, length = floats(ticks.act_to_read), floats(ticks.column_command)
    later = np.ceil(read / spacing)
    even = np.where(later * spacing < read + length, (read + length) / np.maximum(later, 1), 0)
    period = np.maximum(4 * spacing, ticks.four_acts)
    worst = np.zeros(np.broadcast_shapes(period.shape, apart.shape, read.shape))
    for earlier in range(4):
        for due in range(4):
            begins = read + (earlier - due) * apart
            periods = np.ceil(np.maximum(begins, 1) / period)
            meets = periods * period < begins + length
            worst = np.maximum(worst, np.where(meets, (begins + length) / periods, 0))
    met = np.where(4 * apart < period, worst / 4, even)
    return np.where(ticks.row_bus_shared, met / walk.pseudo, 0.0)


def _share_meeting(ticks: ChannelTicks) -> FloatArray:
    """For which share of the time random reads meet activates where a steady round of banks would: all of it, or half.

    Where the data bus is no slower than the activates, reads that are late once stay late, and come after the activates
    from then on, until a refresh puts all back in step. How long that takes has no form: with refresh it is taken to be
    longer than the time between two; without, the truth lies between always and never, and the middle is taken.
    """
    drains = floats(ticks.burst) < np.maximum(ticks.act_gap, floats(ticks.four_acts) / 4)
    return np.where(drains | np.isfinite(ticks.refresh_interval), 1.0, 0.5)


def random_reads(ticks: ChannelTicks, count: npt.ArrayLike, *, interval: npt.ArrayLike = 0) -> ClosedForm:
    """`count` reads of random transactions of the whole channel, request i offered from tick i * interval on.

    Left out: hits, activates that wait for a command of another request although the queue has others to issue, and the
    second command of a split activate (LPDDR5), until which no other may begin (K12).
    """
    n = floats(count)
    walk = Walk.all_banks(ticks)
    pace = _opening_pace(ticks, walk)
    longer = np.maximum(_met_by_reads(ticks, walk, pace.ticks * walk.pseudo) - pace.ticks, 0)
    met = pace.ticks + _share_meeting(ticks) * longer
    queued = 1 / _rate_of_queue(ticks, walk, 1 / pace.ticks)
    bound = np.where(queued > HELD_BACK * pace.ticks, ix.QUEUE, np.where(met > pace.ticks, ix.COMMAND_BUS, pace.bound))
    found = _opened(ticks, n, np.maximum(queued, met), bound)
    idle = ticks.precharge + floats(ticks.act_to_read) + ticks.read_end
    return _offered(found.cycles, found.bound, n, interval, idle)


def _opening_pace(ticks: ChannelTicks, walk: Walk) -> _Pace:
    """Ticks a request where each opens a row of its own."""
    each = floats(walk.pseudo)
    return _longest({
        ix.DATA_BUS: ticks.burst / each,
        ix.COLUMN_SPACING: np.maximum(ticks.read_gap, ticks.read_gap_group / floats(walk.groups)) / each,
        ix.ACTIVATE_SPACING: np.maximum(
            np.maximum(ticks.act_gap, ticks.act_gap_group / floats(walk.groups)), floats(ticks.four_acts) / 4
        ) / _act_units_of(ticks, walk),
        ix.ROW_CYCLE: ticks.row_cycle / (walk.banks * each),
        ix.QUEUE: ticks.precharge / floats(ticks.read_queue),  # a slot is held from the precharge to the activate
        ix.ROW_BUS: np.where(ticks.row_bus_shared, 0, ticks.row_bus),
        ix.COMMAND_BUS: np.where(ticks.row_bus_shared, ticks.row_bus, ticks.column_command),
    })  # fmt: skip


def _act_units_of(ticks: ChannelTicks, walk: Walk) -> FloatArray:
    """Of the parts of the channel that space their activates apart, those that a walk reaches."""
    return np.minimum(floats(ticks.act_units), floats(walk.pseudo) * walk.ranks)


def _rate_of_queue(ticks: ChannelTicks, walk: Walk, greatest: FloatArray) -> FloatArray:
    """Requests a tick at which their waits fill the queue, up to `greatest`: the waits grow with the rate."""
    low, high = np.zeros_like(greatest), greatest
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        fits = _slots_held(ticks, walk, middle) <= ticks.read_queue
        low, high = np.where(fits, middle, low), np.where(fits, high, middle)
    return low


def _slots_held(ticks: ChannelTicks, walk: Walk, rate: FloatArray) -> FloatArray:
    """Slots of the queue that waits take at a rate: for commands on the bus, for the bank, for a turn to activate."""
    others = 1 - 1 / floats(ticks.read_queue)
    banks = walk.banks * walk.pseudo
    on_bus = np.minimum(rate * ticks.row_bus, 1)
    bus_wait = rate * ticks.row_bus_square / 2 / (1 - on_bus * others)
    busy = np.minimum(rate * ticks.row_cycle / banks, 1)
    bank_wait = ticks.row_cycle * busy / 2 / (1 - busy * others)
    turn = np.maximum(floats(ticks.act_gap), np.asarray(ticks.four_acts) / 4)
    in_turn = np.minimum(rate * turn / _act_units_of(ticks, walk), 1)
    turn_wait = turn * in_turn / 2 / (1 - in_turn * others)
    return np.asarray(rate * (2 * bus_wait + bank_wait + turn_wait + ticks.precharge * (1 - busy)))


def _opened(ticks: ChannelTicks, n: FloatArray, p: FloatArray, bound: IntArray) -> ClosedForm:
    """`n` reads that each open a row, p ticks apart.

    A refresh costs from the last activate before it, whose row must have been read and closed, to the first after it.
    """
    close = np.maximum(ticks.act_to_close, ticks.act_to_read + floats(ticks.read_to_close))
    lost = close + refreshing(ticks) - p
    last = ticks.act_to_read + floats(ticks.read_end)
    cycles = with_refresh(ticks, n - 1, Work.even(p), 1, lost) + last
    return _formed(cycles, bound)


def _offered(
    cycles: FloatArray, bound: IntArray, n: FloatArray, interval: npt.ArrayLike, latency: Floats
) -> ClosedForm:
    """No request is done before it is offered and its latency has passed."""
    paced = 1 + (n - 1) * floats(interval) + latency
    return _formed(np.maximum(cycles, paced), np.where(paced > cycles, ix.NO_DEMAND, bound))
