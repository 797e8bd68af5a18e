"""What decides how a channel goes on, written as numbers that say nothing of when, where and who: its image.

Ticks count from the channel's clock, rows of a bank from one row of it (its request's next one), requests are places in
the list of those under way, arrivals count from the next one. Channels with equal images do the same from there on, but
for the shift of ticks and rows and the names of requests: commands compare ticks with ticks and rows with rows of the
same bank, and look at nothing else. The image is written relative to an origin, and so is what a channel has become
later, which can then be written into any channel that stands as the first one stood at its origin.

Ticks so old that they bind nothing any more are all written as the same one (`O_OLDEST`), which lies before the
present, the end of the last burst, and the entry of everything that waits: a command, and the charge for a gap, take
the later of such a tick and one of those. A ring of activates (K7) binds for as long as the longest rule.
"""

from __future__ import annotations

from typing import Final

from cairn.base.kernel import u
from cairn.hw_models.dram.control import layout as ix
from cairn.hw_models.dram.control.account import share_at
from cairn.hw_models.dram.control.queues import bank_at, inner, routine
from cairn.hw_models.dram.stack import layout as sx
from cairn.hw_models.dram.stack.runs import run_at
from cairn.hw_models.dram.stack.streams import announce, extra_at, slot_at
from cairn.hw_models.server import IntArray

O_CLOCK, O_OLDEST, O_SEQUENCE, O_EVENTS, O_USED, O_COUNTS = range(6)
OUTCOMES: Final = 6 + ix.KINDS_OF_COMMAND
"""Requests by outcome and commands by kind, side by side in a channel's block."""
COUNTS: Final = OUTCOMES + ix.DRAIN + 3
O_ROWS: Final = O_COUNTS + COUNTS
"""Words of the origin: then a row of each bank, then the slots of the requests under way."""
ROW_AND_COLUMN: Final = ix.PRE + 1
"""Commands whose moments count: these, and where the channel refreshes those up to REFPB; none has RDA or WRA (S4)."""
WITH_REFRESHES: Final = ix.REFPB + 1
UNBOUNDED: Final = -(1 << 62)
BANK_IMAGE: Final = 13
"""Numbers that the image has of a bank, at most."""
SCALARS: Final = 20
"""Numbers that the image has of the channel itself, at most."""


def origin_words(banks: int, requests: int) -> int:
    """Numbers in the origin of a channel."""
    return O_ROWS + banks + requests


def image_words(banks: int, tops: int, rings: int, requests: int, runs: int, events: int) -> int:
    """Numbers of the longest image, with what is added to it as question or answer."""
    moments = ix.KINDS_OF_COMMAND * (tops + banks) + ix.RING * rings
    of_requests = requests * (sx.SLOT_WORDS + 2 + banks)
    return SCALARS + moments + banks * (BANK_IMAGE + 1) + of_requests + sx.RUN_WORDS * runs + COUNTS + 2 * events + 2


@routine()
def set_origin(state: IntArray, base: int) -> None:
    """Take the channel's present state as origin."""
    origin, extra, clock = state[sx.P_ORIGIN_AT], extra_at(state, base), state[u(base + ix.C_CLK)]
    state[u(origin + O_CLOCK)] = clock
    state[u(origin + O_SEQUENCE)] = state[u(extra + sx.X_SEQUENCE)]
    state[u(origin + O_EVENTS)] = state[u(extra + sx.X_EVENTS)]
    state[u(origin + O_USED)] = state[u(extra + sx.X_USED)]
    oldest = min(clock, state[u(base + state[ix.P_BUS_FREE_AT])])
    for place in range(state[u(extra + sx.X_RUNS)]):
        oldest = min(oldest, state[u(run_at(state, base, place) + sx.U_STAMP)])
    rows = origin + O_ROWS
    for bank in range(state[ix.P_BANKS]):
        words = bank_at(state, base, bank)
        state[u(rows + bank)] = state[u(words + ix.B_ROW)]
        if state[u(words + ix.B_ACTIVE)]:
            oldest = min(oldest, state[u(words + ix.B_A_ACCEPTED)])
    state[u(origin + O_OLDEST)] = oldest - 1 - clock
    slots = rows + state[ix.P_BANKS]
    for place in range(state[u(extra + sx.X_USED)] - 1, -1, -1):
        slot = state[u(base + state[sx.P_USED_AT] + place)]
        at = slot_at(state, base, slot)
        state[u(slots + place)] = slot
        state[u(at + sx.S_PLACE)] = place
        first = rows + state[u(at + sx.S_BANK_BASE)]
        for bank in range(state[u(at + sx.S_BANK_COUNT)]):
            state[u(first + bank)] = state[u(at + sx.S_ROW)]
    _copy_counts(state, base, origin + O_COUNTS, 0, 1)


