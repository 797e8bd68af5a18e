"""The cycle model of a channel whose banks compute: rules P1 to P7 of the package's docstring, command to command."""

from __future__ import annotations

from functools import partial
from typing import Final, NamedTuple

from cairn.base.kernel import kernel
from cairn.hw_models.pim import tables as tb
from cairn.hw_models.server import IntArray

inner = partial(kernel, _nrt=False, forceinline=True)
"""Decorator of what is inlined into its callers. Nothing here allocates or slices arrays."""
routine = partial(kernel, _nrt=False)
"""Decorator of what is called."""

# Words of a channel's `state`
NOW: Final = 0
"""Tick of the last command."""
MODE: Final = 1
FREE: Final = 2
"""First tick at which the host has what it waits for (P5)."""
COMPLETE: Final = 3
"""Tick at which every command so far is complete."""
DUE: Final = 4
"""Tick of the refresh that is due next (P6)."""
OPEN: Final = 5
"""Banks with an open row."""
OPENED: Final = 6
"""Tick since which some bank is open."""
OPEN_TICKS: Final = 7
LOGGED: Final = 8
END: Final = 9
STATE_WORDS: Final = 10

RING: Final = 8
"""Longest window of a rule that counts several commands."""
CLOSED: Final = -1


class Channel(NamedTuple):
    """All that the kernel reads and writes.

    commands, starts, rules, numbers  the device's tables (`tables.py`)
    state    words as above
    rows     the open row of each bank, -1 where it is closed
    gates    earliest tick of each command by rules of the whole channel
    ready    earliest tick of each command in each bank by rules of smaller scopes
    rings    last ticks of rules that count several commands, and where the oldest lies
    counts   commands that issued
    log      the trace: tick, command, bank, row; as many as there is room for
    """

    commands: IntArray
    starts: IntArray
    rules: IntArray
    numbers: IntArray
    state: IntArray
    rows: IntArray
    gates: IntArray
    ready: IntArray
    rings: IntArray
    counts: IntArray
    log: IntArray


@inner()
def _reached(reach: int, bank: int, banks: int) -> tuple[int, int]:
    """First and end of the banks that a command is about."""
    if reach == tb.ONE:
        return bank, bank + 1
    return 0, banks


@inner()
def _first_tick(channel: Channel, command: int, bank: int) -> int:
    """P4, P5: the earliest tick of a command."""
    tick = max(channel.state[NOW] + 1, channel.state[FREE], channel.gates[command])
    if channel.commands[command, tb.BANKED]:
        first, end = _reached(channel.commands[command, tb.REACH], bank, channel.rows.size)
        for one in range(first, end):
            tick = max(tick, channel.ready[command, one])
    return int(tick)


@inner()
def _since(channel: Channel, number: int, tick: int) -> int:
    """P4: the tick that rule `number` counts from: that of this command, or of an earlier one of the same sort."""
    ring = channel.rules[number, tb.RING]
    if ring < 0:
        return tick
    at = channel.rings[ring, RING]
    channel.rings[ring, at] = tick
    at = at + 1 if at + 1 < channel.rules[number, tb.WINDOW] else 0
    channel.rings[ring, RING] = at
    return int(channel.rings[ring, at])


