"""How wrong the cheap tier is, learned from designs that both tiers have seen: a bias and its uncertainty, by design.

The error e(x) = expensive - cheap, of logarithms, is taken to be a constant, plus something linear in the parameters,
plus something smooth, plus noise that no model knows: a Gaussian process with the kernel

    s2 (1 + l x.x' + exp(-|x - x'|2 / 2 r2) + t delta)

over coordinates 0 to 1. l, r and t are taken from a grid by their likelihood and s2 in closed form with a prior, so
that there is no optimizer whose path could differ between machines (Rasmussen and Williams, Gaussian Processes for
Machine Learning, sections 2.2, 2.3 and 5.4.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
from scipy.linalg import cho_solve, cholesky

from cairn.dse.space import FloatArray

REACHES: Final = (0.3, 0.6, 1.2, 2.4)
"""assumed: r, how far an error reaches, in widths of the space."""
SLOPES: Final = (0.0, 1.0, 4.0)
"""assumed: l, weight of the linear part."""
NOISES: Final = (0.003, 0.03, 0.3, 3.0)
"""assumed: t, noise beside the smooth part, as a share of its variance."""
DOUBT: Final = 4.0
"""assumed: observations that the prior on the size of the error counts as."""


@dataclass(frozen=True)
class ErrorModel:
    """A fitted error. `predict` answers mean and standard deviation, noise included, at coordinates (n, f)."""

    features: FloatArray
    weights: FloatArray
    factor: FloatArray
    reach: float
    slope: float
    noise: float
    variance: float
    likelihood: float

    def predict(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        mean, spread = np.zeros(len(features)), np.zeros(len(features))
        step = 1 << 14
        for start in range(0, len(features), step):
            block = features[start : start + step]
            cross = _kernel(block, self.features, self.reach, self.slope)
            mean[start : start + step] = cross @ self.weights
            own = 2.0 + self.slope * (block**2).sum(axis=1) + self.noise
            solved = cho_solve((self.factor, True), cross.T)
            spread[start : start + step] = own - np.einsum("ij,ji->i", cross, solved)
        return mean, np.sqrt(self.variance * np.maximum(spread, 1e-12))


def fit(features: FloatArray, errors: FloatArray, expected: float) -> ErrorModel:
    """The model of `errors` (n,) seen at `features` (n, f); `expected` is the size of an error before any was seen."""
    count = len(errors)
    best: ErrorModel | None = None
    for reach, slope in product(REACHES, SLOPES):
        base = _kernel(features, features, reach, slope)
        for noise in NOISES:
            factor = cholesky(base + noise * np.eye(count), lower=True) if count else np.zeros((0, 0))
            weights = cho_solve((factor, True), errors) if count else np.zeros(0)
            size = 2.0 + noise + slope * (np.mean((features**2).sum(axis=1)) if count else 1.0)
            prior = expected**2 / size
            posterior = DOUBT * prior + float(errors @ weights)
            likelihood = -np.log(np.diag(factor)).sum() - 0.5 * (DOUBT + count) * np.log(posterior)
            likelihood += 0.5 * DOUBT * np.log(prior)  # the prior's own size differs between members of the grid
            if best is None or likelihood > best.likelihood + 1e-9:
                variance = posterior / (DOUBT + count)
                best = ErrorModel(features, weights, factor, reach, slope, noise, variance, float(likelihood))
    if best is None:
        raise ValueError("the grid of the error model is empty")
    return best


def _kernel(first: FloatArray, second: FloatArray, reach: float, slope: float) -> FloatArray:
    """Covariance without noise, over s2: (n, k)."""
    inner = first @ second.T
    apart = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)[None, :] - 2 * inner
    return np.asarray(1.0 + slope * inner + np.exp(np.maximum(apart, 0.0) / (-2 * reach**2)))
