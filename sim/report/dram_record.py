"""A run of one DRAM channel with what it ran on, and the folder that holds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pandas as pd

from cairn.hw_models.dram.cost import INTERFACE_OF_STANDARD, ChannelEnergy, channel_energy, energy_spec
from cairn.hw_models.dram.simulate import ChannelResult
from cairn.sim.report.store import RESULT_FILE, whole_folder

SCHEMA: Final = "cairn.dram_result/1"


@dataclass(frozen=True)
class ChannelRun:
    """A result, where its requests came from, the address mapping, and version, hashes and times of the run."""

    result: ChannelResult
    source: Mapping[str, Any]
    mapping: str
    provenance: Mapping[str, Any]

    @property
    def source_name(self) -> str:
        """The name of the trace's file, without its folder, or of the pattern."""
        return Path(self.source["trace"]).name if "trace" in self.source else str(self.source["pattern"])

    @property
    def interface(self) -> str | None:
        """How the channel is joined to what uses it (hw_models/dram/cost.py); None where no energies are known."""
        return INTERFACE_OF_STANDARD.get(self.result.device.standard.name)

    @cached_property
    def energy(self) -> ChannelEnergy | None:
        """Energy by term; None where none are known."""
        return None if self.interface is None else channel_energy(self.result, energy_spec(self.interface))

    def as_dict(self) -> dict[str, Any]:
        """The content of `result.json`; `energy` is null where none are known."""
        return {
            "schema": SCHEMA,
            **self.result.as_dict(),
            "energy": self.energy and {"interface": self.interface, **self.energy.as_dict()},
            "source": dict(self.source),
            "mapping": self.mapping,
            "provenance": dict(self.provenance),
        }

    def to_json(self, indent: int | None = 2) -> str:
        """The content of `result.json` as text."""
        return json.dumps(self.as_dict(), indent=indent, allow_nan=False)

    def causes(self) -> pd.DataFrame:
        """Causes by falling time: ticks summed over pseudo-channels, and their share."""
        table = pd.concat([self.result.causes, self.result.shares], axis=1)
        return table.sort_values("ticks", ascending=False, kind="stable").reset_index()

    def save(self, folder: Path, *, plots: bool = True) -> None:
        """Write `result.json`, `causes.csv`, `over_time.csv` and (with `plots`) PNGs; the folder appears whole or not.

        An earlier result of a channel is replaced, anything else is refused (CairnError).
        """
        with whole_folder(folder, SCHEMA.partition("/")[0]) as scratch:
            (scratch / RESULT_FILE).write_text(self.to_json() + "\n", encoding="utf-8")
            self.causes().to_csv(scratch / "causes.csv", index=False)
            self.result.over_time().to_csv(scratch / "over_time.csv", index=False)
            if plots:
                from cairn.sim.report.dram_plots import plot_bandwidth, plot_causes

                plot_bandwidth(self, scratch / "bandwidth.png")
                plot_causes(self, scratch / "causes.png")
