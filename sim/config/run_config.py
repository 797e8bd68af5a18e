"""The configuration of a run: everything it depends on, validated, frozen and named by a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import model_validator

from cairn.base.errors import ConfigError
from cairn.base.spec import Spec, required, sourced
from cairn.hw_models.chip import ChipSpec
from cairn.sim.config.document import Document
from cairn.sim.config.problems import refuse_renamed, validate
from cairn.sim.config.resolve import RUN, load_document, override
from cairn.sim.mapping.options import MappingSpec
from cairn.workloads.architecture import ModelSpec
from cairn.workloads.routing import RoutingSpec
from cairn.workloads.routing_trace import read_trace
from cairn.workloads.step import WorkloadSpec

SCHEMA: Final = "cairn.run/1"

RENAMED: Final[Mapping[str, str]] = {}
"""Former key paths of a run and what they are called now; nothing has been renamed yet."""


class Engine(StrEnum):
    """Two loops with one meaning: the compiled one, and the readable one on SimPy that it is compared with."""

    COMPILED = "compiled"
    REFERENCE = "reference"


class DramFidelity(StrEnum):
    """CYCLE: banks, open rows and timing constraints, command by command."""

    CYCLE = "cycle"


class NocFidelity(StrEnum):
    """PACKET: packets reserve the links of their route, hop by hop in time order. FLIT: routers with virtual channels
    and credits, flit by flit, some hundred times slower."""

    PACKET = "packet"
    FLIT = "flit"


class ProductFidelity(StrEnum):
    """FULL: every pass, tile and step of a ring is a task. MERGED: what is alike is one task where a product has very
    many, for searches (`cairn.sim.mapping.schedule`)."""

    FULL = "full"
    MERGED = "merged"


class EngineSpec(Spec):
    """How the plan is run. `exact` simulates every repeated block; otherwise blocks repeat once they are steady."""

    engine: Engine = sourced(Engine.COMPILED, "docs/architecture.md: both engines give the same trace")
    exact: bool = sourced(False, "docs/architecture.md, repetition")
    tolerance: float = sourced(
        2e-3, "assumed: of the time of the repeated blocks; far below every model error", gt=0, le=0.1
    )
    max_simulated_blocks: int = sourced(
        21, "assumed: 16 periods; over that many refreshes, banks and buffers average out", ge=7, le=100_000
    )


class FidelitySpec(Spec):
    """How detailed each kind of component is modelled."""

    dram: DramFidelity = sourced(DramFidelity.CYCLE, "the most detailed model there is")
    noc: NocFidelity = sourced(
        NocFidelity.PACKET, "suite packets: within 10 % of flits up to half of saturation, where chips should run"
    )
    products: ProductFidelity = sourced(ProductFidelity.FULL, "the most detailed model there is")

    @property
    def merged(self) -> bool:
        return self.products is ProductFidelity.MERGED

    @property
    def flits(self) -> bool:
        return self.noc is NocFidelity.FLIT


class RunConfig(Spec):
    """One run: a step of a model on a chip. Built by `load`, or from its parts in Python."""

    schema_id: Literal["cairn.run/1"] = sourced(SCHEMA, "this project: names the format", alias="schema")
    name: str = required(min_length=1, max_length=200)
    chip: ChipSpec = required()
    model: ModelSpec = required()
    workload: WorkloadSpec = required()
    routing: RoutingSpec = sourced(RoutingSpec(), "its own defaults")
    mapping: MappingSpec = sourced(MappingSpec(), "its own defaults")
    engine: EngineSpec = sourced(EngineSpec(), "its own defaults")
    fidelity: FidelitySpec = sourced(FidelitySpec(), "its own defaults")
    seed: int = sourced(0, "assumed: any number serves; it names the random streams", ge=0, lt=1 << 63)

    @model_validator(mode="after")
    def _network_has_flits(self) -> RunConfig:
        misfit = self.chip.noc.flit_misfit() if self.fidelity.flits else None
        if misfit is not None:
            raise ValueError(misfit)
        return self


def load(path_or_name: str | Path, overrides: Iterable[str] = (), *, renamed: Mapping[str, str] = RENAMED) -> RunConfig:
    """The run that a file or a shipped name describes, complete.

    `overrides` are `key.path=value` texts, laid over it in order. Raises ConfigError, one message with every mistake:
    file, line, key path, what is wrong, what is allowed.
    """
    document = load_document(path_or_name, RUN)
    for setting in overrides:
        document = override(document, setting, RUN)
    return complete(document, renamed=renamed)


def complete(document: Document, *, renamed: Mapping[str, str] = RENAMED) -> RunConfig:
    """The run that a resolved document (`load_document`, `override`) describes; ConfigError as in `load`."""
    refuse_renamed(document, renamed)
    config = validate(document, RunConfig, RUN.references)
    if config.routing.trace is not None:
        _check_trace(config, document)
    return config


def _check_trace(config: RunConfig, document: Document) -> None:
    """A recorded routing trace must be there and fit the model before anything runs."""
    key = ("routing", "trace")
    if config.model.moe is None:
        raise document.error(key, f"has no meaning: {config.model.name} has no experts; leave it out")
    try:
        read_trace(str(config.routing.trace), config.model.moe.experts)
    except ConfigError as trouble:
        raise document.error(key, str(trouble)) from None


def resolved(config: RunConfig) -> dict[str, Any]:
    """The fully resolved content, defaults included, as plain data: what `load` reads back as an equal config."""
    return config.model_dump(mode="json", by_alias=True)


def run_content(config: RunConfig) -> dict[str, Any]:
    """The resolved content of a run, with a digest in place of the path of a routing trace. OSError when that has
    vanished since `load`."""
    content = resolved(config)
    if config.routing.trace is not None:
        content["routing"]["trace"] = hashlib.sha256(Path(config.routing.trace).read_bytes()).hexdigest()
    return content


def run_hash(config: RunConfig) -> str:
    """The 12 hexadecimal digits that name a run: sha256 of its resolved content as canonical JSON.

    A routing trace counts with its content, not with its path. OSError when it has vanished since `load`.
    """
    content = run_content(config)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
