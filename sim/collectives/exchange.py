"""All-to-all, and with it what experts need: dispatch of token rows to the cores of their experts, and combine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cairn.base.errors import ConfigError
from cairn.hw_models.noc.analytical import NocArrays, head_cycles, most_loaded_cycles
from cairn.hw_models.noc.routing import hops
from cairn.hw_models.noc.spec import NocSpec
from cairn.sim.plan import actions
from cairn.sim.plan.builder import PlanBuilder, Region, Slice, Tile
from cairn.sim.plan.plan import SRAM

IntArray = npt.NDArray[np.int64]


def all_to_all(
    plan: PlanBuilder, cores: IntArray, parts: Slice, op: int, ready: IntArray | None = None
) -> IntArray:  # fmt: skip
    """Core p of `cores` (P,) sends part (p, q) to core q, for all p and q: (P, P) tasks [p, q], -1 on the diagonal.

    Fields of `parts` are (P, P) or broadcast so. In round r every core sends to the one r places on, so that nobody is
    sent to by two at once. `ready` (P,): tasks after which each core holds what it sends.
    """
    size = cores.size
    fields = [np.broadcast_to(v, (size, size)) for v in (*parts.rows, *parts.columns, parts.bytes, parts.group)]
    sent = np.full((size, size), -1, dtype=np.int64)
    here = np.arange(size)
    for distance in range(1, size):
        there = (here + distance) % size
        r0, r1, c0, c1, size_bytes, group = (field[here, there] for field in fields)
        part = Slice(parts.tensor, (r0, r1), (c0, c1), size_bytes, group)
        source, destination = Region(SRAM, cores, part), Region(SRAM, cores[there], part)
        sent[here, there] = plan.copy(source, destination, op, ready, "layout")
    return sent


@dataclass(frozen=True)
class ExpertRouting:
    """Who needs which tokens: `home` (T,) is the core of each token, `experts` (T, k) those it is routed to, and
    `core_of` (E,) the core of each expert. Raises ConfigError for an expert that no core has."""

    home: IntArray
    experts: IntArray
    core_of: IntArray

    def __post_init__(self) -> None:
        if self.experts.ndim != 2 or len(self.experts) != self.home.size:
            raise ConfigError(f"experts are (tokens, choices) of {self.home.size} tokens, got {self.experts.shape}")
        if self.experts.size and not 0 <= self.experts.min() <= self.experts.max() < self.core_of.size:
            raise ConfigError(f"experts are numbered 0 to {self.core_of.size - 1}, got {self.experts.max()}")

    def pairs(self) -> tuple[IntArray, IntArray]:
        """Tokens and cores that work on them, each pair once, in the order in which homes send: a home begins with the
        cores behind itself, so that not all send to one core first."""
        token = np.repeat(np.arange(self.home.size), self.experts.shape[1])
        found = np.unique(np.stack([token, self.core_of[self.experts.ravel()]], axis=1), axis=0)
        cores = int(max(self.core_of.max(initial=0), self.home.max(initial=0))) + 1
        order = np.lexsort((found[:, 0], (found[:, 1] - self.home[found[:, 0]]) % cores))
        return found[order, 0], found[order, 1]

    def traffic(self, cores: int, row_bytes: int) -> IntArray:
        """Bytes from core to core of the dispatch, (cores, cores); those of the combine are its transpose."""
        token, core = self.pairs()
        result = np.zeros((cores, cores), dtype=np.int64)
        np.add.at(result, (self.home[token], core), row_bytes)
        np.fill_diagonal(result, 0)
        return result


@dataclass(frozen=True)
class Rows:
    """A tensor of one row a token: `columns` columns, `row_bytes` bytes each."""

    tensor: int
    columns: int
    row_bytes: int

    def of(self, token: IntArray) -> Slice:
        zero = np.zeros_like(token)
        return Slice(self.tensor, (token, token + 1), (zero, zero + self.columns), np.full_like(token, self.row_bytes))


def dispatch(
    plan: PlanBuilder, routing: ExpertRouting, x: Rows, op: int, ready: IntArray | None = None
) -> IntArray:  # fmt: skip
    """Brings each token's row to the cores of its experts, once to each: tasks by pair (`routing.pairs`), -1 or what
    `ready` (T,) says where the row lies there already."""
    token, core = routing.pairs()
    came = np.full(token.size, -1, dtype=np.int64) if ready is None else ready[token]
    away = core != routing.home[token]
    if away.any():
        part = x.of(token[away])
        source, to = Region(SRAM, routing.home[token[away]], part), Region(SRAM, core[away], part)
        came[away] = plan.copy(source, to, op, None if ready is None else ready[token[away]], "layout")
    return came


def combine(
    plan: PlanBuilder, routing: ExpertRouting, y: Rows, op: int, made: IntArray, add_cycles: int = 1
) -> IntArray:
    """Adds up at each token's home what the cores of its experts have made of it: (T,) tasks.

    `made` by pair: tasks after which a core holds its (weighted) row of y. The first row that comes to a home without
    one of its own is put there, the others are added, `add_cycles` after they have come.
    """
    token, core = routing.pairs()
    done = np.full(routing.home.size, -1, dtype=np.int64)
    mine = core == routing.home[token]
    done[token[mine]] = made[mine]
    has_own = np.zeros(routing.home.size, dtype=bool)
    has_own[token[mine]] = True
    left = np.flatnonzero(~mine)
    while left.size:
        _, first = np.unique(token[left], return_index=True)  # the next pair of each token
        now = left[np.sort(first)]
        for adds in (False, True):
            pairs = now[has_own[token[now]] == adds]
            if pairs.size:
                at = token[pairs], core[pairs]
                done[at[0]] = _bring(plan, routing, y, op, at, made[pairs], done[at[0]] if adds else None, add_cycles)
        has_own[token[now]] = True
        left = np.setdiff1d(left, now)
    return done


def _bring(
    plan: PlanBuilder, routing: ExpertRouting, y: Rows, op: int, pairs: tuple[IntArray, IntArray], made: IntArray,
    own: IntArray | None, add_cycles: int,
) -> IntArray:  # fmt: skip
    """Brings rows home; where `own` tasks say that a row lies there already, adds them to it."""
    token, core = pairs
    part, home = y.of(token), routing.home[token]
    source, to = Region(SRAM, core, part), Region(SRAM, home, part)
    adds = own is not None
    came = plan.copy(source, to, op, made, "reduce" if adds else "layout", adds, port="reduce")
    if own is None:
        return came
    tile = Tile(op, actions.REDUCE, part.rows, part.columns)
    return plan.compute(home, "vector", tile, add_cycles, [came, own], y.columns)


def exchange_cycles(spec: NocSpec, rows: int, columns: int, traffic: IntArray) -> int:
    """A lower bound of any exchange of `traffic` (n, n) bytes that is asked for at once: what passes the most loaded
    link or port, behind a head over the shortest way that is gone. 0 where nothing is sent."""
    source, destination = np.nonzero(traffic)
    if not source.size:
        return 0
    shortest = int(hops(spec, rows, columns, source, destination).min())
    return int(head_cycles(NocArrays.of(spec), shortest)) - 1 + most_loaded_cycles(spec, rows, columns, traffic)
