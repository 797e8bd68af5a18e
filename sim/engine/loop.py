"""The event loop in Numba. The rules it follows are numbered in the docstring of `cairn.sim.engine`.

Committing a completion only counts down (waits of successors, places of queues), so the order of commits within a
round cannot be observed and the loop does not sort them. What can be observed is the order of issues, since servers
see it: ready heads go through a heap of task ids.
"""

from __future__ import annotations

from typing import Final

from cairn.base.kernel import kernel
from cairn.base.ticks import NEVER
from cairn.hw_models.server import DONE, DONE_AT, ERROR, NOW
from cairn.sim.engine.calls import call_advance, call_enqueue, call_next_event
from cairn.sim.engine.heap import pop_due, pop_id, push_due, push_id
from cairn.sim.engine.layout import (
    ADVANCE,
    ENQUEUE,
    LEFT,
    N_DIRTY,
    N_DUE,
    N_HAPPENED,
    N_READY,
    N_TOUCHED,
    NEXT_EVENT,
    TICK,
    TROUBLE,
    TROUBLE_DETAIL,
    TROUBLE_SERVER,
    Loop,
    SmallIntArray,
)
from cairn.sim.engine.trouble import (
    FINE,
    SERVER_FAILED,
    SERVER_IDLES,
    SERVER_INVENTS,
    SERVER_MISSED,
    STUCK,
    TOO_LATE,
)

_COMPILE: Final = {"_nrt": False}
"""Nothing is allocated in the loop; without this Numba counts references to every array at every call (6 x slower)."""
_INLINE: Final = {"_nrt": False, "forceinline": True}


@kernel(**_COMPILE)
def begin(loop: Loop) -> None:
    """Link the queues, make ready what waits for nothing, and ask the servers for their first bounds."""
    counts = loop.counts
    for task in range(loop.queue.size - 1, -1, -1):
        queue = loop.queue[task]
        if queue >= 0:
            loop.following[task] = loop.head[queue]
            loop.head[queue] = task
        elif loop.waits[task] == 0:
            push_id(loop.ready, counts[N_READY], task)
            counts[N_READY] += 1
    for queue in range(loop.head.size):
        touch(loop, queue)
    for server in range(loop.bound.size):
        state = loop.state[loop.state_at[server] : loop.state_at[server + 1]]
        loop.bound[server] = call_next_event(loop.calls[server, NEXT_EVENT], state)
    counts[LEFT] = loop.queue.size


@kernel(**_COMPILE)
def run(loop: Loop, rounds: int) -> int:
    """At most `rounds` rounds of collect, commit and issue; answers how many tasks have not ended."""
    counts = loop.counts
    for _ in range(rounds):
        if counts[TROUBLE] != FINE or counts[LEFT] == 0:
            break
        now = counts[TICK]
        if counts[N_HAPPENED] + counts[N_TOUCHED] + counts[N_READY] == 0:
            now = loop.due_tick[0] if counts[N_DUE] > 0 else NEVER
            for server in range(loop.bound.size):
                now = min(now, loop.bound[server])
            if now >= NEVER:
                counts[TROUBLE] = STUCK
                break
            counts[TICK] = now
        collect(loop, now)
        for index in range(counts[N_HAPPENED]):
            commit(loop, loop.happened[index], now)
        counts[N_HAPPENED] = 0
        if counts[TROUBLE] == FINE:
            issue(loop, now)
    return int(counts[LEFT])


@kernel(**_INLINE)
def collect(loop: Loop, now: int) -> None:
    """Rule 4: all that completes at `now`; zero-length tasks of the round before stand in `happened` already."""
    counts = loop.counts
    while counts[N_DUE] > 0 and loop.due_tick[0] == now:
        task = pop_due(loop.due_tick, loop.due_task, counts[N_DUE])
        counts[N_DUE] -= 1
        note(loop, 2 * task + DONE)
    for server in range(loop.bound.size):
        if loop.bound[server] <= now:
            collect_server(loop, server, now)


@kernel(**_INLINE)
def collect_server(loop: Loop, server: int, now: int) -> None:
    """Advance a server to `now` until nothing more completes there."""
    state = loop.state[loop.state_at[server] : loop.state_at[server + 1]]
    while loop.bound[server] <= now and loop.counts[TROUBLE] == FINE:
        done = call_advance(loop.calls[server, ADVANCE], state, now)
        at = state[DONE_AT]
        for index in range(done):
            task = state[at + index] >> 1
            known = 0 <= task < loop.end.size and loop.server[task] == server and loop.start[task] >= 0
            if known and loop.counts[N_HAPPENED] < loop.happened.size:
                note(loop, state[at + index])
            else:
                blame(loop, SERVER_INVENTS, server, task)
        loop.bound[server] = call_next_event(loop.calls[server, NEXT_EVENT], state)
        if state[ERROR] != 0:
            blame(loop, SERVER_FAILED, server, state[ERROR])
        if state[NOW] != now:
            blame(loop, SERVER_MISSED, server, -1)
        if done == 0 and loop.bound[server] <= now:
            blame(loop, SERVER_IDLES, server, -1)


@kernel(**_INLINE)
def note(loop: Loop, event: int) -> None:
    """Note an event, coded 2 * task + FIRST or DONE, to be committed in this round or the next."""
    loop.happened[loop.counts[N_HAPPENED]] = event
    loop.counts[N_HAPPENED] += 1


