"""Traffic of a network alone: who sends to whom (patterns), and when (batches, Bernoulli injection, traces).

Patterns and injection are those of BookSim2 (src/traffic.cpp, src/injection.cpp @28f43299), described anew: uniform and
weighted destinations may be the source itself, tornado and neighbour go along every dimension at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from cairn.base.errors import ConfigError
from cairn.base.spec import Spec, sourced
from cairn.base.streams import stream
from cairn.hw_models.noc.network import IntArray, Network

FloatArray = npt.NDArray[np.float64]
PatternName = Literal[
    "uniform", "transpose", "bit_complement", "bit_reverse", "shuffle", "tornado", "neighbor", "hotspot", "all_to_one",
    "matrix",
]  # fmt: skip
MAX_FLITS: Final = 1 << 20
"""assumed: flits of a packet; longer ones are a mistake of units."""


class PatternSpec(Spec):
    """Who sends to whom.

    `hotspots` gives nodes and their weights (kind hotspot), `target` the node of all_to_one, `matrix` a row of weights
    over destinations for every source (kind matrix).
    """

    kind: PatternName = sourced("uniform", "reference/noc/booksim2_cases.yaml (the base case)")
    hotspots: tuple[tuple[int, float], ...] = sourced((), "given by the configuration: hotspot only")
    target: int = sourced(0, "reference/noc/booksim2_cases.yaml (alltoone0)", ge=0)
    matrix: tuple[tuple[float, ...], ...] = sourced((), "given by the configuration: matrix only")

    @model_validator(mode="after")
    def _fits(self) -> PatternSpec:
        if bool(self.hotspots) != (self.kind == "hotspot"):
            raise ValueError("hotspots are given for kind hotspot, and for no other")
        if bool(self.matrix) != (self.kind == "matrix"):
            raise ValueError("matrix is given for kind matrix, and for no other")
        if "target" in self.model_fields_set and self.kind != "all_to_one":
            raise ValueError(f"target is for kind all_to_one, not {self.kind}")
        return self


@dataclass(frozen=True)
class Pattern:
    """A pattern on `nodes` nodes: where each node sends (`fixed`), or how likely where (`shares`); neither if uniform.

    `fixed` (nodes,): destinations. `shares` (1 or nodes, nodes): running sums of the shares of destinations, one row
    for all sources or one for each, the last sum being 1.
    """

    name: str
    nodes: int
    fixed: IntArray | None = None
    shares: FloatArray | None = None

    def destinations(self, sources: IntArray, numbers: FloatArray) -> IntArray:
        """(n,): a destination for each of `sources`, from random `numbers` in [0, 1); fixed ones need none."""
        if self.fixed is not None:
            return np.asarray(self.fixed[sources])
        if self.shares is None:
            return (numbers * self.nodes).astype(np.int64)
        if len(self.shares) == 1:
            return np.asarray(np.searchsorted(self.shares[0], numbers, side="right"), dtype=np.int64)
        raised = self.shares + np.arange(self.nodes)[:, None]
        place = np.searchsorted(raised.ravel(), sources + numbers, side="right")
        return np.asarray(np.minimum(place - sources * self.nodes, self.nodes - 1), dtype=np.int64)

    @property
    def weights(self) -> FloatArray:
        """(nodes, nodes): the share of each destination (column) in what each source (row) sends."""
        if self.fixed is not None:
            return np.asarray(np.eye(self.nodes)[self.fixed], dtype=np.float64)
        if self.shares is None:
            return np.full((self.nodes, self.nodes), 1 / self.nodes)
        rows = np.diff(self.shares, axis=1, prepend=0.0)
        return np.broadcast_to(rows, (self.nodes, self.nodes)).copy()


def build_pattern(spec: PatternSpec, nodes: int, shape: Sequence[int] | None = None) -> Pattern:
    """The pattern on `nodes` nodes; `shape` are the nodes along each dimension of a grid (tornado and neighbor).

    Raises ConfigError where a pattern does not fit the nodes.
    """
    if spec.kind == "uniform":
        return Pattern(spec.kind, nodes)
    if spec.kind == "hotspot":
        return Pattern(spec.kind, nodes, shares=_hotspots(spec, nodes))
    if spec.kind == "matrix":
        return Pattern(spec.kind, nodes, shares=_running(np.array(_square(spec, nodes)), "matrix"))
    if spec.kind == "all_to_one":
        if spec.target >= nodes:
            raise ConfigError(f"target ({spec.target}) of pattern all_to_one is none of the nodes 0..{nodes - 1}")
        return Pattern(spec.kind, nodes, fixed=np.full(nodes, spec.target, dtype=np.int64))
    if spec.kind in ("tornado", "neighbor"):
        return Pattern(spec.kind, nodes, fixed=_shifted(spec.kind, nodes, shape or (nodes,)))
    return Pattern(spec.kind, nodes, fixed=_bits(spec.kind, nodes))


def _hotspots(spec: PatternSpec, nodes: int) -> FloatArray:
    weights = np.zeros((1, nodes))
    for node, weight in spec.hotspots:
        if not 0 <= node < nodes:
            raise ConfigError(f"hotspots name node {node}, which is none of the nodes 0..{nodes - 1}")
        weights[0, node] += weight
    return _running(weights, "hotspots")


def _square(spec: PatternSpec, nodes: int) -> tuple[tuple[float, ...], ...]:
    if len(spec.matrix) != nodes or any(len(row) != nodes for row in spec.matrix):
        widths = sorted({len(row) for row in spec.matrix})
        raise ConfigError(
            f"matrix of a network of {nodes} nodes has {nodes} rows of {nodes} weights, got {len(spec.matrix)} rows of "
            f"{', '.join(map(str, widths))}"
        )
    return spec.matrix


def _running(weights: FloatArray, field: str) -> FloatArray:
    """Running sums of shares, row by row."""
    sums = weights.sum(axis=1, keepdims=True)
    if (weights < 0).any() or (sums <= 0).any():
        raise ConfigError(f"{field}: weights are not negative, and not all of them are 0")
    shares = np.cumsum(weights / sums, axis=1)
    last = weights.shape[1] - 1 - np.argmax(weights[:, ::-1] > 0, axis=1)
    for row, end in enumerate(last):  # whatever rounding left goes to the last destination that has a weight
        shares[row, end:] = 1.0
    return shares


def _shifted(kind: str, nodes: int, shape: Sequence[int]) -> IntArray:
    """Along every dimension of k nodes: to the next one (neighbor), or ceil(k / 2) - 1 further (tornado)."""
    if prod(shape) != nodes:
        raise ConfigError(f"pattern {kind} needs a grid of one node at each place; {list(shape)} has not {nodes} nodes")
    number, result, stride = np.arange(nodes, dtype=np.int64), np.zeros(nodes, dtype=np.int64), 1
    for size in shape:
        step = 1 if kind == "neighbor" else (size + 1) // 2 - 1
        result += stride * ((number // stride + step) % size)
        stride *= size
    return result


def _bits(kind: str, nodes: int) -> IntArray:
    """Permutations of the bits of a node's number."""
    bits = nodes.bit_length() - 1
    if nodes != 1 << bits:
        raise ConfigError(f"pattern {kind} permutes the bits of node numbers: nodes must be a power of 2, got {nodes}")
    number = np.arange(nodes, dtype=np.int64)
    if kind == "bit_complement":
        return nodes - 1 - number
    if kind == "shuffle":
        return (number << 1) % nodes | number >> max(bits - 1, 0)
    if kind == "bit_reverse":
        order = list(range(bits))[::-1]
    else:
        if bits % 2:
            raise ConfigError(f"pattern transpose swaps halves of node numbers: nodes must be 4^n, got {nodes}")
        order = [*range(bits // 2, bits), *range(bits // 2)]
    result = np.zeros(nodes, dtype=np.int64)
    for to, bit in enumerate(order):
        result |= (number >> bit & 1) << to
    return result


@dataclass(frozen=True)
class Packets:
    """Packets to be sent, in the order of their cycles. Arrays (n,): `cycle` of creation, `source` and `destination`
    nodes, `flits`."""

    cycle: IntArray
    source: IntArray
    destination: IntArray
    flits: IntArray

    @property
    def count(self) -> int:
        return int(self.cycle.size)


def trace(
    cycle: npt.ArrayLike, source: npt.ArrayLike, destination: npt.ArrayLike, flits: npt.ArrayLike, network: Network
) -> Packets:
    """Packets of a trace, put in order of their cycles; those of one cycle keep the order given.

    Raises ConfigError with the first packet that does not fit `network`.
    """
    columns = [np.asarray(column, dtype=np.int64) for column in (cycle, source, destination, flits)]
    if len({column.shape for column in columns}) != 1 or columns[0].ndim != 1:
        raise ConfigError("cycle, source, destination and flits of a trace are columns of equal length")
    check_packets(Packets(*columns), network)
    order = np.argsort(columns[0], kind="stable")
    return Packets(*(column[order] for column in columns))


def check_packets(packets: Packets, network: Network) -> None:
    """Raises ConfigError with the first of `packets` that `network` cannot carry."""
    columns = (packets.cycle, packets.source, packets.destination, packets.flits)
    limits = {"cycle": (0, 1 << 48), "source": (0, network.nodes - 1), "destination": (0, network.nodes - 1)}
    for (name, (low, high)), column in zip({**limits, "flits": (1, MAX_FLITS)}.items(), columns, strict=True):
        wrong = np.flatnonzero((column < low) | (column > high))
        if wrong.size:
            raise ConfigError(
                f"packet {wrong[0]}: {name} is {column[wrong[0]]}, allowed are {low} to {high} on {network.name}"
            )


def check_flits(flits: int) -> None:
    """Raises ConfigError for a length of packets that is none."""
    if not 1 <= flits <= MAX_FLITS:
        raise ConfigError(f"packet_flits ({flits}) must be between 1 and {MAX_FLITS}")


def batch(pattern: Pattern, size: int, flits: int, seed: int = 1) -> Packets:
    """`size` packets of `flits` flits from every node, which sends them back to back: one is created in each cycle."""
    check_flits(flits)
    if size < 1:
        raise ConfigError(f"batch_size ({size}) must be at least 1")
    source = np.tile(np.arange(pattern.nodes, dtype=np.int64), size)
    numbers = stream(seed, "noc", "batch", "destination").random(source.size)
    cycle = np.repeat(np.arange(size, dtype=np.int64), pattern.nodes)
    return Packets(cycle, source, pattern.destinations(source, numbers), np.full_like(source, flits))


class Bernoulli:
    """In every cycle each node creates a packet of `flits` flits with the same chance, `load` flits a cycle on average.

    `period` must be asked for successive cycles; the packets do not depend on how the time is divided.
    """

    def __init__(self, pattern: Pattern, load: float, flits: int, seed: int = 1):
        check_flits(flits)
        if not 0 < load <= flits:
            raise ConfigError(
                f"load ({load:g} flits per node and cycle) must be above 0 and at most {flits}: a node creates no more "
                "than a packet in a cycle"
            )
        self.pattern, self.flits, self.chance = pattern, flits, load / flits
        self._when = stream(seed, "noc", "bernoulli", "cycle")
        self._where = stream(seed, "noc", "bernoulli", "destination")
        self._begin = 0

    def period(self, cycles: int) -> Packets:
        """The packets of the next `cycles` cycles."""
        cycle, source = np.nonzero(self._when.random((cycles, self.pattern.nodes)) < self.chance)
        destination = self.pattern.destinations(source.astype(np.int64), self._where.random(source.size))
        created = cycle.astype(np.int64) + self._begin
        self._begin += cycles
        return Packets(created, source.astype(np.int64), destination, np.full(source.size, self.flits, dtype=np.int64))
