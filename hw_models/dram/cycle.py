"""The DRAM server: all channels of a chip behind one contract, each touched only when it can complete something.

A tournament over the channels' bounds on their next completion finds the channel to look at. A channel's admissions
are made up to its bound (or, when a request arrives, up to the present) and no further, because later arrivals may
still take part in them; until then it rests. Rules: see the package's docstring.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from cairn.base.errors import ConfigError
from cairn.base.ticks import NEVER
from cairn.hw_models.dram import layout as ix
from cairn.hw_models.dram.channel import commit, completion_bound
from cairn.hw_models.dram.requests import inner_kernel, insert, take_events
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.server import (
    ADVANCE_SIGNATURE,
    COUNT,
    DONE_AT,
    ENQUEUE_SIGNATURE,
    ERROR,
    NEXT_EVENT_SIGNATURE,
    NOW,
    IntArray,
    Server,
    ServerKind,
    server_kinds,
)


@inner_kernel()
def _play(state: IntArray, channel: int) -> None:
    """Play the tournament again on the path of one channel: each node names the channel with the least bound."""
    bounds, winners = state[ix.P_BOUNDS_AT], state[ix.P_WINNERS_AT]
    node = (state[ix.P_LEAVES] + channel) >> 1
    while node > 0:
        left, right = state[winners + 2 * node], state[winners + 2 * node + 1]
        state[winners + node] = left if state[bounds + left] <= state[bounds + right] else right
        node >>= 1


@inner_kernel()
def _base(state: IntArray, channel: int) -> int:
    """Where the block of a channel begins."""
    return int(state[ix.P_CHANNELS_AT] + channel * state[ix.P_STRIDE])


@inner_kernel()
def _rebound(state: IntArray, channel: int, base: int) -> None:
    """Renew the bound of one channel after its block changed."""
    state[state[ix.P_BOUNDS_AT] + channel] = completion_bound(state, base)
    _play(state, channel)


@inner_kernel()
def _is_valid(state: IntArray, request: IntArray) -> bool:
    """Whether a request row lies within the channels, the banks and the rule on stripes."""
    channel, stripe = request[ix.R_CHANNEL], request[ix.R_STRIPE]
    if channel < 0 or channel >= state[ix.P_CHANNELS] or stripe <= 0 or state[ix.P_ROW_BYTES] % stripe != 0:
        return False
    base, count = request[ix.R_BANK_BASE], request[ix.R_BANK_COUNT]
    if base < 0 or count <= 0 or base + count > state[ix.P_BANKS]:
        return False
    return bool(request[ix.R_ROW_BASE] >= 0 and request[ix.R_OFFSET] >= 0 and request[ix.R_BYTES] > 0)


@inner_kernel()
def _refuse(state: IntArray, reason: int) -> None:
    if state[ERROR] == 0:
        state[ERROR] = reason


@inner_kernel(ENQUEUE_SIGNATURE)
def enqueue(state: IntArray, task: int, request: IntArray) -> None:
    """Make a request present in its channel from `state[NOW]` on; a refused one leaves its reason in `state[ERROR]`."""
    if not _is_valid(state, request):
        _refuse(state, ix.BAD_REQUEST)
        return
    channel = request[ix.R_CHANNEL]
    base = _base(state, channel)
    commit(state, base, state[NOW])
    if state[base + ix.C_ACTIVE] >= state[ix.P_REQUESTS]:
        _refuse(state, ix.OVERFLOW)
        return
    insert(state, base, state[NOW], task, request)
    _rebound(state, channel, base)


@inner_kernel(ADVANCE_SIGNATURE)
def advance(state: IntArray, until: int) -> int:
    """Run to `until`, or to the first tick with a completion; see the server contract."""
    bounds, root, out = state[ix.P_BOUNDS_AT], state[ix.P_WINNERS_AT] + 1, state[DONE_AT]
    stop = until
    count = 0
    while True:
        channel = state[root]
        bound = state[bounds + channel]
        if bound > stop:
            break
        base = _base(state, channel)
        commit(state, base, bound)
        taken = take_events(state, base, bound, out + count)
        if taken > 0:
            stop = bound
            count += taken
        _rebound(state, channel, base)
    state[NOW] = stop
    state[COUNT] = count
    return count


@inner_kernel(NEXT_EVENT_SIGNATURE)
def next_event(state: IntArray) -> int:
    """The least of the channels' bounds."""
    return int(max(state[NOW], state[state[ix.P_BOUNDS_AT] + state[state[ix.P_WINNERS_AT] + 1]]))


def _blocks(state: IntArray) -> IntArray:
    channels, at, stride = (int(state[index]) for index in (ix.P_CHANNELS, ix.P_CHANNELS_AT, ix.P_STRIDE))
    return state[at : at + channels * stride].reshape(channels, stride)


def counters(state: IntArray) -> Mapping[str, Any]:
    """What each channel did, as arrays over channels: bytes, runs by row outcome, activates, bus ticks.

    Complete once nothing is under way; before, runs that need not be known yet may be missing. `padding_bytes`
    are bytes of bursts that nobody asked for (D1); `bus_busy_ps` are ticks with data on the bus, and
    `last_data_ps` is the end of the last data.
    """
    blocks = _blocks(state)
    misses, conflicts = blocks[:, ix.C_MISSES].copy(), blocks[:, ix.C_CONFLICTS].copy()
    return {
        "bytes_read": blocks[:, ix.C_BYTES_READ].copy(),
        "bytes_written": blocks[:, ix.C_BYTES_WRITTEN].copy(),
        "padding_bytes": blocks[:, ix.C_PADDING].copy(),
        "row_hits": blocks[:, ix.C_HITS].copy(),
        "row_misses": misses,
        "row_conflicts": conflicts,
        "activates": misses + conflicts,
        "bus_busy_ps": blocks[:, ix.C_BUSY].copy(),
        "last_data_ps": blocks[:, ix.C_BUS_FREE].copy(),
    }


