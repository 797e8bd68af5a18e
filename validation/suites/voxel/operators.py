"""Rows of `stacked3d/voxel_operator_latency.yaml`: one operator of one layer on the default chip."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cairn.base.errors import ConfigError
from cairn.validation.reference import Entry, ReferenceDir
from cairn.workloads.architecture import ModelSpec

FILE = "stacked3d/voxel_operator_latency.yaml"
GEMMS = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")
GIB = 2**30


@dataclass(frozen=True)
class Setting:
    """What the rows of an entry ran on, read from its `conditions`."""

    model: str
    bytes_per_weight: int
    cores: int
    sa_side: int
    dram_gib_per_s: float
    noc_bytes_per_cycle: int

    @property
    def bandwidth_bytes_per_s(self) -> float:
        return self.dram_gib_per_s * GIB


@dataclass(frozen=True)
class DenseRow:
    """An operator of one layer that depends on the number of tokens alone; the LM head counts sequences."""

    operator: str
    tokens: int
    time_us: float
    setting: Setting
    source: str


@dataclass(frozen=True)
class AttentionRow:
    """Attention of one layer: one prompt of `prefill_chunk` tokens behind `kv_prefill - prefill_chunk` cached ones,
    and `n_decode` requests of one token with `kv_decode` keys each."""

    prefill_chunk: int
    kv_prefill: int
    n_decode: int
    kv_decode: int
    time_us: float
    setting: Setting
    source: str

    @property
    def name(self) -> str:
        if self.n_decode == 0:
            return f"prefill_{self.prefill_chunk}"
        decode = f"decode_{self.n_decode}x{self.kv_decode}"
        return decode if self.prefill_chunk == 0 else f"prefill_{self.prefill_chunk}+{decode}"


_CONDITIONS: Mapping[str, str] = {
    "model": r"^([^,]+),",
    "precision": r"\b(BF16|FP16|FP8|INT8)\b",
    "cores": r"(\d+) cores",
    "sa_side": r"(\d+)x\d+ arrays",
    "dram_gib_per_s": r"(\d+(?:\.\d+)?) GiB/s",
    "noc_bytes_per_cycle": r"(\d+) B/cycle",
}
_BYTES = {"BF16": 2, "FP16": 2, "FP8": 1, "INT8": 1}


def setting(entry: Entry) -> Setting:
    """What `entry` ran on; ConfigError when its conditions do not say so."""
    found: dict[str, str] = {}
    for name, pattern in _CONDITIONS.items():
        match = re.search(pattern, entry.conditions)
        if match is None:
            message = f"the conditions do not name {name} (looked for {pattern})"
            raise ConfigError(message, file=entry.file, key=f"{entry.id}.conditions")
        found[name] = match[1].strip()
    return Setting(
        model=found["model"],
        bytes_per_weight=_BYTES[found["precision"]],
        cores=int(found["cores"]),
        sa_side=int(found["sa_side"]),
        dram_gib_per_s=float(found["dram_gib_per_s"]),
        noc_bytes_per_cycle=int(found["noc_bytes_per_cycle"]),
    )


def read(reference: ReferenceDir) -> tuple[list[DenseRow], list[AttentionRow]]:
    """Every row of every table of the file, told apart by their columns; entries without a table are remarks."""
    dense: list[DenseRow] = []
    attention: list[AttentionRow] = []
    for entry in reference.entries(FILE).values():
        columns = set(entry.value["columns"]) if isinstance(entry.value, dict) and "columns" in entry.value else set()
        if {"operator", "time_us"} <= columns:
            dense += _dense(entry, "tokens" if "tokens" in columns else "sequences")
        elif {"n_decode", "time_us"} <= columns:
            attention += _attention(entry)
    return dense, attention


def _source(entry: Entry) -> str:
    return f"reference/{FILE} ({entry.id})"


def _dense(entry: Entry, count: str) -> Iterator[DenseRow]:
    ran_on = setting(entry)
    for row in entry.table():
        yield DenseRow(row.text("operator"), row.integer(count), row.number("time_us"), ran_on, _source(entry))


def _attention(entry: Entry) -> Iterator[AttentionRow]:
    ran_on = setting(entry)
    for row in entry.table():
        yield AttentionRow(
            prefill_chunk=row.integer("prefill_chunk"),
            kv_prefill=row.integer("kv_prefill"),
            n_decode=row.integer("n_decode"),
            kv_decode=row.integer("kv_decode"),
            time_us=row.number("time_us"),
            setting=ran_on,
            source=_source(entry),
        )


def gemm_shape(model: ModelSpec, operator: str) -> tuple[int, int]:
    """Rows (reduction) and columns of the weight of one of `GEMMS` in a layer of a dense `model` without MLA."""
    if model.attention is None or model.attention.mla is not None or model.ffn is None:
        raise ValueError(f"{model.name} has no {operator} of its own")
    queries = model.attention.heads * model.head_dim
    shapes = {
        "qkv_proj": (model.hidden, queries + 2 * model.kv_heads * model.head_dim),
        "o_proj": (queries, model.hidden),
        "gate_up_proj": (model.hidden, model.ffn.width * (2 if model.ffn.gated else 1)),
        "down_proj": (model.ffn.width, model.hidden),
    }
    return shapes[operator]


def gemm_bound_us(row: DenseRow, model: ModelSpec, clock_ghz: float) -> float:
    """The time below which no chip of this setting can be: weight bytes at peak bandwidth, operations at peak rate.

    Source of the peaks: reference/stacked3d/voxel.yaml (vx.sa: 2 side^2 operations per cycle and core).
    """
    k, n = gemm_shape(model, row.operator)
    bytes_s = k * n * row.setting.bytes_per_weight / row.setting.bandwidth_bytes_per_s
    ops_s = 2 * row.tokens * k * n / (row.setting.cores * 2 * row.setting.sa_side**2 * clock_ghz * 1e9)
    return 1e6 * max(bytes_s, ops_s)
