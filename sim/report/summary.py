"""Headline numbers of a result as plain values, and the content of `result.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from cairn.hw_models.noc.trust import TRUSTED_QUEUEING
from cairn.sim.report.dram_energy import dram_content

if TYPE_CHECKING:
    from cairn.sim.report.result import Result

SCHEMA: Final = "cairn.result/1"


def summary(result: Result) -> dict[str, Any]:
    """Headline numbers, units in the names; None for what does not apply to the phase."""
    return {
        **headline(result),
        "time_by_limiting_us": result.time_by_limiting(),
        "tasks_simulated": result.record.plan.n_tasks,
    }


def headline(result: Result) -> dict[str, Any]:
    """The numbers of `summary` that follow from totals of the run: whose time it was is not asked."""
    graph, latency_s, tokens = result.record.graph, result.latency_s, result.tokens
    moved, peaks = result.bytes, result.peaks
    dram_bytes = int(moved["dram_read_bytes"].sum() + moved["dram_write_bytes"].sum())
    matrix_ops, matrix_ops_required = result.matrix_ops
    per_s = 1 / latency_s if latency_s else 0.0
    return {
        "name": result.name,
        "model": graph.model,
        "phase": graph.phase,
        "tokens": tokens,
        "latency_s": latency_s,
        "latency_ps": result.record.total_ps,
        "tokens_per_s": result.tokens_per_s,
        "time_per_token_s": result.time_per_token_s,
        "ttft_s": latency_s if graph.phase == "prefill" else None,
        "tpot_s": latency_s if graph.phase == "decode" else None,
        "bound_s": result.bound_s,
        "efficiency": result.efficiency,
        "energy_j": result.energy_j,
        "energy_per_token_j": result.energy_j / tokens if tokens else 0.0,
        "power_w": result.power_w,
        "area_mm2": float(result.area["area_mm2"].sum()),
        "power_density": result.power_density,
        "dram_bytes": dram_bytes,
        "dram_gb_per_s": dram_bytes * per_s / 1e9,
        "dram_peak_gb_per_s": peaks.dram_bytes_per_s / 1e9,
        "dram_utilisation": dram_bytes * per_s / peaks.dram_bytes_per_s,
        "noc_bytes": int(moved["noc_bytes"].sum()),
        "matrix_ops": matrix_ops,
        "matrix_ops_required": matrix_ops_required,
        "matrix_tera_ops_per_s": matrix_ops * per_s / 1e12,
        "matrix_peak_tera_ops_per_s": peaks.matrix_ops_per_s / 1e12,
    }


def content(result: Result) -> dict[str, Any]:
    """The content of `result.json`: headline numbers, small tables, repetition, provenance, configuration."""
    return {
        "schema": SCHEMA,
        **summary(result),
        "energy": result.energy.to_dict("records"),
        "dram_energy": _dram_energy(result),
        "area": result.area.to_dict("records"),
        "dram_area": result.dram_area.to_dict("records"),
        "bytes": result.bytes.to_dict("records"),
        "network": _network(result),
        "lut": None if result.lut is None else result.lut.as_dict(),
        "repetition": [vars(repetition) for repetition in result.record.repetitions],
        "provenance": dict(result.provenance),
        "config": dict(result.record.config),
    }


def _dram_energy(result: Result) -> dict[str, Any] | None:
    """The energy of the DRAM by term; None where it is charged per byte."""
    if result.activates is None or result.dram_energy is None:
        return None
    return dram_content(result.record.chip, result.activates, result.dram_energy)


def _network(result: Result) -> dict[str, Any] | None:
    """The load of the network; None where nobody counted it."""
    load = result.network
    if load is None:
        return None
    return {
        "busiest_utilisation": load.busiest,
        "queueing": load.queueing,
        "queueing_limit": TRUSTED_QUEUEING,
        "within_checked_range": load.is_trusted,
    }
