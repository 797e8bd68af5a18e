"""The twin of one run: columns of varied parameters in, columns of results out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from cairn.base.errors import CairnError, ConfigError
from cairn.hw_models.chip import ChipSpec
from cairn.sim.config.run_config import RunConfig, resolved
from cairn.sim.mapping.different import different
from cairn.sim.mapping.matmul_cost import STREAM_TILES
from cairn.sim.mapping.options import PimRule
from cairn.sim.twin.derived import CHIP, derived_columns
from cairn.sim.twin.evaluate import Estimate, estimate
from cairn.workloads.build import build_graph
from cairn.workloads.graph import OperatorGraph

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Column = npt.NDArray[Any]

STRUCTURE: Final = (
    "chip.cores.", "chip.lut_unit", "chip.dram.channels", "chip.dram.stack.cores_per_bus", "chip.noc.topology",
    "chip.noc.layers", "chip.noc.clock_ghz", "chip.noc.injection_bytes_per_cycle", "chip.noc.ejection_bytes_per_cycle",
)  # fmt: skip
"""Parameters of a chip that decide its structure: designs with different ones are looked at apart."""
OF_UNITS: Final = ("chip.pim.", "chip.dram.", "chip.clock_ghz", "chip.sram.write_bytes_per_cycle")
"""With PIM units at work, those as well on which the times of a channel depend."""
AT_ONCE: Final = 1 << 17
"""assumed: designs of one structure that are looked at together; some ten arrays of so many are alive at a time."""


@dataclass(frozen=True)
class TwinTable:
    """What the twin says of n designs; arrays (n,). Where `runs` is False, numbers are NaN and a shortage says why."""

    runs: BoolArray
    latency_s: FloatArray
    tokens: FloatArray
    energy_j: FloatArray
    area_mm2: FloatArray
    dram_bytes: FloatArray
    noc_bytes: FloatArray
    matrix_ops: FloatArray
    dram_capacity_gb: FloatArray
    dram_peak_gb_per_s: FloatArray
    dram_demand_gb: FloatArray
    sram_bytes: FloatArray
    """SRAM of a core that the blocks of a product may take, and in `sram_demand_bytes` what they take at least."""
    sram_demand_bytes: FloatArray
    dram_die_mm2: FloatArray
    """Area of each DRAM die, and in `die_limit_mm2` what it may be; 0 where the chip asks for no limit."""
    die_limit_mm2: FloatArray
    refused: Mapping[int, str]
    """Designs that cannot be described or looked at, and why."""


class Twin:
    """The analytical twin of a run. `evaluate` looks at designs that differ from it in any keys of the run file."""

    def __init__(self, config: RunConfig):
        self._config = config
        self._graphs: dict[tuple[Any, ...], OperatorGraph] = {}

    def evaluate(self, columns: Mapping[str, Column], designs: int | None = None) -> TwinTable:
        """`columns` has values (n,) by key path, such as `chip.sram.capacity_kib` or `workload.batch`.

        `designs` is n where there are no columns. What the twin does not know (dataflow, more than 16 experts,
        recurrent states) is refused design by design.
        """
        count = len(next(iter(columns.values()))) if columns else designs or 1
        apart: tuple[str, ...] = STRUCTURE
        if "mapping.pim" in columns or self._config.mapping.pim is not PimRule.NONE:
            apart = (*STRUCTURE, *OF_UNITS)
        smooth = {key: np.asarray(values) for key, values in columns.items() if _is_smooth(key, values, apart)}
        names = [key for key in columns if key not in smooth]
        names_out = [name for name in TwinTable.__dataclass_fields__ if name not in ("runs", "refused")]
        out = {name: np.full(count, np.nan) for name in names_out}
        runs = np.zeros(count, dtype=bool)
        refused: dict[int, str] = {}
        for settings, members in _groups(names, columns, count):
            try:
                config = laid_over(self._config, settings)
                graph = self._graph(config, settings)
            except CairnError as trouble:
                refused |= dict.fromkeys(members.tolist(), str(trouble))
                continue
            for begin in range(0, members.size, AT_ONCE):
                pick = members[begin : begin + AT_ONCE]
                arrays = {tuple(key.split(".")[1:]): values[pick] for key, values in smooth.items()}
                following, wrong = derived_columns(config.chip, arrays)
                refused |= {int(pick[row]): why for row, why in wrong.items()}
                arrays |= following
                if wrong:
                    able = np.setdiff1d(np.arange(pick.size), np.array(list(wrong), dtype=np.int64))
                    pick, arrays = pick[able], {path: column[able] for path, column in arrays.items()}
                if not pick.size:
                    continue
                try:
                    found = estimate(config, graph, arrays, pick.size)
                except CairnError as trouble:
                    refused |= dict.fromkeys(pick.tolist(), str(trouble))
                    continue
                runs[pick] = found.feasible
                for name, values in _numbers(config, graph, arrays, found).items():
                    out[name][pick] = values
        return TwinTable(runs=runs, refused=refused, **out)

    def _graph(self, config: RunConfig, settings: Mapping[str, Any]) -> OperatorGraph:
        key = tuple((name, repr(value)) for name, value in settings.items() if not name.startswith(CHIP))
        if key not in self._graphs:
            self._graphs[key] = build_graph(config.model, config.workload, config.routing, config.seed)
        return self._graphs[key]


def laid_over(config: RunConfig, settings: Mapping[str, Any]) -> RunConfig:
    """`config` with values at key paths; ConfigError when they do not fit together."""
    if not settings:
        return config
    content = resolved(config)
    for key, value in settings.items():
        *path, last = key.split(".")
        inner = content
        for name in path:
            inner = inner.setdefault(name, {})
        inner[last] = value.item() if isinstance(value, np.generic) else value
    try:
        return RunConfig.model_validate(content)
    except ValueError as trouble:
        raise ConfigError(str(trouble)) from None


def _is_smooth(key: str, values: Column, apart: tuple[str, ...]) -> bool:
    """Whether designs that differ in this key can be looked at as one array."""
    return key.startswith(CHIP) and not key.startswith(apart) and np.asarray(values).dtype.kind in "iuf"


def _groups(names: list[str], columns: Mapping[str, Column], count: int) -> list[tuple[dict[str, Any], Any]]:
    """Designs with equal values of `names`: those values, and the designs' numbers."""
    if not names:
        return [({}, np.arange(count))]
    values = [np.asarray(columns[name]) for name in names]
    written = [np.array([repr(each) for each in column]) if column.dtype == object else column for column in values]
    number, first = different(*written)
    members = np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number))[:-1])
    return [
        ({name: column[row] for name, column in zip(names, values, strict=True)}, rows)
        for row, rows in zip(first.tolist(), members, strict=True)
    ]


