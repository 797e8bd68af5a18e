"""Operators of the same name and kind, summed over the kinds of block that have them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from cairn.sim.report.operators import BUSY_ENOUGH


def summed_operators(operators: pd.DataFrame) -> pd.DataFrame:
    """One row per operator name and kind, in the order of first appearance.

    A mixture-of-experts model has a kind of block for every routing; a person looks for "the experts", not for layer
    17's. Numbers are summed, the efficiency computed anew, `limiting` is that of most of the time ("dram/vector" when
    none has more than half).
    """
    summable = [
        name
        for name in operators.columns
        if name in ("repeat", "time_us", "time_share", "bound_us")
        or name.endswith(("_bytes", "_uj", "_ops", "_required"))
    ]
    groups = operators.groupby(["operator", "kind"], sort=False)
    table = groups[summable].sum().reset_index()
    table["efficiency"] = table["bound_us"] / table["time_us"].where(table["time_us"] > 0)
    table["limiting"] = [
        _foremost(times) for times in time_by_limit(operators, list(zip(table["operator"], table["kind"], strict=True)))
    ]
    return table


def time_by_limit(operators: pd.DataFrame, names: Sequence[tuple[str, str]]) -> list[dict[str, float]]:
    """Microseconds by limiting resource, greatest first, of each operator (name, kind) in `names`."""
    found: dict[tuple[str, str], dict[str, float]] = {name: {} for name in names}
    columns = (operators[column].tolist() for column in ("operator", "kind", "limiting", "time_us"))
    for operator, kind, limiting, time_us in zip(*columns, strict=True):
        times = found.get((operator, kind))
        if times is not None and time_us > 0:
            times[limiting] = times.get(limiting, 0.0) + time_us
    return [dict(sorted(times.items(), key=lambda item: -item[1])) for times in found.values()]


def _foremost(times: dict[str, float]) -> str:
    """The resource that limits for more than half of the time, else the two that limit longest."""
    names = list(times)
    if len(names) < 2 or times[names[0]] > BUSY_ENOUGH * sum(times.values()):
        return names[0] if names else ""
    return "/".join(names[:2])