@inner()
def _copy_counts(state: IntArray, base: int, to: int, of_old: int, of_new: int) -> None:
    """Write the channel's counts to `to`: `of_new` of the present ones and `of_old` of what stands there."""
    for number in range(OUTCOMES):
        state[u(to + number)] = of_old * state[u(to + number)] + of_new * state[u(base + ix.C_READ_HITS + number)]
    for number in range(ix.DRAIN):
        at = to + OUTCOMES + number
        state[u(at)] = of_old * state[u(at)] + of_new * state[u(share_at(state, base, 0) + number)]
    for number in range(3):
        at = to + OUTCOMES + ix.DRAIN + number
        state[u(at)] = of_old * state[u(at)] + of_new * state[u(extra_at(state, base) + sx.X_BYTES_READ + number)]


@inner()
def _add_counts(state: IntArray, base: int, image: int) -> None:
    for number in range(OUTCOMES):
        state[u(base + ix.C_READ_HITS + number)] += state[u(image + number)]
    for number in range(ix.DRAIN):
        state[u(share_at(state, base, 0) + number)] += state[u(image + OUTCOMES + number)]
    for number in range(3):
        state[u(extra_at(state, base) + sx.X_BYTES_READ + number)] += state[u(image + OUTCOMES + ix.DRAIN + number)]


@inner()
def _words(state: IntArray, at: int, count: int, image: int, shift: int, least: int, back: bool) -> int:
    """Write words to the image, less `shift` and not below `least`, or back from there; answers where it goes on."""
    for number in range(count):
        if back:
            state[u(at + number)] = state[u(image + number)] + shift
        else:
            state[u(image + number)] = max(state[u(at + number)] - shift, least)
    return image + count


@inner()
def _same(state: IntArray, at: int, count: int, image: int, back: bool) -> int:
    """Write words to the image, or back from there, as they are."""
    return _words(state, at, count, image, 0, UNBOUNDED, back)


@inner()
def _slots(state: IntArray, base: int, at: int, count: int, image: int, back: bool) -> int:
    """Write slots of requests to the image as places in the list of the origin, or back from there."""
    slots = state[sx.P_ORIGIN_AT] + O_ROWS + state[ix.P_BANKS]
    for number in range(count):
        if back:
            state[u(at + number)] = state[u(slots + state[u(image + number)])]
        else:
            state[u(image + number)] = state[u(slot_at(state, base, state[u(at + number)]) + sx.S_PLACE)]
    return image + count


@inner()
def _of_moments(state: IntArray, base: int, image: int, back: bool) -> int:
    """Earliest moments, and the rings of those that count several, oldest first."""
    origin = state[sx.P_ORIGIN_AT]
    clock, oldest = state[u(origin + O_CLOCK)], state[u(origin + O_OLDEST)]
    commands = ROW_AND_COLUMN if state[ix.P_REFRESH] == ix.NO_REFRESH else WITH_REFRESHES
    gates, ready = base + state[ix.P_GATES_AT], base + state[ix.P_READY_AT]
    image = _words(state, gates, commands * state[ix.P_TOPS], image, clock * ix.MOMENT, oldest * ix.MOMENT, back)
    image = _words(state, ready, commands * state[ix.P_BANKS], image, clock * ix.MOMENT, oldest * ix.MOMENT, back)
    for at in range(base + state[ix.P_RINGS_AT], base + state[ix.P_BUS_FREE_AT], ix.RING_WORDS):
        place = state[u(at + ix.RING)]
        for _ in range(ix.RING):
            image = _words(state, at + place, 1, image, clock, oldest - state[sx.P_LONGEST_RULE], back)
            place = place + 1 if place + 1 < ix.RING else 0
    return image


