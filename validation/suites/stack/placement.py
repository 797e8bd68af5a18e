"""Decode of Llama-2-13B under three placements in banks: what rows cost, and what Voxel says they cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.build import dram_counters
from cairn.hw_models.server import IntArray
from cairn.sim.config.run_config import load
from cairn.sim.report.result import Result
from cairn.sim.run import simulate
from cairn.validation.reference import Record, ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suites.stack.channel import in_words, shares_of

RUN: Final = "llama-2-13b-decode"
GIB_PER_S: Final = (12288, 16000, 24000)
"""Bandwidth of Voxel's code, the one at which its paper reports 43.35 % (its code counts GiB), and a greater one."""
PAPER_GIB_PER_S: Final = 16000
PLACEMENTS: Final = ("software_aware", "uniform", "interleaved")
AWARE: Final = PLACEMENTS[0]
RUNS, FIGURES = "stacked3d/voxel_runs.csv", "stacked3d/voxel.yaml"
OBTAIN = "reference/stacked3d/README.md says how such rows are made"
VOXEL: Final = {AWARE: "llama2-13.decode.best", "uniform": "llama2-13.decode.uniform"}
"""Runs of Voxel's code by placement; at another bandwidth than 12288 the name goes on with it."""
OF_ROWS: Final = ("row_cycle", "activate_spacing", "row_bus", "queue")
"""Causes of lost time that there would be none of without rows: a queue is full because its bursts wait for them."""


@dataclass(frozen=True)
class Step:
    """A decode step: its time, the time of its bytes at peak, activates of 8 KiB moved, shares of the bus by cause."""

    ms: float
    bus_ms: float
    activates: float
    shares: Mapping[str, float]

    @property
    def of_rows(self) -> float:
        """Share of the time of the bus that is lost to rows."""
        return sum(self.shares.get(cause, 0.0) for cause in OF_ROWS)


def rows(reference: ReferenceDir) -> Iterator[Row]:
    """Each placement at each bandwidth, then the share that rows cost against Voxel's."""
    voxel = {record.text("id"): record for record in reference.csv(RUNS, OBTAIN)}
    found: dict[tuple[int, str], Step] = {}
    for gib_per_s in GIB_PER_S:
        for banks in PLACEMENTS:
            found[gib_per_s, banks] = step = decode(gib_per_s, banks)
            run = voxel.get(voxel_run(gib_per_s, banks))
            yield _time_row(gib_per_s, banks, step, found[gib_per_s, AWARE], run)
    yield from _loss_rows(reference, found, voxel)


def voxel_run(gib_per_s: int, banks: str) -> str:
    """The name of Voxel's run of this decode."""
    suffix = "" if gib_per_s == GIB_PER_S[0] else f".dram_bw{gib_per_s}"
    return VOXEL.get(banks, banks) + suffix


def decode(gib_per_s: int, banks: str, model: str = "controller") -> Step:
    """One decode step of all layers, of which some are simulated (`engine.tolerance`)."""
    settings = (
        "engine.tolerance=0.01", f"mapping.banks={banks}", f"chip.dram.model={model}",
        f"chip.dram.bandwidth_gb_per_s={gib_per_s * 2**30 / 1e9}",
    )  # fmt: skip
    record = simulate(load(RUN, settings))
    ms, bus_ms = record.total_ps / 1e9, 1e3 * Result(record).bound_s["dram"]
    counted = dram_counters(record.chip.dram, record.trace.states[record.plan.servers.index("dram")])
    if "charged_ps" not in counted:
        return Step(ms, bus_ms, 0.0, {})
    moved = int((counted["bytes_read"] + counted["bytes_written"]).sum())
    charged: IntArray = counted["charged_ps"]
    return Step(ms, bus_ms, 8192 * int(counted["activates"].sum()) / moved, shares_of(charged))


def _time_row(gib_per_s: int, banks: str, step: Step, aware: Step, run: Record | None) -> Row:
    """A placement over the software-aware one, which itself is held against its bytes at peak bandwidth."""
    others = {"voxel_estimator": decode(gib_per_s, banks, "voxel_estimator").ms}
    if run is not None:
        others["voxel"] = run.number("time_ms")
    is_aware = banks == AWARE
    return Row(
        id=f"decode/{gib_per_s}_gib_s/{banks}",
        kind="software-aware decode over its bytes at peak" if is_aware else "decode over software-aware",
        reference=step.bus_ms if is_aware else aware.ms, prediction=step.ms, unit="ms",
        source=f"Cairn's own run; column voxel: reference/{RUNS}",
        counts=() if is_aware else ("software_aware_first",), baselines=others,
        remark=f"{100 * step.bus_ms / step.ms:.1f} % of peak bandwidth, {step.activates:.3f} activates per 8 KiB, "
        f"{in_words(step.shares)}",
    )  # fmt: skip


def _loss_rows(
    reference: ReferenceDir, found: Mapping[tuple[int, str], Step], voxel: Mapping[str, Record]
) -> Iterator[Row]:  # fmt: skip
    """The share of decode that rows cost under uniform placement, and how much of it the software-aware one removes."""
    entries = reference.entries(FIGURES, OBTAIN)
    for name in ("vx.f.conflict_uniform", "vx.f.conflict_cut"):
        if name not in entries:
            raise ConfigError("this entry is missing", file=FIGURES, key=name)
    uniform, aware = found[PAPER_GIB_PER_S, "uniform"], found[PAPER_GIB_PER_S, AWARE]
    runs = [voxel.get(voxel_run(PAPER_GIB_PER_S, banks)) for banks in ("uniform", AWARE)]
    theirs: list[dict[str, float]] = [{}, {}]
    if runs[0] is not None and runs[1] is not None:
        exposed, left = (run.number("exposed_row_conflict") for run in runs if run is not None)
        theirs = [{"voxel": exposed / runs[0].number("cycles")}, {"voxel": 1 - left / exposed}]
    ours = (uniform.of_rows, 1 - aware.of_rows / uniform.of_rows)
    what = (("uniform", "vx.f.conflict_uniform"), ("removed", "vx.f.conflict_cut"))
    for (name, entry), share, others in zip(what, ours, theirs, strict=True):
        yield Row(
            id=f"rows/{PAPER_GIB_PER_S}_gib_s/{name}", kind="share of decode that rows cost",
            reference=float(entries[entry].value) / 100, prediction=share, unit="share",
            source=entries[entry].source, baselines=others,
        )  # fmt: skip
