"""Low-bit models on CPUs: T-MAC and bitnet.cpp by look-ups and bandwidth, reported with the error, no gate."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from cairn.hw_models.compute.cpu_lut.cycle import product_us
from cairn.hw_models.compute.cpu_lut.spec import CPUS, I7_13700H, M2_ULTRA, T_MAC, TL1, TL2, CpuSpec, KernelSpec
from cairn.validation.reference import Entry
from cairn.validation.rows import Row
from cairn.validation.suites.lut.bitnet import dense_model, shipped_model
from cairn.workloads.architecture import ModelSpec, PrecisionSpec

FILE: Final = "lut/tmac.yaml"
TMAC_MODELS: Final = {
    "bitnet-3b": ("bitnet-b1.58-3b", 2),
    "llama-2-7b-w2": ("llama-2-7b", 2),
    "llama-2-7b-w4": ("llama-2-7b", 4),
}
HEAD_BITS: Final = 6.5625
"""assumed: llama.cpp's Q6_K for the LM head, 210 bytes for 256 weights, in T-MAC's and bitnet.cpp's models alike."""
_DECODE: Final = re.compile(r"tmac_(bitnet-3b|llama-2-7b-w\d)_(.+)_t(\d+)")
_COLUMNS: Final = ((M2_ULTRA, TL1, 0), (I7_13700H, TL2, 2))
"""What the columns of bitnet.cpp's table 4 are: ternary weights at that index, FP16 behind it."""


def rows(tmac: Mapping[str, Entry], bitnet: Mapping[str, Entry]) -> Iterator[Row]:
    """Tokens per second and latencies of T-MAC, then tokens per second of bitnet.cpp and of FP16 beside it."""
    cpus = {name.lower(): cpu for name, cpu in CPUS.items()}
    for entry in tmac.values():
        if (match := _DECODE.fullmatch(entry.id)) and match[2] in cpus:
            yield _tmac_decode(entry, cpus[match[2]], match[1], int(match[3]))
        elif match := re.fullmatch(r"tmac_gemv_w(\d)_(\d+)x(\d+)", entry.id):
            found = float(product_us(M2_ULTRA, T_MAC, 1, int(match[2]), int(match[3]), int(match[1]), 16)) / 1e3
            name = f"cpu/tmac_gemv/w{match[1]}/{match[2]}x{match[3]}"
            yield Row(name, "T-MAC GEMV", float(entry.value[0]), found, entry.unit, entry.source)
    yield from _tmac_prompts(tmac)
    for entry in bitnet.values():
        if (match := re.fullmatch(r"bitnetcpp_([\d.]+[MB])", entry.id)) and f"bitnetcpp_shape_{match[1]}" in bitnet:
            yield from _bitnet_cpp(entry, match[1], bitnet[f"bitnetcpp_shape_{match[1]}"])


def _tmac_decode(entry: Entry, cpu: CpuSpec, model: str, threads: int) -> Row:
    name, bits = TMAC_MODELS[model]
    found = 1e6 / token_us(cpu, T_MAC, shipped_model(name), bits, threads)
    place = f"cpu/tmac/{model}/{cpu.name}/{threads}"
    kind = "T-MAC, one thread" if threads == 1 else "T-MAC, threads"
    return Row(place, kind, float(entry.value[1]), found, entry.unit, entry.source)


def _tmac_prompts(entries: Mapping[str, Entry]) -> Iterator[Row]:
    """256 tokens of a prompt: tables for each row, weights once."""
    if "tmac_prefill" not in entries:
        return
    entry, model = entries["tmac_prefill"], shipped_model("llama-2-7b")
    for threads, values in zip((4, 8), entry.value, strict=True):
        found = 256e6 / token_us(CPUS["SurfaceLaptop7"], T_MAC, model, 2, threads, tokens=256)
        yield Row(f"cpu/tmac_prefill/{threads}", "T-MAC, prompt", float(values[0]), found, entry.unit, entry.source)


def _bitnet_cpp(entry: Entry, size: str, shape: Entry) -> Iterator[Row]:
    """Ternary weights (TL1 on Arm, TL2 on x86) and FP16 weights at the bandwidth, all cores."""
    model = dense_model(shape, PrecisionSpec(weight_bits=1.58, activation_bits=8))
    for cpu, kernel, column in _COLUMNS:
        ternary, wide = entry.value[column : column + 2]
        if ternary is not None:
            found = 1e6 / token_us(cpu, kernel, model, 2, cpu.cores)
            name = f"cpu/bitnet.cpp/{size}/{cpu.name}"
            yield Row(name, f"bitnet.cpp, {cpu.name}", float(ternary), found, entry.unit, entry.source)
        if wide is not None:
            matrices = sum(n * k * count for n, k, count in _matrices(model)) + model.vocab * model.hidden
            found = cpu.bandwidth_gb_per_s * 1e9 / (2 * matrices)
            name = f"cpu/fp16/{size}/{cpu.name}"
            yield Row(name, f"FP16, {cpu.name}", float(wide), found, entry.unit, entry.source)


def token_us(
    cpu: CpuSpec, kernel: KernelSpec, model: ModelSpec, weight_bits: int, threads: int, tokens: int = 1
) -> float:
    """Time of a step of `tokens` tokens: the matrices of the layers by `kernel`, the LM head at the bandwidth.

    Attention, norms and synchronisation of threads are not counted.
    """
    layers = sum(
        count * float(product_us(cpu, kernel, tokens, n, k, weight_bits, threads)) for n, k, count in _matrices(model)
    )
    return layers + model.vocab * model.hidden * HEAD_BITS / 8 / cpu.bandwidth_gb_per_s / 1e3


def _matrices(model: ModelSpec) -> list[tuple[int, int, int]]:
    """Outputs, inputs and number of the matrices of all layers."""
    queries = model.attention.heads * model.head_dim if model.attention else 0
    keys, width = model.kv_heads * model.head_dim, model.ffn.width if model.ffn else 0
    return [
        (queries, model.hidden, model.layers),
        (keys, model.hidden, 2 * model.layers),
        (model.hidden, queries, model.layers),
        (width, model.hidden, 2 * model.layers),
        (model.hidden, width, model.layers),
    ]
