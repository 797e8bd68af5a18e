"""Recurrent states that are updated where they lie."""

from __future__ import annotations

import numpy as np
import pytest

from cairn.base.errors import ConfigError, InfeasibleError
from cairn.hw_models.pim.cost import units_area_mm2
from cairn.hw_models.pim.device import pim_device
from cairn.hw_models.pim.simulate import simulate_program, verdict_of
from cairn.hw_models.pim.state import StateLayout, lower_state_update, step_on_numbers

STATE = pim_device("HBM2E_STATE")
CLOCKS = STATE.dram.clocks


def cycles(**choices: int | bool) -> int:
    return simulate_program(lower_state_update(STATE, 16, 128, 128, **choices).program).cycles  # type: ignore[arg-type]


def test_states_and_answers_are_those_of_numpy() -> None:
    rng = np.random.default_rng(2)
    state, decay = rng.integers(-5, 6, (3, 70, 50)), rng.integers(1, 3, 3)
    key, value, query = rng.integers(-5, 6, (3, 70)), rng.integers(-5, 6, (3, 50)), rng.integers(-5, 6, (3, 70))
    new, answers = step_on_numbers(StateLayout(STATE, 3, 70, 50), state, decay, key, value, query)
    expected = decay[:, None, None] * state + key[:, :, None] * value[:, None, :]
    np.testing.assert_array_equal(new, expected)
    np.testing.assert_array_equal(answers, np.einsum("skv,sk->sv", expected, query))


@pytest.mark.parametrize("interleaved", [True, False])
def test_every_column_of_state_is_read_and_written_once(interleaved: bool) -> None:
    plan = lower_state_update(STATE, 40, 128, 100, interleaved=interleaved, held=4)
    run = simulate_program(plan.program, trace=True)
    columns = plan.layout.of_channel * plan.layout.state_columns
    names = ("STUPD",) if interleaved else ("STRD", "STWR")
    assert all(run.counts[name] == columns for name in names)
    assert columns * 16 * 8 * 32 >= plan.layout.state_bytes
    assert verdict_of(run).count == 0


def test_a_row_is_closed_only_when_its_last_write_has_been_recovered() -> None:
    run = simulate_program(lower_state_update(STATE, 16, 128, 1024).program, trace=True)
    names = STATE.standard.traced_commands
    for at, (tick, number, *_) in enumerate(run.commands.tolist()):
        if names[number] == "PREA":
            written = max(t for t, n, *_ in run.commands[:at].tolist() if names[n] == "STUPD")
            assert tick == written + CLOCKS["nBL"] + CLOCKS["nWR"]


def test_reading_in_one_bank_and_writing_in_the_other_is_faster_than_turning_round() -> None:
    assert cycles() < cycles(interleaved=False, held=32) < cycles(interleaved=False, held=1)


def test_no_step_is_faster_than_its_columns_at_the_rate_of_a_bank_group() -> None:
    plan = lower_state_update(STATE, 16, 128, 128)
    assert cycles() > plan.layout.state_columns * CLOCKS["nCCDL"]


def test_units_take_the_area_of_the_paper() -> None:
    assert units_area_mm2(STATE) == pytest.approx(0.092 * 8 * 16)


def test_other_devices_and_states_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigError, match="GDDR6_AiM has no commands that update states"):
        lower_state_update(pim_device("GDDR6_AiM"), 1, 1, 1)
    with pytest.raises(ConfigError, match="keys: must be at least 1, got 0"):
        lower_state_update(STATE, 1, 0, 1)
    with pytest.raises(InfeasibleError, match=r"rows of a bank: needs 96 rows, has 64 rows .*; use more channels"):
        lower_state_update(STATE.changed(row=64, channels=1), 96, 128, 128)
