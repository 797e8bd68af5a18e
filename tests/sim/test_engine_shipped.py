"""Both engines give the same trace, to the tick, on one layer of every shipped run."""

from __future__ import annotations

import numpy as np
import pytest

from cairn.sim.config.resolve import RUN, shipped
from cairn.sim.config.run_config import Engine, load
from cairn.sim.mapping.options import Paradigm
from cairn.sim.mapping.sequence import pipelined, straight
from cairn.sim.run import run_plan
from cairn.workloads.build import build_graph

ONE_LAYER = ("model.layers=1", "workload.embedding=false", "workload.lm_head=false")


def _same_trace(name: str, *settings: str) -> None:
    config = load(name, settings)
    graph = build_graph(config.model, config.workload, config.routing, config.seed)
    write = pipelined if config.mapping.paradigm is Paradigm.DATAFLOW else straight
    plan = write(config, graph, 1)[1].build()
    compiled, reference = (run_plan(plan, config.chip, engine) for engine in (Engine.COMPILED, Engine.REFERENCE))
    for part in ("start", "first", "end"):
        np.testing.assert_array_equal(getattr(compiled, part), getattr(reference, part))
    for one, other in zip(compiled.states, reference.states, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", sorted(shipped(RUN)))
def test_both_engines_give_the_same_trace_on_one_layer(name: str) -> None:
    _same_trace(name, *ONE_LAYER)


@pytest.mark.parametrize("paradigm", ["spmd", "dataflow"])
def test_both_engines_give_the_same_trace_in_the_other_paradigms(paradigm: str) -> None:
    _same_trace("demo", "model.layers=4", "workload.lm_head=false", f"mapping.paradigm={paradigm}")
