"""Ways to choose points that need no cheap tier: all of them, random ones, NSGA-II, Optuna's TPE and GP samplers."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any, Final

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from cairn.base.streams import stream
from cairn.dse.genetic import offspring
from cairn.dse.problem import History, Problem
from cairn.dse.space import FloatArray, Parameter

PENALTY: Final = 2.0
"""Excess that a design is given for each constraint when it could not be run: far outside, as a share of the bound."""

ASKED_AGAIN: Final = 16
"""assumed: times that TPE is asked again for a point that has been seen, before one is drawn."""


class Exhaustive:
    """Every point of the space, in order."""

    def __init__(self, problem: Problem, batch: int):
        self._numbers = np.concatenate(list(problem.space.blocks()))
        self._batch = batch

    def propose(self, history: History, generation: int, count: int | None = None) -> list[int]:
        left = self._numbers[~np.isin(self._numbers, history.numbers)]
        chosen: list[int] = left[: count or self._batch].tolist()
        return chosen


class Random:
    """Points spread by a Sobol sequence of the generation."""

    def __init__(self, problem: Problem, batch: int, seed: int):
        self._space, self._batch, self._seed = problem.space, batch, seed

    def propose(self, history: History, generation: int, count: int | None = None) -> list[int]:
        purpose = f"random/{generation}"
        return self._space.draw(count or self._batch, self._seed, purpose, history.numbers.tolist())


class Nsga2:
    """A genetic search: the best `population` points so far are the parents of the next generation."""

    def __init__(self, problem: Problem, population: int, seed: int):
        self._problem, self._population, self._seed = problem, population, seed

    def propose(self, history: History, generation: int, count: int | None = None) -> list[int]:
        space, wanted = self._problem.space, count or self._population
        taken = history.numbers.tolist()
        if not history.feasible.any() and len(taken) < self._population:
            return space.draw(wanted, self._seed, f"nsga2/{generation}", taken)
        broken = broken_by(history)
        found = offspring(
            space, history.numbers, history.scaled, broken, self._population, wanted,
            stream(self._seed, "dse", "nsga2", generation),
        )  # fmt: skip
        if len(found) < wanted:
            found += space.draw(wanted - len(found), self._seed, f"nsga2/{generation}", taken + found)
        return found


def broken_by(history: History) -> FloatArray:
    """How much the constraints are broken in all, by point (n,); a design that cannot run breaks them all."""
    excess = np.where(np.isnan(history.excess), PENALTY, np.maximum(history.excess, 0.0)).sum(axis=1)
    return np.asarray(np.where(history.simulated, excess, excess + PENALTY))


class OptunaSampler:
    """An Optuna sampler: a fresh study in memory is told the finished generations and asked for the next one.

    The first `startup` points come from a Sobol sequence. What has been seen already is replaced by a drawn point; TPE,
    which costs little, is asked again before.
    """

    def __init__(self, problem: Problem, kind: str, batch: int, startup: int, seed: int):
        self._problem, self._kind, self._batch, self._startup, self._seed = problem, kind, batch, startup, seed
        self._distributions: dict[str, BaseDistribution] = {
            p.name: _positions(p) for p in problem.space.parameters
        }

    def propose(self, history: History, generation: int, count: int | None = None) -> list[int]:
        space, taken = self._problem.space, history.numbers.tolist()
        done = len(taken)
        if done < self._startup:
            wanted = min(count or self._batch, self._startup - done)
            return space.draw(self._startup, self._seed, "startup")[done : done + wanted] or space.draw(
                wanted, self._seed, f"startup/{generation}", taken
            )
        found: list[int] = []
        study = self._told(history, generation)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(count or self._batch):
                for _ in range(1 if self._kind == "gp" else 1 + ASKED_AGAIN):
                    number = self._asked(study)
                    if number not in taken and number not in found:
                        break
                else:
                    drawn = space.draw(1, self._seed, f"again/{generation}/{len(found)}", taken + found)
                    if not drawn:
                        break
                    number = drawn[0]
                found.append(number)
        return found

    def _asked(self, study: optuna.Study) -> int:
        trial = study.ask(self._distributions)
        vector = [[trial.params[parameter.name] for parameter in self._problem.space.parameters]]
        return int(self._problem.space.canonical(vector)[0])

    def _told(self, history: History, generation: int) -> optuna.Study:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        directions = [StudyDirection.MINIMIZE] * len(self._problem.signs)
        study = optuna.create_study(sampler=self._sampler(generation), directions=directions)
        vectors = self._problem.space.vectors(history.numbers)
        worst = np.nanmax(history.scaled, axis=0, initial=-np.inf, where=np.isfinite(history.scaled))
        worst = np.where(np.isfinite(worst), worst, 0.0)
        for i in range(len(vectors)):
            excess = np.where(np.isnan(history.excess[i]), PENALTY, history.excess[i])
            constraints = {str(c): float(value) for c, value in enumerate(excess)}
            if not history.simulated.all():
                constraints["runs"] = -1.0 if history.simulated[i] else 1.0
            study.add_trial(create_trial(
                state=TrialState.COMPLETE,
                params={p.name: int(vectors[i, c]) for c, p in enumerate(self._problem.space.parameters)},
                distributions=self._distributions,
                values=np.where(history.simulated[i], history.scaled[i], worst).tolist(),
                constraints=constraints,
            ))  # fmt: skip
        return study

    def _sampler(self, generation: int) -> BaseSampler:
        seed = int(stream(self._seed, "dse", self._kind, generation).integers(1 << 31))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if self._kind == "gp":
                from optuna.samplers import GPSampler

                return GPSampler(seed=seed, n_startup_trials=0, deterministic_objective=True)
            # A generation is told at once: with a liar its points would count as bad ones. Evaluations are exact: old
            # ones count as much as new ones.
            options: dict[str, Any] = {
                "multivariate": True, "constant_liar": False, "n_startup_trials": 0, "weights": np.ones,
            }  # fmt: skip
            return TPESampler(seed=seed, **options)


def _positions(parameter: Parameter) -> BaseDistribution:
    """Positions in the values: in order for numbers, without order for anything else."""
    count = len(parameter.values)
    return IntDistribution(0, count - 1) if parameter.numeric else CategoricalDistribution(range(count))


def torch_is_there() -> bool:
    """Whether Optuna's GP sampler, which needs torch, can be used."""
    return importlib.util.find_spec("torch") is not None
