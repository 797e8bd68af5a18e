"""The error between the tiers: found where it is smooth, called noise where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from cairn.dse.error_model import fit
from cairn.dse.smoothing import fit_surface


def sample(count: int, noise: float, seed: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Coordinates, a smooth error, and the same with noise."""
    generator = np.random.default_rng(seed)
    x = generator.random((count, 4))
    clean = 0.3 * np.sin(3 * x[:, 0]) - 0.2 * x[:, 1]
    return x, clean, clean + noise * generator.standard_normal(count)


def test_without_pairs_the_error_is_the_expected_one() -> None:
    mean, spread = fit(np.empty((0, 4)), np.empty(0), 0.15).predict(np.random.default_rng(0).random((50, 4)))
    assert (mean == 0).all()
    assert np.median(spread) == pytest.approx(0.15, rel=0.3)


def test_a_smooth_error_is_learned() -> None:
    x, clean, seen = sample(460, 0.0)
    mean, spread = fit(x[:60], seen[:60], 0.15).predict(x[60:])
    assert np.sqrt(np.mean((mean - clean[60:]) ** 2)) < clean.std() / 5
    assert np.median(spread) < 0.04


def test_noise_is_not_learned_and_is_in_the_error_bar() -> None:
    inside, off, bars = [], [], []
    for seed in range(8):
        x, clean, seen = sample(480, 0.1, seed)
        mean, spread = fit(x[:80], seen[:80], 0.15).predict(x[80:])
        inside.append((np.abs(mean - seen[80:]) <= spread).mean())
        off.append(np.sqrt(np.mean((mean - clean[80:]) ** 2)))
        bars.append(np.median(spread))
    assert 0.6 < np.mean(inside) < 0.76  # 0.68 of a normal error
    assert np.mean(off) < 0.07
    assert np.mean(bars) == pytest.approx(0.1, rel=0.2)


def test_a_surface_leaves_out_what_jumps_from_design_to_design() -> None:
    x, clean, seen = sample(6000, 0.1)
    surface = fit_surface(x, seen[:, None], np.random.default_rng(1))
    assert np.sqrt(np.mean((surface.predict(x)[:, 0] - clean) ** 2)) < 0.025
