"""The base of every specification: frozen, validated, with the source of each default beside it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Spec(BaseModel):
    """Frozen parameters of one thing. Unknown keys, NaN and infinities are errors; units are in the names."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


def sourced(default: Any, source: str, **constraints: Any) -> Any:
    """A field with `default`, its `source` (or `assumed: why`), and pydantic constraints such as `gt=0`."""
    return Field(default, json_schema_extra={"source": source}, **constraints)


def required(source: str = "given by the configuration", **constraints: Any) -> Any:
    """A field without a default, with pydantic constraints such as `gt=0`."""
    return Field(json_schema_extra={"source": source}, **constraints)


def source_of(spec: type[Spec], field: str) -> str | None:
    """The source stated for the default of `field`, or None when none was stated."""
    extra = spec.model_fields[field].json_schema_extra
    return str(extra["source"]) if isinstance(extra, dict) and "source" in extra else None
