"""Which parameters matter for which objective: what an additive model of the ranks loses without each of them.

Each objective is replaced by its ranks, so that neither its scale nor a few extreme designs decide. A linear model
explains them by all parameters: position and squared position of a number among its values, one column for each other
value. The importance of a parameter is the share of the variance that the model explains less when it is left out, less
what as many columns of chance would explain (epsilon squared, Kelley 1935). In a complete grid this is the share of its
main effect in an analysis of variance; where a search has looked at some regions more than at others, what another
parameter explains as well counts for neither, and what two hide of each other counts for both. Interactions are in none
of them: they are what `explained`, the share of all parameters together (adjusted R squared), leaves to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from cairn.dse.space import FloatArray, Parameter
from cairn.dse.views import positions

if TYPE_CHECKING:
    from cairn.dse.study import Study

SPARE: Final = 5
"""assumed: designs beyond the number of columns from which shares of variance mean something."""


@dataclass(frozen=True)
class Importance:
    """Shares of the variance of ranks, parameter x objective column, and of the whole model; from `designs` designs.

    `analytical`: from the corrected cheap tier, else from the simulated designs. `shares` is empty where the designs
    are too few, `needed` says how many there must be.
    """

    shares: pd.DataFrame
    explained: pd.Series
    designs: int
    needed: int
    analytical: bool


def importance(study: Study) -> Importance:
    """Of all designs that the cheap tier has a value for, where there is one; else of all that were simulated."""
    columns = list(study.objective_columns)
    table = study.analytical
    analytical = table is not None and len(table) > 0
    if table is None or not analytical:
        table = study.points
    table = table[np.isfinite(table[columns].to_numpy(dtype=np.float64)).all(axis=1)] if len(table) else table
    parameters = study.sweep.space.parameters
    bases = [_basis(parameter, table[parameter.name] if len(table) else []) for parameter in parameters]
    needed = 1 + sum(basis.shape[1] for basis in bases) + SPARE
    names = [parameter.name for parameter in parameters]
    if len(table) < needed:
        return Importance(pd.DataFrame(), pd.Series(dtype=float), len(table), needed, analytical)
    shares, explained = pd.DataFrame(index=names, columns=columns, dtype=float), pd.Series(index=columns, dtype=float)
    for column in columns:
        ranks = rankdata(table[column].to_numpy(dtype=np.float64))
        explained[column], shares[column] = _shares(bases, ranks)
    return Importance(shares, explained, len(table), needed, analytical)


def _basis(parameter: Parameter, column: object) -> FloatArray:
    """Columns (n, c) that stand for a parameter in the model."""
    place = positions(parameter, column)  # type: ignore[arg-type]
    count = len(parameter.values)
    absent = np.isnan(place)
    if parameter.numeric:
        share = np.where(absent, 0.5, place / max(1, count - 1)) - 0.5
        parts = [share[:, None], (share**2)[:, None]] if count > 2 else [share[:, None]]
        if count == 1:
            parts = [np.empty((len(place), 0))]
    else:
        parts = [(place[:, None] == np.arange(1, count)).astype(np.float64)]
    if absent.any():
        parts.append(absent[:, None].astype(np.float64))
    return np.hstack(parts)


def _shares(bases: list[FloatArray], ranks: FloatArray) -> tuple[float, list[float]]:
    """Corrected shares of the variance of `ranks` (n,): of the whole model, and lost without each of its parts."""
    centred = ranks - ranks.mean()
    total = float(centred @ centred)
    if total == 0:
        return 0.0, [0.0] * len(bases)
    rest, rank = _unexplained(bases, centred)
    chance = rest / max(1, len(ranks) - rank - 1)
    lost = []
    for i in range(len(bases)):
        more, less_rank = _unexplained(bases[:i] + bases[i + 1 :], centred)
        lost.append(max(0.0, (more - rest - (rank - less_rank) * chance) / total))
    return max(0.0, 1.0 - rest / total - rank * chance / total), lost


def _unexplained(bases: list[FloatArray], centred: FloatArray) -> tuple[float, int]:
    """Sum of squares that a linear model leaves, and the rank of the model."""
    design = np.hstack([np.empty((len(centred), 0)), *bases])
    if not design.shape[1]:
        return float(centred @ centred), 0
    design = design - design.mean(axis=0)
    weights, _, rank, _ = np.linalg.lstsq(design, centred, rcond=None)
    left = centred - design @ weights
    return float(left @ left), int(rank)
