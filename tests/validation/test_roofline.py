"""The plain roofline that rankings are compared with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.validation.roofline import PeakRates, operator_seconds, step_seconds
from cairn.workloads.graph import Block, Operator, OperatorGraph, OpKind, Segment

RATES = PeakRates(memory_bytes_per_s=1e12, matrix_ops_per_s=1e14, vector_ops_per_s=1e13)


def matmul(matrix_ops: int = 0, vector_ops: int = 0, read: int = 0, written: int = 0) -> Operator:
    return Operator(
        "m", OpKind.MATMUL, ("x", "w"), ("y",), matrix_ops, vector_ops, reads=(("w", read),), writes=(("c", written),)
    )


def graph(*segments: tuple[int, tuple[Operator, ...]]) -> OperatorGraph:
    blocks = [Segment(Block(f"b{i}", ops, (), "hidden", "hidden"), repeat) for i, (repeat, ops) in enumerate(segments)]
    return OperatorGraph("m", "decode", 1, tuple(blocks))


@pytest.mark.parametrize(
    ("op", "seconds"),
    [
        (matmul(matrix_ops=10**8, read=10**9), 1e-3),
        (matmul(matrix_ops=10**12, read=10**9), 1e-2),
        (matmul(vector_ops=10**12), 0.1),
        (matmul(read=10**9, written=10**9), 2e-3),
    ],
)
def test_an_operator_takes_as_long_as_its_scarcest_resource(op: Operator, seconds: float) -> None:
    assert operator_seconds(op, RATES) == pytest.approx(seconds)


def test_a_step_is_the_sum_of_its_operators_repeats_counted() -> None:
    memory, compute = matmul(read=10**9), matmul(matrix_ops=10**12)
    assert step_seconds(graph((40, (memory, compute)), (1, (memory,))), RATES) == pytest.approx(40 * 11e-3 + 1e-3)


@given(st.integers(0, 10**15), st.integers(0, 10**15), st.integers(0, 10**12), st.floats(1, 100))
def test_faster_rates_never_take_longer(matrix: int, vector: int, read: int, factor: float) -> None:
    op = matmul(matrix, vector, read)
    faster = PeakRates(factor * 1e12, factor * 1e14, factor * 1e13)
    assert operator_seconds(op, faster) <= operator_seconds(op, RATES)
