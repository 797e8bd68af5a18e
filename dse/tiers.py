"""The cheap tier: closed forms over columns of designs, what they answer, and the sweep's objectives made from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cairn.dse.fields import derived
from cairn.dse.inner import best_table, choices
from cairn.dse.outcome import judge
from cairn.dse.problem import CheapTable
from cairn.dse.space import BoolArray, FloatArray, IntArray
from cairn.dse.sweep import Sweep


@dataclass(frozen=True)
class CheapRefusal:
    """Why some of the designs cannot run: which (n,), and demand and bound of a constraint (n,) there."""

    where: BoolArray
    constraint: str
    demand: FloatArray
    bound: FloatArray
    unit: str
    remedy: str


@dataclass(frozen=True)
class CheapAnswer:
    """What a cheap tier says of n designs.

    `fields` has columns (n,) under names of `cairn.dse.fields.FIELDS`, at least `latency_s`, `tokens`, `energy_j`,
    `area_mm2` and `dram_capacity_gb`, from which others follow; numbers stand for constant columns. Where `runs` is
    false the design cannot run, a refusal says why, and the fields mean nothing.
    """

    fields: Mapping[str, Any]
    runs: BoolArray
    refusals: Sequence[CheapRefusal] = field(default_factory=tuple)


class CheapTier(Protocol):
    """Evaluates many designs of one workload at once, some microseconds each.

    It is made from the configuration of the workload. `columns` maps key paths of the run file that vary to their
    values (n,): numbers, or objects for anything else. It must be deterministic.
    """

    def evaluate(self, columns: Mapping[str, npt.NDArray[Any]]) -> CheapAnswer: ...


class SweepCheap:
    """The cheap tiers of all workloads of a sweep, as a search uses them."""

    def __init__(self, sweep: Sweep, tiers: Sequence[CheapTier]):
        self._sweep, self._tiers = sweep, tiers

    def table(self, numbers: IntArray) -> CheapTable:
        """Objectives, excesses and whether designs run, for point numbers (n,), each with its best inner choice."""
        return best_table(self._sweep, [self._chosen(numbers, choice) for choice in choices(self._sweep)])

    def _chosen(self, numbers: IntArray, choice: int) -> CheapTable:
        columns = self._sweep.space.columns(numbers)
        for key, column in self._sweep.inner.columns([choice]).items():
            columns[key] = np.repeat(column, len(numbers))
        answers = [tier.evaluate(columns) for tier in self._tiers]
        fields = [derived(_wide(answer.fields, len(numbers))) for answer in answers]
        values, excess = judge(self._sweep, fields)
        runs = np.logical_and.reduce([answer.runs for answer in answers])
        return CheapTable(values, excess, runs & np.isfinite(values).all(axis=1))


def _wide(fields: Mapping[str, Any], count: int) -> dict[str, FloatArray]:
    return {name: np.broadcast_to(np.asarray(value, dtype=np.float64), (count,)) for name, value in fields.items()}
