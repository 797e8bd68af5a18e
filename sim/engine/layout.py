"""What the compiled loop works on: the arrays of the plan, and what is under way."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
SmallIntArray = npt.NDArray[np.int32]

# Slots of `Loop.counts`.
TICK: Final = 0
LEFT: Final = 1
N_DUE: Final = 2
N_READY: Final = 3
N_TOUCHED: Final = 4
N_HAPPENED: Final = 5
N_DIRTY: Final = 6
TROUBLE: Final = 7
TROUBLE_SERVER: Final = 8
TROUBLE_DETAIL: Final = 9
COUNTS: Final = 10

ENQUEUE: Final = 0
ADVANCE: Final = 1
NEXT_EVENT: Final = 2


class Loop(NamedTuple):
    """Everything the loop works on; n tasks, q queues, s servers."""

    queue: SmallIntArray  # (n,)
    following: SmallIntArray  # (n,) next task of the same queue, -1 for none
    duration: IntArray  # (n,)
    server: SmallIntArray  # (n,)
    request: SmallIntArray  # (n,)
    first_start: SmallIntArray  # (n + 1,)
    first_targets: SmallIntArray
    done_start: SmallIntArray  # (n + 1,)
    done_targets: SmallIntArray
    waits: SmallIntArray  # (n,) predecessor events that are still to come
    start: IntArray  # (n,) ticks, -1 while unknown
    first: IntArray
    end: IntArray
    head: SmallIntArray  # (q,) head of the line, -1 when the line is empty
    free: SmallIntArray  # (q,) free places
    is_touched: SmallIntArray  # (q,) 1 while the queue stands in `touched`
    touched: SmallIntArray  # (q,) queues whose head may have become ready in this round
    due_tick: IntArray  # heap of fixed completions
    due_task: SmallIntArray
    ready: SmallIntArray  # heap of tasks to issue
    happened: IntArray  # events to commit, 2 * task + FIRST or DONE
    calls: IntArray  # (s, 3) addresses of the servers' functions
    state: IntArray  # states of all servers, one after the other
    state_at: IntArray  # (s + 1,)
    row: IntArray  # request tables of all servers, one after the other
    row_at: IntArray  # (s,)
    width: IntArray  # (s,) columns of each request table
    bound: IntArray  # (s,) next_event of each server
    is_dirty: SmallIntArray  # (s,) 1 while the server stands in `dirty`
    dirty: SmallIntArray  # (s,) servers that were given requests in this round
    counts: IntArray  # (COUNTS,)
