"""Energy by component and operator, area by component, and the power-density check of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cairn.hw_models import cost
from cairn.hw_models.chip import ChipSpec
from cairn.sim.record import RunRecord
from cairn.sim.report.dram_energy import Activates, row_bits
from cairn.sim.report.sums import NOC, READ, WRITE
from cairn.sim.report.work import Work

FloatArray = npt.NDArray[np.float64]


def dynamic_energy_pj(record: RunRecord, work: Work, activates: Activates | None) -> dict[str, FloatArray]:
    """Dynamic energy in pJ by component, one entry per operator and a last one for tasks without operator.

    Everything counts as it was executed: masked operations and whole DRAM bursts included. Additions that make tables
    stand under "lut", not under "vector". `activates` are those of a
    DRAM that is charged by command.
    """
    opened = np.zeros(work.vector_ops.size) if activates is None else activates.per_operator
    counts = {
        "macs": (work.matrix_ops - work.lut_ops) // 2,
        "vector_ops": work.vector_ops - work.table_adds,
        "sram_bytes": work.sram_bytes,
        "noc_bytes": work.moved[:, NOC].sum(axis=1),
        "noc_hop_bytes": work.hop_bytes,
        "dram_bytes": work.moved[:, (READ, WRITE)].sum(axis=(1, 2)),
        "dram_row_bits": row_bits(record.chip, opened),
    }
    if record.chip.lut_unit is not None:
        counts["lut_pj"] = sum(cost.lut_event_pj(record.chip, work.lookups, work.lut_groups, work.table_adds).values())
    rows = [
        cost.dynamic_energy_pj(record.chip.energy, **dict(zip(counts, map(float, row), strict=True)))
        for row in zip(*counts.values(), strict=True)
    ]
    table = {name: np.array([row[name] for row in rows]) for name in cost.components_of(record.chip)}
    if record.chip.pim is not None:
        table["pim"] = np.asarray(cost.pim_pj(record.chip, work.pim_ops // 2, work.pim_bytes), dtype=np.float64)
    return table


def static_power(chip: ChipSpec) -> dict[str, float]:
    """Static power in W by component."""
    return {name: float(power) for name, power in cost.static_power_w(chip).items()}


def area_table(chip: ChipSpec) -> pd.DataFrame:
    """Area of the logic die by component."""
    parts = cost.area_mm2(chip)
    table = pd.DataFrame({"component": list(parts), "area_mm2": [float(area) for area in parts.values()]})
    table["share"] = table["area_mm2"] / max(float(table["area_mm2"].sum()), 1e-300)
    return table


def dram_die_table(chip: ChipSpec) -> pd.DataFrame:
    """Area of each of the equal DRAM dies by part, which is no part of the logic die; empty where the chip states no
    interface of its DRAM."""
    parts = cost.dram_die_mm2(chip) or {}
    table = pd.DataFrame({"part": list(parts), "area_mm2": [float(area) for area in parts.values()]})
    table["dies"] = int(cost.dram_dies(chip))
    return table


def power_density(chip: ChipSpec, power_w: float, area_mm2: float) -> dict[str, Any]:
    """Power over area, the chip's limit, the verdict, and the core clock scaled by limit over density if it is over."""
    density = power_w / area_mm2
    limit = chip.power_limit_w_per_mm2
    return {
        "w_per_mm2": density,
        "limit_w_per_mm2": limit,
        "within_limit": density <= limit,
        "clock_within_limit_ghz": chip.clock_ghz * min(1.0, limit / density) if density > 0 else chip.clock_ghz,
    }
