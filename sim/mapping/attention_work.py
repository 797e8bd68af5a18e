"""How the work of an attention is shared: which core looks at which keys for which queries, and where keys lie.

The work of a pair (request, key head) is its query rows times the keys each of them sees. Pairs are laid end to end,
head by head, and cut into stretches of equal work, one a core. When every request has one new token and whole pairs do
not come out even, the keys of pairs are cut as well and partial results are joined (flash decoding).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cairn.workloads.graph import Attention

IntArray = npt.NDArray[np.int64]

UNEVEN = 1.05
"""Work of the busiest core over the mean beyond which the keys of pairs are cut (assumed: a join costs about that)."""


@dataclass(frozen=True)
class Units:
    """Unit u: rank `rank[u]` of the grid looks, for query rows [q0, q1) of a pair, at keys [s0, s1)."""

    rank: IntArray
    request: IntArray
    head: IntArray
    q0: IntArray
    q1: IntArray
    s0: IntArray
    s1: IntArray
    part: IntArray
    """Which part of its pair's keys a unit has (flash decoding); 0 holds the joined result."""
    parts: IntArray

    @property
    def count(self) -> int:
        return int(self.rank.size)

    @property
    def pair(self) -> IntArray:
        return self.head * (int(self.request.max(initial=0)) + 1) + self.request


@dataclass(frozen=True)
class KeyBlocks:
    """Block i: keys [s0, s1) of a pair lie in the channel above rank `home`, as its `order`-th block."""

    request: IntArray
    head: IntArray
    s0: IntArray
    s1: IntArray
    home: IntArray
    order: IntArray


@dataclass(frozen=True)
class Visits:
    """Visit v: unit `unit[v]` reads block `block[v]` and looks at its keys [n0, n1), in step `step[v]` of its core."""

    unit: IntArray
    block: IntArray
    n0: IntArray
    n1: IntArray
    step: IntArray
    last: npt.NDArray[np.bool_]
    """Whether this is the unit's last visit."""


def decoding(attention: Attention) -> bool:
    """Whether every request has one new token, so that keys stay with the core that works on them."""
    return all(request.new == 1 for request in attention.requests)


def share_units(attention: Attention, cores: int, key_quantum: int) -> Units:
    """The units of an attention on `cores` cores, in rank order; keys are cut at multiples of `key_quantum`."""
    whole = share_rows(attention, cores)
    if not decoding(attention):
        return whole
    most = np.bincount(whole.rank, weights=whole.s1 - whole.s0, minlength=cores)
    return whole if most.max() <= UNEVEN * most.mean() else _split_keys(attention, cores, key_quantum)


def share_rows(attention: Attention, cores: int) -> Units:
    """Query rows of all pairs end to end, cut into stretches of equal work; no row's keys are cut."""
    new, cached = (np.array([getattr(r, what) for r in attention.requests]) for what in ("new", "cached"))
    row_request = np.repeat(np.arange(new.size), new)
    row = np.arange(row_request.size) - np.repeat(np.cumsum(new) - new, new)
    seen = cached[row_request] + (row + 1 if attention.causal else new[row_request])
    if attention.window:
        seen = np.minimum(seen, attention.window)
    heads = attention.kv_heads
    request, rows = np.tile(row_request, heads), np.tile(row, heads)
    head = np.repeat(np.arange(heads), row_request.size)
    work = np.tile(seen, heads).astype(np.float64)
    middle = np.cumsum(work) - work / 2
    rank = np.minimum((middle / work.sum() * cores).astype(np.int64), cores - 1)
    change = np.ones(rank.size, dtype=bool)
    change[1:] = (np.diff(rank) != 0) | (np.diff(request) != 0) | (np.diff(head) != 0)
    first = np.nonzero(change)[0]
    size = np.diff(np.append(first, rank.size))
    q0 = rows[first]
    q1 = q0 + size
    request, head = request[first], head[first]
    s0 = np.maximum(0, cached[request] + q0 - attention.window + 1) if attention.window else np.zeros_like(q0)
    s1 = cached[request] + (q1 if attention.causal else new[request])
    one = np.ones_like(q0)
    return Units(rank[first], request, head, q0, q1, s0, s1, 0 * one, one)


