"""Expected hypervolume improvement of points whose objectives are known with independent normal errors: exact."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from cairn.dse.front import open_boxes
from cairn.dse.space import FloatArray

CHUNK = 1 << 20
"""Candidates x boxes that are worked on at once."""


def expected_improvement(mean: FloatArray, spread: FloatArray, front: FloatArray, corner: FloatArray) -> FloatArray:
    """Expected growth of the hypervolume below `corner` (m,) by each of n points, all objectives to be made small.

    `mean` and `spread` (n, m); `front` (k, m). The volume that a point y adds is the sum over the boxes [l, u] not yet
    dominated of prod_i (u_i - max(l_i, y_i))+, and the expectation of a product of independent factors is the product
    of E(u - y)+ - E(l - y)+ (as in Yang et al., J. Global Optimization 2019, section 3).
    """
    lower, upper = open_boxes(front, corner)
    result = np.zeros(len(mean))
    step = max(1, CHUNK // max(1, len(lower)))
    for start in range(0, len(mean), step):
        rows = slice(start, start + step)
        volume = np.ones((len(mean[rows]), len(lower)))
        for i in range(mean.shape[1]):
            m, s = mean[rows, i : i + 1], spread[rows, i : i + 1]
            bounded = np.isfinite(lower[:, i])
            below = np.where(bounded, _above(np.where(bounded, lower[:, i], 0.0), m, s), 0.0)
            volume *= np.maximum(_above(upper[:, i], m, s) - below, 0.0)
        result[rows] = volume.sum(axis=1)
    return result


def _above(bound: FloatArray, mean: FloatArray, spread: FloatArray) -> FloatArray:
    """E(bound - y)+ for normal y."""
    z = (bound - mean) / spread
    return np.asarray((bound - mean) * ndtr(z) + spread * np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi))


def chance(mean: FloatArray, spread: FloatArray) -> FloatArray:
    """Probability (n,) that all of several normal quantities (n, c) are at most 0."""
    return np.asarray(ndtr(-mean / np.maximum(spread, 1e-12)).prod(axis=1))
