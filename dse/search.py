"""The loop of a search: generations with a barrier, so that proposals depend on the seed and finished generations only.

What is proposed does not depend on how many workers there are, which of them was faster, or how often the process was
killed: a resumed study proposes the same points again and takes those that are stored from the storage. With
`asynchronous` there is no barrier, workers never wait, and results depend on timing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cairn.dse.front import hypervolume, nondominated
from cairn.dse.outcome import Outcome, Status
from cairn.dse.problem import Evaluated, History, Problem
from cairn.dse.space import FloatArray
from cairn.dse.storage import Entry
from cairn.dse.workers import Pool


class Proposer(Protocol):
    """Chooses points. Its answer is a function of its seed and `history` alone; nothing to propose ends a search."""

    def propose(self, history: History, generation: int, count: int | None = None) -> list[int]:
        """Points to evaluate, best first, none of them in `history`; `count` instead of the usual number."""
        ...


class Store(Protocol):
    """Where evaluations are kept."""

    def entries(self) -> dict[int, Entry]: ...

    def record(self, entry: Entry) -> None: ...


@dataclass(frozen=True)
class Limits:
    """When to stop: points in all, and seconds of this call."""

    points: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class State:
    """How far a search is. Hypervolume is that of the feasible points, as a share of the box that the first generation
    with two or more of them spans; 0 before."""

    points: int
    planned: int | None
    generation: int
    feasible: int
    seconds: float
    evaluated: int
    hypervolume: float
    seconds_left: float | None

    @property
    def rate(self) -> float:
        """Points a second, those of this call."""
        return self.evaluated / self.seconds if self.seconds > 0 else 0.0


class Progress:
    """Counts, and tells a callback after every point."""

    def __init__(self, problem: Problem, limits: Limits, tell: Callable[[State], None] | None):
        self._problem, self._limits, self._tell = problem, limits, tell
        self._start = time.monotonic()
        self._outcomes: dict[int, Outcome] = {}
        self._evaluated = 0
        self._reference: tuple[FloatArray, float] | None = None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    @property
    def out_of_time(self) -> bool:
        return self._limits.seconds is not None and self.seconds >= self._limits.seconds

    def add(self, number: int, outcome: Outcome, generation: int, *, fresh: bool) -> None:
        """One more point; `fresh` when it was evaluated now and not taken from the storage."""
        self._outcomes[number] = outcome
        self._evaluated += fresh
        if self._tell is not None:
            self._tell(self.state(generation))

    def state(self, generation: int) -> State:
        done = len(self._outcomes)
        feasible = [o.values for o in self._outcomes.values() if o.status is Status.FEASIBLE]
        return State(
            done, self._limits.points, generation, len(feasible), self.seconds, self._evaluated,
            self._volume(np.array(feasible, dtype=np.float64)), self._left(done),
        )  # fmt: skip

    def _volume(self, values: FloatArray) -> float:
        if len(values) < 2:
            return 0.0
        scaled = self._problem.scaled(values)
        if self._reference is None:
            best, worst = scaled.min(axis=0), scaled.max(axis=0)
            self._reference = (worst, float(np.prod(np.maximum(worst - best, 1e-12))))
        corner, box = self._reference
        return hypervolume(scaled, corner) / box

    def _left(self, done: int) -> float | None:
        bounds = []
        if self._limits.points is not None and self._evaluated:
            bounds.append((self._limits.points - done) * self.seconds / self._evaluated)
        if self._limits.seconds is not None:
            bounds.append(self._limits.seconds - self.seconds)
        return max(0.0, min(bounds)) if bounds else None


def search(
    problem: Problem, proposer: Proposer, pool: Pool, store: Store, limits: Limits, *,
    asynchronous: bool = False, tell: Callable[[State], None] | None = None,
) -> list[Evaluated]:  # fmt: skip
    """Evaluate what `proposer` proposes until it has nothing more or a limit is reached; the points in order.

    Every finished evaluation is stored before anything else happens to it.
    """
    progress = Progress(problem, limits, tell)
    loop = _without_barrier if asynchronous else _by_generation
    return loop(problem, proposer, pool, store, limits, progress)


def _by_generation(
    problem: Problem, proposer: Proposer, pool: Pool, store: Store, limits: Limits, progress: Progress
) -> list[Evaluated]:
    known = {number: entry.outcome for number, entry in store.entries().items()}
    done: list[Evaluated] = []
    generation = 0
    while limits.points is None or len(done) < limits.points:
        batch = proposer.propose(History.of(problem, done), generation)
        batch = batch[: None if limits.points is None else limits.points - len(done)]
        if not batch or progress.out_of_time:
            break
        for number in batch:
            if number in known:
                progress.add(number, known[number], generation, fresh=False)
        complete = _evaluated(pool, [n for n in batch if n not in known], known, store, generation, progress)
        done += [Evaluated(number, known[number], generation) for number in batch if number in known]
        if not complete:
            break
        generation += 1
    return done


def _evaluated(
    pool: Pool, numbers: Sequence[int], known: dict[int, Outcome], store: Store, generation: int, progress: Progress
) -> bool:
    """Evaluate and store `numbers`, few at a time so that a time limit is kept; whether all were done."""
    waiting = list(reversed(numbers))
    under_way = 0
    while waiting or under_way:
        while waiting and under_way < pool.workers and not progress.out_of_time:
            pool.submit(waiting.pop())
            under_way += 1
        if not under_way:
            return False
        number, outcome = pool.finished()
        under_way -= 1
        store.record(Entry(number, outcome, generation))
        known[number] = outcome
        progress.add(number, outcome, generation, fresh=True)
    return True


def _without_barrier(
    problem: Problem, proposer: Proposer, pool: Pool, store: Store, limits: Limits, progress: Progress
) -> list[Evaluated]:
    done: list[Evaluated] = []
    for number, entry in store.entries().items():
        done.append(Evaluated(number, entry.outcome, entry.generation))
        progress.add(number, entry.outcome, entry.generation, fresh=False)
    under_way: set[int] = set()
    started = len(done)
    while True:
        room = pool.workers - len(under_way)
        if limits.points is not None:
            room = min(room, limits.points - len(done) - len(under_way))
        if room > 0 and not progress.out_of_time:
            proposed = proposer.propose(History.of(problem, done), started, room + len(under_way))
            for number in [n for n in proposed if n not in under_way][:room]:
                pool.submit(number)
                under_way.add(number)
                started += 1
        if not under_way:
            return done
        number, outcome = pool.finished()
        under_way.discard(number)
        store.record(Entry(number, outcome, started))
        done.append(Evaluated(number, outcome, started))
        progress.add(number, outcome, started, fresh=True)


def front_of(problem: Problem, entries: Sequence[Evaluated]) -> list[int]:
    """Positions of the feasible entries that no other feasible one dominates."""
    history = History.of(problem, entries)
    places = np.flatnonzero(history.feasible)
    return [int(places[i]) for i in np.flatnonzero(nondominated(history.scaled[places]))] if len(places) else []