def _split_keys(attention: Attention, cores: int, quantum: int) -> Units:
    """Keys of all pairs end to end, cut into stretches of equal length, so that a pair may lie on several ranks."""
    cached = np.array([r.cached for r in attention.requests])
    pair = np.arange(cached.size * attention.kv_heads)
    head, request = pair // cached.size, pair % cached.size
    high = cached[request] + 1
    low = np.maximum(0, high - attention.window) if attention.window else np.zeros_like(high)
    length = -(-(high - low) // quantum)
    starts = np.cumsum(length) - length
    edges = np.arange(cores + 1) * int(length.sum()) // cores
    marks = np.unique(np.concatenate([edges, starts]))
    begin, end = marks[:-1], marks[1:]
    rank = np.searchsorted(edges, begin, side="right") - 1
    pair = np.searchsorted(starts, begin, side="right") - 1
    s0 = low[pair] + (begin - starts[pair]) * quantum
    s1 = np.minimum(low[pair] + (end - starts[pair]) * quantum, high[pair])
    zero = np.zeros_like(pair)
    parts = np.bincount(pair)[pair]
    return Units(rank, request[pair], head[pair], zero, zero + 1, s0, s1, count_up(pair), parts)


def limit_rows(attention: Attention, units: Units, most: int, ranks: npt.NDArray[np.bool_]) -> Units:
    """The units, those on the marked `ranks` cut into units of at most `most` query rows that follow each other."""
    rows = units.q1 - units.q0
    count = np.where(ranks[units.rank], -(-rows // most), 1)
    index = np.repeat(np.arange(units.count), count)
    number, of, whole = count_up(index), count[index], rows[index]
    q0, q1 = units.q0[index] + whole * number // of, units.q0[index] + whole * (number + 1) // of
    s0, s1, request = units.s0[index], units.s1[index], units.request[index]
    if attention.causal:
        cached = np.array([r.cached for r in attention.requests])[request]
        s1 = np.minimum(s1, cached + q1)
        if attention.window:
            s0 = np.maximum(s0, cached + q0 - attention.window + 1)
    return Units(units.rank[index], request, units.head[index], q0, q1, s0, s1, units.part[index], units.parts[index])


def place_keys(attention: Attention, units: Units, tile: int, begins: tuple[int, ...] = ()) -> KeyBlocks:
    """Blocks of at most `tile` keys. Decoding: each with its unit; otherwise dealt over the ranks of its pair.

    Where they are dealt, one begins with the first new key of each request, and at each of the keys `begins`.
    """
    if decoding(attention):
        unit, s0, s1 = _cut(units.s0, units.s1, tile)
        home, order = units.rank[unit], count_up(units.rank[unit])
        return KeyBlocks(units.request[unit], units.head[unit], s0, s1, home, order)
    pairs, first = np.unique(units.pair, return_index=True)
    low = np.full(pairs.size, np.iinfo(np.int64).max)
    index = np.searchsorted(pairs, units.pair)
    np.minimum.at(low, index, units.s0)
    high = np.zeros(pairs.size, dtype=np.int64)
    np.maximum.at(high, index, units.s1)
    cached = np.array([r.cached for r in attention.requests])[units.request[first]]
    pair, s0, s1 = _cut(low, high, tile, cached, *(np.full_like(low, key) for key in begins))
    members = np.bincount(index)
    start = np.cumsum(members) - members
    by_pair = np.argsort(index, kind="stable")
    home = units.rank[by_pair[start[pair] + count_up(pair) % members[pair]]]
    return KeyBlocks(units.request[first][pair], units.head[first][pair], s0, s1, home, count_up(home))


def plan_visits(units: Units, blocks: KeyBlocks, local: bool) -> Visits:
    """Which unit reads which block when: each core goes through its units, each unit through its keys in order."""
    n_requests = int(max(units.request.max(), blocks.request.max())) + 1
    block_pair = blocks.head * n_requests + blocks.request
    unit_pair = units.head * n_requests + units.request
    by_pair = np.lexsort((blocks.s0, block_pair))
    begin = np.searchsorted(block_pair[by_pair], unit_pair, side="left")
    end = np.searchsorted(block_pair[by_pair], unit_pair, side="right")
    unit = np.repeat(np.arange(units.count), end - begin)
    block = by_pair[np.repeat(begin, end - begin) + count_up(unit)]
    n0, n1 = blocks.s0[block], np.minimum(blocks.s1[block], units.s1[unit])
    keep = (n0 < n1) & (blocks.s1[block] > units.s0[unit])
    if local:  # a unit's blocks are its own: those within its range of keys
        keep &= (blocks.home[block] == units.rank[unit]) & (n0 >= units.s0[unit])
    unit, block, n0, n1 = unit[keep], block[keep], n0[keep], n1[keep]
    order = np.lexsort((n0, unit, units.rank[unit]))
    unit, block, n0, n1 = unit[order], block[order], n0[order], n1[order]
    last = np.append(unit[1:] != unit[:-1], True) if unit.size else np.zeros(0, dtype=bool)
    return Visits(unit, block, n0, n1, count_up(units.rank[unit]), last)


def _cut(low: IntArray, high: IntArray, tile: int, *extra: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Cut each range [low, high) every `tile` (and at `extra`): (range number, begin, end) of the pieces, in order."""
    count = np.maximum(0, -(-(high - low) // tile))
    number = np.repeat(np.arange(low.size), count)
    beyond = int(high.max(initial=0)) + 1
    marks = [number * beyond + low[number] + count_up(number) * tile]
    for cut in extra:
        inside = np.nonzero((cut > low) & (cut < high))[0]
        marks.append(inside * beyond + cut[inside])
    number, begin = np.divmod(np.unique(np.concatenate(marks)), beyond)
    end = high[number].copy()
    same = number[1:] == number[:-1]
    end[:-1][same] = begin[1:][same]
    return number, begin, end


def count_up(key: IntArray) -> IntArray:
    """For each entry, how many earlier entries have the same key."""
    order = np.argsort(key, kind="stable")
    counts = np.bincount(key) if key.size else np.zeros(0, dtype=np.int64)
    counts = counts[counts > 0]
    result = np.empty(key.size, dtype=np.int64)
    result[order] = np.arange(key.size) - np.repeat(np.cumsum(counts) - counts, counts)
    return result
