"""A server of channels whose banks compute: products, and what cores read and write in the same banks, as requests.

A request asks a channel for one of the programs that the server was built with. Rules beside P1 to P6:

Q1  A channel serves its requests in the order of arrival, the smaller task id first at equal ticks, and their
    instructions in order: what cores read and write is a program of RD and WR, and waits for products before it as they
    wait for it. Rows, modes and limits go on from one request to the next.
Q2  A command of a request issues at its arrival at the earliest. A command of the channel's tick t begins at
    (t - 1) clocks.
Q3  Refreshes that fall due while nothing is to do come at their time; the others as P6 says.
Q4  DONE is when the last of the request's commands is complete (its tick + latency), FIRST when the last command of its
    first instruction is.

When a request ends is known when it arrives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np

from cairn.base.errors import ConfigError
from cairn.base.kernel import kernel
from cairn.base.ticks import NEVER
from cairn.hw_models.pim import cycle as cy
from cairn.hw_models.pim import tables as tb
from cairn.hw_models.pim.program import FIELDS, Program
from cairn.hw_models.server import (
    ADVANCE_SIGNATURE,
    COUNT,
    DONE,
    DONE_AT,
    ENQUEUE_SIGNATURE,
    ERROR,
    FIRST,
    FLAGS,
    HEADER,
    NEXT_EVENT_SIGNATURE,
    NOW,
    WANTS_FIRST,
    IntArray,
    Server,
    ServerKind,
    server_kinds,
)

R_CHANNEL: Final = 1
R_PROGRAM: Final = 2
REQUEST_COLUMNS: Final = ("flags", "channel", "program")
BAD_REQUEST: Final = 2
"""`state[ERROR]`: a channel or program that is not there."""
OVERFLOW: Final = 1
"""`state[ERROR]`: more requests under way than the server has room for."""

(
    P_CHANNELS, P_BANKS, P_KINDS, P_RULES, P_RINGS, P_PROGRAMS, P_REQUESTS, P_CLOCK_NUM, P_CLOCK_DEN,
    P_COMMANDS_AT, P_STARTS_AT, P_RULES_AT, P_NUMBERS_AT, P_PROGRAMS_AT, P_WORDS_AT, P_CHANNELS_AT, P_STRIDE,
    P_EVENTS_AT, P_EVENTS, P_END,
) = range(HEADER, HEADER + 20)  # fmt: skip
"""Sizes, the clock, and where tables, programs, channels and events lie; P_EVENTS counts the events to come."""
WORDS: Final = len(FIELDS)
NUMBERS: Final = tb.INTERVAL + 1
EVENT_WORDS: Final = 2


@kernel()
def _channel(state: IntArray, number: int) -> cy.Channel:
    """The arrays of one channel, as the kernel of the cycle model takes them."""
    kinds, banks, rings = state[P_KINDS], state[P_BANKS], state[P_RINGS]
    at = state[P_CHANNELS_AT] + number * state[P_STRIDE]
    rows = at + cy.STATE_WORDS
    gates = rows + banks
    ready = gates + kinds
    ring = ready + kinds * banks
    counts = ring + rings * (cy.RING + 1)
    commands, starts = state[P_COMMANDS_AT], state[P_STARTS_AT]
    rules, numbers = state[P_RULES_AT], state[P_NUMBERS_AT]
    return cy.Channel(
        state[commands : commands + kinds * tb.COMMAND_WORDS].reshape((kinds, tb.COMMAND_WORDS)),
        state[starts : starts + kinds + 1],
        state[rules : rules + state[P_RULES] * (tb.WINDOW + 1)].reshape((state[P_RULES], tb.WINDOW + 1)),
        state[numbers : numbers + NUMBERS],
        state[at : at + cy.STATE_WORDS],
        state[rows : rows + banks],
        state[gates : gates + kinds],
        state[ready : ready + kinds * banks].reshape((kinds, banks)),
        state[ring : ring + rings * (cy.RING + 1)].reshape((rings, cy.RING + 1)),
        state[counts : counts + kinds],
        state[counts : counts + 0].reshape((0, 4)),
    )


@kernel()
def _arrive(channel: cy.Channel, tick: int) -> None:
    """Q2, Q3: let the channel's time pass to an arrival, with the refreshes that fall due meanwhile."""
    state, interval = channel.state, channel.numbers[tb.INTERVAL]
    while interval > 0 and state[cy.DUE] <= tick:
        state[cy.NOW] = max(state[cy.NOW], state[cy.DUE] - 1)
        cy.serve(channel, channel.numbers[tb.REFRESH], 0, 0)
        state[cy.DUE] += interval
    state[cy.NOW] = max(state[cy.NOW], tick)
    state[cy.COMPLETE] = 0


@kernel()
def _announce(state: IntArray, complete: int, code: int) -> None:
    """Q4: an event at the time at which the channel's tick `complete` begins."""
    at = state[P_EVENTS_AT] + EVENT_WORDS * state[P_EVENTS]
    state[at] = ((complete - 1) * state[P_CLOCK_NUM] + state[P_CLOCK_DEN] - 1) // state[P_CLOCK_DEN]
    state[at + 1] = code
    state[P_EVENTS] += 1


