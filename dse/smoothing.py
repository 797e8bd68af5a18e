"""A smooth surface through what a cheap tier says of many designs: its trend without what jumps from design to design.

Whether the jumps mean anything is for the error model to find out, from designs that the simulator has seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from cairn.dse.space import FloatArray

WAVES: Final = 200
"""assumed: random Fourier features (Rahimi and Recht, NIPS 2007) that follow what a quadratic cannot."""
REACH: Final = 0.7
"""assumed: width of the kernel that they stand for, in widths of the space."""
RIDGE: Final = 0.1
"""assumed: keeps the fit defined where features coincide; the weight of a tenth of one design."""
CHUNK: Final = 1 << 14


@dataclass(frozen=True)
class Surface:
    """A fitted surface: `predict` answers its values (n, m) at coordinates (n, f)."""

    directions: FloatArray
    phases: FloatArray
    weights: FloatArray

    def predict(self, features: FloatArray) -> FloatArray:
        parts = [self._basis(features[i : i + CHUNK]) @ self.weights for i in range(0, len(features), CHUNK)]
        return np.concatenate(parts) if parts else np.zeros((0, self.weights.shape[1]))

    def _basis(self, features: FloatArray) -> FloatArray:
        return basis(features, self.directions, self.phases)


def fit_surface(features: FloatArray, values: FloatArray, generator: np.random.Generator) -> Surface:
    """The surface nearest to `values` (n, m) at `features` (n, f) in the least squares sense."""
    width = features.shape[1]
    uniform = generator.random((2, width, WAVES))
    normal = np.sqrt(-2 * np.log1p(-uniform[0])) * np.cos(2 * np.pi * uniform[1])  # Box-Muller: the same on any NumPy
    directions, phases = normal / REACH, 2 * np.pi * generator.random(WAVES)
    size = 1 + width + width * (width + 1) // 2 + WAVES
    square, right = RIDGE * np.eye(size), np.zeros((size, values.shape[1]))
    for start in range(0, len(features), CHUNK):
        block = basis(features[start : start + CHUNK], directions, phases)
        square += block.T @ block
        right += block.T @ values[start : start + CHUNK]
    return Surface(directions, phases, np.asarray(np.linalg.solve(square, right), dtype=np.float64))


def basis(features: FloatArray, directions: FloatArray, phases: FloatArray) -> FloatArray:
    """A constant, coordinates, their products, and waves: (n, features of the surface)."""
    first, second = np.triu_indices(features.shape[1])
    waves = np.cos(features @ directions + phases) * np.sqrt(2 / len(phases))
    return np.hstack((np.ones((len(features), 1)), features, features[:, first] * features[:, second], waves))
