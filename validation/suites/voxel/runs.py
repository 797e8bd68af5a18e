"""Rows of `stacked3d/voxel_runs.csv`: whole steps on the chip, with one or a few parameters changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from itertools import pairwise
from typing import Any

from cairn.validation.reference import Record, ReferenceDir

FILE = "stacked3d/voxel_runs.csv"

NOT_THE_MODEL = {
    "llama3-70": "its qkv is wide as for multi-head attention, its gate and up projection half as wide as its down "
    "projection reads, its query heads are dropped and its LM head has 32001 columns",
    "gemma2": "its qkv, gate and up projection and query heads differ from Gemma-2-27B",
}
"""Graphs of Voxel that are no model with these names, and how they differ: such rows are left out."""


@dataclass(frozen=True)
class RunSetting:
    """What a run may vary: the columns of the file that are inputs, under their names there."""

    model: str
    phase: str
    batch: int
    seq: int
    paradigm: str
    bank_mapping: str
    tile_mapping: str
    dram_mode: str
    cores: int
    sa_side: int
    vector_width: int
    sram_kib: int
    core_group: int
    noc_topology: str
    noc_bytes_per_cycle: int
    dram_gib_s: float
    row_accesses: int
    tcl: int
    trcd: int
    trp: int
    freq_mhz: float


@dataclass(frozen=True)
class RunRow:
    """One run and its total time."""

    id: str
    setting: RunSetting
    layers: int
    time_ms: float
    source: str


@dataclass(frozen=True)
class SweepStep:
    """Two runs that differ in `parameter` alone, next to each other in its order."""

    parameter: str
    before: RunRow
    after: RunRow

    @property
    def id(self) -> str:
        low, high = (getattr(run.setting, self.parameter) for run in (self.before, self.after))
        return f"sweep/{self.before.id}/{self.parameter}_{low:g}_to_{high:g}"

    @property
    def reference_ratio(self) -> float:
        return self.after.time_ms / self.before.time_ms


UNPHYSICAL = {
    "tcl": "its row opening never overlaps data, so that DRAM timings weigh more than they can",
    "trcd": "its row opening never overlaps data, so that DRAM timings weigh more than they can",
    "trp": "its row opening never overlaps data, so that DRAM timings weigh more than they can",
    "row_accesses": "its rows are counted in bus beats, so that their bytes follow from bandwidth and cores",
    "core_group": "it widens the chunk of a DRAM access by the group, which is no property of a chip",
    "dram_mode": "it replays chunks one after the other, so that an activation never hides behind data",
}
"""Parameters whose effect in Voxel is a rule of its code and not physics, and which rule."""

MAPPING = ("paradigm", "bank_mapping", "tile_mapping")
"""Parameters that are choices of software; a ranking over physical parameters keeps them at Voxel's best."""


def read(reference: ReferenceDir) -> list[RunRow]:
    """All rows of the file, in its order."""
    return [_row(record) for record in reference.csv(FILE)]


def _row(record: Record) -> RunRow:
    read_as: dict[str, Callable[[str], Any]] = {"str": record.text, "int": record.integer, "float": record.number}
    values = {item.name: read_as[str(item.type)](item.name) for item in fields(RunSetting)}
    identity = record.text("id")
    return RunRow(
        id=identity,
        setting=RunSetting(**values),
        layers=record.integer("layers"),
        time_ms=record.number("time_ms"),
        source=f"reference/{FILE} ({identity})",
    )


def why_not_ranked(row: RunRow, default: RunSetting) -> str:
    """Why `row` does not count in the ranking over physical parameters, or "" when it does."""
    if row.setting.phase != "decode":
        return "prefill is ranked apart"
    if row.setting.paradigm == "dataflow_stage":
        return "one stage of a pipeline, with the whole chip's memory bandwidth to itself"
    for name, rule in UNPHYSICAL.items():
        if getattr(row.setting, name) != getattr(default, name):
            return f"{name} differs, and in Voxel {rule}"
    for name in MAPPING:
        if getattr(row.setting, name) != getattr(default, name):
            return f"{name} differs, which is a choice of software and not of the chip"
    return ""


DEFAULT = RunSetting(
    model="llama2-13",
    phase="decode",
    batch=32,
    seq=2048,
    paradigm="compute_shift",
    bank_mapping="software_aware",
    tile_mapping="dimension_ordered",
    dram_mode="analytic",
    cores=256,
    sa_side=32,
    vector_width=32,
    sram_kib=2048,
    core_group=8,
    noc_topology="mesh2d",
    noc_bytes_per_cycle=16,
    dram_gib_s=12288,
    row_accesses=8192,
    tcl=14,
    trcd=14,
    trp=14,
    freq_mhz=1500,
)
"""The default run of the released code: reference/stacked3d/voxel_runs.csv, row llama2-13.decode.best."""


def sweep_steps(rows: Sequence[RunRow]) -> Iterator[SweepStep]:
    """Every two neighbours of every sweep of one numeric parameter; the vector width goes with the array's side."""
    for item in fields(RunSetting):
        if str(item.type) == "str" or item.name == "vector_width":
            continue
        together = ("sa_side", "vector_width") if item.name == "sa_side" else (item.name,)
        groups: dict[tuple[object, ...], list[RunRow]] = {}
        for row in rows:
            groups.setdefault(_others(row.setting, together), []).append(row)
        for group in groups.values():
            values = sorted((getattr(row.setting, item.name), index) for index, row in enumerate(group))
            for (_, before), (_, after) in pairwise(values):
                yield SweepStep(item.name, group[before], group[after])


def _others(setting: RunSetting, left_out: Sequence[str]) -> tuple[object, ...]:
    names = [item.name for item in fields(RunSetting)]
    return tuple(value for name, value in zip(names, astuple(setting), strict=True) if name not in left_out)