@kernel(ENQUEUE_SIGNATURE)
def enqueue(state: IntArray, task: int, request: IntArray) -> None:
    """Put a request at the end of its channel's line (Q1); a refused one leaves its reason in `state[ERROR]`."""
    number, program = request[R_CHANNEL], request[R_PROGRAM]
    if not (0 <= number < state[P_CHANNELS] and 0 <= program < state[P_PROGRAMS]):
        state[ERROR] = BAD_REQUEST
        return
    if state[P_EVENTS] + 2 > 2 * state[P_REQUESTS]:
        state[ERROR] = OVERFLOW
        return
    channel = _channel(state, number)
    num, den = state[P_CLOCK_NUM], state[P_CLOCK_DEN]
    _arrive(channel, (state[NOW] * den + num - 1) // num)
    first, end = state[state[P_PROGRAMS_AT] + program], state[state[P_PROGRAMS_AT] + program + 1]
    for instruction in range(first, end):
        at = state[P_WORDS_AT] + instruction * WORDS
        cy.instruct(channel, state[at], state[at + 1], state[at + 2], state[at + 3])
        if instruction == first and request[FLAGS] & WANTS_FIRST:
            _announce(state, channel.state[cy.COMPLETE], 2 * task + FIRST)
    _announce(state, channel.state[cy.COMPLETE], 2 * task + DONE)


@kernel(NEXT_EVENT_SIGNATURE, _nrt=False)
def next_event(state: IntArray) -> int:
    """The tick of the next completion, exactly."""
    earliest = NEVER
    for event in range(state[P_EVENTS]):
        earliest = min(earliest, state[state[P_EVENTS_AT] + EVENT_WORDS * event])
    return int(earliest)


@kernel(ADVANCE_SIGNATURE, _nrt=False)
def advance(state: IntArray, until: int) -> int:
    """Run to `until`, or to the first tick with a completion; see the server contract."""
    stop = min(until, next_event(state))
    count, kept = 0, 0
    for event in range(state[P_EVENTS]):
        at = state[P_EVENTS_AT] + EVENT_WORDS * event
        if state[at] == stop:
            state[state[DONE_AT] + count] = state[at + 1]
            count += 1
            continue
        to = state[P_EVENTS_AT] + EVENT_WORDS * kept
        state[to], state[to + 1] = state[at], state[at + 1]
        kept += 1
    state[P_EVENTS] = kept
    state[NOW] = stop
    state[COUNT] = count
    return count


def counters(state: IntArray) -> Mapping[str, Any]:
    """Commands of each sort that every channel issued for the requests so far, shape (channels, commands)."""
    kinds, channels = int(state[P_KINDS]), int(state[P_CHANNELS])
    counts = [_channel(state, number).counts.copy() for number in range(channels)]
    return {"commands": np.array(counts).reshape(channels, kinds)}


def build_pim_server(
    programs: Sequence[Program], channels: int, refresh: str = "none", max_requests: int = 64
) -> Server:  # fmt: skip
    """The server of `channels` channels of one device, each idle, that serves `programs` by their place in the list.

    max_requests  requests under way at a time, of all channels. ConfigError where there is no program, programs are of
    different devices or empty, or a number is below 1. A request that names another channel or program, or is one too
    many, leaves BAD_REQUEST or OVERFLOW in `state[ERROR]`.
    """
    for name, value in (("channels", channels), ("max_requests", max_requests), ("programs", len(programs))):
        if value < 1:
            raise ConfigError(f"must be at least 1, got {value}", key=name)
    device = programs[0].device
    if any(program.device is not device or not len(program) for program in programs):
        raise ConfigError("programs of a server are of one device, with an instruction at least", key="programs")
    tables = tb.tables_of(device, refresh)
    kinds, rings = len(tables.commands), max(1, tables.rings)
    clock = Fraction(device.dram.clock_ps)
    words = np.concatenate([program.words for program in programs])
    stride = cy.STATE_WORDS + tables.banks + kinds + kinds * tables.banks + rings * (cy.RING + 1) + kinds
    sizes = {
        DONE_AT: 2 * max_requests, P_COMMANDS_AT: tables.commands.size, P_STARTS_AT: kinds + 1,
        P_RULES_AT: tables.rules.size, P_NUMBERS_AT: NUMBERS, P_PROGRAMS_AT: len(programs) + 1, P_WORDS_AT: words.size,
        P_CHANNELS_AT: channels * stride, P_EVENTS_AT: 2 * max_requests * EVENT_WORDS,
    }  # fmt: skip
    places, at = {}, P_END
    for name_, size in sizes.items():
        places[name_], at = at, at + size
    values = {
        **places, P_CHANNELS: channels, P_BANKS: tables.banks, P_KINDS: kinds, P_RULES: len(tables.rules),
        P_RINGS: rings, P_PROGRAMS: len(programs), P_REQUESTS: max_requests, P_CLOCK_NUM: clock.numerator,
        P_CLOCK_DEN: clock.denominator, P_STRIDE: stride,
    }  # fmt: skip
    state = np.zeros(at, dtype=np.int64)
    for index, value in values.items():
        state[index] = value
    contents = (
        (P_COMMANDS_AT, tables.commands), (P_STARTS_AT, tables.starts), (P_RULES_AT, tables.rules),
        (P_NUMBERS_AT, tables.numbers), (P_WORDS_AT, words),
        (P_PROGRAMS_AT, np.cumsum([0, *(len(program) for program in programs)])),
    )  # fmt: skip
    for index, content in contents:
        state[places[index] : places[index] + content.size] = content.reshape(-1)
    for number in range(channels):
        cy.reset(_channel(state, number), int(tables.numbers[tb.INTERVAL]))
    return Server(kind=PIM_SERVER, state=state, labels={"channels": channels, "device": device.name})


PIM_SERVER: Final = server_kinds.add("pim", ServerKind("pim", enqueue, advance, next_event, REQUEST_COLUMNS, counters))