@kernel(**_INLINE)
def commit(loop: Loop, event: int, now: int) -> None:
    """Rule 5: an event is one less to wait for; an end also frees the place in the queue."""
    task = event >> 1
    if loop.end[task] >= 0:
        if event & 1 == DONE or loop.end[task] != now:
            blame(loop, SERVER_INVENTS, loop.server[task], task)
        return
    if loop.first[task] < 0:
        loop.first[task] = now
        release(loop, loop.first_start, loop.first_targets, task)
    if event & 1 == DONE:
        loop.end[task] = now
        loop.counts[LEFT] -= 1
        release(loop, loop.done_start, loop.done_targets, task)
        queue = loop.queue[task]
        if queue >= 0:
            loop.free[queue] += 1
            touch(loop, queue)


@kernel(**_INLINE)
def release(loop: Loop, start: SmallIntArray, targets: SmallIntArray, task: int) -> None:
    """Count one event less for every successor."""
    for index in range(start[task], start[task + 1]):
        successor = targets[index]
        loop.waits[successor] -= 1
        if loop.waits[successor] == 0:
            queue = loop.queue[successor]
            if queue < 0:
                push_id(loop.ready, loop.counts[N_READY], successor)
                loop.counts[N_READY] += 1
            elif loop.head[queue] == successor:
                touch(loop, queue)


@kernel(**_INLINE)
def touch(loop: Loop, queue: int) -> None:
    """Note that the head of a queue may have become ready."""
    if loop.is_touched[queue] == 0:
        loop.is_touched[queue] = 1
        loop.touched[loop.counts[N_TOUCHED]] = queue
        loop.counts[N_TOUCHED] += 1


@kernel(**_INLINE)
def offer_head(loop: Loop, queue: int) -> None:
    """Rule 2: the head of a queue is ready when it waits for nothing and has a free place."""
    task = loop.head[queue]
    if task >= 0 and loop.waits[task] == 0 and loop.free[queue] > 0:
        push_id(loop.ready, loop.counts[N_READY], task)
        loop.counts[N_READY] += 1


@kernel(**_INLINE)
def issue(loop: Loop, now: int) -> None:
    """Rule 6: issue ready heads in task-id order, each next head in turn."""
    counts = loop.counts
    for index in range(counts[N_TOUCHED]):
        queue = loop.touched[index]
        loop.is_touched[queue] = 0
        offer_head(loop, queue)
    counts[N_TOUCHED] = 0
    while counts[N_READY] > 0:
        task = pop_id(loop.ready, counts[N_READY])
        counts[N_READY] -= 1
        loop.start[task] = now
        queue = loop.queue[task]
        if queue >= 0:
            loop.free[queue] -= 1
            loop.head[queue] = loop.following[task]
            offer_head(loop, queue)
        if loop.server[task] >= 0:
            serve(loop, task, now)
        elif loop.duration[task] == 0:
            note(loop, 2 * task + DONE)
        elif now + loop.duration[task] >= NEVER:
            blame(loop, TOO_LATE, -1, task)
        else:
            push_due(loop.due_tick, loop.due_task, counts[N_DUE], now + loop.duration[task], task)
            counts[N_DUE] += 1
    for index in range(counts[N_DIRTY]):
        settle(loop, loop.dirty[index], now)
    counts[N_DIRTY] = 0


@kernel(**_INLINE)
def serve(loop: Loop, task: int, now: int) -> None:
    """Bring the server to now (which completes nothing: rule 4 has been there), then hand it the request."""
    server = loop.server[task]
    state = loop.state[loop.state_at[server] : loop.state_at[server + 1]]
    if state[NOW] < now and call_advance(loop.calls[server, ADVANCE], state, now) != 0:
        blame(loop, SERVER_MISSED, server, -1)
    at = loop.row_at[server] + loop.request[task] * loop.width[server]
    call_enqueue(loop.calls[server, ENQUEUE], state, task, loop.row[at : at + loop.width[server]])
    if loop.is_dirty[server] == 0:
        loop.is_dirty[server] = 1
        loop.dirty[loop.counts[N_DIRTY]] = server
        loop.counts[N_DIRTY] += 1


@kernel(**_INLINE)
def settle(loop: Loop, server: int, now: int) -> None:
    """After the issues of a round: the bound of a server that was given requests."""
    loop.is_dirty[server] = 0
    state = loop.state[loop.state_at[server] : loop.state_at[server + 1]]
    loop.bound[server] = call_next_event(loop.calls[server, NEXT_EVENT], state)
    if state[ERROR] != 0:
        blame(loop, SERVER_FAILED, server, state[ERROR])
    if loop.bound[server] < now:
        blame(loop, SERVER_IDLES, server, -1)


@kernel(**_COMPILE)
def finish(loop: Loop) -> None:
    """Rule 8: every server is advanced to the last tick, so that its counters cover the whole run."""
    now = loop.counts[TICK]
    for server in range(loop.bound.size):
        state = loop.state[loop.state_at[server] : loop.state_at[server + 1]]
        if state[NOW] < now and call_advance(loop.calls[server, ADVANCE], state, now) != 0:
            blame(loop, SERVER_MISSED, server, -1)


@kernel(**_INLINE)
def blame(loop: Loop, code: int, server: int, detail: int) -> None:
    """Note the first trouble met; the loop stops at the end of the phase."""
    if loop.counts[TROUBLE] == FINE:
        loop.counts[TROUBLE] = code
        loop.counts[TROUBLE_SERVER] = server
        loop.counts[TROUBLE_DETAIL] = detail
