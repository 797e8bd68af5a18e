"""Cairn's runs of what Voxel ran: its chips as overrides of `voxel-code`, its workloads, and the times of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from cairn.sim.config.run_config import RunConfig, load
from cairn.validation.roofline import PeakRates, step_seconds
from cairn.validation.suites.voxel.operators import GIB, Setting
from cairn.validation.suites.voxel.runs import RunSetting
from cairn.workloads.build import build_graph

BASE_RUN = "llama-2-13b-decode"
SIDE = 32
"""Side of the default array, by which the ports of its SRAM are scaled: Voxel's port is 2 x side bytes per cycle."""
TOLERANCE = 0.01
"""Change of a layer's period below which layers are repeated: a tenth of the differences that are looked at."""
SRAM_PORTS = {"read_bytes_per_cycle": 128, "write_bytes_per_cycle": 64, "bank_width_bytes": 16}
"""Ports at the default side: the shipped chip's (configs/chips/voxel-code.yaml)."""

MODELS = {
    "llama2-7": "llama-2-7b",
    "llama2-13": "llama-2-13b",
    "opt-2.7": "opt-2.7b",
    "opt-30": "opt-30b",
}
"""Voxel's graphs that are the models of these names: digest of its graphs in reference/stacked3d/README.md."""
WITHOUT_HEAD = frozenset({"opt-2.7"})
"""Graphs that end before the LM head."""

PARADIGMS = {"compute_shift": "compute_shift", "spmd": "spmd"}
TOPOLOGIES = {"mesh2d": "mesh", "torus2d": "torus", "all_to_all": "all_to_all"}


@dataclass(frozen=True)
class StepTimes:
    """Latency of a step, and the time charged to one instance of each operator."""

    latency_ms: float
    operator_us: Mapping[str, float]


def simulate_step(config: RunConfig) -> StepTimes:
    """Simulate `config`; operators of all layer kinds are averaged by name."""
    from cairn.sim.report.result import Result
    from cairn.sim.run import simulate

    result = Result(simulate(config))
    sums = result.operators.groupby("operator")[["time_us", "repeat"]].sum()
    each = (sums["time_us"] / sums["repeat"]).to_dict()
    return StepTimes(1e3 * result.latency_s, {str(name): float(value) for name, value in each.items()})


def operator_us(config: RunConfig, name: str) -> float:
    """Period of the operator `name` of a layer of `config`'s step, repeated by itself."""
    from cairn.sim.single import operator_period_ps

    graph = build_graph(config.model, config.workload, config.routing, config.seed)
    layer = max(graph.segments, key=lambda segment: segment.repeat).block
    operator = next(op for op in layer.operators if op.name == name)
    return operator_period_ps(config.chip, config.mapping, layer, [operator]) / 1e6


def roofline_ms(config: RunConfig) -> float:
    """The plain roofline of the step of `config`."""
    chip = config.chip
    rates = PeakRates(chip.dram_bytes_per_s, chip.peak_ops_per_s, chip.peak_vector_ops_per_s)
    return 1e3 * step_seconds(build_graph(config.model, config.workload, config.routing, config.seed), rates)


