"""Nothing is lost or made up: what a run's servers counted, what its plan asks for, and what its graph needs."""

from __future__ import annotations

from collections.abc import Iterator

from cairn.base.errors import InfeasibleError
from cairn.sim.config.run_config import load
from cairn.sim.record import RunRecord
from cairn.validation.reference import ReferenceDir
from cairn.validation.rows import Row
from cairn.validation.shipped import shipped_runs
from cairn.validation.suites.conservation.ledger import (
    matrix_operations,
    other_bytes,
    plan_against_graph,
    trace_against_plan,
    vector_operations,
)
from cairn.validation.suites.light.random_runs import random_run

LONG = ("llama-2-13b-prefill", "llama-2-13b-prefill-paper", "llama-3-70b-decode", "mixtral-8x7b-decode")
"""Shipped runs that take tens of seconds: with `run_all` only."""
SEED = 2
QUICK, ALL = 100, 1000
"""Random small runs without and with `run_all`."""

NAMED_CAUSES = ("reread", "duplicate", "spill", "padding")
"""Causes that have a row even when nothing stands under them."""
UNITS = {"noc_transfers": "transfers", "tasks": "tasks"}


def predict(reference: ReferenceDir, run_all: bool) -> Iterator[Row]:
    """Rows of every shipped run, then of random small ones."""
    from cairn.sim.run import simulate

    for name in shipped_runs():
        if run_all or name not in LONG:
            yield from rows_of(name, simulate(load(name)))
    for index in range(ALL if run_all else QUICK):
        config = random_run(SEED, index)
        try:
            record = simulate(config)
        except InfeasibleError:
            continue
        yield from differences(config.name, record)


def rows_of(name: str, record: RunRecord) -> Iterator[Row]:
    """What must agree, then what is reported: bytes by cause, operations executed and required."""
    yield from differences(name, record)
    graph = record.graph.totals()
    for cause, count in other_bytes(record).items():
        if not count and cause not in NAMED_CAUSES:
            continue
        yield Row(
            f"{name}/bytes/{cause}", "bytes beyond the graph's", float(graph["read_bytes"] + graph["written_bytes"]),
            float(count), "bytes", "the graph's bytes, read and written", ("never_negative",),
        )  # fmt: skip
    matrix, vector = matrix_operations(record), vector_operations(record)
    yield Row(
        f"{name}/operations/matrix", "matrix operations", float(matrix.required.sum()), float(matrix.executed.sum()),
        "operations", "the graph's matrix operations", ("never_less",),
    )  # fmt: skip
    yield Row(
        f"{name}/operations/vector", "vector operations", float(vector.required.sum()), float(vector.executed.sum()),
        "operations", "the graph's vector operations, in steps of textbook formulas",
        excluded={"never_less": "the unit counts its own operations: a sigmoid is one, three in the textbook"},
    )  # fmt: skip


def differences(name: str, record: RunRecord) -> Iterator[Row]:
    """A row for each quantity that is counted twice: its sum, and by how much its parts differ."""
    pairs = {("trace", what): pair for what, pair in trace_against_plan(record).items()}
    pairs |= {("graph", what): pair for what, pair in plan_against_graph(record).items()}
    matrix = matrix_operations(record)
    short = int((-matrix.beyond).clip(min=0).sum())
    for (side, what), pair in pairs.items():
        total = int(pair.expected.sum())
        yield Row(
            f"{name}/{side}/{what}", f"{side}, {what}", float(total), float(total + pair.difference),
            UNITS.get(what, "bytes"), "the plan's requests" if side == "trace" else "the operator graph", (side,),
        )  # fmt: skip
    yield Row(
        f"{name}/graph/matrix_operations", "graph, matrix operations missing", 0.0, float(short), "operations",
        "the operator graph, operator by operator", ("graph",),
    )  # fmt: skip
    if record.graph.phase == "decode" and not _masks(record):
        beyond = int(matrix.beyond.sum())
        yield Row(
            f"{name}/graph/decode_operations", "graph, matrix operations beyond in decode", 0.0, float(beyond),
            "operations", "the operator graph: without a mask nothing is computed in vain", ("graph",),
        )  # fmt: skip


def _masks(record: RunRecord) -> bool:
    """Whether an operator works on masked pairs even with one new token a request: retention in chunks."""
    return any(
        operator.recurrence is not None and operator.recurrence.chunk > 1
        for segment in record.graph.segments
        for operator in segment.block.operators
    )