@inner()
def _of_banks(state: IntArray, base: int, image: int, back: bool) -> int:
    origin = state[sx.P_ORIGIN_AT]
    clock, oldest = state[u(origin + O_CLOCK)], state[u(origin + O_OLDEST)]
    for bank in range(state[ix.P_BANKS]):
        words = bank_at(state, base, bank)
        image = _same(state, words + ix.B_STATE, 2, image, back)  # and B_ACTIVE
        if state[u(words + ix.B_STATE)] == ix.OPEN:
            image = _words(state, words + ix.B_ROW, 1, image, state[u(origin + O_ROWS + bank)], UNBOUNDED, back)
        if state[u(words + ix.B_ACTIVE)]:
            image = _same(state, words + ix.B_ACTIVE_PLACE, 1, image, back)
            image = _words(state, words + ix.B_A_ORDER, 1, image, state[u(origin + O_SEQUENCE)], UNBOUNDED, back)
            image = _words(state, words + ix.B_A_ACCEPTED, 2, image, clock, oldest, back)  # and B_A_OFFERED
            image = _slots(state, base, words + ix.B_A_TAG, 1, image, back)
            image = _same(state, words + ix.B_A_WRITE, 1, image, back)
        image = _words(state, words + ix.B_ACT_TICK, 1, image, clock, oldest, back)
        image = _words(state, words + ix.B_ACT_MOMENT, 1, image, clock * ix.MOMENT, oldest * ix.MOMENT, back)
        image = _words(state, words + ix.B_PRE_TICK, 1, image, clock, oldest, back)
        image = _words(state, words + ix.B_PRE_MOMENT, 1, image, clock * ix.MOMENT, oldest * ix.MOMENT, back)
    return _same(state, base + state[ix.P_ACTIVE_AT], state[u(base + ix.C_ACTIVE)], image, back)


@inner()
def _of_requests(state: IntArray, base: int, image: int, back: bool) -> int:
    origin, extra, used = state[sx.P_ORIGIN_AT], extra_at(state, base), base + state[sx.P_USED_AT]
    image = _slots(state, base, used, state[u(origin + O_USED)], image, back)
    image = _slots(state, base, base + state[sx.P_ORDER_AT], state[u(extra + sx.X_ENTERING)], image, back)
    for place in range(state[u(extra + sx.X_USED)]):
        at = slot_at(state, base, state[u(used + place)])
        image = _same(state, at + sx.S_WRITES, 2, image, back)  # and S_WAITS_FIRST
        clock, oldest = state[u(origin + O_CLOCK)], state[u(origin + O_OLDEST)]
        image = _words(state, at + sx.S_ARRIVED, 1, image, clock, oldest, back)
        image = _same(state, at + sx.S_BANK_BASE, sx.S_ROW - sx.S_BANK_BASE, image, back)
        row = state[u(origin + O_ROWS + state[u(at + sx.S_BANK_BASE)])]
        image = _words(state, at + sx.S_ROW, 1, image, row, UNBOUNDED, back)
        image = _same(state, at + sx.S_IN_ROW, sx.S_PLACE - sx.S_IN_ROW, image, back)
    return image


@inner()
def _of_runs(state: IntArray, base: int, image: int, back: bool) -> int:
    origin = state[sx.P_ORIGIN_AT]
    for place in range(state[u(extra_at(state, base) + sx.X_RUNS)]):
        at = run_at(state, base, place)
        image = _slots(state, base, at + sx.U_SLOT, 1, image, back)
        image = _same(state, at + sx.U_BANK, 1, image, back)
        row = state[u(origin + O_ROWS + state[u(at + sx.U_BANK)])]
        image = _words(state, at + sx.U_ROW, 1, image, row, UNBOUNDED, back)
        image = _same(state, at + sx.U_WRITE, 2, image, back)  # and U_LEFT
        image = _words(state, at + sx.U_STAMP, 1, image, state[u(origin + O_CLOCK)], UNBOUNDED, back)
        image = _same(state, at + sx.U_COUNTED, 1, image, back)
        image = _words(state, at + sx.U_SEQUENCE, 1, image, state[u(origin + O_SEQUENCE)], UNBOUNDED, back)
    return image


@inner()
def _walk(state: IntArray, base: int, image: int, back: bool) -> int:
    """Write the channel to its image, or back from there: one function, so that each is the other's reverse."""
    origin, extra = state[sx.P_ORIGIN_AT], extra_at(state, base)
    clock = state[u(origin + O_CLOCK)]
    image = _words(state, base + ix.C_CLK, 1, image, clock, UNBOUNDED, back)
    image = _same(state, base + ix.C_WRITING, 1, image, back)
    if state[ix.P_REFRESH] != ix.NO_REFRESH:
        image = _words(state, base + ix.C_NEXT_REFRESH, 1, image, clock, UNBOUNDED, back)
    image = _same(state, base + ix.C_REFRESH_UNIT, ix.C_ACTIVE + 1 - ix.C_REFRESH_UNIT, image, back)
    image = _same(state, base + ix.C_WAITING_READS, 2, image, back)
    image = _words(state, base + state[ix.P_BUS_FREE_AT], 1, image, clock, UNBOUNDED, back)
    image = _same(state, extra + sx.X_ENTERING, 3, image, back)  # X_USED, X_TURN
    image = _words(state, extra + sx.X_NEXT_ARRIVAL, 1, image, clock, 0, back)  # one before the present is past
    image = _same(state, extra + sx.X_RUNS, 2, image, back)  # and X_PENDING
    image = _words(state, extra + sx.X_SEQUENCE, 1, image, state[u(origin + O_SEQUENCE)], UNBOUNDED, back)
    image = _of_moments(state, base, image, back)
    image = _of_banks(state, base, image, back)
    image = _of_requests(state, base, image, back)
    return _of_runs(state, base, image, back)


