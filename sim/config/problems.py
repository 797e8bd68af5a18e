"""Turns what pydantic found wrong into messages for people: file, line, key path, value, rule and what is allowed."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cairn.base.errors import CairnError, ConfigError, InfeasibleError
from cairn.base.registry import nearest_hint
from cairn.base.spec import Spec
from cairn.sim.config.document import Document, KeyPath, quoted

MAX_SHOWN: Final = 10
"""Errors told at once; more would hide the first ones."""

S = TypeVar("S", bound=Spec)

_RULES: Final[Mapping[str, str]] = {
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "int_from_float": "must be an integer",
    "int_parsing_size": "must be an integer of a possible size",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "none_required": "must be null",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "set_type": "must be a list",
    "frozen_set_type": "must be a list",
    "dict_type": "must be a map",
    "mapping_type": "must be a map",
    "model_type": "must be a map",
    "model_attributes_type": "must be a map",
    "path_type": "must be a path",
    "greater_than": "must be > {gt:.12g}",
    "greater_than_equal": "must be >= {ge:.12g}",
    "less_than": "must be < {lt:.12g}",
    "less_than_equal": "must be <= {le:.12g}",
    "multiple_of": "must be a multiple of {multiple_of:.12g}",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
}
_CHOICES: Final = ("enum", "literal_error")


def validate(document: Document, spec: type[S], named: Collection[str] = ()) -> S:
    """`document` as a `spec`; ConfigError with every mistake in it. Keys in `named` may also hold a name or a path."""
    try:
        return spec.model_validate_json(json.dumps(document.data), strict=True)
    except ValidationError as trouble:
        raise _translated(trouble, document, spec, named) from None
    except (ConfigError, InfeasibleError):
        raise
    except CairnError as trouble:
        raise ConfigError(str(trouble), file=document.file) from None


def refuse_renamed(document: Document, renamed: Mapping[str, str]) -> None:
    """ConfigError when a key stands under a former name; `renamed` maps former key paths to present ones."""
    for old, new in renamed.items():
        path = tuple(old.split("."))
        value: Any = document.data
        for key in path:
            if not isinstance(value, dict) or key not in value:
                break
            value = value[key]
        else:
            raise document.error(path, f"is called {new!r} now")


def _translated(trouble: ValidationError, document: Document, spec: type[Spec], named: Collection[str]) -> ConfigError:
    found: dict[KeyPath, list[str]] = {}
    values: dict[KeyPath, str] = {}
    for error in trouble.errors(include_url=False):
        path, written = _path_in(document, error)
        rule, tells_value = _rule(error, spec)
        if len(path) == 1 and path[0] in named and error["type"] in ("model_type", "dict_type"):
            rule = "must be a shipped name, a path or a map"
        rules = found.setdefault(path, [])
        if rule not in rules:
            rules.append(rule)
        if written and not tells_value:
            values[path] = f", got {quoted(error['input'])}"
    errors = [document.error(path, _joined(rules) + values.get(path, "")) for path, rules in found.items()]
    if len(errors) == 1:
        return errors[0]
    lines = [f"  {error}" for error in errors[:MAX_SHOWN]]
    if len(errors) > MAX_SHOWN:
        lines.append(f"  ... and {len(errors) - MAX_SHOWN} more")
    return ConfigError("\n".join([f"{len(errors)} mistakes", *lines]), file=document.file)


def _joined(rules: list[str]) -> str:
    """Alternatives of a union in one sentence."""
    must = "must be "
    if all(rule.startswith(must) for rule in rules):
        return must + " or ".join(rule.removeprefix(must) for rule in rules)
    return "; or ".join(rules)


def _path_in(document: Document, error: ErrorDetails) -> tuple[KeyPath, bool]:
    """The key path in the document that pydantic's location means, and whether something was written there.

    A location also names the members of unions it tried; those are no keys and fall out.
    """
    location = error["loc"]
    if error["type"].startswith("union_tag"):
        location = (*location, error["ctx"]["discriminator"].strip("'"))
    path: list[str | int] = []
    inside: Any = document.data
    for key in location:
        known = (isinstance(inside, dict) and key in inside) or (
            isinstance(inside, list) and isinstance(key, int) and key < len(inside)
        )
        if known:
            path.append(key)
            inside = inside[key]
    if error["type"] in ("missing", "union_tag_not_found"):
        return (*path, location[-1]), False
    return tuple(path), not isinstance(inside, dict) or error["type"] in _RULES


def _rule(error: ErrorDetails, spec: type[Spec]) -> tuple[str, bool]:
    """What was broken, in words, and whether they already tell the value."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in ("missing", "union_tag_not_found"):
        return "is missing", True
    if kind == "extra_forbidden":
        return f"is not a known key{nearest_hint(str(error['loc'][-1]), _keys_at(spec, error['loc'][:-1]))}", True
    if kind in _CHOICES:
        choices = re.findall(r"'([^']*)'", context["expected"]) or [context["expected"]]
        word = error["input"][:80] if isinstance(error["input"], str) else ""
        return f"is {quoted(error['input'])}{nearest_hint(word, choices)}", True
    if kind == "union_tag_invalid":
        choices = re.findall(r"'([^']*)'", context["expected_tags"])
        return f"is {quoted(context['tag'])}{nearest_hint(context['tag'][:80], choices)}", True
    if kind in _RULES:
        return _RULES[kind].format(**context).replace(" 1 entries", " 1 entry").replace(
            " 1 characters", " 1 character"
        ), False
    if kind in ("value_error", "assertion_error"):
        return str(context["error"]) or "is not allowed", not error["loc"]
    return error["msg"][:1].lower() + error["msg"][1:], False


def _keys_at(spec: type[Spec], location: Sequence[str | int]) -> list[str]:
    """The keys that the map at a location may have; a location also names the members of unions it went through."""
    models: list[type[BaseModel]] = [spec]
    for key in location:
        annotations = [info.annotation for model in models for name, info in _fields(model) if name == key]
        if annotations:
            models = [found for annotation in annotations for found in _models_in(annotation)]
        else:
            models = [model for model in models if _is_member(model, key)] or models
    return [name for model in models for name, _ in _fields(model)]


def _is_member(model: type[BaseModel], tag: str | int) -> bool:
    """Whether `tag` is how pydantic calls `model` in a union: by its class, or by the literal that discriminates it."""
    return tag == model.__name__ or any(tag in get_args(info.annotation) for _, info in _fields(model))


def _fields(model: type[BaseModel]) -> Iterable[tuple[str, Any]]:
    return [(info.alias or name, info) for name, info in model.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Every model class in an annotation: itself, or inside a union, a list, a tuple, a map."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for inner in get_args(annotation) for found in _models_in(inner)]
