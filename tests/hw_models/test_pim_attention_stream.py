"""Attention as the commands of a channel: what it asks for, and what the closed form makes of it."""

from __future__ import annotations

import pytest

from cairn.base.errors import ConfigError
from cairn.hw_models.pim.attacc import AttaccSpec, Placement
from cairn.hw_models.pim.attention import Attended, attention_cycles, command_counts
from cairn.hw_models.pim.attention_stream import attention_program
from cairn.hw_models.pim.device import pim_device
from cairn.hw_models.pim.simulate import simulate_program, verdict_of

DEVICE = pim_device("HBM3_AttAcc")


@pytest.mark.parametrize(("waves", "context", "dim"), [(1, 128, 128), (2, 1000, 128), (3, 2048, 64), (4, 700, 160)])
def test_a_channel_asks_for_the_commands_that_the_closed_form_counts(waves: int, context: int, dim: int) -> None:
    """Of a stack of 16 channels with as many waves each, a sixteenth."""
    counted = command_counts(AttaccSpec(), Placement.BANK, Attended(waves, context, dim))
    found = simulate_program(attention_program(DEVICE, waves, context, dim)).counts
    assert found["MACAB"] == counted["mac"]
    assert found["WRGB"] == counted["wrgb"]
    assert found["MVGB"] == counted["mvgb"]
    assert found["SFM"] == waves


def test_two_short_waves_are_four_rows_and_the_moves_before_and_after() -> None:
    """The query is four commands 4 clocks apart from clock 1 on, the next clock activates. A row is 16 columns 6 apart.
    Scores are followed by eight sums 2 apart, then the row closes: 1 + 14 + 1 + 19 + 19; between contexts 8 + 19 + 19.
    Eight sums come after the last, and the run ends two ticks later."""
    run = simulate_program(attention_program(DEVICE, 2, 256, 64))
    first = 1 + 3 * 4 + 1 + 19
    assert run.counts["ACTAB"] == 4
    assert run.cycles == first + 4 * 15 * 6 + 54 + 54 + 46 + 1 + 7 * 2 + 2


@pytest.mark.parametrize("spacing", [4, 6])
@pytest.mark.parametrize("refresh", ["none", "all_bank"])
def test_long_contexts_take_what_the_closed_form_says(spacing: int, refresh: str) -> None:
    spec = AttaccSpec(refreshes=refresh != "none")
    run = simulate_program(attention_program(DEVICE.changed(nCCDAB=spacing), 6, 4096, 128), refresh)
    form = attention_cycles(spec, Placement.BANK, Attended(96, 4096, 128), power_limit=spacing == 6)
    assert run.cycles == pytest.approx(float(form), rel=0.02)


def test_the_stream_breaks_no_rule_with_refresh_or_without() -> None:
    for refresh in ("none", "all_bank"):
        run = simulate_program(attention_program(DEVICE, 3, 2048, 128), refresh, trace=True)
        assert verdict_of(run, refresh).count == 0
        assert (run.counts.get("REF", 0) > 0) is (refresh == "all_bank")


def test_other_devices_and_sizes_are_refused_by_field() -> None:
    with pytest.raises(ConfigError, match="device: GDDR6_AiM lacks MACAB, MVGB, MVSB, SFM; choose HBM3_AttAcc"):
        attention_program(pim_device("GDDR6_AiM"), 1, 128, 128)
    with pytest.raises(ConfigError, match="context: at least 1 belongs here, not 0"):
        attention_program(DEVICE, 1, 0, 128)
