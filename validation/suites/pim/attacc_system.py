"""AttAcc: decode of whole models on GPUs with and without its stacks, against its authors' simulator."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from cairn.base.errors import CairnError, ConfigError
from cairn.hw_models.pim.attacc import AttaccSpec, Placement
from cairn.sim.pim.attacc import H100, AttaccSystem, GpuSpec, LayerTime, system_time
from cairn.validation.reference import Record, ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.shipped import plain_name, shipped_models
from cairn.workloads.build import build_graph
from cairn.workloads.graph import OperatorGraph
from cairn.workloads.routing import RoutingSpec
from cairn.workloads.step import Phase, WorkloadSpec

RUNS: Final = "pim/attacc_system.csv"
ID: Final = re.compile(
    r"attacc\.sys\.([\w-]+)\.(A100a|H100)\.(\d+)\.([\w-]+)\.b(\d+)(?:\.(bank|bg|buffer))?(\.opt)?\.lat"
)
GPUS: Final = {"A100a": GpuSpec(), "H100": H100}
PLACEMENTS: Final = {"bank": Placement.BANK, "bg": Placement.BANK_GROUP, "buffer": Placement.BUFFER}
NAMES: Final = {"GPT-175B": "gpt3175b"}
LENGTHS: Final = re.compile(r"Lin (\d+), Lout (\d+)")


def rows(reference: ReferenceDir) -> Iterator[Row]:
    """Milliseconds of a token, and the time without stacks over that with them where both were run."""
    if reference.optional(RUNS) is None:
        return
    found: dict[tuple[str, ...], tuple[Record, LayerTime | None, str]] = {}
    for record in reference.csv(RUNS):
        if (match := ID.fullmatch(record.text("id"))) is None:
            continue
        step, remark = _step(record, match)
        found[tuple(group or "" for group in match.groups())] = record, step, remark
        yield Row(
            record.text("id"), "AttAcc system, latency", record.number("value"),
            None if step is None else step.seconds * 1e3, "ms", RUNS, ("attacc_system",) if step else (),
            resolution=0.005, remark=remark,
        )  # fmt: skip
    for key, (record, step, _) in found.items():
        alone = found.get(("dgx", *key[1:5], "", ""))
        if key[0] == "dgx" or alone is None or step is None or alone[1] is None:
            continue
        yield Row(
            record.text("id").replace(".lat", ".speedup"), "AttAcc system, speed-up",
            alone[0].number("value") / record.number("value"), alone[1].seconds / step.seconds, "x", RUNS,
            ("attacc_speedup",),
        )  # fmt: skip


@cache
def graph(name: str, batch: int, context: int) -> OperatorGraph:
    """Layers of a model, without embedding and LM head, which the reference leaves out."""
    model = shipped_models().get(NAMES.get(name, plain_name(name)))
    if model is None:
        raise ConfigError(f"no model called {name} is shipped", key="model")
    step = {"phase": Phase.DECODE, "batch": batch, "context": context, "embedding": False, "lm_head": False}
    return build_graph(model, WorkloadSpec.model_validate(step), RoutingSpec(), 0)


def _step(record: Record, match: re.Match[str]) -> tuple[LayerTime | None, str]:
    """The mean step: a context in the middle of the tokens made."""
    kind, gpu, devices, model, batch, placement, opt = match.groups()
    if kind == "dgx-cpu":
        return None, "A CPU's memory is not modelled."
    lengths = LENGTHS.search(record.text("conditions"))
    if lengths is None:
        message = "the conditions say Lin and Lout"
        raise ConfigError(message, file=record.file, line=record.line, key="conditions")
    stack = AttaccSpec() if kind == "dgx-attacc" else None
    system = AttaccSystem(
        GPUS[gpu], int(devices), stack, PLACEMENTS.get(placement or "bank", Placement.BANK),
        power_limit="--powerlimit" in record.text("conditions"), pipelined=bool(opt), shared_ffn=bool(opt),
    )  # fmt: skip
    try:
        return system_time(system, graph(model, int(batch), int(lengths[1]) + int(lengths[2]) // 2)), ""
    except CairnError as refused:
        return None, f"refused: {refused}"
