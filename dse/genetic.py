"""NSGA-II on integer vectors (Deb et al., IEEE TEC 2002): ranks, crowding, and the offspring of the best."""

from __future__ import annotations

import numpy as np

from cairn.dse.front import layers
from cairn.dse.space import FloatArray, IntArray, Space

CROSSOVER = 0.9
"""Deb et al. 2002, section V: crossover probability."""


def survivors(scaled: FloatArray, broken: FloatArray, count: int) -> IntArray:
    """Positions of the best `count` points, best first: whole ones by front and crowding, then the least broken."""
    whole = np.flatnonzero((broken <= 0) & np.isfinite(scaled).all(axis=1))
    rank = layers(scaled[whole], count)
    crowd = np.zeros(len(whole))
    for level in np.unique(rank[np.isfinite(rank)]):
        crowd[rank == level] = crowding(scaled[whole[rank == level]])
    order = whole[np.lexsort((-crowd, rank))]
    rest = np.setdiff1d(np.arange(len(scaled)), whole)
    return np.concatenate((order, rest[np.argsort(broken[rest], kind="stable")]))[:count]


def crowding(points: FloatArray) -> FloatArray:
    """Crowding distance of points (n, m) of one front; infinite at its ends."""
    result = np.zeros(len(points))
    for column in points.T:
        order = np.argsort(column, kind="stable")
        span = column[order[-1]] - column[order[0]]
        result[order[[0, -1]]] = np.inf
        if span > 0:
            result[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / span
    return result


def offspring(
    space: Space, numbers: IntArray, scaled: FloatArray, broken: FloatArray, population: int, count: int,
    generator: np.random.Generator,
) -> list[int]:  # fmt: skip
    """At most `count` new points from the best `population` of those known.

    Parents win a tournament of two; each position of a child comes from either parent, and one in d positions on
    average moves to another value: a neighbour for numbers half the time, any other else.
    """
    parents = survivors(scaled, broken, population)
    vectors = space.vectors(numbers[parents])
    taken = set(numbers.tolist())
    radices = np.array(space.radices)
    found: list[int] = []
    for _ in range(8):
        size = 2 * count
        pairs = generator.integers(len(parents), size=(2, 2, size)).min(axis=1)  # parents stand best first
        mixed = (generator.random((size, len(radices))) < 0.5) & (generator.random((size, 1)) < CROSSOVER)
        children = np.where(mixed, vectors[pairs[0]], vectors[pairs[1]])
        changed = generator.random(children.shape) < 1 / len(radices)
        near = generator.random(children.shape) < 0.5
        step = np.where(generator.random(children.shape) < 0.5, -1, 1)
        anywhere = (generator.random(children.shape) * radices).astype(np.int64)
        children = np.where(changed, np.where(near, np.clip(children + step, 0, radices - 1), anywhere), children)
        for number in space.canonical(children).tolist():
            if number not in taken and len(found) < count:
                taken.add(number)
                found.append(number)
        if len(found) >= count:
            break
    return found
