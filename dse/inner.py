"""Inner parameters: choices that are tried, all of them, for every design, such as mappings of a model onto a chip.

The search sees the parameters that are not inner. What a design is worth is what its best inner choice is worth: of
those that meet every constraint, the best by the first objective; where none does, the one that breaks them least.
Both tiers choose for themselves, so a wrong choice of the cheap tier is part of the error between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cairn.dse.outcome import Outcome, Status

if TYPE_CHECKING:
    from cairn.dse.problem import CheapTable
    from cairn.dse.sweep import Sweep


def choices(sweep: Sweep) -> list[int]:
    """Numbers of the inner choices of a sweep; one where it has no inner parameter."""
    return [int(number) for block in sweep.inner.blocks() for number in block]


def best_choice(sweep: Sweep, outcomes: Sequence[Outcome]) -> Outcome:
    """The best of the outcomes of all choices, in the order of `choices`, with the seconds of all of them.

    A choice that failed counts only where all have.
    """
    sign = sweep.objectives[0].sign
    order = [Status.FEASIBLE, Status.INFEASIBLE, Status.FAILED]

    def key(place: int) -> tuple[int, bool, float, float]:
        outcome = outcomes[place]
        broken = sum(max(0.0, excess) for excess in outcome.excess)
        value = sign * outcome.values[0]
        unknown = not outcome.simulated
        return order.index(outcome.status), unknown, 0.0 if unknown else broken, 0.0 if unknown else value

    best = min(range(len(outcomes)), key=key)
    seconds = sum(outcome.seconds for outcome in outcomes)
    return replace(outcomes[best], choice=choices(sweep)[best], seconds=seconds)


def best_table(sweep: Sweep, tables: Sequence[CheapTable]) -> CheapTable:
    """The same for columns of designs: of each row the best of all choices."""
    if len(tables) == 1:
        return tables[0]
    values = np.stack([table.values for table in tables])
    excess = np.stack([table.excess for table in tables])
    runs = np.stack([table.runs for table in tables])
    broken = np.maximum(np.nan_to_num(excess, nan=np.inf), 0.0).sum(axis=2)
    first = sweep.objectives[0].sign * np.nan_to_num(values[:, :, 0], nan=np.inf)
    best = np.lexsort((first, broken, ~runs), axis=0)[0]
    rows = np.arange(values.shape[1])
    return replace(tables[0], values=values[best, rows], excess=excess[best, rows], runs=runs[best, rows])
