"""One channel alone on a list of requests: offering, the loop over ticks, and what is measured on the way."""

from __future__ import annotations

from typing import Final

from cairn.base.kernel import kernel, u
from cairn.hw_models.dram.control import layout as ix
from cairn.hw_models.dram.control.queues import has_room, inner, push
from cairn.hw_models.dram.control.step import next_tick, step
from cairn.hw_models.server import ERROR, IntArray

FINE: Final = 256
"""Latencies below this have a bucket each; above, 128 buckets for each doubling, within 0.8 %."""
BUCKETS: Final = FINE + 128 * 40
BINS: Final = 1024
"""Bins of the bandwidth over time; when the run outgrows them, pairs are joined and each lasts twice as long."""
STUCK: Final = 1
"""`state[ERROR]`: requests wait and no command can ever issue."""

M_LAST_ACCEPTED, M_READS, M_WRITES, M_READ_SUM, M_WRITE_SUM, M_READ_MAX, M_WRITE_MAX, M_BIN_TICKS = range(8)
MEASURES: Final = 8


@inner()
def bucket_of(latency: int) -> int:
    """Bucket of a latency in ticks."""
    if latency < FINE:
        return int(latency)
    doublings = 0
    while latency >> doublings >= FINE:
        doublings += 1
    return int(FINE + (doublings - 1) * 128 + (latency >> doublings) - 128)


def bucket_floor(bucket: int) -> int:
    """Least latency that falls into a bucket."""
    if bucket < FINE:
        return bucket
    doublings, rest = divmod(bucket - FINE, 128)
    return (rest + 128) << (doublings + 1)


@inner()
def _measure(state: IntArray, base: int, measures: IntArray, latencies: IntArray, bins: IntArray) -> None:
    """Note the column command that just issued."""
    write, tick = state[u(base + ix.C_DONE_WRITE)], state[u(base + ix.C_DONE_TICK)]
    latency = tick - state[u(base + ix.C_DONE_ACCEPTED)] + (0 if write else state[ix.P_READ])
    measures[M_READS + write] += 1
    measures[M_READ_SUM + write] += latency
    measures[M_READ_MAX + write] = max(measures[M_READ_MAX + write], latency)
    latencies[write, bucket_of(latency)] += 1
    while tick // measures[M_BIN_TICKS] >= BINS:
        for place in range(BINS // 2):
            for row in range(2):
                bins[row, place] = bins[row, 2 * place] + bins[row, 2 * place + 1]
        bins[:, BINS // 2 :] = 0
        measures[M_BIN_TICKS] *= 2
    bins[write, tick // measures[M_BIN_TICKS]] += 1


@kernel(nogil=True)
def run_requests(
    state: IntArray, base: int, arrive: IntArray, write: IntArray, bank: IntArray, row: IntArray, at: int,
    first_tag: int, is_last: bool, measures: IntArray, latencies: IntArray, bins: IntArray, done: IntArray,
) -> int:  # fmt: skip
    """Offer the requests from number `at` on in order, and run.

    Each tick, requests whose time `arrive` has come are offered until the first one is refused. Answers the number of
    the first request not yet accepted: all are, unless the log of commands must be emptied first; with `is_last` the
    run goes on until all are done. `done` (empty, or one for each request since the beginning) receives the tick of the
    column command by tag, which is `first_tag` plus the number.
    """
    count = arrive.shape[0]
    issued = True
    while True:
        now = state[u(base + ix.C_CLK)]
        accepted = False
        while at < count and arrive[at] <= now and has_room(state, base, write[at]):
            push(state, base, write[at], bank[at], row[at], first_tag + at, arrive[at])
            at += 1
            accepted = True
        if accepted:
            measures[M_LAST_ACCEPTED] = now
        if at == count:
            if not is_last:
                return at
            under_way = state[u(base + ix.C_WAITING_READS)] + state[u(base + ix.C_WAITING_WRITES)]
            under_way += state[u(base + ix.C_ACTIVE)]
            if under_way == 0 and state[u(base + ix.C_SPLIT_BANK)] == ix.NONE:
                return at
        if state[ix.P_LOG_SIZE] > 0 and state[u(base + ix.C_LOGGED)] + 4 > state[ix.P_LOG_SIZE]:
            return at
        following = now + 1
        if not (accepted or issued):
            following = next_tick(state, base)
            if at < count and arrive[at] > now:
                following = min(following, arrive[at])
            if following >= ix.FAR:
                state[ERROR] = STUCK
                return at
        issued = step(state, base, following)
        if state[ERROR]:
            return at
        if state[u(base + ix.C_DONE)]:
            _measure(state, base, measures, latencies, bins)
            if done.shape[0] > 0:
                done[state[u(base + ix.C_DONE_TAG)]] = state[u(base + ix.C_DONE_TICK)]
