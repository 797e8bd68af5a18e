"""What making tables costs a layer on an A100 (LUT Tensor Core, Table 4): a kernel of its own, or fused.

A kernel of its own reads the activations and writes the tables, at a share of the DRAM's bandwidth that is fitted.
Beside it stands a form without a fitted constant (`sectors`): the kernel writes entry by entry, the L2 joins the
entries of as many tables as it holds, and of the others each entry leaves as a sector of its own (assumed).
Fused into the operator before, only what tables are larger than activations is moved more, written once and read once,
at the full bandwidth. Overheads of a layer are taken of its published base column. The means are over three models, of
which not all bases are known: the others follow from the multiply-accumulates a second that OPT-175B's base of the same
phase implies.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Final

from cairn.hw_models.compute.lut.spec import LutSpec
from cairn.validation.reference import Entry
from cairn.validation.rows import Row
from cairn.validation.suites.lut.gpus import DRAM_GB_PER_S
from cairn.validation.suites.lut.models import layer_macs, model, table_inputs, table_widths

BYTES: Final = 2
"""assumed: FP16 activations and tables, as in the published RTL; INT8 ones would move half of both."""
TABLES: Final = LutSpec(table_bits=16)
EFFICIENCY: Final = 0.0981
"""Share of the bandwidth that the separate kernel reaches: fitted on the published mean of decode."""
L2_BYTES: Final = 40e6
"""NVIDIA A100 whitepaper (2020): 40 MB."""
SECTOR_BYTES: Final = 32
"""NVIDIA CUDA C++ Best Practices Guide, coalesced access to global memory: transactions of 32 bytes."""
FITTED_ON: Final = ("separate", "decode")
RANGE: Final = (15.0, 25.0)
"""Percent: the published means are 16.47 and 24.41, stated to within 3 (suggested_tolerance)."""
FUSED_BELOW: Final = 4.0
SECTORS: Final = "sectors"
MODELS: Final = {"opt175b": "opt-175b", "bloom176b": "bloom-176b", "llama2_70b": "llama-2-70b"}
PROMPT: Final = {"opt175b": 2048, "bloom176b": 4096, "llama2_70b": 4096}
"""Tokens of a prefill. Those of OPT and BLOOM stand in the reference; llama2_70b: assumed, its full context."""
DECODE_TOKENS: Final = 1024
KNOWN_BY: Final = "opt175b"
BASE_MS: Final = {("opt175b", "prefill"): 32.38, ("opt175b", "decode"): 14.99, ("bloom176b", "prefill"): 107.11}
"""Base columns of Table 4 (ltc_t4_opt175b_prefill, ltc_t4_opt175b_decode, ltc_t4_bloom176b_prefill), for the means."""
_ROW = re.compile(r"ltc_t4_(?P<model>\w+)_(?P<phase>prefill|decode)")


def separate_ms(name: str, tokens: int) -> float:
    """Milliseconds of the kernels that make all tables of a layer."""
    activations = table_inputs(model(MODELS[name]), tokens) * BYTES
    return activations * (1 + expansion()) / (DRAM_GB_PER_S["a100"] * EFFICIENCY * 1e6)


def sectors_ms(name: str, tokens: int) -> float:
    """Milliseconds of these kernels if tables beyond the L2 are written a sector for each entry, at full bandwidth."""
    moved = 0.0
    for width in table_widths(model(MODELS[name])):
        activations = tokens * width * BYTES
        tables = activations * expansion()
        beyond = max(tables - L2_BYTES, 0.0)
        moved += activations + tables + beyond * (SECTOR_BYTES * 8 / TABLES.table_bits - 1)
    return moved / (DRAM_GB_PER_S["a100"] * 1e6)


def fused_ms(name: str, tokens: int) -> float:
    """Milliseconds that larger operands take: written once and read once more than activations."""
    activations = table_inputs(model(MODELS[name]), tokens) * BYTES
    return activations * 2 * max(expansion() - 1, 0) / (DRAM_GB_PER_S["a100"] * 1e6)


def expansion() -> float:
    """Bits of tables over those of the activations that they are made of."""
    return TABLES.table_entries * TABLES.table_bits / (TABLES.k * 8 * BYTES)


def rows(entries: Mapping[str, Entry]) -> Iterator[Row]:
    """Rows of Table 4, then the means."""
    for name, entry in entries.items():
        found = _ROW.fullmatch(name)
        if found and found["model"] in MODELS:
            yield from _layer_rows(found["model"], found["phase"], [float(value) for value in entry.value], entry)
    for how in ("separate", "fused"):
        means = entries.get(f"ltc_precompute_overhead_{how}")
        if means is not None:
            for phase, published in zip(("prefill", "decode"), means.value, strict=True):
                yield _mean_row(how, phase, float(published), means.source)


def _mean_row(how: str, phase: str, published: float, source: str) -> Row:
    fitted = (how, phase) == FITTED_ON
    beside = {SECTORS: mean_percent(SECTORS, phase)} if how == "separate" else {}
    return Row(
        f"precompute/mean/{how}/{phase}", "precompute, means", published, mean_percent(how, phase), "%", source,
        excluded={"separate": "the efficiency was fitted on it"} if fitted else {}, baselines=beside,
    )  # fmt: skip


def mean_percent(how: str, phase: str) -> float:
    """Overhead of `separate` kernels, in either form, or of `fused` precompute, mean over the three models."""
    spent = {"separate": separate_ms, SECTORS: sectors_ms, "fused": fused_ms}[how]
    shares = [spent(name, _tokens(name, phase)) / base_ms(name, phase) for name in MODELS]
    return 100 * math.fsum(shares) / len(shares)


def base_ms(name: str, phase: str) -> float:
    """Milliseconds of a layer without precompute: published, or by the rate that the base of OPT-175B implies."""
    if (name, phase) in BASE_MS:
        return BASE_MS[name, phase]
    known = layer_macs(model(MODELS[KNOWN_BY]), _tokens(KNOWN_BY, phase)) / BASE_MS[KNOWN_BY, phase]
    return layer_macs(model(MODELS[name]), _tokens(name, phase)) / known


def _tokens(name: str, phase: str) -> int:
    return PROMPT[name] if phase == "prefill" else DECODE_TOKENS


def _layer_rows(name: str, phase: str, published: list[float], entry: Entry) -> Iterator[Row]:
    """Overheads in percent of the published base, and on which side of the limits they lie."""
    base, separate, fused = published
    tokens = _tokens(name, phase)
    mine, cheap, sectors = (100 * one(name, tokens) / base for one in (separate_ms, fused_ms, sectors_ms))
    at, source, overhead = f"{name}/{phase}", entry.source, 100 * (separate / base - 1)
    within = RANGE[0] <= overhead <= RANGE[1]
    counts = ("separate_range",) if within else ()
    excluded = {} if within else {"separate_range": "the published overhead lies outside the range itself"}
    yield Row(f"precompute/separate/{at}", "precompute, separate", overhead, mine, "%", source,
              ("separate",), baselines={SECTORS: sectors})  # fmt: skip
    yield Row(f"precompute/fused/{at}", "precompute, fused", 100 * (fused / base - 1), cheap, "%", source)
    yield Row(f"precompute/above/{at}", "precompute, range", RANGE[0], mine, "%", "range of the published means",
              counts, excluded=excluded)  # fmt: skip
    yield Row(f"precompute/below/{at}", "precompute, range", mine, RANGE[1], "%", "range of the published means",
              counts, excluded=excluded)  # fmt: skip
    yield Row(f"precompute/fused_below/{at}", "precompute, range", cheap, FUSED_BELOW, "%", "limit of the issue",
              ("fused_below",))  # fmt: skip
