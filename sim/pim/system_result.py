"""A step on a system with PIM as a result: tables of operators, totals, areas and published figures."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from cairn.base.errors import ConfigError
from cairn.base.registry import nearest_hint
from cairn.sim.pim.outcome import SystemTime
from cairn.sim.pim.system_run import PimSystemSpec, Published
from cairn.sim.report.store import RESULT_FILE, whole_folder
from cairn.sim.run import code_version

RESULT_SCHEMA: Final = "cairn.pim_system_result/1"
LARGE: Final = 1000
"""From here on a number is shown without decimals."""


@dataclass(frozen=True)
class PimSystemResult:
    """What the step takes without PIM, where the system can do without, and with it."""

    spec: PimSystemSpec
    systems: tuple[SystemTime, ...]
    provenance: Mapping[str, Any]

    def totals(self) -> pd.DataFrame:
        """A row for each system: system, ms, tokens_per_s, mj_per_token, mm2 (added by PIM), and what it has more."""
        return pd.DataFrame(each.total() for each in self.systems).astype({"mj_per_token": float, "mm2": float})

    def operators(self) -> pd.DataFrame:
        """A row for each system, operator and side, all layers: ms, share of the time, mj (NaN: no figure)."""
        return pd.concat([each.operators() for each in self.systems], ignore_index=True)

    def sides(self) -> pd.DataFrame:
        """The same summed by side."""
        return self.operators().groupby(["system", "side"], sort=False)[["ms", "share", "mj"]].sum().reset_index()

    def areas(self) -> pd.DataFrame:
        """A row for each part that PIM adds: what, mm2 (all devices), source."""
        rows = [{"what": one.what, "mm2": one.mm2, "source": one.source} for each in self.systems for one in each.areas]
        return pd.DataFrame(rows, columns=["what", "mm2", "source"])

    def published(self) -> pd.DataFrame:
        """Published figures for these settings beside the run's: system, figure, here, published, ratio, source."""
        totals = {each.system: each.total() for each in self.systems}
        rows = [_beside(one, totals) for one in self.spec.comparable()]
        return pd.DataFrame(rows, columns=["system", "figure", "here", "published", "ratio", "source"])

    def as_dict(self) -> dict[str, Any]:
        """The content of `result.json`; what is not known is null."""
        tables = {name: getattr(self, name)() for name in ("totals", "operators", "sides", "areas", "published")}
        return {
            "schema": RESULT_SCHEMA,
            "config": self.spec.model_dump(mode="json", by_alias=True),
            **{name: _records(table) for name, table in tables.items()},
            "provenance": dict(self.provenance),
        }

    def to_json(self, indent: int | None = 2) -> str:
        """The content of `result.json` as text."""
        return json.dumps(self.as_dict(), indent=indent, allow_nan=False)

    def save(self, folder: Path) -> None:
        """Write `result.json`, `totals.csv` and `operators.csv`; the folder appears whole or not."""
        with whole_folder(folder, RESULT_SCHEMA.partition("/")[0]) as scratch:
            (scratch / RESULT_FILE).write_text(self.to_json() + "\n", encoding="utf-8")
            self.totals().to_csv(scratch / "totals.csv", index=False)
            self.operators().to_csv(scratch / "operators.csv", index=False)

    def summary(self) -> str:
        """Tables for a person."""
        spec, about = self.spec, self.provenance
        requests = f"{spec.batch:,} request{'s' if spec.batch > 1 else ''}"
        parts = [f"{spec.name}: {spec.model.name} on {spec.machine.kind}, {requests} over {spec.context:,} keys"]
        for each in self.systems:
            table = each.operators().drop(columns="system")
            parts.append(f"\n{each.system}: a step by operator and side\n{_text(table)}")
        parts.append(f"\nBy side\n{_text(self.sides())}")
        parts.append(f"\nIn all\n{_turned(self.totals())}")
        for _, row in self.areas().iterrows():
            parts.append(f"\nArea added, {row['mm2']:,.1f} mm2: {row['what']}\n  {row['source']}")
        beside = self.published()
        if len(beside):
            parts.append(f"\nBeside published figures\n{_text(beside.drop(columns='source'))}")
            parts += [f"  {source}" for source in beside["source"].unique()]
        else:
            parts.append("\nNo published figure is known for these settings.")
        parts.append(
            f"\ncairn {about['version']}, run {about['run_hash']}, {about['fidelity']}, {about['wall_s']:.1f} s"
        )
        return "\n".join(parts)


def run_pim_system(spec: PimSystemSpec) -> PimSystemResult:
    """Work the step out; errors as `PimSystemSpec.run`, and ConfigError for a published figure that no system has."""
    wall = time.perf_counter()
    systems = spec.run()
    about = json.dumps(spec.model_dump(mode="json", by_alias=True), sort_keys=True)
    provenance = {
        "version": code_version(),
        "run_hash": hashlib.sha256(about.encode()).hexdigest()[:12],
        "fidelity": "operator by operator",
        "wall_s": time.perf_counter() - wall,
    }
    result = PimSystemResult(spec, systems, provenance)
    result.published()
    return result


def _beside(one: Published, totals: Mapping[str, Mapping[str, float | str | None]]) -> dict[str, Any]:
    """A published figure beside that of its system."""
    name = one.system or list(totals)[-1]
    for what, wanted, there in (("system", name, totals), ("figure", one.figure, totals.get(name, {}))):
        if wanted not in there:
            hint = nearest_hint(wanted, there)
            raise ConfigError(f"the run has no {what} {wanted!r}{hint}", key="published")
    here = totals[name][one.figure]
    if not isinstance(here, float):
        raise ConfigError(f"the run has no number for {one.figure!r} of {name}", key="published")
    return {
        "system": name, "figure": one.figure, "here": here, "published": one.value, "ratio": here / one.value,
        "source": one.source,
    }  # fmt: skip


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in
            table.astype(object).where(table.notna(), None).to_dict("records")]  # fmt: skip


def _text(table: pd.DataFrame) -> str:
    return table.to_string(index=False, float_format=_number, na_rep="-")


def _turned(table: pd.DataFrame) -> str:
    """Systems beside each other, a line for each figure."""
    turned = table.set_index("system").T
    return turned.map(lambda value: "-" if pd.isna(value) else _number(value)).to_string()


def _number(value: float) -> str:
    """Four digits, more where a whole number has more."""
    return f"{value:,.0f}" if abs(value) >= LARGE else f"{value:.4g}"
