"""The vector unit: lane cycles of each kind of work, and time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.base.errors import CairnError
from cairn.hw_models.compute.vector.cycle import OPERATIONS, operations_of, passes_of, vector_cycles
from cairn.hw_models.compute.vector.spec import VectorSpec


def test_a_task_takes_its_startup_and_a_pass_for_every_group_of_lanes() -> None:
    spec = VectorSpec(lanes=32, startup_cycles=8)
    assert vector_cycles(spec, [1, 32, 33, 320], 3).tolist() == [11, 11, 14, 38]


def test_no_elements_take_no_time() -> None:
    assert vector_cycles(VectorSpec(), [0, 5], [4, 0]).tolist() == [0, 0]


def test_without_slow_operations_every_operation_is_one_lane_cycle() -> None:
    assert all(passes_of(VectorSpec(), kind) == operations_of(kind) for kind in OPERATIONS)


def test_an_iterating_exponential_slows_what_uses_it_and_nothing_else() -> None:
    slow = VectorSpec(exponential_cycles=5)
    slower = {kind for kind in OPERATIONS if passes_of(slow, kind) == passes_of(VectorSpec(), kind) + 4}
    assert slower == {"softmax", "softmax_online", "scan"}
    assert all(passes_of(slow, kind) == passes_of(VectorSpec(), kind) for kind in set(OPERATIONS) - slower)


@pytest.mark.parametrize(
    "field", [f for f in VectorSpec.model_fields if f.endswith("_cycles") and f != "startup_cycles"]
)
def test_every_operation_that_can_be_made_slow_is_used_by_some_kind_of_work(field: str) -> None:
    slow = VectorSpec.model_validate({field: 100})
    assert any(passes_of(slow, kind) > 99 for kind in OPERATIONS)


def test_softmax_is_maximum_subtract_exponential_sum_and_divide() -> None:
    assert operations_of("softmax") == 5


def test_work_of_an_unknown_kind_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(CairnError, match="no vector work is called 'soft_max'; did you mean 'softmax'"):
        passes_of(VectorSpec(), "soft_max")


@given(st.integers(1, 300), st.integers(0, 10**9), st.integers(0, 50))
def test_time_is_never_below_the_peak_rate(lanes: int, elements: int, each: int) -> None:
    cycles = int(vector_cycles(VectorSpec(lanes=lanes), elements, each))
    assert cycles * lanes >= elements * each


@pytest.mark.parametrize("bad", [-1, 0.5])
def test_elements_that_are_negative_or_fractional_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="elements must be whole numbers"):
        vector_cycles(VectorSpec(), np.asarray(bad), 1)
