"""Bits per weight and activation from the `quantization_config` of a `config.json`."""

from __future__ import annotations

from typing import Final

from cairn.base.registry import nearest_hint
from cairn.workloads.architecture import TERNARY_BITS
from cairn.workloads.huggingface_file import ConfigFile

MXFP4_BITS: Final = 4.25
"""Four bits, and an 8-bit scale for each 32 elements (OCP Microscaling Formats 1.0, table 1)."""

_METHODS: Final = ("awq", "bitnet", "fp8", "gptq", "mxfp4")


def precision(config: ConfigFile) -> dict[str, float]:
    """Fields of PrecisionSpec that the quantisation in `config` sets; empty without one."""
    if not config.has("quantization_config"):
        return {}
    part = config.part("quantization_config")
    method = part.text("quant_method")
    if method == "fp8":
        return {"weight_bits": 8, "activation_bits": 8}
    if method == "mxfp4":
        return {"expert_weight_bits": MXFP4_BITS}
    if method == "bitnet":
        return {"weight_bits": TERNARY_BITS, "activation_bits": 8}
    if method in ("gptq", "awq"):
        bits, group = part.integer("bits"), part.integer("group_size", 128, minimum=-1)
        # each group of weights has a 16-bit scale and a zero point of `bits`; -1 is one group for a whole column
        overhead = (16 + bits) / group if group > 0 else 0.0
        return {"weight_bits": bits, "weight_storage_bits": bits + overhead}
    raise part.error("quant_method", f"{method[:60]!r} is not supported{nearest_hint(method[:60], _METHODS)}")
