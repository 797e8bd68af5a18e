"""What a sweep file may hold (`cairn.sweep/1`), before its names are looked up: keys, types, ranges."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, Literal

from pydantic import model_validator

from cairn.base.spec import Spec, required, sourced
from cairn.dse.objectives import Combine, Direction

SCHEMA: Final = "cairn.sweep/1"
MAX_VALUES: Final = 100_000
"""assumed: values of one parameter; a finer range is a mistake."""


class Method(StrEnum):
    """How points are chosen. AUTO: all where the budget allows, else TIERED with a cheap tier, else GP or TPE."""

    AUTO = "auto"
    EXHAUSTIVE = "exhaustive"
    TIERED = "tiered"
    RANDOM = "random"
    NSGA2 = "nsga2"
    TPE = "tpe"
    GP = "gp"


class RangeSpec(Spec):
    """`from`, `from + step`, ... up to `to`, that included where a step meets it."""

    first: float | int = required(alias="from")
    last: float | int = required(alias="to")
    step: float | int = required(gt=0)

    @model_validator(mode="after")
    def _upwards(self) -> RangeSpec:
        if self.first > self.last:
            raise ValueError(f"is upside down: from {self.first:g} is above to {self.last:g}")
        if (self.last - self.first) / self.step >= MAX_VALUES:
            raise ValueError(f"has more than {MAX_VALUES:,} values; take a larger step")
        return self

    def values(self) -> tuple[Any, ...]:
        count = int((self.last - self.first) / self.step + 1e-9) + 1
        return tuple(self.first + i * self.step for i in range(count))


class PowersSpec(Spec):
    """1, 2, 4, ...: the powers of two from `from` to `to`, both powers of two themselves."""

    first: int = required(alias="from", ge=1)
    last: int = required(alias="to", ge=1)

    @model_validator(mode="after")
    def _upwards(self) -> PowersSpec:
        if self.first > self.last:
            raise ValueError(f"is upside down: from {self.first} is above to {self.last}")
        for value in (self.first, self.last):
            if value & (value - 1):
                raise ValueError(f"begins and ends with a power of two, and {value} is none")
        return self

    def values(self) -> tuple[int, ...]:
        return tuple(1 << power for power in range(self.first.bit_length() - 1, self.last.bit_length()))


class ParameterSpec(Spec):
    """One parameter: its values by one of three keys, and what a value sets.

    `keys` are key paths that all get the value; `set` maps key paths to expressions of `value`; with neither, the
    parameter's own name is the key path. A choice that is a map sets its keys as they are. The values of all `inner`
    parameters are tried for every design, and the best is kept: see `cairn.dse.inner`.
    """

    choices: list[Any] | None = sourced(None, "none unless given", min_length=1)
    range: RangeSpec | None = sourced(None, "none unless given")
    powers_of_two: PowersSpec | None = sourced(None, "none unless given")
    keys: list[str] | None = sourced(None, "none unless given: the parameter's name is the key path", min_length=1)
    set: dict[str, str | int | float] | None = sourced(None, "none unless given", min_length=1)
    when: dict[str, list[Any]] = sourced({}, "none unless given: the parameter always counts")
    inner: bool = sourced(False, "off: every parameter is searched")

    @model_validator(mode="after")
    def _one_source(self) -> ParameterSpec:
        given = [name for name in ("choices", "range", "powers_of_two") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"needs one of choices, range and powers_of_two, has {' and '.join(given) or 'none'}")
        if self.keys is not None and self.set is not None:
            raise ValueError("has keys and set; one of them says what a value sets")
        return self

    def values(self) -> tuple[Any, ...]:
        if self.choices is not None:
            return tuple(self.choices)
        return self.range.values() if self.range is not None else self.powers_of_two.values()  # type: ignore[union-attr]


class WorkloadEntry(Spec):
    """One of several runs that every design is judged by."""

    name: str = required(min_length=1, max_length=60, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    run: str = required(min_length=1)
    set: dict[str, Any] = sourced({}, "none unless given")
    weight: float = sourced(1.0, "assumed: all workloads count alike", gt=0)


class ObjectiveSpec(Spec):
    """A named objective, or a name with an expression of result fields and a direction."""

    name: str = required(min_length=1, max_length=60, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    expression: str | None = sourced(None, "the named objective")
    direction: Direction | None = sourced(None, "that of the named objective")
    unit: str | None = sourced(None, "that of the named objective or field")
    workload: str | None = sourced(None, "all workloads, combined")


class ConstraintSpec(Spec):
    """`expression <= number unit`, or `>=`, demanded of all workloads or of one."""

    rule: str = required(min_length=1)
    workload: str | None = sourced(None, "every workload")


class BudgetSpec(Spec):
    """When to stop, whichever comes first; points are simulated designs, all workloads of one counted once."""

    points: int | None = sourced(None, "no limit unless given", ge=1)
    minutes: float | None = sourced(None, "no limit unless given", gt=0)


class SearchSpec(Spec):
    """How points are chosen."""

    method: Method = sourced(Method.AUTO, "docs/architecture.md, search")
    batch: int = sourced(8, "assumed: points of a generation, which feed 8 workers", ge=1, le=4096)
    startup: int = sourced(16, "assumed: first points of a search without a cheap tier, two a parameter", ge=2)
    population: int = sourced(50, "shared/digests/optimizers.md: what its NSGA-II rows had", ge=4, le=100_000)
    asynchronous: bool = sourced(False, "off: without generations the front depends on the timing of workers")


class TiersSpec(Spec):
    """How the cheap tier is used."""

    use: bool = sourced(True, "docs/architecture.md, search")
    enumerate_limit: int = sourced(
        4_000_000, "assumed: points of a space that are all put to the cheap tier, some 100 MiB", ge=1
    )
    generations: int = sourced(60, "assumed: of NSGA-II on the cheap tier, beyond enumerate_limit", ge=1)
    near_percent: float = sourced(
        5.0, "assumed: points this close to the front, by the corrected cheap tier, are simulated too", ge=0, le=1000
    )
    error: float = sourced(
        0.15, "assumed: relative error of the cheap tier, one standard deviation, until it is measured", gt=0, le=10
    )
    candidates: int = sourced(4000, "assumed: points that a generation chooses among, nearest to the front", ge=16)
    explore_share: float = sourced(
        0.125, "assumed: of a generation goes to points where the tiers are least known to agree", ge=0, le=1
    )


class SweepSpec(Spec):
    """A sweep file."""

    schema_id: Literal["cairn.sweep/1"] = sourced(SCHEMA, "this project: names the format", alias="schema")
    name: str = required(min_length=1, max_length=200)
    run: str | None = sourced(None, "given by the configuration: the one workload", min_length=1)
    workloads: list[WorkloadEntry] | None = sourced(None, "given by the configuration: several", min_length=1)
    set: dict[str, Any] = sourced({}, "none unless given")
    combine: Combine = sourced(Combine.WEIGHTED, "assumed: means are what a mixed load pays")
    parameters: dict[str, ParameterSpec] = required(min_length=1)
    objectives: list[ObjectiveSpec] = required(min_length=1, max_length=4)
    constraints: list[ConstraintSpec] = sourced([], "none unless given")
    budget: BudgetSpec = sourced(BudgetSpec(), "its own defaults")
    search: SearchSpec = sourced(SearchSpec(), "its own defaults")
    tiers: TiersSpec = sourced(TiersSpec(), "its own defaults")
    seed: int = sourced(0, "assumed: any number serves; it names the random streams", ge=0, lt=1 << 63)

    @model_validator(mode="after")
    def _one_base(self) -> SweepSpec:
        if (self.run is None) == (self.workloads is None):
            raise ValueError("needs either run or workloads")
        return self
