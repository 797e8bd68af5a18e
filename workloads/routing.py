"""Which experts the tokens of a layer choose: loads from a law or a recorded trace, then a draw for every token.

The load of an expert is its share of all choices. Each token chooses `top_k` different experts such that every expert
is chosen with exactly its load's probability (systematic sampling in a random order of experts: Madow 1949). Successive
draws without replacement would flatten the loads. How many experts a step touches and how many tokens the hottest one
gets follow from the draw.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final, Self

import numpy as np
import numpy.typing as npt
from pydantic import model_validator

from cairn.base.errors import CairnError
from cairn.base.spec import Spec, sourced
from cairn.base.streams import stream
from cairn.workloads.architecture import ModelSpec
from cairn.workloads.routing_trace import read_trace

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

SMALL_EXPERTS: Final = 16
"""Up to so many experts the measured skew is max/mean 1.4 (reference/moe/routing_skew.yaml: recommendation)."""
SMALL_SKEW: Final = 1.4

_UNIT: Final = 1 << 40  # a probability of 1 as an integer, so that sums of probabilities are exact
_ORDERS: Final = 64  # assumed: so many random orders of the experts in a layer are as good as one for every token


class RoutingLaw(StrEnum):
    UNIFORM = "uniform"
    EXPONENTIAL_RANK = "exponential_rank"
    POWER_LAW = "power_law"
    TRACE = "trace"


class RoutingSpec(Spec):
    """How loads are spread over the experts of a layer.

    uniform           all equal
    exponential_rank  load ~ exp(-rank / tau), ranks drawn per layer
    power_law         loads drawn per layer with a density ~ load^-alpha, between 1 and 0.8 of the tokens
    trace             loads of the nearest layer in a CSV with columns layer, e0, e1, ...
    """

    law: RoutingLaw = sourced(
        RoutingLaw.EXPONENTIAL_RANK, "reference/moe/routing_skew.yaml (qwen3_235b_math): best fit"
    )
    tau: float | None = sourced(
        None, "reference/moe/routing_skew.yaml (recommendation): experts / 4, or max/mean 1.4 up to 16 experts", gt=0
    )
    alpha: float = sourced(1.01, "reference/moe/routing_skew.yaml (aic_power_law): DeepSeek-V3", ge=0, le=100)
    trace: str | None = sourced(None, "given by the configuration")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.law is RoutingLaw.TRACE) != (self.trace is not None):
            raise ValueError("law trace and a trace file belong together: give both or neither")
        if self.tau is not None and self.law is not RoutingLaw.EXPONENTIAL_RANK:
            raise ValueError("tau belongs to law exponential_rank; leave it out")
        return self


class Router:
    """Draws the experts of each layer of one step; layers and steps of other seeds are independent."""

    def __init__(self, spec: RoutingSpec, model: ModelSpec, tokens: int, seed: int):
        self._spec, self._tokens, self._seed = spec, tokens, seed
        self._moe = model.moe
        self._trace: dict[int, FloatArray] = {}
        if spec.trace is not None and model.moe is not None:
            self._trace = read_trace(spec.trace, model.moe.experts)

    def loads(self, layer: int) -> FloatArray:
        """Share of each expert in the choices of `layer`; sums to 1."""
        if self._moe is None:
            return np.ones(0)
        experts, rng = self._moe.experts, stream(self._seed, "routing", layer, "loads")
        if self._spec.law is RoutingLaw.UNIFORM:
            return np.full(experts, 1 / experts)
        if self._spec.law is RoutingLaw.TRACE:
            return self._trace[min(self._trace, key=lambda known: (abs(known - layer), known))]
        if self._spec.law is RoutingLaw.POWER_LAW:
            return power_law_loads(experts, self._moe.top_k, self._tokens, self._spec.alpha, rng)
        loads = exponential_rank_loads(experts, self._spec.tau or default_tau(experts))
        return loads[np.argsort(rng.random(experts), kind="stable")]

    def choose(self, layer: int) -> IntArray:
        """Experts of each token of the step in `layer`: (tokens, top_k), ascending, without repetition."""
        top_k = self._moe.top_k if self._moe is not None else 0
        rng = stream(self._seed, "routing", layer, "choices")
        return draw_experts(self.loads(layer), top_k, self._tokens, rng)


def default_tau(experts: int) -> float:
    """experts / 4 above SMALL_EXPERTS, else the tau at which the hottest expert has SMALL_SKEW times the mean."""
    if experts > SMALL_EXPERTS:
        return experts / 4
    if experts <= SMALL_SKEW:
        return 1.0
    low, high = 1e-3, 1e6  # the skew falls from `experts` to 1 between them
    for _ in range(80):
        middle = math.sqrt(low * high)
        skewed = float(exponential_rank_loads(experts, middle).max()) * experts > SMALL_SKEW
        low, high = (middle, high) if skewed else (low, middle)
    return high


def exponential_rank_loads(experts: int, tau: float) -> FloatArray:
    """Loads proportional to exp(-rank / tau), largest first."""
    loads = np.exp(-np.arange(experts) / tau)
    return np.asarray(loads / loads.sum())


def power_law_loads(experts: int, top_k: int, tokens: int, alpha: float, rng: np.random.Generator) -> FloatArray:
    """Loads with a power-law density (aiconfigurator docs/POWER_LAW_DISTRIBUTION.md), in random order.

    Loads lie between 1 and 0.8 tokens (0.01 and 2 when there are no more choices than experts).
    """
    low, high = (1.0, 0.8 * tokens) if tokens * top_k > experts else (0.01, 2.0)
    high = max(high, low)
    u = rng.random(experts)
    span = math.log(high / low)
    if abs(1 - alpha) * span < 1e-6:  # the limit alpha = 1, also where its formula would lose all digits
        loads = low * np.exp(u * span)
    else:
        # low [ ((high/low)^(1-alpha) - 1) u + 1 ]^(1/(1-alpha)), the inverse of the cumulative distribution
        loads = low * np.exp(np.log1p(math.expm1((1 - alpha) * span) * u) / (1 - alpha))
    return np.asarray(loads / loads.sum())


def draw_experts(loads: FloatArray, top_k: int, tokens: int, rng: np.random.Generator) -> IntArray:
    """`top_k` different experts for each of `tokens`, expert e with probability min(1, top_k loads[e]).

    What the cap of 1 takes from an expert goes to the others in proportion. CairnError when fewer than `top_k`
    experts have any load.
    """
    units = _inclusion_units(loads, top_k)
    orders = np.argsort(rng.random((min(tokens, _ORDERS), loads.size)), axis=1, kind="stable")
    starts = rng.integers(_UNIT, size=tokens)
    chosen = np.empty((tokens, top_k), dtype=np.int64)
    steps = np.arange(top_k, dtype=np.int64) * _UNIT
    for number, order in enumerate(orders):
        mine = slice(number, None, len(orders))
        marks = starts[mine, None] + steps
        chosen[mine] = order[np.searchsorted(np.cumsum(units[order]), marks, side="right")]
    chosen.sort(axis=1)
    return chosen


def _inclusion_units(loads: FloatArray, top_k: int) -> IntArray:
    """Probability of each expert to be among a token's choices, in units of 1/_UNIT; they sum to exactly top_k."""
    if np.count_nonzero(loads) < top_k:
        raise CairnError(f"routing reaches only {np.count_nonzero(loads)} experts, but a token needs {top_k}")
    capped: npt.NDArray[np.bool_] = np.zeros(loads.size, dtype=bool)
    wanted = np.ones(loads.size)
    while left := top_k - np.count_nonzero(capped):
        free = loads[~capped]
        wanted[~capped] = free / free.sum() * left
        over = (wanted > 1) & ~capped
        if not over.any():
            break
        wanted[over] = 1.0
        capped |= over
    else:
        wanted[~capped] = 0.0
    units: IntArray = np.minimum(np.floor(wanted * _UNIT).astype(np.int64), _UNIT)
    missing = top_k * _UNIT - int(units.sum())
    for expert in np.argsort(-units, kind="stable"):  # rounding: a few units, to whom has room
        share = min(missing, _UNIT - int(units[expert]))
        units[expert] += share
        missing -= share
    return units