def _numbers(
    config: RunConfig, graph: OperatorGraph, arrays: Mapping[tuple[str, ...], Column], found: Estimate
) -> dict[str, Any]:
    chip: ChipSpec = config.chip
    sram = np.asarray(arrays.get(("sram", "capacity_kib"), chip.sram.capacity_kib)) * 1024
    tile = np.minimum(config.mapping.tile_kib * 1024, sram // (2 * STREAM_TILES))
    return {
        "latency_s": found.latency_s,
        "tokens": graph.tokens,
        "energy_j": found.energy_j,
        "area_mm2": found.area_mm2,
        "dram_bytes": found.dram_bytes,
        "noc_bytes": found.noc_bytes,
        "matrix_ops": found.matrix_ops,
        "dram_capacity_gb": arrays.get(("dram", "capacity_gb"), chip.dram.capacity_gb),
        "dram_peak_gb_per_s": arrays.get(("dram", "bandwidth_gb_per_s"), chip.dram.bandwidth_gb_per_s),
        "dram_demand_gb": found.held_bytes / 1e9,
        "sram_bytes": sram - STREAM_TILES * tile,
        "sram_demand_bytes": found.act_bytes,
        "dram_die_mm2": found.dram_die_mm2,
        "die_limit_mm2": arrays.get(("die_limit_mm2",), chip.die_limit_mm2),
    }
