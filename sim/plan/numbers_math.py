"""Formulas that an operator graph names and does not spell out: functions, rotary embedding, decays, constants."""

from __future__ import annotations

from typing import Final

import numpy as np

from cairn.sim.plan.numbers_memory import Numbers
from cairn.workloads.graph import Attention

NORM_EPSILON: Final = 1e-5
"""Added to the mean square before the root (Llama-2 config.json: rms_norm_eps)."""

ROPE_BASE: Final = 10000.0
"""RoFormer, arXiv 2104.09864, section 3.2.2."""


def activation(function: str, x: Numbers) -> Numbers:
    """silu, gelu (tanh form, arXiv 1606.08415), relu or squared relu."""
    match function:
        case "silu":
            return np.asarray(x / (1.0 + np.exp(-x)))
        case "gelu":
            return np.asarray(0.5 * x * (1.0 + np.tanh(np.sqrt(2.0 / np.pi) * (x + 0.044715 * x**3))))
        case "relu":
            return np.maximum(x, 0.0)
        case "relu2":
            return np.maximum(x, 0.0) ** 2
    raise ValueError(f"no activation function is called {function!r}")


def turned(x: Numbers, positions: Numbers, attention: Attention) -> Numbers:
    """Rotary embedding of whole heads x (tokens, heads, head_dim): of the last `rotary_dim` columns, halves paired."""
    width = attention.rotary_dim or attention.head_dim
    half = width // 2
    angle = positions[:, None, None] * ROPE_BASE ** (-np.arange(half) / half)
    kept, first, second = np.split(x, [x.shape[2] - width, x.shape[2] - width + half], axis=2)
    rotated = first * np.cos(angle) - second * np.sin(angle), second * np.cos(angle) + first * np.sin(angle)
    return np.concatenate([kept, *rotated], axis=2)


def decay_of(head: int) -> float:
    """Decay of a retention head (RetNet, arXiv 2307.08621, section 2.3)."""
    return 1.0 - 1.0 / (1 << (5 + head))


def softplus(x: Numbers) -> Numbers:
    return np.logaddexp(0.0, x)
