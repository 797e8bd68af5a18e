"""Rows that are alike are found, whatever their columns hold."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.sim.mapping.different import different

VALUES = (
    st.integers(-3, 3), st.sampled_from([-(2**62), 0, 2**62]), st.sampled_from([0.5, 1e300, -0.25]),
    st.sampled_from(["a", "b", "ab"]),
)  # fmt: skip


@settings(deadline=None)  # the first example compiles
@given(st.lists(st.tuples(*VALUES), min_size=1, max_size=40))
def test_rows_are_numbered_by_the_first_of_each_sort(rows: list[tuple[Any, ...]]) -> None:
    number, first = different(*(np.array(column) for column in zip(*rows, strict=True)))
    sorts = list(dict.fromkeys(rows))
    assert number.tolist() == [sorts.index(row) for row in rows]
    assert first.tolist() == [rows.index(row) for row in sorts]
