"""The numbers of a run that objectives and constraints may use: names, units, and the phase that has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from cairn.dse.price import cost_usd
from cairn.dse.units import Unit, parse_unit
from cairn.hw_models.cost import area_mm2

if TYPE_CHECKING:
    from cairn.hw_models.chip import ChipSpec
    from cairn.sim.report.result import Result

FIELDS: Final[Mapping[str, str]] = {
    "latency_s": "s",
    "tokens": "tokens",
    "tokens_per_s": "tokens/s",
    "time_per_token_s": "s",
    "ttft_s": "s",
    "tpot_s": "s",
    "efficiency": "1",
    "energy_j": "J",
    "energy_per_token_j": "J",
    "power_w": "W",
    "area_mm2": "mm2",
    "power_density_w_per_mm2": "W/mm2",
    "power_density_limit_w_per_mm2": "W/mm2",
    "clock_within_limit_ghz": "GHz",
    "dram_bytes": "bytes",
    "dram_gb_per_s": "GB/s",
    "dram_peak_gb_per_s": "GB/s",
    "dram_utilisation": "1",
    "dram_capacity_gb": "GB",
    "noc_bytes": "bytes",
    "matrix_ops": "ops",
    "matrix_tera_ops_per_s": "Tops/s",
    "matrix_peak_tera_ops_per_s": "Tops/s",
    "matrix_utilisation": "1",
    "cost_usd": "USD",
}
"""Name and unit. Where a name says `per token`, its unit leaves the token out, as people write it: ms, not ms/token."""

OF_PHASE: Final[Mapping[str, str]] = {"ttft_s": "prefill", "tpot_s": "decode"}
"""Fields that runs of one phase alone have."""

UNITS: Final[Mapping[str, Unit]] = {name: parse_unit(unit) for name, unit in FIELDS.items()}


def fields_of(result: Result) -> dict[str, float]:
    """The fields of one simulated run; those of another phase are NaN."""
    headline = result.headline()
    density = headline["power_density"]
    values: dict[str, Any] = {name: headline[name] for name in FIELDS if name in headline}
    values |= {
        "power_density_w_per_mm2": density["w_per_mm2"],
        "power_density_limit_w_per_mm2": density["limit_w_per_mm2"],
        "clock_within_limit_ghz": density["clock_within_limit_ghz"],
        "dram_capacity_gb": result.record.chip.dram.capacity_gb,
    }
    return derived({name: math.nan if value is None else float(value) for name, value in values.items()})


STATIC: Final = frozenset({"area_mm2", "dram_capacity_gb", "power_density_limit_w_per_mm2", "cost_usd"})
"""Fields that follow from the chip alone."""


def static_fields(chip: ChipSpec) -> dict[str, float]:
    """The fields in STATIC, without simulating anything."""
    return derived({
        "area_mm2": sum(area_mm2(chip).values()),
        "dram_capacity_gb": chip.dram.capacity_gb,
        "power_density_limit_w_per_mm2": chip.power_limit_w_per_mm2,
    })  # fmt: skip


def derived(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` (numbers or columns) and the fields that follow from them, where they can be computed and are not given.

    A tier that knows latency, tokens, energy, area and DRAM capacity has nearly all of FIELDS through this.
    """
    known = dict(values)
    with np.errstate(all="ignore"):
        for name, (needed, formula) in _FORMULAS.items():
            if name not in known and all(each in known for each in needed):
                known[name] = formula(*(np.asarray(known[each], dtype=np.float64) for each in needed))
    scalar = all(np.ndim(value) == 0 for value in known.values())
    return {name: float(value) for name, value in known.items()} if scalar else known


_FORMULAS: Final[Mapping[str, tuple[tuple[str, ...], Any]]] = {
    "tokens_per_s": (("tokens", "latency_s"), lambda tokens, latency: tokens / latency),
    "time_per_token_s": (("latency_s", "tokens"), lambda latency, tokens: latency / tokens),
    "energy_per_token_j": (("energy_j", "tokens"), lambda energy, tokens: energy / tokens),
    "power_w": (("energy_j", "latency_s"), lambda energy, latency: energy / latency),
    "power_density_w_per_mm2": (("power_w", "area_mm2"), lambda power, area: power / area),
    "dram_gb_per_s": (("dram_bytes", "latency_s"), lambda moved, latency: moved / latency / 1e9),
    "dram_utilisation": (("dram_gb_per_s", "dram_peak_gb_per_s"), lambda used, peak: used / peak),
    "matrix_tera_ops_per_s": (("matrix_ops", "latency_s"), lambda ops, latency: ops / latency / 1e12),
    "matrix_utilisation": (
        ("matrix_tera_ops_per_s", "matrix_peak_tera_ops_per_s"), lambda used, peak: used / peak,
    ),
    "cost_usd": (("area_mm2", "dram_capacity_gb"), cost_usd),
}  # fmt: skip
"""Field -> the fields it follows from, and how; in an order in which each can use those before it."""
