"""A toy server for the tests of the engines: a pipe of fixed latency and limited bandwidth, first come first served.

Request i begins when the one before has passed, B_i = max(now, B_(i-1) + bytes_(i-1) * ticks_per_byte), gives its first
data at B_i + latency and is done at B_i + latency + bytes_i * ticks_per_byte. No bytes and no latency: at once.
`next_event` may be loose (half of the way to the next completion). The `fault` makes it break the contract on purpose.
"""

from __future__ import annotations

import numpy as np

from cairn.base.kernel import kernel
from cairn.base.ticks import NEVER
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
)

COLUMNS = ("flags", "bytes")
LATENCY, TICKS_PER_BYTE, LOOSE, FAULT, PASSED_AT, SERVED_BYTES, HELD, ROOM, PIPE = range(HEADER, HEADER + 9)
TASK, WANTED, FIRST_AT, END_AT, WIDTH = range(5)

NO_FAULT, LATE, IDLE, INVENTS, NEVER_DONE = range(5)


@kernel(ENQUEUE_SIGNATURE)
def enqueue(state, task, request):
    if state[HELD] == state[ROOM]:
        state[ERROR] = 1
        return
    at = PIPE + state[HELD] * WIDTH
    begin = max(state[NOW], state[PASSED_AT])
    state[PASSED_AT] = begin + request[1] * state[TICKS_PER_BYTE]
    state[at + TASK] = task
    state[at + WANTED] = request[FLAGS] & WANTS_FIRST
    state[at + FIRST_AT] = begin + state[LATENCY]
    state[at + END_AT] = NEVER if state[FAULT] == NEVER_DONE else state[PASSED_AT] + state[LATENCY]
    state[SERVED_BYTES] += request[1]
    state[HELD] += 1


@kernel()
def earliest(state):
    tick = NEVER
    for index in range(state[HELD]):
        at = PIPE + index * WIDTH
        tick = min(tick, state[at + FIRST_AT] if state[at + WANTED] else state[at + END_AT])
    return tick


@kernel(ADVANCE_SIGNATURE)
def advance(state, until):
    tick = min(until, earliest(state))
    state[NOW] = tick
    done = state[DONE_AT]
    count = 0
    kept = 0
    for index in range(state[HELD]):
        at, to = PIPE + index * WIDTH, PIPE + kept * WIDTH
        task = state[at + TASK] + (1 if state[FAULT] == INVENTS else 0)
        if state[at + WANTED] and state[at + FIRST_AT] == tick:
            state[done + count] = 2 * task + FIRST
            state[at + WANTED] = 0
            count += 1
        if state[at + END_AT] == tick:
            state[done + count] = 2 * task + DONE
            count += 1
        else:
            for word in range(WIDTH):
                state[to + word] = state[at + word]
            kept += 1
    state[HELD] = kept
    state[COUNT] = count
    return count


@kernel(NEXT_EVENT_SIGNATURE)
def next_event(state):
    tick = earliest(state)
    now = state[NOW]
    if state[FAULT] == LATE and tick < NEVER:
        return tick + 3
    if state[FAULT] == IDLE and tick < NEVER:
        return now
    if state[LOOSE] and tick < NEVER:
        return now + (tick - now + 1) // 2
    return tick


def counters(state: IntArray) -> dict[str, int]:
    return {"bytes": int(state[SERVED_BYTES])}


KIND = ServerKind("pipe", enqueue, advance, next_event, COLUMNS, counters)
IN_PYTHON = ServerKind("plain pipe", enqueue.py_func, advance.py_func, next_event.py_func, COLUMNS, counters)


def pipe(
    latency: int = 0,
    ticks_per_byte: int = 1,
    loose: bool = False,
    room: int = 64,
    fault: int = NO_FAULT,
    kind: ServerKind = KIND,
) -> Server:
    state = np.zeros(PIPE + room * WIDTH + 2 * room, np.int64)
    state[[LATENCY, TICKS_PER_BYTE, LOOSE, FAULT, ROOM]] = latency, ticks_per_byte, loose, fault, room
    state[DONE_AT] = PIPE + room * WIDTH
    return Server(kind, state)
