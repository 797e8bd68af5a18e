"""The server contract: what a shared resource (DRAM, network, PIM controller, link) owes to the engines.

A server is flat state (one int64 array) and three compiled functions with one explicit signature each, so that an
engine calls any server through a typed pointer and a third party adds one by registering it.

`enqueue(state, task, request)`
    Accept the request of `task` at the server's present time `state[NOW]`. `request` is one row of the
    server's request table; column FLAGS is common to all servers, the others are the server's own.
`advance(state, until) -> count`
    Run from `state[NOW]` to `until`, but stop at the first tick at which something completes. Afterwards
    `state[NOW]` is that tick, or `until`; the `count` completions of that tick stand in the state from
    `state[DONE_AT]` on, each coded `2 * task + event` (event FIRST or DONE), in any order. When nothing completed,
    `next_event(state) > until`. Advancing in any number of steps gives the same completions.
`next_event(state) -> tick`
    A lower bound on the next completion, `NEVER` when nothing is under way. Never below `state[NOW]`.

The engine advances a server to the present before it enqueues, and enqueues in task-id order. FIRST is reported
only for requests whose FLAGS have WANTS_FIRST, at a tick not after their DONE; both may fall on one tick.
A server that cannot accept a request, or cannot go on, sets `state[ERROR]`; the engine then ends the run.
A server never completes a request in less than its bytes at peak rate take.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import types

from cairn.base.registry import Registry

IntArray = npt.NDArray[np.int64]

NOW: Final = 0
"""Header slot: tick up to which the state has been advanced."""
DONE_AT: Final = 1
"""Header slot: offset in the state at which the completions of the last `advance` stand."""
COUNT: Final = 2
"""Header slot: number of those completions."""
ERROR: Final = 7
"""Header slot: 0, or the server's own number of why it cannot go on (too much under way, a request it cannot serve)."""
HEADER: Final = 8
"""Slots reserved for the header; a server's own state begins here."""

FLAGS: Final = 0
"""Request column common to all servers."""
WANTS_FIRST: Final = 1
IS_WRITE: Final = 2

FIRST: Final = 0
DONE: Final = 1

ENQUEUE_SIGNATURE: Final = types.void(types.int64[::1], types.int64, types.int64[::1])
ADVANCE_SIGNATURE: Final = types.int64(types.int64[::1], types.int64)
NEXT_EVENT_SIGNATURE: Final = types.int64(types.int64[::1])


@dataclass(frozen=True)
class ServerKind:
    """The compiled functions of a kind of server and how its requests and counters read.

    `request_columns` names the columns of a request row, the first being "flags". `counters(state)` answers
    what the server counted, as named arrays or numbers (bytes per channel, row hits, busy ticks per link, ...).
    """

    name: str
    enqueue: Callable[[IntArray, int, IntArray], None]
    advance: Callable[[IntArray, int], int]
    next_event: Callable[[IntArray], int]
    request_columns: tuple[str, ...]
    counters: Callable[[IntArray], Mapping[str, Any]]


@dataclass(frozen=True)
class Server:
    """One server of a chip: its kind and its initial state. Engines run on a copy of `state`."""

    kind: ServerKind
    state: IntArray
    labels: Mapping[str, Any] = field(default_factory=dict)

    def fresh(self) -> IntArray:
        """A copy of the initial state, to run on."""
        return self.state.copy()


server_kinds: Registry[ServerKind] = Registry("server")
