"""Attention on multipliers in a stack: cases worked out by hand, and what holds for all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cairn.base.errors import ConfigError
from cairn.hw_models.pim.attacc import AttaccSpec, Placement
from cairn.hw_models.pim.attention import Attended, attention_cycles, command_counts

SPEC = AttaccSpec()
QUIET = AttaccSpec(refreshes=False)


def clocks(placement: Placement, work: Attended, spec: AttaccSpec = QUIET, **more: bool) -> float:
    return float(attention_cycles(spec, placement, work, **more))


def test_two_waves_at_bank_level_are_four_rows_of_multiplies_with_all_moves_hidden() -> None:
    """16 keys a unit, one column each: 16 * 6 clocks and a row of 46 - 6, for two scores and two contexts."""
    assert clocks(Placement.BANK, Attended(32, 256, 64)) == 4 * (16 * 6 + 40)


def test_a_wave_alone_on_the_buffer_die_shows_its_probabilities() -> None:
    """Two times 16 columns at 2 clocks; then scores 2, probabilities 4, the query 4 and the context 2."""
    assert clocks(Placement.BUFFER, Attended(16, 32, 16)) == 2 * 16 * 2 + 2 + 4 + 4 + 2


def test_without_the_power_limit_multiplies_follow_after_four_clocks() -> None:
    assert clocks(Placement.BANK, Attended(32, 256, 64), power_limit=False) == 4 * (16 * 4 + 42)


def test_a_refresh_falls_due_when_work_is_left_at_its_interval() -> None:
    """Ten pairs are 5,440 clocks, past one interval of 5,070: 455 and a row, 46 - 6, are lost once."""
    work = Attended(320, 256, 64)
    assert clocks(Placement.BANK, work) == 5440
    assert clocks(Placement.BANK, work, SPEC) == 5440 + 455 + 40
    assert clocks(Placement.BANK, Attended(288, 256, 64), SPEC) == 9 * 544


def test_moves_sent_more_often_count_only_for_a_wave_alone() -> None:
    pair, alone = Attended(32, 4096, 128), Attended(16, 4096, 128)
    once, thrice = (attention_cycles(QUIET, Placement.BANK, w, last_moves=3) for w in (pair, alone))
    assert once == attention_cycles(QUIET, Placement.BANK, pair)
    assert thrice > attention_cycles(QUIET, Placement.BANK, alone)


def test_commands_of_a_stack_are_those_that_the_reference_lists() -> None:
    """attacc.cyc.BA.pc.d128.b2.h188.L3072: 188 * 2 * 192 * 2 multiplies, its trace has 1,552 more or less by waves."""
    counts = command_counts(SPEC, Placement.BANK, Attended(188, 3072, 128))
    assert counts["mac"] == 188 * 2 * 192 * 2
    assert counts["mvgb"] == 188 * 8 * 12 == 18048
    assert counts["mvsb"] == 188 * (12 * 8 + 2 * 8)


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    placement=st.sampled_from(list(Placement)), heads=st.integers(1, 300), context=st.integers(1, 8192),
    dim=st.sampled_from((64, 80, 128, 160)), size=st.sampled_from((1, 2)),
)  # fmt: skip
def test_no_attention_is_faster_than_its_multiplies_and_none_is_slower_with_fewer_keys(
    placement: Placement, heads: int, context: int, dim: int, size: int
) -> None:
    work = Attended(heads, context, dim, size)
    spacing = SPEC.column_spacing if placement is Placement.BUFFER else SPEC.mac_spacing
    waves = -(-heads // SPEC.channels)
    least = command_counts(SPEC, placement, Attended(waves, context, dim, size))["mac"] * spacing
    assert clocks(placement, work, SPEC) >= least
    assert clocks(placement, work, SPEC) <= clocks(placement, Attended(heads, context + 256, dim, size), SPEC)
    assert clocks(placement, work, SPEC) <= clocks(placement, Attended(heads + 32, context, dim, size), SPEC)


def test_arrays_are_broadcast_together() -> None:
    found = attention_cycles(SPEC, Placement.BANK, Attended(np.array([[16], [64]]), np.array([128, 1024, 4096]), 128))
    assert found.shape == (2, 3)
    assert found[1, 2] == attention_cycles(SPEC, Placement.BANK, Attended(64, 4096, 128))


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (Attended(0, 1024, 128), "heads: whole numbers of at least 1 belong here, not 0"),
        (Attended(16, 10.5, 128), "context: whole numbers of at least 1 belong here, not 10.5"),
        (Attended(16, 1024, 128, 64), "element_bytes: an element has at most the 32 bytes of a column"),
    ],
)
def test_work_that_no_stack_has_is_refused_by_field(work: Attended, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        attention_cycles(SPEC, Placement.BANK, work)


def test_a_stack_that_only_refreshes_is_refused() -> None:
    with pytest.raises(ConfigError, match="refresh_interval: refreshes take all the time: 495 of 400 clocks"):
        attention_cycles(AttaccSpec(refresh_interval=400), Placement.BANK, Attended(16, 64, 64))
