"""Operations of the vector operators, per element: the one table behind every `vector_ops`.

Each arithmetic step on one element counts 1, a transcendental (exp, tanh, log, reciprocal, square root) too. They are
the steps of the textbook formulas, without tricks that a kernel may use; a unit that needs more cycles for some of
them says so itself. Work per row (one reciprocal square root, one top-k) is left out where a row has hundreds of
elements, except where it is listed.
"""

from __future__ import annotations

from typing import Final

NORM: Final = {
    "rms": 4,  # square, accumulate, times 1/rms, times weight
    "layer": 6,  # accumulate, minus mean, square, accumulate, times 1/deviation, times weight
}
GROUP_NORM: Final = 3  # rms without a weight

ACTIVATION: Final = {
    "relu": 1,  # max(x, 0)
    "relu2": 2,  # max, square
    "silu": 4,  # exp(-x), plus 1, reciprocal, times x
    "gelu": 9,  # tanh form: x x x, times c, plus x, times c, tanh, plus 1, times x, times 1/2
}
GATE: Final = 1  # times up

ROPE: Final = 3  # x cos + x' sin

SOFTMAX: Final = 5  # per score: running maximum, minus it, exp, accumulate, times 1/sum; 1/sqrt(d) is in the queries
ALIBI: Final = 1  # per score: plus a bias

ADD: Final = 1
COMBINE: Final = 2  # times weight, accumulate
ROUTER_WEIGHT: Final = 4  # per chosen expert: minus maximum, exp, accumulate, times 1/sum

RETENTION_DECAY: Final = 1  # per element of state, score, query or key that a power of the decay multiplies

CONV1D: Final = 2  # per tap: multiply, accumulate
CONV1D_BIAS: Final = 1

SSM_STATE: Final = 7  # dt a, exp, times state, times b, accumulate; times c, accumulate
SSM_CHANNEL: Final = 6  # softplus of dt (exp, plus 1, log), dt x, d x and its addition
