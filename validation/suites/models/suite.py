"""Sizes of models: parameters and cache bytes per token, against a table of published shapes."""

from __future__ import annotations

from collections.abc import Iterator

from cairn.base.errors import ConfigError
from cairn.validation.reference import Record, ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.shipped import plain_name, shipped_models
from cairn.validation.suites.models.shapes import architecture
from cairn.workloads.architecture import ModelSpec
from cairn.workloads.parameters import count_parameters, kv_bytes_per_token

FILE = "models.yaml"
BILLION = 1e9
DERIVED_DECIMALS = 2
"""The derived columns are printed to two decimals; YAML drops a trailing zero (46.70 reads 46.7)."""


def predict(reference: ReferenceDir, run_all: bool) -> list[Row]:
    """A row for each count of each model of the table, from its shipped configuration and from its shape."""
    file, models = str(reference.path(FILE)), reference.yaml(FILE).get("models")
    if not isinstance(models, dict):
        raise ConfigError("a mapping of models belongs here", file=file, key="models")
    configurations = shipped_models()
    rows: list[Row] = []
    for name, values in models.items():
        if not isinstance(values, dict):
            raise ConfigError("a mapping of sizes belongs here", file=file, key=f"models.{name}")
        shape = Record(values, f"{file} models.{name}")
        rows += _rows(f"{name}/shape", "from the shape", architecture(str(name), shape), shape)
        configuration = configurations.get(plain_name(str(name)))
        if configuration is not None:
            rows += _rows(f"{name}/shipped", "shipped configuration", configuration, shape)
        elif reference.given is None:
            rows.append(_not_shipped(str(name), shape))
    return rows


def _rows(stem: str, kind: str, model: ModelSpec, shape: Record) -> Iterator[Row]:
    count, source = count_parameters(model), shape.text("source")
    predictions = {
        "derived_params_B": ("parameters", count.matrices, ("parameters", "printed_digits")),
        "derived_active_params_B": ("active", count.active, ("parameters", "printed_digits")),
        "published_params_B": ("published", count.matrices, ("published",)),
        "published_active_B": ("published_active", count.active, ()),
    }
    for column, (what, prediction, gates) in predictions.items():
        if column in shape.values:
            reference = shape.number(column)
            decimals = DERIVED_DECIMALS if column.startswith("derived") else _decimals(shape.text(column))
            yield Row(
                id=f"{stem}/{what}",
                kind=f"{what}, {kind}",
                reference=reference,
                prediction=prediction / BILLION,
                unit="billion",
                source=f"reference/{FILE} ({source})",
                counts=gates,
                excluded={} if gates else {"published": "the published count leaves parameters out that this counts"},
                resolution=0.5 * 10.0**-decimals,
            )
    if "kind" not in shape.values:
        yield Row(
            id=f"{stem}/kv_bytes_per_token",
            kind=f"kv_bytes_per_token, {kind}",
            reference=_kv_bytes(shape, model.precision.kv_bits),
            prediction=kv_bytes_per_token(model),
            unit="bytes",
            source=f"reference/{FILE} (kv_bytes_per_token.formula on the shape of {source})",
            counts=("kv_bytes_per_token",),
        )


def _kv_bytes(shape: Record, bits: float) -> float:
    """The table's formula: 2 layers kv_heads head_dim bytes; MLA: layers (kv_lora_rank + qk_rope_head_dim) bytes."""
    if (mla := shape.values.get("mla")) is not None:
        latent = Record(mla, f"{shape.file}.mla")
        return (
            shape.integer("layers") * (latent.integer("kv_lora_rank") + latent.integer("qk_rope_head_dim")) * bits / 8
        )
    return 2 * shape.integer("layers") * shape.integer("kv_heads") * shape.integer("head_dim") * bits / 8


def _decimals(printed: str) -> int:
    return len(printed.partition(".")[2])


def _not_shipped(name: str, shape: Record) -> Row:
    return Row(
        id=f"{name}/shipped/parameters",
        kind="parameters, shipped configuration",
        reference=shape.number("derived_params_B"),
        prediction=None,
        unit="billion",
        source=f"reference/{FILE} ({shape.text('source')})",
        counts=("parameters",),
        remark="No configuration of this name is shipped.",
    )
