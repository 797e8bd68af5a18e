"""The plain roofline: what a step would take if nothing but peak rates mattered. A baseline, not Cairn's twin."""

from __future__ import annotations

from dataclasses import dataclass

from cairn.workloads.graph import Operator, OperatorGraph


@dataclass(frozen=True)
class PeakRates:
    """Peak rates of a whole chip, all positive: bytes/s of memory, operations/s (2 per multiply-add) of each unit."""

    memory_bytes_per_s: float
    matrix_ops_per_s: float
    vector_ops_per_s: float


def operator_seconds(op: Operator, rates: PeakRates) -> float:
    """The longest of an operator's memory bytes and operations at peak rates, in seconds."""
    moved = sum(count for _, count in op.reads) + sum(count for _, count in op.writes)
    return max(
        moved / rates.memory_bytes_per_s,
        op.matrix_ops / rates.matrix_ops_per_s,
        op.vector_ops / rates.vector_ops_per_s,
    )


def step_seconds(graph: OperatorGraph, rates: PeakRates) -> float:
    """Sum of `operator_seconds` over a step: operators one after the other, each at its own roofline."""
    return sum(
        segment.repeat * sum(operator_seconds(op, rates) for op in segment.block.operators)
        for segment in graph.segments
    )
