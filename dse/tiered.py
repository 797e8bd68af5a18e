"""The search in tiers: every design by the cheap tier, then the simulator where it matters under the measured error.

What matters: designs that are expected to enlarge the front (expected hypervolume improvement under the error model,
constraints included), then everything within some per cent of the front; a share of each generation goes to designs
near the front whose error is known least. A generation is chosen greedily, each choice taken to come out as predicted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd

from cairn.base.streams import stream
from cairn.dse.acquisition import chance, expected_improvement
from cairn.dse.error_model import ErrorModel, fit
from cairn.dse.front import nondominated, slack
from cairn.dse.genetic import offspring
from cairn.dse.problem import Cheap, Evaluated, History, Problem
from cairn.dse.smoothing import Surface, fit_surface
from cairn.dse.space import BoolArray, FloatArray, IntArray
from cairn.dse.sweep import Sweep
from cairn.dse.sweep_spec import SearchSpec, TiersSpec

DOUBTS: Final = 3.0
"""assumed: standard deviations of the expected error within which a design may still turn out to be on the front."""
POOL: Final = 20_000
"""assumed: designs nearest to the cheap front that are kept for refinement."""
BROAD_POOL: Final = 100_000
"""assumed: designs among which those of the pool are looked for by their trend."""
MANY: Final = 4000
"""assumed: designs from which a trend, of some 250 weights, can be told from jumps."""
TRUSTS: Final = (1.0, 0.5, 0.0)
"""Shares of the jumps of the cheap tier that may be real: all, half, none; all where the data do not tell."""
SHOWN: Final = 200_000
"""assumed: designs of a space that a table shows whole; of larger ones it shows those near the front."""
GENETIC_POPULATION: Final = 1000
"""assumed: of NSGA-II on the cheap tier, where a generation costs milliseconds."""
ENOUGH: Final = 1e-4
"""assumed: expected growth of the hypervolume, as a share of all of it, below which nothing more is looked for."""
LIKELY: Final = 0.5
"""assumed: probability of meeting the constraints from which a design counts as feasible."""
UNLIKELY: Final = 0.02
"""assumed: probability of meeting the constraints below which a design is not looked at."""
EXACT: Final = 1e-9
"""Errors below this are rounding: the tiers compute the quantity alike."""


@dataclass(frozen=True)
class Designs:
    """Designs as the cheap tier sees them: objectives as searches compare them (n, m), excesses (n, c), runs (n,)."""

    numbers: IntArray
    scaled: FloatArray
    excess: FloatArray
    runs: BoolArray

    def __getitem__(self, rows: Any) -> Designs:
        return Designs(self.numbers[rows], self.scaled[rows], self.excess[rows], self.runs[rows])

    @property
    def feasible(self) -> BoolArray:
        return self.runs & (self.excess <= 0).all(axis=1)


@dataclass(frozen=True)
class Prediction:
    """Corrected objectives and excesses of designs, with standard deviations; the last excess is whether they run."""

    mean: FloatArray
    spread: FloatArray
    excess: FloatArray
    excess_spread: FloatArray

    @cached_property
    def feasible(self) -> FloatArray:
        """Probability of meeting every constraint."""
        return chance(self.excess, self.excess_spread)

    def __getitem__(self, rows: Any) -> Prediction:
        return Prediction(self.mean[rows], self.spread[rows], self.excess[rows], self.excess_spread[rows])


class Tiered:
    """Proposes by both tiers. Its designs are looked at when it is first asked."""

    def __init__(self, problem: Problem, search: SearchSpec, tiers: TiersSpec, seed: int):
        if problem.cheap is None:
            raise ValueError("a tiered search needs a cheap tier")
        self._problem, self._search, self._tiers, self._seed = problem, search, tiers, seed
        self._cheap: Cheap = problem.cheap

    # -- the cheap tier -------------------------------------------------------------------------------------------

    def look(self, numbers: IntArray) -> Designs:
        """The cheap tier's view of designs."""
        table = self._cheap.table(numbers)
        return Designs(numbers, self._problem.scaled(table.values), table.excess, table.runs)

    @cached_property
    def designs(self) -> Designs:
        """All designs of the space that run, or those that a genetic search has met; hopeless excesses left out."""
        space = self._problem.space
        if space.listable(self._tiers.enumerate_limit):
            parts = [self._hopeful(self.look(block)) for block in space.blocks()]
            return Designs(*(np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS))
        return self._hopeful(self._genetic())

    def _hopeful(self, designs: Designs) -> Designs:
        margin = DOUBTS * self._tiers.error
        return designs[designs.runs & (np.nan_to_num(designs.excess, nan=np.inf) <= margin).all(axis=1)]

    def _genetic(self) -> Designs:
        space = self._problem.space
        seen = self.look(np.array(space.draw(GENETIC_POPULATION, self._seed, "cheap"), dtype=np.int64))
        for generation in range(self._tiers.generations):
            broken = np.where(seen.runs, np.maximum(np.nan_to_num(seen.excess, nan=1.0), 0).sum(axis=1), np.inf)
            children = offspring(
                space, seen.numbers, seen.scaled, broken, GENETIC_POPULATION, GENETIC_POPULATION,
                stream(self._seed, "dse", "cheap", generation),
            )  # fmt: skip
            if not children:
                break
            fresh = self.look(np.array(children, dtype=np.int64))
            seen = Designs(*(np.concatenate((getattr(seen, name), getattr(fresh, name))) for name in _COLUMNS))
        return seen

    @cached_property
    def pool(self) -> Designs:
        """The designs that may turn out to be on the front, at most POOL of them."""
        near = self.designs[_nearest(self.designs, self.designs.scaled, self._reach, BROAD_POOL)]
        if self._broad is None:
            return near[_nearest(near, near.scaled, self._reach, POOL)]
        trend = self._broad.predict(self._problem.space.features(near.numbers))
        return near[np.sort(_nearest(near, trend, np.inf, POOL))]

    @property
    def _reach(self) -> float:
        return DOUBTS * self._tiers.error + float(np.log1p(self._tiers.near_percent / 100))

    @cached_property
    def _broad(self) -> Surface | None:
        """The trend over all designs, which tells those near the front from those that are there by a jump."""
        count = len(self.designs.numbers)
        if count < MANY:
            return None
        generator = stream(self._seed, "dse", "broad")
        rows = np.unique(generator.integers(count, size=MANY * 4))
        features = self._problem.space.features(self.designs.numbers[rows])
        return fit_surface(features, self.designs.scaled[rows], generator)

    @cached_property
    def _trend(self) -> Surface | None:
        """The trend of the pool; None where designs are too few to tell a trend from a jump."""
        if len(self.pool.numbers) < MANY:
            return None
        return fit_surface(self._pool_features, self.pool.scaled, stream(self._seed, "dse", "trend"))

    @cached_property
    def _pool_features(self) -> FloatArray:
        return self._problem.space.features(self.pool.numbers)

    # -- the error between the tiers ------------------------------------------------------------------------------

    def predict(self, designs: Designs, features: FloatArray, history: History) -> Prediction:
        """What the simulator would say of designs, from what it has said of others."""
        seen = self.look(history.numbers) if len(history.numbers) else self.pool[:0]
        at = self._problem.space.features(history.numbers)
        ran = history.simulated & seen.runs
        near = None if self._trend is None else self._trend.predict(features)
        there = None if self._trend is None else self._trend.predict(at[ran])
        mean, spread = self._corrected(
            designs.scaled, near, features, at[ran], history.scaled[ran], seen.scaled[ran], there
        )
        excess, doubt = self._corrected(
            designs.excess, None, features, at, history.excess, seen.excess, None
        )
        told = (np.nan_to_num(history.excess, nan=-1.0) > 0).any(axis=1)  # a constraint says why it was not simulated
        refused = np.where(history.simulated | told, 0.0, 1.0)[:, None]  # 1: only the cheap tier could run it
        runs, runs_doubt = np.full((len(features), 1), -0.5), np.full((len(features), 1), 1e-12)
        if refused.any():
            runs, runs_doubt = self._corrected(runs, None, features, at, refused, np.zeros_like(refused), None)
        return Prediction(mean, spread, np.hstack((excess, runs)), np.hstack((doubt, runs_doubt)))

    def _corrected(
        self, cheap: FloatArray, trend: FloatArray | None, features: FloatArray, at: FloatArray, truth: FloatArray,
        seen: FloatArray, seen_trend: FloatArray | None,
    ) -> tuple[FloatArray, FloatArray]:  # fmt: skip
        """Means and deviations of columns at `features`, from what was `seen` cheaply and in `truth` `at` others.

        Where there is a trend, the start is trend + b (cheap - trend); the data say which b of TRUSTS fits best.
        """
        mean, spread = np.array(cheap), np.empty_like(cheap)
        for i in range(cheap.shape[1]):
            known = np.isfinite(truth[:, i]) & np.isfinite(seen[:, i])
            if known.sum() >= 4 and np.abs(truth[known, i] - seen[known, i]).max() < EXACT:
                spread[:, i] = EXACT
                continue
            best: ErrorModel | None = None
            for trust in TRUSTS if trend is not None and seen_trend is not None else TRUSTS[:1]:
                start, base = cheap[:, i], seen[known, i]
                if trend is not None and seen_trend is not None:
                    start = trend[:, i] + trust * (start - trend[:, i])
                    base = seen_trend[known, i] + trust * (base - seen_trend[known, i])
                model = fit(at[known], truth[known, i] - base, self._tiers.error)
                if best is None or model.likelihood > best.likelihood + 1e-9:
                    best, mean[:, i] = model, start
            if best is not None:
                shift, spread[:, i] = best.predict(features)
                mean[:, i] += shift
        return mean, spread

    # -- proposals ------------------------------------------------------------------------------------------------

    def propose(self, history: History, generation: int, count: int | None = None) -> list[int]:
        """The next generation; empty when nothing is left that could matter."""
        wanted = count or self._search.batch
        fresh = np.flatnonzero(~np.isin(self.pool.numbers, history.numbers))
        if not len(fresh):
            return []
        predicted = self.predict(self.pool[fresh], self._pool_features[fresh], history)
        front = history.front[nondominated(history.front)]
        hoped = predicted.mean[predicted.feasible >= LIKELY]
        hoped = hoped[nondominated(hoped)]
        corner, size = _box(front, hoped if len(hoped) else predicted.mean)
        distance = slack(predicted.mean, front if len(front) else hoped)
        optimistic = distance - predicted.spread.max(axis=1)
        likely = np.flatnonzero(predicted.feasible >= UNLIKELY)
        short = likely[np.argsort(optimistic[likely], kind="stable")[: self._tiers.candidates]]
        near = short[(distance[short] <= np.log1p(self._tiers.near_percent / 100))]
        chosen = self._best(predicted, short, front, corner, size, wanted)
        explore = min(len(chosen), round(self._tiers.explore_share * wanted))
        if explore and len(near):
            doubt = near[np.argsort(-predicted.spread[near].sum(axis=1), kind="stable")]
            chosen = list(dict.fromkeys([*chosen[: wanted - explore], *doubt[:explore].tolist(), *chosen]))[:wanted]
        if len(chosen) < wanted:
            close = near[(predicted.feasible[near] >= LIKELY) & (distance[near] > -np.inf)]
            close = close[np.argsort(distance[close], kind="stable")]
            chosen = list(dict.fromkeys([*chosen, *close.tolist()]))[:wanted]
        numbers: list[int] = self.pool.numbers[fresh[chosen]].tolist()
        return numbers

    def _best(
        self, predicted: Prediction, short: IntArray, front: FloatArray, corner: FloatArray, size: float, wanted: int
    ) -> list[int]:
        """Rows of the greatest expected growth, one after the other, each then part of the front as predicted."""
        mean, spread, feasible = predicted.mean[short], predicted.spread[short], predicted.feasible[short]
        open_ = np.ones(len(short), dtype=np.bool_)
        chosen: list[int] = []
        while len(chosen) < wanted and open_.any():
            growth = np.where(open_, expected_improvement(mean, spread, front, corner) * feasible, -np.inf)
            best = int(np.argmax(growth))
            if growth[best] < ENOUGH * size:
                break
            open_[best] = False
            chosen.append(int(short[best]))
            front = np.vstack((front, mean[best]))
        return chosen

    # -- answers --------------------------------------------------------------------------------------------------

    def table(self, entries: Sequence[Evaluated], sweep: Sweep) -> pd.DataFrame:
        """See `Study.analytical`."""
        history = History.of(self._problem, entries)
        shown = self.designs if len(self.designs.numbers) <= SHOWN else self.pool
        predicted = self.predict(shown, self._problem.space.features(shown.numbers), history)
        vectors = self._problem.space.vectors(shown.numbers)
        active = self._problem.space.active(vectors)
        columns: dict[str, Any] = {"point": shown.numbers}
        for i, parameter in enumerate(self._problem.space.parameters):
            values = pd.Series(list(parameter.labels)).take(vectors[:, i]).reset_index(drop=True)
            columns[parameter.name] = values.where(active[:, i]) if parameter.when else values
        middle = self._problem.unscaled(predicted.mean)
        ends = [self._problem.unscaled(predicted.mean + side * predicted.spread) for side in (-1, 1)]
        for i, objective in enumerate(sweep.objectives):
            columns[objective.column] = middle[:, i]
            columns[f"{objective.column}_low"] = np.minimum(ends[0][:, i], ends[1][:, i])
            columns[f"{objective.column}_high"] = np.maximum(ends[0][:, i], ends[1][:, i])
        columns["feasible_chance"] = predicted.feasible
        front = history.front[nondominated(history.front)]
        columns["within_percent"] = 100 * np.maximum(np.expm1(slack(predicted.mean, front)), 0.0)
        columns["simulated"] = np.isin(shown.numbers, history.numbers)
        return pd.DataFrame(columns)


_COLUMNS: Final = ("numbers", "scaled", "excess", "runs")


def _nearest(designs: Designs, values: FloatArray, reach: float, count: int) -> IntArray:
    """At most `count` rows of `designs` within `reach` of the front of those that are feasible, by `values`."""
    front = values[designs.feasible]
    front = front[nondominated(front)]
    distance = slack(values, front) if len(front) else np.maximum(designs.excess, 0).sum(axis=1)
    order = np.argsort(distance, kind="stable")[:count]
    return np.sort(order[distance[order] <= reach])


def _box(front: FloatArray, hoped: FloatArray) -> tuple[FloatArray, float]:
    """The corner below which volume counts, a tenth beyond both fronts, and the volume of the whole box."""
    both = np.vstack((front, hoped))
    best, worst = both.min(axis=0), both.max(axis=0)
    span = np.maximum(worst - best, 1e-3)
    return worst + 0.1 * span, float(np.prod(1.1 * span))
