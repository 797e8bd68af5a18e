"""Messages on rings beside other traffic: the closed form of the twin against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cairn.sim.twin.product import Turn, ring_cycles

CYCLES = st.floats(1.0, 1e6)


def cycles(fixed: float, sent: float, times: int, members: int, others: float) -> float:
    turn = Turn(np.array([fixed]), np.array([sent]))
    return float(ring_cycles(turn, np.array([times]), np.array([members]), np.array([others]))[0])


@given(CYCLES, CYCLES, st.integers(1, 50), st.integers(2, 64), CYCLES)
def test_a_ring_beside_other_traffic_meets_the_queueing_formula(
    fixed: float, sent: float, times: int, members: int, others: float
) -> None:
    total = cycles(fixed, sent, times, members, others)
    used = others / total
    assert 0 < used < 1
    excess = (2 - 1 / members) * used / (1 - used)
    assert total == pytest.approx(times * (fixed + sent * (1 + excess)), rel=1e-6)


def test_a_ring_alone_takes_its_messages_one_after_the_other_and_no_ring_takes_nothing() -> None:
    assert cycles(10.0, 90.0, 7, 4, 0.0) == pytest.approx(700.0)
    assert cycles(0.0, 0.0, 7, 1, 500.0) == 0.0


@given(CYCLES, CYCLES, st.integers(2, 64), CYCLES)
def test_other_traffic_never_makes_a_ring_faster_and_all_bytes_pass(
    fixed: float, sent: float, members: int, others: float
) -> None:
    alone, beside = cycles(fixed, sent, 1, members, 0.0), cycles(fixed, sent, 1, members, others)
    assert beside >= alone * (1 - 1e-9)
    assert beside >= (sent + others) * (1 - 1e-9)
