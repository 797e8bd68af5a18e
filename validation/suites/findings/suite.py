"""What the Voxel paper found, asked of Cairn: times of varied runs over the time of the run they vary."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cairn.sim.config.run_config import load
from cairn.sim.run import simulate
from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row

LAYERS = 2
"""Layers that are simulated, all of them: the first loads what the second overlaps with."""
COMMON = (f"model.layers={LAYERS}", "workload.embedding=false", "workload.lm_head=false", "engine.exact=true")
PAPER = "Voxel, arXiv 2604.26821"


@dataclass(frozen=True)
class Finding:
    """A varied run: which phase, what is varied, which gates it counts for, and the run that it is held against."""

    name: str
    phase: str
    settings: tuple[str, ...]
    gates: tuple[str, ...] = ()
    slow: bool = False
    base: tuple[str, ...] = ()


def _links(phase: str, width: int, *gates: str, slow: bool = False) -> Finding:
    return Finding(f"{phase}/links_{width}", phase, (f"chip.noc.link_bytes_per_cycle={width}",), gates, slow)


def _core_group(size: int, *gates: str) -> Finding:
    """1024 cores, eight on a channel, in groups of `size` against groups of eight."""
    return Finding(
        f"decode/core_group_{size}", "decode", (*MANY_CORES, f"mapping.core_group={size}"), gates,
        base=(*MANY_CORES, "mapping.core_group=8"),
    )  # fmt: skip


MANY_CORES = ("chip.cores.rows=32", "chip.cores.columns=32", "chip.dram.channels=128")
FINDINGS = (
    Finding("prefill/spmd", "prefill", ("mapping.paradigm=spmd",), ("compute_shift_beats_spmd",)),
    Finding("decode/spmd", "decode", ("mapping.paradigm=spmd",)),
    Finding("decode/uniform", "decode", ("mapping.banks=uniform",), ("software_aware_not_slower",)),
    Finding("decode/interleaved", "decode", ("mapping.banks=interleaved",), ("software_aware_not_slower",)),
    Finding("decode/uniform_16384_gib_s", "decode", ("mapping.banks=uniform", "chip.dram.bandwidth_gb_per_s=17592.2")),
    Finding("decode/aware_16384_gib_s", "decode", ("chip.dram.bandwidth_gb_per_s=17592.2",)),
    Finding("prefill/uniform", "prefill", ("mapping.banks=uniform",), slow=True),
    _links("decode", 4),
    _links("decode", 8, "decode_ignores_links"),
    _links("decode", 32, "decode_ignores_links"),
    _links("decode", 64, "decode_ignores_links"),
    _links("prefill", 4, "prefill_needs_links", slow=True),
    _links("prefill", 8, "prefill_needs_links"),
    _links("prefill", 32, slow=True),
    Finding("decode/torus", "decode", ("chip.noc.topology=torus",)),
    Finding("decode/all_to_all", "decode", ("chip.noc.topology=all_to_all",)),
    Finding("prefill/torus", "prefill", ("chip.noc.topology=torus",), slow=True),
    Finding("prefill/all_to_all", "prefill", ("chip.noc.topology=all_to_all",), slow=True),
    Finding("decode/sequential", "decode", ("mapping.placement=sequential",)),
    Finding("prefill/sequential", "prefill", ("mapping.placement=sequential",), slow=True),
    Finding("decode/dataflow", "decode", ("mapping.paradigm=dataflow", "mapping.stages=2")),
    Finding("prefill/dataflow", "prefill", ("mapping.paradigm=dataflow", "mapping.stages=2"), slow=True),
    _core_group(1, "core_groups_help"),
    _core_group(2),
    _core_group(4),
    _core_group(16, "core_groups_stop_helping"),
    _core_group(32, "core_groups_stop_helping"),
)


def predict(reference: ReferenceDir, run_all: bool) -> Iterator[Row]:
    """A row for each finding; the slow ones that no gate needs with `run_all` only."""
    base: dict[tuple[str, ...], float] = {}
    for finding in FINDINGS:
        if finding.slow and not run_all:
            reference.leave_out(f"{finding.name}: --all runs it")
            continue
        key = (finding.phase, *finding.base)
        if key not in base:
            base[key] = step_ms(finding.phase, finding.base)
        varied = step_ms(finding.phase, finding.settings)
        yield Row(
            id=finding.name,
            kind=finding.phase,
            reference=1.0,
            prediction=varied / base[key],
            unit="ratio",
            source=PAPER,
            counts=finding.gates,
            remark=f"{varied:.4g} ms against {base[key]:.4g} ms",
        )


def step_ms(phase: str, settings: Sequence[str]) -> float:
    """Time of a step of the shortened model with some settings."""
    return simulate(load(f"llama-2-13b-{phase}", [*COMMON, *settings])).total_ps / 1e9