def _parameters(spec: DramSpec, channels: int, max_requests: int) -> dict[int, int]:
    """The P_* slots of the state."""
    leaves = 1 << (channels - 1).bit_length()
    slot = spec.slot_ticks(channels)
    byte_q16 = slot.numerator * 65536 // (slot.denominator * spec.burst_bytes)
    events = 2 * (spec.queue_runs + 2)
    out = ix.P_END
    bounds_at = out + 2 * channels
    winners_at = bounds_at + leaves
    banks_at = ix.C_END
    begins_at = banks_at + ix.BANK_WORDS * spec.banks_per_channel
    events_at = begins_at + spec.queue_runs
    order_at = events_at + ix.EVENT_WORDS * events
    slots_at = order_at + max_requests
    places = {
        DONE_AT: out,
        ix.P_BOUNDS_AT: bounds_at,
        ix.P_WINNERS_AT: winners_at,
        ix.P_CHANNELS_AT: winners_at + 2 * leaves,
        ix.P_STRIDE: slots_at + ix.SLOT_WORDS * max_requests,
        ix.P_BANKS_AT: banks_at,
        ix.P_BEGINS_AT: begins_at,
        ix.P_EVENTS_AT: events_at,
        ix.P_ORDER_AT: order_at,
        ix.P_SLOTS_AT: slots_at,
    }
    sizes = {
        ix.P_CHANNELS: channels,
        ix.P_LEAVES: leaves,
        ix.P_EVENTS: events,
        ix.P_REQUESTS: max_requests,
        ix.P_BANKS: spec.banks_per_channel,
        ix.P_ROW_BYTES: spec.row_bytes,
        ix.P_BURST_BYTES: spec.burst_bytes,
        ix.P_RUN_BYTES: spec.run_bytes,
        ix.P_WINDOW: spec.queue_runs,
        ix.P_SLOT_NUM: slot.numerator,
        ix.P_SLOT_DEN: slot.denominator,
        ix.P_SLOT_TICKS: -(-slot.numerator // slot.denominator),
        ix.P_BYTE_Q16: byte_q16,
        ix.P_BYTES_BOUND: NEVER // max(byte_q16, 1),
    }
    timings = {index: spec.timing_ticks(name) for name, index in ix.TIMING_SLOTS.items()}
    return {**places, **sizes, **timings, ix.P_RC: timings[ix.P_RAS] + timings[ix.P_RP]}


def build_dram_server(spec: DramSpec, channels: int, max_requests: int = 64) -> Server:
    """The server of `channels` channels of `spec`, each for at most `max_requests` requests with runs left.

    ConfigError when a number is not positive. A request beyond `max_requests`, or one outside the geometry, is
    refused and leaves OVERFLOW or BAD_REQUEST in `state[ERROR]` (layout.py); engines check that slot.
    """
    for name, number in (("channels", channels), ("max_requests", max_requests)):
        if number < 1:
            raise ConfigError(f"must be at least 1, got {number}", key=name)
    parameters = _parameters(spec, channels, max_requests)
    size = parameters[ix.P_CHANNELS_AT] + channels * parameters[ix.P_STRIDE]
    state = np.zeros(size, dtype=np.int64)
    for index, value in parameters.items():
        state[index] = value
    _initialise_tree(state)
    blocks = _blocks(state)
    banks = blocks[:, parameters[ix.P_BANKS_AT] : parameters[ix.P_BEGINS_AT]].reshape(channels, -1, ix.BANK_WORDS)
    banks[:, :, ix.B_ROW] = ix.CLOSED
    banks[:, :, [ix.B_PRE_AT, ix.B_ACT_AT]] = ix.LONG_AGO
    blocks[:, ix.C_ACTS : ix.C_ACTS + ix.ACTS] = ix.LONG_AGO
    blocks[:, ix.C_LAST_ACT] = ix.LONG_AGO
    blocks[:, ix.C_LAST_TASK] = -1
    blocks[:, ix.C_DIRECTION] = ix.NO_DIRECTION
    blocks[:, ix.C_NEXT_REFRESH] = NEVER if spec.refresh == "none" else parameters[ix.P_REFI]
    blocks[:, parameters[ix.P_ORDER_AT] : parameters[ix.P_SLOTS_AT]] = np.arange(max_requests)
    return Server(kind=DRAM_SERVER, state=state, labels={"channels": channels})


def _initialise_tree(state: IntArray) -> None:
    """No channel has anything under way; leaves beyond the last channel never win."""
    leaves, bounds, winners = (int(state[index]) for index in (ix.P_LEAVES, ix.P_BOUNDS_AT, ix.P_WINNERS_AT))
    state[bounds : bounds + leaves] = NEVER
    state[winners + leaves : winners + 2 * leaves] = np.arange(leaves)
    for node in range(leaves - 1, 0, -1):
        state[winners + node] = state[winners + 2 * node]


DRAM_SERVER: Final = server_kinds.add(
    "dram", ServerKind("dram", enqueue, advance, next_event, ix.REQUEST_COLUMNS, counters)
)
