"""The DRAM server of Voxel's estimator (`chip.dram.model: voxel_estimator`): closed-form times, request by request.

It exists to reproduce Voxel's numbers and to see what its assumptions cost; `voxel_estimator` says what they are. The
columns of a request are those of the other models (see the package's docstring). Rules (kernels and oracle cite them):

V1  A channel has a port for reads and one for writes, which know nothing of each other. A port serves its requests one
    after the other in the order of arrival, the smaller task id first at equal ticks, without a pause.
V2  A request of n bytes takes `VoxelEstimator.served_cycles` for a chunk of one stripe: ceil(n / stripe_bytes)
    openings whatever lies open, then the data at whole bytes a cycle; in ticks, rounded up. Its offset and its banks
    do not count.
V3  DONE is the end of that time. FIRST is the time of its first min(n, burst_bytes) bytes with one opening after it
    began to be served.
V4  Bytes are moved, not bursts: there is no padding.

When a request ends is known when it arrives, so that what the server keeps is a heap of events.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import numpy as np

from cairn.base.errors import ConfigError
from cairn.base.kernel import kernel
from cairn.base.ticks import NEVER
from cairn.hw_models.dram import request as rq
from cairn.hw_models.dram import voxel_layout as ix
from cairn.hw_models.dram.request import is_inside, refuse
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.dram.voxel_estimator import FRACTION_BITS, VoxelEstimator
from cairn.hw_models.server import (
    ADVANCE_SIGNATURE,
    COUNT,
    DONE,
    DONE_AT,
    ENQUEUE_SIGNATURE,
    FIRST,
    FLAGS,
    IS_WRITE,
    NEXT_EVENT_SIGNATURE,
    NOW,
    WANTS_FIRST,
    IntArray,
    Server,
    ServerKind,
    server_kinds,
)

_inner = partial(kernel, _nrt=False, forceinline=True)


@_inner()
def _ticks(state: IntArray, size: int, openings: int) -> int:
    """Ticks of an access of `size` bytes with `openings` openings (V2)."""
    data = (size + state[ix.P_BYTES_PER_CYCLE] - 1) // state[ix.P_BYTES_PER_CYCLE]
    opened = ((openings * state[ix.P_OPENING]) >> FRACTION_BITS) - state[ix.P_PRECHARGE]
    cycles = max(opened, state[ix.P_COLUMN]) + data
    return int((cycles * state[ix.P_CLOCK_NUM] + state[ix.P_CLOCK_DEN] - 1) // state[ix.P_CLOCK_DEN])


@_inner()
def _announce(state: IntArray, tick: int, code: int, channel: int) -> None:
    """Put an event into the heap."""
    heap, place = state[ix.P_HEAP_AT], state[ix.P_EVENTS]
    state[ix.P_EVENTS] = place + 1
    while place > 0:
        above = (place - 1) >> 1
        upper = heap + ix.EVENT_WORDS * above
        if state[upper + ix.E_TICK] <= tick:
            break
        lower = heap + ix.EVENT_WORDS * place
        for word in range(ix.EVENT_WORDS):
            state[lower + word] = state[upper + word]
        place = above
    at = heap + ix.EVENT_WORDS * place
    state[at + ix.E_TICK], state[at + ix.E_CODE], state[at + ix.E_CHANNEL] = tick, code, channel


@_inner()
def _drop_first(state: IntArray) -> None:
    """Take the earliest event out of the heap."""
    heap, count = state[ix.P_HEAP_AT], state[ix.P_EVENTS] - 1
    state[ix.P_EVENTS] = count
    last = heap + ix.EVENT_WORDS * count
    place = 0
    while 2 * place + 1 < count:
        below = 2 * place + 1
        at = heap + ix.EVENT_WORDS * below
        if below + 1 < count and state[at + ix.EVENT_WORDS + ix.E_TICK] < state[at + ix.E_TICK]:
            below, at = below + 1, at + ix.EVENT_WORDS
        if state[last + ix.E_TICK] <= state[at + ix.E_TICK]:
            break
        upper = heap + ix.EVENT_WORDS * place
        for word in range(ix.EVENT_WORDS):
            state[upper + word] = state[at + word]
        place = below
    for word in range(ix.EVENT_WORDS):
        state[heap + ix.EVENT_WORDS * place + word] = state[last + word]


@kernel(ENQUEUE_SIGNATURE, _nrt=False)
def enqueue(state: IntArray, task: int, request: IntArray) -> None:
    """Put a request at the end of its port's line (V1); a refused one leaves its reason in `state[ERROR]`."""
    if not is_inside(request, state[ix.P_CHANNELS], state[ix.P_BANKS], state[ix.P_ROW_BYTES]):
        refuse(state, rq.BAD_REQUEST)
        return
    channel, size = request[rq.R_CHANNEL], request[rq.R_BYTES]
    base = state[ix.P_CHANNELS_AT] + channel * ix.CHANNEL_WORDS
    if state[base + ix.C_ACTIVE] >= state[ix.P_REQUESTS]:
        refuse(state, rq.OVERFLOW)
        return
    writes = request[FLAGS] & IS_WRITE
    port = base + (ix.C_WRITE_FREE if writes else ix.C_READ_FREE)
    openings = (size + request[rq.R_STRIPE] - 1) // request[rq.R_STRIPE]
    begin, lasts = max(state[NOW], state[port]), _ticks(state, size, openings)
    if request[FLAGS] & WANTS_FIRST:
        first = begin + _ticks(state, min(size, state[ix.P_BURST_BYTES]), 1)
        _announce(state, first, 2 * task + FIRST, channel)
    _announce(state, begin + lasts, 2 * task + DONE, channel)
    state[port] = begin + lasts
    state[base + ix.C_ACTIVE] += 1
    state[base + (ix.C_BYTES_WRITTEN if writes else ix.C_BYTES_READ)] += size
    state[base + ix.C_REQUESTS] += 1
    state[base + ix.C_OPENINGS] += openings
    data = (size + state[ix.P_BYTES_PER_CYCLE] - 1) // state[ix.P_BYTES_PER_CYCLE] * state[ix.P_CLOCK_NUM]
    state[base + ix.C_BUSY] += (data + state[ix.P_CLOCK_DEN] - 1) // state[ix.P_CLOCK_DEN]