@routine()
def write_image(state: IntArray, base: int, image: int) -> int:
    """Write the image of the channel at its origin; answers where it ends. Rows of a request lie in several banks, so
    how far its row is from that of each bank belongs to it."""
    image = _walk(state, base, image, False)
    origin = state[sx.P_ORIGIN_AT]
    for place in range(state[u(origin + O_USED)]):
        at = slot_at(state, base, state[u(base + state[sx.P_USED_AT] + place)])
        first = origin + O_ROWS + state[u(at + sx.S_BANK_BASE)]
        for bank in range(state[u(at + sx.S_BANK_COUNT)]):
            state[u(image)] = state[u(at + sx.S_ROW)] - state[u(first + bank)]
            image += 1
    return int(image)


@routine()
def write_outcome(state: IntArray, base: int, image: int) -> None:
    """Write what the channel has become since its origin: its image, what it counted, whose turn was the last, and
    the events that became known."""
    origin, extra = state[sx.P_ORIGIN_AT], extra_at(state, base)
    image = _walk(state, base, image, False)
    for number in range(COUNTS):
        state[u(image + number)] = state[u(origin + O_COUNTS + number)]
    _copy_counts(state, base, image, -1, 1)
    image += COUNTS
    began = state[u(extra + sx.X_SEQUENCE)] > state[u(origin + O_SEQUENCE)]
    last = slot_at(state, base, state[u(extra + sx.X_LAST_SLOT)])
    state[u(image)] = state[u(last + sx.S_PLACE)] if began else ix.NONE
    events = state[u(extra + sx.X_EVENTS)] - state[u(origin + O_EVENTS)]
    state[u(image + 1)] = events
    image += 2
    for number in range(events):
        place = state[u(extra + sx.X_EVENTS_HEAD)] + state[u(origin + O_EVENTS)] + number
        place = place if place < state[sx.P_EVENTS] else place - state[sx.P_EVENTS]
        at = base + state[sx.P_EVENTS_AT] + sx.EVENT_WORDS * place
        state[u(image)] = state[u(at + sx.E_TICK)] - state[u(origin + O_CLOCK)]
        state[u(image + 1)] = 2 * _place_of(state, base, state[u(at + sx.E_CODE)] // 2) + state[u(at + sx.E_CODE)] % 2
        image += 2


@inner()
def _place_of(state: IntArray, base: int, task: int) -> int:
    """Place in the list of the origin of the request of `task`."""
    origin = state[sx.P_ORIGIN_AT]
    slots = origin + O_ROWS + state[ix.P_BANKS]
    place = 0
    while state[u(slot_at(state, base, state[u(slots + place)]) + sx.S_TASK)] != task:
        place += 1
    return place


@routine()
def take_outcome(state: IntArray, base: int, image: int) -> None:
    """Make the channel, which stands at its origin, what `write_outcome` wrote of one with an equal image."""
    origin, extra = state[sx.P_ORIGIN_AT], extra_at(state, base)
    slots = origin + O_ROWS + state[ix.P_BANKS]
    image = _walk(state, base, image, True)
    _add_counts(state, base, image)
    image += COUNTS
    if state[u(image)] != ix.NONE:
        slot = state[u(slots + state[u(image)])]
        state[u(extra + sx.X_LAST_SLOT)] = slot
        state[u(extra + sx.X_LAST_TASK)] = state[u(slot_at(state, base, slot) + sx.S_TASK)]
    events = state[u(image + 1)]
    image += 2
    for _ in range(events):
        at = slot_at(state, base, state[u(slots + state[u(image + 1)] // 2)])
        code = 2 * state[u(at + sx.S_TASK)] + state[u(image + 1)] % 2
        announce(state, base, state[u(image)] + state[u(origin + O_CLOCK)], code)
        image += 2
