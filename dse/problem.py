"""What a search sees of a sweep: a space, objectives as numbers to be made small, constraints, and two ways to look."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cairn.dse.evaluate import Evaluator, SweepEvaluator
from cairn.dse.objectives import Objective
from cairn.dse.outcome import Outcome, Status
from cairn.dse.space import BoolArray, FloatArray, IntArray, Space
from cairn.dse.sweep import Sweep


@dataclass(frozen=True)
class CheapTable:
    """What a cheap tier says of n points: objectives (n, m) in their units, excess of constraints (n, c), and whether
    the design can run at all (n,)."""

    values: FloatArray
    excess: FloatArray
    runs: BoolArray


class Cheap(Protocol):
    """A cheap tier as a search uses it."""

    def table(self, numbers: IntArray) -> CheapTable: ...


@dataclass(frozen=True)
class Problem:
    """A search problem. `signs` make every objective one to minimise; those in `logarithmic` are always positive and
    are compared by their logarithms, where a per cent is a per cent anywhere."""

    space: Space
    signs: tuple[float, ...]
    logarithmic: tuple[bool, ...]
    constraints: int
    evaluate: Evaluator
    cheap: Cheap | None = None

    @classmethod
    def of(cls, sweep: Sweep, cheap: Cheap | None = None, evaluate: Evaluator | None = None) -> Problem:
        return cls(
            sweep.space, tuple(o.sign for o in sweep.objectives), tuple(map(always_positive, sweep.objectives)),
            len(sweep.constraints), evaluate or SweepEvaluator(sweep), cheap,
        )  # fmt: skip

    @property
    def counts(self) -> tuple[int, int]:
        """Numbers of objectives and constraints."""
        return len(self.signs), self.constraints

    def scaled(self, values: FloatArray) -> FloatArray:
        """Objectives (n, m) as searches compare them: less is better, logarithms where that is possible."""
        table = np.array(values, dtype=np.float64, ndmin=2)
        with np.errstate(all="ignore"):
            for i, log in enumerate(self.logarithmic):
                if log:
                    table[:, i] = np.where(table[:, i] > 0, np.log(table[:, i]), np.nan)
        return np.asarray(table * np.array(self.signs))

    def unscaled(self, scaled: FloatArray) -> FloatArray:
        """Objectives in their units again."""
        table: FloatArray = np.asarray(np.array(scaled, dtype=np.float64, ndmin=2) * np.array(self.signs))
        for i, log in enumerate(self.logarithmic):
            if log:
                table[:, i] = np.exp(table[:, i])
        return table


def always_positive(objective: Objective) -> bool:
    """Whether an objective is a product, quotient, power or sum of fields, none of which is ever negative."""
    allowed = (ast.Mult, ast.Div, ast.Add, ast.Pow)
    for node in ast.walk(objective.quantity.expression.tree):
        if isinstance(node, ast.BinOp) and not isinstance(node.op, allowed):
            return False
        if isinstance(node, ast.UnaryOp) or (isinstance(node, ast.Constant) and node.value == 0):
            return False
        called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None
        if isinstance(node, ast.Call) and called not in ("sqrt", "min", "max"):
            return False
    return True


@dataclass(frozen=True)
class Evaluated:
    """A finished evaluation in the order of its proposal."""

    number: int
    outcome: Outcome
    generation: int


@dataclass(frozen=True)
class History:
    """All finished generations, as arrays over their points in the order of proposal."""

    numbers: IntArray
    scaled: FloatArray
    """Objectives as searches compare them (n, m); NaN where the design could not run."""
    excess: FloatArray
    """Of the constraints (n, c); NaN where the design could not run."""
    feasible: BoolArray
    simulated: BoolArray

    @classmethod
    def of(cls, problem: Problem, entries: Sequence[Evaluated]) -> History:
        objectives, constraints = problem.counts
        values = np.array([e.outcome.values for e in entries], dtype=np.float64).reshape(len(entries), objectives)
        excess = np.array([e.outcome.excess for e in entries], dtype=np.float64).reshape(len(entries), constraints)
        scaled = problem.scaled(values) if len(values) else values
        done = np.array([e.outcome.status is not Status.FAILED for e in entries], dtype=np.bool_)
        feasible = np.array([e.outcome.status is Status.FEASIBLE for e in entries], dtype=np.bool_)
        finite = np.isfinite(scaled).all(axis=1) if len(scaled) else np.zeros(0, dtype=np.bool_)
        numbers = np.array([entry.number for entry in entries], dtype=np.int64)
        return cls(numbers, scaled, excess, feasible & finite, done & finite)

    @property
    def front(self) -> FloatArray:
        """Scaled objectives of the feasible points."""
        return self.scaled[self.feasible]
