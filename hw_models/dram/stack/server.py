"""The DRAM server of channels with controllers, each touched only when it can complete something.

A tournament over the channels' bounds on their next completion finds the channel to look at. A channel works up to its
bound (or, when a request arrives, up to the present) and no further, because later arrivals may still take part; until
then it rests. Rules: see `stack`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from cairn.base.errors import ConfigError
from cairn.base.kernel import kernel, u
from cairn.base.ticks import NEVER
from cairn.hw_models.dram.control import layout as ix
from cairn.hw_models.dram.control.build import build_state
from cairn.hw_models.dram.control.queues import inner
from cairn.hw_models.dram.pim_spec import PimSpec
from cairn.hw_models.dram.request import (
    BAD_REQUEST,
    IS_PIM,
    OVERFLOW,
    R_CHANNEL,
    REQUEST_COLUMNS,
    is_inside,
    refuse,
)
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.dram.stack import layout as sx
from cairn.hw_models.dram.stack.bounds import bound
from cairn.hw_models.dram.stack.device import (
    pim_parameters,
    stack_controller,
    stack_device,
    tick_ps,
    write_wait_ticks,
)
from cairn.hw_models.dram.stack.image import image_words, origin_words
from cairn.hw_models.dram.stack.pim_requests import fits, insert_pim
from cairn.hw_models.dram.stack.repeat import work_or_repeat
from cairn.hw_models.dram.stack.streams import (
    extra_at,
    first_event,
    insert,
    take_events,
    tick_of,
)
from cairn.hw_models.server import (
    ADVANCE_SIGNATURE,
    COUNT,
    DONE_AT,
    ENQUEUE_SIGNATURE,
    FLAGS,
    NEXT_EVENT_SIGNATURE,
    NOW,
    IntArray,
    Server,
    ServerKind,
    server_kinds,
)

ASK_BURSTS: Final = 64
"""assumed: from so many bursts on it takes less time to look up what a channel does than to work it out."""
ASK_REQUESTS: Final = 16
"""assumed: more requests at once hardly meet twice in the same situation."""
LEAST_PIM_TICKS: Final = 3
"""A row of PIM units takes three ticks at least: activate, last MAC and precharge (S8)."""
LATEST_TICK_BITS: Final = 53
"""Ticks have fewer bits, so that moments, which are ticks with a cause below, stay under FAR."""
ENTRIES: Final = 64
"""Answers that the table keeps, a power of two: less than 2 MB on the default chip. Four times as many answer 95.3 % of
the questions of a decode of Llama-2-13B instead of 93.6 %, but every run copies them."""


@inner()
def _play(state: IntArray, channel: int) -> None:
    """Play the tournament again on the path of one channel: each node names the channel with the least bound."""
    bounds, winners = state[sx.P_BOUNDS_AT], state[sx.P_WINNERS_AT]
    node = (state[sx.P_LEAVES] + channel) >> 1
    while node > 0:
        left, right = state[u(winners + 2 * node)], state[u(winners + 2 * node + 1)]
        state[u(winners + node)] = left if state[u(bounds + left)] <= state[u(bounds + right)] else right
        node >>= 1


@inner()
def _base(state: IntArray, channel: int) -> int:
    """Where the block of a channel begins."""
    return int(state[ix.P_BLOCKS_AT] + channel * state[ix.P_STRIDE])


@inner()
def _rebound(state: IntArray, channel: int, base: int) -> None:
    """Renew the bound of one channel after its block changed."""
    state[u(state[sx.P_BOUNDS_AT] + channel)] = bound(state, base)
    _play(state, channel)


@kernel(ENQUEUE_SIGNATURE, _nrt=False)
def enqueue(state: IntArray, task: int, request: IntArray) -> None:
    """Make a request present in its channel from `state[NOW]` on; a refused one leaves its reason in `state[ERROR]`."""
    inside = is_inside(request, state[ix.P_CHANNELS], state[ix.P_BANKS], state[sx.P_ROW_BYTES])
    if not inside or not fits(state, request):
        refuse(state, BAD_REQUEST)
        return
    channel = request[R_CHANNEL]
    base = _base(state, channel)
    work_or_repeat(state, base, tick_of(state, state[NOW]))
    if request[FLAGS] & IS_PIM:
        if insert_pim(state, base, tick_of(state, state[NOW]), task, request):
            _rebound(state, channel, base)
        else:
            refuse(state, OVERFLOW)
        return
    if state[u(extra_at(state, base) + sx.X_USED)] >= state[sx.P_REQUESTS]:
        refuse(state, OVERFLOW)
        return
    insert(state, base, state[NOW], task, request)
    _rebound(state, channel, base)


@kernel(ADVANCE_SIGNATURE, _nrt=False)
def advance(state: IntArray, until: int) -> int:
    """Run to `until`, or to the first tick with a completion; see the server contract."""
    bounds, root, out = state[sx.P_BOUNDS_AT], state[sx.P_WINNERS_AT] + 1, state[DONE_AT]
    stop = until
    count = 0
    while True:
        channel = state[u(root)]
        moment = state[u(bounds + channel)]
        if moment > stop:
            break
        base = _base(state, channel)
        if first_event(state, base) > moment:  # what is known needs no work, and is next, as data end in order
            work_or_repeat(state, base, tick_of(state, moment))
        taken = take_events(state, base, moment, out + count)
        if taken > 0:
            stop = moment
            count += taken
        _rebound(state, channel, base)
    state[NOW] = stop
    state[COUNT] = count
    return count


@kernel(NEXT_EVENT_SIGNATURE, _nrt=False)
def next_event(state: IntArray) -> int:
    """The least of the channels' bounds."""
    return int(max(state[NOW], state[u(state[sx.P_BOUNDS_AT] + state[u(state[sx.P_WINNERS_AT] + 1)])]))


