"""The kinds of trouble: those a person can cause are CairnErrors. Anything else is a bug and shows its stack trace."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


class CairnError(Exception):
    """A mistake of the person: one complete message; the command line prints it and exits with status 2."""


class ConfigError(CairnError):
    """A mistake in a configuration: file, line and key path precede the message where they are known."""

    def __init__(self, message: str, *, file: str | None = None, line: int | None = None, key: str | None = None):
        self.message, self.file, self.line, self.key = message, file, line, key
        where = f"{file}:{line}" if file and line else file
        parts = [part for part in (where, key, message) if part]
        super().__init__(": ".join(parts))


@dataclass(frozen=True)
class Infeasibility:
    """Why a design cannot do what was asked: `demand` of `constraint` exceeds `bound` by `gap`, all in `unit`."""

    constraint: str
    demand: float
    bound: float
    unit: str
    remedy: str

    @property
    def gap(self) -> float:
        return self.demand - self.bound

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "gap": self.gap}

    def __str__(self) -> str:
        return (
            f"{self.constraint}: needs {self.demand:,.6g} {self.unit}, has {self.bound:,.6g} {self.unit} "
            f"(short by {self.gap:,.6g} {self.unit}); {self.remedy}"
        )


class InfeasibleError(CairnError):
    """The design cannot run the workload. `reasons` holds every constraint found violated, never empty."""

    def __init__(self, reasons: list[Infeasibility]):
        self.reasons = reasons
        super().__init__("infeasible: " + "; ".join(str(reason) for reason in reasons))


class PlanError(CairnError):
    """A plan that cannot run to its end: a mistake of whoever wrote it. For a plan of Cairn's own, see `BugError`."""


class BugError(RuntimeError):
    """A mistake in code, not in a configuration: a server that breaks its contract, a failing plan of Cairn's own."""
