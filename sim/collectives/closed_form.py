"""Cycles of collectives in closed form, from a request of what is ready to the last task's end.

They follow from the rules N1 to N5 of `hw_models/noc/cycle.py` for cores that ask for all their transfers in time (no
queue of a core is full) and lines on which nothing else is sent. Sizes and parameters of networks may be arrays that
broadcast with each other; a word of `W` cycles means the longest of the holds of a transfer on ports and links.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cairn.hw_models.noc.analytical import NocArrays, head_cycles, transfer_cycles
from cairn.sim.collectives.trees import Tree, chain

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Adding:
    """How sums are added: see `Work` in `reduce.py`. `add_cycles` follow the last word of a sum."""

    streams: bool = True
    add_cycles: Any = 1


STREAMED = Adding()


def hold_cycles(noc: NocArrays, size_bytes: npt.ArrayLike) -> IntArray:
    """W: cycles by which the end of a transfer lies behind its head at the last port."""
    return np.asarray(transfer_cycles(noc, 1, size_bytes) - head_cycles(noc, 1) + 1, dtype=np.int64)


def reduce_cycles(
    noc: NocArrays, tree: Tree, size_bytes: npt.ArrayLike, adding: Adding = STREAMED, stride: int = 1
) -> IntArray:
    """A reduction along a tree on a line whose cores stand `stride` hops apart: the latest sum, position by position.

    The sums of a core's children pass its port one after the other. What is added goes on at the first data of the last
    of them (streams), or when that has been added. Exact where sums arrive in the order of the tree's children.
    """
    hold = hold_cycles(noc, size_bytes)
    ready = [np.zeros_like(hold)] * tree.size
    for position in tree.leaves_first:
        port, added, last = np.zeros_like(hold), np.zeros_like(hold), np.zeros_like(hold)
        for child in tree.children[position]:
            head = np.maximum(ready[child] + head_cycles(noc, stride * abs(child - position)) - 1, port)
            port, before, last = head + hold, added, head + 1
            added = np.maximum(port, added) + adding.add_cycles
        streams = adding.streams and position != tree.root and tree.children[position]
        ready[position] = np.maximum(before, last) if streams else added
    return ready[tree.root]


def chain_cycles(noc: NocArrays, cores: npt.ArrayLike, size_bytes: npt.ArrayLike, add_cycles: int = 1) -> IntArray:
    """A chain of `cores` neighbours to its end, streamed: a head from core to core, then the message, then the addition
    of its last word. 0 for a single core."""
    count = np.asarray(cores, dtype=np.int64)
    cycles = (count - 2) * head_cycles(noc, 1) + transfer_cycles(noc, 1, size_bytes) + add_cycles
    return np.where(count > 1, cycles, 0)


def binomial_cycles(noc: NocArrays, cores: npt.ArrayLike, size_bytes: npt.ArrayLike, add_cycles: int = 1) -> IntArray:
    """A binomial tree on a line of `cores` = 2^r neighbours, each round's sums added before the next round begins."""
    rounds = np.round(np.log2(np.asarray(cores))).astype(np.int64)
    each = transfer_cycles(noc, 1, size_bytes) - noc.hop_cycles + add_cycles
    return np.asarray(rounds * each + (np.asarray(cores) - 1) * noc.hop_cycles, dtype=np.int64)


def phases_cycles(
    noc: NocArrays, factors: Sequence[int], size_bytes: npt.ArrayLike, adding: Adding = STREAMED, middle: bool = True
) -> IntArray:
    """A K-tree in separate phases on a line of neighbours (`reduce_in_phases`): a phase begins when the one before is
    over. In phase k, members of a group stand prod(factors[:k]) hops apart."""
    total, stride = np.zeros_like(hold_cycles(noc, size_bytes)), 1
    for factor in factors:
        tree = chain(factor, factor // 2 if middle else 0)
        total = total + reduce_cycles(noc, tree, size_bytes, adding, stride)
        stride *= factor
    return total


def broadcast_cycles(noc: NocArrays, cores: npt.ArrayLike, root: npt.ArrayLike, size_bytes: npt.ArrayLike) -> IntArray:
    """A broadcast through routers on a line of `cores` neighbours: the way to the farther end. 0 for a single core."""
    count, at = np.asarray(cores, dtype=np.int64), np.asarray(root, dtype=np.int64)
    far = np.maximum(at, count - 1 - at)
    return np.where(count > 1, transfer_cycles(noc, far, size_bytes), 0)


def relay_cycles(noc: NocArrays, cores: npt.ArrayLike, size_bytes: npt.ArrayLike) -> IntArray:
    """A broadcast from one end that every core passes on at its first data. 0 for a single core."""
    return chain_cycles(noc, cores, size_bytes, 0)


def ring_cycles(noc: NocArrays, hops: npt.ArrayLike, shard_bytes: npt.ArrayLike) -> IntArray:
    """All-gather on a ring whose members are `hops` (P,) links apart, streamed; a reduce-scatter adds `add_cycles`.

    A shard passes all links but one, and a member sends P - 1 shards one after the other; from a shard to the next
    either the way to the next member counts or the hold of the port. `shard_bytes` is a number or an array (n,).
    """
    size = np.asarray(shard_bytes)
    hold = hold_cycles(noc, size)
    head = head_cycles(noc, hops)
    way = np.maximum(head.sum() - head.min(), head.max() + (head.size - 2) * hold)
    return np.asarray(way + hold - 1, dtype=np.int64)


def ring_all_reduce_cycles(
    noc: NocArrays, hops: npt.ArrayLike, shard_bytes: npt.ArrayLike, add_cycles: int = 1
) -> IntArray:
    """A ring all-reduce, reduce-scatter and all-gather. No member waits for the others between the two, so this is an
    upper bound: the core that ends the first late need not be the one that ends the second late."""
    return np.asarray(2 * ring_cycles(noc, hops, shard_bytes) + add_cycles, dtype=np.int64)
