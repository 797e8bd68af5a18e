"""A decode step on AttAcc, CENT or PIM-GPT as data (schema `cairn.pim_system/1`, configs/pim)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field

from cairn.base.errors import ConfigError
from cairn.base.registry import nearest_hint
from cairn.base.spec import Spec, required, sourced
from cairn.sim.config.problems import validate
from cairn.sim.config.resolve import PIM_SYSTEM, load_document, override
from cairn.sim.pim.attacc_run import AttaccRunSpec, attacc_times
from cairn.sim.pim.cent_run import CentRunSpec, cent_time
from cairn.sim.pim.outcome import SystemTime
from cairn.sim.pim.pim_gpt import PimGptSpec, pim_gpt_time
from cairn.workloads.architecture import ModelSpec
from cairn.workloads.build import build_graph
from cairn.workloads.graph import OperatorGraph
from cairn.workloads.routing import RoutingSpec
from cairn.workloads.step import MAX_CONTEXT, MAX_TOKENS, Phase, WorkloadSpec

SCHEMA: Final = "cairn.pim_system/1"
PimMachine = Annotated[AttaccRunSpec | CentRunSpec | PimGptSpec, Field(discriminator="kind")]


class Published(Spec):
    """A figure of a publication, or of its authors' simulator: `figure` is a column of the totals, `system` the row. It
    is set beside the run's own where all keys of `at`, such as machine.placement, have the values given."""

    figure: str = required(min_length=1, max_length=100)
    system: str = sourced("", "assumed: that of the last row, which is with PIM", max_length=100)
    value: float = required()
    at: dict[str, int | float | str | bool] = required("what the figure holds for")
    source: str = required(min_length=1, max_length=500)


class PimSystemSpec(Spec):
    """A decode step of `batch` requests over `context` keys each, the new token's included. `embedding` and `lm_head`
    say whether these are part of it (CENT: LM head always, embedding never)."""

    schema_id: Literal["cairn.pim_system/1"] = sourced(SCHEMA, "this project: names the format", alias="schema")
    name: str = required(min_length=1, max_length=200)
    model: ModelSpec = required()
    batch: int = required(ge=1, le=MAX_TOKENS)
    context: int = required(ge=1, le=MAX_CONTEXT)
    embedding: bool = sourced(True, "assumed: a whole step")
    lm_head: bool = sourced(True, "assumed: a whole step")
    machine: PimMachine = required()
    published: tuple[Published, ...] = sourced((), "none unless the file has some")

    def graph(self) -> OperatorGraph:
        """The operators of the step."""
        step = {
            "phase": Phase.DECODE, "batch": self.batch, "context": self.context, "embedding": self.embedding,
            "lm_head": self.lm_head,
        }  # fmt: skip
        return build_graph(self.model, WorkloadSpec.model_validate(step), RoutingSpec(), 0)

    def comparable(self) -> list[Published]:
        """Published figures whose conditions this run has; ConfigError for a condition on a setting that it has not."""
        settings = _flat(self.model_dump(mode="json", by_alias=True, exclude={"published"}))
        for key in sorted({key for each in self.published for key in each.at} - set(settings)):
            raise ConfigError(f"the run has no setting {key!r}{nearest_hint(key, settings)}", key="published.at")
        return [each for each in self.published if all(settings.get(key) == value for key, value in each.at.items())]

    def run(self) -> tuple[SystemTime, ...]:
        """The step without PIM, where the system can do without, then with it. ConfigError for operators or shapes
        that the system does not know, InfeasibleError when its memory is too small."""
        if isinstance(self.machine, CentRunSpec):
            return (cent_time(self.machine, self.model, self.batch, self.context),)
        graph = self.graph()
        if isinstance(self.machine, PimGptSpec):
            return (pim_gpt_time(self.machine, graph),)
        self.machine.check_memory(graph)
        return attacc_times(self.machine, graph)


def load_pim_system(path_or_name: str | Path, overrides: Iterable[str] = ()) -> PimSystemSpec:
    """The run that a file or a shipped name describes; ConfigError with every mistake in it."""
    document = load_document(path_or_name, PIM_SYSTEM)
    for setting in overrides:
        document = override(document, setting, PIM_SYSTEM)
    return validate(document, PimSystemSpec, PIM_SYSTEM.references)


def _flat(settings: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Values by key path."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        found |= _flat(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
    return found
