"""The shipped models by the names that reference files give them."""

from __future__ import annotations

import re

from cairn.sim.config.problems import validate
from cairn.sim.config.resolve import MODEL, RUN, load_document, shipped
from cairn.workloads.architecture import ModelSpec


def plain_name(name: str) -> str:
    """`Llama-2-7B` and `llama2_7b` alike; what stands in parentheses is an alias of the same size."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"\(.*\)", "", name).lower())


def shipped_models() -> dict[str, ModelSpec]:
    """The shipped models by plain name and by plain file name."""
    found: dict[str, ModelSpec] = {}
    for name in shipped(MODEL):
        model = validate(load_document(name, MODEL), ModelSpec, MODEL.references)
        found[plain_name(model.name)] = found[plain_name(name)] = model
    return found


def shipped_model_name(name: str) -> str | None:
    """The shipped name (as in a run file) of the model that a reference file calls `name`, or None."""
    return {plain_name(stem): stem for stem in shipped(MODEL)}.get(plain_name(name))


def shipped_runs() -> list[str]:
    """Names of the shipped runs."""
    return sorted(shipped(RUN))
