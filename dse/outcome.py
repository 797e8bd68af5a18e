"""What came of one point: values, fields and excesses, or why there are none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from cairn.base.errors import Infeasibility
from cairn.dse.fields import FIELDS, STATIC
from cairn.dse.objectives import combined

if TYPE_CHECKING:
    from cairn.dse.space import FloatArray
    from cairn.dse.sweep import Sweep


class Status(StrEnum):
    """FEASIBLE: meets every constraint. INFEASIBLE: data, with refusals. FAILED: an error or a dead worker, no data."""

    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """One evaluated point.

    `values` of the objectives in their units and `excess` of the constraints (share of the bound, > 0 where broken) are
    NaN where the design could not be run; `refusals` then say why: constraint, demand, bound, gap, unit, remedy.
    `fields` are those of the runs, named `workload.field` where there are several workloads. `choice` is the number of
    the inner choice (`Sweep.inner`) that all this is of.
    """

    status: Status
    values: tuple[float, ...]
    excess: tuple[float, ...]
    fields: Mapping[str, float] = field(default_factory=dict)
    refusals: tuple[Mapping[str, Any], ...] = ()
    error: str = ""
    seconds: float = 0.0
    choice: int = 0

    @property
    def simulated(self) -> bool:
        """Whether there are values."""
        return all(math.isfinite(value) for value in self.values)

    def as_dict(self) -> dict[str, Any]:
        """Plain data that JSON can hold; what is not finite is None."""
        content = asdict(self) | {"status": self.status.value}
        for name in ("values", "excess"):
            content[name] = [_plain(value) for value in content[name]]
        content["fields"] = {name: _plain(value) for name, value in self.fields.items()}
        content["refusals"] = [dict(refusal) for refusal in self.refusals]
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Outcome:
        """What `as_dict` wrote."""
        return cls(
            Status(content["status"]), tuple(map(_number, content["values"])), tuple(map(_number, content["excess"])),
            {name: _number(value) for name, value in content["fields"].items()},
            tuple(content["refusals"]), content["error"], content["seconds"],
            content.get("choice", 0),
        )  # fmt: skip


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def failed(sweep_or_counts: Sweep | tuple[int, int], error: str) -> Outcome:
    """The outcome of a point that nothing is known of; counts are those of objectives and constraints."""
    objectives, constraints = (
        sweep_or_counts
        if isinstance(sweep_or_counts, tuple)
        else (len(sweep_or_counts.objectives), len(sweep_or_counts.constraints))
    )
    return Outcome(Status.FAILED, (math.nan,) * objectives, (math.nan,) * constraints, error=error)


def judge(sweep: Sweep, fields: Sequence[Mapping[str, Any]]) -> tuple[FloatArray, FloatArray]:
    """Objectives (n, m) in their units and excesses of constraints (n, c) from the fields of each workload.

    Fields are numbers (n = 1) or columns (n,). A field that is missing gives NaN.
    """
    width = max((np.size(value) for each in fields for value in each.values()), default=1)
    complete = [dict.fromkeys(FIELDS, math.nan) | dict(each) for each in fields]
    weights = [workload.weight for workload in sweep.workloads]
    values = np.full((width, len(sweep.objectives)), np.nan)
    for i, objective in enumerate(sweep.objectives):
        each = [objective.quantity.of(complete[w]) for w in objective.workloads]
        chosen = [weights[w] for w in objective.workloads]
        values[:, i] = combined(each, chosen, sweep.combine, objective.direction)
    excess = np.full((width, len(sweep.constraints)), np.nan)
    for i, rule in enumerate(sweep.constraints):
        over = [np.broadcast_to(rule.excess(rule.quantity.of(complete[w])), (width,)) for w in rule.workloads]
        excess[:, i] = np.max(over, axis=0)
    return values, excess


def judged(sweep: Sweep, fields: Sequence[Mapping[str, float]], seconds: float) -> Outcome:
    """The outcome of a point whose workloads all ran, with a refusal for each constraint that is broken."""
    values, excess = judge(sweep, fields)
    refusals: list[Infeasibility] = []
    for rule in sweep.constraints:
        for w in rule.workloads:
            demand = float(rule.quantity.of(fields[w]))
            if not rule.excess(demand) <= 0:
                where = sweep.workloads[w].name if len(sweep.workloads) > 1 else ""
                refusals.append(rule.refusal(demand, where))
    named = flat([workload.name for workload in sweep.workloads], fields)
    status = Status.INFEASIBLE if refusals else Status.FEASIBLE
    if not np.isfinite(values).all():
        missing = [o.name for o, value in zip(sweep.objectives, values[0], strict=True) if not math.isfinite(value)]
        status, error = Status.FAILED, f"the runs have no finite {', '.join(missing)}"
        return Outcome(status, tuple(values[0]), tuple(excess[0]), named, (), error, seconds)
    return Outcome(
        status, tuple(values[0].tolist()), tuple(excess[0].tolist()), named,
        tuple(refusal.as_dict() for refusal in refusals), "", seconds,
    )  # fmt: skip


def broken_by_chip(sweep: Sweep, static: Sequence[Mapping[str, float]]) -> Outcome | None:
    """The outcome of a point whose chip alone breaks a constraint, so that nothing need be simulated; None otherwise.

    `static` are the fields in STATIC of each workload. What they do not decide stays unknown.
    """
    excess = [math.nan] * len(sweep.constraints)
    refusals = []
    for i, rule in enumerate(sweep.constraints):
        if rule.quantity.fields <= STATIC:
            demands = [float(rule.quantity.of(static[w])) for w in rule.workloads]
            excess[i] = max(float(rule.excess(demand)) for demand in demands)
            worst = max(demands, key=rule.excess)
            refusals += [rule.refusal(worst).as_dict()] if excess[i] > 0 else []
    if not refusals:
        return None
    values = tuple(
        float(o.quantity.of(static[o.workloads[0]])) if o.quantity.fields <= STATIC else math.nan
        for o in sweep.objectives
    )
    named = flat([workload.name for workload in sweep.workloads], static)
    return Outcome(Status.INFEASIBLE, values, tuple(excess), named, tuple(refusals))


def flat(names: Sequence[str], fields: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Fields of all workloads in one map."""
    if len(fields) == 1:
        return dict(fields[0])
    return {f"{name}.{key}": value for name, each in zip(names, fields, strict=True) for key, value in each.items()}