@routine()
def _bind(channel: Channel, command: int, first: int, end: int, tick: int) -> None:
    """P4: what each rule of the command asks of later ones."""
    gates, ready, rules = channel.gates, channel.ready, channel.rules
    for number in range(channel.starts[command], channel.starts[command + 1]):
        following, share = rules[number, tb.FOLLOWING], rules[number, tb.SHARE]
        moment = _since(channel, number, tick) + rules[number, tb.DELAY]
        if share == channel.rows.size:
            gates[following] = max(gates[following], moment)
            continue
        for one in range(first // share * share, (end - 1) // share * share + share):
            ready[following, one] = max(ready[following, one], moment)


@routine()
def _move_rows(channel: Channel, what: int, first: int, end: int, row: int, tick: int) -> None:
    """Rows that a command opens or closes, and for how long some bank is open."""
    state, rows = channel.state, channel.rows
    before = state[OPEN]
    for one in range(first, end):
        if what == tb.OPENS:
            state[OPEN] += rows[one] == CLOSED
            rows[one] = row
        elif what == tb.CLOSES or what == tb.NEEDS_AND_CLOSES:
            state[OPEN] -= rows[one] != CLOSED
            rows[one] = CLOSED
    if before == 0 and state[OPEN] > 0:
        state[OPENED] = tick
    elif before > 0 and state[OPEN] == 0:
        state[OPEN_TICKS] += tick - state[OPENED]


@inner()
def _note(channel: Channel, tick: int, command: int, bank: int, row: int) -> None:
    channel.counts[command] += 1
    at = channel.state[LOGGED]
    if at < channel.log.shape[0]:
        channel.log[at, 0] = tick
        channel.log[at, 1] = command
        channel.log[at, 2] = bank
        channel.log[at, 3] = row
        channel.state[LOGGED] = at + 1


@routine()
def _issue(channel: Channel, command: int, bank: int, row: int, tick: int) -> None:
    """A command issues: rules, rows, mode, answers, and what is counted."""
    state = channel.state
    what = channel.commands[command, tb.ROWS]
    first, end = _reached(channel.commands[command, tb.REACH], bank, channel.rows.size)
    _bind(channel, command, first, end, tick)
    if what != tb.NO_ROW:
        _move_rows(channel, what, first, end, row, tick)
    if command == channel.numbers[tb.CHANGE_MODE]:  # P3
        state[MODE] = 1 - state[MODE]
    state[NOW] = tick
    complete = tick + channel.commands[command, tb.LATENCY]
    state[COMPLETE] = max(state[COMPLETE], complete)
    if channel.commands[command, tb.BLOCKS]:  # P5
        state[FREE] = complete + 1
    about_a_row = what == tb.OPENS or what == tb.NEEDS or what == tb.NEEDS_AND_CLOSES
    _note(channel, tick, command, first, row if about_a_row else CLOSED)


@inner()
def _next(channel: Channel, command: int, bank: int, row: int) -> int:
    """P2: the command that comes next for one that an instruction asks for."""
    numbers, rows = channel.numbers, channel.rows
    what = channel.commands[command, tb.ROWS]
    needed = command
    if what == tb.NEEDS_CLOSED:
        if channel.state[OPEN] > 0:
            needed = numbers[tb.PRECHARGE_ALL]
    elif what != tb.NEEDS and what != tb.NEEDS_AND_CLOSES:
        needed = command
    elif channel.commands[command, tb.REACH] == tb.ONE:
        if rows[bank] != row:
            needed = numbers[tb.ACTIVATE] if rows[bank] == CLOSED else numbers[tb.PRECHARGE]
    elif channel.state[OPEN] == 0:
        needed = numbers[tb.ACTIVATE_ALL]
    else:
        for one in range(rows.size):
            if rows[one] != row:
                needed = numbers[tb.PRECHARGE_ALL]
    return int(needed)


@routine()
def serve(channel: Channel, command: int, bank: int, row: int) -> None:
    """P2, P3: one command of an instruction, and all that must come before it."""
    change = channel.numbers[tb.CHANGE_MODE]
    needed = -1
    while needed != command:
        needed = _next(channel, command, bank, row)
        tick = _first_tick(channel, needed, bank)
        if change >= 0 and channel.commands[command, tb.REGISTERS] != channel.state[MODE]:
            tick = max(tick, _first_tick(channel, change, 0))
            needed = change
        _issue(channel, needed, bank, row, tick)


@routine()
def instruct(channel: Channel, command: int, count: int, bank: int, row: int) -> None:
    """P6, P2: one instruction, after the refreshes that are due."""
    state, numbers = channel.state, channel.numbers
    while numbers[tb.INTERVAL] > 0:
        if _first_tick(channel, _next(channel, command, bank, row), bank) < state[DUE]:
            break
        serve(channel, numbers[tb.REFRESH], 0, 0)
        state[DUE] += numbers[tb.INTERVAL]
    for _ in range(count):
        serve(channel, command, bank, row)


def reset(channel: Channel, due: int) -> None:
    """Make a channel idle: nothing issued, all banks closed, the first refresh due at tick `due`."""
    for words in (channel.state, channel.gates, channel.ready, channel.counts):
        words[:] = 0
    channel.state[DUE] = due
    channel.rows[:] = CLOSED
    channel.rings[:] = tb.LONG_AGO
    channel.rings[:, RING] = 0


@routine()
def run_channel(channel: Channel, words: IntArray, ends: IntArray) -> None:
    """A whole program; `ends` receives the tick of each instruction's last command, `state[END]` the end (P7)."""
    state = channel.state
    for number in range(words.shape[0]):
        instruct(channel, words[number, 0], words[number, 1], words[number, 2], words[number, 3])
        ends[number] = state[NOW]
    state[END] = max(state[NOW] + 1, state[FREE], state[COMPLETE]) + 1
    if state[OPEN] > 0:
        state[OPEN_TICKS] += state[END] - state[OPENED]