def _blocks(state: IntArray) -> IntArray:
    channels, at, stride = (int(state[index]) for index in (ix.P_CHANNELS, ix.P_BLOCKS_AT, ix.P_STRIDE))
    return state[at : at + channels * stride].reshape(channels, stride)


def counters(state: IntArray) -> Mapping[str, Any]:
    """What each channel did, as arrays over channels: bytes, bursts by row outcome, commands, ticks of the bus.

    Complete once nothing is under way; before, bursts that need not be known yet may be missing. `padding_bytes`
    are bytes of bursts that nobody asked for (S2); `bus_busy_ps` are ticks with data on the bus, `last_data_ps` is the
    end of the last data. `pim_bytes` are bytes of banks that PIM units worked on, `pim_rows` the rows that were opened
    for them (in each bank; activates count them too), `pim_busy_ps` the time of their MACs, `pim_mode_changes` how
    often a channel went over to them (S6 to S8). `charged_ps` has shape (channels, causes): the time up to the last
    burst by cause (CAUSES of `control.layout`, without `drain`); time for which the units hold banks stands under
    `row_bus` and `command_bus`, as if commands of others had taken it.
    """
    blocks = _blocks(state)
    streams = blocks[:, state[sx.P_EXTRA_AT] :]
    tick = state[sx.P_TICK_NUM] / state[sx.P_TICK_DEN]
    charged = blocks[:, state[ix.P_SHARES_AT] : state[ix.P_SHARES_AT] + ix.DRAIN]
    bus_free = blocks[:, state[ix.P_BUS_FREE_AT]]
    outcome = blocks[:, ix.C_READ_HITS : ix.C_READ_HITS + 6].reshape(-1, 2, 3).sum(axis=1)
    count = blocks[:, ix.C_COUNTS : ix.C_COUNTS + ix.KINDS_OF_COMMAND]
    idle = bus_free == 1
    return {
        "bytes_read": streams[:, sx.X_BYTES_READ].copy(),
        "bytes_written": streams[:, sx.X_BYTES_WRITTEN].copy(),
        "padding_bytes": streams[:, sx.X_PADDING].copy(),
        "row_hits": outcome[:, 0],
        "row_misses": outcome[:, 1],
        "row_conflicts": outcome[:, 2],
        "activates": count[:, ix.ACT].copy(),
        "refreshes": count[:, ix.REF] + count[:, ix.REFPB],
        "bus_busy_ps": np.rint(charged[:, ix.DATA_BUS] * tick).astype(np.int64),
        "last_data_ps": np.where(idle, 0, np.ceil((bus_free + state[ix.P_READ] - state[ix.P_BURST]) * tick)).astype(
            np.int64
        ),
        "pim_bytes": streams[:, sx.X_PIM_BYTES].copy(),
        "pim_rows": streams[:, sx.X_PIM_ROWS].copy(),
        "pim_busy_ps": np.rint(streams[:, sx.X_PIM_BUSY] * tick).astype(np.int64),
        "pim_mode_changes": streams[:, sx.X_PIM_CHANGES].copy(),
        "charged_ps": np.rint(charged * tick).astype(np.int64),
    }


def logged_commands(state: IntArray, channel: int) -> IntArray:
    """Commands that a channel logged: shape (commands, 4) of tick, command (standard.COMMANDS), bank, row or -1."""
    block = _blocks(state)[channel]
    at, count = int(state[ix.P_LOG_AT]), int(block[ix.C_LOGGED])
    commands: IntArray = block[at : at + ix.LOG_WORDS * count].reshape(count, ix.LOG_WORDS).copy()
    return commands


