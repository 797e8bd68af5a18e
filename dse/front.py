"""Non-dominated points, hypervolume and nearness to a front. All objectives are to be made small; NaN never counts."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np

from cairn.dse.space import BoolArray, FloatArray, IntArray

CHUNK: Final = 4096
"""Points that are compared with a front at once: bounds the memory of a comparison."""


def nondominated(values: FloatArray) -> BoolArray:
    """Which rows of `values` (n, m) no other row is at least as good as everywhere and better somewhere; equals stay.

    Rows with a NaN or an infinity are never among them.
    """
    points = np.asarray(values, dtype=np.float64)
    keep = np.zeros(len(points), dtype=np.bool_)
    rows = np.flatnonzero(np.isfinite(points).all(axis=1))
    if not len(rows):
        return keep
    if points.shape[1] == 1:
        keep[rows] = points[rows, 0] == points[rows, 0].min()
        return keep
    if points.shape[1] == 2:
        order = rows[np.lexsort(points[rows].T[::-1])]
        keep[order[_staircase(points[order])]] = True
    else:
        keep[_survivors(points, rows)] = True
    return keep


def _staircase(points: FloatArray) -> BoolArray:
    """Of points in lexicographic order, two objectives: those below every earlier one, and their equals."""
    second = points[:, 1]
    before = np.concatenate(([np.inf], np.minimum.accumulate(second)[:-1]))
    fresh = second < before
    group = np.cumsum(fresh) - 1
    leaders = points[fresh]
    return np.asarray(fresh | (points == leaders[np.maximum(group, 0)]).all(axis=1))


def _survivors(points: FloatArray, rows: IntArray) -> IntArray:
    """Of `rows`, any number of objectives: each survivor in turn, small sums first, throws out what it dominates."""
    left = rows[np.argsort(points[rows].sum(axis=1), kind="stable")]
    turn = 0
    while turn < len(left):
        pivot = points[left[turn]]
        here = points[left]
        stays = (here < pivot).any(axis=1) | (here == pivot).all(axis=1)
        turn = int(stays[:turn].sum()) + 1
        left = left[stays]
    return left


def layers(values: FloatArray, wanted: int) -> FloatArray:
    """Rank of each row: 0 for the front, 1 for the front of the rest, ... until `wanted` rows are ranked; then inf."""
    rank = np.full(len(values), np.inf)
    left = np.flatnonzero(np.isfinite(values).all(axis=1))
    done, level = 0, 0
    while len(left) and done < wanted:
        best = nondominated(values[left])
        rank[left[best]] = level
        done += int(best.sum())
        left, level = left[~best], level + 1
    return rank


def hypervolume(values: FloatArray, reference: FloatArray) -> float:
    """Volume that rows of `values` (n, m) dominate below `reference` (m,): exact, for any m; quick for 2 and 3."""
    points = np.asarray(values, dtype=np.float64)
    corner = np.asarray(reference, dtype=np.float64)
    points = points[np.isfinite(points).all(axis=1)]
    points = points[(points < corner).all(axis=1)]
    if not len(points):
        return 0.0
    points = np.unique(points[nondominated(points)], axis=0)
    return _volume(points, corner)


def _volume(points: FloatArray, corner: FloatArray) -> float:
    """The same of distinct, non-dominated points in lexicographic order."""
    if points.shape[1] == 1:
        return float(corner[0] - points[0, 0])
    if points.shape[1] == 2:
        above = np.concatenate(([corner[1]], points[:-1, 1]))
        return float(np.sum((corner[0] - points[:, 0]) * (above - points[:, 1])))
    order = np.argsort(points[:, -1], kind="stable")
    heights = np.append(points[order, -1], corner[-1])
    total = 0.0
    for i in range(len(points)):
        depth = heights[i + 1] - heights[i]
        if depth > 0:
            below = points[order[: i + 1], :-1]
            total += depth * _volume(np.unique(below[nondominated(below)], axis=0), corner[:-1])
    return total


def slack(points: FloatArray, front: FloatArray) -> FloatArray:
    """By how much each of `points` (n, m) must be made better in every objective to be dominated by no row of `front`
    (k, m) in all of them at once; negative for points beyond the front, -inf where there is no front.

    On logarithms, `slack <= log1p(x / 100)` is: within x per cent of the front.
    """
    result = np.full(len(points), -np.inf)
    best = front[nondominated(front)] if len(front) else front
    for start in range(0, len(points), CHUNK):
        block = points[start : start + CHUNK]
        for row in best:
            np.maximum(result[start : start + CHUNK], (block - row).min(axis=1), out=result[start : start + CHUNK])
    result[~np.isfinite(points).all(axis=1)] = np.inf
    return result


def open_boxes(front: FloatArray, corner: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The region below `corner` (m,) that `front` (k, m) does not dominate, as disjoint boxes: lower and upper (b, m).

    Lower bounds are -inf where nothing bounds the box.
    """
    points = front[(front < corner).all(axis=1)] if len(front) else np.empty((0, len(corner)))
    points = np.unique(points[nondominated(points)], axis=0) if len(points) else points
    boxes = _boxes(points, corner)
    lower, upper = (np.array([box[side] for box in boxes]).reshape(-1, len(corner)) for side in (0, 1))
    return lower, upper


def _boxes(points: FloatArray, corner: FloatArray) -> list[tuple[list[float], list[float]]]:
    if len(corner) == 1:
        return [([-np.inf], [float(points[:, 0].min()) if len(points) else float(corner[0])])]
    edges = [-np.inf, *np.unique(points[:, -1]).tolist(), float(corner[-1])]
    found = []
    for low, high in pairwise(edges):
        here = points[points[:, -1] <= low, :-1]
        for inner_low, inner_high in _boxes(here[nondominated(here)] if len(here) else here, corner[:-1]):
            found.append(([*inner_low, low], [*inner_high, high]))
    return found
