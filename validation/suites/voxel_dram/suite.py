"""Voxel's DRAM estimator: its own answers where chunks are known, and DRAM reads of whole runs where they are not."""

from __future__ import annotations

from collections.abc import Iterator

from cairn.base.errors import ConfigError
from cairn.hw_models.dram.spec import DramSpec
from cairn.hw_models.dram.voxel_estimator import VoxelEstimator
from cairn.validation.reference import Record, ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.suites.voxel_dram.reads import Read, RunChip

RUNS, OPERATORS = "stacked3d/voxel_runs.csv", "stacked3d/voxel_runs_ops.csv"
CALLS, CALLS_ID = "stacked3d/voxel_dram_crosscheck.yaml", "vx.dramcheck"
VOXEL = "yiqiliu2/voxelsim @40ce5d45"
OBTAIN = "reference/stacked3d/README.md says how such rows are made"
GIB_PER_S, CLOCK_GHZ = 12288, 1.5
"""Chip of the calls (their conditions): 12288 GiB/s at 1500 MHz, timings and rows of 8192 bytes as in DramSpec."""
NAMED = ("llama2", "opt")
"""Models whose graphs under Voxel are those of the public models (stacked3d/README.md)."""
LIMIT = 0.01
"""Limit of the gates `reads` and `short_reads`; half an opening beyond it tells one count from the next."""
TWO_TENSORS = "two tensors in one time, whose shares the table does not list: exact to one cycle only"


def predict(reference: ReferenceDir, run_all: bool) -> Iterator[Row]:
    """For each call of the estimator its cycles; for each operator that reads DRAM the cycles of its read."""
    yield from _call_rows(reference)
    yield from _read_rows(reference)


def _call_rows(reference: ReferenceDir) -> Iterator[Row]:
    entry = reference.entries(CALLS, OBTAIN).get(CALLS_ID)
    if entry is None:
        raise ConfigError("this entry is missing", file=CALLS, key=CALLS_ID)
    spec = DramSpec(bandwidth_gb_per_s=GIB_PER_S * 2**30 / 1e9, clock_ghz=CLOCK_GHZ)
    for record in entry.table():
        if record.text("mode") != "fast":
            continue
        cores, size, chunk = (record.integer(name) for name in ("cores", "num_bytes", "granularity_bytes"))
        estimator = VoxelEstimator.of(spec, cores, cores)
        yield Row(
            id=f"call/{cores}_cores/{size}_bytes/chunk_{chunk}", kind="call of the estimator",
            reference=record.integer("cycles_need_init"),
            prediction=int(estimator.cycles(size, estimator.openings(size, chunk))),
            unit="cycles", source=f"reference/{CALLS} ({VOXEL})", counts=("calls",),
        )  # fmt: skip


def _read_rows(reference: ReferenceDir) -> Iterator[Row]:
    chips = {record.text("id"): record for record in reference.csv(RUNS, OBTAIN)}
    built: dict[str, RunChip] = {}
    for record in reference.csv(OPERATORS, OBTAIN):
        if record.integer("dram_read") == 0:
            continue
        run = record.text("run_id")
        if run not in chips:
            raise ConfigError(f"no run of {RUNS} is called {run!r}", file=record.file, line=record.line, key="run_id")
        chip = built.setdefault(run, RunChip.of(chips[run]))
        yield _read_row(f"read/{run}/{record.text('index')}_{record.text('op')}", chips[run], chip, record)


def _read_row(name: str, run: Record, chip: RunChip, record: Record) -> Row:
    tensors = record.text("inputs_from_dram").count("1")
    cycles = record.integer("dram_read")
    read = Read(chip, record.integer("read_bytes"), tensors)
    openings = read.openings_of(cycles)
    named = run.text("phase") == "decode" and run.text("model").startswith(NAMED)
    short = read.opening_cycles / 2 > LIMIT * cycles
    counts = [*(["reads"] if named else []), *(["short_reads"] if short else [])]
    if run.text("bank_mapping") == "software_aware":
        counts += ["stacked_short", "bus_short"] if short else ["stacked_long", "bus_long"]
    what = "short enough that the count shows in 1 %" if short else "longer"
    return Row(
        id=name, kind=f"{run.text('phase')} read, {what}", reference=cycles,
        prediction=None if openings is None else read.cycles(openings),
        unit="cycles", source=f"reference/{OPERATORS} ({VOXEL})",
        counts=(*counts, *(["equal"] if tensors == 1 else [])),
        excluded={} if tensors == 1 else {"equal": TWO_TENSORS},
        resolution=tensors - 1, baselines={"stacked_channel": read.stacked_cycles, "bus": read.bus_cycles},
        remark=_remark(read, openings, cycles),
    )  # fmt: skip


def _remark(read: Read, openings: int | None, cycles: int) -> str:
    share = 100 * read.opening_cycles / cycles
    if openings is None:
        return f"no possible number of openings (one is {share:.2g} % of the time) comes near"
    return f"{openings} openings, each {share:.2g} % of the time"
