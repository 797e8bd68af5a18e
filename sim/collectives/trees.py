"""Trees of a reduction on a line: which core adds its sum to which other core's, and in what order sums arrive."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError

IntArray = npt.NDArray[np.int64]

HANDOVER_CYCLES: Final = 5
"""Cycles from core to neighbour beside the wire, to put arrivals in order: two ramps of 2 and an addition (T_R of
reference/wafer/wse2_hardware.yaml). An order that is wrong for another network costs time, never a wrong sum."""


@dataclass(frozen=True)
class Tree:
    """`parent[p]` is the position that position p of a line sends its sum to; -1 at the root.

    Raises ConfigError unless there is one root and every position leads to it.
    """

    parent: tuple[int, ...]

    def __post_init__(self) -> None:
        roots = [p for p, up in enumerate(self.parent) if up == -1]
        if len(roots) != 1 or not all(-1 <= up < len(self.parent) for up in self.parent):
            raise ConfigError(f"a tree has one root (parent -1) and parents on its line, got {self.parent}")
        if len(self._by_depth()) != len(self.parent):
            raise ConfigError(f"every position of a tree leads to its root, got parents {self.parent}")

    def _by_depth(self) -> list[int]:
        """Positions that lead to the root, it first, then its children, and so on."""
        below: dict[int, list[int]] = {}
        for position, up in enumerate(self.parent):
            below.setdefault(up, []).append(position)
        found = list(below.get(-1, ()))
        for position in found:
            found.extend(below.get(position, ()))
        return found

    @property
    def size(self) -> int:
        return len(self.parent)

    @property
    def root(self) -> int:
        return self.parent.index(-1)

    @cached_property
    def arrival(self) -> tuple[int, ...]:
        """When the first word of the sum of a position can be at its parent, in cycles of a mesh of unit hops."""
        arrived = [0] * self.size
        ready = [0] * self.size
        for position in reversed(self._by_depth()):
            up = self.parent[position]
            arrived[position] = ready[position] + HANDOVER_CYCLES + abs(position - max(up, 0))
            if up >= 0:
                ready[up] = max(ready[up], arrived[position])
        return tuple(arrived)

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """Positions that send to each position, in the order in which their sums arrive."""
        found: list[list[int]] = [[] for _ in self.parent]
        for position, up in enumerate(self.parent):
            if up >= 0:
                found[up].append(position)
        return tuple(tuple(sorted(each, key=lambda p: (self.arrival[p], p))) for each in found)

    @cached_property
    def leaves_first(self) -> tuple[int, ...]:
        """All positions, each after its children (whose sums arrive earlier); what can be sent earlier comes first."""
        return tuple(sorted(range(self.size), key=lambda p: (self.arrival[p], p)))

    @property
    def depth(self) -> int:
        """Longest chain of sums that depend on each other."""
        deep = [0] * self.size
        for position in reversed(self._by_depth()):
            up = self.parent[position]
            if up >= 0:
                deep[up] = max(deep[up], deep[position] + 1)
        return max(deep)


def _checked(size: int, root: int) -> None:
    if size < 1 or not 0 <= root < size:
        raise ConfigError(f"a line has at least one core and its root lies on it, got {size} cores and root {root}")


def chain(size: int, root: int = 0) -> Tree:
    """Every core hands its sum to its neighbour on the side of `root`."""
    _checked(size, root)
    return Tree(tuple(-1 if p == root else p + 1 if p < root else p - 1 for p in range(size)))


def star(size: int, root: int = 0) -> Tree:
    """Every core sends to `root` itself."""
    _checked(size, root)
    return Tree(tuple(-1 if p == root else root for p in range(size)))


def binomial(size: int) -> Tree:
    """In round r every core whose number has r zero bits at its end, and then a one, sends to the core 2^r below."""
    _checked(size, 0)
    return Tree(tuple(p - (p & -p) if p else -1 for p in range(size)))


def k_tree(factors: Sequence[int], middle: bool = True) -> Tree:
    """K phases on a line of prod(factors) cores: groups of factors[0] neighbours, then of factors[1] group roots, ...

    In every phase the members of a group form a chain from both sides to the group's root, its member factors[k] // 2
    (WaferLLM's kernels: reference/wafer/waferllm_algorithms.yaml, two_phase_reduce_in_repo), or member 0 unless
    `middle` (Luczynski et al., arXiv 2404.15888). ConfigError unless all factors are at least 1.
    """
    if not factors or min(factors) < 1:
        raise ConfigError(f"factors of a K-tree are groups of at least one core, got {tuple(factors)}")
    members = np.arange(int(np.prod(factors)))
    parent = np.full(members.size, -1)
    for factor in factors:
        groups = members.reshape(-1, factor)
        root = factor // 2 if middle else 0
        parent[groups[:, :root]] = groups[:, 1 : root + 1]
        parent[groups[:, root + 1 :]] = groups[:, root:-1]
        members = groups[:, root]
    return Tree(tuple(parent.tolist()))


def two_phase(size: int, groups: int, middle: bool = True) -> Tree:
    """K = 2: `groups` groups of size / groups neighbours. ConfigError unless `groups` divides `size`."""
    if groups < 1 or size % groups:
        raise ConfigError(f"groups ({groups}) must divide the cores of a line ({size})")
    return k_tree((size // groups, groups), middle)


def group_count(size: int) -> int:
    """The groups that WaferLLM's kernels take: the largest divisor of `size` whose square is not above it.

    It gives all four that are known (240: 15, 360: 18, 420: 20, 660: 22, decode_configs_in_repo).
    """
    return max(d for d in range(1, int(size**0.5) + 1) if size % d == 0)


def even_factors(size: int, phases: int) -> tuple[int, ...]:
    """`phases` factors of `size`, as even as its divisors allow, the largest first."""
    if size < 1 or phases < 1:
        raise ConfigError(f"a line has at least one core and a K-tree one phase, got {size} and {phases}")
    factors, left = [], size
    for remaining in range(phases, 1, -1):
        target = left ** (1 / remaining)
        factor = min((d for d in range(1, left + 1) if left % d == 0), key=lambda d: (abs(np.log(d / target)), -d))
        factors.append(factor)
        left //= factor
    return tuple(sorted([*factors, left], reverse=True))