def chip_overrides(
    cores: int, sa_side: int, dram_gib_per_s: float, noc_bytes_per_cycle: int
) -> dict[str, str | int | float]:
    """`voxel-code` with these four changed, by key path below `chip`; cores as close to a square as they go."""
    rows = next(rows for rows in range(math.isqrt(cores), 0, -1) if cores % rows == 0)
    ports = {f"sram.{name}": value * sa_side // SIDE for name, value in SRAM_PORTS.items()}
    return {
        "cores.rows": rows,
        "cores.columns": cores // rows,
        "matrix_unit.rows": sa_side,
        "matrix_unit.columns": sa_side,
        "vector_unit.lanes": sa_side,
        "dram.bandwidth_gb_per_s": dram_gib_per_s * GIB / 1e9,
        "noc.link_bytes_per_cycle": noc_bytes_per_cycle,
        **ports,
    }


def _run(model: str, workload: str, chip: Mapping[str, str | int | float], *others: str) -> RunConfig:
    settings = [f"model={model}", f"workload={workload}", "chip=voxel-code", f"engine.tolerance={TOLERANCE}"]
    return load(BASE_RUN, [*settings, *(f"chip.{key}={value}" for key, value in chip.items()), *others])


def run_of(setting: RunSetting) -> RunConfig:
    """The run of a row of voxel_runs.csv whose model is in `MODELS` and whose paradigm is in `PARADIGMS`.

    Voxel drops the embedding and keeps the LM head in decode only. It computes scores, soft-max and values as operators
    of their own whose tensors stay on chip, with one element of soft-max a head in decode; Cairn's fused attention
    moves the same bytes. Its rows of DRAM are counted in beats; the default of 8192 is taken for 8192 bytes, as
    reference/stacked3d/voxel.yaml (vx.dram_row) has it, and others in proportion.
    """
    head = setting.phase == "decode" and setting.model not in WITHOUT_HEAD
    size = (
        f"phase: decode, batch: {setting.batch}, context: {setting.seq}"
        if setting.phase == "decode"
        else f"phase: prefill, batch: {setting.batch}, context: null, new_tokens: {setting.seq}"
    )
    workload = f"{{{size}, embedding: false, lm_head: {str(head).lower()}}}"
    clock_ghz = setting.freq_mhz / 1000
    chip = {
        **chip_overrides(setting.cores, setting.sa_side, setting.dram_gib_s, setting.noc_bytes_per_cycle),
        "clock_ghz": clock_ghz,
        "vector_unit.lanes": setting.vector_width,
        "sram.capacity_kib": setting.sram_kib,
        "noc.topology": TOPOLOGIES[setting.noc_topology],
        "dram.clock_ghz": clock_ghz,
        "dram.row_bytes": setting.row_accesses,
        "dram.t_cl": setting.tcl,
        "dram.t_rcd": setting.trcd,
        "dram.t_rp": setting.trp,
    }
    return _run(
        MODELS[setting.model],
        workload,
        chip,
        f"mapping.paradigm={PARADIGMS[setting.paradigm]}",
        f"mapping.banks={setting.bank_mapping}",
        f"mapping.placement={setting.tile_mapping}",
    )


def gemm_config(model: str, setting: Setting, tokens: int) -> RunConfig:
    """A step with `tokens` rows of activations, for the shapes of its GEMMs: nothing is cached."""
    return _of_table(model, setting, f"phase: decode, batch: {tokens}, context: 1")


def decode_of(model: str, setting: Setting, batch: int, context: int) -> RunConfig:
    """A decode step of the shipped `model` on the chip of an operator table."""
    return _of_table(model, setting, f"phase: decode, batch: {batch}, context: {context}")


def prefill_of(model: str, setting: Setting, new: int, cached: int = 0) -> RunConfig:
    """One prompt of `new` tokens behind `cached` ones on the chip of an operator table."""
    size = f"phase: prefill, batch: 1, context: null, new_tokens: {new}, cached_tokens: {cached}"
    return _of_table(model, setting, size)


def mixed_of(model: str, setting: Setting, new: int, cached: int, batch: int, context: int) -> RunConfig:
    """One prompt together with `batch` decoding requests of `context` keys each."""
    decoding = ", ".join(f"{{new: 1, cached: {context - 1}}}" for _ in range(batch))
    requests = f"[{{new: {new}, cached: {cached}}}, {decoding}]"
    return _of_table(model, setting, f"phase: mixed, batch: null, context: null, requests: {requests}")


def _of_table(model: str, setting: Setting, size: str) -> RunConfig:
    chip = chip_overrides(setting.cores, setting.sa_side, setting.dram_gib_per_s, setting.noc_bytes_per_cycle)
    return _run(model, f"{{{size}, embedding: false}}", chip)
