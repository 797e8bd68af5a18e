"""Cycles of vector work: a table of what each operator does per element, and the time that takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import CairnError
from cairn.base.registry import nearest_hint
from cairn.hw_models.compute.vector.spec import VectorSpec

IntArray = npt.NDArray[np.int64]

OPERATIONS: Final[Mapping[str, Mapping[str, int]]] = {
    "copy": {"move": 1},
    "add": {"add": 1},
    "reduce_add": {"add": 1},
    "scale": {"multiply": 1},
    "mask": {"add": 1},
    "weighted_add": {"multiply": 1, "add": 1},
    "norm_stats": {"multiply": 1, "add": 1},
    "norm_stats_layer": {"multiply": 1, "add": 2},
    "norm_finish": {"divide": 1, "add": 1, "square_root": 1},
    "norm_apply": {"multiply": 2},
    "norm_apply_layer": {"multiply": 2, "add": 1},
    "rope": {"multiply": 2, "add": 1},
    "softmax": {"compare": 1, "add": 2, "exponential": 1, "divide": 1},
    "softmax_online": {"compare": 1, "add": 2, "exponential": 1},
    "rescale": {"multiply": 1, "add": 1},
    "divide": {"divide": 1},
    "silu": {"sigmoid": 1, "multiply": 1},
    "silu_mul": {"sigmoid": 1, "multiply": 2},
    "gelu": {"multiply": 6, "add": 2, "tanh": 1},
    "gelu_mul": {"multiply": 7, "add": 2, "tanh": 1},
    "relu": {"compare": 1},
    "relu_mul": {"compare": 1, "multiply": 1},
    "relu2": {"compare": 1, "multiply": 1},
    "relu2_mul": {"compare": 1, "multiply": 2},
    "topk": {"compare": 1},
    "retention": {"multiply": 3, "add": 2},
    "conv1d": {"multiply": 1, "add": 1},
    "scan": {"multiply": 4, "add": 2, "exponential": 1},
}
"""Operations per element of each kind of vector work, counted on the operator's formula. What an element is:

copy, add, reduce_add, scale, mask, divide: of the result (mask adds -inf). weighted_add: `y += w x`, of x.
norm_stats: of x; the sum of squares, with `_layer` the sum too. norm_finish: one per row; `1 / sqrt(s / n + eps)`, on
the scalar. norm_apply: of x; times 1/rms and the weight, with `_layer` less the mean. rope: of the rotated columns;
`x cos + rotated(x) sin`, tables at hand. softmax: of the scores; maximum, subtract, exp, sum, divide.
softmax_online: of the scores of a tile, the division left to the end (`divide`, of the result), and `rescale` of the
running result once per tile (Milakov and Gimelshein, arXiv 1805.02867). silu, gelu, relu, relu2: of the result; `_mul`
adds the product with the up projection; gelu is the tanh form (Hendrycks and Gimpel, arXiv 1606.08415, section 2).
topk: of the scores, once per chosen entry (k rounds of maximum). retention: of the state and per token;
`s = d s + k v`, `y += q s` (arXiv 2307.08621, eq. 6). conv1d: of the result times taps. scan: of the state and per
token; `s = exp(dt a) s + b (dt x)`, `y += c s` (Mamba, arXiv 2312.00752, eq. 2).
"""


def passes_of(spec: VectorSpec, kind: str) -> int:
    """Cycles that one element of work of `kind` (a key of OPERATIONS) keeps a lane of `spec` busy."""
    if kind not in OPERATIONS:
        raise CairnError(f"no vector work is called {kind!r}{nearest_hint(kind, OPERATIONS)}")
    cycles: int = sum(count * getattr(spec, f"{operation}_cycles") for operation, count in OPERATIONS[kind].items())
    return cycles


def operations_of(kind: str) -> int:
    """Arithmetic operations per element of work of `kind`, whatever the unit: what energy is counted on."""
    if kind not in OPERATIONS:
        raise CairnError(f"no vector work is called {kind!r}{nearest_hint(kind, OPERATIONS)}")
    return sum(OPERATIONS[kind].values())


def vector_cycles(spec: VectorSpec, elements: npt.ArrayLike, passes: npt.ArrayLike) -> IntArray:
    """Cycles of tasks over `elements` (>= 0) elements that take `passes` lane cycles each; 0 where there is no work.

    Arrays are broadcast; ValueError for negative or fractional numbers. All lanes work in step: the last group of lanes
    costs as much as a full one.
    """
    count, each = np.broadcast_arrays(np.asarray(elements), np.asarray(passes))
    for name, numbers in (("elements", count), ("passes", each)):
        if numbers.dtype.kind not in "iu" or (numbers.size and numbers.min() < 0):
            raise ValueError(f"{name} must be whole numbers >= 0")
    groups = -(-count.astype(np.int64) // spec.lanes)
    cycles = spec.startup_cycles + groups * each.astype(np.int64)
    return np.where(groups * each > 0, cycles, 0)
