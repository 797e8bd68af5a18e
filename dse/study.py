"""`run_sweep`: from a sweep to a `Study`, the evaluated points and their front as tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from cairn.base.digest import code_digest
from cairn.base.errors import CairnError, ConfigError
from cairn.dse.evaluate import Evaluator, configured
from cairn.dse.outcome import Status
from cairn.dse.problem import Evaluated, Problem
from cairn.dse.proposers import Exhaustive, Nsga2, OptunaSampler, Random, torch_is_there
from cairn.dse.search import Limits, Proposer, State, front_of, search
from cairn.dse.storage import Entry, Storage, open_storage
from cairn.dse.sweep import Sweep, load_sweep
from cairn.dse.sweep_spec import Method
from cairn.dse.tiered import Tiered
from cairn.dse.tiers import CheapTier, SweepCheap
from cairn.dse.twin_tier import twin_tiers
from cairn.dse.workers import Here, Pool, Processes
from cairn.sim.config.run_config import RunConfig, resolved
from cairn.sim.run import code_version

if TYPE_CHECKING:
    from matplotlib.figure import Figure

JOURNAL: Final = "study.journal"
SMALL: Final = 512
"""assumed: designs that are all simulated when a sweep names no budget and there is no cheap tier."""
REASON: Final = ("constraint", "demand", "bound", "gap", "unit", "remedy")

CheapFactory = Callable[[RunConfig], CheapTier]
"""Makes the cheap tier of one workload."""


class Ended(StrEnum):
    """Why a search stopped."""

    POINTS = "the budget of points is used"
    TIME = "the time is over"
    FOUND = "nothing that could change the front is left"
    INTERRUPTED = "interrupted"


class Memory:
    """A storage of one process, for studies that nobody keeps."""

    def __init__(self) -> None:
        self._entries: dict[int, Entry] = {}

    def entries(self) -> dict[int, Entry]:
        return dict(self._entries)

    def record(self, entry: Entry) -> None:
        self._entries.setdefault(entry.number, entry)


@dataclass(frozen=True, eq=False)
class Study:
    """What a search found. `entries` are the evaluated points in the order of their proposal."""

    sweep: Sweep
    problem: Problem
    entries: tuple[Evaluated, ...]
    method: Method
    ended: Ended
    seconds: float
    tiered: Tiered | None = field(default=None, repr=False)

    @cached_property
    def points(self) -> pd.DataFrame:
        """One row for each evaluated point, infeasible and failed ones included.

        `point` (its number), `generation`, `status`, whether it is on the `front`; the parameters; the objectives; the
        worst refusal (`constraint`, `demand`, `bound`, `gap`, `unit`, `remedy`) and the number of `refusals`; `error`;
        `seconds` of evaluation; then every field of the runs.
        """
        best = set(front_of(self.problem, self.entries))
        return pd.DataFrame([self._row(entry, i in best) for i, entry in enumerate(self.entries)])

    def _row(self, entry: Evaluated, best: bool) -> dict[str, Any]:
        outcome = entry.outcome
        worst = max(outcome.refusals, key=_share, default={})
        labels = self.sweep.space.labels(entry.number)
        if outcome.simulated:
            labels |= self.sweep.inner.labels(outcome.choice)
        return {
            "point": entry.number, "generation": entry.generation, "status": outcome.status.value, "front": best,
            **{name: labels.get(name) for name in self.sweep.parameter_names},
            **dict(zip(self.objective_columns, outcome.values, strict=True)),
            **{name: worst.get(name) for name in REASON},
            "refusals": len(outcome.refusals), "error": outcome.error, "seconds": outcome.seconds,
            **{name: value for name, value in outcome.fields.items() if name not in self.objective_columns},
        }  # fmt: skip

    @property
    def objective_columns(self) -> tuple[str, ...]:
        """Columns of `points` that hold the objectives."""
        return tuple(objective.column for objective in self.sweep.objectives)

    @cached_property
    def front(self) -> pd.DataFrame:
        """The rows of `points` that are feasible and that no other feasible one dominates, by the first objective.

        All of them were evaluated by the cycle simulator.
        """
        if not len(self.points):  # interrupted before the first one was finished
            columns = ["point", "generation", "status", "front", *self.sweep.space.names, *self.objective_columns]
            return pd.DataFrame(columns=columns)
        best = self.points[self.points["front"]]
        return best.sort_values(list(self.objective_columns)).reset_index(drop=True)

    @cached_property
    def refusals(self) -> pd.DataFrame:
        """One row for each constraint that a point broke: point, constraint, demand, bound, gap, unit, remedy."""
        rows = [{"point": e.number, **refusal} for e in self.entries for refusal in e.outcome.refusals]
        return pd.DataFrame(rows, columns=["point", *REASON])

    @cached_property
    def analytical(self) -> pd.DataFrame | None:
        """What the cheap tier says of its best designs, corrected by the measured error between the tiers.

        None without a cheap tier. Parameters; objectives; `<objective>_low` and `_high`, one standard deviation of
        the error around it; `within_percent` of the front; `simulated`.
        """
        return None if self.tiered is None else self.tiered.table(self.entries, self.sweep)

    @property
    def counts(self) -> Mapping[str, int]:
        """Points by status."""
        return {status.value: sum(e.outcome.status is status for e in self.entries) for status in Status}

    @property
    def provenance(self) -> dict[str, Any]:
        """Version, digests, seed, method and time."""
        return {
            "version": code_version(), "code": code_digest(), "sweep": self.sweep.hash, "seed": self.sweep.seed,
            "method": self.method.value, "ended": self.ended.value, "seconds": self.seconds,
        }  # fmt: skip

    def runs(self, number: int) -> dict[str, dict[str, Any]]:
        """The complete runs of a point, workload -> plain data that `cairn run` takes once it is written as YAML."""
        choice = next((e.outcome.choice for e in self.entries if e.number == number), 0)
        return {w.name: resolved(configured(w, self.sweep, number, choice)) for w in self.sweep.workloads}

    # -- pictures -------------------------------------------------------------------------------------------------

    def plot_front(self, path: str | Path | None = None) -> Figure:
        """The front, what it dominates, analytical designs with error bars; written to `path` when one is given."""
        from cairn.dse.plot_front import plot_front

        return plot_front(self, path)

    def plot_importance(self, path: str | Path | None = None) -> Figure:
        """Which parameters matter for which objective; written to `path` when one is given."""
        from cairn.dse.plots import plot_importance

        return plot_importance(self, path)

    def plot_parallel(self, path: str | Path | None = None) -> Figure:
        """Parallel coordinates of the feasible designs, the front in colour; written to `path` when one is given."""
        from cairn.dse.plots import plot_parallel

        return plot_parallel(self, path)

    def plot_slices(self, path: str | Path | None = None) -> Figure:
        """Each objective against each parameter; written to `path` when one is given."""
        from cairn.dse.plots import plot_slices

        return plot_slices(self, path)

    def plot_refusals(self, path: str | Path | None = None) -> Figure:
        """How many designs each constraint refused; written to `path` when one is given."""
        from cairn.dse.plots import plot_refusals

        return plot_refusals(self, path)

    def report(self, path: str | Path | None = None) -> str:
        """One self-contained HTML page with everything that was found; written to `path` when one is given."""
        from cairn.dse.report import report

        return report(self, path)


def _share(refusal: Mapping[str, Any]) -> float:
    """By which share of its bound a constraint is broken."""
    gap, bound = float(refusal.get("gap", 0.0)), float(refusal.get("bound", 0.0))
    return abs(gap) / (abs(bound) or 1.0)


def run_sweep(
    sweep: Sweep | str | Path, *,
    jobs: int = 1, scheduler: str | None = None, storage: str | Path | None = None, resume: bool = False,
    points: int | None = None, minutes: float | None = None,
    progress: Callable[[State], None] | None = None,
    cheap: CheapFactory | None = None, evaluate: Evaluator | None = None,
) -> Study:  # fmt: skip
    """Search a sweep (or the file or shipped name of one) and answer what was found.

    `jobs` worker processes, or the Dask cluster at `scheduler`, evaluate points. `storage` is a file or an Optuna URL
    that keeps the study; `resume` continues what is there. `points` and `minutes` replace the sweep's budget.
    `progress` is told the state after every point. `cheap` makes the cheap tier of a workload: the analytical twin,
    where it knows the runs, unless something else is said. `evaluate` stands in for the simulator. Ctrl-C ends a search
    early; what is finished is in the study and in the storage.

    Raises ConfigError for a mistake in the sweep and CairnError for a storage or scheduler that cannot be used.
    """
    if not isinstance(sweep, Sweep):
        sweep = load_sweep(sweep)
    sweep = sweep.with_budget(points, minutes)
    if jobs < 1:
        raise CairnError(f"--jobs must be at least 1, got {jobs}")
    tier = _cheap(sweep, cheap) if sweep.tiers.use else None
    problem = Problem.of(sweep, tier, evaluate)
    method = chosen_method(sweep, problem)
    store: Storage | Memory = Memory() if storage is None else open_storage(sweep, storage, resume=resume)
    try:
        return _searched(sweep, problem, method, store, jobs, scheduler, progress)
    finally:
        if isinstance(store, Storage):
            store.close()


def _cheap(sweep: Sweep, factory: CheapFactory | None) -> SweepCheap | None:
    if factory is not None:
        return SweepCheap(sweep, [factory(workload.config) for workload in sweep.workloads])
    twins = twin_tiers(sweep)
    return None if twins is None else SweepCheap(sweep, twins)


def _searched(
    sweep: Sweep, problem: Problem, method: Method, store: Storage | Memory, jobs: int, scheduler: str | None,
    progress: Callable[[State], None] | None,
) -> Study:  # fmt: skip
    start = time.monotonic()
    limits = Limits(sweep.budget.points, None if sweep.budget.minutes is None else sweep.budget.minutes * 60)
    proposer = proposer_of(sweep, problem, method)
    pool = _pool(problem, jobs, scheduler)
    done: list[Evaluated] = []
    interrupted = False
    try:
        done = search(problem, proposer, pool, store, limits, asynchronous=sweep.search.asynchronous, tell=progress)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        pool.close()
    seen = {entry.number for entry in done}
    done += [Evaluated(e.number, e.outcome, e.generation) for e in store.entries().values() if e.number not in seen]
    seconds = time.monotonic() - start
    ended = Ended.FOUND
    if interrupted:
        ended = Ended.INTERRUPTED
    elif limits.points is not None and len(done) >= limits.points:
        ended = Ended.POINTS
    elif limits.seconds is not None and seconds >= limits.seconds:
        ended = Ended.TIME
    tiered = proposer if isinstance(proposer, Tiered) else None
    return Study(sweep, problem, tuple(done), method, ended, seconds, tiered)


def chosen_method(sweep: Sweep, problem: Problem) -> Method:
    """The method of a sweep, AUTO decided; ConfigError where it cannot work."""
    method, budget = sweep.search.method, sweep.budget
    unlimited = budget.points is None and budget.minutes is None
    if method is Method.TIERED and problem.cheap is None:
        raise ConfigError("search.method is tiered, and there is no cheap tier for these runs")
    if method is Method.GP and not torch_is_there():
        raise ConfigError("search.method is gp, which needs torch: pip install 'cairn[gp]', or method tpe")
    if method is Method.AUTO:
        designs = sweep.space.size
        if (budget.points is not None and designs <= budget.points) or (
            unlimited and problem.cheap is None and designs <= SMALL
        ):
            method = Method.EXHAUSTIVE
        elif problem.cheap is not None:
            method = Method.TIERED
        else:
            method = Method.GP if torch_is_there() else Method.TPE
    if unlimited and method not in (Method.EXHAUSTIVE, Method.TIERED):
        raise ConfigError(
            f"budget is missing: the space has {sweep.space.size:,} points and method {method.value} never ends by "
            "itself; name budget.points or budget.minutes (--points, --minutes)"
        )
    return method


def proposer_of(sweep: Sweep, problem: Problem, method: Method) -> Proposer:
    """What chooses points for a method other than AUTO."""
    search_, seed = sweep.search, sweep.seed
    if method is Method.EXHAUSTIVE:
        return Exhaustive(problem, search_.batch)
    if method is Method.TIERED:
        return Tiered(problem, search_, sweep.tiers, seed)
    if method is Method.RANDOM:
        return Random(problem, search_.batch, seed)
    if method is Method.NSGA2:
        return Nsga2(problem, search_.population, seed)
    return OptunaSampler(problem, method.value, search_.batch, search_.startup, seed)


def _pool(problem: Problem, jobs: int, scheduler: str | None) -> Pool:
    if scheduler is not None:
        from cairn.dse.cluster import Cluster

        return Cluster(problem.evaluate, scheduler, jobs, problem.counts)
    return Here(problem.evaluate) if jobs == 1 else Processes(problem.evaluate, jobs, problem.counts)
