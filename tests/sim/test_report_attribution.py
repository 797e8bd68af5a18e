"""Whose time a picosecond is, and how busy the units were."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.sim.plan.plan import Trace
from cairn.sim.record import Repetition, RunRecord
from cairn.sim.report.attribution import charge, share_out
from cairn.sim.report.busy import Pieces, per_step, pieces
from cairn.sim.report.result import Result
from cairn.sim.report.series import spread
from cairn.sim.report.tasks import TaskView
from tests.sim.report_records import small_record

RECORD = small_record()


def with_times(record: RunRecord, start: list[int], length: list[int]) -> RunRecord:
    """The record with another trace; the total stays the trace's plus the blocks that were not simulated."""
    begin = np.array(start, dtype=np.int64)
    end = begin + np.array(length, dtype=np.int64)
    trace = Trace(begin, begin, end, ())
    missing = sum((each.repeat - each.simulated) * each.period_ps for each in record.repetitions)
    return replace(record, trace=trace, total_ps=trace.makespan + missing)


TIMES = st.lists(st.integers(0, 10**9), min_size=RECORD.plan.n_tasks, max_size=RECORD.plan.n_tasks)


@settings(max_examples=60, deadline=None)
@given(TIMES, TIMES, st.integers(0, 10**9))
def test_charges_are_whole_never_negative_and_sum_to_the_total_whatever_the_trace(
    start: list[int], length: list[int], period: int
) -> None:
    repetition = Repetition("layer", 40, 3, period, 0.0, 0.01)
    steps = charge(with_times(replace(RECORD, repetitions=(repetition,)), start, length))
    assert steps.charged.min() >= 0
    assert int(steps.charged.sum()) == max(s + n for s, n in zip(start, length, strict=True)) + 37 * period


@given(st.integers(0, 10**15), st.lists(st.integers(0, 10**15), min_size=1, max_size=50))
def test_shares_sum_to_the_amount_and_differ_from_the_exact_proportion_by_less_than_one(
    amount: int, weights: list[int]
) -> None:
    parts = share_out(amount, weights)
    assert sum(parts) == amount
    if sum(weights):
        assert all(
            abs(part * sum(weights) - amount * weight) < sum(weights)
            for part, weight in zip(parts, weights, strict=True)
        )


def test_a_tick_is_charged_to_the_first_unfinished_operator_in_plan_order() -> None:
    plan = RECORD.plan
    first_layer = plan.block == 0
    start, length = np.zeros(plan.n_tasks, dtype=int), np.zeros(plan.n_tasks, dtype=int)
    length[first_layer & (plan.op == 0)] = 100  # norm ends at 100
    length[first_layer & (plan.op == 1)] = 70  # up ends in its shadow
    start[first_layer & (plan.op == 2)] = 130
    length[first_layer & (plan.op == 2)] = 20  # down ends at 150, its wait is its own
    record = with_times(replace(RECORD, repetitions=()), start.tolist(), length.tolist())
    steps = charge(record)
    charged = {(int(b), int(o)): int(t) for b, o, t in zip(steps.block, steps.op, steps.charged, strict=True)}
    assert [charged[0, op] for op in (0, 1, 2)] == [100, 0, 50]
    assert sum(charged.values()) == 150


def test_time_that_was_not_simulated_is_charged_to_the_blocks_that_stand_for_it() -> None:
    steps = charge(RECORD)
    repetition = RECORD.repetitions[0]
    advance = steps.finish - steps.begin
    extra = steps.charged - advance
    assert int(extra.sum()) == 37 * repetition.period_ps
    assert extra[steps.weight == 1].sum() == 0
    stand_in = (steps.weight > 1) & (advance > 0)
    ratio = extra[stand_in] / advance[stand_in]
    assert np.allclose(ratio, ratio[0], rtol=1e-6)


def test_a_total_shorter_than_the_trace_is_a_bug() -> None:
    with pytest.raises(ValueError, match="shorter than the trace's"):
        charge(replace(RECORD, total_ps=1))


INTERVALS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 60), st.integers(0, 30)), min_size=1, max_size=RECORD.plan.n_tasks
)


@settings(max_examples=60, deadline=None)
@given(INTERVALS)
def test_a_unit_is_busy_in_exactly_the_ticks_in_which_it_has_work(intervals: list[tuple[int, int, int]]) -> None:
    n = len(intervals)
    unit, start, length = (np.array(column, dtype=np.int64) for column in zip(*intervals, strict=True))
    ones = np.ones(n, dtype=np.int64)
    none = np.zeros(n, dtype=np.bool_)
    view = TaskView(("dram",), 0 * ones, unit, ones, ones, ones, ~none, none, none)
    cut = pieces(view, Trace(start, start, start + length, ()), "dram")
    seen: set[tuple[int, int]] = set()
    for task, u, begin, end in zip(cut.task, cut.unit, cut.begin, cut.end, strict=True):
        ticks = {(int(u), tick) for tick in range(begin, end)}
        assert not ticks & seen
        assert unit[task] == u
        seen |= ticks
    wanted = {(u, tick) for u, begin, count in intervals for tick in range(begin, begin + count)}
    assert seen == wanted


@settings(max_examples=40, deadline=None)
@given(TIMES, TIMES)
def test_busy_time_is_split_over_the_steps_without_loss_and_never_exceeds_their_windows(
    start: list[int], length: list[int]
) -> None:
    record = with_times(RECORD, start, length)
    steps, view = charge(record), TaskView.of(record)
    for name in view.classes:
        cut = pieces(view, record.trace, name)
        busy = per_step(cut, steps, 4)
        assert int(busy.sum()) == int((cut.end - cut.begin).sum())
        assert (busy <= (steps.finish - steps.begin)[:, None]).all()
    assert float(Result(record).units["utilisation"].max()) <= 1 + 1e-9


def test_an_interval_over_three_windows_is_cut_at_their_borders() -> None:
    steps = replace(
        charge(RECORD),
        block=np.arange(3), begin=np.array([0, 10, 10]), finish=np.array([10, 10, 40]),
    )  # fmt: skip
    cut = Pieces(np.array([0]), np.array([1]), np.array([4]), np.array([25]))
    assert per_step(cut, steps, 2).tolist() == [[0, 6], [0, 0], [0, 15]]


@given(st.lists(st.tuples(st.integers(0, 90), st.integers(1, 10), st.integers(0, 1000)), min_size=1, max_size=30))
def test_amounts_spread_over_bins_keep_their_sum_and_place(intervals: list[tuple[int, int, int]]) -> None:
    begin, length, amount = (np.array(column) for column in zip(*intervals, strict=True))
    got = spread(begin, begin + length, amount.astype(float), np.linspace(0, 100, 11))
    wanted = np.zeros(10)
    for at, count, total in intervals:
        for tick in range(at, at + count):
            wanted[tick // 10] += total / count
    assert np.allclose(got, wanted, atol=1e-6)
