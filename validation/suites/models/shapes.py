"""Architectures from the shape columns of a table of models (`models.yaml`)."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from cairn.base.errors import ConfigError
from cairn.validation.reference import Record
from cairn.workloads.architecture import ModelSpec


def architecture(name: str, shape: Record) -> ModelSpec:
    """The model that the columns of `shape` describe, as far as its parameters and caches depend on them.

    Positions are left out, for the table counts matrices alone. ConfigError when the shape is impossible.
    """
    values = shape.values
    common: dict[str, Any] = {
        "name": name,
        "source": str(values.get("source") or "not given"),
        "layers": shape.integer("layers"),
        "hidden": shape.integer("hidden"),
        "vocab": shape.integer("vocab"),
        "tied_embeddings": bool(values.get("tied_embeddings", False)),
        "position": "none",
    }
    match values.get("kind"):
        case "mamba":
            parts = _mamba(shape)
        case "retnet":
            parts = {"family": "retnet", "retnet": _retnet(shape), "ffn": _ffn(shape)}
        case None:
            parts = {"attention": _attention(shape), **_feed_forward(shape)}
        case other:
            raise ConfigError(f"no kind of model is called {other!r}", file=shape.file, key=f"models.{name}.kind")
    try:
        return ModelSpec.model_validate(common | parts)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(["models", name, *map(str, first["loc"])])
        raise ConfigError(first["msg"], file=shape.file, key=key) from None


def _attention(shape: Record) -> dict[str, Any]:
    if (mla := shape.values.get("mla")) is not None:
        return {"heads": shape.integer("heads"), "mla": mla}
    return {name: shape.integer(name) for name in ("heads", "kv_heads", "head_dim")}


def _ffn(shape: Record) -> dict[str, Any]:
    return {"width": shape.integer("ffn"), "gated": bool(shape.values.get("gated_mlp", True))}


def _feed_forward(shape: Record) -> dict[str, Any]:
    if "experts" not in shape.values:
        return {"ffn": _ffn(shape)}
    dense = shape.integer("dense_layers") if "dense_layers" in shape.values else 0
    moe = {
        "experts": shape.integer("experts"),
        "top_k": shape.integer("top_k"),
        "width": shape.integer("moe_ffn" if "moe_ffn" in shape.values else "ffn"),
        "gated": bool(shape.values.get("gated_mlp", True)),
        "shared_experts": shape.integer("shared_experts") if "shared_experts" in shape.values else 0,
        "dense_layers": dense,
    }
    return {"moe": moe, "ffn": _ffn(shape)} if dense else {"moe": moe}


def _retnet(shape: Record) -> dict[str, Any]:
    return {
        "heads": shape.integer("heads"),
        "key_dim": shape.integer("head_dim"),
        "value_dim": shape.integer("value_head_dim"),
    }


def _mamba(shape: Record) -> dict[str, Any]:
    sizes = {name: shape.integer(name) for name in ("d_inner", "d_state", "d_conv", "dt_rank")}
    return {"family": "mamba", "mamba": sizes}
