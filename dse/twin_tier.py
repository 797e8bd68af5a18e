"""The analytical twin of a workload as the cheap tier of a search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.dse.sweep import Sweep
from cairn.dse.tiers import CheapAnswer, CheapRefusal
from cairn.sim.config.run_config import RunConfig
from cairn.sim.mapping.options import Paradigm
from cairn.sim.twin.evaluate import unknown
from cairn.sim.twin.twin import Twin, TwinTable
from cairn.workloads.build import build_graph

KNOWN: Final = ("chip.", "workload.batch", "workload.context", "workload.prompt", "mapping.", "model.precision.")
"""Keys that may vary without turning a run that the twin knows into one that it does not know."""


def twin_tiers(sweep: Sweep) -> list[TwinTier] | None:
    """The twins of all workloads of a sweep; None where the twin does not know some of its runs."""
    for workload in sweep.workloads:
        config = workload.config
        graph = build_graph(config.model, config.workload, config.routing, config.seed)
        if unknown(config, graph) is not None:
            return None
    for parameter in (*sweep.space.parameters, *sweep.inner.parameters):
        for key, values in parameter.settings.items():
            if not key.startswith(KNOWN) or Paradigm.DATAFLOW.value in values:
                return None
    return [TwinTier(workload.config) for workload in sweep.workloads]


class TwinTier:
    """A `CheapTier` made from the configuration of one workload."""

    def __init__(self, config: RunConfig):
        self._config = config
        self._twin = Twin(config)

    def evaluate(self, columns: Mapping[str, npt.NDArray[Any]]) -> CheapAnswer:
        """The twin's answer, with the limit of power density and the peak of the DRAM from which shares follow."""
        table = self._twin.evaluate(columns)
        names = ("latency_s", "tokens", "energy_j", "area_mm2", "dram_bytes", "noc_bytes", "matrix_ops")
        fields: dict[str, Any] = {name: getattr(table, name) for name in names}
        chip = self._config.chip
        fields["dram_capacity_gb"] = table.dram_capacity_gb
        fields["dram_peak_gb_per_s"] = table.dram_peak_gb_per_s
        fields["power_density_limit_w_per_mm2"] = columns.get("chip.power_limit_w_per_mm2", chip.power_limit_w_per_mm2)
        phase = str(self._config.workload.phase)
        fields["ttft_s"] = table.latency_s if phase == "prefill" else np.nan
        fields["tpot_s"] = table.latency_s if phase == "decode" else np.nan
        return CheapAnswer(fields, table.runs, _refusals(table))


def _refusals(table: TwinTable) -> tuple[CheapRefusal, ...]:
    """What the designs that cannot run lack, with the remedies that the simulator gives."""
    short = table.dram_demand_gb > table.dram_capacity_gb
    large = table.dram_die_mm2 > table.die_limit_mm2
    tight = table.sram_demand_bytes > table.sram_bytes
    return (
        CheapRefusal(
            short, "DRAM capacity", table.dram_demand_gb, table.dram_capacity_gb, "GB",
            "more DRAM layers (chip.dram.capacity_gb), fewer bits a weight or cache entry, or fewer tokens",
        ),
        CheapRefusal(
            tight, "SRAM of a core for its most demanding product", table.sram_demand_bytes, table.sram_bytes, "bytes",
            "more SRAM a core (chip.sram.capacity_kib), more cores (chip.cores) or fewer tokens at a time (workload)",
        ),
        CheapRefusal(
            large, "area of a DRAM die", table.dram_die_mm2, table.die_limit_mm2, "mm2",
            "more DRAM dies (chip.area.dram.dies) or a smaller chip.dram.capacity_gb",
        ),
    )  # fmt: skip
