"""BitNet on GPUs by roof lines: table 1 of b1.58, W2A8 products and generations on an A100, energy of operations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from cairn.sim.config.problems import validate
from cairn.sim.config.resolve import MODEL, load_document
from cairn.sim.layerwise.gpu import (
    A100_40,
    A100_80,
    KERNELS_PER_LAYER,
    decode_bytes,
    decode_ms,
    gemv_us,
    largest_batch,
    prompt_ms,
)
from cairn.validation.reference import Entry
from cairn.validation.rows import Row
from cairn.workloads.architecture import AttentionSpec, FFNSpec, ModelSpec, PositionKind, PrecisionSpec
from cairn.workloads.parameters import weight_bytes

FILE: Final = "lut/bitnet.yaml"
SHAPES: Final = {"700M": "bitnet-b1.58-700m", "1.3B": "bitnet-b1.58-1.3b", "3B": "bitnet-b1.58-3b"}
"""Shipped models of table 1; the shape of its 3.9B is not published."""
GENERATING: Final = "bitnet-b1.58-2b4t"
TABLE_1: Final = "Roof line of an A100-40GB, which the paper does not name; launches, caches and buffers not counted."


def rows(entries: Mapping[str, Entry]) -> Iterator[Row]:
    """Rows of table 1, of products and generations on an A100, of 70 B parameters, and the energy of operations."""
    for entry in entries.values():
        if match := re.fullmatch(r"b158_(llama|bitnet)_(.+)", entry.id):
            yield from _table_1(entry, match[1], match[2])
        elif match := re.fullmatch(r"w2a8_gemv_(\d+)x(\d+)", entry.id):
            yield from _gemv(entry, int(match[1]), int(match[2]))
        elif match := re.fullmatch(r"w2a8_e2e_(\d+)_(\d+)", entry.id):
            yield _generation(entry, int(match[1]), int(match[2]))
    yield from _seventy(entries)
    yield from _energy(entries)


def shipped_model(name: str) -> ModelSpec:
    """The shipped model of that file name."""
    return validate(load_document(name, MODEL), ModelSpec, MODEL.references)


def _table_1(entry: Entry, family: str, size: str) -> Iterator[Row]:
    """Memory is all weights, latency the bytes of a step at full bandwidth: lower bounds of both."""
    if size not in SHAPES:
        return
    model = shipped_model(SHAPES[size])
    if family == "llama":
        model = model.model_copy(update={"precision": PrecisionSpec(), "sub_norms": False})
    memory, latency, _ = entry.value
    for what, reference, found, unit in (
        ("memory", memory, weight_bytes(model) / 1e9, "GB"),
        ("latency", latency, decode_ms(A100_40, model), "ms"),
    ):
        name = f"bitnet/{what}/{family}/{size}"
        yield Row(name, f"BitNet table 1, {what}", float(reference), found, unit, entry.source, remark=TABLE_1)


def _gemv(entry: Entry, n: int, k: int) -> Iterator[Row]:
    for kind, bits, reference in zip(("w2a8", "bf16"), (2, 16), entry.value, strict=True):
        found = float(gemv_us(A100_40, n, k, bits))
        yield Row(f"bitnet/gemv/{kind}/{n}x{k}", f"A100 GEMV, {kind}", float(reference), found, "us", entry.source)


def _generation(entry: Entry, prompt: int, generated: int) -> Row:
    """The prompt, then a step for each token, every kernel with its launch."""
    model = shipped_model(GENERATING)
    steps = sum(decode_ms(A100_40, model, prompt + index, KERNELS_PER_LAYER) for index in range(generated))
    found = prompt_ms(A100_40, model, prompt) + steps
    name = f"bitnet/generation/{prompt}+{generated}"
    return Row(name, "A100 generation, W2A8", float(entry.value[0]), found, "ms", entry.source)


def _seventy(entries: Mapping[str, Entry]) -> Iterator[Row]:
    """70 B parameters in the shape that bitnet.cpp's report has, keys and values for every head."""
    if "bitnetcpp_shape_70B" not in entries:
        return
    wide = dense_model(entries["bitnetcpp_shape_70B"], PrecisionSpec())
    narrow = dense_model(entries["bitnetcpp_shape_70B"], PrecisionSpec(weight_bits=1.58, activation_bits=8))
    for name, model in (("llama", wide), ("bitnet", narrow)):
        if entry := entries.get(f"b158_70b_{name}"):
            batch = float(largest_batch(A100_80, model, 512, 2))
            row = f"bitnet/batch/{name}/70B"
            yield Row(row, "BitNet 70B", float(entry.value[0]), batch, "requests", entry.source)
    if entry := entries.get("b158_70b_ratio"):
        found = decode_bytes(wide) / decode_bytes(narrow)
        remark = "Bytes that a step reads; the paper's latencies hold a part that does not shrink with the weights."
        yield Row("bitnet/speedup/70B", "BitNet 70B", float(entry.value), found, "x", entry.source, remark=remark)


def _energy(entries: Mapping[str, Entry]) -> Iterator[Row]:
    """An addition of INT8 in place of a multiplication and an addition of FP16."""
    if not {"b158_energy", "op_energy_7nm"} <= set(entries):
        return
    entry = entries["b158_energy"]
    add, multiply, add_int8 = entries["op_energy_7nm"].value
    remark = "The energy of an FP16 addition is inferred from this ratio, so that the row shows consistency, no more."
    yield Row(
        "bitnet/energy_ratio",
        "energy of operations",
        float(entry.value),
        (add + multiply) / add_int8,
        entry.unit,
        entry.source,
        resolution=0.05,
        remark=remark,
    )


def dense_model(shape: Entry, precision: PrecisionSpec) -> ModelSpec:
    """The model of a row [hidden, ffn, layers, heads] of bitnet.cpp's report: gated, a key head for each query head."""
    hidden, width, layers, heads = shape.value
    return ModelSpec(
        schema="cairn.model/1",
        name=shape.id,
        source=shape.source,
        layers=layers,
        hidden=hidden,
        vocab=32002,  # configs/models/bitnet-b1.58-3b.yaml, the same family
        position=PositionKind.NONE,
        attention=AttentionSpec(heads=heads),
        ffn=FFNSpec(width=width),
        precision=precision,
    )