def build_stack_server(
    spec: DramSpec, channels: int, max_requests: int = 64, log: int = 0, ask_bursts: int = ASK_BURSTS,
    pim: PimSpec | None = None,
) -> Server:  # fmt: skip
    """The server of `channels` channels of `spec`, with PIM units where `pim` describes them, each for at most
    `max_requests` requests under way, and as many for the units.

    Each channel logs its first `log` commands (`logged_commands`). Channels that may go on for the time of `ask_bursts`
    look up whether that was done before (repeat.py), where nothing is logged.

    ConfigError when a number is not positive. A request beyond `max_requests`, or one outside the geometry, is
    refused and leaves OVERFLOW or BAD_REQUEST in `state[ERROR]` (request.py); engines check that slot.
    """
    for name, number in (("channels", channels), ("max_requests", max_requests)):
        if number < 1:
            raise ConfigError(f"must be at least 1, got {number}", key=name)
    device, controller = stack_device(spec, channels), stack_controller(spec)
    runs = controller.read_queue + controller.write_queue + 2
    events = 2 * (device.read_ticks // device.burst_ticks + 4)
    if pim is not None:
        events += 2 * (device.read_ticks // LEAST_PIM_TICKS + 4)
    sizes = {
        sx.P_EXTRA_AT: sx.X_END,
        sx.P_SLOTS_AT: sx.SLOT_WORDS * max_requests,
        sx.P_ORDER_AT: max_requests,
        sx.P_USED_AT: max_requests,
        sx.P_RUNS_AT: sx.RUN_WORDS * runs,
        sx.P_RUN_ORDER_AT: runs,
        sx.P_EVENTS_AT: sx.EVENT_WORDS * events,
        sx.P_PIM_AT: sx.PIM_WORDS * max_requests if pim is not None else 0,
    }
    words = sum(sizes.values())
    leaves, asking = 1 << (channels - 1).bit_length(), min(max_requests, ASK_REQUESTS)
    state = build_state(device, controller, channels=channels, log=log, parameters=sx.PARAMETERS, words=words)
    at = int(state[ix.P_STRIDE]) - words
    for index, size in sizes.items():
        state[index] = at
        at += size
    tick = tick_ps(spec, channels)
    behind, banks = state.size, int(state[ix.P_BANKS])
    rings = int(state[ix.P_BUS_FREE_AT] - state[ix.P_RINGS_AT]) // ix.RING_WORDS
    image = image_words(banks, int(state[ix.P_TOPS]), rings, asking, runs, min(events, 2 * asking))
    winners_at = behind + 2 * channels * events + leaves
    origin_at = winners_at + 2 * leaves
    question_at = origin_at + origin_words(banks, asking)
    table_at = question_at + image
    for index, value in {
        DONE_AT: behind,
        sx.P_BOUNDS_AT: behind + 2 * channels * events,
        sx.P_WINNERS_AT: winners_at,
        sx.P_LEAVES: leaves,
        sx.P_EVENTS: events,
        sx.P_REQUESTS: max_requests,
        sx.P_ROW_BYTES: spec.row_bytes,
        sx.P_BURST_BYTES: spec.burst_bytes,
        sx.P_RUN_BYTES: spec.turn_bytes,
        sx.P_TICK_NUM: tick.numerator,
        sx.P_TICK_DEN: tick.denominator,
        sx.P_LATEST_PS: min(1 << 61, int(tick * (1 << LATEST_TICK_BITS))),
        sx.P_BURSTS_BOUND: (1 << 40) // device.burst_ticks,
        sx.P_ONE_GROUP: int(device.organisation.bg == 1),
        sx.P_SPACING: device.burst_ticks,
        sx.P_WRITE_WAIT: write_wait_ticks(spec, channels),
        sx.P_LONGEST_RULE: max(limit.ticks for limit in device.limits()),
        sx.P_ASK_TICKS: ask_bursts * device.burst_ticks,
        sx.P_ASK_REQUESTS: asking,
        sx.P_ORIGIN_AT: origin_at,
        sx.P_QUESTION_AT: question_at,
        sx.P_TABLE_AT: table_at,
        sx.P_ENTRIES: ENTRIES,
        sx.P_ENTRY_WORDS: 1 + 2 * image,
        sx.P_PIM_REQUESTS: max_requests,
        **(pim_parameters(spec, channels, pim) if pim is not None else {}),
    }.items():
        state[index] = value
    state = np.concatenate([state, np.zeros(table_at + ENTRIES * (1 + 2 * image) - behind, dtype=np.int64)])
    _initialise(state, channels, max_requests, runs)
    return Server(kind=STACK_SERVER, state=state, labels={"channels": channels})


def _initialise(state: IntArray, channels: int, max_requests: int, runs: int) -> None:
    """Nothing is under way; leaves of the tournament beyond the last channel never win."""
    blocks = _blocks(state)
    blocks[:, state[sx.P_EXTRA_AT] + sx.X_LAST_TASK] = -1
    for where, count in ((sx.P_ORDER_AT, max_requests), (sx.P_USED_AT, max_requests), (sx.P_RUN_ORDER_AT, runs)):
        blocks[:, state[where] : state[where] + count] = np.arange(count)
    leaves, bounds, winners = (int(state[index]) for index in (sx.P_LEAVES, sx.P_BOUNDS_AT, sx.P_WINNERS_AT))
    state[bounds : bounds + leaves] = NEVER
    state[winners + leaves : winners + 2 * leaves] = np.arange(leaves)
    for node in range(leaves - 1, 0, -1):
        state[winners + node] = state[winners + 2 * node]


STACK_SERVER: Final = server_kinds.add(
    "dram_controller", ServerKind("dram_controller", enqueue, advance, next_event, REQUEST_COLUMNS, counters)
)