@kernel(ADVANCE_SIGNATURE, _nrt=False)
def advance(state: IntArray, until: int) -> int:
    """Run to `until`, or to the first tick with a completion; see the server contract."""
    heap, out = state[ix.P_HEAP_AT], state[DONE_AT]
    count = 0
    stop = until
    while state[ix.P_EVENTS] > 0 and state[heap + ix.E_TICK] <= stop:
        stop, code = state[heap + ix.E_TICK], state[heap + ix.E_CODE]
        state[out + count] = code
        count += 1
        if code % 2 == DONE:
            state[state[ix.P_CHANNELS_AT] + state[heap + ix.E_CHANNEL] * ix.CHANNEL_WORDS + ix.C_ACTIVE] -= 1
        _drop_first(state)
    state[NOW] = stop
    state[COUNT] = count
    return count


@kernel(NEXT_EVENT_SIGNATURE, _nrt=False)
def next_event(state: IntArray) -> int:
    """The tick of the next completion, exactly."""
    return int(state[state[ix.P_HEAP_AT] + ix.E_TICK]) if state[ix.P_EVENTS] > 0 else int(NEVER)


def counters(state: IntArray) -> Mapping[str, Any]:
    """What each channel did, as arrays over channels: bytes, openings, ticks with data of reads plus those of writes.

    A request counts from its arrival on. Its first opening stands under `row_misses`, its others, each of which has
    closed a row, under `row_conflicts`; nothing ever hits (V2) or is padded (V4). `last_data_ps` is the end of the last
    data. Ports do not share a bus, so `bus_busy_ps` may exceed the time that passed.
    """
    at, channels = int(state[ix.P_CHANNELS_AT]), int(state[ix.P_CHANNELS])
    blocks = state[at : at + channels * ix.CHANNEL_WORDS].reshape(channels, ix.CHANNEL_WORDS)
    requests, openings = blocks[:, ix.C_REQUESTS].copy(), blocks[:, ix.C_OPENINGS].copy()
    none = np.zeros(channels, dtype=np.int64)
    return {
        "bytes_read": blocks[:, ix.C_BYTES_READ].copy(),
        "bytes_written": blocks[:, ix.C_BYTES_WRITTEN].copy(),
        "padding_bytes": none,
        "row_hits": none.copy(),
        "row_misses": requests,
        "row_conflicts": openings - requests,
        "activates": openings,
        "bus_busy_ps": blocks[:, ix.C_BUSY].copy(),
        "last_data_ps": np.maximum(blocks[:, ix.C_READ_FREE], blocks[:, ix.C_WRITE_FREE]),
    }


def build_voxel_server(spec: DramSpec, channels: int, cores: int, max_requests: int = 64) -> Server:
    """The server of `channels` channels of `spec` on a chip of `cores` cores, each for at most `max_requests` requests.

    ConfigError when a number is not positive or a channel moves less than a byte in a cycle. A request beyond
    `max_requests`, or one outside the geometry, is refused and leaves OVERFLOW or BAD_REQUEST in `state[ERROR]`
    (request.py); engines check that slot.
    """
    for name, number in (("channels", channels), ("cores", cores), ("max_requests", max_requests)):
        if number < 1:
            raise ConfigError(f"must be at least 1, got {number}", key=name)
    estimator = VoxelEstimator.of(spec, channels, cores)
    completions = 4 * channels  # a port completes one request in a tick at most: its FIRST and its DONE
    channels_at = ix.P_END + completions
    heap_at = channels_at + channels * ix.CHANNEL_WORDS
    state = np.zeros(heap_at + 2 * channels * max_requests * ix.EVENT_WORDS, dtype=np.int64)
    for index, value in {
        DONE_AT: ix.P_END,
        ix.P_CHANNELS: channels,
        ix.P_REQUESTS: max_requests,
        ix.P_BANKS: spec.banks_per_channel,
        ix.P_ROW_BYTES: spec.row_bytes,
        ix.P_BURST_BYTES: spec.burst_bytes,
        ix.P_BYTES_PER_CYCLE: estimator.bytes_per_cycle,
        ix.P_OPENING: estimator.opening,
        ix.P_PRECHARGE: estimator.precharge,
        ix.P_COLUMN: estimator.column,
        ix.P_CLOCK_NUM: spec.clock.num,
        ix.P_CLOCK_DEN: spec.clock.den,
        ix.P_CHANNELS_AT: channels_at,
        ix.P_HEAP_AT: heap_at,
    }.items():
        state[index] = value
    return Server(kind=VOXEL_SERVER, state=state, labels={"channels": channels})


VOXEL_SERVER: Final = server_kinds.add(
    "dram_voxel_estimator",
    ServerKind("dram_voxel_estimator", enqueue, advance, next_event, rq.REQUEST_COLUMNS, counters),
)
