"""Random small runs: a tiny model of any family on a tiny chip of any shape, drawn from a named stream."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from cairn.base.streams import stream
from cairn.sim.config.run_config import RunConfig

T = TypeVar("T")


class _Dice:
    """Draws from one stream; `pick` one of some values, `maybe` a coin that falls on True with a probability."""

    def __init__(self, rng: np.random.Generator):
        self._rng = rng

    def pick(self, *values: T) -> T:
        return values[int(self._rng.integers(len(values)))]

    def between(self, low: int, high: int) -> int:
        return int(self._rng.integers(low, high + 1))

    def maybe(self, chance: float) -> bool:
        return bool(self._rng.random() < chance)


def random_run(seed: int, index: int, paradigm: str | None = None) -> RunConfig:
    """The `index`-th run of `seed`, always the same; with `paradigm` mapped in that way."""
    dice = _Dice(stream(seed, "random runs", index))
    layers = dice.pick(1, 1, 1, 2, 2, 3, dice.pick(1, 7))  # the rule for repeated layers comes in at six
    model, chip = _model(dice, layers), _chip(dice)
    mapping = _mapping(dice, chip["cores"], layers)
    mapping["paradigm"] = paradigm or mapping["paradigm"]
    chip["lut_unit"], mapping["precompute"] = _lut(_Dice(stream(seed, "random LUT units", index)))
    if "moe" in model and mapping["paradigm"] == "dataflow":  # a pipeline needs equal layers
        del model["moe"]
    content = {
        "name": f"random-{seed}-{index}",
        "chip": chip,
        "model": model,
        "workload": _workload(dice, "moe" in model, mapping),
        "routing": {"law": dice.pick("uniform", "exponential_rank", "power_law")},
        "mapping": mapping,
        "engine": {"exact": dice.maybe(0.5)},
        "seed": dice.between(0, 1000),
    }
    return RunConfig.model_validate(content)


def _model(dice: _Dice, layers: int) -> dict[str, Any]:
    family = dice.pick("dense", "dense", "latent", "experts", "retnet", "mamba")
    hidden = 8 * dice.between(1, 12)
    ffn = _feed_forward(dice, hidden)
    model: dict[str, Any] = {
        "name": family, "source": "drawn", "layers": layers, "hidden": hidden, "vocab": dice.between(5, 300),
        "tied_embeddings": dice.maybe(0.3), "norm": dice.pick("rms", "layer"), "precision": _precision(dice),
        "post_norms": dice.maybe(0.2), "sub_norms": dice.maybe(0.2),
        "parallel_blocks": family == "dense" and dice.maybe(0.2),
    }  # fmt: skip
    if family == "mamba":
        inner = dice.between(3, 150)
        mamba = {
            "d_inner": inner,
            "d_state": dice.between(2, 16),
            "d_conv": dice.between(2, 4),
            "dt_rank": dice.between(1, 9),
        }
        return model | {"family": "mamba", "position": "none", "mamba": mamba}
    model |= {"ffn": ffn, "position": dice.pick("rope", "rope", "learned", "alibi", "none"), "max_context": 400}
    if family == "retnet":
        heads = dice.between(1, 5)
        retnet = {
            "heads": heads,
            "key_dim": 2 * dice.between(1, 9),
            "value_dim": dice.between(2, 30),
            "chunk": dice.pick(1, 4, 64),
        }
        return model | {"family": "retnet", "position": dice.pick("rope", "none"), "retnet": retnet}
    model["attention"] = _latent(dice) if family == "latent" else _attention(dice)
    if family == "experts":
        experts = dice.pick(2, 5, 16, 40)
        dense = dice.between(0, layers - 1)
        model["moe"] = {
            "experts": experts, "top_k": dice.between(1, min(4, experts)), "width": dice.between(3, 60),
            "gated": dice.maybe(0.7), "shared_experts": dice.pick(0, 0, 1, 2), "dense_layers": dense,
        }  # fmt: skip
    return model


def _feed_forward(dice: _Dice, hidden: int) -> dict[str, Any]:
    return {
        "width": dice.between(max(2, hidden // 2), 3 * hidden),
        "gated": dice.maybe(0.6),
        "function": dice.pick("silu", "gelu", "relu", "relu2"),
    }


def _attention(dice: _Dice) -> dict[str, Any]:
    kv_heads = dice.between(1, 4)
    return {
        "heads": kv_heads * dice.between(1, 4), "kv_heads": kv_heads, "head_dim": 2 * dice.between(1, 12),
        "qk_norm": dice.maybe(0.3), "window": dice.pick(None, None, dice.between(1, 60)),
    }  # fmt: skip


def _latent(dice: _Dice) -> dict[str, Any]:
    mla = {
        "q_lora_rank": dice.pick(0, 7, 16), "kv_lora_rank": dice.between(4, 40),
        "qk_nope_head_dim": dice.between(2, 16), "qk_rope_head_dim": 2 * dice.between(1, 6),
        "v_head_dim": dice.between(2, 16),
    }  # fmt: skip
    return {"heads": dice.between(1, 6), "mla": mla}


def _precision(dice: _Dice) -> dict[str, Any]:
    weights = dice.pick(16, 16, 8, 4, 3, 2, 1.58)
    stored = dice.pick(1.6, 2) if weights == 1.58 else weights
    return {
        "weight_bits": weights, "weight_storage_bits": stored, "activation_bits": dice.pick(16, 8),
        "residual_bits": dice.pick(16, 32), "kv_bits": dice.pick(16, 8, 4), "state_bits": dice.pick(16, 32, 8, 4),
        "embedding_bits": dice.pick(16, 8, 4), "head_bits": dice.pick(16, 8), "norm_bits": dice.pick(16, 32, 8, 4),
    }  # fmt: skip


def _chip(dice: _Dice) -> dict[str, Any]:
    rows, columns = dice.pick((1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 2), (4, 2), (1, 5), (3, 3), (4, 4))
    cores = rows * columns
    burst = dice.pick(32, 64, 96)
    row = burst * dice.pick(1, 2, 4, 8, 12)
    link = dice.pick(1, 4, 16, 32)
    port = dice.pick(8, 32, 64)
    t_rcd = dice.between(0, 20)
    return {
        "name": "drawn", "source": "drawn", "clock_ghz": dice.pick(0.7, 1.0, 1.6),
        "cores": {"rows": rows, "columns": columns},
        "matrix_unit": {
            "rows": dice.between(1, 16), "columns": dice.between(1, 16), "pipelined_folds": dice.maybe(0.5),
            "dataflow": dice.pick("output_stationary", "weight_stationary"),
        },
        "vector_unit": {
            "lanes": dice.between(1, 16), "startup_cycles": dice.between(0, 8), "exponential_cycles": dice.pick(1, 4),
        },
        "sram": {
            "capacity_kib": dice.pick(dice.pick(1, 2, 4), 8, 16, 64, 64, 256, 256),
            "read_bytes_per_cycle": port, "write_bytes_per_cycle": port // 2, "banks": 16, "bank_width_bytes": 16,
        },
        "dma": {"load_depth": dice.between(1, 5), "store_depth": dice.between(1, 3), "noc_depth": dice.between(1, 3)},
        "synchronisation": {"barrier_cycles": dice.pick(0, 32), "task_issue_cycles": dice.pick(0, 1, 10)},
        "dram": {
            "bandwidth_gb_per_s": cores * dice.pick(0.7, 3.0, 20.0, 100.0), "channels": dice.pick(None, None, 1),
            "banks_per_channel": dice.pick(1, 2, 5, 16), "row_bytes": row, "burst_bytes": burst,
            "capacity_gb": dice.pick(1, 1, 0.0004),
            "clock_ghz": dice.pick(0.5, 1.6), "t_cl": dice.between(1, 20), "t_rcd": t_rcd,
            "t_rp": dice.between(0, 20), "t_ras": t_rcd + dice.between(0, 25), "t_rrd": dice.between(0, 4),
            "t_faw": dice.between(4, 30),
            "refresh": dice.pick("none", "none", "all_bank"), "queue_requests": dice.pick(1, 4, 32),
            "turn_bytes": burst * dice.pick(1, 2, 3, 8, 64),
        },
        "noc": {
            "topology": dice.pick("mesh", "torus", "all_to_all"), "link_bytes_per_cycle": link,
            "hop_cycles": dice.between(1, 5), "start_cycles": dice.pick(None, 1, 30),
            "max_packet_bytes": dice.pick(16, 256, 4096),
        },
    }  # fmt: skip


def _lut(dice: _Dice) -> tuple[dict[str, Any] | None, str]:
    """The LUT unit of two runs in five, from a stream of its own, and where its tables are made."""
    unit = {
        "m": dice.between(1, 4), "n": dice.between(1, 20), "k": dice.between(1, 6), "arrays": dice.between(1, 5),
        "fill_cycles": dice.between(0, 3), "table_bits": dice.pick(8, 16), "register_kib": dice.pick(8.0, 64.0),
        "activation": dice.pick("int8", "fp16"),
    }  # fmt: skip
    precompute = dice.pick("fused", "separate")
    return (unit if dice.maybe(0.4) else None), precompute


def _workload(dice: _Dice, experts: bool, mapping: dict[str, Any]) -> dict[str, Any]:
    common = {
        "embedding": dice.maybe(0.8), "lm_head": dice.maybe(0.8), "kv_append": dice.maybe(0.9),
        "attention": dice.pick("fused", "fused", "unfused"),
    }  # fmt: skip
    least = mapping["stages"]
    match dice.pick("decode", "decode", "prefill", "mixed"):
        case "decode":
            return common | {"phase": "decode", "batch": least + dice.between(0, 9), "context": dice.between(1, 150)}
        case "prefill":
            batch = dice.pick(1, 1, least, least + 1)
            new = dice.between(least, 40)
            return common | {
                "phase": "prefill",
                "batch": batch,
                "new_tokens": new,
                "cached_tokens": dice.pick(0, 0, 17),
            }
        case _:
            count = least + dice.between(0, 4)
            parts = [{"new": dice.pick(1, 1, dice.between(1, 20)), "cached": dice.between(0, 90)} for _ in range(count)]
            return common | {"phase": "mixed", "requests": parts}


def _mapping(dice: _Dice, cores: dict[str, int], layers: int) -> dict[str, Any]:
    stages = [s for s in (1, 2, 3) if layers % s == 0 and (cores["rows"] % s == 0 or cores["columns"] % s == 0)]
    return {
        "paradigm": dice.pick("compute_shift", "compute_shift", "spmd", "dataflow"),
        "placement": dice.pick("dimension_ordered", "sequential"),
        "banks": dice.pick("software_aware", "interleaved", "uniform"),
        "stages": dice.pick(*stages), "weight_sharers": dice.pick(None, None, 1, 2),
        "tile_kib": dice.pick(1, 4, 128), "partial_sum_bits": dice.pick(16, 32),
    }  # fmt: skip
