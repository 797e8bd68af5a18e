"""Cycles that are kept are those of the matrix unit, part by part."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.hw_models.chip import ChipSpec
from cairn.sim.config.run_config import load
from cairn.sim.mapping.known_cycles import WHOLE, KnownCycles, Parts

CHIP: ChipSpec = load("demo").chip
BITS = (16.0, 4.0, 16.0)
SIZE = st.integers(0, 70)


@given(st.lists(st.lists(st.tuples(SIZE, SIZE, SIZE), min_size=1, max_size=12), min_size=1, max_size=4))
def test_what_is_kept_equals_what_the_unit_says(calls: list[list[tuple[int, int, int]]]) -> None:
    known = KnownCycles(CHIP)
    for call in calls:
        sizes = np.array(call, dtype=np.int64).T
        got = known.of((sizes[0], sizes[1], sizes[2]), BITS, WHOLE)
        assert np.array_equal(got, CHIP.matrix_cycles(*sizes, *BITS))


@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 40), st.integers(1, 9), st.integers(1, 40))
def test_a_tile_in_parts_lasts_as_long_as_they_do_one_after_the_other(
    m: int, n: int, k: int, rows: int, width: int
) -> None:
    heights = np.diff(np.arange(rows + 1) * m // rows).tolist()
    columns = [min(width, n - at) for at in range(0, n, width)]
    issue = CHIP.synchronisation.task_issue_cycles
    parts = [(tall, wide) for tall in heights for wide in columns if tall > 0]
    expected = sum(int(CHIP.matrix_cycles(tall, wide, k, *BITS)) for tall, wide in parts) + (len(parts) - 1) * issue
    one = tuple(np.array([size]) for size in (m, n, k))
    assert KnownCycles(CHIP).of((one[0], one[1], one[2]), BITS, Parts(rows, width)).tolist() == [expected]


def test_tiles_that_are_too_large_to_keep_are_worked_out() -> None:
    huge = np.array([1 << 20]), np.array([64]), np.array([64])
    known = KnownCycles(CHIP)
    assert known.of(huge, BITS, WHOLE).tolist() == [pytest.approx(int(CHIP.matrix_cycles(1 << 20, 64, 64, *BITS)))]
