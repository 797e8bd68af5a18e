"""In which order PIM units take the tiles and segments of a product, and what stays in buffer and accumulators.

A product is a grid of steps: parts of its rows, tiles of outputs, and segments of inputs. What the outer loop goes over
is stationary; the inner loop passes by, forwards for one and backwards for the next. Buffer and accumulators have two
halves, of which one is filled or read while the other is used. What lies in a half is not brought again; what was used
longest ago gives way. The sums of a tile that gives way before its last segment are partial: cores add them up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from cairn.sim.mapping.options import PimStationary

Integers = int | npt.NDArray[np.int64]

NOTHING = -1
BUFFER_HALVES = 2


@dataclass(frozen=True)
class Stay:
    """What lies in one half, used from step `first` to step `last`; `before` is the number of the stay that had the
    half, NOTHING where it was empty."""

    first: int
    last: int
    before: int


@dataclass(frozen=True)
class Transfer:
    """A fill of the buffer, or a read of the accumulators, for the stay of that number, once step `after` is done
    (NOTHING: from the beginning)."""

    fills: bool
    stay: int
    after: int


@dataclass(frozen=True)
class Order:
    """Steps (part, tile, segment) as they are worked on, and for each the stay of its segment and that of its sums.

    `transfers` go through one queue, in this order, so that none waits behind one whose step comes later.
    """

    steps: tuple[tuple[int, int, int], ...]
    fills: tuple[Stay, ...]
    fill_of: tuple[int, ...]
    sums: tuple[Stay, ...]
    sums_of: tuple[int, ...]
    transfers: tuple[Transfer, ...]


@lru_cache(maxsize=256)
def order_of(stationary: PimStationary, parts: int, tiles: int, segments: int, halves: int) -> Order:
    """The order of a product of so many parts, tiles and segments on units with so many halves of accumulators."""
    steps = tuple(_steps(stationary, parts, tiles, segments))
    fills, fill_of = _stays([(part, segment) for part, _, segment in steps], BUFFER_HALVES)
    sums, sums_of = _stays([(part, tile) for part, tile, _ in steps], halves)
    freed = [NOTHING if stay.before == NOTHING else fills[stay.before].last for stay in fills]
    transfers = [Transfer(True, number, after) for number, after in enumerate(freed)]
    transfers += [Transfer(False, number, stay.last) for number, stay in enumerate(sums)]
    transfers.sort(key=lambda each: (each.after, not each.fills, each.stay))
    return Order(steps, fills, fill_of, sums, sums_of, tuple(transfers))


def stays_of(
    stationary: PimStationary, parts: int, tiles: Integers, segments: Integers, halves: int
) -> tuple[Integers, Integers]:
    """How often a segment is brought to the buffer, and how often the sums of a tile are read, in `order_of`, of
    products of so many tiles and segments (numbers, or arrays of one shape)."""
    if stationary is PimStationary.OUTPUTS:
        return parts * _passing(tiles, segments, BUFFER_HALVES), parts * tiles
    return parts * segments, parts * _passing(segments, tiles, halves)


def _passing(outer: Integers, inner: Integers, halves: int) -> Integers:
    """Stays of what an inner loop goes over, there and back again."""
    return inner + (outer - 1) * np.maximum(0, inner - halves)


def _steps(stationary: PimStationary, parts: int, tiles: int, segments: int) -> list[tuple[int, int, int]]:
    by_outputs = stationary is PimStationary.OUTPUTS
    outer, inner = (tiles, segments) if by_outputs else (segments, tiles)
    pairs = [(o, i if o % 2 == 0 else inner - 1 - i) for o in range(outer) for i in range(inner)]
    return [(part, *(pair if by_outputs else pair[::-1])) for part in range(parts) for pair in pairs]


def _stays(keys: list[tuple[int, int]], halves: int) -> tuple[tuple[Stay, ...], tuple[int, ...]]:
    """Stays of keys that are used step by step, and the number of the stay of each step."""
    lying: dict[tuple[int, int], int] = {}  # key to stay, what was used longest ago first
    first: list[int] = []
    last: list[int] = []
    before: list[int] = []
    number: list[int] = []
    for step, key in enumerate(keys):
        stay = lying.pop(key, None)
        if stay is None:
            stay = len(first)
            before.append(lying.pop(next(iter(lying))) if len(lying) == halves else NOTHING)
            first.append(step)
            last.append(step)
        lying[key], last[stay] = stay, step
        number.append(stay)
    return tuple(Stay(*each) for each in zip(first, last, before, strict=True)), tuple(number)
