"""What a step on a system with PIM comes to: time and energy of every operator by the side that does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

from cairn.hw_models.pim.system_energy import Area


@dataclass(frozen=True)
class Spent:
    """An operator of all layers on one side: seconds that nothing else hides, and joules of all devices (None where the
    system has no figure)."""

    operator: str
    side: str
    seconds: float
    joules: float | None = None


@dataclass(frozen=True)
class SystemTime:
    """A token of each request: `system` names who takes part, `in_flight` requests advance in the time of one step.

    `figures` are further ones by name, with the unit in it, to be set beside published ones.
    """

    system: str
    spent: tuple[Spent, ...]
    in_flight: int
    areas: tuple[Area, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """From one token of a request to its next."""
        return sum(each.seconds for each in self.spent)

    @property
    def joules(self) -> float | None:
        """Of a step, all devices; None when no operator has a figure."""
        known = [each.joules for each in self.spent if each.joules is not None]
        return sum(known) if known else None

    def total(self) -> dict[str, float | str | None]:
        """system, ms, tokens_per_s, mj_per_token, mm2, then the further figures."""
        joules = self.joules
        return {
            "system": self.system, "ms": self.seconds * 1e3, "tokens_per_s": self.in_flight / self.seconds,
            "mj_per_token": None if joules is None else joules * 1e3 / self.in_flight,
            "mm2": sum(each.mm2 for each in self.areas) if self.areas else None, **self.figures,
        }  # fmt: skip

    def operators(self) -> pd.DataFrame:
        """A row for each operator and side: system, operator, side, ms, share (of the time), mj (NaN: no figure)."""
        return pd.DataFrame(
            {
                "system": self.system, "operator": each.operator, "side": each.side, "ms": each.seconds * 1e3,
                "share": each.seconds / self.seconds, "mj": None if each.joules is None else each.joules * 1e3,
            }
            for each in self.spent
        ).astype({"mj": float})  # fmt: skip
